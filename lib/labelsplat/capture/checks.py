"""Are these cameras possible, and do they look at one head? Each fault ends in a CaptureError.

Formats differ in axes, in matrix order and in which way a pose maps; mixing them up gives numbers
that are perfectly plausible one by one. What gives them away is the rig as a whole: photos of a
head have optical axes that meet in front of the cameras, inside the pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from labelsplat.base import CaptureError
from labelsplat.capture._fields import is_file, some
from labelsplat.capture.cameras import Camera, common_focus
from labelsplat.capture.views import Capture, View

ROTATION_TOLERANCE = 1e-3
"""Allowed deviation of R R^T from the identity and of det R from 1: files with four digits pass."""

FOCAL_RANGE = (0.05, 200.0)
"""Believable focal lengths, in units of the photo's longer side."""

HEAD_RADIUS = 0.5
"""Metres from the head frame's origin within which the cameras of a head rig must look."""

LOOSE_AIM, MUCH_BETTER = 0.03, 0.3
"""A rig whose axes miss the head by more than LOOSE_AIM of its distance is suspected of a misread
convention, and convicted if another reading makes the miss smaller by the factor MUCH_BETTER."""

HEAD_DISTANCE = (0.1, 20.0)
"""Metres, least and most, from which a head rig photographs."""

CONVENTION_REMEDY = (
    "The axes convention is probably wrong: OpenGL cameras (y up, z backward) read as OpenCV ones "
    "(y down, z forward), camera-to-world in place of world-to-camera, or a transposed rotation"
)


def nearest_rotation(matrix: np.ndarray, where: object) -> np.ndarray:
    """The rotation nearest to ``matrix [3, 3]``, which must be one but for rounding.

    Raises:
        CaptureError: not orthonormal, or a reflection (determinant -1).
    """
    determinant = np.linalg.det(matrix)
    if abs(determinant + 1) <= ROTATION_TOLERANCE:
        raise CaptureError(
            f"the rotation is a reflection (determinant {determinant:.4f})",
            where=where,
            remedy="One axis is mirrored; it needs a right-handed frame with determinant +1",
        )
    error = np.abs(matrix @ matrix.T - np.eye(3)).max()
    if max(error, abs(determinant - 1)) > ROTATION_TOLERANCE:
        raise CaptureError(
            f"the rotation is not orthonormal (determinant {determinant:.4f}, "
            f"rows off by {error:.2g})",
            where=where,
            remedy="A scale may be mixed into it: divide it out",
        )
    u, _, v = np.linalg.svd(matrix)
    return u @ v


def check_camera(camera: Camera, where: object) -> None:
    """Raise a CaptureError unless this is a camera that can have taken a photo.

    Args:
        camera: the camera.
        where: what to name in the error.
    """
    k, longer = camera.intrinsics, max(camera.width, camera.height)
    if not (np.isfinite(k).all() and np.isfinite(camera.view_matrix).all()):
        raise CaptureError("the camera holds NaN or infinity", where=where)
    nearest_rotation(camera.rotation, where)
    for name, focal in (("x", k[0, 0]), ("y", k[1, 1])):
        if not FOCAL_RANGE[0] * longer <= focal <= FOCAL_RANGE[1] * longer:
            raise CaptureError(
                f"the focal length in {name} is {focal:g} pixels in a photo of "
                f"{camera.width} x {camera.height}",
                where=where,
                remedy="It should be positive, in pixels, and of the order of the photo's size",
            )
    if np.abs(k[[1, 2, 2], [0, 0, 1]]).max() > 1e-9 or abs(k[2, 2] - 1) > 1e-9:
        raise CaptureError(
            f"the intrinsics are not upper triangular: {k.tolist()}",
            where=where,
            remedy="They should read [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; perhaps transposed",
        )
    if abs(k[0, 1]) > 1e-3 * k[0, 0]:
        raise CaptureError(f"skewed pixels (skew {k[0, 1]:g}) are not supported", where=where)
    # A photo may be an off-centre crop, but its optical axis lies within one photo's width.
    for name, c, size in (("cx", k[0, 2], camera.width), ("cy", k[1, 2], camera.height)):
        if not -size <= c <= 2 * size:
            raise CaptureError(
                f"the principal point {name} is {c:g} in a photo of "
                f"{camera.width} x {camera.height}",
                where=where,
                remedy="Intrinsics of another resolution? Scale them to the photo's size",
            )


