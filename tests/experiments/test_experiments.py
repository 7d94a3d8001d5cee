"""The experiments on a tiny line: what they write, and that their figures are what they say."""

from __future__ import annotations

import dataclasses
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from labelsplat.base import LabelsplatError, ParameterError, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import gather, list_facescape
from labelsplat.evaluate import compare_views, miou
from labelsplat.evaluate.tune import prepare_tune
from labelsplat.experiments import (
    EXPERIMENTS,
    KINDS,
    METHODS,
    CouplingSettings,
    NoiseSettings,
    Setup,
    experiment_table,
    head_names,
    labelled_views,
    mean_interval,
    noise_examples,
    noise_rows,
    one_hot,
    read_head,
    report_path,
    run_experiment,
    section,
)
from labelsplat.experiments.head_frames import frame_head
from labelsplat.experiments.label_noise import noise_head
from labelsplat.experiments.summary import commit
from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.parsing import create, predict_round
from labelsplat.parsing.checkpoint import save_checkpoint
from labelsplat.parsing.store import SoftPredictions, save_predictions
from labelsplat.refine import RefineSettings
from labelsplat.report.params import read_yaml
from labelsplat.splats import COUPLINGS, FitSettings

REPO = Path(__file__).resolve().parents[2]
SIZE = 32
CAPTURE = {
    "source": "embedded", "root": "", "subjects": [], "size": SIZE, "supersample": 1,
    "standard_identities": 0, "validation_identities": 0, "capture_identities": 2,
    "heldout_views": 2, "test_identities": 0, "standard_first": 1, "capture_first": 201,
    "test_first": 301, "hard_identities": 1, "hard_first": 401, "nuisance": "plain",
    "rig": "few", "checked_pairs": 8, "processes": 1,
}  # fmt: skip
FIT = {"gaussians": 1500, "iterations": 999, "hull_resolution": 32}
REFINE = {"em_epochs": 1}
TRIAL = {
    **dataclasses.asdict(FitSettings(gaussians=200, iterations=4)),
    "hull_resolution": 16,
    "hull_tolerance": 0.0,
}
del TRIAL["processes"]
SETTINGS = {
    "bootstrap": 20,
    "processes": 1,
    "coupling": {"heads": 2, "couplings": ["joint", "separate"], "iterations": 5,
                 "label_weight": 0.3, "label_every": 1},
    "label_noise": {"heads": 2, "rates": [0.1, 0.4], "labelled_views": [11, 3],
                    "methods": list(METHODS), "iterations": 5, "label_weight": 0.3,
                    "label_every": 1},
    "trial_setting": TRIAL,
    "head_frames": {"heads": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def line(tmp_path_factory) -> Layout:
    """Photos, a parser that knows nothing, its predictions, and the experiments' heads.

    Their predictions are then put in the place of that parser's: nearly true ones, so that the
    heads have a hull.
    """
    layout = Layout(tmp_path_factory.mktemp("line").resolve())
    gather(layout, CAPTURE, seed=0)
    save_checkpoint(layout.baseline, create("bisenet", seed=0, width=8, stem="none"))
    predict_round(layout, "r1", "models/baseline", size=SIZE, flip=False, device="cpu")
    run_experiment(
        layout, "heads", seed=0, device="cpu", capture=CAPTURE, predict={"flip": False},
        experiments=SETTINGS,
    )  # fmt: skip
    for subject in head_names(layout, 2):
        head = read_head(layout, subject, SIZE)
        soft = 0.9 * one_hot(head.train.labels) + 0.1 / len(CELEBAMASK)
        path = Layout(layout.experiments).predictions("r1") / "baseline" / f"{subject}.npz"
        save_predictions(path, SoftPredictions(tuple(head.photos.names), soft))
    return layout


def run(layout: Layout, name: str, **more) -> dict:
    """An experiment with the tiny settings."""
    given = {"device": "cpu", "capture": {"size": SIZE}, "fit": FIT, "refine": REFINE}
    return run_experiment(layout, name, seed=0, experiments=SETTINGS, **given | more)


def test_heads_are_the_tune_sets_and_nobody_elses(line: Layout, tmp_path):
    report = read_json(report_path(line, "heads"))
    subjects = head_names(line, 2)
    assert list(report["subjects"]) == subjects
    assert report["subjects"][subjects[0]]["train"] == 11
    own = Layout(line.experiments)
    others = {name.partition("/")[0] for name in list_facescape(line.capture)}
    assert others.isdisjoint(name.partition("/")[0] for name in subjects)
    assert not own.test.exists()
    # The same photos, byte for byte, as `make tune` takes.
    copy = Layout(tmp_path)
    for folder in (line.standard, line.models("baseline")):
        shutil.copytree(folder, copy.root / folder.relative_to(line.root))
    tune = prepare_tune(copy, {"seed": 0, "capture": {**CAPTURE, "test_identities": 0}})
    photos = sorted(p.relative_to(own.data) for p in own.data.rglob("*") if p.is_file())
    assert len(photos) > 2 * 13
    for path in photos:
        assert (own.data / path).read_bytes() == (tune.data / path).read_bytes(), path


def test_heads_hold_what_the_experiments_need(line: Layout):
    head = read_head(line, head_names(line, 1)[0], SIZE)
    assert head.train.labels.shape == (11, SIZE, SIZE) == head.soft.shape[:3]
    assert head.heldout.labels.shape == (2, SIZE, SIZE)
    assert head.soft.sum(-1) == pytest.approx(1, abs=0.01)
    with pytest.raises(ParameterError, match="3 heads of 2"):
        head_names(line, 3)


def test_weighted_labels_count_as_in_the_lift(line: Layout):
    weighted = run(line, "coupling_weighted")
    assert weighted == read_json(report_path(line, "coupling_weighted"))
    equal = run(line, "coupling")
    # In `separate` the colours' set has never heard of labels, however they are weighted.
    for figure in ("lift_miou_train", "psnr_heldout"):
        assert weighted["separate"][figure] == equal["separate"][figure]
    assert weighted["separate"]["label_miou_train"] != equal["separate"]["label_miou_train"]


def test_couplings(line: Layout):
    report = run(line, "coupling")
    assert report == read_json(report_path(line, "coupling"))
    assert list(report) == ["commit", "seed", "machine", "joint", "separate"]
    figures = {
        f"{a}_miou_{b}" for a in ("label", "lift") for b in ("train", "heldout")
    } | {"psnr_heldout", "seconds"}  # fmt: skip
    for name in ("joint", "separate"):
        assert report[name].keys() == figures
        for value in report[name].values():
            assert value["low"] <= value["mean"] <= value["high"]
    table = experiment_table(report)
    assert list(table.index) == ["joint", "separate"] and "[" in table.loc["joint", "seconds"]


def test_label_noise(line: Layout):
    """One kind runs, the others are copies of it under their names; all are gathered."""
    report = run(line, "noise@patches")
    rows = report["rows"]
    keys = [(r["rate"], r["labelled_views"], r["method"]) for r in rows]
    assert keys == [(r, n, m) for r, n in ((0.1, 11), (0.4, 11), (0.4, 3)) for m in METHODS]
    score = {key: row["miou"] for key, row in zip(keys, rows, strict=True)}
    # What was given is worse at a higher rate; what is lifted, from fewer views.
    assert score[0.4, 11, "noisy"] < score[0.1, 11, "noisy"] < 1
    for method in ("vote", "lift"):
        assert 0.1 < score[0.4, 3, method] < score[0.4, 11, method] < score[0.1, 11, method]
    for row in rows:
        assert row["kind"] == "patches" and row["low"] - 1e-9 <= row["miou"] <= row["high"] + 1e-9
    for kind in KINDS:
        if kind != "patches":
            other = {**report, "rows": [{**row, "kind": kind} for row in rows]}
            write_json(report_path(line, f"noise@{kind}"), other)
    nothing = dict.fromkeys(("device", "capture", "predict", "fit", "refine", "experiments"))
    gathered = run_experiment(line, "label_noise", seed=0, **nothing)
    assert gathered.keys() == {"commit", "seed", "machine", "rows"}
    assert [r["kind"] for r in gathered["rows"]] == [k for k in KINDS for _ in rows]
    assert [r for r in gathered["rows"] if r["kind"] == "patches"] == rows
    assert experiment_table(gathered).shape == (4 * 3, len(METHODS))
    write_json(report_path(line, "noise@flips"), {**report, "seed": 1})
    with pytest.raises(LabelsplatError, match="different seeds"):
        run_experiment(line, "label_noise", seed=0, **nothing)
    write_json(report_path(line, "noise@flips"), report)
    with pytest.raises(LabelsplatError, match=r"patches.*in the report of flips"):
        run_experiment(line, "label_noise", seed=0, **nothing)


def test_true_labels_are_lifted_well_and_views_without_labels_have_no_say(line: Layout):
    settings = section(
        NoiseSettings,
        {**SETTINGS["label_noise"], "rates": [0.0], "labelled_views": [11, 3],
         "methods": ["noisy", "lift"], "iterations": 40},
        "label_noise",
    )  # fmt: skip
    subject = head_names(line, 1)[0]
    fit = FitSettings(**FIT | {"iterations": 40})
    setup = Setup(line, SIZE, 0, "cpu", 5, 1, fit, RefineSettings())
    found = noise_head(setup, "pixels", settings, 0, subject)
    assert miou(found[0.0, 11, "noisy"], "all") == miou(found[0.0, 3, "noisy"], "all") == 1
    all_views, few = found[0.0, 11, "lift"], found[0.0, 3, "lift"]
    assert miou(all_views, "all") > miou(few, "all") > 0.2
    # Three views of eleven were counted for the labels as given, all of them for the lift.
    given = labelled_views(all_views.angles, 3)
    counted = found[0.0, 3, "noisy"].matrices.sum((1, 2)) > 0
    assert np.array_equal(counted, given) and (few.matrices.sum((1, 2)) == SIZE**2).all()


def test_the_trial_setting_is_measured_on_the_lines_heads(line: Layout):
    report = run(line, "trial_setting", fit=None, refine=None)
    assert list(report["subjects"]) == list(list_facescape(line.capture))
    for name in ("psnr", "ssim"):
        values = [one[name] for one in report["subjects"].values()]
        found = report[f"{name}_heldout"]
        assert found["mean"] == pytest.approx(np.mean(values))
        assert min(values) <= found["low"] <= found["high"] <= max(values)
    assert 3 < report["psnr_heldout"]["mean"] < 60
    assert list(experiment_table(report).index) == ["psnr_heldout", "ssim_heldout"]


def test_frames_are_compared_by_the_true_angles(line: Layout):
    tiny = {**FIT, "gaussians": 300, "iterations": 5, "processes": 1}
    report = run(line, "head_frames", fit=tiny)
    assert report == read_json(report_path(line, "head_frames"))
    table = experiment_table(report)
    assert list(table.index) == ["own", "estimate", "none"]
    for frame in table.index:
        assert 0 < report[frame]["lift_miou_train"]["mean"] <= 1
        assert ("degrees_off" in report[frame]) == (frame == "estimate")
    degrees = [one["degrees_off"] for one in report["subjects"].values()]
    assert report["estimate"]["degrees_off"]["mean"] == pytest.approx(np.mean(degrees))
    # Nearly true labels show where the face looks.
    assert all(0 < d < 45 for d in degrees)
    setup = Setup(
        line, SIZE, 0, "cpu", 20, 1, fit=FitSettings(**tiny), refine=RefineSettings(**REFINE)
    )
    subject = head_names(line, 1)[0]
    assert frame_head(setup, subject, "own").degrees == pytest.approx(0, abs=1e-5)
    assert frame_head(setup, subject, "none").degrees is None


def test_pictures_of_the_labels(line: Layout):
    head, maps = noise_examples(line, "systematic", [0.2, 0.6], size=SIZE, seed=0)
    assert list(maps) == ["truth", "rate 0.2", "rate 0.6"]
    truth, some, many = maps.values()
    assert (some != truth).sum() < (many != truth).sum()
    assert np.array_equal(truth, head.train.labels)


def test_an_unknown_experiment_or_one_without_heads_is_named(line: Layout, tmp_path):
    with pytest.raises(ParameterError, match="couplings"):
        run(line, "couplings")
    with pytest.raises(LabelsplatError, match="make experiments"):
        run(Layout(tmp_path), "coupling")
    with pytest.raises(LabelsplatError, match="baseline is missing"):
        run(Layout(tmp_path), "heads", capture=CAPTURE, predict={"flip": False})
    with pytest.raises(LabelsplatError, match=r"capture\.source"):
        run(Layout(tmp_path), "trial_setting")


# -- settings and summaries ------------------------------------------------------------------------


def test_committed_settings_are_whole():
    given = read_yaml(REPO / "notebooks/experiments/params.yaml")["experiments"]
    coupling = section(CouplingSettings, given["coupling"], "coupling")
    assert set(coupling.couplings) == set(COUPLINGS)
    noise = section(NoiseSettings, given["label_noise"], "label_noise")
    assert set(noise.methods) == set(METHODS) and noise.labelled_views[0] == 11
    trial = section(FitSettings, {**given["trial_setting"], "processes": 0}, "trial_setting")
    # Written out whole, so that it stays what it was whatever becomes of the defaults.
    assert (trial.gaussians, trial.iterations, trial.ssim_share) == (12000, 1500, 0)
    assert (trial.squared_weight, trial.alpha_weight, trial.label_weight) == (2, 0.15, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": [1]}, "label_noise.rate is unknown"),
        ({"rates": []}, "label_noise.rates is empty"),
        ({"methods": ["voting"]}, "'voting'"),
        ({"heads": None}, "label_noise.heads is missing"),
    ],
)
def test_wrong_settings_are_named(change: dict, message: str):
    values = {**SETTINGS["label_noise"], **change}
    values = {k: v for k, v in values.items() if v is not None}
    with pytest.raises(ParameterError, match=message):
        section(NoiseSettings, values, "label_noise")


def test_fewer_labelled_views_are_tried_at_the_middle_rate():
    values = {**SETTINGS["label_noise"], "rates": [0.5, 0.1, 0.3], "labelled_views": [11, 3, 1]}
    found = section(NoiseSettings, values, "label_noise").conditions
    assert found == [(0.5, 11), (0.1, 11), (0.3, 11), (0.3, 3), (0.3, 1)]


def test_mean_and_interval_over_heads():
    found = mean_interval([1.0, 2.0, 3.0, 6.0], 4000, 0)
    assert found["mean"] == 3 and 1 < found["low"] < 2 and 4 < found["high"] < 6
    assert mean_interval([2.0], 10, 0) == {"mean": 2, "low": None, "high": None}
    assert mean_interval([math.nan, 1.0], 10, 0)["mean"] is None


def test_unlabelled_pixels_cost_nothing():
    truth = np.ones((1, 4, 4), np.uint8)
    given = np.full_like(truth, IGNORE)
    given[0, 0] = 1
    assert miou(compare_views("a", ["0"], None, given, truth), "all") == 1


def test_a_commit_tells_of_changed_code(tmp_path):
    assert commit(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("1\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    clean = commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "reports.json").write_text("{}", encoding="utf-8")
    assert commit(tmp_path) == clean
    (tmp_path / "lib" / "a.py").write_text("2\n", encoding="utf-8")
    assert commit(tmp_path) == f"{clean}-dirty"


def test_each_report_has_a_place_of_its_own(tmp_path):
    places = [report_path(Layout(tmp_path), name) for name in EXPERIMENTS]
    assert len(set(places)) == len(places)
    assert places[1] == tmp_path / "reports/metrics/experiments/coupling.json"


def test_rows_need_at_least_the_views_they_ask_for(line: Layout):
    settings = section(
        NoiseSettings, {**SETTINGS["label_noise"], "labelled_views": [12]}, "label_noise"
    )
    setup = Setup(line, SIZE, 0, "cpu", 5, 1, FitSettings(**FIT), RefineSettings(**REFINE))
    with pytest.raises(ParameterError, match="12 labelled views of 11"):
        noise_rows(setup, "pixels", settings)
