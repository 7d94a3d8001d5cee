"""Small images with coloured squares in them: enough for a parser to learn something in seconds."""

import numpy as np
import pytest

from labelsplat.labels import IGNORE
from labelsplat.parsing import LabelledImages


def squares(count: int, size: int = 32, seed: int = 0) -> LabelledImages:
    """Images of five coloured squares, one class each (left and right brow among them)."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (19, 3))
    labels = np.zeros((count, size, size), np.uint8)
    for label in labels:
        for index in (1, 2, 3, 10, 17):
            row, column = random.integers(0, size - 8, 2)
            label[row : row + 8, column : column + 8] = index
    images = np.clip(colours[labels] + random.normal(0, 10, (*labels.shape, 3)), 0, 255)
    labels[:, :2] = IGNORE
    return LabelledImages(images.astype(np.uint8), labels)


@pytest.fixture
def make_squares():
    return squares


@pytest.fixture
def small_set() -> LabelledImages:
    return squares(12)
