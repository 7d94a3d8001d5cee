"""From posterior label maps to index maps: class factors, argmax, ignore, and cleaning up."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from labelsplat.labels import IGNORE, Vocabulary

FACTOR_CAP = 8.0
"""Class factors stay between 1 / cap and cap."""

SMALLEST_PART = 6
"""Pixels at 128 px image size; smaller islands of a class, beside a larger one, are specks."""


def area_factors(posteriors: list[np.ndarray], iterations: int = 30) -> np.ndarray:
    """``[K]`` factors that make each class's labelled area equal its posterior mass.

    The argmax starves a class that is everywhere a minority: an ear that some views call skin keeps
    a share of the posterior and loses every pixel. The factors give it back the area that the votes
    assign to it. No truth is needed. Found by fixed-point iteration on every second pixel.

    Args:
        posteriors: ``[V, H, W, K]`` of any number of subjects, which share the factors.
        iterations: of the fixed point.
    """
    pixels = np.concatenate([p[:, ::2, ::2].reshape(-1, p.shape[-1]) for p in posteriors])
    mass = pixels.sum(0) + 1
    factors = np.ones(pixels.shape[1], np.float32)
    for _ in range(iterations):
        area = np.bincount((pixels * factors).argmax(1), minlength=len(factors)) + 1
        step = np.clip(mass / area, 0.5, 2) ** 0.5
        factors = np.clip(factors * step, 1 / FACTOR_CAP, FACTOR_CAP).astype(np.float32)
    return factors


def ear_factors(posteriors: list[np.ndarray], vocabulary: Vocabulary) -> np.ndarray:
    """``[K]``: :func:`area_factors` on the two ears where they exceed 1, else 1.

    Applied to all classes the factors hurt eyes and lips: their posterior mass is spread by blur,
    and the extra area goes to the wrong pixels. Ears lose whole regions instead.
    """
    balanced = area_factors(posteriors)
    factors = np.ones(len(vocabulary), np.float32)
    for name in ("l_ear", "r_ear"):
        i = vocabulary.index(name)
        factors[i] = max(balanced[i], 1)
    return factors


def discretise(
    posterior: np.ndarray, factors: np.ndarray | None = None, ignore_below: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and confidences of posterior maps.

    Args:
        posterior: ``[..., K]``.
        factors: ``[K]`` multiplied in before the argmax; None = 1.
        ignore_below: pixels whose largest posterior is smaller get the label IGNORE.

    Returns:
        labels ``[...]`` uint8 and confidence ``[...]`` float32: the posterior (factors included,
        normalised) of the chosen class.
    """
    scaled = posterior if factors is None else posterior * factors
    labels = scaled.argmax(-1).astype(np.uint8)
    sure = scaled.max(-1) / np.maximum(scaled.sum(-1), 1e-6)
    labels[posterior.max(-1) < ignore_below] = IGNORE
    return labels, sure.astype(np.float32)


def remove_specks(labels: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """Give islands of a few pixels to the next best class; for one ``[H, W]`` label map.

    The largest island of each class stays, however small.

    Args:
        labels: ``[H, W]`` uint8.
        posterior: ``[H, W, K]``.
    """
    smallest = SMALLEST_PART * (max(labels.shape) / 128) ** 2
    out = labels.copy()
    for value in np.unique(labels):
        if value == IGNORE:
            continue
        islands, count = ndimage.label(labels == value, structure=np.ones((3, 3)))
        if count < 2:
            continue
        area = np.bincount(islands.ravel())[1:]
        speck = area < smallest
        speck[area.argmax()] = False
        pixels = np.isin(islands, np.nonzero(speck)[0] + 1)
        others = posterior[pixels].copy()
        others[:, value] = -1
        out[pixels] = others.argmax(-1)
    return out
