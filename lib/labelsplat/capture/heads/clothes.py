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
from labelsplat.capture.heads.shape import DECIMETRE
from labelsplat.capture.heads.subdivide import normalised, quads_to_triangles, triangle_normals
from labelsplat.labels import CELEBAMASK

_PATTERNS = {"stripe": parts.STRIPES, "check": parts.CHECKS}
_RIM = 0.012  # metres: how far the edge of the cloth turns in towards the skin
_SLEEVE, _TRUNK, _RINGS = 0.16, 0.30, 5  # metres that the clothes go on beyond the bust
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


def _look(canonical: np.ndarray, identity: Identity) -> dict:
    """Colours and pattern of the cloth at canonical positions ``[N, 3]``, as fields of a Part."""
    cloth = identity.clothes
    hue, saturation, value = cloth.colour
    main = _hsv(hue, saturation, value)
    other = _hsv(hue + 0.4, 0.6 * saturation, min(1.0, value + 0.3))
    weave = 1 + 0.025 * noise(canonical, 40.0, identity.seed, "weave")
    if cloth.pattern == "heather":
        flecks = 0.25 + 0.05 * noise(canonical, 30.0, identity.seed, "heather")
        main = main + (other - main) * np.clip(flecks, 0, 1)[:, None]
    look = {"colour": np.clip(main * weave[:, None], 0.004, 0.9)}
    if cloth.pattern in _PATTERNS:
        look |= {
            "tangents": np.clip(other * weave[:, None], 0.004, 0.9),
            "uv": canonical[:, :2],
            "pattern": _PATTERNS[cloth.pattern],
        }
    return look


def _continued(outer: np.ndarray, triangles: np.ndarray, canonical: np.ndarray) -> tuple:
    """The cloth beyond the cuts of the bust: sleeves and a trunk, each closed by a fan.

    A bust that ended where the base mesh is cut would show its flat underside from below.

    Returns:
        vertices, normals, triangles, canonical positions ``[N, 3]`` (continued as well).
    """
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    edges, count = np.unique(edges, axis=0, return_counts=True)
    open_edges = edges[count == 1]
    open_edges = open_edges[canonical[open_edges][..., 1].max(1) < 5.75]
    n = len(outer)
    graph = sp.coo_matrix((np.ones(len(open_edges)), open_edges.T), (n, n))
    loop_of = connected_components(graph, directed=False)[1][open_edges[:, 0]]
    vertices, normals, faces, where, base = [], [], [], [], 0
    for loop in np.unique(loop_of):
        own = open_edges[loop_of == loop]
        if len(own) < 12:
            continue
        used, ends = np.unique(own, return_inverse=True)
        ends, size = ends.reshape(-1, 2), len(used)
        ring = outer[used]
        centre = ring.mean(0)
        arm = abs(centre[0]) > 0.1
        along = (
            np.array((np.sign(centre[0]) * 0.57, -0.81, 0.15)) if arm else np.array((0, -1.0, 0))
        )
        reach = _SLEEVE if arm else _TRUNK
        away = ring - centre
        away = normalised(away - (away @ along)[:, None] * along)
        steps = np.linspace(0, 1, _RINGS)
        # The cut is not level: the far end is, so that it closes as a flat disc.
        level = -((ring - centre) @ along)[:, None] * steps
        shift = (reach * steps + level)[..., None] * along
        wall = ring[:, None] + shift
        vertices += [wall.reshape(-1, 3), wall[:, -1], (centre + reach * along)[None]]
        normals += [np.repeat(away, _RINGS, 0), np.tile(along, (size + 1, 1))]
        continued = canonical[used][:, None] + shift / DECIMETRE
        where += [continued.reshape(-1, 3), continued[:, -1], continued[:, -1].mean(0)[None]]
        a, b = ends.T
        for k in range(_RINGS - 1):
            quads = np.stack([a * _RINGS + k, b * _RINGS + k, b * _RINGS + k + 1,
                              a * _RINGS + k + 1], 1)  # fmt: skip
            faces.append(base + quads_to_triangles(quads))
        first = base + size * _RINGS
        faces.append(np.stack([first + a, first + b, np.full(len(a), first + size)], 1))
        base += size * (_RINGS + 1) + 1
    return tuple(np.concatenate(part) for part in (vertices, normals, faces, where))


def dress(body: Part, canonical: np.ndarray, identity: Identity) -> dict[str, Part]:
    """Clothes over the body, and the body without what they hide.

    Args:
        body: neck, shoulders and chest.
        canonical: ``[N, 3]`` canonical positions of its vertices, dm.
        identity: the identity.

    Returns:
        The parts ``body``, ``cloth`` and ``continued`` (sleeves and trunk beyond the bust's cuts).
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
    beyond = _continued(outer, body.triangles, canonical)
    visible = (depth[body.triangles] < _TUCK).any(1)
    return {
        "body": replace(body, triangles=body.triangles[visible]),
        "cloth": Part(
            vertices, normals, triangles, parts.MATTE, cloth,
            **_look(where, identity), roughness=0.85, specular=0.375,
        ),
        "continued": Part(
            *beyond[:3], parts.MATTE, cloth, **_look(beyond[3], identity),
            roughness=0.85, specular=0.375,
        ),
    }  # fmt: skip
