"""Brows, beard and lashes, and the ribbons that every kind of hair is drawn with."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from labelsplat.capture.heads import facial_hair
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.shape import DECIMETRE, Shape
from labelsplat.capture.heads.subdivide import normalised, quads_to_triangles
from labelsplat.capture.heads.template import HEAD, Template

_BROW_HAIRS = 520  # on each side of a dense, thick brow


def _on_skin(
    template: Template, shape: Shape, canonical: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points and normals ``[N, 3]`` of the identity's skin at canonical positions ``[N, 3]``, dm.

    What is blended is how far the skin has MOVED, which is smooth; a blend of the vertices' own
    positions would gather the points about the vertices.
    """
    skin = np.unique(template.quads_of(HEAD))
    distance, near = cKDTree(template.canonical[skin]).query(canonical, k=3)
    weight = 1 / (distance + 1e-3)
    weight = (weight / weight.sum(1, keepdims=True))[..., None]
    moved = shape.vertices[skin] - DECIMETRE * template.canonical[skin]
    points = DECIMETRE * canonical + (moved[near] * weight).sum(1)
    return points, normalised((shape.normals[skin][near] * weight).sum(1))


def grow_beard(
    template: Template, shape: Shape, identity: Identity, density: np.ndarray
) -> np.ndarray | None:
    """Beard strands ``[N, 4, 3]``, or None where the beard is no more than a shadow.

    Args:
        template: the bust.
        shape: the identity's shape.
        identity: the identity.
        density: ``[texels]`` density of the beard on the atlas.
    """
    amount = identity.skin.beard
    if amount < 0.5:
        return None
    rng = stream(identity.seed, "beard strands")
    count = 9000 if amount > 0.6 else 6000
    # Towards its edge a beard is thinner and shorter: squared, the density fades out slowly.
    chance = density.astype(float) ** 2
    texel = rng.choice(len(density), count, p=chance / chance.sum())
    root, normal = _on_skin(template, shape, template.atlas.position[texel].astype(float))
    edge = 0.3 + 0.7 * density[texel, None].astype(float)
    length = (0.003 if amount < 0.6 else 0.010) * edge
    length = length * np.maximum(0.2, 1 + 0.3 * rng.standard_normal((count, 1)))
    first = normalised(
        normal * 0.7 + np.array((0, -0.8, 0.15)) + 0.25 * rng.standard_normal((count, 3))
    )
    second = normalised(first + np.array((0, -0.5, -0.1)) - 0.2 * normal)
    root = root - 0.0008 * normal  # rooted in the skin, not on it
    middle = root + 0.5 * length * first
    return np.stack([root, middle, middle + 0.5 * length * second, middle + length * second], 1)


def grow_brows(template: Template, shape: Shape, identity: Identity) -> np.ndarray:
    """Hairs of both brows, ``[N, 4, 3]``.

    Near the nose they stand up, farther out they lie down towards the temple; those of the upper
    edge lean down and those of the lower edge up, so that they meet along the brow.
    """
    rng = stream(identity.seed, "brow strands")
    canonical = template.atlas.position
    chance, along, across = facial_hair.brow_frame(canonical, identity)
    b = identity.brows
    count = int(2 * _BROW_HAIRS * np.clip(b.density * b.thickness, 0.4, 1.4))
    chance = np.clip(chance, 0, 1).astype(float)
    texel = rng.choice(len(chance), count, p=chance / chance.sum())
    at, along, across = canonical[texel].astype(float), along[texel], across[texel]
    at = at + np.array((0.003, 0.003, 0)) * rng.standard_normal((count, 3))
    root, normal = _on_skin(template, shape, at)

    rise = np.interp(along, (-0.05, 0.12, 0.4, 0.75, 1.05), (82, 62, 30, 4, -16))
    rise = rise - 20 * np.clip(across, -1.2, 1.2) + 11 * rng.standard_normal(count)
    side = np.sign(at[:, 0])

    def towards(degrees: np.ndarray, lift: float) -> np.ndarray:
        angle = np.radians(degrees)
        flat = np.stack([side * np.cos(angle), np.sin(angle), np.zeros(count)], 1)
        flat = normalised(flat - (flat * normal).sum(1, keepdims=True) * normal)
        return normalised(flat + lift * normal)

    length = np.interp(along, (-0.05, 0.1, 0.5, 1.0), (0.0045, 0.0062, 0.0070, 0.0055))
    length = (length * np.clip(1 + 0.22 * rng.standard_normal(count), 0.4, 1.5))[:, None]
    root = root - 0.0003 * normal
    first = root + 0.35 * length * towards(rise, 0.28)
    second = first + 0.35 * length * towards(rise - 9, 0.05)
    return np.stack([root, first, second, second + 0.3 * length * towards(rise - 18, -0.08)], 1)


