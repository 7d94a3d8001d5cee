"""Confusion, IoU and F1 against pixel loops and torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from labelsplat.labels import CELEBAMASK, IGNORE, confusion, f1, iou, mean_score, scores


@pytest.fixture
def maps():
    """Prediction and truth, ``[3, 20, 30]``, agreeing on about half of the pixels."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 19, (3, 20, 30)).astype(np.uint8)
    wrong = rng.integers(0, 19, truth.shape).astype(np.uint8)
    return np.where(rng.random(truth.shape) < 0.5, truth, wrong), truth


def naive_confusion(prediction, truth, classes):
    out = np.zeros((classes, classes), int)
    for p, t in zip(prediction.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if IGNORE not in (p, t):
            out[t, p] += 1
    return out


def test_confusion_counts_pixels_rows_truth_columns_prediction(maps):
    prediction, truth = maps
    prediction[0, :3] = IGNORE
    truth[1, :4] = IGNORE
    found = confusion(prediction, truth, 19)
    np.testing.assert_array_equal(found, naive_confusion(prediction, truth, 19))
    assert found.dtype == np.int64


def test_confusion_equals_torchmetrics(maps):
    prediction, truth = (torch.from_numpy(m.astype(np.int64)) for m in maps)
    theirs = multiclass_confusion_matrix(prediction, truth, num_classes=19)
    np.testing.assert_array_equal(confusion(*maps, 19), theirs.numpy())


def test_iou_and_f1_equal_torchmetrics_class_by_class(maps):
    prediction, truth = (torch.from_numpy(m.astype(np.int64)) for m in maps)
    matrix = confusion(*maps, 19)
    theirs = multiclass_jaccard_index(prediction, truth, num_classes=19, average="none")
    np.testing.assert_allclose(iou(matrix), theirs.numpy(), rtol=1e-6)
    theirs = multiclass_f1_score(prediction, truth, num_classes=19, average="none")
    np.testing.assert_allclose(f1(matrix), theirs.numpy(), rtol=1e-6)


def test_a_class_counts_where_truth_has_it():
    truth = np.array([0, 0, 1, 1])
    prediction = np.array([0, 2, 1, 2])
    j = iou(confusion(prediction, truth, 4))
    np.testing.assert_allclose(j[:2], [0.5, 0.5])
    assert np.isnan(j[2])  # predicted, but nowhere true
    assert np.isnan(j[3])
    assert mean_score(j, np.arange(4)) == pytest.approx(0.5)
    assert np.isnan(mean_score(j, np.array([2, 3])))


def test_scores_are_of_the_sums_not_means_of_scores():
    one = confusion(np.array([1] * 9 + [0]), np.array([1] * 10), 2)
    two = confusion(np.array([0]), np.array([1]), 2)
    assert iou(one + two)[1] == pytest.approx(9 / 11)
    assert np.mean([iou(one)[1], iou(two)[1]]) != pytest.approx(9 / 11)


def test_batches_of_matrices_score_as_single_ones(maps):
    single = [confusion(p, t, 19) for p, t in zip(*maps, strict=True)]
    np.testing.assert_array_equal(iou(np.stack(single)), [iou(m) for m in single])


def test_mean_scores_leave_out_what_they_say(maps):
    matrix = confusion(*maps, 19)
    found = scores(matrix, CELEBAMASK)
    j, f = iou(matrix), f1(matrix)
    out = [CELEBAMASK.index(n) for n in ("eye_g", "ear_r", "neck_l", "hat")]
    kept = [i for i in range(19) if i not in out]
    assert found.miou == pytest.approx(j[kept].mean())
    assert found.f1 == pytest.approx(f[kept[1:]].mean())
    assert found.miou_all == pytest.approx(j.mean())
    assert found.f1_all == pytest.approx(f[1:].mean())
    assert found.iou_per_class["nose"] == pytest.approx(j[10])


def test_unscored_classes_stay_in_the_confusion():
    """Skin called glasses is still wrong skin."""
    skin, glasses = CELEBAMASK.index("skin"), CELEBAMASK.index("eye_g")
    truth = np.full(10, skin)
    found = scores(confusion(np.array([skin] * 6 + [glasses] * 4), truth, 19), CELEBAMASK)
    assert found.iou_per_class["skin"] == pytest.approx(0.6)


def test_nothing_scored_is_nan():
    found = scores(np.zeros((19, 19), int), CELEBAMASK)
    assert np.isnan([found.miou, found.f1, found.miou_all, found.f1_all]).all()


def test_bad_input_is_an_error():
    with pytest.raises(ValueError, match="shape"):
        confusion(np.zeros(3, int), np.zeros(4, int), 2)
    with pytest.raises(ValueError, match="label 7"):
        confusion(np.array([7]), np.array([0]), 2)
    with pytest.raises(ValueError, match="truth"):
        confusion(np.array([0]), np.array([2]), 2)
