"""The same part of a photo that a working image shows, with more pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labelsplat.capture.crop import cut_square
from labelsplat.capture.images import Crop, load_photo, prepare, square_crop, undistort
from labelsplat.capture.views import Capture, View


def enlarged(capture: Capture, view: View, crop: Crop, size: int) -> np.ndarray:
    """What a working image shows, ``[size, size, 3]`` uint8, out of the photo itself.

    Args:
        capture: that the view belongs to.
        view: one of its views.
        crop: the photo's place in the working image, from :func:`labelsplat.capture.prepare` or
            :func:`labelsplat.capture.crop_to_head`.
        size: pixels of the result; more than the working image has, or little is gained.

    Raises:
        CaptureError: the photo cannot be read.
    """
    if crop == square_crop(crop.width, crop.height, crop.size):
        return prepare(replace(capture, views=(view,)), size).images[0]
    by = size / crop.size
    larger = Crop(
        crop.width, crop.height, round(crop.left * by), round(crop.top * by),
        max(1, round(crop.inner_width * by)), max(1, round(crop.inner_height * by)), size,
    )  # fmt: skip
    photo, inside = undistort(load_photo(view), view)
    return cut_square(photo, inside, larger)[0]
