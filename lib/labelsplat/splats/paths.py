"""Cameras where nobody stood: a walk round a head, and samples of all sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from labelsplat.capture import HeadFrame
from labelsplat.capture.cameras import Camera, common_focus, orbit_camera

YAW, PITCH = (-110.0, 110.0), (-45.0, 50.0)
"""Degrees: where new cameras stand round a head whose frame is known."""

SWING = (20.0, 10.0)
"""Degrees sideways and up or down: how far a new camera moves from an old one where it is not."""


def novel_cameras(
    cameras: list[Camera],
    angles: np.ndarray | None,
    count: int,
    seed: int,
    frame: HeadFrame | None = None,
) -> list[Camera]:
    """``count`` new cameras that look at the focus of the given ones.

    Args:
        cameras: of the capture, all of one size.
        angles: ``[V, 2]`` of the capture in degrees, or None without a head frame: then each new
            camera is an old one, swung by up to :data:`SWING` about the focus.
        count: number of new cameras.
        seed: of their places.
        frame: the head frame that the angles are measured in, where the cameras' world is not it.
    """
    if frame is not None and angles is not None:
        turned = novel_cameras([frame.camera(c) for c in cameras], angles, count, seed)
        return [frame.back(camera) for camera in turned]
    rng = np.random.default_rng([seed, count])
    focus = common_focus(cameras)
    if angles is None:
        return [
            _swung(cameras[rng.integers(len(cameras))], focus, *(rng.uniform(-1, 1, 2) * SWING))
            for _ in range(count)
        ]
    return [_placed(cameras, focus, rng.uniform(*YAW), rng.uniform(*PITCH)) for _ in range(count)]


def turntable(
    cameras: list[Camera],
    angles: np.ndarray | None,
    yaws: Iterable[float],
    pitch: float = 5.0,
    frame: HeadFrame | None = None,
) -> list[Camera]:
    """A walk round the head at the distance of the given cameras.

    Args:
        cameras: of the capture, all of one size.
        angles: ``[V, 2]`` in degrees, or None without a head frame: then the first camera swings
            sideways about the focus, by up to :data:`SWING`.
        yaws: degrees.
        pitch: degrees.
        frame: as for :func:`novel_cameras`.
    """
    if frame is not None and angles is not None:
        turned = turntable([frame.camera(c) for c in cameras], angles, yaws, pitch)
        return [frame.back(camera) for camera in turned]
    focus, yaws = common_focus(cameras), list(yaws)
    if angles is None:
        largest = max(max(map(abs, yaws)), 1e-9)
        return [_swung(cameras[0], focus, yaw / largest * SWING[0], 0.0) for yaw in yaws]
    return [_placed(cameras, focus, yaw, pitch) for yaw in yaws]


def _placed(cameras: list[Camera], focus: np.ndarray, yaw: float, pitch: float) -> Camera:
    distance = float(np.median([np.linalg.norm(c.centre - focus) for c in cameras]))
    camera = orbit_camera(yaw, pitch, distance, 20, 1, focus)
    return replace(cameras[0], rotation=camera.rotation, translation=camera.translation)


def _swung(camera: Camera, focus: np.ndarray, yaw: float, pitch: float) -> Camera:
    """The world turned about the focus, as seen by the camera."""
    turn = Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix()
    rotation = turn @ camera.rotation
    return replace(
        camera, rotation=rotation, translation=camera.to_camera(focus) - rotation @ focus
    )
