"""What covers a face or a neck: masks and hands, both labelled background, and scarves (cloth)."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from labelsplat.base import atomic_path, cache_dir
from labelsplat.capture.heads import data, parts
from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.accessories import Landmarks, join, tube
from labelsplat.capture.heads.clothes import clip
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import DECIMETRE, Shape
from labelsplat.capture.heads.skin import skin_colour
from labelsplat.capture.heads.subdivide import (
    catmull_clark,
    normalised,
    quad_normals,
    quads_to_triangles,
    triangle_normals,
)
from labelsplat.capture.heads.template import BODY, HEAD, MOUTH, Template
from labelsplat.labels import CELEBAMASK

_BACKGROUND = CELEBAMASK.index("background")
_MASK_COLOURS = ((0.70, 0.74, 0.77), (0.24, 0.47, 0.62), (0.03, 0.03, 0.033), (0.55, 0.30, 0.34))
_TAUT = 60  # smoothing steps that stretch a mask over the face

# Joints of the left arm in the base mesh, decimetres: wrist, elbow, roots of middle, index and
# little finger. The palm's own axes follow from them.
_WRIST, _ELBOW = np.array((4.312, 2.452, 1.757)), np.array((3.129, 3.493, 0.132))
_MIDDLE, _INDEX = np.array((4.608, 1.886, 2.479)), np.array((4.496, 2.030, 2.644))
_LITTLE = np.array((4.745, 1.764, 2.124))
_FOREARM = 1.3  # dm of the forearm that is kept


def _neighbour_mean(triangles: np.ndarray, count: int) -> sp.csr_matrix:
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    graph = sp.coo_matrix((np.ones(len(ends)), ends.T), (count, count)).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    return sp.diags(1 / np.maximum(np.asarray(graph.sum(1)).ravel(), 1)) @ graph


def _stretched(template: Template, shape: Shape, quads: np.ndarray, fine: np.ndarray) -> np.ndarray:
    """``[N, 3]`` of ``fine`` as a cloth that is drawn taut over the face.

    A mouth is a hole in the face: its cavity's own surface spans it, as the minimal sheet between
    the lips. Then cloth sinks nowhere below the skin and bridges every hollow (nose to chin).
    """
    _, corners = np.unique(quads, return_inverse=True)
    triangles = quads_to_triangles(corners.reshape(-1, 4))
    mean = _neighbour_mean(triangles, len(fine))
    face = np.isin(fine, np.unique(template.quads_of(HEAD)))
    sheet = shape.vertices[fine] + 0.004 * shape.normals[fine]
    free = np.flatnonzero(~face)
    if len(free):
        system = sp.identity(len(free)) - mean[free][:, free]
        pull = mean[free][:, np.flatnonzero(face)] @ sheet[face]
        # Parts of the cavity that do not reach the lips would make the system singular.
        system = system + 1e-9 * sp.identity(len(free))
        sheet[free] = np.stack([spsolve(system.tocsc(), column) for column in pull.T], 1)
    skin, outward = sheet.copy(), normalised(sheet - (0, 0, sheet[:, 2].min() - 0.06))
    for _ in range(_TAUT):
        moved = mean @ sheet
        above = ((moved - skin) * outward).sum(1)
        above = np.where(face, np.maximum(above, 0), above)
        sheet = skin + above[:, None] * outward
    return sheet


def mask(
    template: Template, shape: Shape, landmarks: Landmarks, identity: Identity
) -> dict[str, Part]:
    """A surgical mask from the bridge of the nose to under the chin, with its two loops."""
    rng = stream(identity.seed, "mask")
    quads = template.quads_of(HEAD, MOUTH)
    centre = template.canonical[quads].mean(1)
    cavity = template.island[np.isin(template.island, (HEAD, MOUTH))] == MOUTH
    near = (centre[:, 1] < 7.35) & (centre[:, 1] > 5.85) & (centre[:, 2] > 0.45) | cavity
    quads, cavity = quads[near], cavity[near]
    fine, corners = np.unique(quads, return_inverse=True)
    sheet = _stretched(template, shape, quads, fine)
    canonical = template.canonical[fine].copy()
    x, y, z = canonical.T
    side = np.abs(x)
    top = 7.13 - 0.30 * smoothstep(0.08, 0.75, side) + rng.uniform(-0.08, 0.05)
    bottom = 6.10 + 0.38 * smoothstep(0.10, 0.8, side)
    inside = np.minimum(np.minimum(top - y, y - bottom), z - 0.72)
    inside[np.isin(fine, np.unique(quads[cavity])) & ~np.isin(fine, np.unique(quads[~cavity]))] = 1
    triangles = quads_to_triangles(corners.reshape(-1, 4))
    values, triangles, _ = clip(np.concatenate([sheet, canonical], 1), triangles, inside)
    vertices, where = values[:, :3], values[:, 3:]
    normals = triangle_normals(vertices, triangles)
    normals = np.where(normals[:, 2:] < -0.3, -normals, normals)
    colour = np.array(_MASK_COLOURS[rng.integers(len(_MASK_COLOURS))])
    pleats = 1 - 0.16 * (np.sin(2 * np.pi * where[:, 1] / 0.17) > 0.75)
    used = np.unique(triangles)
    loops = []
    for sign in (1.0, -1.0):
        edge = used[np.argsort(-sign * where[used, 0], kind="stable")[:40]]
        ear = landmarks.at((sign * 0.76, 7.28, 0.36)) + np.array((sign * 0.003, 0, 0))
        for at in (edge[np.argmax(where[edge, 1])], edge[np.argmin(where[edge, 1])]):
            start = vertices[at]
            middle = 0.5 * (start + ear) + (sign * 0.004, 0, 0)
            loops.append(tube(np.stack([start, middle, ear]), 0.0012, sides=6))
    strings = join(loops)
    return {
        "mask": Part(
            vertices, normals, triangles, parts.MATTE, _BACKGROUND,
            colour=colour * pleats[:, None], roughness=0.9, specular=0.25,
        ),
        "mask strings": Part(
            *strings, parts.MATTE, _BACKGROUND, colour=np.minimum(colour + 0.15, 0.8),
            roughness=0.9, specular=0.2,
        ),
    }  # fmt: skip


@lru_cache(maxsize=1)
def _hand_mesh() -> tuple[np.ndarray, np.ndarray]:
    """The base mesh's left hand, subdivided: vertices ``[V, 3]`` in dm, and quads."""
    path = cache_dir("heads") / f"hand-{data.DATA_VERSION}-1.npz"
    if not path.exists():
        mesh = data.read_base_mesh()
        centre = mesh.vertices[mesh.quads].mean(1)
        along = (centre - _WRIST) @ normalised(_WRIST - _ELBOW)
        keep = (mesh.group == "body") & (along > -_FOREARM) & (centre[:, 0] > 2.6)
        keep &= np.linalg.norm(centre - _WRIST, axis=1) < 3.0
        used, corners = np.unique(mesh.quads[keep], return_inverse=True)
        matrix, quads = catmull_clark(corners.reshape(-1, 4), len(used))
        with atomic_path(path) as temporary:
            np.savez(temporary, vertices=matrix @ mesh.vertices[used], quads=quads)
    with np.load(path) as stored:
        return stored["vertices"], stored["quads"]


