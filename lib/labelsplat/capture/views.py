"""A capture: photos of one subject, each with its camera, in one common world."""

from __future__ import annotations

from dataclasses import dataclass
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
        turns: quarter turns, counter-clockwise, by which the photo is turned on loading, because it
            lies on its side or hangs upside down; camera and distortion are those of the turned
            photo. See :mod:`labelsplat.capture.turns`.
    """

    name: str
    image: Path
    camera: Camera
    distortion: tuple[float, ...] | None = None
    fisheye: bool = False
    turns: int = 0

    @property
    def turned(self) -> bool:
        """Whether the photo is turned on loading."""
        return self.turns != 0

    @property
    def size_as_taken(self) -> tuple[int, int]:
        """Width and height of the photo as it lies on the disk."""
        size = (self.camera.width, self.camera.height)
        return size[::-1] if self.turns % 2 else size


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
        notes: what the reader left aside, in sentences for people.
    """

    subject: str
    views: tuple[View, ...]
    frame: Frame
    source: str
    root: Path
    scale: float
    points: np.ndarray | None = None
    parameters: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

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
