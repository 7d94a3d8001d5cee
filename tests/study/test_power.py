"""Power, and the check that the primary test keeps its promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from labelsplat.base import ParameterError
from labelsplat.study.exclusion import ExclusionRules, apply_rules
from labelsplat.study.made import made_study
from labelsplat.study.mixed import Components, closed_form, crossed_test
from labelsplat.study.nullcheck import (
    binomial_interval,
    null_check,
    panel_differences,
    power_check,
    study_null_check,
)
from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.power import (
    PowerSettings,
    limit_power,
    raters_needed,
    simulated_power,
)
from labelsplat.study.rated_tables import rated_tables
from labelsplat.study.ratings import ratings_from_frame

PARTS = Components(0.05, 0.2, 0.8)


@pytest.mark.parametrize("raters", [4, 12])
def test_four_random_numbers_stand_for_a_whole_study(raters):
    """Power from mean and sums of squares, against studies simulated rating by rating."""
    images, difference, count = 10, 0.5, 2000
    rng = np.random.default_rng(0)
    tables = (
        difference
        + rng.normal(0, PARTS.rater**0.5, (count, raters, 1))
        + rng.normal(0, PARTS.person**0.5, (count, 1, images))
        + rng.normal(0, PARTS.rest**0.5, (count, raters, images))
    )
    share = (closed_form(tables).p < 0.05).mean()
    found = simulated_power(
        PARTS, raters=raters, people=images, difference=difference, simulations=20_000, seed=1
    )
    low, high = binomial_interval(found, count, 0.999)
    assert low <= share <= high


def test_many_raters_come_near_the_limit():
    limit = limit_power(PARTS, people=24, difference=0.3)
    found = simulated_power(
        PARTS, raters=5000, people=24, difference=0.3, simulations=20_000, seed=0
    )
    assert found == pytest.approx(limit, abs=0.015)
    # The limit is a t test over images; its power is known to scipy otherwise, too.
    t = stats.nct.rvs(23, 0.3 / np.sqrt(0.2 / 24), size=100_000, random_state=0)
    assert (np.abs(t) > stats.t.ppf(0.975, 23)).mean() == pytest.approx(limit, abs=0.006)
    assert limit_power(Components(0.1, 0.0, 1.0), people=24, difference=0.1) == 1


def test_the_limit_is_a_number_however_large_the_difference():
    shifts = np.linspace(0.1, 60, 600)
    limits = np.array(
        [limit_power(Components(0, 24.0, 1), people=24, difference=shift) for shift in shifts]
    )
    assert np.isfinite(limits).all() and limits.max() == 1
    assert (np.diff(limits) > -1e-9).all() and limits[0] == pytest.approx(0.0507, abs=2e-3)


def test_the_fewest_raters_with_the_power_asked_for():
    settings = PowerSettings(simulations=2000)
    found = raters_needed(PARTS, people=24, settings=settings, seed=0)
    curve = dict(found.curve)
    assert found.reason is None
    assert curve[found.raters_needed] == found.reached >= 0.8
    assert curve[found.raters_needed - 1] < 0.8
    shown = found.as_dict()
    assert shown["raters_needed"] == found.raters_needed
    assert shown["error"] == pytest.approx(np.sqrt(0.8 * 0.2 / 2000))
    assert found == raters_needed(PARTS, people=24, settings=settings, seed=0)


def test_more_raters_are_needed_for_less():
    few, many = (
        raters_needed(
            PARTS, people=24, settings=PowerSettings(difference=d, simulations=1000), seed=0
        ).raters_needed
        for d in (0.6, 0.3)
    )
    assert few < many


def test_where_images_set_the_limit_no_number_of_raters_is_given():
    parts = Components(0.05, 0.6, 0.8)
    found = raters_needed(parts, people=24, settings=PowerSettings(simulations=500), seed=0)
    assert found.raters_needed is None and found.reached is None
    assert "more people" in found.reason and f"{found.limit:.2f}" in found.reason


def test_where_the_search_ends_the_reason_says_so():
    settings = PowerSettings(simulations=500, most_raters=5)
    found = raters_needed(PARTS, people=24, settings=settings, seed=0)
    assert found.raters_needed is None
    assert found.reason == "more than 5 raters"


@pytest.mark.parametrize(
    "wrong", [{"difference": 0.0}, {"power": 1.0}, {"simulations": 10}, {"most_raters": 1}]
)
def test_impossible_settings(wrong):
    with pytest.raises(ParameterError, match=r"study\.power"):
        PowerSettings(**wrong)


# -- promises ------------------------------------------------------------------------------------


def test_panels_that_see_no_difference():
    """300 panels: the 99 % binomial interval of 5 % is wide (.02 to .083); the full check has
    1000."""
    found = null_check(panels=300, seed=0)
    assert (found.low, found.high) == binomial_interval(0.05, 300)
    assert found.inside and found.low <= found.rejected <= found.high
    assert found.difference == 0 and found.promised == 0.05
    assert null_check(panels=300, seed=0) == found


def test_panels_with_missing_answers():
    assert null_check(panels=60, raters=12, images=12, answered=0.8, seed=1).rejected <= 0.15


def test_the_null_check_would_notice_a_test_that_takes_images_as_fixed():
    """A t test over raters, as is often done, rejects far too often."""
    rng = np.random.default_rng(0)
    tables = panel_differences(PanelSettings(), 0.0, 300, 24, 24, rng)
    wrong = (stats.ttest_1samp(tables.mean(2), 0, axis=1).pvalue < 0.05).mean()
    assert wrong > binomial_interval(0.05, 300)[1] + 0.1


def test_a_known_difference_is_found_as_often_as_promised():
    found = power_check(panels=400, seed=0)
    assert 0.15 < found.difference < 0.3  # .3 before rounding and the ends of the scale
    assert 0.3 < found.promised < 0.95
    assert found.inside
    assert found.as_dict()["rejected"] == found.rejected


def test_as_many_raters_as_the_power_calculation_says():
    found = power_check(panels=400, worth=0.35, raters=None, seed=2)
    assert found.promised == pytest.approx(0.8, abs=0.03) and found.inside
    with pytest.raises(ParameterError, match="more people"):
        power_check(panels=10, worth=0.1, raters=None, images=10)


def test_the_panels_are_alike_but_for_the_worth():
    rng = np.random.default_rng(0)
    tables = panel_differences(PanelSettings(), 0.0, 400, 10, 10, rng)
    assert np.all(tables == np.rint(tables)) and np.abs(tables).max() <= 4
    assert tables.mean() == pytest.approx(0, abs=0.02)
    better = panel_differences(PanelSettings(), 0.5, 400, 10, 10, rng)
    assert 0.3 < better.mean() < 0.5


@pytest.mark.parametrize("wrong", [{"panels": 0}, {"raters": 1}, {"answered": 0.1}])
def test_impossible_checks(wrong):
    with pytest.raises(ParameterError):
        null_check(**wrong)


@pytest.mark.parametrize("people", [15, 7])
def test_photos_of_one_person_are_no_independent_faces(people):
    """Over people the test holds its level, over photos it would not."""
    panel = PanelSettings(person_share=1.0)
    found = null_check(panels=500, panel=panel, people=people, seed=0)
    assert found.inside and found.people == people
    rng = np.random.default_rng(0)
    tables = panel_differences(panel, 0.0, 500, 24, 24, rng, people=people)
    over_photos = (closed_form(tables).p < 0.05).mean()
    assert over_photos > binomial_interval(0.05, 500)[1]


def test_the_power_promised_with_several_photos_of_a_person_is_kept():
    found = power_check(panels=400, people=15, seed=0)
    assert found.inside and found.promised < power_check(panels=10, seed=0).promised


def test_the_whole_study_sees_no_difference_where_there_is_none():
    found = study_null_check(panels=15, raters=12, images=12, people=8, seed=0)
    assert found.inside and found.panels == 15
    again = study_null_check(panels=15, raters=12, images=12, people=8, seed=0)
    assert found == again


def test_the_whole_study_has_careless_raters_who_are_left_out_and_finds_a_difference():
    """The made-up study is no dummy: with other mIoU the same way ends in a rejection."""
    package, key = made_study(images=12, people=8, methods=("self_training", "refined"), seed=0)
    answers = simulate_panel(package, key, PanelSettings(raters=20), 0)
    ratings = ratings_from_frame(answers, package, key)
    left_out = apply_rules(ratings, package, ExclusionRules()).reasons
    assert 1 <= len(left_out) <= 4
    tables = rated_tables(ratings.without(left_out))
    assert tables.differences("refined", "self_training").shape == (20 - len(left_out), 8)
    assert crossed_test(tables.differences("refined", "self_training")).p < 0.05