def hand(landmarks: Landmarks, identity: Identity) -> dict[str, Part]:
    """The subject's own left or right hand before cheek, mouth or chin, forearm downwards."""
    rng = stream(identity.seed, "hand")
    vertices, quads = _hand_mesh()
    up = normalised(_MIDDLE - _WRIST)
    thumb = _INDEX - _LITTLE
    thumb = normalised(thumb - (thumb @ up) * up)
    palm = np.cross(up, thumb)  # out of a left hand's palm
    local = (vertices - _WRIST) @ np.stack([thumb, up, palm], 1) * DECIMETRE
    side = float(rng.choice([-1.0, 1.0]))
    # In the head frame a left hand's palm looks back at the face, its thumb to the left (+x).
    lean, turn, nod = np.radians(rng.uniform((5, -15, -18), (55, 20, 10)))
    # Leant towards the middle of the face: the forearm comes from below on its own side.
    fingers = np.array((-np.sin(lean), np.cos(lean), 0.0))
    back = np.array((np.sin(turn), 0.0, -np.cos(turn)))
    fingers = normalised(fingers + np.array((0, 0, np.sin(nod))))
    back = normalised(back - (back @ fingers) * fingers)
    axes = np.stack([np.cross(back, fingers), fingers, back])
    placed = local @ axes
    middle = local[:, 1].max() * 0.45 * fingers
    target = landmarks.at((rng.uniform(0.0, 0.55), rng.uniform(6.35, 6.95), 1.5))
    placed = placed - middle + target
    # Close to the skin, yet not inside: moved along z until no point of it is behind the skin.
    cell = 0.004  # metres; the skin's depth is compared column by column
    front: dict[tuple[int, int], float] = {}
    skin = landmarks.points[landmarks.points[:, 2] > 0]
    columns = np.round(skin[:, :2] / cell).astype(int).tolist()
    for (i, j), depth in zip(columns, skin[:, 2].tolist(), strict=True):
        front[i, j] = max(front.get((i, j), -1.0), depth)
    column = np.round(placed[:, :2] / cell).astype(int)
    limit = np.array([front.get((i, j), -1.0) for i, j in column.tolist()])
    touched = (limit > -1) & (local[:, 1] > -0.02)  # the forearm may stay clear of the chest
    if touched.any():
        placed[:, 2] += 0.004 - (placed[:, 2] - limit)[touched].min()
    if side < 0:
        placed = placed * (-1, 1, 1)
        quads = quads[:, ::-1]
    colour = skin_colour(identity.skin.melanin, 1.1 * identity.skin.blood)
    mottled = 1 + 0.06 * noise(vertices, 6.0, identity.seed, "hand", 3)
    return {
        "hand": Part(
            placed, quad_normals(placed, quads), quads_to_triangles(quads), parts.MATTE,
            _BACKGROUND, colour=np.clip(colour * mottled[:, None], 0.005, 0.9),
            roughness=identity.skin.roughness, specular=0.85,
        )
    }  # fmt: skip


