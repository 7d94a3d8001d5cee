"""A capture: photos of one subject, each with its camera, in one common world."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from labelsplat.capture.cameras import Camera, common_focus, head_angles, scene_extent

Frame = Literal["head", "arbitrary"]

NORMAL_EXTENT = 0.167
"""Metres that a camera sees to either side of the head, as the embedded rig does (1.15 m, 16.5
degrees). Captures of arbitrary scale are brought to it, so that every later setting that is a
length (step sizes, smallest Gaussian, hull resolution) means the same on every capture."""


@dataclass(frozen=True, eq=False)
class View:
    """One photo and its camera.

    Attributes:
        name: unique within the capture; names of masks and predictions are made of it.
        image: file of the photo, as taken (still distorted).
        camera: the camera of the UNDISTORTED photo, whose size and intrinsics are the photo's.
        distortion: coefficients of the photo as taken, see :mod:`labelsplat.capture.lenses`; None
            where there is none.
        fisheye: whether they are those of OpenCV's fisheye model.
        turned: whether the photo is to be turned by 180 degrees on loading, because its camera hung
            upside down; camera and distortion are those of the turned photo.
    """

    name: str
    image: Path
    camera: Camera
    distortion: tuple[float, ...] | None = None
    fisheye: bool = False
    turned: bool = False


@dataclass(frozen=True, eq=False)
class Capture:
    """All views of one subject.

    Attributes:
        subject: name of the subject within its source, e.g. ``"7/1_neutral"``.
        views: the views in the natural order of their names.
        frame: "head" where the world is the head frame in metres (face +z, top +y, subject's
            left +x); "arbitrary" where rotation is unknown and the scale only normalised.
        source: name of the reader that opened it.
        root: folder that it was read from.
        scale: units of this world in one unit of the source's own world.
        points: ``[M, 3]`` float64 sparse points of the camera solver in this world, those of the
            background included; None where it gives none.
        parameters: files that cameras and points were read from.
    """

    subject: str
    views: tuple[View, ...]
    frame: Frame
    source: str
    root: Path
    scale: float
    points: np.ndarray | None = None
    parameters: tuple[Path, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(view.name for view in self.views)

    @property
    def cameras(self) -> list[Camera]:
        """Cameras of the undistorted photos."""
        return [view.camera for view in self.views]


def angles(capture: Capture) -> np.ndarray | None:
    """``[V, 2]`` float64 (yaw, pitch) of the cameras in degrees, None without a head frame.

    Positive yaw stands to the subject's left, positive pitch above; see
    :func:`labelsplat.capture.cameras.head_angles`.
    """
    if capture.frame != "head":
        return None
    return np.array([head_angles(camera) for camera in capture.cameras])


def normalised(cameras: list[Camera]) -> tuple[list[Camera], float]:
    """Cameras of an arbitrary world, moved and scaled to where the embedded rig would stand.

    The point that all cameras look at becomes the origin, and what they see there has a
    half-extent of :data:`NORMAL_EXTENT`. The world is not rotated.

    Returns:
        The cameras, and the scale: new units in one old unit.

    Raises:
        ValueError: the optical axes do not meet in one point.
    """
    focus = common_focus(cameras)
    scale = NORMAL_EXTENT / scene_extent(cameras, focus)
    return [c.transformed(np.eye(3), -scale * focus, scale) for c in cameras], scale


UPRIGHT_MARGIN = 0.1
"""Cosine beyond which a camera hangs upside down; those that look straight down are left alone."""

COMMON_UP = 0.6
"""Share of the cameras' ups that must lie along one axis for it to be taken as the vertical."""


def half_turned(view: View) -> View:
    """The view with its photo turned by 180 degrees; applied twice, it is the view again."""
    camera, half = view.camera, np.diag([-1.0, -1.0, 1.0])
    k = camera.intrinsics.copy()
    k[:2, 2] = (camera.width, camera.height) - k[:2, 2]
    distortion = view.distortion
    if distortion is not None and not view.fisheye:
        k1, k2, p1, p2, *rest = distortion  # odd in x and y, the others are even
        distortion = (k1, k2, -p1, -p2, *rest)
    turned = replace(
        camera, rotation=half @ camera.rotation, translation=half @ camera.translation, intrinsics=k
    )
    return replace(view, camera=turned, distortion=distortion, turned=not view.turned)


def upside_down(cameras: list[Camera], up: np.ndarray | None = None) -> np.ndarray:
    """``[V]`` bool: which cameras are rolled by more than 90 degrees.

    Args:
        cameras: V of them.
        up: ``[3]`` the world's up. None takes the axis that the cameras' own ups share, as most of
            them point; where they share none, no camera counts as upside down.
    """
    downs = np.array([camera.rotation[1] for camera in cameras])
    if up is None:
        values, vectors = np.linalg.eigh(downs.T @ downs / len(downs))
        if values[-1] < COMMON_UP:
            return np.zeros(len(cameras), bool)
        along = downs @ vectors[:, -1]
        against = np.sign(along).sum() or np.sign(along[0])  # a tie: the first one is right
        up = -np.sign(against) * vectors[:, -1]
    return downs @ up > UPRIGHT_MARGIN
