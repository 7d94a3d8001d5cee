"""Optimisers, learning rates, averages of weights."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import ParameterError
from labelsplat.parsing import WeightAverage, learning_rate_at, make_optimiser
from labelsplat.parsing.schedule import SCHEDULES


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_and_falls(schedule):
    rates = [learning_rate_at(step / 100, 1.0, schedule) for step in range(101)]
    top = int(np.argmax(rates))
    assert 0 < top < 15
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert 0 < rates[0] < 0.1
    assert 0 <= rates[-1] < 0.02


def test_after_the_warm_up_it_is_the_formula():
    for share in (0.2, 0.5, 0.9):
        cosine = 3 * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        assert learning_rate_at(share, 3.0) == cosine
        assert learning_rate_at(share, 3.0, "poly") == pytest.approx(3 * (1 - share) ** 0.9)


def quadratic(optimiser_name, steps, **settings):
    """A weight drawn to 1 by the square of its distance; where it is after each step."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, 5.0)
    optimiser = make_optimiser(optimiser_name, layer, **settings)
    places = []
    for _ in range(steps):
        optimiser.zero_grad()
        ((layer.weight - 1) ** 2).sum().backward()
        optimiser.step()
        places.append(float(layer.weight.detach()))
    return places


def test_sgd_has_momentum_and_decay():
    x, speed, expected = 5.0, 0.0, []
    for step in range(6):
        gradient = 2 * (x - 1) + 0.1 * x
        speed = gradient if step == 0 else 0.9 * speed + gradient
        x -= 0.01 * speed
        expected.append(x)
    found = quadratic("sgd", 6, learning_rate=0.01, weight_decay=0.1)
    assert found == pytest.approx(expected, rel=1e-5)


def test_adamw_s_first_step_is_the_learning_rate_and_its_decay():
    found = quadratic("adamw", 1, learning_rate=0.01, weight_decay=0.1)
    assert found[0] == pytest.approx(5 * (1 - 0.01 * 0.1) - 0.01, rel=1e-5)


def test_the_average_is_the_recursion_and_counters_are_copied():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = WeightAverage(net, 0.6)
    expected = {k: v.double().clone() for k, v in net.state_dict().items()}
    for step in range(1, 12):
        with torch.no_grad():
            for weights in net.parameters():
                weights.add_(torch.randn_like(weights))
        net[1].num_batches_tracked += 1
        net[1].running_mean += step
        average.update(net, step)
        keep = min(0.6, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * value.double()
    found = average.net.state_dict()
    assert int(found["1.num_batches_tracked"]) == 11
    for name in ("0.weight", "0.bias", "1.weight", "1.running_mean"):
        torch.testing.assert_close(found[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    assert not any(weights.requires_grad for weights in average.net.parameters())


def test_unknown_words_and_numbers():
    net = nn.Linear(1, 1)
    with pytest.raises(ParameterError, match=r"lion.*adamw, sgd"):
        make_optimiser("lion", net, 0.1, 0.0)
    with pytest.raises(ParameterError, match=r"step.*cosine, poly"):
        learning_rate_at(0.5, 1.0, "step")
    for decay in (0.0, 1.0, -0.5):
        with pytest.raises(ParameterError, match="ema"):
            WeightAverage(net, decay)
