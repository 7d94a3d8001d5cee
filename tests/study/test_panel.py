"""The simulated panel does what its formula says, and nobody can take it for people."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.study.panel import PanelSettings, absurd_side, miou_known, simulate_panel
from labelsplat.study.ratings import ratings_from_frame

EXACT = PanelSettings(
    raters=6, rater_sd=0, rater_method_sd=0, image_sd=0, item_sd=0, noise_sd=0, inattentive=0,
    unfinished=0, lapse=0,
)  # fmt: skip


def test_the_printed_formula_is_the_one_that_is_used():
    settings = PanelSettings(midpoint=0.4, slope=0.2)
    text = settings.describe()
    formula = text.split("=", 1)[1]
    for miou in (0.0, 0.31, 0.4, 0.9, 1.0):
        expected = eval(formula, {"exp": np.exp, "mIoU": miou})
        assert settings.value(miou) == pytest.approx(expected)


def test_f_rises_within_the_scale():
    values = PanelSettings().value(np.linspace(0, 1, 200))
    assert (np.diff(values) > 0).all()
    assert values[0] > 1 and values[-1] < 5
    assert PanelSettings().value(0.5) == pytest.approx(3)


def test_without_disturbance_a_rating_is_f_rounded(make_study):
    made = make_study()
    answers = simulate_panel(made.package, made.key, EXACT, 0)
    mious = made.key.set_index("item")["miou"][answers["item"]].to_numpy()
    np.testing.assert_array_equal(answers["rating"], np.rint(EXACT.value(mious)))


def test_answers_are_dated_to_1970_of_origin_simulation_and_in_the_packages_order(make_study):
    made = make_study()
    answers = simulate_panel(made.package, made.key, PanelSettings(raters=14, unfinished=0), 0)
    assert set(answers["origin"]) == {"simulation"}
    assert answers["answered_at"].str.startswith("1970-").all()
    for k, (_, rows) in enumerate(answers.groupby("rater", sort=True)):
        assert tuple(rows["item"]) == made.package.order(k)
        assert list(rows["position"]) == list(range(len(rows)))
    assert (answers["seconds"] > 0).all()


def test_same_seed_same_bytes(make_study):
    made = make_study()
    first, again, other = (
        simulate_panel(made.package, made.key, PanelSettings(), s).to_csv() for s in (3, 3, 4)
    )
    assert first == again != other


def test_shares_of_careless_raters_hold(make_study):
    made = make_study()
    settings = PanelSettings(raters=20, inattentive=0.2, unfinished=0.1)
    answers = simulate_panel(made.package, made.key, settings, 1)
    sizes = answers.groupby("rater").size()
    assert (sizes == len(made.package.orders[0]) // 2).sum() == 2
    assert (answers.groupby("rater")["rating"].nunique() == 1).sum() == 2


def test_disturbances_have_the_standard_deviations_asked_for(make_study):
    made = make_study(truth=False, images=60)
    for name, column in (("rater_sd", "rater"), ("image_sd", "image")):
        settings = PanelSettings(**{**vars(EXACT), "raters": 60, name: 0.5, "noise_sd": 0.6})
        answers = simulate_panel(made.package, made.key, settings, 0)
        rows = ratings_from_frame(answers, made.package, made.key).scored
        spread = rows.groupby(column)["rating"].mean().std()
        assert spread == pytest.approx(0.5, rel=0.3)  # of 60: .05 is chance


def test_without_truth_the_panel_is_blind_and_says_so(make_study):
    made = make_study(truth=False)
    assert not miou_known(made.key)
    answers = simulate_panel(made.package, made.key, EXACT, 0)
    rows = ratings_from_frame(answers, made.package, made.key).table
    assert set(rows.loc[rows["kind"] == "item", "rating"]) == {3}
    # An absurd map is absurd all the same.
    assert set(rows.loc[rows["kind"] == "absurd", "rating"]) == {1}
    assert "blind" in EXACT.describe(known=False)


@pytest.mark.parametrize("truth", [True, False])
def test_pairs_go_to_the_better_map_unless_they_look_alike(make_study, truth):
    made = make_study(design="pairs", truth=truth)
    answers = simulate_panel(made.package, made.key, EXACT, 0)
    rows = ratings_from_frame(answers, made.package, made.key).table
    items = rows[rows["kind"] == "item"]
    gap = EXACT.value(items["other_miou"]) - EXACT.value(items["miou"])
    expected = np.sign(gap) * (np.abs(gap) > EXACT.indifference) if truth else 0 * gap
    np.testing.assert_array_equal(items["rating"], np.nan_to_num(expected))
    absurd = rows[rows["kind"] == "absurd"]
    assert len(absurd) and set(absurd["rating"]) == {1}


def test_which_of_two_is_absurd_stands_in_the_key_whatever_the_scores_say(make_study):
    key = make_study(design="pairs").key[:3].copy()
    key["miou"], key["other_miou"] = [0.1, 0.8, np.nan], [0.8, 0.1, 0.0]
    key["absurd_side"] = ["right", "left", ""]
    assert absurd_side(key).tolist() == [1, 0, -1]
    assert absurd_side(key.assign(other_method="", absurd_side="")).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"raters": 0},
        {"slope": 0.0},
        {"lapse": 1.5},
        {"person_share": -0.1},
        {"inattentive": 0.7, "unfinished": 0.7},
    ],
)
def test_an_impossible_panel_is_an_error(wrong):
    with pytest.raises(ParameterError, match=r"study\.panel"):
        PanelSettings(**wrong)
