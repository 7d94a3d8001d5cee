"""Predictions averaged over sizes."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import ParameterError
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing import create, predict, predict_averaged, temper
from labelsplat.parsing.tta import Rescaled


class Sizes(nn.Module):
    """Says how wide the images are that it sees: a class for each width, none of them one-sided."""

    CLASSES: ClassVar = {16: 1, 32: 10, 64: 17}

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, images):
        self.seen.append(tuple(images.shape))
        logits = torch.zeros(len(images), 19, *images.shape[-2:])
        logits[:, self.CLASSES[images.shape[-1]]] = 50
        return logits


@pytest.fixture
def images(small_set):
    return small_set.images[:3]


def test_by_default_it_is_the_plain_prediction(images):
    net = create("bisenet", width=8)
    for flip in (True, False):
        found = predict_averaged(net, images, flip=flip, device="cpu")
        assert np.array_equal(found, predict(net, images, flip, device="cpu"))


def test_the_mean_over_sizes(images):
    net = Sizes()
    found = predict_averaged(net, images[:, :24], flip=True, scales=(0.5, 1.0, 2.0), device="cpu")
    assert net.seen == [(3, 3, 12, 16)] * 2 + [(3, 3, 24, 32)] * 2 + [(3, 3, 48, 64)] * 2
    assert found.shape == (3, 24, 32, 19)
    expected = np.zeros(19)
    expected[list(Sizes.CLASSES.values())] = 1 / 3
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-6)


def test_each_pixel_sums_to_one_and_the_mode_stays(images):
    net = create("bisenet", width=8).train()
    found = predict_averaged(net, images, scales=[0.75, 1.25], temperature=1.5, device="cpu")
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert net.training
    assert not np.array_equal(found, predict_averaged(net, images, device="cpu"))


def test_the_temperature_enters_before_the_average(images):
    net = create("bisenet", width=8)
    found = predict_averaged(net, images, flip=False, temperature=2.0, device="cpu")
    expected = temper(predict(net, images, flip=False, device="cpu"), 2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    both = predict_averaged(net, images, flip=True, temperature=2.0, device="cpu")
    other = temper(predict(net, mirrored, flip=False, device="cpu"), 2.0)
    other = other[:, :, ::-1][..., CELEBAMASK.flip]
    np.testing.assert_allclose(both, (expected + other) / 2, rtol=1e-4, atol=1e-6)


def test_a_reduced_image_is_smoothed_not_picked():
    seen = []

    class Spy(nn.Module):
        def forward(self, images):
            seen.append(images)
            return images

    stripes = torch.zeros(1, 3, 32, 32)
    stripes[..., ::2] = 1
    Rescaled(Spy(), 0.25)(stripes)
    assert seen[0].shape == (1, 3, 8, 8)
    torch.testing.assert_close(seen[0], torch.full((1, 3, 8, 8), 0.5), atol=0.08, rtol=0)


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, -1.0), (float("nan"),)])
def test_impossible_sizes(images, scales):
    with pytest.raises(ParameterError, match="scales are"):
        predict_averaged(create("bisenet", width=8), images, scales=scales)
