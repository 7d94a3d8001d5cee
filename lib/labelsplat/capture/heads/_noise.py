"""Value noise in three dimensions: the source of all mottling, strokes and folds."""

from __future__ import annotations

from functools import lru_cache

import numba as nb
import numpy as np
from scipy import ndimage

from labelsplat.capture.heads._random import stream

_SIZE = 48  # lattice cells along each axis before the noise repeats
_OCTAVE_STEP = 2.03  # not 2: octaves must not line up on the lattice


@lru_cache(maxsize=1)
def _lattice() -> np.ndarray:
    """Three periodic lattices ``[3, 48, 48, 48]`` float32 of unit variance."""
    rng = stream(77, "noise lattice")
    white = rng.standard_normal((3, _SIZE, _SIZE, _SIZE))
    smooth = np.stack([ndimage.gaussian_filter(w, 0.7, mode="wrap") for w in white])
    return (smooth / smooth.std((1, 2, 3), keepdims=True)).astype(np.float32)


@nb.njit(cache=True, nogil=True)
def _sum_octaves(points, frequency, offsets, lattice, gain):
    size = lattice.shape[1]
    out = np.empty(len(points), np.float32)
    for i in range(len(points)):
        total, amplitude, f = np.float32(0), np.float32(1), frequency
        for o in range(len(offsets)):
            x = points[i, 0] * f + offsets[o, 0]
            y = points[i, 1] * f + offsets[o, 1]
            z = points[i, 2] * f + offsets[o, 2]
            fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
            u, v, w = np.float32(x - fx), np.float32(y - fy), np.float32(z - fz)
            x0, y0, z0 = int(fx) % size, int(fy) % size, int(fz) % size
            x1, y1, z1 = (x0 + 1) % size, (y0 + 1) % size, (z0 + 1) % size
            g = lattice[o % 3]
            near = (g[x0, y0, z0] * (1 - w) + g[x0, y0, z1] * w) * (1 - v)
            near += (g[x0, y1, z0] * (1 - w) + g[x0, y1, z1] * w) * v
            far = (g[x1, y0, z0] * (1 - w) + g[x1, y0, z1] * w) * (1 - v)
            far += (g[x1, y1, z0] * (1 - w) + g[x1, y1, z1] * w) * v
            total += amplitude * (near * (1 - u) + far * u)
            amplitude *= gain
            f *= _OCTAVE_STEP
        out[i] = total
    return out


def noise_where(region: np.ndarray, points: np.ndarray, *args, **kwargs) -> np.ndarray:
    """:func:`noise` at the points of ``region [N]`` bool, 0 elsewhere: most layers cover little."""
    out = np.zeros(len(points), np.float32)
    out[region] = noise(points[region], *args, **kwargs)
    return out


def noise(
    points: np.ndarray, frequency: float, seed: int, name: str, octaves: int = 1, gain: float = 0.5
) -> np.ndarray:
    """Fractal value noise at ``points``, mean 0 and variance about 1.

    Args:
        points: ``[..., 3]``; the unit is the caller's.
        frequency: lattice cells per unit of length, of the coarsest octave.
        seed: with ``name`` it chooses where in the lattice the noise is read.
        name: what the noise is for; another name gives unrelated noise.
        octaves: number of octaves summed, each about twice as fine as the one before.
        gain: amplitude of an octave against the one before.

    Returns:
        ``[...]`` float32.
    """
    offsets = stream(seed, "noise " + name).random((octaves, 3)) * _SIZE
    flat = np.ascontiguousarray(np.reshape(points, (-1, 3)), np.float32)
    total = _sum_octaves(flat, float(frequency), offsets, _lattice(), np.float32(gain))
    scale = np.sqrt(sum(gain ** (2 * o) for o in range(octaves)))
    return (total / np.float32(scale)).reshape(np.shape(points)[:-1])
