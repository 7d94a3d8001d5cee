"""From an identity to a head: all its meshes and textures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture.heads import facial_hair, parts, strands
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.clothes import dress
from labelsplat.capture.heads.eyes import gaze_axis, paint_eye, sphere, teeth_shade
from labelsplat.capture.heads.hair import grow_hair
from labelsplat.capture.heads.hair_styles import STYLES
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import Shape, build_shape
from labelsplat.capture.heads.skin import SkinTextures, base_pigments, paint, skin_colour
from labelsplat.capture.heads.subdivide import quads_to_triangles
from labelsplat.capture.heads.template import (
    BODY,
    HEAD,
    LOWER_TEETH,
    MOUTH,
    SOCKETS,
    TONGUE,
    UPPER_TEETH,
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
        skin_triangles: ``[T, 3]`` triangles of all skin over the template's fine vertices.
        fine_vertices: number of the template's fine vertices.
    """

    identity: Identity
    parts: dict[str, Part]
    textures: SkinTextures
    eye_texture: np.ndarray
    eyes: np.ndarray
    skin_triangles: np.ndarray
    fine_vertices: int


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


def _mouth_and_sockets(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    melanin, mouth = identity.skin.melanin, CELEBAMASK.index("mouth")
    teeth = teeth_shade(identity)
    looks = {
        "mouth": (MOUTH, mouth, skin_colour(0.3 * melanin + 0.3, 2.2) * 0.55, 0.35),
        "sockets": (SOCKETS, CELEBAMASK.index("skin"), skin_colour(melanin, 1.4) * 0.7, 0.35),
        "upper teeth": (UPPER_TEETH, mouth, np.array((0.62, 0.57, 0.48)) * teeth, 0.2),
        "lower teeth": (LOWER_TEETH, mouth, np.array((0.56, 0.51, 0.43)) * teeth, 0.2),
        "tongue": (TONGUE, mouth, np.array((0.42, 0.16, 0.15)), 0.35),
    }
    return {
        name: _part(
            shape, template.quads_of(island), parts.MATTE, label, colour=colour, roughness=rough
        )
        for name, (island, label, colour, rough) in looks.items()
    }


def _eyeballs(shape: Shape, identity: Identity) -> dict[str, Part]:
    out = {}
    for label, centre in zip(("l_eye", "r_eye"), shape.eyes, strict=True):
        vertices, normals, uv, quads = sphere(centre, 0.995 * shape.eye_radius, gaze_axis(identity))
        out[label] = Part(
            vertices, normals, quads_to_triangles(quads), parts.EYE, CELEBAMASK.index(label),
            uv=uv, roughness=0.05,
        )  # fmt: skip
    return out


def _strand_parts(
    template: Template, shape: Shape, identity: Identity, textures: SkinTextures
) -> dict[str, Part]:
    """Hair, beard and lashes as ribbons."""
    style = STYLES.get(identity.hair.style)
    colour = identity.hair_rgb
    grown = {
        "hair": (
            grow_hair(template, shape, identity),
            style.radius if style else 0.0, colour, CELEBAMASK.index("hair"),
        ),
        "beard": (
            strands.grow_beard(template, shape, identity, textures.beard),
            0.00016, colour, parts.UNLABELLED,
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
        if curves is not None:
            rng = stream(identity.seed, f"{name} ribbons")
            mesh = strands.ribbons(curves, radius, rgb, rng, middle)
            out[name] = Part(**mesh, material=parts.HAIR, label=label)
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
        **_mouth_and_sockets(template, shape, identity),
        **_eyeballs(shape, identity),
        **_strand_parts(template, shape, identity, textures),
    }
    return Head(
        identity=identity,
        parts=all_parts,
        textures=textures,
        eye_texture=paint_eye(identity),
        eyes=shape.eyes,
        skin_triangles=quads_to_triangles(template.quads_of(HEAD, BODY)),
        fine_vertices=len(shape.vertices),
    )
