import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import CELEBAMASK, confusion, scores
from labelsplat.parsing import (
    Augmentation,
    LabelledImages,
    create,
    learning_rate_at,
    predict,
    train,
    validation_miou,
)
from labelsplat.parsing.train import _shuffled

QUIET = {"progress": False, "threads": 1, "device": "cpu"}
STILL = Augmentation(**{field.name: 0.0 for field in dataclasses.fields(Augmentation)})


def weights_of(net):
    return {key: value.clone() for key, value in net.state_dict().items()}


def equal(one, two):
    return all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_same_weights(small_set, precision):
    def run(seed):
        net = create("bisenet", width=8)
        log = train(
            net, small_set.take(range(6)), steps=4, batch=2, seed=seed, precision=precision,
            replay=small_set.take(range(6, 12)), replay_batch=2, **QUIET,
        )  # fmt: skip
        return weights_of(net), log

    (one, log), (two, again), (other, _) = run(1), run(1), run(2)
    assert equal(one, two)
    assert log.losses == again.losses
    assert not equal(one, other)
    assert not equal(one, weights_of(create("bisenet", width=8)))


def test_two_images_are_learned_by_heart(make_squares):
    data = make_squares(2, seed=3)
    net = create("bisenet", width=8)
    log = train(
        net, data, steps=80, batch=2, learning_rate=0.01, augmentation=STILL,
        validation=data, precision="float32", **QUIET,
    )  # fmt: skip
    assert log.losses[-1] < 0.2 * log.losses[0]
    assert log.validation_steps == [80]
    assert log.validation_miou[-1] > 0.85
    assert not net.training


def test_the_curve_and_the_best_weights(small_set):
    net = create("bisenet", width=8)
    validation = small_set.take(range(8, 12))
    log = train(
        net, small_set.take(range(8)), steps=12, batch=4, learning_rate=0.03,
        validation=validation, validate_every=3, keep="best", **QUIET,
    )  # fmt: skip
    assert log.validation_steps == [3, 6, 9, 12]
    best = int(np.argmax(log.validation_miou))
    assert log.kept_step == log.validation_steps[best]
    # The weights that are left are those that scored best.
    label = predict(net, validation.images, flip=False).argmax(-1)
    again = scores(confusion(label, validation.labels, 19), CELEBAMASK).miou
    assert again == pytest.approx(log.validation_miou[best], abs=1e-6)
    assert again == pytest.approx(validation_miou(net, validation), abs=1e-12)


def test_watching_changes_nothing(small_set):
    def run(**settings):
        net = create("bisenet", width=8)
        train(net, small_set.take(range(8)), steps=4, batch=4, **settings, **QUIET)
        return weights_of(net)

    lines = []
    watched = run(validation=small_set, validate_every=1, log=lines.append, description="tiny")
    assert equal(run(), watched)
    assert any("tiny: step 4" in line for line in lines)


def test_the_first_share_of_the_steps_sees_half_the_size(small_set):
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 19, 1)

        def forward(self, images):
            seen.append(tuple(images.shape))
            return self.layer(images)

    train(
        Spy(), small_set.take(range(6)), steps=5, batch=3, coarse_share=0.4,
        replay=small_set.take(range(6, 12)), replay_batch=1, **QUIET,
    )  # fmt: skip
    assert seen == [(4, 3, 16, 16)] * 2 + [(4, 3, 32, 32)] * 3


def test_replay_comes_in_addition(small_set):
    """Of 3 + 2 images a step, 3 are new: a network that counts them sees both shares."""
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 19, 1)

        def forward(self, images):
            seen.append(images.mean((1, 2, 3)) > 0.5)
            return self.layer(images)

    labels = small_set.labels[:4]
    dark = LabelledImages(np.zeros_like(small_set.images[:4]), labels)
    bright = LabelledImages(np.full_like(small_set.images[:4], 255), labels)
    log = train(
        Spy(), dark, steps=3, batch=3, replay=bright, replay_batch=2, augmentation=STILL, **QUIET
    )
    assert [flags.tolist() for flags in seen] == [[False] * 3 + [True] * 2] * 3
    assert log.images_per_second == pytest.approx(15 / log.seconds, rel=0.2)


def test_every_image_comes_once_before_any_comes_again():
    batches = _shuffled(10, 4, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(batches) for _ in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    few = next(_shuffled(2, 5, torch.Generator().manual_seed(0)))
    assert len(few) == 5


def test_the_schedule_rises_and_falls():
    rates = [learning_rate_at(step / 100, 1.0) for step in range(101)]
    top = int(np.argmax(rates))
    assert 0 < top < 15
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert 0 < rates[0] < 0.1
    assert 0 < rates[-1] < 0.02


def test_impossible_requests(small_set, make_squares):
    net = create("bisenet", width=8)
    other = dataclasses.replace(CELEBAMASK, name="other")
    foreign = LabelledImages(small_set.images, small_set.labels, other)
    for settings, kind, message in [
        ({"steps": 0}, ParameterError, "steps is 0"),
        ({"keep": "worst"}, ParameterError, "worst"),
        ({"keep": "best"}, ParameterError, "validation"),
        ({"coarse_share": 1.0}, ParameterError, "coarse_share is 1"),
        ({"precision": "float8"}, ParameterError, "float8"),
        ({"replay": foreign}, LabelsplatError, "vocabulary"),
        ({"replay": make_squares(2, size=48)}, LabelsplatError, "size"),
    ]:
        with pytest.raises(kind, match=message):
            train(net, small_set, **{"steps": 1, "device": "cpu", "progress": False} | settings)
    with pytest.raises(ParameterError, match="abacus"):
        train(net, small_set, steps=1, device="abacus")


def test_a_loss_that_explodes_is_an_error(small_set):
    net = create("bisenet", width=8)
    with torch.no_grad():
        net.conv_out.conv_out.weight.fill_(float("nan"))
    with pytest.raises(LabelsplatError, match=r"loss is nan.*learning rate"):
        train(net, small_set, steps=1, batch=2, **QUIET)
