"""Hats: shells over the skull with a rim, and the hair that they press down."""

from __future__ import annotations

import colorsys

import numpy as np
from scipy.spatial import cKDTree

from labelsplat.capture.heads import parts
from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.accessories import Mesh
from labelsplat.capture.heads.clothes import clip
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.parts import Part
from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.shape import Shape
from labelsplat.capture.heads.subdivide import quads_to_triangles, triangle_normals
from labelsplat.capture.heads.template import HEAD, Template
from labelsplat.labels import CELEBAMASK

_PRESSED = 0.005  # metres that hair stands off the skin under a hat
_CUFF = 0.34  # dm: height of a beanie's turned-up rim
_RIM = 0.010  # metres that the edge turns in
_VISOR = 0.068  # metres that a cap's visor reaches forward


def above_rim(canonical: np.ndarray, hat: str) -> np.ndarray:
    """Canonical height ``[N]`` above a hat's rim, dm; positive is covered."""
    y, z = canonical[:, 1], canonical[:, 2]
    if hat == "beanie":
        return y - (7.80 - 0.25 * (1.35 - z))
    return y - (7.86 - 0.13 * (1.35 - z))


def press_hair(
    strands: np.ndarray, template: Template, shape: Shape, identity: Identity
) -> np.ndarray:
    """Hair under the hat lies flat on the skull and comes out from under the rim.

    Args:
        strands: ``[N, K, 3]`` metres, roots first.

    Returns:
        The strands that can still be seen, ``[M, K, 3]``.
    """
    skin = np.unique(template.quads_of(HEAD))
    points, normals = shape.vertices[skin], shape.normals[skin]
    covered = above_rim(template.canonical[skin], identity.nuisances.hat)
    count, along, _ = strands.shape
    flat = strands.reshape(-1, 3)
    _, near = cKDTree(points).query(flat)
    height = ((flat - points[near]) * normals[near]).sum(1)
    # Below the rim hair may stand off again, the more the farther it has come out.
    allowed = _PRESSED + np.maximum(0, -covered[near]) * 0.045
    lower = np.minimum(height, allowed) - height
    pressed = flat + (lower * (covered[near] > -1.2))[:, None] * normals[near]
    visible = (covered[near] < 0.15).reshape(count, along).any(1)
    return pressed.reshape(count, along, 3)[visible]


