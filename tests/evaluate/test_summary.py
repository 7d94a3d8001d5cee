"""Gains, controls, shares of the gap, and what is null."""

from collections import Counter

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from labelsplat.evaluate import (
    Resamples,
    better_control,
    compare_views,
    difference,
    gap_share,
    join,
    miou,
    sample_confusion,
    summarise_arms,
    summarise_fit,
    summarise_labels,
)
from labelsplat.evaluate.summary import score_stratum
from labelsplat.labels import CELEBAMASK, STRATA

POSES = np.array([(0.0, 0.0), (45, 0), (80, 0), (0, 40)])  # nobody behind
HEADS = ("301/1_neutral", "302/1_neutral", "303/1_neutral")


def arm(right: float, seed: int = 0):
    """A parser that is right on a share of the pixels; also the maps themselves."""
    parts, maps = [], []
    for k, head in enumerate(HEADS):
        rng = np.random.default_rng([k, 99])
        truth = rng.integers(0, 19, (len(POSES), 12, 12)).astype(np.uint8)
        rng = np.random.default_rng([k, seed])
        wrong = rng.integers(0, 19, truth.shape).astype(np.uint8)
        share = right + 0.1 * k  # heads differ in difficulty
        labels = np.where(rng.random(truth.shape) < share, truth, wrong)
        parts.append(compare_views(head, list("abcd"), POSES, labels, truth))
        maps.append((labels, truth))
    return join(parts), maps


@pytest.fixture(scope="module")
def arms():
    levels = {"baseline": 0.2, "replay_only": 0.25, "self_training": 0.22, "refined": 0.5}
    levels |= {"oracle": 0.7}
    return {name: arm(level, i)[0] for i, (name, level) in enumerate(levels.items())}


def test_scores_equal_torchmetrics_on_all_pixels_at_once():
    views, maps = arm(0.5)
    found = score_stratum(views, "all", Resamples(views.identities, 10, 0))
    labels, truth = (
        torch.from_numpy(np.concatenate(m).astype(np.int64)) for m in zip(*maps, strict=True)
    )
    theirs = multiclass_jaccard_index(labels, truth, num_classes=19, average="none").numpy()
    assert found["miou"] == pytest.approx(theirs[CELEBAMASK.scored].mean(), rel=1e-6)
    assert found["miou_all"] == pytest.approx(theirs.mean(), rel=1e-6)
    theirs = multiclass_f1_score(labels, truth, num_classes=19, average="none").numpy()
    assert found["f1"] == pytest.approx(theirs[CELEBAMASK.scored[1:]].mean(), rel=1e-6)
    ears = theirs[[CELEBAMASK.index("l_ear"), CELEBAMASK.index("r_ear")]].mean()
    assert found["parts"]["ears"]["f1"] == pytest.approx(ears, rel=1e-6)
    assert found["low"] <= found["miou"] <= found["high"]


def test_gain_is_against_the_better_control(arms):
    report = summarise_arms(arms, list(arms), 200, 0)
    for s in ("standard", "extreme", "all"):
        rows = {name: report["arms"][name][s]["miou"] for name in arms}
        control = max(rows["baseline"], rows["replay_only"])
        assert report["gain"][s]["miou"] == rows["refined"] - control
        assert rows[report["control"][s]] == control
        assert report["over_self_training"][s]["miou"] == rows["refined"] - rows["self_training"]
        share = report["gain"][s]["miou"] / (rows["oracle"] - control)
        assert report["gap_recovered"][s] == pytest.approx(share)
        assert report["gain"][s]["low"] <= report["gain"][s]["miou"] <= report["gain"][s]["high"]


def test_control_may_change_from_stratum_to_stratum(arms):
    mixed = dict(arms)
    flipped = arms["baseline"].matrices.copy()
    flipped[arms["baseline"].inside("standard")] = arms["oracle"].matrices[
        arms["oracle"].inside("standard")
    ]
    mixed["baseline"] = type(arms["baseline"])(
        arms["baseline"].subjects, arms["baseline"].names, arms["baseline"].angles, flipped
    )
    assert better_control(mixed, "standard") == "baseline"
    assert better_control(mixed, "yaw60") == "replay_only"
    assert better_control(mixed, "behind") is None


