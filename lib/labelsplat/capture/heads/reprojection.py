"""Do labels of two views agree where both see the same point?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import HEAD_SHOT, Camera, orbit_camera
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.bake import Scene
from labelsplat.capture.heads.view import HeadView, render_view

APART = (15.0, 45.0)
"""Degrees between the two viewing directions of a pair."""

TOLERANCE = 0.002
"""Metres of depth by which a point may miss the other view's surface and still count as seen."""

_LARGEST_PITCH = 40.0


@dataclass(frozen=True)
class Agreement:
    """How far labels agree.

    Attributes:
        mean: mean of ``shares``.
        shares: share of the compared samples whose labels are equal, of each ordered pair.
        samples: number of compared samples of each.
    """

    mean: float
    shares: tuple[float, ...]
    samples: tuple[int, ...]


def random_pairs(count: int, seed: int, size: int = 256) -> list[tuple[Camera, Camera]]:
    """Pairs of cameras all around a head, 15 to 45 degrees apart, pitch up to 40 degrees.

    Raises:
        ParameterError: ``count`` is below one.
    """
    if count < 1:
        raise ParameterError(f"count must be at least 1, not {count}")
    rng = stream(seed, "reprojection pairs")

    def direction(yaw: float, pitch: float) -> np.ndarray:
        y, p = np.radians([yaw, pitch])
        return np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])

    pairs: list[tuple[Camera, Camera]] = []
    while len(pairs) < count:
        (yaw, other_yaw), (pitch, other_pitch) = rng.uniform(
            (-180, -_LARGEST_PITCH), (180, _LARGEST_PITCH), (2, 2)
        ).T
        other_yaw = yaw + other_yaw / 4  # within 45 degrees
        cosine = direction(yaw, pitch) @ direction(other_yaw, other_pitch)
        if not APART[0] <= np.degrees(np.arccos(np.clip(cosine, -1, 1))) <= APART[1]:
            continue
        pairs.append(
            tuple(
                orbit_camera(float(a), float(b), *HEAD_SHOT, size)
                for a, b in ((yaw, pitch), (other_yaw, other_pitch))
            )
        )
    return pairs


def compare_views(
    first: HeadView, first_camera: Camera, second: HeadView, second_camera: Camera
) -> tuple[int, int]:
    """``(equal, compared)`` samples of the first view, looked up in the second's nearest pixel.

    A sample is a pixel's centre with its depth. It is compared where the second view's depth is
    within TOLERANCE of its own; boundaries between classes are compared like everything else.
    """
    row, column = np.nonzero(first.depth > 0)
    z = first.depth[row, column].astype(float)
    pixel = np.stack([column + 0.5, row + 0.5, np.ones(len(z))], 1)
    ray = pixel @ np.linalg.inv(first_camera.intrinsics).T
    world = (ray * z[:, None] - first_camera.translation) @ first_camera.rotation
    far = second_camera.to_camera(world)[:, 2]
    at = np.floor(second_camera.project(world))
    inside = (far > 0) & (at >= 0).all(1) & (at[:, 0] < second_camera.width)
    inside &= at[:, 1] < second_camera.height
    x, y = at[inside].astype(int).T
    seen = second.depth[y, x]
    same = (seen > 0) & (np.abs(seen - far[inside]) <= TOLERANCE)
    labels = first.labels[row, column][inside][same]
    return int((labels == second.labels[y, x][same]).sum()), int(same.sum())


def reprojection_agreement(
    scene: Scene, pairs: list[tuple[Camera, Camera]], supersample: int = 4
) -> Agreement:
    """Render each pair of views and compare their labels, from the first to the second and back.

    Args:
        scene: from bake.
        pairs: cameras, e.g. from :func:`random_pairs`.
        supersample: samples along each side of a pixel.

    Raises:
        ParameterError: there are no pairs, or the views of a pair have no point in common.
    """
    if not pairs:
        raise ParameterError("no pairs of cameras to compare")
    shares, samples = [], []
    for number, (a, b) in enumerate(pairs):
        first, second = (render_view(scene, camera, supersample) for camera in (a, b))
        for counts in (compare_views(first, a, second, b), compare_views(second, b, first, a)):
            if not counts[1]:
                raise ParameterError(
                    f"pair {number} has no point that both views see",
                    remedy="Choose cameras that look at the head from nearer directions",
                )
            shares.append(counts[0] / counts[1])
            samples.append(counts[1])
    return Agreement(float(np.mean(shares)), tuple(shares), tuple(samples))
