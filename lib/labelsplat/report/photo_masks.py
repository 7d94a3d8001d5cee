"""Masks of working images as pictures of the photos that a user took."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from labelsplat.capture import View, straight_pixels


def as_taken(mask: np.ndarray, view: View, outside: int) -> np.ndarray:
    """A mask of the undistorted photo, bent and turned to fit the photo as it was taken.

    Args:
        mask: ``[H, W]`` uint8, of the size of the photo as turned.
        view: gives intrinsics and distortion.
        outside: value where the undistorted photo has no such pixel.
    """
    if view.distortion is not None:
        straight = straight_pixels(view)
        mask = cv2.remap(
            mask,
            straight[..., 0],
            straight[..., 1],
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=outside,
        )
    return np.ascontiguousarray(np.rot90(mask, -view.turns)) if view.turned else mask


def write_grey(path: Path, values: np.ndarray) -> None:
    """Write ``values [H, W]`` uint8 as a grey PNG, its folder with it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, format="PNG")
