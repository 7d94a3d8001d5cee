"""The whole stage on a project in miniature, with and without truth."""

import copy
import csv
import json

import numpy as np
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.evaluate import (
    ARMS,
    agreement_table,
    arm_files,
    calibration_table,
    class_table,
    compare_views,
    evaluate_line,
    fit_label_table,
    fit_table,
    headline_table,
    join,
    label_table,
    miou,
    true_heads,
)
from labelsplat.labels import CELEBAMASK, STRATA
from labelsplat.parsing import load_checkpoint, predict


def run(project, rounds, **more):
    return evaluate_line(
        project, rounds=rounds, size=24, em_epochs=2, bootstrap=50, device="cpu", **more
    )


@pytest.fixture(scope="module")
def found(project, rounds):
    return run(project, rounds)


@pytest.fixture(scope="module")
def found_without_truth(project_without_truth, rounds):
    return run(project_without_truth, rounds)


def test_keys_of_every_arm_and_stratum(found):
    report = found.report
    assert tuple(report["arms"]) == ARMS
    for rows in report["arms"].values():
        assert tuple(rows) == STRATA
        for row in rows.values():
            assert {"miou", "f1", "low", "high", "per_class"} <= row.keys()
            assert tuple(row["per_class"]) == CELEBAMASK.classes
            assert all(value.keys() == {"iou", "f1"} for value in row["per_class"].values())
    for key in ("gain", "over_self_training"):
        assert all(report[key][s].keys() == {"miou", "low", "high"} for s in STRATA)
    assert set(report["gap_recovered"]) == set(STRATA)
    for name in ("raw", "refined", "ceiling"):
        row = report["labels"][name]
        assert row["behind"] is None and row["pitch30"] is None  # the captures have no such view
        assert 0 <= row["all"]["miou"] <= 1


def test_counts_of_what_was_judged(found):
    assert found.report["test"]["identities"] == 3
    assert found.report["test"]["views"]["behind"] == 3
    assert found.report["capture"] == {
        "identities": 2,
        "views": {s: int(found.labels["raw"].inside(s).sum()) for s in STRATA},
    }


def test_file_is_what_was_returned(found, project):
    text = (project.metrics / "evaluate.json").read_text()
    assert json.loads(text) == found.report
    assert "NaN" not in text


def test_refined_labels_are_judged_as_they_were_made(found):
    """The made-up refined maps are the truth with the right half blanked."""
    counts = found.labels["r2"]
    true = counts.total("all").sum(1)
    right = np.diagonal(counts.total("all"))
    assert right[0] == true[0]
    assert right[1:].sum() == pytest.approx(0.5 * true[1:].sum(), rel=0.05)
    assert found.report["labels"]["gain"]["all"]["low"] > 0.2


def test_again_gives_the_same_bytes(found, project, rounds):
    before = (project.metrics / "evaluate.json").read_bytes()
    pairs = (project.tables / "confusion.csv").read_bytes()
    run(project, rounds)
    assert (project.metrics / "evaluate.json").read_bytes() == before
    assert (project.tables / "confusion.csv").read_bytes() == pairs


