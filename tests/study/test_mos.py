"""Mean opinion scores and the crossed bootstrap, against plain loops and known variances."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.study.mos import (
    crossed_draws,
    difference_interval,
    mean_opinions,
    percentile_interval,
    weighted_means,
)


@pytest.fixture
def ratings():
    """``[7, 9, 3]``: one rater skipped a third, one image has no ratings of one method."""
    rng = np.random.default_rng(0)
    out = rng.integers(1, 6, (7, 9, 3)).astype(float)
    out[3, rng.random((9, 3)) < 0.33] = np.nan
    out[:, 2, 1] = np.nan
    return out


def test_resamples_equal_a_plain_loop(ratings):
    raters, images = crossed_draws(7, 9, 20, 0)
    found = weighted_means(ratings, raters, images)
    for b in range(20):
        for m in range(3):
            values = [
                ratings[r, i, m]
                for r in range(7) for _ in range(int(raters[b, r]))
                for i in range(9) for _ in range(int(images[b, i]))
            ]  # fmt: skip
            assert found[b, m] == pytest.approx(np.nanmean(values))


def test_draws_are_with_replacement_and_seeded():
    raters, images = crossed_draws(6, 4, 3000, 1)
    assert (raters.sum(1) == 6).all() and (images.sum(1) == 4).all()
    assert (raters == 0).mean() == pytest.approx((5 / 6) ** 6, abs=0.01)
    assert (crossed_draws(6, 4, 3000, 1)[0] == raters).all()
    assert (crossed_draws(6, 4, 3000, 2)[0] != raters).any()
    # Raters are drawn without regard to images.
    assert abs(np.corrcoef(raters[:, 0], images[:, 0])[0, 1]) < 0.06


def test_means_are_of_all_ratings(ratings):
    found = mean_opinions(ratings, draws=400, seed=0)
    for m, estimate in enumerate(found):
        assert estimate.mean == pytest.approx(np.nanmean(ratings[..., m]))
        assert estimate.n == np.isfinite(ratings[..., m]).sum()
        assert estimate.low < estimate.mean < estimate.high


@pytest.mark.parametrize("source", ["raters", "images"])
def test_intervals_hold_the_variance_of_raters_and_of_images(source):
    """Where all of the variance is between raters (images), theory knows the standard error."""
    rng = np.random.default_rng(1)
    count = 40
    effect = rng.normal(0, 1, count)
    values = np.broadcast_to(effect[:, None] if source == "raters" else effect, (count, count))
    low, high = (lambda e: (e.low, e.high))(mean_opinions(values[..., None], draws=4000, seed=0)[0])
    assert high - low == pytest.approx(2 * 1.96 * effect.std() / np.sqrt(count), rel=0.06)


def test_a_difference_is_paired():
    """What makes raters generous and images easy drops out."""
    rng = np.random.default_rng(2)
    base = rng.normal(3, 1, (20, 1)) + rng.normal(0, 1, (1, 20))
    ratings = np.stack([base + 0.3 + rng.normal(0, 0.1, (20, 20)), base], -1)
    low, high = difference_interval(ratings, 0, 1, draws=1000, seed=0)
    assert 0.25 < low < 0.3 < high < 0.35
    one, _ = mean_opinions(ratings, draws=1000, seed=0)
    assert high - low < 0.1 * (one.high - one.low)


@pytest.mark.parametrize("shape", [(1, 9, 2), (5, 1, 2), (0, 0, 2)])
def test_too_few_raters_or_images_have_no_interval(shape):
    for estimate in mean_opinions(np.full(shape, 4.0), draws=50, seed=0):
        assert estimate.low is None and estimate.high is None
        assert estimate.mean == (4.0 if shape[0] else None)


def test_a_rater_without_ratings_changes_nothing(ratings):
    more = np.concatenate([ratings, np.full((1, 9, 3), np.nan)])
    assert mean_opinions(more, draws=100, seed=0) == mean_opinions(ratings, draws=100, seed=0)


def test_interval_of_nothing():
    assert percentile_interval(np.array([np.nan])) == (None, None)


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError):
        crossed_draws(0, 3, 10, 0)
