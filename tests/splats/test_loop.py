"""The steps of a fit: checkpoints, and when it stops."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from labelsplat.splats import FitSettings, identity, objective, render
from labelsplat.splats import density as density_module
from labelsplat.splats.density import Fixed
from labelsplat.splats.loop import Loop
from labelsplat.splats.settings import DENSITIES
from labelsplat.splats.stage import CHECKPOINT_EVERY

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch):
    """Runs a function, and ends the fit in it after so many steps."""
    real = Loop._stalled

    def after(steps, function):
        def killed(self, loss):
            if self.steps == steps:
                raise Killed
            return real(self, loss)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Loop, "_stalled", killed)
            function()

    return after


def check_equal(resumed, whole):
    assert resumed.psnr == whole.psnr and resumed.history == whole.history
    for name, tensor in whole.gaussians.tensors().items():
        assert torch.equal(tensor, resumed.gaussians.tensors()[name]), name


@pytest.mark.parametrize("density", DENSITIES)
def test_a_resumed_fit_ends_as_an_uninterrupted_one(
    fit, photos, soft_labels, density, tmp_path, kill
):
    settings = replace(
        SETTINGS, density=density, iterations=240, gaussians=150, coupling="joint",
        label_weight=0.1, colour_affine=True, harmonics=1,
    )  # fmt: skip
    path = tmp_path / "fit.pt"
    more = {"labels": soft_labels, "checkpoint": path, "every": 70}
    kill(190, lambda: fit(photos, settings, **more))
    assert path.is_file()
    resumed = fit(photos, settings, **more)
    assert not path.exists()
    check_equal(resumed, fit(photos, settings, labels=soft_labels))


def test_a_resumed_fit_that_was_full_before(fit, photos, tmp_path, kill, monkeypatch):
    """Full at first, pruned below the limit, interrupted, and grown again: with and without."""
    settings = replace(
        SETTINGS, density="adaptive", iterations=400, gaussians=200, most_gaussians=200,
        opacity_weight=0.3,
    )  # fmt: skip
    # So that a hundred steps can kill, and a fit of a plain ball grows twice.
    monkeypatch.setattr(density_module, "DEAD", 0.1)
    monkeypatch.setattr(density_module, "GROW_GRADIENT", 1e-4)
    path = tmp_path / "fit.pt"
    kill(190, lambda: fit(photos, settings, checkpoint=path, every=150))
    saved = len(torch.load(path, weights_only=True)["parameters"]["colour"]["means"])
    assert saved < 200
    resumed = fit(photos, settings, checkpoint=path)
    check_equal(resumed, fit(photos, settings))
    monkeypatch.setattr(density_module, "GROW_GRADIENT", math.inf)
    barren = fit(photos, settings)
    assert len(resumed.gaussians) + resumed.dropped > len(barren.gaussians) + barren.dropped


def test_absolute_gradients_are_asked_for_while_gaussians_are_added(fit, photos, monkeypatch):
    asked = []

    def drawn(*args, absgrad=False, **more):
        asked.append(absgrad)
        return render(*args, absgrad=absgrad, **more)

    monkeypatch.setattr(objective, "render", drawn)
    fit(photos, replace(SETTINGS, density="adaptive", iterations=20))
    assert asked[:20] == [True] * 12 + [False] * 8 and not any(asked[20:])


def test_checkpoints_of_other_fits_are_not_gone_on_from(fit, photos, tmp_path, caplog, monkeypatch):
    short = replace(SETTINGS, iterations=6)
    plain = fit(photos, short)
    path = tmp_path / "fit.pt"
    # One of another seed, left by a fit that was killed after its fourth step; and a broken one.
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        fit(photos, short, seed=1, checkpoint=path, every=4)
    assert path.is_file()
    again = fit(photos, short, checkpoint=path)
    assert "starts anew" in caplog.text
    assert torch.equal(plain.gaussians.means, again.gaussians.means)
    assert again.seconds < 1e5
    # One of other code.
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "code_digest", lambda *_: "of yesterday")
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        fit(photos, short, checkpoint=path, every=4)
    assert "starts anew" not in caplog.text and path.is_file()
    fit(photos, short, checkpoint=path)
    assert "starts anew" in caplog.text
    path.write_bytes(b"nothing")
    again = fit(photos, short, checkpoint=path)
    assert torch.equal(plain.gaussians.means, again.gaussians.means)


def test_seconds_are_those_of_all_calls(fit, photos, tmp_path, monkeypatch):
    short = replace(SETTINGS, iterations=6)
    path = tmp_path / "fit.pt"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        first = fit(photos, short, checkpoint=path, every=4)
    state = torch.load(path, weights_only=True)
    assert 0 < state["seconds"] <= first.seconds
    state["seconds"] = 1e6
    torch.save(state, path)
    assert 1e6 < fit(photos, short, checkpoint=path).seconds < 1.01e6


def test_only_long_fits_write_checkpoints():
    assert FitSettings().iterations < CHECKPOINT_EVERY < 7000  # those of the paper's profile


def test_a_step_that_is_not_finite_stops_nothing():
    loop = Loop(SimpleNamespace(settings=replace(SETTINGS, stop_after=3)), Fixed(), None)
    for loss in (float("nan"), 3.0, 2.0, float("nan"), 1.0, 0.5):
        loop.steps += 1
        assert not loop._stalled(loss)


def test_early_stop(fit, photos):
    settings = replace(SETTINGS, iterations=2000, stop_after=12)
    done = fit(photos, settings)
    assert 12 < done.steps < 2000 and done.psnr > 25