def test_confusion_table_is_what_dvc_wants(found, project):
    with (project.tables / "confusion.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and set(rows[0]) == {"actual", "predicted"}
    assert {row["actual"] for row in rows} <= set(CELEBAMASK.classes)


def test_examples_follow_their_rule(found):
    *first, worst = found.before_after
    assert [e.subject[:3] for e in first] == ["301", "302", "303", "301"]
    assert [(round(e.yaw), round(e.pitch)) for e in first] == [
        (80, 0), (-75, 10), (10, 40), (-10, -45),
    ]  # fmt: skip
    assert worst.failure and not any(e.failure for e in first)
    base, refined = found.arms["baseline"], found.arms["refined"]
    change = (refined.view_scores() - base.view_scores())[base.inside("extreme")]
    assert worst.miou["refined"] - worst.miou["baseline"] == pytest.approx(change.min())
    assert all(abs(e.yaw) == pytest.approx(88, abs=1e-3) for e in found.profiles)
    assert set(found.profiles[0].maps) == {"raw", "refined", "truth"}


def test_fit_is_measured_on_heldout_views(found):
    fit = found.report["fit"]
    assert set(fit["subjects"]) == {"201/1_neutral", "202/1_neutral"}
    for row in fit["subjects"].values():
        assert row["psnr"] > 0 and row["heldout"]["psnr"] > 0
        assert -1 <= row["ssim"] <= 1 and -1 <= row["heldout"]["ssim"] <= 1
    for found in (fit["mean"], *fit["subjects"].values()):
        assert found["label_miou"].keys() == {"raw", "vote", "lift", "ceiling"}
        for pools in found["label_miou"].values():
            assert pools.keys() == {"train", "heldout"}
            assert all(0 <= value <= 1 for value in pools.values())


def test_mirrored_predictions_enter_the_held_out_labels_alone(found, project, rounds):
    """Arms are compared without; of the fit, one pool of one labelling changes."""
    plain, mirrored = found.report, run(project, rounds, flip=True).report
    net = load_checkpoint(project.baseline).net
    parts = []
    for head in true_heads(project.heldout_photos, project.heldout_truth, 24):
        p = head.photos
        maps = predict(net, p.images, flip=True, device="cpu").argmax(-1).astype(np.uint8)
        parts.append(compare_views(p.subject, p.names, p.angles, maps, head.labels))
    raw = mirrored["fit"]["mean"]["label_miou"]["raw"]
    assert raw["heldout"] == pytest.approx(miou(join(parts), "all"))
    assert raw["heldout"] != plain["fit"]["mean"]["label_miou"]["raw"]["heldout"]
    assert {key: plain[key] for key in plain if key != "fit"} == {
        key: mirrored[key] for key in mirrored if key != "fit"
    }
    old, new = (copy.deepcopy(report["fit"]) for report in (plain, mirrored))
    for fit in (old, new):
        for row in (fit["mean"], *fit["subjects"].values()):
            del row["label_miou"]["raw"]["heldout"]
    assert old == new


def test_numbers_that_stand_in_two_places_are_the_same(found):
    labels, pooled = found.report["labels"], found.report["fit"]["mean"]["label_miou"]
    for name, twin in (("raw", "raw"), ("refined", "lift"), ("ceiling", "ceiling")):
        assert labels[name]["all"]["miou"] == pytest.approx(pooled[twin]["train"])


def test_calibration_is_of_the_last_rounds_labels(found):
    calibration = found.report["calibration"]
    assert calibration["finds_errors"].keys() == {"confidence", "entropy", "disagreement"}
    # Their confidences were drawn at random.
    assert calibration["finds_errors"]["confidence"] == pytest.approx(0.5, abs=0.05)
    shares = [row["share"] for row in calibration["confidence"]["bins"]]
    assert sum(shares) == pytest.approx(1) and max(shares) < 0.2


def test_tables_for_people(found):
    headline = headline_table(found.report)
    assert "ears, extreme (F1)" in headline.index and "lips, extreme (F1)" in headline.index
    assert list(headline.columns[: len(ARMS)]) == list(ARMS)
    assert label_table(found.report).loc["all but behind", "refined r2"]
    assert class_table(found.report).shape == (19, len(ARMS))
    assert list(fit_table(found.report).index) == ["201/1_neutral", "202/1_neutral", "all"]
    assert fit_label_table(found.report).shape == (4, 2)
    assert calibration_table(found.report).shape == (3, 1)


def test_without_truth_the_stage_is_green(found_without_truth, project_without_truth):
    report = found_without_truth.report
    assert report["truth"] is False and not found_without_truth.truth
    assert report["arms"]["refined"] == dict.fromkeys(STRATA)
    assert report["labels"]["raw"] == dict.fromkeys(STRATA)
    assert report["gain"]["all"] is None and report["fit"] is None
    assert report["calibration"] is None
    for table in (fit_table, fit_label_table, calibration_table):
        assert table(report).empty
    assert 0 <= report["agreement"]["refined"]["all"] <= 1
    assert set(found_without_truth.profiles[0].maps) == {"raw", "refined"}
    assert found_without_truth.before_after == []
    text = (project_without_truth.tables / "confusion.csv").read_text()
    assert text == "actual,predicted\n"
    for table in (headline_table, label_table, class_table, fit_table):
        assert table(report).empty
    assert not agreement_table(report).empty


def test_arms_come_from_the_last_round_that_has_them(project, rounds):
    files = arm_files(project, rounds)
    assert files["refined"].parent.name == "r2" and files["oracle"].parent.name == "oracle"
    shorter = {"r1": rounds["r1"]}
    assert "refined_novel" not in arm_files(project, shorter)
    assert arm_files(project, shorter)["refined"].parent.name == "r1"


def test_missing_checkpoint_is_named(project, rounds):
    more = {**rounds, "r3": {"parsers": "models/r2", "splats": "r1", "arms": ["refined"]}}
    with pytest.raises(LabelsplatError, match=r"models/r3/refined\.safetensors"):
        arm_files(project, more)
