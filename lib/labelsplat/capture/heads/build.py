"""From an identity to a head: all its meshes and textures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture.heads import facial_hair, parts, strands
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.accessories import Landmarks, earrings, glasses, necklace
from labelsplat.capture.heads.clothes import dress
from labelsplat.capture.heads.covers import hand, mask, scarf
from labelsplat.capture.heads.eyes import gaze_axis, lid_shade, paint_eye, sphere
from labelsplat.capture.heads.hair import grow_hair
from labelsplat.capture.heads.hair_styles import STYLES
from labelsplat.capture.heads.headwear import hat, press_hair
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.mouth import mouth_parts
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import Shape, build_shape
from labelsplat.capture.heads.skin import (
    SkinTextures,
    base_pigments,
    brow_colour,
    paint,
    skin_colour,
)
from labelsplat.capture.heads.subdivide import quads_to_triangles
from labelsplat.capture.heads.template import (
    BODY,
    HEAD,
    SOCKETS,
    Template,
    load_template,
)
from labelsplat.labels import CELEBAMASK

_LASH_COLOUR = (0.008, 0.006, 0.005)


@dataclass(frozen=True, eq=False)
class Head:
    """Everything of a head but its light; metres in the head frame.

    Attributes:
        identity: whose head it is.
        parts: meshes by name; ``head`` carries the texture.
        textures: the head's painted textures.
        eye_texture: ``[R, 2 R, 3]`` float32, see eyes.paint_eye.
        eyes: ``[2, 3]`` centres of the left and the right eyeball.
    """

    identity: Identity
    parts: dict[str, Part]
    textures: SkinTextures
    eye_texture: np.ndarray
    eyes: np.ndarray


def _part(shape: Shape, quads: np.ndarray, material: int, label: int, **traits) -> Part:
    """A part made of the template's quads; ``traits`` are further fields of Part."""
    fine, corners = np.unique(quads, return_inverse=True)
    return Part(
        shape.vertices[fine], shape.normals[fine], quads_to_triangles(corners.reshape(-1, 4)),
        material, label, fine=fine, **traits,
    )  # fmt: skip


def _head_skin(template: Template, shape: Shape, identity: Identity) -> Part:
    """The head's skin; vertices are doubled along the cuts of its texture."""
    quads, uv = template.quads_of(HEAD), template.head_uv
    corners = np.concatenate([quads.reshape(-1, 1), np.round(uv.reshape(-1, 2) * 2**22)], 1)
    _, first, index = np.unique(
        corners.astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    fine = quads.ravel()[first]
    return Part(
        shape.vertices[fine], shape.normals[fine], quads_to_triangles(index.reshape(-1, 4)),
        parts.SKIN, parts.FROM_TEXTURE, uv=uv.reshape(-1, 2)[first], fine=fine,
    )  # fmt: skip


def _body_skin(template: Template, shape: Shape, identity: Identity) -> Part:
    """Neck, shoulders and chest; coloured by vertex, like the head's texture next to it."""
    quads = template.quads_of(BODY)
    canonical = template.canonical[np.unique(quads)]
    colour = skin_colour(*base_pigments(canonical, identity))
    if identity.hair.style not in facial_hair.SHAVED:
        nape = 0.7 * smoothstep(-0.03, 0.07, facial_hair.scalp_edge(canonical, identity))
        colour = colour + (identity.hair_rgb - colour) * nape[:, None]
    return _part(
        shape, quads, parts.MATTE, CELEBAMASK.index("neck"),
        colour=colour, roughness=identity.skin.roughness, specular=0.85,
    )  # fmt: skip


def _sockets(template: Template, shape: Shape, identity: Identity) -> Part:
    colour = skin_colour(identity.skin.melanin, 1.4) * 0.7
    return _part(
        shape, template.quads_of(SOCKETS), parts.MATTE, CELEBAMASK.index("skin"),
        colour=colour, roughness=0.35,
    )  # fmt: skip


def _eyeballs(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    rim, out = shape.vertices[template.eyelid_rim], {}
    for label, centre, side in zip(("l_eye", "r_eye"), shape.eyes, (1.0, -1.0), strict=True):
        vertices, normals, uv, quads = sphere(centre, 0.995 * shape.eye_radius, gaze_axis(identity))
        lids = rim[np.linalg.norm(rim - centre, axis=1) < 3 * shape.eye_radius]
        out[label] = Part(
            vertices, normals, quads_to_triangles(quads), parts.EYE, CELEBAMASK.index(label),
            colour=lid_shade(vertices, lids, side), uv=uv, roughness=0.05,
        )  # fmt: skip
    return out


def _strand_parts(
    template: Template, shape: Shape, identity: Identity, textures: SkinTextures
) -> dict[str, Part]:
    """Hair, beard, brows and lashes as ribbons."""
    style = STYLES.get(identity.hair.style)
    colour = identity.hair_rgb
    hair = grow_hair(template, shape, identity)
    if hair is not None and identity.nuisances.hat != "none":
        hair = press_hair(hair, template, shape, identity)
    grown = {
        "hair": (
            hair,
            style.radius if style else 0.0, colour, CELEBAMASK.index("hair"),
        ),
        "beard": (
            strands.grow_beard(template, shape, identity, textures.beard),
            0.00016, colour, parts.UNLABELLED,
        ),
        "brows": (
            strands.grow_brows(template, shape, identity),
            0.00012, brow_colour(identity), parts.UNLABELLED,
        ),
        "lashes": (
            strands.grow_lashes(template, shape, identity),
            0.00012, np.array(_LASH_COLOUR), parts.UNLABELLED,
        ),
    }  # fmt: skip
    eyes = shape.eyes.mean(0)
    middle = np.array((0, eyes[1] + 0.02, eyes[2] - 0.085))
    out = {}
    for name, (curves, radius, rgb, label) in grown.items():
        if curves is not None and len(curves):
            rng = stream(identity.seed, f"{name} ribbons")
            mesh = strands.ribbons(curves, radius, rgb, rng, middle)
            out[name] = Part(**mesh, material=parts.HAIR, label=label)
    return out


def _worn(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    """Everything that the identity's nuisances add."""
    worn = identity.nuisances
    out = hat(template, shape, identity)
    landmarks = Landmarks(template, shape)
    if worn.glasses != "none":
        out |= glasses(shape, landmarks, identity)
    if worn.earrings != "none":
        out |= earrings(landmarks, identity)
    if worn.necklace != "none":
        out |= necklace(landmarks, identity)
    if worn.cover == "mask":
        out |= mask(template, shape, landmarks, identity)
    elif worn.cover == "hand":
        out |= hand(landmarks, identity)
    if worn.scarf:
        out |= scarf(template, shape, identity)
    return out


def build_head(identity: Identity) -> Head:
    """Meshes and textures of an identity.

    Raises:
        CaptureError: the head data is not installed; says how to install it.
    """
    template = load_template()
    shape = build_shape(template, identity)
    textures = paint(template.atlas, identity)
    body = _body_skin(template, shape, identity)
    all_parts = {
        "head": _head_skin(template, shape, identity),
        **dress(body, template.canonical[body.fine], identity),
        **mouth_parts(template, shape, identity),
        "sockets": _sockets(template, shape, identity),
        **_eyeballs(template, shape, identity),
        **_strand_parts(template, shape, identity, textures),
    }
    if identity.nuisances.words != "none":
        all_parts |= _worn(template, shape, identity)
    return Head(
        identity=identity,
        parts=all_parts,
        textures=textures,
        eye_texture=paint_eye(identity),
        eyes=shape.eyes,
    )
