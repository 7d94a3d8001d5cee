"""The temperature: where it is, what it changes, where it is kept."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from labelsplat.base import LabelsplatError
from labelsplat.labels import IGNORE
from labelsplat.parsing import (
    LabelledImages,
    Tempered,
    calibrate_parser,
    calibration_file,
    create,
    fit_temperature,
    load_temperature,
    predict,
    save_temperature,
    temper,
)
from labelsplat.parsing import calibrate as module


def softmax(z):
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def drawn(scale, count=20_000, seed=0):
    """Logits, and labels drawn by the softmax of ``logits / scale``: so sure one may be."""
    random = np.random.default_rng(seed)
    z = random.normal(0, 2, (count, 6)) * scale
    chances = softmax(z / scale).cumsum(1)
    labels = (random.random((count, 1)) > chances).sum(1).clip(0, 5)
    return softmax(z), labels.astype(np.uint8)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
def test_the_known_temperature_is_found(scale):
    found = fit_temperature(*drawn(scale))
    assert found.temperature == pytest.approx(scale, rel=0.03)
    assert found.nll_after <= found.nll_before
    assert found.pixels == 20_000


@pytest.mark.parametrize("scale", [0.3, 1.7, 4.0])
def test_it_is_where_a_general_search_finds_the_minimum(scale):
    soft, labels = drawn(scale, 3000, seed=2)

    def loss(log_temperature):
        chances = softmax(np.log(np.maximum(soft, 1e-12)) / np.exp(log_temperature))
        return -np.log(chances[np.arange(len(labels)), labels]).mean()

    best = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-7})
    found = fit_temperature(soft, labels)
    assert np.log(found.temperature) == pytest.approx(best.x, abs=1e-4)
    assert found.nll_before == pytest.approx(loss(0.0), rel=1e-5)
    assert found.nll_after == pytest.approx(best.fun, rel=1e-5)


def test_pixels_without_a_label_do_not_count():
    soft, labels = drawn(2.0, 4000)
    expected = fit_temperature(soft[:2000], labels[:2000])
    labels[2000:] = IGNORE
    assert fit_temperature(soft, labels) == expected
    with pytest.raises(LabelsplatError, match="no labelled pixel"):
        fit_temperature(soft, np.full_like(labels, IGNORE))


def test_extremes_end_near_the_range_s_ends():
    right = np.full((50, 3), 0.2)
    right[:, 0] = 0.6
    always, never = np.zeros(50, np.uint8), np.ones(50, np.uint8)
    assert fit_temperature(right, always).temperature == pytest.approx(0.05, rel=0.1)
    assert fit_temperature(right, never).temperature == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tempering_is_dividing_the_logits(temperature):
    z = np.random.default_rng(0).normal(0, 3, (40, 5))
    np.testing.assert_allclose(temper(softmax(z), temperature), softmax(z / temperature), rtol=1e-9)


def test_a_tempered_parser_predicts_the_same_classes(small_set):
    net = create("bisenet", width=8)
    images = small_set.images[:3]
    plain = predict(net, images, flip=False, device="cpu")
    found = predict(Tempered(net, 2.0), images, flip=False, device="cpu")
    np.testing.assert_allclose(found, temper(plain, 2.0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(-1), plain.argmax(-1))
    assert found.max() < plain.max()
    in_training = Tempered(net, 2.0).train()(torch.rand(2, 3, 32, 32))
    assert isinstance(in_training, list)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperatures_that_are_none(temperature):
    with pytest.raises(LabelsplatError, match="not a positive number"):
        temper(np.full((1, 2), 0.5), temperature)
    with pytest.raises(LabelsplatError, match="not a positive number"):
        Tempered(nn.Identity(), temperature)


class BackgroundAbove(nn.Module):
    """A parser that is sure of background in the upper half of each image."""

    def __init__(self, net):
        super().__init__()
        self.net, self.config = net, net.config

    def forward(self, images):
        logits = self.net(images).clone()
        logits[:, 0, : images.shape[2] // 2] += 20
        return logits


def test_a_parser_on_images_and_few_of_many_pixels(small_set, monkeypatch):
    net = BackgroundAbove(create("bisenet", width=8).eval())
    # More images than one batch, with an odd number of pixels each.
    data = LabelledImages(
        np.concatenate([small_set.images] * 2)[:, :31, :31],
        np.concatenate([small_set.labels] * 2)[:, :31, :31],
    )
    found = calibrate_parser(net, data, device="cpu")
    soft = predict(net, data.images, flip=False, device="cpu").reshape(-1, 19)
    labels = data.labels.reshape(-1)
    # Background that is called so is easy, and half of all pixels: it has no say.
    counts = ((labels != 0) & (labels != IGNORE)) | (soft.argmax(-1) != 0)
    assert 0 < counts.sum() < counts.size
    assert found == fit_temperature(soft[counts], labels[counts])
    assert found.pixels == (counts & (labels != IGNORE)).sum()
    monkeypatch.setattr(module, "MOST_PIXELS", 5000)
    few = calibrate_parser(net, data, device="cpu")
    stride = -(-labels.size // 5000)
    some = np.flatnonzero(counts[::stride]) * stride
    assert few == fit_temperature(soft[some], labels[some])


def test_it_is_kept_beside_the_checkpoint(tmp_path):
    found = fit_temperature(*drawn(1.5, 500))
    path = tmp_path / "refined.safetensors"
    assert calibration_file(path) == tmp_path / "refined.calibration.json"
    with pytest.raises(LabelsplatError, match=r"refined\.calibration\.json.*no fitted.*off"):
        load_temperature(path)
    save_temperature(path, found)
    assert load_temperature(path) == found
    good = dataclasses.asdict(found)
    for wrong in ([], {}, good | {"temperature": -1.0}, good | {"temperature": "warm"}):
        calibration_file(path).write_text(json.dumps(wrong))
        with pytest.raises(LabelsplatError, match=r"refined\.calibration\.json"):
            load_temperature(path)
