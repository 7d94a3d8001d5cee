"""Pinhole cameras and the head frame.

OpenCV axes (x right, y down, z forward), world-to-camera, pixel centres at +0.5: the centre of the
top left pixel is (0.5, 0.5), so a centred principal point is (width / 2, height / 2).

The head frame: metres, origin inside the head, face towards +z, head-top +y, subject's left +x.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Camera:
    """One pinhole camera without distortion.

    Attributes:
        rotation: ``[3, 3]`` float64, world to camera.
        translation: ``[3]`` float64, world to camera: ``x_cam = rotation @ x + translation``.
        intrinsics: ``[3, 3]`` float64, ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` in pixels.
        width: image width in pixels.
        height: image height in pixels.
    """

    rotation: np.ndarray
    translation: np.ndarray
    intrinsics: np.ndarray
    width: int
    height: int

    @property
    def centre(self) -> np.ndarray:
        """``[3]`` position of the camera in the world."""
        return -self.rotation.T @ self.translation

    @property
    def view_matrix(self) -> np.ndarray:
        """``[4, 4]`` world-to-camera matrix."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self.rotation, self.translation
        return matrix

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points ``[..., 3]`` in camera coordinates ``[..., 3]``."""
        return points @ self.rotation.T + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points ``[..., 3]`` to pixels ``[..., 2]`` (x, y); NaN behind the camera."""
        p = self.to_camera(np.asarray(points, float))
        z = np.where(p[..., 2] > 0, p[..., 2], np.nan)
        k = self.intrinsics
        x = (k[0, 0] * p[..., 0] + k[0, 1] * p[..., 1]) / z + k[0, 2]
        return np.stack([x, k[1, 1] * p[..., 1] / z + k[1, 2]], -1)

    def resized(self, width: int, height: int) -> Camera:
        """The same camera for the photo resized to ``width x height`` pixels."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, intrinsics=scale @ self.intrinsics, width=width, height=height)

    def padded(self, left: int, top: int, width: int, height: int) -> Camera:
        """The same camera for the photo placed at (left, top) in a larger canvas."""
        k = self.intrinsics.copy()
        k[0, 2] += left
        k[1, 2] += top
        return replace(self, intrinsics=k, width=width, height=height)

    def transformed(self, rotation: np.ndarray, translation: np.ndarray, scale: float) -> Camera:
        """The same camera in the world ``X' = rotation @ (scale X) + translation``."""
        r = self.rotation @ rotation.T
        return replace(self, rotation=r, translation=scale * self.translation - r @ translation)


HEAD_SHOT = (1.15, 16.5)
"""Metres to the head's centre, and full field of view in degrees: with these the head fills about
three quarters of the image. Embedded heads are photographed so, unless a lens is part of the test.
"""


def orbit_camera(
    yaw: float,
    pitch: float,
    distance: float,
    field_of_view: float,
    size: int,
    target: np.ndarray | tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Camera:
    """A square camera that looks at ``target`` from (yaw, pitch) degrees, head upright.

    Args:
        yaw: degrees to the subject's left (+x) of the face's front.
        pitch: degrees above (+y) the face's front, strictly between -90 and 90.
        distance: metres from the target.
        field_of_view: full angle in degrees.
        size: width and height in pixels.
        target: point that lands in the image's centre.
    """
    y, p = np.radians([yaw, pitch])
    outward = np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])
    forward = -outward
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 0.5 * size / np.tan(np.radians(field_of_view) / 2)
    k = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    centre = np.asarray(target, float) + distance * outward
    return Camera(rotation, -rotation @ centre, k, size, size)


def head_angles(camera: Camera) -> tuple[float, float]:
    """(yaw, pitch) in degrees of a camera whose world is the head frame.

    The direction from the head frame's origin to the camera's centre: yaw is positive to the
    subject's left (+x) of the face's front (+z), pitch is positive above (+y).
    """
    x, y, z = camera.centre
    yaw = np.degrees(np.arctan2(x, z))
    return float(yaw), float(np.degrees(np.arctan2(y, np.hypot(x, z))))


def common_focus(cameras: list[Camera]) -> np.ndarray:
    """``[3]`` point nearest, in least squares, to the optical axes of all cameras.

    Raises:
        ValueError: fewer than two cameras, or all axes are parallel.
    """
    a, b = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        axis = camera.rotation[2]
        m = np.eye(3) - np.outer(axis, axis)
        a, b = a + m, b + m @ camera.centre
    if len(cameras) < 2 or np.linalg.cond(a) > 1e10:
        raise ValueError("the optical axes do not meet in one point")
    return np.linalg.solve(a, b)


def scene_extent(cameras: list[Camera], focus: np.ndarray) -> float:
    """Half of what the cameras see at ``focus``, in world units (median over the cameras)."""
    half = [
        abs(c.to_camera(focus)[2])
        * max(c.width / c.intrinsics[0, 0], c.height / c.intrinsics[1, 1])
        / 2
        for c in cameras
    ]
    return float(np.median(half))
