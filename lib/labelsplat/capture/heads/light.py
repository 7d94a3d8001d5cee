"""A procedural environment: ambient light, a few soft lamps, and a blurry room behind the head.

Environment maps are ``[ROWS, 2 ROWS, 3]`` linear RGB over polar angle from +y (rows) and azimuth
from -z through +x... (columns), so that direction (x, y, z) has azimuth ``atan2(x, z) + pi``.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numba as nb
import numpy as np
from scipy import ndimage

from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.clutter import cluttered_room

ROWS = 48

_ROUGH_LOBE, _GLOSSY_LOBE = 14.0, 60.0  # cosine powers of the two blurred mirror images
_EYE_LAMPS, _EYE_LAMP_WIDTH = 6.0, 0.14  # lamps in the mirror image of wet eyes: catchlights


@dataclass(frozen=True, eq=False)
class Environment:
    """Light from all directions, and what a camera sees behind the head.

    Attributes:
        total: ambient light and lamps.
        rough, glossy: ``total`` blurred for mirrored light on rough and on smoother surfaces.
        sharp: what wet eyes mirror.
        background: what a camera sees behind the head, of mean 1.
        background_level: how bright that is in a finished photograph, linear 0..1.
        lamp_direction: ``[L, 3]`` float32 unit vectors to the strongest lamps, brightest first.
        lamp_power: ``[L, 3]`` float32 irradiance of these lamps.
    """

    total: np.ndarray
    rough: np.ndarray
    glossy: np.ndarray
    sharp: np.ndarray
    background: np.ndarray
    background_level: float
    lamp_direction: np.ndarray
    lamp_power: np.ndarray


def directions() -> np.ndarray:
    """``[ROWS, 2 ROWS, 3]`` unit direction of each cell of an environment map."""
    theta = (np.arange(ROWS) + 0.5) / ROWS * np.pi
    phi = (np.arange(2 * ROWS) + 0.5) / ROWS * np.pi - np.pi
    t, p = np.meshgrid(theta, phi, indexing="ij")
    return np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], -1)


@nb.njit(cache=True, nogil=True)
def _blur_lobe(source, direction, weight, power):
    """Mean of ``source [N, 3]`` over a cosine lobe about each direction."""
    out = np.zeros_like(source)
    for i in range(len(direction)):
        total = 0.0
        for j in range(len(direction)):
            cosine = (
                direction[i, 0] * direction[j, 0]
                + direction[i, 1] * direction[j, 1]
                + direction[i, 2] * direction[j, 2]
            )
            if cosine > 0:
                w = weight[j] * cosine**power
                total += w
                for k in range(3):
                    out[i, k] += w * source[j, k]
        for k in range(3):
            out[i, k] /= total
    return out


def _prefilter(image: np.ndarray, power: float) -> np.ndarray:
    """The map blurred by a cosine lobe, at half resolution."""
    coarse = image.reshape(ROWS // 2, 2, ROWS, 2, 3).mean((1, 3))
    direction = directions().reshape(ROWS // 2, 2, ROWS, 2, 3).mean((1, 3)).reshape(-1, 3)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    weight = np.sqrt(1 - direction[:, 1] ** 2)
    blurred = _blur_lobe(coarse.reshape(-1, 3), direction, weight, power)
    return blurred.reshape(coarse.shape).astype(np.float32)


def _tint(rng: np.random.Generator, spread: float) -> np.ndarray:
    """A colour between warm and cool, about white."""
    return np.clip(1 + np.array((1, 0.1, -1)) * rng.standard_normal() * spread, 0.5, 1.5)


def _colour(rng: np.random.Generator, saturation: float, value: tuple[float, float]) -> np.ndarray:
    hue, s, v = rng.random(), rng.uniform(0, saturation), rng.uniform(*value)
    return np.array(colorsys.hsv_to_rgb(hue, s, v))


def _lamps(rng: np.random.Generator, d: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Two to four soft lamps as (direction, peak radiance, angular width); the first is frontal."""
    lamps = []
    for i in range(rng.integers(2, 5)):
        azimuth = rng.uniform(-np.pi, np.pi) if i else rng.uniform(-1.1, 1.1)
        elevation = rng.uniform(-0.1, 1.0)
        towards = np.array([
            np.sin(azimuth) * np.cos(elevation), np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ])  # fmt: skip
        width = rng.uniform(0.2, 0.55)
        share = rng.uniform(0.3, 1.0) if i else 1.0
        # The smaller the lamp, the brighter: it must still light the face.
        peak = rng.uniform(0.7, 2.4) * (0.45 / width) ** 1.5 * share * _tint(rng, 0.10)
        lamps.append((towards, peak, width))
    return lamps