def check_photo_size(view: View) -> None:
    """Raise a CaptureError unless the photo's header can be read and tells the camera's size."""
    require_size(view, photo_size(view.image))


def photo_size(photo: Path) -> tuple[int, int]:
    """Width and height by a photo's header, as it is stored.

    Raises:
        CaptureError: missing, no image, or absurdly large.
    """
    try:
        with Image.open(photo) as image:
            return image.size
    except FileNotFoundError:
        raise CaptureError("the photo is missing", where=photo) from None
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise CaptureError(f"not a readable image ({error})", where=photo) from None
    except Image.DecompressionBombError as error:
        raise CaptureError(f"absurdly large ({error})", where=photo) from None


def require_size(view: View, size: tuple[int, int]) -> None:
    """Raise a CaptureError unless a stored photo's ``size`` (w, h) is that of the view's camera."""
    expected = view.size_as_taken
    if size != expected:
        swapped = size == expected[::-1]
        raise CaptureError(
            f"the photo is {size[0]} x {size[1]}, its camera says {expected[0]} x {expected[1]}",
            where=view.image,
            remedy="Width and height are swapped, or the photo was turned by a viewer"
            if swapped
            else "Use the photos that the cameras were computed from, at their original size",
        )


def check_missing(images: list[Path], where: object) -> None:
    """Raise ONE CaptureError that names all photos that are not there."""
    missing = [image for image in images if not is_file(image)]
    if missing:
        raise CaptureError(
            f"{len(missing)} of {len(images)} photos are missing: "
            f"{some([image.name for image in missing], 8)}",
            where=where,
            remedy=f"They were looked for in {missing[0].parent}",
        )


def check_views(views: tuple[View, ...], where: object) -> None:
    """Raise a CaptureError for too few views, names used twice, or an impossible camera."""
    if not views:
        raise CaptureError("no usable view", where=where)
    if len(views) < 2:
        raise CaptureError(
            f"one single view ({views[0].name})",
            where=where,
            remedy="Labels are refined ACROSS views: give at least 2, better 10 or more",
        )
    twice = [name for name, n in Counter(v.name for v in views).items() if n > 1]
    if twice:
        raise CaptureError(f"view name {twice[0]!r} is used twice", where=where)
    for view in views:
        check_camera(view.camera, f"{where}: view {view.name}")


def check_rig(cameras: list[Camera], where: object) -> np.ndarray:
    """Raise a CaptureError unless the cameras look at one point that most photos show.

    The axes need not meet sharply, photographers aim loosely. But where they hardly meet as read,
    and meet far better under one of the usual misreadings, that misreading is named.

    What no check of cameras alone can see: a transposed rotation in a world whose origin is the
    very point that all cameras look at. The rig is then a proper one, only of another head.

    Returns:
        ``[3]`` the point nearest to the optical axes (least squares) in the cameras' world.
    """
    try:
        focus = common_focus(cameras)
    except (ValueError, np.linalg.LinAlgError):
        raise CaptureError(
            "all cameras look in the same direction, they do not meet in one point",
            where=where,
            remedy=CONVENTION_REMEDY,
        ) from None
    count = len(cameras)
    front, seen = _seen(cameras, focus)
    if front.mean() <= 0.5:
        raise CaptureError(
            f"the optical axes meet at a point BEHIND {(~front).sum()} of {count} cameras",
            where=where,
            remedy=CONVENTION_REMEDY,
        )
    if seen.mean() <= 0.5:
        raise CaptureError(
            f"the point nearest to all optical axes lies outside {(~seen).sum()} of {count} photos",
            where=where,
            remedy=CONVENTION_REMEDY,
        )
    miss = axis_miss(cameras, focus)
    if miss > LOOSE_AIM and count >= 4:  # three axes may meet by chance
        for words, others in _misreadings(cameras):
            try:
                better = axis_miss(others, common_focus(others)) < MUCH_BETTER * miss
            except (ValueError, np.linalg.LinAlgError):  # parallel axes: no better reading
                continue
            if better:
                raise CaptureError(
                    f"the optical axes miss each other (by {miss:.0%} of the distance), but meet "
                    f"if {words}",
                    where=where,
                    remedy=CONVENTION_REMEDY,
                )
    return focus


