"""The crossed test: closed form, REML, and a plain dense REML that shares no code with them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from labelsplat.study.mixed import closed_form, crossed_test, holm
from labelsplat.study.reml import fit_reml


def table(seed, raters, images, rater=0.4, image=0.5, rest=0.8, mean=0.3):
    rng = np.random.default_rng(seed)
    return (
        mean
        + rng.normal(0, 1, (raters, 1)) * rater
        + rng.normal(0, 1, (1, images)) * image
        + rng.normal(0, rest, (raters, images))
    )


def dense_reml(values):
    """Mean, variance of the mean, Satterthwaite's df and the variances, by dense matrices."""
    rows, columns = np.nonzero(np.isfinite(values))
    y, n = values[rows, columns], len(rows)
    a = (rows[:, None] == rows).astype(float)
    b = (columns[:, None] == columns).astype(float)
    parts, ones = [a, b, np.eye(n)], np.ones(n)

    def inverse(sigma):
        return np.linalg.inv(sum(s * p for s, p in zip(sigma, parts, strict=True)))

    def loss(sigma):
        v = inverse(sigma)
        xx = ones @ v @ ones
        left = y - (ones @ v @ y) / xx
        return -np.linalg.slogdet(v)[1] + np.log(xx) + left @ v @ left

    found = optimize.minimize(
        loss, [0.1, 0.1, 0.5], bounds=[(0, None), (0, None), (1e-6, None)], method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    sigma = found.x
    v = inverse(sigma)
    xx = ones @ v @ ones
    p = v - np.outer(v @ ones, v @ ones) / xx
    kept = [k for k in range(3) if sigma[k] > 1e-7]
    information = np.array(
        [[0.5 * np.trace(p @ parts[i] @ p @ parts[j]) for j in kept] for i in kept]
    )
    slope = np.array([ones @ v @ parts[k] @ v @ ones / xx**2 for k in kept])
    df = 2 / xx**2 / (slope @ np.linalg.solve(information, slope))
    return (ones @ v @ y) / xx, 1 / xx, df, *sigma


@pytest.mark.parametrize("seed", range(4))
def test_incomplete_tables_agree_with_dense_reml(seed):
    values = table(seed, 8, 10, image=0.0 if seed == 2 else 0.5)
    values[np.random.default_rng(seed).random(values.shape) < 0.25] = np.nan
    found = fit_reml(values)
    ours = (found.mean, found.squared_error, found.df, found.rater, found.column, found.rest)
    np.testing.assert_allclose(ours, dense_reml(values), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("raters", "images", "parts"),
    [
        (24, 24, (0.3, 0.4, 0.8)),
        (6, 15, (0.5, 0.5, 0.5)),
        (5, 12, (1.0, 0.0, 0.3)),
        (12, 5, (0.0, 1.0, 0.3)),
        (9, 8, (0.0, 0.0, 1.0)),
    ],
)
def test_closed_form_and_reml_are_the_same_on_complete_tables(raters, images, parts):
    pooled = 0
    for seed in range(5):
        values = table(seed, raters, images, *parts)
        closed, reml = closed_form(values[None]), fit_reml(values)
        ours = [reml.mean, reml.squared_error, reml.df, reml.rater, reml.column, reml.rest]
        names = ("mean", "squared_error", "df", "rater", "person", "rest")
        theirs = [getattr(closed, name)[0] for name in names]
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        pooled += closed.rater[0] == 0 or closed.person[0] == 0
    if 0.0 in parts:
        assert pooled > 0  # the guard against negative variances was needed, and agreed


def test_closed_form_by_the_textbook():
    """Mean squares as in a two-way analysis of variance, term by term."""
    values = table(3, 5, 7)
    r, i = values.shape
    grand = values.mean()
    ms_r = i * sum((values[k].mean() - grand) ** 2 for k in range(r)) / (r - 1)
    ms_i = r * sum((values[:, k].mean() - grand) ** 2 for k in range(i)) / (i - 1)
    ms_e = sum(
        (values[k, m] - values[k].mean() - values[:, m].mean() + grand) ** 2
        for k in range(r) for m in range(i)
    ) / ((r - 1) * (i - 1))  # fmt: skip
    assert min(ms_r, ms_i) > ms_e  # nothing to pool here
    sum_ = ms_r + ms_i - ms_e
    df = sum_**2 / (ms_r**2 / (r - 1) + ms_i**2 / (i - 1) + ms_e**2 / ((r - 1) * (i - 1)))
    found = crossed_test(values)
    assert found.method == "closed form"
    assert found.se == pytest.approx(np.sqrt(sum_ / (r * i)))
    assert found.df == pytest.approx(df)
    assert found.p == pytest.approx(2 * stats.t.sf(grand / found.se, df))
    assert found.low == pytest.approx(grand - found.se * stats.t.ppf(0.975, df))
    assert found.components.rater == pytest.approx((ms_r - ms_e) / i)


def test_without_rater_and_rest_variance_it_is_a_t_test_over_images():
    """All raters say the same: only images are left to count."""
    means = np.random.default_rng(0).normal(0.4, 1, 12)
    found = crossed_test(np.tile(means, (9, 1)))
    expected = stats.ttest_1samp(means, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(11)


def test_many_tables_at_once_are_the_tables_one_by_one():
    tables = np.stack([table(s, 6, 8, rater=0.1 * s) for s in range(6)])
    found = closed_form(tables)
    for k, values in enumerate(tables):
        one = crossed_test(values)
        assert found.p[k] == pytest.approx(one.p)
        assert found.df[k] == pytest.approx(one.df)


def test_a_rater_who_rated_nothing_does_not_count():
    values = table(0, 5, 6)
    more = np.vstack([values, np.full(6, np.nan)])
    assert crossed_test(more) == crossed_test(values)


def test_gaps_take_reml():
    values = table(0, 6, 7)
    values[0, 0] = np.nan
    found = crossed_test(values)
    assert found.method == "REML"
    values[0, 0] = crossed_test(table(0, 6, 7)).difference
    assert found.difference == pytest.approx(np.nanmean(values), abs=0.05)


@pytest.mark.parametrize(
    "values",
    [np.zeros((0, 0)), np.ones((1, 9)), np.ones((9, 1)), np.full((4, 4), np.nan)],
)
def test_too_little_is_no_test(values):
    assert crossed_test(values) is None


def test_hardly_any_overlap_is_no_test():
    values = np.full((5, 5), np.nan)
    values[np.diag_indices(5)] = np.arange(5.0)
    assert crossed_test(values) is None


def test_differences_without_variance():
    assert crossed_test(np.zeros((4, 5))).p == 1
    found = crossed_test(np.full((4, 5), 2.0))
    assert found.p == 0 and found.low == found.high == 2
    gap = np.full((4, 5), 2.0)
    gap[0, 0] = np.nan
    assert crossed_test(gap).p == 0
    assert closed_form(np.zeros((2, 4, 5))).p.tolist() == [1, 1]


def test_closed_form_wants_complete_tables():
    with pytest.raises(ValueError, match="complete"):
        closed_form(np.full((1, 3, 3), np.nan))


def test_holm_by_hand():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert found == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_of_two_hills_the_higher_one_is_found():
    """Here the likelihood has one maximum inside and a higher one where raters do not differ."""
    n = np.nan
    values = np.array(
        [[n, n, 0, n], [n, 0, 0, -1], [1, -1, -1, -1], [2, n, n, n], [-1, n, n, -1], [n, -1, 0, 0]]
    )
    found = fit_reml(values)
    assert found.rater == 0 and found.column / found.rest == pytest.approx(0.2675, abs=0.001)
