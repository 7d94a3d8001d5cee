"""Where hair grows on skin: brows, beard and scalp as densities over canonical positions."""

from __future__ import annotations

import numpy as np

from labelsplat.capture.heads import regions
from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads.identity import Identity
from labelsplat.capture.heads.regions import smoothstep

SHAVED = ("bald",)
"""Styles whose scalp shows no hair at all."""


def brows(points: np.ndarray, identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Brows as ``(area, strokes)``, both ``[N]`` in 0..1.

    ``area`` is the smooth shape that the label follows (> 0.5); ``strokes`` is the paint: hairs
    that start upright at the nose and lean outwards towards the temple, with gaps and stragglers.
    """
    seed, b = identity.seed, identity.brows
    x, y, z = np.moveaxis(points, -1, 0)
    area, strokes = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    near = (z > 0.9) & (np.abs(x) > 0.02) & (np.abs(x) < 0.66) & (np.abs(y - 7.5) < 0.25)
    if not near.any():
        return area, strokes
    x, y, side = x[near], y[near], np.abs(x[near])
    along = (side - 0.085) / (0.44 * b.length)
    bow = np.sin(np.clip(along, 0, 1.05) * np.pi * 0.60)
    middle = 7.488 + b.lift + 0.066 * b.arch * bow - 0.060 * np.clip(along, 0, 1) ** 2
    half = (
        0.040
        * b.thickness
        * np.interp(along, (-0.05, 0.05, 0.35, 0.7, 1.0), (0.75, 1.0, 1.05, 0.8, 0.25))
    )
    across = (y - middle) / half
    flat = np.stack([x, y, np.zeros_like(x)], -1)
    ragged = 0.12 * noise(flat, 9.0, seed, "brow edge")
    ends = smoothstep(-0.06, 0.03, along) * smoothstep(1.06, 0.95, along)
    soft = smoothstep(1.15, 0.72, np.abs(across) + ragged) * ends
    area[near] = soft

    # Two sheets of fine strokes whose lean wanders, so that no comb pattern shows.
    lean = 0.75 * (1.1 - along) + 0.10 * noise(flat, 7.0, seed, "brow lean", 2)
    fan = side - (y - middle) * lean + 0.006 * noise(flat, 14.0, seed, "brow wander", 2)
    hairs = np.zeros_like(side)
    for sheet, frequency in (("lower", 85.0), ("upper", 130.0)):
        sheet_at = np.stack([fan * frequency, (y + 0.4 * side) * 16, np.sign(x)], -1)
        hairs += noise(sheet_at, 1.0, seed, f"brow {sheet}", 2)
    patchy = 1 + 0.10 * noise(flat, 18.0, seed, "brow patches", 2)
    feather = smoothstep(1.45, 0.6, np.abs(across) + 2.0 * ragged + 0.12 * hairs) * ends
    density = feather * np.clip(0.74 + 0.17 * hairs, 0.1, 1.0) * patchy * b.density
    strokes[near] = np.clip(density, 0, 0.95)
    return area, strokes


def beard(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Density ``[N]`` in 0..1 of the beard area: jaw, chin, moustache; 0 for a shaved face."""
    x, y, z = np.moveaxis(points, -1, 0)
    if identity.skin.beard == 0:
        return np.zeros(len(points), np.float32)
    side = np.abs(x)
    jaw = smoothstep(6.95, 6.72, y - 0.3 * smoothstep(0.45, 0.75, side))
    jaw *= smoothstep(5.95, 6.1, y) * smoothstep(0.38, 0.52, z)
    cheek = smoothstep(7.02, 6.85, y - 0.45 * np.maximum(0, side - 0.35))
    moustache = np.exp(-(((y - 6.745) / 0.055) ** 2)) * (side < 0.30) * (z > 1.15)
    under_lip = np.exp(-((x / 0.1) ** 2) - ((y - 6.5) / 0.03) ** 2)
    return np.clip(np.maximum(jaw * cheek, moustache), 0, 1) * (1 - 0.8 * under_lip)


def scalp(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Density ``[N]`` in 0..1 of hair roots; the hair label of bare scalp is where it is > 0.5."""
    if identity.hair.style in SHAVED:
        return np.zeros(len(points), np.float32)
    height = scalp_edge(points, identity)
    density = smoothstep(-0.03, 0.07, height)
    if identity.hair.style == "fringe":
        density = density * smoothstep(7.95, 7.75, points[..., 1])
    return density


def scalp_edge(points: np.ndarray, identity: Identity) -> np.ndarray:
    """Signed canonical height ``[N]`` above this identity's own, uneven hairline, dm."""
    uneven = 0.025 * noise(points, 9.0, identity.seed, "hairline", 2)
    return regions.above_hairline(points, identity.hair.recession) + uneven
