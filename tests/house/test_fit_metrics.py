"""fit.json and pretrain.json: what is gathered of evaluation, seconds, and a kept experiment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labelsplat.base import read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.report import finish as finishing
from labelsplat.report.finish import finish, gather_fit, gather_pretrain
from labelsplat.report.lock import defined
from labelsplat.report.params import default_params, read_yaml

REPO = Path(__file__).resolve().parents[2]

FOUND = {
    "mean": {"psnr": 30.0, "heldout": {"psnr": 22.0, "ssim": 0.8}},
    "subjects": {"a": {"psnr": 31.0}, "b": {"psnr": 29.0}},
}


def test_seconds_and_the_trial_are_put_beside_the_scores():
    found = gather_fit(FOUND, {"a": 10.0, "b": 14.0}, "cpu", 19.5)
    assert found["engine"] == "cpu"
    assert found["mean"] == {
        "psnr": 30.0,
        "seconds": 12.0,
        "heldout": {"psnr": 22.0, "ssim": 0.8, "psnr_trial_setting": 19.5},
    }
    assert found["subjects"]["b"] == {"psnr": 29.0, "seconds": 14.0}


def test_without_seconds_or_the_experiment_there_is_no_number():
    found = gather_fit(FOUND, {}, "gsplat", None)
    assert found["mean"]["seconds"] is None
    assert found["mean"]["heldout"]["psnr_trial_setting"] is None
    assert found["subjects"]["a"]["seconds"] is None


BASELINE = {"standard": {"miou": 0.7, "f1": 0.8}, "ece": {"before": 0.1, "after": 0.05}}


@pytest.fixture
def layout(tmp_path, monkeypatch) -> Layout:
    """A project whose stages all ran, as far as the last step can see."""
    monkeypatch.setattr(finishing, "_FRONT", "labelsplat.report.none")
    layout = Layout(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPO / name, tmp_path / name)
    timing = {"seconds": 1.0, "peak_memory_mb": 1, "cores": 2, "device": "cpu"}
    for name in defined(read_yaml(REPO / "dvc.yaml"), default_params()):
        write_json(layout.timing / f"{name.replace('@', '_')}.json", timing)
    write_json(layout.capture_counts, {"images": {}, "identities": {}})
    write_json(layout.metrics / "evaluate.json", {"fit": FOUND, "pretrain": BASELINE})
    times = {"seconds": 200.5, "images_per_second": 90.25}
    write_json(layout.training_times("baseline"), times)
    write_json(layout.fit_times("r1"), {"a": 10.0, "b": 14.0})
    return layout


def test_fit_metrics_are_written_and_come_back(layout):
    path = layout.metrics / "fit.json"
    assert finish(layout.root)
    wanted = read_json(path)
    assert wanted["mean"]["seconds"] == 12.0 and wanted["engine"] == "cpu"
    assert not finish(layout.root)
    for spoil in (path.unlink, lambda: path.write_text("{}", encoding="utf-8")):
        spoil()
        assert finish(layout.root) and read_json(path) == wanted


def test_without_truth_there_are_no_gathered_scores(layout):
    assert finish(layout.root)
    write_json(layout.metrics / "evaluate.json", {"fit": None, "pretrain": None})
    assert finish(layout.root)
    assert not any((layout.metrics / f"{name}.json").exists() for name in ("fit", "pretrain"))


def test_metrics_of_the_baseline_follow_scores_and_times(layout):
    path = layout.metrics / "pretrain.json"
    assert finish(layout.root)
    assert read_json(path) == {**BASELINE, "seconds": 200.5, "images_per_second": 90.25}
    path.unlink()
    assert finish(layout.root) and path.is_file()
    write_json(layout.training_times("baseline"), {"seconds": 1.0, "images_per_second": 2.0})
    assert finish(layout.root) and read_json(path)["seconds"] == 1.0
    assert not finish(layout.root)
    # Trained before times were kept.
    assert gather_pretrain(BASELINE, {})["seconds"] is None
