"""Beard and lashes, and the ribbons that every kind of hair is drawn with."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.shape import Shape
from labelsplat.capture.heads.subdivide import normalised, quads_to_triangles
from labelsplat.capture.heads.template import HEAD, Template


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
    texel = rng.choice(len(density), count, p=density / density.sum(dtype=float))
    skin = np.unique(template.quads_of(HEAD))
    distance, near = cKDTree(template.canonical[skin]).query(
        template.atlas.position[texel].astype(float), k=3
    )
    weight = 1 / (distance + 1e-3)
    weight = (weight / weight.sum(1, keepdims=True))[..., None]
    root = (shape.vertices[skin][near] * weight).sum(1)
    normal = normalised((shape.normals[skin][near] * weight).sum(1))
    length = (0.003 if amount < 0.6 else 0.010) * (1 + 0.3 * rng.standard_normal((count, 1)))
    first = normalised(
        normal * 0.7 + np.array((0, -0.8, 0.15)) + 0.25 * rng.standard_normal((count, 3))
    )
    second = normalised(first + np.array((0, -0.5, -0.1)) - 0.2 * normal)
    root = root - 0.0008 * normal  # rooted in the skin, not on it
    middle = root + 0.5 * length * first
    return np.stack([root, middle, middle + 0.5 * length * second, middle + length * second], 1)


def grow_lashes(template: Template, shape: Shape, identity: Identity) -> np.ndarray:
    """Lashes along both eyes' lids, ``[N, 4, 3]``."""
    rng = stream(identity.seed, "lashes")
    rim = template.eyelid_rim
    at = template.canonical[rim]
    lashes = []
    for eye, of_side in ((shape.eyes[0], at[:, 0] > 0), (shape.eyes[1], at[:, 0] < 0)):
        for upper, length, curl, count in ((True, 0.0064, 0.55, 80), (False, 0.0038, -0.5, 45)):
            chosen = rim[of_side & ((at[:, 1] > _rim_middle(at, of_side)) == upper)]
            lid = shape.vertices[chosen]
            lid = lid[np.argsort(lid[:, 0], kind="stable")]
            place = (0.04 + 0.92 * (np.arange(count) + rng.random(count)) / count) * (len(lid) - 1)
            i = np.minimum(place.astype(int), len(lid) - 2)
            t = (place - i)[:, None]
            root = lid[i] * (1 - t) + lid[i + 1] * t
            out = normalised(root - eye)
            out = out + 0.18 * rng.standard_normal((count, 3)) * (1, 0.3, 0.3)
            rise = -0.15 * np.sign(curl)
            first = out + np.array((0, rise, 0.2))
            second = out * 0.6 + np.array((0, 1.3 * curl, 0.4))
            root = root + 0.0008 * out
            taper = 0.55 + 0.45 * np.sin(np.pi * place / (len(lid) - 1))
            size = length * taper[:, None] * (1 + 0.2 * rng.standard_normal((count, 1)))
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
