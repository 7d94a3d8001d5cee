"""Photos: loaded, undistorted, and brought to one square working size with their cameras.

Cameras are of the pixels as stored: camera solvers (COLMAP, FaceScape's) do not apply an EXIF
orientation. What a photo needs to stand upright its view says, :mod:`labelsplat.capture.turns`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from labelsplat.base import CaptureError
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import require_size
from labelsplat.capture.lenses import undistortion_maps
from labelsplat.capture.views import Capture, View, angles

SMALLEST_SHARE = 0.05
"""Undistortion must keep at least this share of a photo; real lenses keep more than half."""


@dataclass(frozen=True)
class Crop:
    """Where a photo lies in its square working image.

    Attributes:
        width, height: of the undistorted photo at its original size, in pixels.
        left, top: of the resized photo's first pixel within the square.
        inner_width, inner_height: of the resized photo, in pixels of the square.
        size: side of the square.
    """

    width: int
    height: int
    left: int
    top: int
    inner_width: int
    inner_height: int
    size: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """A capture at working size.

    Attributes:
        subject: the capture's subject.
        names: names of the V views.
        images: ``[V, size, size, 3]`` uint8 sRGB, undistorted.
        valid: ``[V, size, size]`` bool, False where a pixel lies beyond the photo's edge.
        cameras: V cameras of ``size x size`` pixels.
        angles: ``[V, 2]`` float64 (yaw, pitch) in degrees, None without a head frame.
        crops: V places of the photos in their squares, for :func:`restore_crop`.
        points: ``[M, 3]`` sparse points of the camera solver, None where there are none.
    """

    subject: str
    names: tuple[str, ...]
    images: np.ndarray
    valid: np.ndarray
    cameras: list[Camera]
    angles: np.ndarray | None
    crops: tuple[Crop, ...]
    points: np.ndarray | None = None

    def only(self, chosen: Sequence[int] | np.ndarray) -> Prepared:
        """Some of the views.

        Args:
            chosen: their indices, in the order wanted, or ``[V]`` bool.
        """
        kept = np.arange(len(self.names))[np.asarray(chosen)]
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            images=self.images[kept],
            valid=self.valid[kept],
            cameras=[self.cameras[i] for i in kept],
            angles=None if self.angles is None else self.angles[kept],
            crops=tuple(self.crops[i] for i in kept),
        )


def load_photo(view: View) -> np.ndarray:
    """The photo as taken, turned where the view says so, ``[H, W, 3]`` uint8 sRGB.

    Grey photos are repeated over the channels, 16-bit ones reduced to 8, transparent ones laid
    over black.

    Raises:
        CaptureError: missing, truncated or no image, or not of the camera's size.
    """
    photo = read_photo(view.image, lambda size: require_size(view, size))
    return np.ascontiguousarray(np.rot90(photo, view.turns)) if view.turned else photo


def read_photo(path: Path, check: Callable[[tuple[int, int]], None] | None = None) -> np.ndarray:
    """The pixels of a photo as they are stored, see :func:`pixels_of`.

    Args:
        path: of the photo.
        check: called with (width, height) before the pixels are decoded; may raise.

    Raises:
        CaptureError: missing, truncated or no image.
    """
    try:
        with Image.open(path) as image:
            if check is not None:
                check(image.size)
            image.load()
            return pixels_of(image)
    except FileNotFoundError:
        raise CaptureError("the photo is missing", where=path) from None
    except UnidentifiedImageError:
        raise CaptureError("the file is not an image", where=path) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CaptureError(
            f"the photo cannot be read ({error})",
            where=path,
            remedy="It is probably truncated: copy it anew",
        ) from None


def pixels_of(image: Image.Image) -> np.ndarray:
    """The pixels of an opened image, ``[H, W, 3]`` uint8 sRGB.

    Grey is repeated over the channels, 16 bits are reduced to 8, what is transparent is laid over
    black.
    """
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.int64) >> 8
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
    return np.array(image.convert("RGB"))


def undistort(photo: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Remove the lens distortion; the intrinsics stay what they are.

    Args:
        photo: ``[H, W, 3]`` uint8 as taken.
        view: gives the intrinsics (pixel centres at +0.5) and the coefficients.

    Returns:
        The undistorted photo ``[H, W, 3]`` uint8, its edge continued where it has no content, and
        ``[H, W]`` bool: where it has.
    """
    if view.distortion is None:
        return photo, np.ones(photo.shape[:2], bool)
    x, y, valid = undistortion_maps(view)
    image = cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return image, valid