def scarf(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    """Two soft rings of cloth about the neck."""
    rng = stream(identity.seed, "scarf")
    body = np.unique(template.quads_of(BODY))
    points, canonical = shape.vertices[body], template.canonical[body]
    ring = (canonical[:, 1] > 5.75) & (canonical[:, 1] < 6.1) & (np.abs(canonical[:, 0]) < 0.9)
    neck = points[ring]
    centre = np.array([0, neck[:, 1].mean(), (neck[:, 2].min() + neck[:, 2].max()) / 2])
    where = np.arctan2(neck[:, 0], neck[:, 2] - centre[2])
    far = np.hypot(neck[:, 0], neck[:, 2] - centre[2])
    angle = 2 * np.pi * np.arange(72) / 72
    turned = np.abs((where[None] - angle[:, None] + np.pi) % (2 * np.pi) - np.pi) < 0.35
    radius = np.array([np.quantile(far[near], 0.8) if near.any() else 0.07 for near in turned])
    smooth = np.concatenate([radius[-4:], radius, radius[:4]])
    radius = np.convolve(smooth, np.ones(9) / 9, "valid")
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.1, 0.75)
    colour = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2 + 0.004
    meshes = []
    for level, thick, tilt in ((-0.010, 0.021, 0.10), (0.014, 0.018, -0.05)):
        out = radius + 0.75 * thick
        tilt = tilt + rng.uniform(-0.05, 0.05)
        line = np.stack([
            out * np.sin(angle), level - tilt * out * np.cos(angle), out * np.cos(angle)
        ], 1) + centre  # fmt: skip
        meshes.append(tube(line, thick * rng.uniform(0.9, 1.1), closed=True, sides=20))
    vertices, normals, triangles = join(meshes)
    folds = noise(vertices * (18, 55, 18), 1.0, identity.seed, "scarf folds", 3)
    vertices = vertices + (0.0042 * folds)[:, None] * normals
    normals = triangle_normals(vertices, triangles)
    inwards = (normals * (vertices - centre) * (1, 0, 1)).sum(1, keepdims=True) < -0.02
    normals = np.where(inwards, -normals, normals)
    shade = 1 + 0.14 * np.clip(folds, -2, 2)
    shade *= 1 + 0.10 * noise(vertices * 300.0, 1.0, identity.seed, "scarf knit")
    return {
        "scarf": Part(
            vertices, normals, triangles, parts.MATTE, CELEBAMASK.index("cloth"),
            colour=np.clip(colour * shade[:, None], 0.003, 0.9), roughness=0.9, specular=0.25,
        )
    }  # fmt: skip
