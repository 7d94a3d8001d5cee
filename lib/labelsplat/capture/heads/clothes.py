"""Clothes: the bust's own surface, moved outwards and cut along a neckline."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from labelsplat.capture.heads import parts
from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.subdivide import triangle_normals
from labelsplat.labels import CELEBAMASK

_RIM = 0.012  # metres: how far the edge of the cloth turns in towards the skin
_TUCK = 0.30  # dm: skin goes on this far below the neckline, so that no gap opens


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """Linear RGB ``[3]`` of an sRGB-like (hue, saturation, value)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value)) ** 2.2


def _cut_depth(canonical: np.ndarray, neckline: str) -> np.ndarray:
    """Depth ``[N]`` below the neckline in canonical dm; positive is under the cloth."""
    x, y, z = canonical.T
    azimuth = np.arctan2(x, z - 0.1)
    front = np.maximum(0, np.cos(azimuth))
    if neckline == "crew":
        line = 5.72 - 0.10 * front
    elif neckline == "vneck":
        line = 5.73 - 0.62 * np.maximum(0, 1 - np.abs(x) / 0.55) * (z > 0.2)
    elif neckline == "wide":
        line = 5.66 - 0.28 * front - 0.08 * np.abs(np.sin(azimuth))
    elif neckline == "turtle":
        line = 6.12 - 0.12 * front
    else:  # collar
        line = 5.98 - 0.16 * front - 0.30 * np.maximum(0, 1 - np.abs(x) / 0.2) * (z > 0.3)
    return line - y


