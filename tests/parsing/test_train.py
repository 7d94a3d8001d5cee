import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import CELEBAMASK, confusion, scores
from labelsplat.parsing import (
    Augmentation,
    LabelledImages,
    Ohem,
    augment,
    class_weights,
    create,
    predict,
    segmentation_loss,
    train,
    validation_miou,
)
from labelsplat.parsing.batches import shuffled

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
    batches = shuffled(10, 4, torch.Generator().manual_seed(0))
    drawn = torch.cat([next(batches) for _ in range(5)])
    assert sorted(drawn[:10].tolist()) == sorted(drawn[10:].tolist()) == list(range(10))
    assert drawn[:10].tolist() != drawn[10:].tolist()
    few = next(shuffled(2, 5, torch.Generator().manual_seed(0)))
    assert len(few) == 5


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
        ({"optimiser": "lion"}, ParameterError, "lion"),
        ({"schedule": "steps"}, ParameterError, "steps"),
        ({"ema": 1.5}, ParameterError, "ema is 1.5"),
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


def test_by_default_it_is_adamw_on_a_cosine_with_the_loss_of_all_pixels(small_set):
    """Against the loop written out: no option that exists beside it changes a bit."""
    net = create("bisenet", width=8)
    twin = copy.deepcopy(net)
    settings = {"steps": 6, "batch": 4, "coarse_share": 0.5, "seed": 3, "precision": "float32"}
    log = train(net, small_set, learning_rate=0.01, **settings, **QUIET)

    twin.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(twin.parameters(), 0.01, weight_decay=0.01, fused=True)
    generator = torch.Generator().manual_seed(3)
    order = torch.Generator().manual_seed(4)
    indices = torch.cat([torch.randperm(12, generator=order) for _ in range(2)]).view(6, 4)
    weights, small = class_weights(CELEBAMASK), small_set.halved()
    losses, rates = [], []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for step, chosen in enumerate(indices.numpy()):
        share = step / 6
        warm_up = min(1.0, share / 0.08 + 0.02)
        rates.append(0.01 * warm_up * (0.5 * (1 + math.cos(math.pi * share)) + 0.01))
        for group in optimiser.param_groups:
            group["lr"] = rates[-1]
        part = (small if step < 3 else small_set).take(chosen)
        images, labels = augment(
            torch.from_numpy(part.images), torch.from_numpy(part.labels), CELEBAMASK, generator
        )
        loss = segmentation_loss(twin(images), labels, weights)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    torch.set_num_threads(before)
    assert equal(weights_of(net), weights_of(twin))
    assert log.losses == [float(torch.stack(losses).mean())]
    assert log.learning_rates == [rates[-1]]
    explicit = create("bisenet", width=8)
    train(
        explicit, small_set, learning_rate=0.01, optimiser="adamw", schedule="cosine", ema=0.0,
        ohem=None, weight_decay=0.01, augmentation=Augmentation(), **settings, **QUIET,
    )  # fmt: skip
    assert equal(weights_of(net), weights_of(explicit))


@pytest.mark.parametrize(
    "setting",
    [{"optimiser": "sgd"}, {"schedule": "poly"}, {"ema": 0.9}, {"ohem": Ohem(0.05)}],
    ids=lambda setting: next(iter(setting)),
)
def test_each_option_is_used_and_repeats(small_set, setting):
    def run(**options):
        net = create("bisenet", width=8)
        train(net, small_set.take(range(6)), steps=4, batch=3, **options, **QUIET)
        return weights_of(net)

    assert equal(run(**setting), run(**setting))
    assert not equal(run(**setting), run())


def test_with_an_average_the_averaged_weights_are_validated_and_left(small_set):
    def run(**options):
        net = create("bisenet", width=8)
        log = train(
            net, small_set.take(range(8)), steps=9, batch=4, learning_rate=0.03,
            validation=small_set, validate_every=3, ema=0.6, **options, **QUIET,
        )  # fmt: skip
        return net, log

    last, log = run()
    assert validation_miou(last, small_set) == log.validation_miou[-1]
    best, log = run(keep="best")
    assert validation_miou(best, small_set) == max(log.validation_miou)
    assert not best.training and all(weights.requires_grad for weights in best.parameters())


def test_other_options_learn_as_well(make_squares):
    data = make_squares(2, seed=3)
    for options in (
        {"optimiser": "sgd", "learning_rate": 0.05, "schedule": "poly", "weight_decay": 5e-4},
        {"learning_rate": 0.01, "ohem": Ohem(0.7), "ema": 0.8},
    ):
        net = create("bisenet", width=8)
        log = train(
            net, data, steps=80, batch=2, augmentation=STILL, validation=data,
            precision="float32", **options, **QUIET,
        )  # fmt: skip
        assert log.validation_miou[-1] > 0.8
