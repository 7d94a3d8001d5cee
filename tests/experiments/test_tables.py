"""Which method was best: the table and the sentences say what the rows say."""

from __future__ import annotations

import pytest

from labelsplat.experiments import best_table, noise_findings

SCORES = {
    # (kind, rate, labelled views): noisy, vote, lift, joint, two_models
    ("pixels", 0.3, 11): (0.2, 0.5, 0.6, 0.8, 0.7),
    ("pixels", 0.1, 11): (0.4, 0.5, 0.7, 0.8, 0.9),
    ("pixels", 0.3, 3): (0.2, 0.65, 0.5, 0.6, 0.55),
    ("systematic", 0.1, 11): (0.9, 0.5, 0.7, 0.65, 0.6),
    ("systematic", 0.3, 11): (0.4, 0.2, 0.6, 0.45, 0.58),
}
METHODS = ("noisy", "vote", "lift", "joint", "two_models")


def report(half=0.03, scores=SCORES, methods=METHODS):
    rows = []
    for (kind, rate, views), values in scores.items():
        for method, value in zip(METHODS, values, strict=True):
            if method in methods:
                ends = {"low": None, "high": None}
                if value is not None and half:
                    ends = {"low": value - half, "high": value + half}
                row = {"kind": kind, "rate": rate, "labelled_views": views, "method": method}
                rows.append({**row, "miou": value, **ends})
    return {"commit": "x", "rows": rows}


def test_a_row_each_condition():
    table = best_table(report())
    assert list(table.index) == list(SCORES)
    row = table.loc[("pixels", 0.3, 11)]
    assert row["best method"] == "joint" and row["its mIoU"] == "0.800 [0.770, 0.830]"
    assert row["as given"].startswith("0.200") and row["the lift's"].startswith("0.600")
    assert row["lift - fitted"] == "-0.200" and row["intervals"] == "apart"
    # A vote may be best, and labels as given never are.
    assert table.loc[("pixels", 0.3, 3), "best method"] == "vote"
    assert table.loc[("pixels", 0.3, 3), "the fitted models'"].startswith("0.600")
    assert table.loc[("systematic", 0.1, 11), "best method"] == "lift"
    assert table.loc[("systematic", 0.3, 11), "lift - fitted"] == "+0.020"
    assert table.loc[("systematic", 0.3, 11), "intervals"] == "overlap"


@pytest.mark.parametrize(("half", "word"), [(0.04, "apart"), (0.06, "overlap"), (None, "")])
def test_intervals_that_touch_or_are_missing(half, word):
    table = best_table(report(half, {("flips", 0.5, 11): (0.9, 0.1, 0.5, 0.4, 0.3)}))
    assert table["intervals"].tolist() == [word]


def test_sentences_name_winners_and_where_nothing_helps():
    assert noise_findings(report()) == [
        "pixels: best two_models at 0.1, joint at 0.3.",
        "systematic: best lift at 0.1 and 0.3; "
        "no method was better than the labels as given at 0.1.",
    ]


def test_methods_that_were_not_tried_or_have_no_score():
    found = report(methods=("noisy", "vote", "lift"))
    assert set(best_table(found)["best method"]) == {"lift", "vote"}
    assert set(best_table(found)["lift - fitted"]) == {""} == set(best_table(found)["intervals"])
    rates = {("flips", rate, 11): (0.1,) * 2 + (0.5,) + (0.2,) * 2 for rate in (0.5, 0.1, 0.3)}
    assert noise_findings(report(scores=rates)) == ["flips: best lift at 0.1, 0.3 and 0.5."]
    unknown = report(scores={("pixels", 0.1, 11): (None,) * 5})
    assert best_table(unknown)["best method"].tolist() == [""]
    assert noise_findings(unknown) == ["pixels: nothing to compare."]
