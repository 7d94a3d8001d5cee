"""Loose framing: photos cropped to the head, their cameras carried along.

Parsers are trained on tight crops. In a photo that shows half a room they take the wall for hair,
in EVERY view, and what is wrong in every view no fusion can mend. A sphere round the head, known
from the head frame or from the cameras, is projected into each photo; the square round it is cut
out. What the square takes from beyond the photo's edge is filled and marked as not valid.
"""

from __future__ import annotations

import cv2
import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture.cameras import Camera, common_focus, scene_extent
from labelsplat.capture.head_frame import HeadFrame
from labelsplat.capture.images import Crop, Prepared, load_photo, undistort
from labelsplat.capture.views import NORMAL_EXTENT, Capture, angles

LOOSE = 1.4
"""Photos that show more than this many times what a head needs count as loosely framed."""


def head_sphere(cameras: list[Camera], frame: HeadFrame | None) -> tuple[np.ndarray, float]:
    """Centre ``[3]`` and radius of the sphere that a crop should show, in world units.

    A frame that knows its scale gives both: the head frame's origin, and the half-extent by which
    the embedded rig frames heads. Else it is what the cameras look at and see: whether photos are
    framed loosely cannot be told then. :func:`labelsplat.capture.scaled_by_landmarks` helps.
    """
    if frame is not None and frame.usable and frame.scale:
        return frame.origin, NORMAL_EXTENT / frame.scale
    focus = common_focus(cameras)
    return focus, scene_extent(cameras, focus)


def looseness(cameras: list[Camera], centre: np.ndarray, radius: float) -> float:
    """How many times more than the sphere the photos show, by width (median over the cameras)."""
    return scene_extent(cameras, centre) / radius


def crop_to_head(
    capture: Capture, centre: np.ndarray, radius: float, size: int
) -> tuple[Prepared, np.ndarray]:
    """Cut the square round a sphere out of every photo, at ``size x size`` pixels.

    The square is as wide as the sphere in both directions: where a camera's pixels are not square,
    they become so. Photos are undistorted first, and read one at a time.

    Args:
        capture: V views.
        centre: ``[3]`` of the sphere, in the capture's world.
        radius: of the sphere, in the capture's units.
        size: pixels.

    Returns:
        The views that show some of the sphere, at working size, and their ``[n]`` indices among
        the capture's: others have nothing to say about the head. Masks return to the photos by
        :func:`labelsplat.capture.restore_crop`.

    Raises:
        CaptureError: fewer than two photos show it, or a photo cannot be read.
    """
    places = [_place(view.camera, centre, radius, size) for view in capture.views]
    shown = [i for i, place in enumerate(places) if place is not None]
    if len(shown) < 2:
        raise CaptureError(
            f"{len(shown)} of {len(places)} photos show the head where it is taken to be",
            where=capture.root,
            remedy=f"Give its place (head_frame.json), centre {np.round(centre, 3).tolist()} "
            f"and radius {radius:.3g} are wrong",
        )
    images = np.empty((len(shown), size, size, 3), np.uint8)
    valid = np.empty((len(shown), size, size), bool)
    cameras, crops = [], []
    for row, index in enumerate(shown):
        view, crop = capture.views[index], places[index]
        photo, inside = undistort(load_photo(view), view)
        images[row], valid[row] = cut_square(photo, inside, crop)
        inner = view.camera.resized(crop.inner_width, crop.inner_height)
        cameras.append(inner.padded(crop.left, crop.top, size, size))
        crops.append(crop)
    poses = angles(capture)
    done = Prepared(
        subject=capture.subject,
        names=tuple(capture.names[i] for i in shown),
        images=images,
        valid=valid,
        cameras=cameras,
        angles=None if poses is None else poses[shown],
        crops=tuple(crops),
        points=capture.points,
    )
    return done, np.array(shown)


def _place(camera: Camera, centre: np.ndarray, radius: float, size: int) -> Crop | None:
    """Where the photo lies in the square round the sphere; None where it does not show it.

    In whole pixels of the square, so that a place is a :class:`Crop` as of uncropped photos; the
    camera follows from the whole numbers and is exact.
    """
    x, y, z = camera.to_camera(np.asarray(centre, float))
    if z <= radius:
        return None
    # Half of the sphere's outline: its tangent cone is wider than the sphere at its centre.
    half = radius / np.sqrt(z * z - radius * radius)
    k = camera.intrinsics
    middle = np.array([k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]])
    reach = np.array([k[0, 0], k[1, 1]]) * half
    if (middle + reach <= 0).any() or (middle - reach >= (camera.width, camera.height)).any():
        return None
    width, height = (
        max(1, round(s * size / (2 * r)))
        for s, r in zip((camera.width, camera.height), reach, strict=True)
    )
    left = round(size / 2 - middle[0] * width / camera.width)
    top = round(size / 2 - middle[1] * height / camera.height)
    return Crop(camera.width, camera.height, left, top, width, height, size)


def cut_square(photo: np.ndarray, inside: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """The square of a photo, ``[size, size, 3]``, and ``[size, size]`` bool: where it shows it."""
    step = np.array([crop.width / crop.inner_width, crop.height / crop.inner_height])
    first = np.array([crop.left, crop.top])
    # Averaged before it is sampled, or a large photo would be seen through a sieve.
    shrink = np.maximum(np.floor(step), 1).astype(int)
    photo, inside = _averaged(photo, inside.astype(np.float32), tuple(shrink))
    x, y = (
        ((np.arange(crop.size) + 0.5 - first[i]) * step[i] / shrink[i] - 0.5).astype(np.float32)
        for i in (0, 1)
    )
    grid = np.broadcast_to(x, (crop.size, crop.size)), np.broadcast_to(y[:, None], 2 * (crop.size,))
    x, y = (np.ascontiguousarray(g) for g in grid)
    image = cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    known = cv2.remap(inside, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) > 0.999
    height, width = photo.shape[:2]
    known &= (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return image, known


def _averaged(
    photo: np.ndarray, inside: np.ndarray, by: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Both reduced by whole factors (x, y); the last, incomplete block repeats the edge."""
    if by == (1, 1):
        return photo, inside
    height, width = inside.shape
    right, bottom = -width % by[0], -height % by[1]
    target = ((width + right) // by[0], (height + bottom) // by[1])
    photo = cv2.copyMakeBorder(photo, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    # What is not in the photo is not known.
    inside = cv2.copyMakeBorder(inside, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=0)
    return (
        cv2.resize(photo, target, interpolation=cv2.INTER_AREA),
        cv2.resize(inside, target, interpolation=cv2.INTER_AREA),
    )
