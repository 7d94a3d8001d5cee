"""Order and fatigue: what is put in is found, with its size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from labelsplat.study.effects import order_effects, rater_offsets, residuals, tenths_of_sessions

RATERS, ITEMS = 12, 60


def session(trend=0.0, faster=1.0, bias=0.0, seed=0):
    """Ratings (not rounded) with a trend over the session and times that change by a factor."""
    rng = np.random.default_rng(seed)
    worth = rng.normal(3, 1, ITEMS)
    rows = []
    for r in range(RATERS):
        order = rng.permutation(ITEMS)
        part = np.arange(ITEMS) / (ITEMS - 1)
        rows.append(
            pd.DataFrame(
                {
                    "rater": f"r{r:02d}",
                    "unit": [f"i{k}" for k in order],
                    "position": np.arange(ITEMS),
                    "rating": worth[order] + trend * part + bias * (r == 0)
                    + rng.normal(0, 0.3, ITEMS),
                    "seconds": 6 * faster**part * np.exp(rng.normal(0, 0.2, ITEMS)),
                    "method": "refined",
                    "other_method": "",
                }
            )
        )  # fmt: skip
    table = pd.concat(rows, ignore_index=True)
    return table.assign(answer=table["rating"])


def test_a_trend_and_a_change_of_speed_are_found():
    found = order_effects(session(trend=0.6, faster=0.5), "acr")
    # The others' ratings of the same item carry the mean trend, which a constant takes up.
    assert found["rating_trend"]["low"] < 0.6 < found["rating_trend"]["high"]
    assert found["rating_trend"]["p"] < 1e-4
    assert found["rating_thirds"]["value"] == pytest.approx(0.6 * 2 / 3, abs=0.1)
    assert found["seconds_trend"]["low"] < 0.5 < found["seconds_trend"]["high"]
    assert found["seconds_thirds"]["value"] == pytest.approx(0.5 ** (2 / 3), abs=0.06)
    assert set(found) == {"rating_trend", "rating_thirds", "seconds_trend", "seconds_thirds"}


def test_where_nothing_changes_intervals_hold_nothing_at_the_promised_rate():
    found = [order_effects(session(seed=s), "acr") for s in range(60)]
    for name, none in (("rating_trend", 0.0), ("seconds_trend", 1.0)):
        held = [row[name]["low"] <= none <= row[name]["high"] for row in found]
        assert np.mean(held) >= 0.85  # 95 % asked; P(fewer than 85 % of 60) < .001


def test_generosity_is_no_trend_and_is_found_as_such():
    table = session(bias=1.0)
    assert order_effects(table, "acr")["rating_trend"]["p"] > 0.01
    offsets = rater_offsets(table, sorted(table["rater"].unique()))
    assert offsets[0] == pytest.approx(1.0, abs=0.15)
    assert np.abs(offsets[1:]).max() < 0.3
    assert np.isnan(rater_offsets(table, ["r00", "nobody"])[1])


def test_residuals_leave_the_rater_out_of_the_mean():
    table = pd.DataFrame(
        {"rater": ["a", "b", "c", "a"], "unit": ["x", "x", "x", "y"], "rating": [1.0, 2, 6, 4]}
    ).assign(answer=lambda t: t["rating"], method="m", other_method="")
    np.testing.assert_allclose(residuals(table), [-3, -1.5, 4.5, np.nan])


def test_residuals_of_pairs_are_a_lean_to_the_right(rated):
    _, ratings = rated(design="pairs", images=6)
    table = ratings.scored
    found = residuals(table)
    for i in np.random.default_rng(0).choice(len(table), 20, replace=False):
        row = table.iloc[i]
        others = table[(table["unit"] == row["unit"]) & (table["rater"] != row["rater"])]
        same_side = others["method"] == row["method"]
        seen = np.where(same_side, others["rating"], -others["rating"])
        assert found[i] == pytest.approx(row["rating"] - seen.mean())


def test_a_habit_of_one_side_is_found(rated):
    _, ratings = rated(design="pairs")
    table = ratings.scored.assign(rating=lambda t: np.where(t["position"] % 3 == 0, 1, t["rating"]))
    found = order_effects(table, "pairs")["side"]
    assert found["low"] > 0.1
    assert found["value"] - order_effects(ratings.scored, "pairs")["side"]["value"] > 0.2


def test_along_a_session_by_tenths():
    found = tenths_of_sessions(session(trend=0.6, faster=0.5))
    assert list(found.index) == list(range(10))
    assert found["rating"].iloc[-1] - found["rating"].iloc[0] == pytest.approx(0.54, abs=0.15)
    assert found["seconds"].iloc[0] == pytest.approx(6, rel=0.15)
    assert found["seconds"].iloc[-1] == pytest.approx(3, rel=0.15)


def test_one_rater_has_reasons_instead_of_figures():
    table = session()
    found = order_effects(table[table["rater"] == "r00"], "acr")
    for name, row in found.items():
        assert row["value"] is None and row["reason"], name


def test_a_trend_that_all_raters_share_is_found_with_its_size_in_balanced_orders():
    """Two raters see everything the other way round; the others' mean would double the trend."""
    rows = []
    for r in range(4):
        order = np.arange(ITEMS) if r % 2 else np.arange(ITEMS)[::-1]
        part = np.arange(ITEMS) / (ITEMS - 1)
        rows.append(
            pd.DataFrame(
                {
                    "rater": f"r{r}", "unit": [f"i{k}" for k in order],
                    "position": np.arange(ITEMS), "rating": np.sin(order) + 0.6 * part,
                    "seconds": 5.0, "method": "refined", "other_method": "",
                }
            )
        )  # fmt: skip
    table = pd.concat(rows, ignore_index=True).assign(answer=lambda t: t["rating"])
    found = order_effects(table, "acr")
    assert found["rating_trend"]["value"] == pytest.approx(0.6)
    assert found["rating_thirds"]["value"] == pytest.approx(0.6 * 40 / 59)
    # Two raters' slopes are one and the same: no interval.
    two = table[table["rater"].isin(["r0", "r1"])]
    assert order_effects(two, "acr")["rating_trend"]["value"] is None
