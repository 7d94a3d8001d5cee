"""Where on a head things are: boundaries as curves on the CANONICAL head.

The canonical head is the base mesh before any change of shape, in decimetres: +x the subject's
left, +y up (eyes at about 7.29, chin 6.3, crown 8.48), +z to the front (nose tip 1.68). A point of
any identity's skin keeps its canonical position, so colours and labels painted as functions of it
have no texture seams. The numbers are read off that mesh.
"""

from __future__ import annotations

import numpy as np

EYE_LINE = 7.285
"""Canonical height that parts upper from lower eyelid."""

LIP_SPLIT_U = 0.9095
"""Texture coordinate u that parts upper from lower lip."""

_JAW_Z = (-2.0, 0.30, 0.42, 0.50, 0.60, 0.80, 1.0, 1.2, 1.35, 1.6)
_JAW_Y = (7.6, 7.2, 6.92, 6.70, 6.52, 6.35, 6.21, 6.12, 6.11, 6.10)

_NOSE_Y = (6.77, 6.80, 6.83, 6.88, 6.95, 7.02, 7.10, 7.25, 7.36, 7.43)
_NOSE_X = (0.02, 0.10, 0.165, 0.20, 0.20, 0.165, 0.12, 0.085, 0.07, 0.0)

_HAIR_AZIMUTH = (0, 12, 25, 38, 50, 58, 66, 74, 84, 100, 118, 135, 155, 180)
_HAIR_Y = (8.10, 8.11, 8.10, 8.02, 7.86, 7.62, 7.36, 7.22, 7.40, 7.42, 6.98, 6.80, 6.70, 6.68)


def smoothstep(start: float, end: float, x: np.ndarray) -> np.ndarray:
    """0 up to ``start``, 1 from ``end`` on, a smooth cubic between (``end`` may be the smaller)."""
    t = np.clip((x - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def jaw_height(z: np.ndarray) -> np.ndarray:
    """Height of the boundary between face (above) and neck (below), by depth z."""
    return np.interp(z, _JAW_Z, _JAW_Y)


def inside_nose(points: np.ndarray) -> np.ndarray:
    """``[..., 3] -> [...]`` bool: inside the nose's outline as seen from the front."""
    x, y, z = np.moveaxis(points, -1, 0)
    inside = (np.abs(x) < np.interp(y, _NOSE_Y, _NOSE_X)) & (z > 1.15)
    return inside & (y > 6.76) & (y < 7.43)


def above_hairline(points: np.ndarray, recession: float = 0.0) -> np.ndarray:
    """Signed distance in height from the hairline, ``[..., 3] -> [...]``; positive is scalp.

    The hairline is a height over the azimuth about the vertical axis through (z = 0.35);
    ``recession`` (0..1) draws it back at the temples.
    """
    x, y, z = np.moveaxis(points, -1, 0)
    azimuth = np.degrees(np.arctan2(np.abs(x), z - 0.35))
    line = np.interp(azimuth, _HAIR_AZIMUTH, _HAIR_Y)
    temples = np.interp(azimuth, (0, 15, 28, 45, 60, 180), (0.12, 0.2, 0.32, 0.1, 0, 0))
    return y - line - recession * temples
