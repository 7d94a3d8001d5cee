"""Bradley-Terry against a published example and against a general optimiser."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from labelsplat.study.pairwise import (
    bradley_terry,
    count_wins,
    has_maximum,
    log_strengths,
    preferences,
)

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    float,
)
"""American League, eastern division, 1987: Agresti (2002), Categorical Data Analysis, table 10.10
(rows won against columns)."""

PUBLISHED = (1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0)
"""The same, table 10.11, without home advantage; Baltimore is zero."""


def test_the_published_example():
    found = log_strengths(BASEBALL[None])[0]
    np.testing.assert_allclose(found - found[-1], PUBLISHED, atol=5e-3)
    assert found.sum() == pytest.approx(0)


def test_the_maximum_of_the_likelihood_with_ties():
    rng = np.random.default_rng(0)
    wins = rng.integers(1, 9, (4, 4)) + rng.integers(0, 2, (4, 4)) / 2
    np.fill_diagonal(wins, 0)

    def loss(logs):
        logs = np.append(logs, 0)
        return (wins * np.log1p(np.exp(logs - logs[:, None]))).sum()

    best = optimize.minimize(loss, np.zeros(3), tol=1e-12).x
    best = np.append(best, 0)
    np.testing.assert_allclose(log_strengths(wins[None])[0], best - best.mean(), atol=1e-5)


def test_many_tables_at_once():
    tables = np.stack([BASEBALL, BASEBALL.T, 2 * BASEBALL])
    found = log_strengths(tables)
    np.testing.assert_allclose(found[1], -found[0], atol=1e-8)
    np.testing.assert_allclose(found[2], found[0], atol=1e-8)


def test_without_a_maximum():
    wins = BASEBALL.copy()
    wins[-1] = 0  # who never wins is infinitely weak
    assert has_maximum(BASEBALL) and not has_maximum(wins)
    assert not has_maximum(np.zeros((3, 3)))
    assert has_maximum(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))  # round in a circle
    with pytest.raises(ValueError, match="maximum"):
        log_strengths(wins[None])
    assert bradley_terry(wins[None, None], draws=10, seed=0) is None


def test_counts_and_preferences_by_hand(rated):
    _, ratings = rated(design="pairs", images=6)
    rows = ratings.scored
    methods = ["baseline", "self_training", "refined", "oracle", "reference"]
    images = sorted(rows["image"].unique())
    wins = count_wins(rows, methods, ratings.raters, images)
    assert wins.sum() == len(rows)
    for a, name in enumerate(methods):
        left, right = (rows[k] == name for k in ("method", "other_method"))
        won = (left & (rows["rating"] == -1)).sum() + (right & (rows["rating"] == 1)).sum()
        tied = ((left | right) & (rows["rating"] == 0)).sum()
        assert wins[:, :, a].sum() == won + tied / 2
    found = preferences(rows, "refined", "baseline")
    assert (found["difference"] == 1).sum() + (found["difference"] == 0).sum() / 2 == pytest.approx(
        wins[:, :, 2, 0].sum()
    )
    np.testing.assert_array_equal(
        preferences(rows, "baseline", "refined")["difference"], -found["difference"]
    )


def test_intervals_hold_the_strength_and_are_seeded(rated):
    _, ratings = rated(design="pairs")
    methods = ["baseline", "self_training", "refined", "oracle", "reference"]
    wins = count_wins(
        ratings.scored, methods, ratings.raters, sorted(ratings.scored["image"].unique())
    )
    found = bradley_terry(wins, draws=200, seed=0)
    assert found == bradley_terry(wins, draws=200, seed=0)
    values = [s.value for s in found]
    assert values == sorted(values)  # f rises with mIoU, and so does the order of the methods
    assert all(s.low < s.value < s.high for s in found)


def test_one_rater_has_strengths_without_intervals():
    found = bradley_terry(BASEBALL[None, None], draws=10, seed=0)
    assert [s.low for s in found] == [None] * 7
