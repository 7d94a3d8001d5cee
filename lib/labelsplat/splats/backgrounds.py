"""What stands behind the head, and what each camera makes of its colours.

Captures come without masks: each view has a smooth background of its own, a quadratic polynomial
in the pixel's position. Cameras that disagree in colour get an affine map each.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor


def monomials(height: int, width: int) -> np.ndarray:
    """``[H, W, 6]``: 1, x, y, x^2, xy, y^2 with x and y from -1 to 1 over the image."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)


def background(coefficients: np.ndarray, height: int, width: int) -> np.ndarray:
    """``[H, W, 3]`` RGB of one view's background from its coefficients ``[6, 3]``."""
    return monomials(height, width) @ coefficients


def fit_backgrounds(images: np.ndarray, valid: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """``[V, 6, 3]`` least-squares coefficients, each pixel by how little it is foreground.

    Args:
        images: ``[V, H, W, 3]`` uint8.
        valid: ``[V, H, W]`` bool.
        foreground: ``[V, H, W]`` 0 to 1.
    """
    basis = monomials(*images.shape[1:3]).reshape(-1, 6)
    out = np.zeros((len(images), 6, 3))
    for view, image in enumerate(images):
        weight = np.clip(1 - foreground[view], 0.01, 1) * valid[view]
        weighted = basis * weight.reshape(-1, 1)
        normal = weighted.T @ basis + 1e-3 * np.eye(6)
        out[view] = np.linalg.solve(normal, weighted.T @ (image.reshape(-1, 3) / 255))
    return out


def compose(colours: Tensor, alpha: Tensor, behind: Tensor, affine: Tensor | None = None) -> Tensor:
    """The picture that a camera takes: ``[H, W, 3]``.

    Args:
        colours: ``[H, W, 3]`` drawn over black.
        alpha: ``[H, W]``.
        behind: ``[H, W, 3]`` the background.
        affine: ``[3, 4]`` deviation of the camera's colour map from the identity: a matrix and an
            offset; or None. It is applied to the head, not to the background, which is the
            view's own anyway.
    """
    if affine is not None:
        colours = colours + colours @ affine[:, :3].mT + alpha[..., None] * affine[:, 3]
    return colours + (1 - alpha)[..., None] * behind


def solve_affine(drawn: np.ndarray, photo: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The affine colour map ``[3, 4]`` that brings ``drawn`` nearest to ``photo``.

    Weighted least squares; for measuring, where a camera's colours are not to count.

    Args:
        drawn, photo: ``[H, W, 3]`` RGB, 0 to 1.
        weights: ``[H, W]`` at least 0.

    Returns:
        Matrix and offset: ``mapped = drawn @ m[:, :3].T + m[:, 3]``.
    """
    rows = np.concatenate([drawn, np.ones_like(drawn[..., :1])], -1).reshape(-1, 4)
    root = np.sqrt(weights).reshape(-1, 1)
    found, *_ = np.linalg.lstsq(rows * root, photo.reshape(-1, 3) * root, rcond=None)
    return found.T