def grow_lashes(template: Template, shape: Shape, identity: Identity) -> np.ndarray:
    """Lashes along both eyes' lids, ``[N, 4, 3]``: in small tufts, longest at the outer third."""
    rng = stream(identity.seed, "lashes")
    fuller = 1 + 0.35 * identity.make_up.mascara
    rim = template.eyelid_rim
    at = template.canonical[rim]
    lashes = []
    for eye, of_side in ((shape.eyes[0], at[:, 0] > 0), (shape.eyes[1], at[:, 0] < 0)):
        for upper, length, curl, count in ((True, 0.0068, 0.55, 110), (False, 0.0036, -0.5, 55)):
            chosen = rim[of_side & ((at[:, 1] > _rim_middle(at, of_side)) == upper)]
            lid = shape.vertices[chosen]
            lid = lid[np.argsort(np.abs(lid[:, 0]), kind="stable")]  # inner corner first
            place = 0.07 + 0.90 * (np.arange(count) + rng.random(count)) / count
            # Lashes stick together in threes and fours.
            tufts = np.round(place * count / 3.5) / (count / 3.5)
            tip = place + 0.55 * (tufts - place)
            place, tip = place * (len(lid) - 1), tip * (len(lid) - 1)
            root, end = _along(lid, place), _along(lid, tip)
            out = normalised(root - eye)
            out = out + 0.10 * rng.standard_normal((count, 3)) * (1, 0.3, 0.3)
            out = out + 120.0 * (end - root)  # tips of a tuft meet
            rise = -0.15 * np.sign(curl)
            first = out + np.array((0, rise, 0.2))
            second = out * 0.6 + np.array((0, 1.3 * curl, 0.4))
            root = root + 0.0004 * out
            share = place / (len(lid) - 1)
            taper = np.interp(share, (0, 0.3, 0.7, 1.0), (0.45, 0.85, 1.0, 0.75))
            size = length * fuller * taper[:, None] * (1 + 0.2 * rng.standard_normal((count, 1)))
            lashes.append(
                np.stack(
                    [
                        root,
                        root + size * 0.33 * first,
                        root + size * (0.4 * first + 0.3 * second),
                        root + size * (0.4 * first + 0.7 * second),
                    ],
                    1,
                )
            )
    return np.concatenate(lashes)


def _along(line: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Points of a polyline ``[M, 3]`` at places ``[N]`` counted in its vertices."""
    i = np.clip(place.astype(int), 0, len(line) - 2)
    t = (place - i)[:, None]
    return line[i] * (1 - t) + line[i + 1] * t


def _rim_middle(rim: np.ndarray, of_side: np.ndarray) -> float:
    """Canonical height that parts the upper from the lower lid of one eye."""
    y = rim[of_side, 1]
    return float((y.min() + y.max()) / 2)


def ribbons(
    strands: np.ndarray,
    radius: float,
    colour: np.ndarray,
    rng: np.random.Generator,
    centre: np.ndarray,
    variation: float = 0.22,
) -> dict[str, np.ndarray]:
    """Thin, randomly twisted ribbons along strands, as arrays of a mesh.

    Args:
        strands: ``[N, K, 3]``, roots first.
        radius: half width at the root, metres; tips are thinner.
        colour: ``[3]`` linear RGB.
        rng: source of twist and of colour.
        centre: ``[3]`` middle of the head; normals lean away from it: hair shades as a mass.
        variation: standard deviation of the log of a strand's colour.

    Returns:
        vertices, normals, tangents, colours ``[2 N K, 3]`` and triangles ``[2 N (K - 1), 3]``.
    """
    count, points, _ = strands.shape
    tangent = normalised(np.gradient(strands, axis=1))
    outward = normalised((strands - centre) * (1, 0.7, 1))
    outward = normalised(outward - (outward * tangent).sum(2, keepdims=True) * tangent)
    across = np.cross(tangent, outward)
    twist = 0.6 * rng.standard_normal((count, 1, 1))
    width = np.cos(twist) * across + np.sin(twist) * outward
    facing = np.cos(twist) * outward - np.sin(twist) * across
    facing = normalised(0.75 * facing + 0.5 * outward)

    along = np.linspace(0, 1, points)[:, None]
    half = radius * (1 - 0.6 * along**3)
    vertices = np.stack([strands - width * half, strands + width * half], 2)
    normals = normalised(np.stack([facing - 0.6 * width, facing + 0.6 * width], 2))
    shade = np.exp(variation * rng.standard_normal((count, 1, 1)))
    shade = shade * (0.6 + 0.55 * np.minimum(1, 2 * along))
    colours = np.clip(np.repeat((np.asarray(colour) * shade)[:, :, None], 2, 2), 0.002, 0.95)
    tangents = np.repeat(tangent[:, :, None], 2, 2)

    first = (2 * points * np.arange(count)[:, None] + 2 * np.arange(points - 1)).ravel()
    quads = np.stack([first, first + 1, first + 3, first + 2], 1)
    return {
        "vertices": vertices.reshape(-1, 3),
        "normals": normals.reshape(-1, 3),
        "tangents": tangents.reshape(-1, 3),
        "colour": colours.reshape(-1, 3),
        "triangles": quads_to_triangles(quads),
    }
