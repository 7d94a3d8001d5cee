"""Glasses, earrings and necklaces: tubes, lenses and beads that are fitted to the identity's shape.

All are placed by canonical landmarks (see regions.py) carried to the identity's skin.
"""

from __future__ import annotations

import colorsys

import numpy as np
from scipy.spatial import cKDTree

from labelsplat.capture.heads import parts
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.eyes import sphere
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.shape import Shape
from labelsplat.capture.heads.subdivide import normalised, quads_to_triangles
from labelsplat.capture.heads.template import BODY, HEAD, Template
from labelsplat.labels import CELEBAMASK

_GOLD, _SILVER, _PEARL = (0.62, 0.42, 0.14), (0.55, 0.55, 0.56), (0.70, 0.66, 0.60)

Mesh = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Vertices ``[N, 3]``, normals ``[N, 3]``, triangles ``[T, 3]``."""


def tube(line: np.ndarray, radius: float, closed: bool = False, sides: int = 8) -> Mesh:
    """A round tube along a polyline ``[M, 3]``; open ends are left open."""
    before, after = np.roll(line, 1, 0), np.roll(line, -1, 0)
    if not closed:
        before[0], after[-1] = line[0], line[-1]
    along = normalised(after - before)
    # One reference keeps the sides from twisting; another where it would be parallel.
    reference = np.where(np.abs(along[:, 2:]) > 0.9, (0.0, 1.0, 0.0), (0.03, 0.02, 1.0))
    across = normalised(np.cross(along, reference))
    other = np.cross(along, across)
    angle = 2 * np.pi * np.arange(sides) / sides
    normals = np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * other[:, None]
    count = len(line)
    ring = np.arange(count if closed else count - 1)[:, None]
    side = np.arange(sides)
    first, second = ring * sides, (ring + 1) % count * sides
    quads = np.stack(
        [first + side, first + (side + 1) % sides, second + (side + 1) % sides, second + side], -1
    ).reshape(-1, 4)
    vertices = line[:, None] + radius * normals
    return vertices.reshape(-1, 3), normals.reshape(-1, 3), quads_to_triangles(quads)


def join(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in meshes[:-1]])
    vertices, normals, triangles = zip(*meshes, strict=True)
    moved = [t + start for t, start in zip(triangles, starts, strict=True)]
    return np.concatenate(vertices), np.concatenate(normals), np.concatenate(moved)


def ball(centre: np.ndarray, radius: float, columns: int = 12, rows: int = 8) -> Mesh:
    """A small sphere."""
    vertices, normals, _, quads = sphere(centre, radius, np.array((0, 0, 1.0)), columns, rows)
    return vertices, normals, quads_to_triangles(quads)


class Landmarks:
    """Finds points of an identity's skin by their canonical positions."""

    def __init__(self, template: Template, shape: Shape):
        self.index = np.unique(template.quads_of(HEAD, BODY))
        self.canonical = template.canonical[self.index]
        self.points, self.normals = shape.vertices[self.index], shape.normals[self.index]
        self._tree = cKDTree(self.canonical)

    def at(self, canonical: np.ndarray | tuple[float, float, float]) -> np.ndarray:
        """``[3]`` the skin at a canonical position, dm."""
        distance, near = self._tree.query(canonical, k=4)
        weight = 1 / (distance + 1e-3)
        return (self.points[near] * weight[:, None]).sum(0) / weight.sum()


def _metal(rng: np.random.Generator) -> np.ndarray:
    return np.array(_GOLD if rng.random() < 0.5 else _SILVER) * rng.uniform(0.8, 1.1)


def _frame_colour(rng: np.random.Generator) -> np.ndarray:
    hue, saturation, value = rng.random(), rng.uniform(0, 0.6), rng.uniform(0.02, 0.35)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2 + 0.003


