import numpy as np
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.parsing import LabelledImages


def test_take_and_join(small_set):
    one, two = small_set.take([3, 1]), small_set.take(range(4, 7))
    joined = one.joined(two)
    np.testing.assert_array_equal(joined.images, small_set.images[[3, 1, 4, 5, 6]])
    np.testing.assert_array_equal(joined.labels, small_set.labels[[3, 1, 4, 5, 6]])
    assert len(joined) == 5


def test_halved_means_colours_and_keeps_labels_labels():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, 9, 12, 3)).astype(np.uint8)
    labels = random.integers(0, 19, (2, 9, 12)).astype(np.uint8)
    half = LabelledImages(images, labels).halved()
    assert half.images.shape == (2, 4, 6, 3)
    for b, row, column in np.ndindex(half.labels.shape):
        block = np.s_[b, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_allclose(
            half.images[b, row, column], images[block].mean((0, 1)), atol=0.5
        )
        assert half.labels[b, row, column] in labels[block]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), np.zeros((0, 8, 8), np.uint8), "at least one"),
        (np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8), "shape"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 9), np.uint8), "do not fit"),
        (np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 8, 8), np.uint8), "float32"),
        (np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8), 19, np.uint8), "label 19"),
    ],
)
def test_sets_that_cannot_be_are_refused(images, labels, message):
    with pytest.raises(LabelsplatError, match=message):
        LabelledImages(images, labels)
