import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing import create, predict


@pytest.fixture
def net():
    return create("bisenet", width=8, seed=2)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3)).astype(np.uint8)


def test_probabilities(net, images):
    soft = predict(net, images, batch=2)
    assert soft.shape == (5, 32, 48, 19)
    assert soft.dtype == np.float32
    assert soft.min() >= 0
    np.testing.assert_allclose(soft.sum(-1), 1, atol=1e-5)


def test_the_mirrored_image_gets_the_mirrored_prediction_with_sides_swapped(net, images):
    soft = predict(net, images)
    mirrored = predict(net, images[:, :, ::-1].copy())
    np.testing.assert_allclose(mirrored, soft[:, :, ::-1][..., CELEBAMASK.flip], atol=1e-5)
    one_sided = predict(net, images, flip=False)
    other = predict(net, images[:, :, ::-1].copy(), flip=False)
    assert np.abs(other - one_sided[:, :, ::-1][..., CELEBAMASK.flip]).max() > 1e-3
    by_hand = (one_sided + other[:, :, ::-1][..., CELEBAMASK.flip]) / 2
    np.testing.assert_allclose(soft, by_hand, atol=1e-6)


def test_batches_do_not_matter_and_the_network_is_left_as_it_was(net, images):
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    np.testing.assert_allclose(
        predict(net, images, batch=2), predict(net, images, batch=5), atol=1e-6
    )
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_views_with_strides_of_their_own(net, images):
    np.testing.assert_allclose(
        predict(net, images[::-1]), predict(net, images[::-1].copy()), atol=1e-6
    )


@pytest.mark.parametrize("foreign", [nn.Conv2d(3, 11, 1), nn.Conv2d(3, 19, 3), nn.Flatten()])
def test_a_module_that_returns_something_else_is_refused(foreign, images):
    with pytest.raises(LabelsplatError, match="logits"):
        predict(foreign, images)
