"""Where hair grows on skin: brows, beard and scalp as densities over canonical positions."""

from __future__ import annotations

import numpy as np

from labelsplat.capture.heads import regions
from labelsplat.capture.heads._noise import noise, noise_where
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.regions import smoothstep

SHAVED = ("bald",)
"""Styles whose scalp shows no hair at all."""


def brow_frame(points: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where on a brow canonical points are, each ``[N]`` float32.

    Returns:
        How likely a hair is rooted there (0..1); the place along the brow, 0 at the nose and 1 at
        the temple; the place across it, -1 at the lower and 1 at the upper edge.
    """
    seed, b = identity.seed, identity.brows
    x, y, z = np.moveaxis(points, -1, 0)
    roots, along, across = (np.zeros(len(points), np.float32) for _ in range(3))
    near = (z > 0.9) & (np.abs(x) > 0.02) & (np.abs(x) < 0.66) & (np.abs(y - 7.5) < 0.25)
    x, y, side = x[near], y[near], np.abs(x[near])
    u = (side - 0.085) / (0.44 * b.length)
    bow = np.sin(np.clip(u, 0, 1.05) * np.pi * 0.60)
    middle = 7.488 + b.lift + 0.066 * b.arch * bow - 0.060 * np.clip(u, 0, 1) ** 2
    half = np.interp(u, (-0.05, 0.05, 0.35, 0.7, 1.0), (0.75, 1.0, 1.05, 0.8, 0.25))
    v = (y - middle) / (0.040 * b.thickness * half)
    flat = np.stack([x, y, np.zeros_like(x)], -1)
    ragged = 0.16 * noise(flat, 11.0, seed, "brow edge", 2)
    ends = smoothstep(-0.08, 0.06, u) * smoothstep(1.08, 0.90, u)
    patchy = np.clip(1 + 0.22 * noise(flat, 15.0, seed, "brow patches", 2), 0.3, 1.5)
    roots[near] = smoothstep(1.25, 0.55, np.abs(v) + ragged) * ends * patchy
    along[near], across[near] = u, v
    return roots, along, across


def brows(points: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Brows as ``(area, shade)``, both ``[N]`` in 0..1.

    ``area`` is the smooth shape that the label follows (> 0.5); ``shade`` is how much the skin
    below the hairs (see strands.grow_brows) is darkened by their roots and shadows.
    """
    roots, along, across = brow_frame(points, identity)
    seed = identity.seed
    area = np.zeros(len(points), np.float32)
    near = (along != 0) & (np.abs(across) < 3)
    x, y = points[near, 0], points[near, 1]
    u, v = along[near], across[near]
    ragged = 0.12 * noise(np.stack([x, y, np.zeros_like(x)], -1), 9.0, seed, "brow outline")
    ends = smoothstep(-0.06, 0.03, u) * smoothstep(1.06, 0.95, u)
    area[near] = smoothstep(1.15, 0.72, np.abs(v) + ragged) * ends
    speckle = 0.8 + 0.2 * np.clip(noise(points[near], 130.0, seed, "brow roots"), -1, 1)
    shade = np.zeros(len(points), np.float32)
    shade[near] = np.clip(0.52 * roots[near] * speckle * identity.brows.density, 0, 0.9)
    return area, shade


def beard(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Density ``[N]`` in 0..1 of the beard area: jaw, chin, moustache; 0 for a shaved face."""
    x, y, z = np.moveaxis(points, -1, 0)
    if identity.skin.beard == 0:
        return np.zeros(len(points), np.float32)
    side = np.abs(x)
    near = (y < 7.4) & (z > 0.3)
    height = y + 0.05 * noise_where(near, points, 3.5, identity.seed, "beard edge", 3)
    jaw = smoothstep(6.98, 6.68, height - 0.3 * smoothstep(0.45, 0.75, side))
    jaw *= smoothstep(5.92, 6.14, height) * smoothstep(0.36, 0.56, z)
    jaw *= smoothstep(7.04, 6.80, height - 0.45 * np.maximum(0, side - 0.35))
    moustache = np.exp(-(((y - 6.745) / 0.055) ** 2)) * smoothstep(0.34, 0.26, side) * (z > 1.15)
    moustache *= 1 - 0.55 * np.exp(-((x / 0.025) ** 2))
    under_lip = np.exp(-((x / 0.1) ** 2) - ((y - 6.5) / 0.03) ** 2)
    shape = identity.skin.beard_shape
    if shape == "goatee":
        jaw = jaw * smoothstep(0.36, 0.24, side)
    elif shape == "moustache":
        jaw = 0.12 * jaw
    return np.clip(np.maximum(jaw, moustache), 0, 1) * (1 - 0.8 * under_lip)


def scalp(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Density ``[N]`` in 0..1 of hair roots; the hair label of bare scalp is where it is > 0.5."""
    if identity.hair.style in SHAVED:
        return np.zeros(len(points), np.float32)
    height = scalp_edge(points, identity)
    density = smoothstep(-0.03, 0.07, height)
    if identity.hair.style == "fringe":
        density = density * smoothstep(7.98, 7.66, bald_edge(points, identity))
    return density


def bald_edge(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Canonical heights ``[N]`` by which a bald crown is told from the fringe below, dm."""
    uneven = 0.09 * noise(points, 2.6, identity.seed, "bald crown", 3)
    return points[..., 1] + uneven


def scalp_edge(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Signed canonical height ``[N]`` above this identity's own, uneven hairline, dm."""
    height = regions.above_hairline(points, identity.hair.recession)
    near = np.abs(height) < 0.5  # farther away unevenness changes nothing
    return height + 0.025 * noise_where(near, points, 9.0, identity.seed, "hairline", 2)
