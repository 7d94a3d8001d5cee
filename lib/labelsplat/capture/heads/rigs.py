"""Rigs: where cameras stand about a head, and what poses are reported of them.

``ring`` is a dome as FaceScape's, all cameras alike and exactly known. ``phone`` is one phone
carried around the head by hand: uneven steps, changing distance and tilt, poses known as well as a
structure-from-motion program knows them. ``sparse`` is a handful of cameras far apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import HEAD_SHOT, Camera, orbit_camera
from labelsplat.capture.heads._random import stream

RIGS = {"ring": 40, "phone": 32, "sparse": 6}
"""Number of cameras of each rig."""

_PHONE_ERROR = (0.15, 0.0015)  # degrees, metres: standard deviation of a reported pose


@dataclass(frozen=True, eq=False)
class Shot:
    """One camera of a rig.

    Attributes:
        camera: where it truly stands; photographs are rendered from here.
        reported: what a calibration says of it; what a method is told.
    """

    camera: Camera
    reported: Camera


def _rotated(camera: Camera, rotation: np.ndarray, shift: np.ndarray) -> Camera:
    """The camera turned about its own centre by ``rotation`` (in its axes) and moved."""
    turned = rotation @ camera.rotation
    return replace(camera, rotation=turned, translation=-turned @ (camera.centre + shift))


def _small_rotation(degrees: np.ndarray) -> np.ndarray:
    """Rotation matrix of a rotation vector ``[3]`` in degrees (Rodrigues' formula)."""
    vector = np.radians(degrees)
    angle = np.linalg.norm(vector)
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def _rolled(camera: Camera, degrees: float) -> Camera:
    return _rotated(camera, _small_rotation(np.array((0, 0, degrees))), np.zeros(3))


def _ring(rng: np.random.Generator, size: int) -> list[Shot]:
    rows = ((-32, 8, 75), (-8, 12, 110), (18, 12, 110), (45, 8, 75))  # pitch, cameras, largest yaw
    (distance, view), shots = HEAD_SHOT, []
    for pitch, count, largest in rows:
        for yaw in np.linspace(-largest, largest, count):
            at = np.array((yaw, pitch)) + rng.uniform(-2.5, 2.5, 2)
            target = 0.004 * rng.standard_normal(3)
            camera = orbit_camera(
                at[0], at[1], distance * rng.uniform(0.97, 1.03), view, size, target
            )
            # Some cameras of a dome are mounted slightly rolled.
            camera = _rolled(camera, rng.normal(0, 1.5))
            shots.append(Shot(camera, camera))
    return shots


def _phone(rng: np.random.Generator, size: int) -> list[Shot]:
    count = RIGS["phone"]
    steps = rng.gamma(2.0, 1.0, count)
    place = (np.cumsum(steps) - 0.5 * steps) / steps.sum()
    # There and back again: once about eye level, once from above or below.
    yaw = 100 * (1 - np.abs(4 * place - 2)) * rng.choice([-1, 1])
    drift = np.interp(place, np.linspace(0, 1, 7), rng.normal(0, 6, 7))
    pitch = np.where(place < 0.5, -4, rng.choice([-22, 28])) + drift + rng.normal(0, 1.5, count)
    distance = 0.55 * np.exp(np.interp(place, np.linspace(0, 1, 6), rng.normal(0, 0.10, 6)))
    view = rng.uniform(36, 44)  # one lens for all photographs
    error, shift = _PHONE_ERROR
    shots = []
    for k in range(count):
        target = 0.012 * rng.standard_normal(3)
        camera = orbit_camera(
            float(yaw[k]), float(pitch[k]), float(distance[k]), view, size, target
        )
        camera = _rolled(camera, rng.normal(0, 4))
        turn = _small_rotation(error * rng.standard_normal(3))
        shots.append(Shot(camera, _rotated(camera, turn, shift * rng.standard_normal(3))))
    return shots


def _sparse(rng: np.random.Generator, size: int) -> list[Shot]:
    places = np.array([(0, 0), (50, 5), (-50, 5), (95, -5), (-95, -5), (0, 38)], float)
    at = places + rng.uniform(-8, 8, places.shape)
    cameras = [orbit_camera(float(yaw), float(pitch), *HEAD_SHOT, size) for yaw, pitch in at]
    return [Shot(camera, camera) for camera in cameras]


def rig(name: str, seed: int, size: int) -> list[Shot]:
    """The cameras of a rig; equal seeds give equal ones.

    Args:
        name: a key of RIGS.
        seed: jitter of the places.
        size: pixels, width and height.

    Raises:
        ParameterError: an unknown rig.
    """
    makers = {"ring": _ring, "phone": _phone, "sparse": _sparse}
    if name not in makers:
        raise ParameterError(f"unknown rig {name!r}", remedy=f"Choose one of {', '.join(makers)}")
    return makers[name](stream(seed, f"rig {name}"), size)
