"""From posteriors to label maps."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.refine import (
    RefineSettings,
    area_factors,
    decide,
    discretise,
    ear_factors,
    remove_specks,
)


def starved() -> np.ndarray:
    """A posterior in which class 7 (l_ear) is a minority in a whole region, so never wins."""
    posterior = np.zeros((1, 32, 32, 19), np.float32)
    posterior[..., 1] = 1
    share = np.linspace(0.25, 0.45, 16, dtype=np.float32)[:, None]
    posterior[0, 8:24, 8:24, 7] = share
    posterior[0, 8:24, 8:24, 1] = 1 - share
    return posterior


def test_area_factors_give_a_starved_class_its_area_back():
    posterior = starved()
    assert (posterior.argmax(-1) != 7).all()
    factors = area_factors([posterior])
    labels, _ = discretise(posterior, factors)
    mass = posterior[..., 7].sum()
    assert 0.7 * mass < (labels == 7).sum() < 1.3 * mass


def test_ear_factors_touch_nothing_but_ears_and_never_shrink_them():
    factors = ear_factors([starved()], CELEBAMASK)
    ears = [CELEBAMASK.index("l_ear"), CELEBAMASK.index("r_ear")]
    others = np.delete(factors, ears)
    assert factors[ears[0]] > 1 and (factors[ears] >= 1).all()
    np.testing.assert_array_equal(others, 1)


def test_discretise_ignores_the_unsure_and_reports_the_chosen_posterior():
    posterior = np.array([[[0.5, 0.5 - 1e-3, 1e-3], [0.1, 0.85, 0.05]]], np.float32)
    labels, sure = discretise(posterior, ignore_below=0.6)
    np.testing.assert_array_equal(labels, [[IGNORE, 1]])
    np.testing.assert_allclose(sure, [[0.5, 0.85]], rtol=1e-5)


def test_specks_go_to_the_next_class_and_parts_stay():
    labels = np.ones((64, 64), np.uint8)
    labels[5:25, 5:25] = 2
    labels[40, 40] = 2  # speck of a class that has a larger part
    labels[50, 50] = 3  # the only pixel of its class: stays
    posterior = np.zeros((64, 64, 4), np.float32)
    np.put_along_axis(posterior, labels[..., None].astype(int), 0.6, -1)
    posterior[..., 1] += 0.3
    out = remove_specks(labels, posterior)
    expected = labels.copy()
    expected[40, 40] = 1
    np.testing.assert_array_equal(out, expected)


def test_cleaned_up_pixels_have_the_confidence_of_their_new_class():
    posterior = np.tile(np.float32([0.1, 0.7, 0.2]), (1, 128, 128, 1))
    posterior[0, :10, :10] = [0.0, 0.3, 0.7]
    posterior[0, 20, 20] = [0.1, 0.3, 0.6]  # a speck of the class above
    ones = np.ones(3, np.float32)
    labels, sure = decide(posterior, ones, RefineSettings(clean_up=True))
    assert labels[0, 20, 20] == 1 and sure[0, 20, 20] == pytest.approx(0.3)
    np.testing.assert_allclose(sure[0, :10, :10], 0.7)
    _, before = decide(posterior, ones, RefineSettings(clean_up=False))
    assert before[0, 20, 20] == pytest.approx(0.6)
