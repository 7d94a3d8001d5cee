"""The hair styles: how many strands, how long, and which way they are combed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labelsplat.capture.heads.regions import smoothstep
from labelsplat.capture.heads.subdivide import normalised

Comb = Callable[[np.ndarray, float], np.ndarray]
"""``(canonical points [N, 3], parting) -> directions [N, 3]`` before they are laid on the skin."""


@dataclass(frozen=True)
class Style:
    """One style. Lengths in metres, weights relative to the strand's own direction (1).

    Attributes:
        strands: number of strands.
        points: points along a strand.
        length: of a strand, before the identity's own factor.
        lift: how far roots stand off the skin.
        gravity: pull downwards.
        hug: pull towards the skin of strands that stand off.
        clump: how much strands gather in locks towards their tips.
        frizz: random displacement at the tips.
        radius: half width of a ribbon.
        comb: direction that hair is combed in, or None.
        curl: radius of the curls.
        keep_combing: combed along the whole strand, not only near the root.
        shorten: canonical heights and length factors there, for hair shorter at the neck.
    """

    strands: int
    points: int
    length: float
    lift: float
    gravity: float
    hug: float
    clump: float
    frizz: float
    radius: float = 0.00042
    comb: Comb | None = None
    curl: float = 0.0
    keep_combing: bool = False
    shorten: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def _rows(x, y, z) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y, z), -1).astype(float)


_WHORL = np.array((0.06, 8.42, -0.10))  # the crown, canonical dm


def _comb_from_whorl(points: np.ndarray, parting: float) -> np.ndarray:
    low = smoothstep(7.9, 7.5, points[:, 1])[:, None]
    return normalised(points - _WHORL) * (1 - low) + np.array((0, -1.0, -0.35)) * low


def _comb_aside(points: np.ndarray, parting: float) -> np.ndarray:
    x, y, z = points.T
    low = smoothstep(7.9, 7.5, y)[:, None]
    top = _rows(0.9 * np.sign(x - parting), -0.35, 0.25 * np.clip((z - 0.2) / 0.3, -0.4, 1))
    return top * (1 - low) + np.array((0, -1.0, -0.35)) * low


def _comb_towards(height: float) -> Comb:
    """Combed back to a point behind the head at this canonical height."""

    def comb(points: np.ndarray, parting: float) -> np.ndarray:
        return (np.array((0, height, -0.75)) - points) * (0.9, 1, 1)

    return comb


def _comb_down(points: np.ndarray, parting: float) -> np.ndarray:
    x, _, z = points.T
    outwards = np.tanh((x - parting) / 0.12)
    back = smoothstep(0.5, -0.1, z)
    return _rows(outwards * (1 - 0.6 * back), -0.55, -0.45 * smoothstep(0.3, 0.9, z) - 0.5 * back)


def _comb_fringe(points: np.ndarray, parting: float) -> np.ndarray:
    return np.tile((0, -1.0, -0.6), (len(points), 1))


BUN_HEIGHT, SLICK_HEIGHT = 8.0, 7.2  # dm

STYLES: dict[str, Style] = {
    "buzz": Style(16000, 2, 0.006, 1.0, 0.0, 0.0, 0.2, 0.0006, radius=0.00030),
    "short": Style(
        12000, 6, 0.045, 0.5, 0.12, 0.45, 0.55, 0.0018, comb=_comb_from_whorl,
        shorten=((6.7, 7.1, 7.5, 8.0), (0.16, 0.24, 0.5, 1.0)),
    ),
    "sidepart": Style(
        12000, 7, 0.075, 0.4, 0.25, 0.55, 0.5, 0.002, comb=_comb_aside,
        shorten=((6.7, 7.1, 7.4, 8.0), (0.12, 0.18, 0.32, 1.0)),
    ),
    "curly": Style(
        10000, 9, 0.06, 1.0, 0.35, 0.0, 0.5, 0.006, radius=0.00045, comb=_comb_from_whorl,
        curl=0.0055,
    ),
    "slick": Style(
        12000, 7, 0.12, 0.15, 0.05, 1.0, 0.35, 0.0012, comb=_comb_towards(SLICK_HEIGHT)
    ),
    "long": Style(
        11000, 13, 0.36, 0.35, 0.9, 0.5, 0.6, 0.003, comb=_comb_down, keep_combing=True
    ),
    "bob": Style(
        11000, 10, 0.20, 0.4, 0.8, 0.45, 0.5, 0.0025, comb=_comb_down, keep_combing=True
    ),
    "bun": Style(12000, 7, 0.15, 0.15, 0.0, 1.2, 0.3, 0.001, comb=_comb_towards(BUN_HEIGHT)),
    "fringe": Style(
        9000, 5, 0.034, 0.35, 0.35, 0.7, 0.35, 0.002, comb=_comb_fringe,
        shorten=((6.7, 7.3, 7.6, 7.98), (0.35, 0.9, 0.8, 0.3)),
    ),
    "afro": Style(13000, 8, 0.034, 1.0, 0.0, 0.0, 0.2, 0.006, curl=0.005),
}  # fmt: skip
"""All styles that have strands; ``bald`` has none."""


def comb_on_skin(
    style: Style, points: np.ndarray, normals: np.ndarray, parting: float
) -> np.ndarray:
    """Unit combing directions ``[N, 3]`` in the skin's tangent plane; zero where uncombed."""
    if style.comb is None:
        return np.zeros_like(points)
    direction = style.comb(points, parting)
    direction -= (direction * normals).sum(1, keepdims=True) * normals
    return normalised(direction)