def _background(rng: np.random.Generator, ambient: np.ndarray, seed: int) -> np.ndarray:
    """A blurry room: a wall with soft blotches and now and then a darker thing before it."""
    d = directions()
    wall = ambient * (0.5 + 0.5 * _colour(rng, 0.45, (1.0, 1.0)))
    wall = wall * (1 + 0.30 * noise(d, 1.3, seed, "wall", 3)[..., None])
    thing = noise(d, 2.5, seed, "things")[..., None] > rng.uniform(0.6, 2.0)
    room = np.where(thing, wall * _colour(rng, 0.5, (0.3, 1.0)), wall)
    mode = ("nearest", "wrap", "nearest")
    room = np.maximum(ndimage.gaussian_filter(room, (1.5, 1.5, 0), mode=mode), 0.01)
    return (room / room.mean()).astype(np.float32)


def sample_environment(seed: int, level: str = "plain") -> Environment:
    """A random environment; equal seeds give equal ones.

    At the nuisance level ``hard`` the same light comes with a cluttered room.
    """
    rng, room, d = stream(seed, "light"), stream(seed, "room"), directions()
    gradient = 1 + 0.35 * d[..., 1:2] * rng.uniform(0, 1)
    ambient = rng.uniform(0.22, 0.5) * _tint(rng, 0.05) * gradient
    lamps = _lamps(rng, d)
    light, catchlights = np.zeros_like(ambient), np.zeros_like(ambient)
    for towards, peak, width in lamps:
        cosine = (d * towards).sum(-1, keepdims=True)
        light += np.exp((cosine - 1) / (width * width / 2)) * peak
        catchlights += np.exp((cosine - 1) / (_EYE_LAMP_WIDTH**2 / 2)) * peak
    total = ambient + light
    strongest = sorted(lamps, key=lambda lamp: -float(lamp[1].sum() * lamp[2] ** 2))[:3]
    return Environment(
        total=total,
        rough=_prefilter(total, _ROUGH_LOBE),
        glossy=_prefilter(total, _GLOSSY_LOBE),
        sharp=(ambient + _EYE_LAMPS * catchlights).astype(np.float32),
        background=_background(room, ambient, seed) if level == "plain" else cluttered_room(seed),
        background_level=float(room.uniform(0.04, 0.75)),
        lamp_direction=np.array([towards for towards, _, _ in strongest], np.float32),
        lamp_power=np.array([np.pi * peak * w * w for _, peak, w in strongest], np.float32),
    )


def sample_directions(
    environment: Environment, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Directions that stand for the whole environment.

    Half of the density follows the light, half is even, so that shadows are soft everywhere and
    still sharp-ish from lamps.

    Returns:
        Unit vectors ``[count, 3]`` and each one's share of light ``[count, 3]``: radiance times
        solid angle over its probability.
    """
    d = directions()
    sine = np.sqrt(1 - d[..., 1] ** 2)
    power = environment.total.mean(-1) * sine
    density = (0.5 * power / power.sum() + 0.5 * sine / sine.sum()).ravel()
    cumulative = np.cumsum(density)
    places = (np.arange(count) + rng.random(count)) / count * cumulative[-1]
    cell = np.minimum(np.searchsorted(cumulative, places), len(density) - 1)
    towards = d.reshape(-1, 3)[cell] + 0.03 * rng.standard_normal((count, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    solid_angle = (np.pi / ROWS) ** 2 * sine.ravel()[cell]
    radiance = environment.total.reshape(-1, 3)[cell]
    return towards, radiance * (solid_angle / (density[cell] * count))[:, None]
