"""Reliability diagrams, and how well a measure finds the wrong pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from labelsplat.evaluate import calibrate, ranking, reliability, summarise_calibration
from labelsplat.labels import IGNORE


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 1, 5000)
    return rng.random(5000) < confidence**1.5, confidence


def test_calibration_error_is_that_of_torchmetrics(pixels):
    import torch

    correct, confidence = pixels
    # They take a probability of "right" that is at least a half as it is.
    above = confidence >= 0.5
    ours = reliability(correct[above], confidence[above])["ece"]
    theirs = binary_calibration_error(
        torch.from_numpy(confidence[above]), torch.from_numpy(correct[above].astype(int)), n_bins=10
    )
    assert ours == pytest.approx(float(theirs), abs=1e-5)


def test_an_honest_confidence_has_no_error():
    rng = np.random.default_rng(1)
    confidence = rng.random(200_000)
    assert reliability(rng.random(200_000) < confidence, confidence)["ece"] < 0.005


def test_bins_hold_all_pixels(pixels):
    rows = reliability(*pixels)["bins"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert all(a["confidence"] < b["confidence"] for a, b in itertools.pairwise(rows))
    one = reliability(np.array([True]), np.array([1.0]))
    assert one["ece"] == 0 and len(one["bins"]) == 1


def test_ranking_is_the_area_under_the_curve(pixels):
    import torch

    correct, confidence = pixels
    tied = np.round(confidence, 1)
    for measure in (1 - confidence, 1 - tied):
        theirs = binary_auroc(torch.from_numpy(measure), torch.from_numpy((~correct).astype(int)))
        assert ranking(correct, measure) == pytest.approx(float(theirs), abs=1e-6)
    assert ranking(np.ones(4, bool), np.arange(4)) is None


def test_easy_background_and_unlabelled_pixels_are_left_out():
    labels = np.array([[[0, 0, 1, 2, IGNORE, 3]]], np.uint8)
    truth = np.array([[[0, 1, 1, 0, 1, IGNORE]]], np.uint8)
    found = calibrate(labels, truth, {"confidence": np.arange(6.0).reshape(1, 1, 6)})
    assert found.correct.tolist() == [False, True, False]
    assert found.measures["confidence"].tolist() == [1, 2, 3]
    assert summarise_calibration(None) is None
