"""The bootstrap against a plain loop and against scipy."""

import numpy as np
import pytest
import scipy.stats

from labelsplat.evaluate import draw_identities, interval, resampled_miou
from labelsplat.labels import CELEBAMASK, scores


@pytest.fixture
def confusions():
    """``[8, 19, 19]``: eight heads of different difficulty; two of them lack a class."""
    rng = np.random.default_rng(1)
    out = rng.integers(0, 30, (8, 19, 19))
    for i, matrix in enumerate(out):
        matrix[np.diag_indices(19)] += 60 + 50 * i
    out[:2, 10] = 0
    return out


def naive(confusions, counts):
    """One draw after the other, one head after the other."""
    values = []
    for row in counts:
        total = np.zeros(confusions.shape[1:])
        for times, matrix in zip(row, confusions, strict=True):
            for _ in range(int(times)):
                total += matrix
        values.append(scores(total, CELEBAMASK).miou)
    return np.array(values)


def test_resamples_equal_a_plain_loop(confusions):
    counts = draw_identities(8, 50, 0)
    np.testing.assert_allclose(
        resampled_miou(confusions, counts), naive(confusions, counts), rtol=1e-12
    )


def test_draws_are_with_replacement_and_of_full_size():
    counts = draw_identities(6, 4000, 3)
    assert counts.shape == (4000, 6)
    assert (counts.sum(1) == 6).all() and (counts >= 0).all()
    # Each head is left out of a draw with probability (5/6)^6.
    assert (counts == 0).mean() == pytest.approx((5 / 6) ** 6, abs=0.01)
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.06)


def test_same_seed_same_draws():
    assert (draw_identities(5, 20, 0) == draw_identities(5, 20, 0)).all()
    assert (draw_identities(5, 20, 0) != draw_identities(5, 20, 1)).any()


def test_interval_is_scipys_up_to_chance(confusions):
    ours = interval(resampled_miou(confusions, draw_identities(8, 6000, 0)))

    def miou(index):
        return scores(confusions[np.asarray(index, int)].sum(0), CELEBAMASK).miou

    theirs = scipy.stats.bootstrap(
        (np.arange(8),), miou, vectorized=False, method="percentile", n_resamples=3000,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours[0] == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
    assert ours[1] == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)


def test_pairing_takes_out_what_makes_a_head_hard(confusions):
    """The same parser with a little more of each right: a small, sure difference."""
    better = confusions.copy()
    better[:, np.arange(19), np.arange(19)] += 8
    counts = draw_identities(8, 1000, 0)
    a, b = resampled_miou(better, counts), resampled_miou(confusions, counts)
    paired = np.subtract(*interval(a - b)[::-1])
    unpaired = np.subtract(*interval(a - b[::-1])[::-1])
    assert interval(a - b)[0] > 0
    assert paired < 0.2 * unpaired


def test_interval_holds_its_share_of_the_samples():
    samples = np.random.default_rng(0).normal(size=10001)
    low, high = interval(samples, 0.8)
    assert ((samples >= low) & (samples <= high)).mean() == pytest.approx(0.8, abs=1e-3)


def test_interval_of_nothing_is_nan():
    assert np.isnan(interval(np.array([np.nan, np.nan]))).all()
    assert interval(np.array([np.nan, 2.0])) == (2.0, 2.0)


@pytest.mark.parametrize(("identities", "draws"), [(0, 10), (3, 0)])
def test_nothing_to_draw_is_an_error(identities, draws):
    with pytest.raises(ValueError):
        draw_identities(identities, draws, 0)