def test_interval_of_a_difference_is_paired(arms):
    """Of a parser against itself: exactly nothing, however much heads differ."""
    resamples = Resamples(arms["refined"].identities, 100, 0)
    same = difference(arms["refined"], arms["refined"], "all", resamples)
    assert same == {"miou": 0.0, "low": 0.0, "high": 0.0}


def test_stratum_without_views_is_null(arms):
    report = summarise_arms(arms, list(arms), 20, 0)
    for key in ("control", "gain", "over_self_training", "gap_recovered"):
        assert report[key]["behind"] is None
        assert set(report[key]) == set(STRATA)
    assert all(rows["behind"] is None for rows in report["arms"].values())


def test_class_that_truth_lacks_is_null():
    views = compare_views(
        "1/x", ["a"], POSES[:1], np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    )
    found = score_stratum(views, "standard", Resamples(views.identities, 10, 0))
    assert found["per_class"]["background"] == {"iou": 1.0, "f1": 1.0}
    assert found["per_class"]["nose"] == {"iou": None, "f1": None}
    assert found["f1"] is None and found["parts"]["nose"]["iou"] is None


def test_one_identity_has_no_interval():
    views = arm(0.5)[0]
    alone = type(views)(views.subjects[:4], views.names[:4], views.angles[:4], views.matrices[:4])
    found = score_stratum(alone, "all", Resamples(alone.identities, 50, 0))
    assert found["miou"] is not None and found["low"] is None and found["high"] is None


@pytest.mark.parametrize(
    ("refined", "control", "oracle", "share"),
    [
        (0.5, 0.4, 0.6, 0.5),
        (0.7, 0.4, 0.6, 1.5),  # better than the oracle: not cut off
        (0.3, 0.4, 0.6, -0.5),
        (0.5, 0.4, 0.4199, None),
        (0.5, 0.4, 0.425, 4.0),
        (0.5, 0.4, 0.3, None),
        (0.5, 0.4, float("nan"), None),
    ],
)
def test_share_of_the_gap(refined, control, oracle, share):
    found = gap_share(refined, control, oracle)
    assert found is None if share is None else found == pytest.approx(share, rel=1e-9)


def test_arms_that_are_missing_leave_nulls(arms):
    few = {"baseline": arms["baseline"], "refined": arms["refined"]}
    report = summarise_arms(few, list(few), 20, 0)
    assert report["control"]["all"] == "baseline"
    assert report["gain"]["all"]["miou"] > 0
    assert report["gap_recovered"]["all"] is None
    assert report["over_self_training"]["all"] is None


def test_without_truth_all_is_null():
    report = summarise_arms(None, ["baseline", "refined"], 20, 0)
    assert report["arms"]["refined"] == dict.fromkeys(STRATA)
    labels = summarise_labels(None, ["r1", "r2"], 20, 0)
    assert labels["raw"] == labels["ceiling"] == labels["gain"] == dict.fromkeys(STRATA)
    assert set(labels["refined_by_round"]) == {"r1", "r2"}
    assert summarise_fit([]) is None


def test_labels_by_round(arms):
    counts = {"raw": arms["baseline"], "ceiling": arms["oracle"]}
    counts |= {"r1": arms["self_training"], "r2": arms["refined"]}
    found = summarise_labels(counts, ["r1", "r2"], 50, 0)
    assert found["refined"] == found["refined_by_round"]["r2"]
    gap = miou(arms["refined"], "all") - miou(arms["baseline"], "all")
    assert found["gain"]["all"]["miou"] == gap


def test_other_heads_cannot_be_compared(arms):
    with pytest.raises(ValueError, match="identities"):
        Resamples(["1", "2"], 10, 0).miou(arms["refined"], "all")


def test_sampled_pairs_stand_for_the_matrix():
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 10**6, (19, 19))
    matrix[3] = 0  # a class that truth lacks
    pairs = sample_confusion(matrix, rows=200)
    assert len(pairs) == 18 * 200
    counts = Counter(pairs)
    for i, actual in enumerate(CELEBAMASK.classes):
        for j, predicted in enumerate(CELEBAMASK.classes):
            if i != 3:
                share = matrix[i, j] / matrix[i].sum()
                assert abs(counts[actual, predicted] / 200 - share) <= 1 / 200
    assert pairs == sample_confusion(matrix, rows=200)
