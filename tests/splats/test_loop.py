"""The steps of a fit: checkpoints, and when it stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from labelsplat.splats import (
    FitSettings,
    identity,
)
from labelsplat.splats.density import Fixed
from labelsplat.splats.loop import Loop
from labelsplat.splats.settings import DENSITIES
from labelsplat.splats.stage import CHECKPOINT_EVERY

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)


@pytest.mark.parametrize(
    ("density", "most"), [*((name, 200000) for name in DENSITIES), ("adaptive", 155)]
)
def test_a_resumed_fit_ends_as_an_uninterrupted_one(
    fit, photos, soft_labels, density, most, tmp_path, monkeypatch
):
    settings = replace(
        SETTINGS, density=density, iterations=240, gaussians=150, coupling="joint",
        label_weight=0.1, colour_affine=True, harmonics=1, most_gaussians=most,
    )  # fmt: skip
    whole = fit(photos, settings, labels=soft_labels)
    path = tmp_path / "fit.pt"

    class Killed(Exception):
        pass

    real = Loop._stalled

    def killed(self, loss):
        if self.steps == 190:
            raise Killed
        return real(self, loss)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Loop, "_stalled", killed)
        fit(photos, settings, labels=soft_labels, checkpoint=path, every=70)
    assert path.is_file()
    resumed = fit(photos, settings, labels=soft_labels, checkpoint=path, every=70)
    assert not path.exists()
    assert resumed.psnr == whole.psnr and resumed.history == whole.history
    for name, tensor in whole.gaussians.tensors().items():
        assert torch.equal(tensor, resumed.gaussians.tensors()[name]), name


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
        patch.setattr(identity, "code_digest", lambda: "of yesterday")
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


def test_the_digest_of_code_minds_names_and_text(tmp_path):
    def digest(**files):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "notes.txt").write_text(str(files))
        return identity.code_digest(tmp_path)

    known = digest(a="x = 1", b="y = 2")
    assert known == digest(b="y = 2", a="x = 1")
    others = digest(a="x = 1", b="y = 3"), digest(a="x = 1", c="y = 2"), digest(a="x = 1y = 2")
    assert len({known, *others}) == 4


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