def prepare(capture: Capture, size: int) -> Prepared:
    """Bring all photos of a capture to ``size x size`` pixels, one at a time.

    Each photo is undistorted, resized by area so that its longer side is ``size``, and padded to
    a centred square by continuing its edge; the intrinsics go along, fx and fy apart. A photo that
    is already a square of this size passes unchanged.

    Raises:
        CaptureError: a photo cannot be read, or its distortion leaves nothing of it.
    """
    images = np.empty((len(capture.views), size, size, 3), np.uint8)
    valid = np.empty((len(capture.views), size, size), bool)
    cameras, crops = [], []
    for i, view in enumerate(capture.views):
        photo, inside = undistort(load_photo(view), view)
        if inside.mean() < SMALLEST_SHARE:
            raise CaptureError(
                f"undistortion by {view.distortion} leaves {inside.mean():.1%} of the photo",
                where=view.image,
                remedy="The coefficients probably belong to another camera or order",
            )
        crop = square_crop(view.camera.width, view.camera.height, size)
        images[i], valid[i] = to_square(photo, inside, crop)
        inner = view.camera.resized(crop.inner_width, crop.inner_height)
        cameras.append(inner.padded(crop.left, crop.top, size, size))
        crops.append(crop)
    return Prepared(
        subject=capture.subject,
        names=capture.names,
        images=images,
        valid=valid,
        cameras=cameras,
        angles=angles(capture),
        crops=tuple(crops),
        points=capture.points,
    )


def restore_crop(labels: np.ndarray, crop: Crop, outside: int = 0) -> np.ndarray:
    """Carry a mask from its square, whole or cropped, back to the undistorted photo's size.

    Args:
        labels: ``[size, size]`` of an 8- or 16-bit integer type.
        crop: of the same view, from :attr:`Prepared.crops`.
        outside: value of the photo's pixels that a cropped square does not show.

    Returns:
        ``[H, W]`` of the same type, by nearest pixel.
    """
    if labels.shape != (crop.size, crop.size):
        raise ValueError(f"the mask is {labels.shape}, its crop says {crop.size} x {crop.size}")
    rows = nearest(crop.height, crop.inner_height) + crop.top
    columns = nearest(crop.width, crop.inner_width) + crop.left
    last = crop.size - 1
    out = labels[rows.clip(0, last)[:, None], columns.clip(0, last)]
    beyond = [(i < 0) | (i > last) for i in (rows, columns)]
    out[beyond[0][:, None] | beyond[1]] = outside
    return out


def nearest(count: int, source: int) -> np.ndarray:
    """For each of ``count`` pixels the one of ``source`` pixels that its centre falls into."""
    return ((2 * np.arange(count) + 1) * source) // (2 * count)


def square_crop(width: int, height: int, size: int) -> Crop:
    """The place of a whole photo in the middle of its square, its longer side as wide as that."""
    inner = [max(1, round(s * size / max(width, height))) for s in (width, height)]
    left, top = ((size - s) // 2 for s in inner)
    return Crop(width, height, left, top, *inner, size)


def to_square(photo: np.ndarray, inside: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
    """A photo ``[H, W, 3]`` and where it has content ``[H, W]`` bool, in its square."""
    inner, target = inside, (crop.inner_width, crop.inner_height)
    if target != (crop.width, crop.height):
        # Averaging over the covered area; it is not defined for enlarging.
        smaller = target[0] <= crop.width and target[1] <= crop.height
        method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        photo = cv2.resize(photo, target, interpolation=method)
        # A pixel counts only if all that went into it does.
        share = cv2.resize(inside.astype(np.float32), target, interpolation=cv2.INTER_AREA)
        inner = share > 0.999
    left, top = crop.left, crop.top
    right, bottom = crop.size - left - target[0], crop.size - top - target[1]
    square = cv2.copyMakeBorder(photo, top, bottom, left, right, cv2.BORDER_REPLICATE)
    valid = np.zeros((crop.size, crop.size), bool)
    valid[top : top + target[1], left : left + target[0]] = inner
    return square, valid
