"""Masks of working images as pictures of the photos that a user took."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from labelsplat.capture import View


def as_taken(mask: np.ndarray, view: View, outside: int) -> np.ndarray:
    """A mask of the undistorted photo, bent to fit the photo as it was taken.

    Args:
        mask: ``[H, W]`` uint8, of the photo's size.
        view: gives intrinsics and distortion.
        outside: value where the undistorted photo has no such pixel.
    """
    if view.distortion is None:
        return mask
    height, width = mask.shape
    k = view.camera.intrinsics.copy()
    k[:2, 2] -= 0.5  # OpenCV counts pixel centres as whole numbers
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    straight = cv2.undistortPoints(pixels, k, np.array(view.distortion), P=k)
    straight = straight.reshape(height, width, 2).astype(np.float32)
    return cv2.remap(
        mask,
        straight[..., 0],
        straight[..., 1],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )


def write_grey(path: Path, values: np.ndarray) -> None:
    """Write ``values [H, W]`` uint8 as a grey PNG, its folder with it."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, format="PNG")
