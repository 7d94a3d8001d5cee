"""Photos that lie on their side or hang upside down: parsers know upright faces alone.

A phone held upright stores a broad picture, and a word in its EXIF data that says how to turn it.
Camera solvers take the pixels as they are stored, and so do the readers: a view only says by how
many quarter turns its photo is turned on loading, and its camera goes along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.capture.cameras import Camera
from labelsplat.capture.views import View

UPRIGHT_MARGIN = 0.1
"""Cosine beyond which a camera hangs upside down; those that look straight down are left alone."""

COMMON_UP = 0.6
"""Share of the cameras' ups that must lie along one axis for it to be taken as the vertical."""

SIDE_MARGIN = 0.1
"""By how much more than the ups the cameras' x axes must share an axis for this to be the vertical:
so it is where photos that lie on their side come from 65 degrees round a head or more."""

ORIENTATION = 0x0112
"""EXIF's tag of the orientation."""

TURNS_OF_TAG = {1: 0, 3: 2, 6: 3, 8: 1}
"""Counter-clockwise quarter turns by EXIF's orientation; its other values are mirror images."""


def turned_view(view: View, turns: int) -> View:
    """The view with its photo turned on by ``turns`` quarters, counter-clockwise.

    A quarter takes the pixel (x, y) of a photo of width W to (y, W - x). Four are none.
    """
    for _ in range(turns % 4):
        view = _quarter_turned(view)
    return view


def _quarter_turned(view: View) -> View:
    camera, k = view.camera, view.camera.intrinsics
    (fx, skew), fy = k[0, :2], k[1, 1]
    turn = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    focals = np.array([[fy, 0.0], [0.0, fx]])
    if skew:
        # Turned, [[fx, skew], [0, fy]] is [[fy, 0], [-skew, fx]]; what keeps that from being upper
        # triangular is a small rotation of the camera (RQ decomposition).
        focal = np.hypot(fx, skew)
        c, s = fx / focal, skew / focal
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ turn
        focals = np.array([[fy * c, -fy * s], [0.0, focal]])
    intrinsics = np.eye(3)
    intrinsics[:2, :2] = focals
    intrinsics[:2, 2] = k[1, 2], camera.width - k[0, 2]
    distortion = view.distortion
    if distortion is not None and not view.fisheye:
        # OpenCV's tangential part is p r^2 + 2 x (x . p) with the vector p = (p2, p1).
        k1, k2, p1, p2, *rest = distortion
        p2, p1 = (float(p) for p in turn[:2, :2] @ (p2, p1))
        distortion = (k1, k2, p1, p2, *rest)
    done = Camera(
        turn @ camera.rotation, turn @ camera.translation, intrinsics, camera.height, camera.width
    )
    return replace(view, camera=done, distortion=distortion, turns=(view.turns + 1) % 4)


def upright_turns(camera: Camera, up: np.ndarray) -> int:
    """Quarter turns, counter-clockwise, after which a photo stands as upright as quarters allow.

    None where that would gain little: of a camera that looks straight up or down, or where a photo
    is rolled by 45 degrees.

    Args:
        camera: of the photo as it is.
        up: ``[3]`` the world's up, of length 1.
    """
    x, y, _ = camera.rotation @ up
    upward = np.array([-y, x, y, -x])
    best = int(upward.argmax())
    return best if upward[best] > upward[0] + 2 * UPRIGHT_MARGIN else 0


def upside_down(cameras: Sequence[Camera]) -> np.ndarray:
    """``[V]`` bool: which cameras are rolled by more than 90 degrees against most of the others.

    Up is the axis that the cameras' own ups share, as most of them point; where they share none, no
    camera counts as upside down. Nor do they where all photos seem to lie on their side: their ups
    then point along the ring on which the cameras stand.
    """
    downs = np.array([camera.rotation[1] for camera in cameras])
    share, axis = _common_axis(downs)
    if share < COMMON_UP or on_their_side(cameras):
        return np.zeros(len(cameras), bool)
    along = downs @ axis
    against = np.sign(along).sum() or np.sign(along[0])  # a tie: the first one is right
    return along * np.sign(against) < -UPRIGHT_MARGIN


def on_their_side(cameras: Sequence[Camera]) -> bool:
    """Whether the photos seem to lie on their side, which cameras alone cannot say for sure.

    Cameras go round a head rather than over it. Upright ones then share the direction of their y
    axes; where they share that of their x axes instead, these are the vertical. To which of the two
    sides the photos lie remains unknown.
    """
    across, down = (
        _common_axis(np.array([camera.rotation[axis] for camera in cameras]))[0] for axis in (0, 1)
    )
    return across > down + SIDE_MARGIN


def tagged_turns(views: Sequence[View]) -> list[int] | None:
    """Quarter turns by the photos' EXIF orientation; None where it says nothing or is doubtful.

    It counts where every photo has one, and none is a mirror image. Tools that turn the pixels but
    keep the tag are found out: sensors are broad, so that a tall photo has been turned already, and
    the cameras' ups must agree with each other about as well as before.
    """
    found = [TURNS_OF_TAG.get(_orientation(view.image)) for view in views]
    turns = [n for n in found if n is not None]
    if len(turns) < len(views) or not any(turns):
        return None
    if any(n % 2 and v.camera.width < v.camera.height for n, v in zip(turns, views, strict=True)):
        return None
    after = [turned_view(v, n) for v, n in zip(views, turns, strict=True)]
    shares = [
        _common_axis(np.array([v.camera.rotation[1] for v in some]))[0] for some in (views, after)
    ]
    return turns if shares[1] > shares[0] - SIDE_MARGIN else None


def _orientation(file: Path) -> int | None:
    """EXIF's orientation of a photo, of which the header alone is read; None where it has none."""
    try:
        with Image.open(file) as image:
            # Pillow would decode a whole PNG to look for what may stand behind the pixels.
            if image.format == "PNG" and "exif" not in image.info:
                return None
            value = image.getexif().get(ORIENTATION)
            return value if isinstance(value, int) else None
    except Exception:  # damaged EXIF data breaks Pillow in many ways; photos are checked elsewhere
        return None


def _common_axis(directions: np.ndarray) -> tuple[float, np.ndarray]:
    """The axis ``[3]`` that unit vectors ``[V, 3]`` share most, and what share of them it takes."""
    values, vectors = np.linalg.eigh(directions.T @ directions / len(directions))
    return float(values[-1]), vectors[:, -1]