def _shell(
    template: Template, shape: Shape, hat: str, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The skull above the rim, moved outwards by ``offset [V]`` metres, its edge turned in.

    Returns:
        vertices, normals, triangles, canonical positions, and the rim's edges ``[E, 2]``.
    """
    quads = template.quads_of(HEAD)
    ear = template.ear_side > 0
    fine, corners = np.unique(quads[~ear], return_inverse=True)
    canonical = template.canonical[fine]
    outer = shape.vertices[fine] + shape.normals[fine] * offset[fine][:, None]
    values, triangles, rim = clip(
        np.concatenate([outer, shape.normals[fine], canonical], 1),
        quads_to_triangles(corners.reshape(-1, 4)),
        above_rim(canonical, hat),
    )
    vertices, smooth, where = values[:, :3], values[:, 3:6], values[:, 6:]
    edge, ends = np.unique(rim, return_inverse=True)
    near, far = (ends.reshape(-1, 2) + len(vertices)).T
    turned = vertices[edge] - (_RIM + 0.004) * smooth[edge]
    triangles = np.concatenate([
        triangles,
        np.stack([near, far, far + len(edge)], 1),
        np.stack([near, far + len(edge), near + len(edge)], 1),
    ])  # fmt: skip
    creased = triangle_normals(vertices, triangles[(triangles < len(vertices)).all(1)])
    usable = (creased * smooth).sum(1, keepdims=True) > 0.2
    normals = np.where(usable, creased, smooth)
    return (
        np.concatenate([vertices, vertices[edge], turned]),
        np.concatenate([normals, smooth[edge], smooth[edge]]),
        triangles,
        np.concatenate([where, where[edge], where[edge]]),
        rim,
    )


def _visor(vertices: np.ndarray, rim: np.ndarray) -> Mesh:
    """A curved sheet with a thickness, from the front of a cap's rim."""
    edge = vertices[np.unique(rim)]
    azimuth = np.arctan2(edge[:, 0], edge[:, 2] - 0.01)
    order = np.argsort(azimuth, kind="stable")
    at = np.linspace(-1.05, 1.05, 41)
    line = np.stack([np.interp(at, azimuth[order], edge[order, k]) for k in range(3)], 1)
    kernel = np.ones(5) / 5
    padded = np.concatenate([line[:1].repeat(2, 0), line, line[-1:].repeat(2, 0)])
    line = np.stack([np.convolve(column, kernel, "valid") for column in padded.T], 1)
    reach = _VISOR * np.clip(np.cos(at / 1.05 * np.pi / 2), 0, 1) ** 0.55
    steps = np.linspace(0, 1, 7)
    out = np.stack([0.25 * np.sin(at), -0.26 - 0.10 * (at / 1.05) ** 2, np.ones_like(at)], 1)
    # It is arched: the sides hang lower than the middle, the more the farther out.
    sheet = line[:, None] + (reach[:, None] * steps)[..., None] * out[:, None]
    sheet[..., 1] -= 0.010 * (at[:, None] / 1.05) ** 2 * steps
    sheet[:, 0] -= 0.004 * np.stack([np.sin(at), 0 * at, np.cos(at)], 1)  # no gap to the crown
    lower = sheet - (0, 0.0022, 0)
    rows, columns = len(at), len(steps)
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([first, first + 1, first + columns + 1, first + columns], 1)
    front = np.arange(rows) * columns + columns - 1
    brim = np.stack([front[:-1], front[1:], front[1:] + rows * columns,
                     front[:-1] + rows * columns], 1)  # fmt: skip
    points = np.concatenate([sheet.reshape(-1, 3), lower.reshape(-1, 3)])
    up = triangle_normals(sheet.reshape(-1, 3), quads_to_triangles(quads))
    up = np.where(up[:, 1:2] < 0, -up, up)
    triangles = np.concatenate([
        quads_to_triangles(quads), quads_to_triangles(quads + rows * columns),
        quads_to_triangles(brim),
    ])  # fmt: skip
    return points, np.concatenate([up, -up]), triangles


def hat(template: Template, shape: Shape, identity: Identity) -> dict[str, Part]:
    """The identity's beanie or cap, labelled ``hat``; nothing if none is worn."""
    kind, seed = identity.nuisances.hat, identity.seed
    if kind == "none":
        return {}
    rng = stream(seed, "hat")
    hue, saturation, value = rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.08, 0.8)
    colour = np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2 + 0.004
    canonical = template.canonical
    height = above_rim(canonical, kind)
    loose = rng.uniform(0.6, 1.4)
    folds = 0.0022 * noise(canonical, 2.4, seed, "hat folds", 2)
    if kind == "beanie":
        cuff = smoothstep(_CUFF, _CUFF - 0.05, height)
        top = loose * 0.014 * smoothstep(0.45, 1.0, height)
        offset = 0.0105 + folds + top + 0.0045 * cuff
    else:
        offset = 0.0110 + 0.35 * folds + loose * 0.008 * smoothstep(0.05, 0.5, height)
    vertices, normals, triangles, where, rim = _shell(template, shape, kind, offset)
    shade = 1 + 0.05 * noise(where, 26.0, seed, "hat weave")
    azimuth = np.arctan2(where[:, 0], where[:, 2] - 0.3)
    if kind == "beanie":
        above = above_rim(where, kind)
        shade *= 1 + 0.16 * np.sin(36 * azimuth)
        shade *= 1 - 0.35 * np.exp(-(((above - _CUFF) / 0.03) ** 2))  # shadow under the cuff
    else:
        seam = np.abs((np.degrees(azimuth) + 30) % 60 - 30)
        shade *= 1 - 0.25 * np.exp(-((seam / 2.5) ** 2))  # six panels
    label = CELEBAMASK.index("hat")
    out = {
        "hat": Part(
            vertices, normals, triangles, parts.MATTE, label,
            colour=np.clip(colour * shade[:, None], 0.003, 0.9), roughness=0.9, specular=0.3,
        )
    }  # fmt: skip
    if kind == "cap":
        points, up, faces = _visor(vertices, rim)
        dark = colour * rng.choice([0.55, 0.9, 1.0])
        out["visor"] = Part(
            points, up, faces, parts.MATTE, label, colour=dark, roughness=0.8, specular=0.4,
        )  # fmt: skip
    return out
