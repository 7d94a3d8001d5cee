"""Exclusion by rules: each rule finds whom it is for, and nobody else."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.study.exclusion import (
    REASONS,
    ExclusionRules,
    apply_rules,
    random_raters,
    repeat_points,
)
from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.ratings import ratings_from_frame

CAREFUL = PanelSettings(raters=5, inattentive=0, unfinished=0, lapse=0, noise_sd=0.2)


@pytest.fixture(params=["acr", "pairs"])
def study(request, make_study):
    made = make_study(design=request.param)
    answers = simulate_panel(made.package, made.key, CAREFUL, 0)
    return made, answers.merge(made.key[["item", "kind", "repeat_of"]], on="item")


def excluded(study, change=None, rules=None):
    made, answers = study
    answers = answers.copy()
    if change is not None:
        answers = change(answers)
    ratings = ratings_from_frame(answers, made.package, made.key)
    return apply_rules(ratings, made.package, rules or ExclusionRules())


def test_careful_raters_stay(study):
    found = excluded(study)
    assert found.reasons == {}
    counts = found.counts()
    assert counts["raters"] == 0 and counts["of"] == 5
    assert [counts[name] for name in REASONS] == [0, 0, 0, 0]


def test_absurd_items_more_than_allowed(study):
    made, answers = study
    absurd = answers.index[(answers["rater"] == "sim002") & (answers["kind"] == "absurd")]
    # Wrong: good for an absurd map; of pairs, the other side.
    wrong = 3 if made.package.design == "acr" else -1

    def fail(count):
        def change(answers):
            answers.loc[absurd[:count], "rating"] = wrong
            return answers

        return change

    assert excluded(study, fail(1)).reasons == {}
    assert excluded(study, fail(2)).reasons == {"sim002": ("absurd",)}
    assert excluded(study, fail(2)).checks.loc["sim002", "absurd"] == 2
    lenient = ExclusionRules(absurd_allowed=2)
    assert excluded(study, fail(2), lenient).reasons == {}


def test_repeats_that_differ(study):
    made, _ = study
    low, high = min(made.package.scale), max(made.package.scale)

    def change(answers):
        own = answers["rater"] == "sim003"
        first = own & answers["item"].isin(answers["repeat_of"])
        answers.loc[first, "rating"] = low
        answers.loc[own & (answers["kind"] == "repeat"), "rating"] = high
        return answers

    found = excluded(study, change)
    assert found.reasons == {"sim003": ("repeats",)}
    assert found.checks.loc["sim003", "repeats"] == high - low


def test_a_pair_that_comes_back_with_its_sides_changed(make_study):
    made = make_study(design="pairs")
    answers = simulate_panel(made.package, made.key, CAREFUL, 0)
    key = made.key.copy()
    repeat = key["kind"] == "repeat"
    sides = ["method", "other_method", "miou", "other_miou"]
    swapped = ["other_method", "method", "other_miou", "miou"]
    key.loc[repeat, sides] = key.loc[repeat, swapped].to_numpy()
    straight = apply_rules(
        ratings_from_frame(answers, made.package, made.key), made.package, ExclusionRules()
    )
    answers.loc[answers["item"].isin(key.loc[repeat, "item"]), "rating"] *= -1
    found = apply_rules(
        ratings_from_frame(answers, made.package, key), made.package, ExclusionRules()
    )
    np.testing.assert_allclose(found.checks["repeats"], straight.checks["repeats"])


def test_straight_lining(study):
    def change(answers):
        answers.loc[(answers["rater"] == "sim004") & (answers["kind"] == "item"), "rating"] = 1
        return answers

    found = excluded(study, change)
    assert "straight_lining" in found.reasons["sim004"]
    assert list(found.reasons) == ["sim004"]


def test_unfinished_sessions(study):
    def change(answers):
        own = answers[answers["rater"] == "sim005"]
        return answers.drop(own.index[int(0.79 * len(own)) :])

    found = excluded(study, change)
    assert found.reasons == {"sim005": ("incomplete",)}
    assert found.counts()["incomplete"] == 1


def test_one_rater_may_give_several_reasons_and_counts_once(rated):
    made, ratings = rated(PanelSettings(raters=30, inattentive=0.4, unfinished=0.1))
    counts = apply_rules(ratings, made.package, ExclusionRules()).counts()
    assert counts["incomplete"] == 3
    assert counts["raters"] > 3
    assert sum(counts[name] for name in REASONS) > counts["raters"]


@pytest.mark.parametrize(
    "wrong", [{"answered": 1.2}, {"absurd_allowed": -1}, {"repeat_difference": 1.5}]
)
def test_impossible_rules(wrong):
    with pytest.raises(ParameterError, match=r"study\.exclusion"):
        ExclusionRules(**wrong)


def test_the_limit_of_repeats_is_a_share_of_the_scale(make_study):
    assert repeat_points(ExclusionRules(), "acr") == 1.5
    assert repeat_points(ExclusionRules(), "pairs") == 0.75


def test_of_pairs_one_point_on_average_is_too_much(make_study):
    """1.5 points of 2 let nearly everybody pass."""
    made = make_study(design="pairs")
    answers = simulate_panel(made.package, made.key, CAREFUL, 0).merge(
        made.key[["item", "kind", "repeat_of"]], on="item"
    )
    own = answers["rater"] == "sim003"
    answers.loc[own & answers["item"].isin(answers["repeat_of"]), "rating"] = 0
    answers.loc[own & (answers["kind"] == "repeat"), "rating"] = 1
    found = apply_rules(
        ratings_from_frame(answers, made.package, made.key), made.package, ExclusionRules()
    )
    assert found.reasons == {"sim003": ("repeats",)}


@pytest.mark.parametrize("design", ["acr", "pairs"])
def test_few_random_raters_pass(make_study, design):
    made = make_study(design=design)
    found = random_raters(made.package, made.key, ExclusionRules(), raters=100, seed=0)
    again = random_raters(made.package, made.key, ExclusionRules(), raters=100, seed=0)
    assert found == again and found["raters"] == 100
    assert found["passed"] <= min(found["by_rule"].values())
    assert found["passed"] < 0.3 and found["by_rule"]["incomplete"] == 1
    # Four absurd items, one may be failed; of five (three) answers two (one) are right.
    right = 2 / 5 if design == "acr" else 1 / 3
    assert found["by_rule"]["absurd"] == pytest.approx(
        right**4 + 4 * right**3 * (1 - right), abs=0.12
    )
