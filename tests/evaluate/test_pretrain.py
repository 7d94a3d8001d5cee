"""The baseline by itself: its scores, its calibration by pose, before and after."""

import numpy as np
import pytest

from labelsplat.evaluate import (
    Calibration,
    calibrate,
    calibration_errors,
    evaluate_line,
    pretrain_quality,
    pretrain_table,
    reliability,
    score_arms,
    sureness,
    true_heads,
)
from labelsplat.evaluate import pretrain as module
from labelsplat.evaluate.pretrain import POSES
from labelsplat.labels import CELEBAMASK, IGNORE, in_stratum, scores
from labelsplat.parsing import (
    Temperature,
    calibration_file,
    load_checkpoint,
    predict,
    save_temperature,
    temper,
)

SIZE = 24


@pytest.fixture
def temperature(project):
    """Of the project's baseline, for one test."""
    save_temperature(project.baseline, Temperature(2.5, 1.0, 0.5, 100))
    yield 2.5
    calibration_file(project.baseline).unlink()


def quality(project, views, **more):
    return pretrain_quality(
        project.baseline, views, project.test_photos, project.test_truth, SIZE, "cpu", **more
    )


@pytest.fixture(scope="module")
def views(project):
    files = {"baseline": project.baseline}
    return score_arms(files, project.test_photos, project.test_truth, SIZE, "cpu")["baseline"]


def pixels(project, pose, temperature=None):
    """Right or wrong, and the confidence, of all pixels of a pose that count, head by head."""
    net = load_checkpoint(project.baseline).net
    correct, sure = [], []
    for head in true_heads(project.test_photos, project.test_truth, SIZE):
        soft = predict(net, head.photos.images, flip=False, device="cpu")
        if temperature:
            soft = temper(soft, temperature)
        for angles, chances, truth in zip(head.photos.angles, soft, head.labels, strict=True):
            if not in_stratum(pose, *angles):
                continue
            label = chances.argmax(-1)
            counts = (truth != IGNORE) & ((label > 0) | (truth > 0))
            correct.append((label == truth)[counts])
            sure.append(chances.max(-1)[counts])
    return np.concatenate(correct), np.concatenate(sure)


@pytest.mark.parametrize("pose", POSES)
def test_errors_are_those_of_the_pixels_of_a_pose(project, views, temperature, pose):
    found = quality(project, views)
    errors = found["ece"]["by_pose"][pose]
    before, after = (reliability(*pixels(project, pose, t))["ece"] for t in (None, temperature))
    assert errors == {"before": pytest.approx(before), "after": pytest.approx(after)}
    assert before != after
    total = scores(views.total(pose), CELEBAMASK)
    assert found[pose] == {"miou": total.miou, "f1": total.f1}


def test_what_is_told(project, views, temperature):
    heads = []
    found = quality(project, views, progress=heads.append)
    assert found.keys() == {*POSES, "per_class", "ece", "temperature", "parameters"}
    assert found["temperature"] == temperature
    assert {k: found["ece"][k] for k in ("before", "after")} == found["ece"]["by_pose"]["all"]
    assert tuple(found["per_class"]) == CELEBAMASK.classes
    assert heads == ["301/1_neutral", "302/1_neutral", "303/1_neutral"]
    weights = load_checkpoint(project.baseline).net.parameters()
    assert found["parameters"] == sum(int(np.prod(w.shape)) for w in weights) > 1000
    table = pretrain_table({"pretrain": found})
    assert table.shape == (4, 4) and table.notna().all(axis=None)


def test_without_a_temperature_there_is_no_after(project, views):
    found = quality(project, views)
    assert found["temperature"] is None and found["ece"]["after"] is None
    assert 0 < found["ece"]["before"] < 1
    assert pretrain_table({"pretrain": None}).empty


def test_the_stage_writes_it(project, project_without_truth, rounds, temperature):
    settings = {"rounds": rounds, "size": SIZE, "em_epochs": 1, "bootstrap": 5, "device": "cpu"}
    report = evaluate_line(project, **settings, temperature="fitted", scales=(1.0, 1.5)).report
    assert report["pretrain"]["ece"]["after"] is not None
    for pose in POSES:
        for name in ("miou", "f1"):
            arm = report["arms"]["baseline"][pose]
            assert report["pretrain"][pose][name] == pytest.approx(arm[name])
    assert evaluate_line(project_without_truth, **settings).report["pretrain"] is None


def test_poses_without_views_and_views_without_poses():
    def part(right, sure):
        return Calibration(np.array(right), {"before": np.array(sure)})

    parts = {
        "standard": [part([True, True], [0.9, 0.9])],
        "unknown": [part([False, False], [0.9, 0.9])],
        "behind": [part([False], [1.0])],
    }
    assert calibration_errors(parts, "standard") == {"before": pytest.approx(0.1), "after": None}
    assert calibration_errors(parts, "all")["before"] == pytest.approx(0.4)
    assert calibration_errors(parts, "extreme") == {"before": None, "after": None}


def test_tempering_changes_how_sure_and_not_what_is_right():
    random = np.random.default_rng(0)
    soft = random.dirichlet(np.ones(19) * 0.2, (2, 8, 8)).astype(np.float32)
    truth = random.integers(0, 19, (2, 8, 8)).astype(np.uint8)
    found = sureness(soft, truth, 3.0)
    expected = calibrate(soft.argmax(-1).astype(np.uint8), truth, {"before": soft.max(-1)})
    assert np.array_equal(found.correct, expected.correct)
    assert np.array_equal(found.measures["before"], expected.measures["before"])
    assert (found.measures["after"] < found.measures["before"]).all()


def test_of_large_images_a_grid_counts(project, views, monkeypatch):
    everything = quality(project, views)["ece"]["before"]
    monkeypatch.setattr(module, "_GRID", 12)
    few = quality(project, views)["ece"]["before"]
    assert few != everything and few == pytest.approx(everything, abs=0.1)
