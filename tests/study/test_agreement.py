"""Agreement against published examples."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.study.agreement import correlations, intraclass, krippendorff_alpha, ratings_a_unit

N = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
        [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
    ]
)
"""Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C."""

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
).T
"""Shrout & Fleiss (1979), table 2: four judges, six targets."""


@pytest.mark.parametrize(
    ("metric", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_of_the_published_example(metric, published):
    assert krippendorff_alpha(KRIPPENDORFF, metric) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
def test_alpha_by_its_definition_over_pairs(metric):
    """Observed over expected disagreement, pair by pair instead of by coincidences."""
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (5, 20)).astype(float)
    ratings[rng.random(ratings.shape) < 0.2] = N
    units = [u[np.isfinite(u)] for u in ratings.T]
    units = [u for u in units if len(u) > 1]
    every = np.concatenate(units)

    def distance(a, b):
        if metric == "nominal":
            return float(a != b)
        if metric == "interval":
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = ((every >= low) & (every <= high)).sum()
        return (between - ((every == low).sum() + (every == high).sum()) / 2) ** 2

    observed = sum(
        distance(u[i], u[j]) / (len(u) - 1)
        for u in units for i in range(len(u)) for j in range(len(u)) if i != j
    ) / len(every)  # fmt: skip
    expected = sum(
        distance(every[i], every[j])
        for i in range(len(every)) for j in range(len(every)) if i != j
    ) / (len(every) * (len(every) - 1))  # fmt: skip
    assert krippendorff_alpha(ratings, metric) == pytest.approx(1 - observed / expected)


def test_alpha_of_agreement_and_of_chance():
    same = np.tile(np.arange(1.0, 6), (3, 4))
    assert krippendorff_alpha(same) == 1
    noise = np.random.default_rng(0).integers(1, 6, (6, 3000)).astype(float)
    assert krippendorff_alpha(noise) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("ratings", [np.ones((3, 4)), np.array([[1.0, 2.0]]), np.zeros((0, 0))])
def test_alpha_of_what_cannot_differ(ratings):
    assert krippendorff_alpha(ratings) is None


def test_unknown_metric():
    with pytest.raises(ValueError, match="ratio"):
        krippendorff_alpha(KRIPPENDORFF, "ratio")


def test_icc_of_the_published_example():
    one, several = intraclass(SHROUT_FLEISS)
    assert one == pytest.approx(0.29, abs=5e-3)
    assert several == pytest.approx(0.62, abs=5e-3)


def test_icc_with_gaps_is_near_the_complete_one():
    rng = np.random.default_rng(1)
    ratings = rng.normal(0, 1, (1, 80)) + rng.normal(0, 0.5, (10, 1)) + rng.normal(0, 1, (10, 80))
    complete = intraclass(ratings)
    gaps = np.where(rng.random(ratings.shape) < 0.1, N, ratings)
    assert intraclass(gaps) == pytest.approx(complete, abs=0.03)
    # One missing cell of many: REML's way and the mean squares' are the same estimate.
    ratings[0, 0] = N
    assert intraclass(ratings) == pytest.approx(complete, abs=3e-3)


@pytest.mark.parametrize("ratings", [np.ones((1, 5)), np.ones((4, 1)), np.ones((3, 3))])
def test_icc_of_too_little(ratings):
    assert intraclass(ratings) == (None, None)


def test_correlations_over_shared_units():
    found = correlations(KRIPPENDORFF)
    both = np.isfinite(KRIPPENDORFF[0]) & np.isfinite(KRIPPENDORFF[2])
    expected = np.corrcoef(KRIPPENDORFF[0, both], KRIPPENDORFF[2, both])[0, 1]
    assert found[0, 2] == found[2, 0] == pytest.approx(expected)
    assert (np.diag(found) == 1).all()
    assert np.isnan(correlations(np.ones((2, 5)))[0, 1])


def test_k_is_the_harmonic_mean_of_the_ratings_of_a_unit():
    """Half of the units rated by two raters, half by six; each unit's mean is as sure as it is."""
    rng = np.random.default_rng(0)
    ratings = rng.normal(0, 1, (6, 400)) + rng.normal(0, 1, 400)
    ratings[2:, ::2] = np.nan
    assert ratings_a_unit(ratings) == pytest.approx(2 / (1 / 2 + 1 / 6))
    assert ratings_a_unit(np.full((2, 3), np.nan)) is None
    one, several = intraclass(ratings)
    k = ratings_a_unit(ratings)
    # Spearman and Brown: from one rating to the mean of k.
    assert several == pytest.approx(k * one / (1 + (k - 1) * one), abs=0.01)