def glasses(shape: Shape, landmarks: Landmarks, identity: Identity) -> dict[str, Part]:
    """Spectacles of tubes; sunglasses have dark, mirroring lenses.

    Clear lenses are not drawn: one sees, and labels, what lies behind them.
    """
    rng = stream(identity.seed, "glasses")
    sun = identity.nuisances.glasses == "sun"
    eyes = shape.eyes
    bridge = landmarks.at((0, 7.26, 1.6))
    front = max(bridge[2] + 0.003, eyes[:, 2].mean() + shape.eye_radius + 0.010)
    half = 0.0255 * rng.uniform(0.92, 1.12)
    height = half * rng.uniform(0.70, 0.95)
    power, thick = rng.uniform(2.1, 3.6), rng.uniform(0.0009, 0.0022)
    centre_x = max(np.abs(eyes[:, 0]).mean() + 0.001, half + 0.0085)
    angle = 2 * np.pi * np.arange(40) / 40
    radius = (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
    x, y = radius * np.cos(angle) * half, radius * np.sin(angle) * height
    pieces, lenses = [], []
    for side, eye in zip((1.0, -1.0), eyes, strict=True):
        centre = np.array([side * centre_x, eye[1] - 0.002, front])
        # The fronts of spectacles are bowed about the face.
        bow = -7.0 * np.maximum(0, side * x + 0.25 * half) ** 2
        ring = centre + np.stack([x, y, bow], 1)
        pieces.append(tube(ring, thick, closed=True))
        fan = np.stack([np.zeros(40, int), 1 + np.arange(40), 1 + (np.arange(40) + 1) % 40], 1)
        lens = np.concatenate([centre[None], ring])
        lenses.append((lens, np.tile((0.12 * side, 0, 1.0), (41, 1)), fan))
        ear = landmarks.at((side * 0.78, 7.40, 0.46))
        hinge = centre + np.array((side * half, 0.45 * height, bow.min()))
        over = np.array([side * max(abs(ear[0]) + 0.004, abs(hinge[0])), ear[1] + 0.004, ear[2]])
        half_way = 0.5 * (hinge + over) + (side * 0.002, 0, 0)
        down = over + np.array((-0.002 * side, -0.020, -0.022))
        pieces.append(tube(np.stack([hinge, half_way, over, down]), thick))
    reach = centre_x - half
    t = np.linspace(-1, 1, 7)
    arch = np.stack([
        reach * t, np.full(7, eyes[:, 1].mean() + 0.003) + 0.003 * np.cos(1.5 * t),
        np.full(7, front + 0.001),
    ], 1)  # fmt: skip
    pieces.append(tube(arch, thick))
    label = CELEBAMASK.index("eye_g")
    vertices, normals, triangles = join(pieces)
    out = {
        "glasses": Part(
            vertices, normals, triangles, parts.MATTE, label, colour=_frame_colour(rng),
            roughness=0.25, specular=1.2,
        )
    }  # fmt: skip
    if sun:
        vertices, normals, triangles = join(lenses)
        tint = rng.uniform((0.006, 0.005, 0.004), (0.03, 0.02, 0.02))
        out["lenses"] = Part(
            vertices, normalised(normals), triangles, parts.MATTE, label, colour=tint,
            roughness=0.08, specular=1.6,
        )  # fmt: skip
    return out


def earrings(landmarks: Landmarks, identity: Identity) -> dict[str, Part]:
    """Studs, drops or hoops at both lobes."""
    rng = stream(identity.seed, "earrings")
    kind, size = identity.nuisances.earrings, rng.uniform(0.8, 1.3)
    colour = np.array(_PEARL) if kind == "stud" and rng.random() < 0.5 else _metal(rng)
    pieces = []
    for side in (1.0, -1.0):
        lobe = landmarks.at((side * 0.79, 6.90, 0.50)) + np.array((side * 0.003, -0.002, 0.001))
        if kind == "stud":
            pieces.append(ball(lobe, 0.0042 * size))
        elif kind == "drop":
            pieces.append(ball(lobe, 0.0028 * size))
            low = lobe - (0, 0.016 * size, 0)
            pieces.append(tube(np.stack([lobe, 0.5 * (lobe + low), low]), 0.0009, sides=6))
            pieces.append(ball(low - (0, 0.004 * size, 0), 0.0050 * size))
        else:
            angle = 2 * np.pi * np.arange(28) / 28
            radius = 0.013 * size
            ring = np.stack([0 * angle, np.cos(angle), np.sin(angle)], 1)
            pieces.append(tube(lobe - (0, radius, 0) + radius * ring, 0.0013, closed=True))
    vertices, normals, triangles = join(pieces)
    return {
        "earrings": Part(
            vertices, normals, triangles, parts.MATTE, CELEBAMASK.index("ear_r"), colour=colour,
            roughness=0.18, specular=3.0,
        )
    }  # fmt: skip


def necklace(landmarks: Landmarks, identity: Identity) -> dict[str, Part]:
    """A chain with a pendant, or pearls, lying on neck and collarbones."""
    rng = stream(identity.seed, "necklace")
    angle = 2 * np.pi * np.arange(64) / 64  # 0 is the front
    drop = np.clip(0.5 + 0.5 * np.cos(angle), 0, 1) ** 1.6
    height = 5.98 - rng.uniform(0.10, 0.22) * drop - 0.06 * (1 - drop)
    # On the axis of the neck one looks outwards: the skin that is met there carries the chain.
    where = np.arctan2(landmarks.canonical[:, 0], landmarks.canonical[:, 2] - 0.15)
    low = (landmarks.canonical[:, 1] < 6.3) & (landmarks.canonical[:, 1] > 5.3)
    around = np.stack([np.cos(where), np.sin(where), landmarks.canonical[:, 1]], 1)[low]
    tree = cKDTree(around)
    distance, near = tree.query(np.stack([np.cos(angle), np.sin(angle), height], 1), k=4)
    weight = 1 / (distance + 1e-3)
    weight = (weight / weight.sum(1, keepdims=True))[..., None]
    line = (landmarks.points[low][near] * weight).sum(1)
    outward = normalised((landmarks.normals[low][near] * weight).sum(1))
    kernel = np.array((1, 2, 3, 2, 1)) / 9
    padded = np.concatenate([line[-2:], line, line[:2]])
    line = np.stack([np.convolve(column, kernel, "valid") for column in padded.T], 1)
    if identity.nuisances.necklace == "pearls":
        radius, colour = rng.uniform(0.0032, 0.0050), np.array(_PEARL)
        line = line + radius * outward
        closed = np.concatenate([line, line[:1]])
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
        places = np.arange(0, length[-1] - radius, 2.1 * radius)
        beads = np.stack([np.interp(places, length, column) for column in closed.T], 1)
        mesh = join([ball(bead, radius, 10, 6) for bead in beads])
    else:
        colour, line = _metal(rng), line + 0.0016 * outward
        pendant = line[0] + 0.003 * outward[0] - (0, 0.007, 0)
        mesh = join([tube(line, 0.0015, closed=True, sides=6), ball(pendant, 0.0060)])
    vertices, normals, triangles = mesh
    return {
        "necklace": Part(
            vertices, normals, triangles, parts.MATTE, CELEBAMASK.index("neck_l"), colour=colour,
            roughness=0.2, specular=2.5,
        )
    }  # fmt: skip
