"""What every registered architecture must do, whatever is inside."""

import pytest
import torch

from labelsplat.base import ParameterError
from labelsplat.base.layout import Layout
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing import (
    ARCHITECTURES,
    UNetConfig,
    create,
    load_checkpoint,
    load_parser,
    predict,
    save_checkpoint,
    stage,
    train,
    validation_miou,
)
from labelsplat.parsing.registry import name_of
from labelsplat.report.params import default_params

EVERY = pytest.mark.parametrize("name", ["bisenet", "unet"])


def test_these_are_all():
    assert {"bisenet", "unet"} <= ARCHITECTURES.keys()


@EVERY
@pytest.mark.parametrize("size", [(64, 64), (50, 71), (33, 96)])
def test_logits_have_the_size_of_the_image(name, size):
    net = create(name, width=8, classes=7).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 3, *size)).shape == (2, 7, *size)
    assert name_of(net) == name


@EVERY
def test_saved_and_loaded_it_predicts_the_same(name, tmp_path, small_set):
    net = create(name, width=8, seed=3, mean=[0.4, 0.5, 0.6])
    with torch.no_grad():
        net.train()(torch.rand(2, 3, 32, 32))  # the running statistics leave their start
    one, two = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_checkpoint(one, net.eval(), training={"steps": 0})
    save_checkpoint(two, net, training={"steps": 0})
    assert one.read_bytes() == two.read_bytes()
    expected = predict(net, small_set.images[:2], device="cpu")
    for load in (load_checkpoint, load_parser):
        found = load(one)
        assert found.architecture == name and found.vocabulary == CELEBAMASK
        assert found.net.config == net.config
        soft = predict(found.net, small_set.images[:2], device="cpu")
        torch.testing.assert_close(torch.tensor(soft), torch.tensor(expected), atol=1e-5, rtol=1e-4)


@EVERY
def test_seed_decides_the_weights(name):
    a, b, c = (create(name, width=8, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


@EVERY
def test_a_training_step_changes_every_layer_and_repeats(name, small_set):
    def trained():
        net = create(name, width=8, seed=1)
        train(net, small_set, steps=1, batch=4, seed=2, progress=False, threads=1, device="cpu")
        return net.state_dict()

    before, one, two = create(name, width=8, seed=1).state_dict(), trained(), trained()
    assert all(torch.equal(one[key], two[key]) for key in one)
    still = [key for key in one if key.endswith("weight") and torch.equal(one[key], before[key])]
    assert still == []


@EVERY
def test_it_learns_coloured_squares(name, make_squares):
    data = make_squares(6, seed=3)
    net = create(name, width=8)
    start = validation_miou(net, data, device="cpu")
    quiet = {"progress": False, "threads": 1, "device": "cpu", "precision": "float32"}
    train(net, data, steps=60, batch=6, learning_rate=0.01, **quiet)
    assert validation_miou(net, data, device="cpu") > start + 0.25


@EVERY
def test_normalisation_belongs_to_the_network(name):
    plain = create(name, width=8, mean=[0, 0, 0], std=[1, 1, 1]).eval()
    normalising = create(name, width=8, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1]).eval()
    images = torch.rand(1, 3, 32, 32)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.4, 0.5, 0.6], [0.2, 0.3, 0.1]))
    with torch.no_grad():
        torch.testing.assert_close(normalising(images), plain((images - mean) / std))


def test_u_net_sees_single_pixels():
    """Full resolution: one changed pixel changes its own logits more than its neighbours'."""
    net = create("unet", width=8, seed=1).eval()
    images = torch.full((1, 3, 32, 32), 0.5)
    dotted = images.clone()
    dotted[..., 16, 16] = 1
    with torch.no_grad():
        change = (net(dotted) - net(images)).abs().sum(1)[0]
    assert change[16, 16] > 0
    assert change[14:19, 14:19].mean() > 5 * change[:6, :6].mean()


@pytest.mark.parametrize(
    "settings", [{"depth": 0}, {"width": 2}, {"std": (1, 0, 1)}, {"classes": 1}]
)
def test_impossible_u_nets_are_refused(settings):
    with pytest.raises(ParameterError):
        UNetConfig(**settings)


@EVERY
def test_the_parser_stage_trains_what_params_say(name, tmp_path, monkeypatch, make_squares):
    monkeypatch.setattr(stage, "standard_set", lambda layout, group, size: make_squares(6, size))
    settings = default_params()["parser"]
    settings |= {"architecture": name, "width": 8, "steps": 2, "batch": 2, "threads": 1}
    layout = Layout(tmp_path)
    stage.train_baseline(layout, settings, size=32, seed=0, device="cpu")
    found = load_checkpoint(layout.baseline)
    assert found.architecture == name and found.net.config.width == 8