def clip(
    values: np.ndarray, triangles: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the part of a triangle mesh where a signed function is positive.

    Args:
        values: ``[N, D]`` anything that is linear on triangles: positions, normals, ...
        triangles: ``[T, 3]``.
        inside: ``[N]`` signed function, linear on triangles.

    Returns:
        Values with the new vertices appended, triangles, and the cut's edges ``[E, 2]``. Two
        neighbours share the new vertex on their common edge.
    """
    positive = inside[triangles] > 0
    count = positive.sum(1)
    kept = [triangles[count == 3]]
    pairs: list[np.ndarray] = []  # each cut edge as (inside vertex, outside vertex)
    pieces: list[tuple[bool, np.ndarray, slice, slice]] = []
    total = 0
    for turn in range(3):
        corners, signs = np.roll(triangles, -turn, 1), np.roll(positive, -turn, 1)
        for lone_inside in (True, False):
            lone = (count == (1 if lone_inside else 2)) & (signs[:, 0] == lone_inside)
            a, b, c = corners[lone].T
            pairs += [np.stack([a, b], 1), np.stack([a, c], 1)]
            n = len(a)
            pieces.append(
                (lone_inside, corners[lone], slice(total, total + n),
                 slice(total + n, total + 2 * n))
            )  # fmt: skip
            total += 2 * n
    ends = np.concatenate(pairs)
    edges, new = np.unique(np.sort(ends, 1), axis=0, return_inverse=True)
    new = new.ravel() + len(values)
    t = (inside[edges[:, 0]] / (inside[edges[:, 0]] - inside[edges[:, 1]]))[:, None]
    values = np.concatenate([values, values[edges[:, 0]] * (1 - t) + values[edges[:, 1]] * t])
    rim = []
    for lone_inside, corners, first, second in pieces:
        a, b, c = corners.T
        i, j = new[first], new[second]
        if lone_inside:
            kept.append(np.stack([a, i, j], 1))
        else:
            kept += [np.stack([i, b, c], 1), np.stack([i, c, j], 1)]
        rim.append(np.stack([i, j], 1))
    return values, np.concatenate(kept), np.concatenate(rim)


def _colours(canonical: np.ndarray, identity: Identity) -> np.ndarray:
    """Albedo ``[N, 3]`` of the cloth at canonical positions."""
    cloth = identity.clothes
    hue, saturation, value = cloth.colour
    main = _hsv(hue, saturation, value)
    other = _hsv(hue + 0.4, 0.6 * saturation, min(1.0, value + 0.3))
    x, y, _ = canonical.T
    if cloth.pattern == "stripe":
        share = smoothstep(-0.05, 0.25, np.sin(2 * np.pi * y / 0.5))
    elif cloth.pattern == "check":
        share = 0.35 * (np.sin(2 * np.pi * y / 0.6) > 0) + 0.35 * (np.sin(2 * np.pi * x / 0.6) > 0)
    elif cloth.pattern == "heather":
        share = np.clip(0.25 + 0.14 * noise(canonical, 30.0, identity.seed, "heather"), 0, 1)
    else:
        share = np.zeros(len(canonical))
    colour = main + (other - main) * share[:, None]
    weave = 1 + 0.06 * noise(canonical, 40.0, identity.seed, "weave")
    return np.clip(colour * weave[:, None], 0.004, 0.9)


def _caps(outer: np.ndarray, triangles: np.ndarray, canonical: np.ndarray) -> tuple:
    """Fans that close the cut arms and the cut waist: vertices, normals, triangles."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    open_edges = edges[count == 1]
    open_edges = open_edges[canonical[open_edges][..., 1].max(1) < 5.75]
    n = len(outer)
    graph = sp.coo_matrix((np.ones(len(open_edges)), open_edges.T), (n, n))
    loop_of = connected_components(graph, directed=False)[1][open_edges[:, 0]]
    vertices, normals, faces, base = [], [], [], 0
    for loop in np.unique(loop_of):
        ends = outer[open_edges[loop_of == loop]]
        if len(ends) < 12:
            continue
        centre = ends.mean((0, 1))
        normal = centre - (0, (centre[1] + outer[:, 1].mean()) / 2, 0)
        normal /= np.linalg.norm(normal)
        size = len(ends)
        vertices.append(np.concatenate([ends.reshape(-1, 3), centre[None]]))
        normals.append(np.tile(normal, (2 * size + 1, 1)))
        even = 2 * np.arange(size)
        faces.append(base + np.stack([even, even + 1, np.full(size, 2 * size)], 1))
        base += 2 * size + 1
    return np.concatenate(vertices), np.concatenate(normals), np.concatenate(faces)


def dress(body: Part, canonical: np.ndarray, identity: Identity) -> dict[str, Part]:
    """Clothes over the body, and the body without what they hide.

    Args:
        body: neck, shoulders and chest.
        canonical: ``[N, 3]`` canonical positions of its vertices, dm.
        identity: the identity.

    Returns:
        The parts ``body``, ``cloth`` and ``caps`` (the closed cuts of the bust).
    """
    seed = identity.seed
    depth = _cut_depth(canonical, identity.clothes.neckline)
    folds = 0.004 * noise(canonical, 1.6, seed, "folds", 2)
    folds += 0.0035 * noise(canonical * (1, 0.5, 1), 4.0, seed, "creases", 2)
    gap = np.maximum(0.010 + folds, 0.005)
    if identity.clothes.neckline in ("turtle", "collar"):
        gap = gap + 0.006 * smoothstep(0.3, 0.0, depth)
    outer = body.vertices + body.normals * gap[:, None]

    values, triangles, rim = clip(
        np.concatenate([outer, body.normals, canonical], 1), body.triangles, depth
    )
    vertices, smooth, where = values[:, :3], values[:, 3:6], values[:, 6:]
    creased = triangle_normals(vertices, triangles)
    usable = (creased * smooth).sum(1, keepdims=True) > 0.2
    normals = np.where(usable, creased, smooth)
    # The cut edge turns in towards the skin, so that the cloth has thickness. The hem keeps the
    # normals of the skin below it: those of its own slivers would flicker.
    edge, ends = np.unique(rim, return_inverse=True)
    near, far = (ends.reshape(-1, 2) + len(vertices)).T
    triangles = np.concatenate([
        triangles,
        np.stack([near, far, far + len(edge)], 1),
        np.stack([near, far + len(edge), near + len(edge)], 1),
    ])  # fmt: skip
    vertices = np.concatenate([vertices, vertices[edge], vertices[edge] - _RIM * smooth[edge]])
    normals = np.concatenate([normals, smooth[edge], smooth[edge]])
    where = np.concatenate([where, where[edge], where[edge]])
    cloth = CELEBAMASK.index("cloth")
    cap_vertices, cap_normals, cap_triangles = _caps(outer, body.triangles, canonical)
    visible = (depth[body.triangles] < _TUCK).any(1)
    return {
        "body": replace(body, triangles=body.triangles[visible]),
        "cloth": Part(
            vertices, normals, triangles, parts.MATTE, cloth,
            colour=_colours(where, identity), roughness=0.85, specular=0.375,
        ),
        "caps": Part(
            cap_vertices, cap_normals, cap_triangles, parts.MATTE, cloth,
            colour=0.7 * _hsv(*identity.clothes.colour), roughness=0.9, specular=0.25,
        ),
    }  # fmt: skip