def axis_miss(cameras: list[Camera], focus: np.ndarray) -> float:
    """How far the optical axes pass by ``focus [3]``: rms, in units of the median distance."""
    local = np.array([camera.to_camera(focus) for camera in cameras])
    distance = np.median(np.linalg.norm(local, axis=1))
    return float(np.sqrt((local[:, :2] ** 2).sum(1).mean()) / max(distance, 1e-12))


def _seen(cameras: list[Camera], focus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``[V]`` bool each: is ``focus`` in front of the camera, and is it within the photo?"""
    front = np.array([camera.to_camera(focus)[2] > 0 for camera in cameras])
    pixels = np.array([camera.project(focus) for camera in cameras])
    sizes = np.array([(camera.width, camera.height) for camera in cameras])
    # Behind the camera pixels are NaN, which compares false.
    return front, ((pixels >= 0) & (pixels <= sizes)).all(-1)


def _misreadings(cameras: list[Camera]) -> Iterator[tuple[str, list[Camera]]]:
    """What the cameras would be, had the file meant something else than the reader took it for.

    ``f`` turns between OpenCV's and OpenGL's camera axes. The first two are for files of
    world-to-camera matrices with OpenCV axes, the others for camera-to-world with OpenGL axes.
    """
    f = np.diag([1.0, -1.0, -1.0])

    def each(make: Callable[[Camera], tuple[np.ndarray, np.ndarray]]) -> list[Camera]:
        made = [(camera, *make(camera)) for camera in cameras]
        return [replace(c, rotation=r, translation=t) for c, r, t in made]

    def turned(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        rotation = f @ camera.rotation.T @ f
        return rotation, -rotation @ camera.centre

    yield "the rotations are transposed", each(lambda c: (c.rotation.T, c.translation))
    yield "the matrices are taken as camera-to-world", each(lambda c: (c.rotation.T, c.centre))
    yield "the rotations are transposed", each(turned)
    words = "the matrices are taken as world-to-camera with {} axes"
    yield words.format("OpenGL"), each(lambda c: (f @ c.rotation.T @ f, f @ c.centre))
    yield words.format("OpenCV"), each(lambda c: (c.rotation.T @ f, c.centre))


def check_capture(capture: Capture) -> None:
    """Raise a CaptureError unless the capture can be worked with; photos are not decoded."""
    where = capture.parameters[0] if capture.parameters else capture.root
    check_views(capture.views, where)
    check_missing([view.image for view in capture.views], where)
    for view in capture.views:
        check_photo_size(view)
    focus = check_rig(capture.cameras, where)
    if capture.frame != "head":
        return
    aside = np.linalg.norm(focus)
    distance = np.median([np.linalg.norm(c.centre - focus) for c in capture.cameras])
    if aside > HEAD_RADIUS or not HEAD_DISTANCE[0] < distance < HEAD_DISTANCE[1]:
        raise CaptureError(
            f"in the head frame the cameras look at a point {aside:.3g} m from the head, "
            f"from a distance of {distance:.3g} m",
            where=where,
            remedy="The alignment (Rt_scale_dict.json) probably belongs to another capture",
        )
