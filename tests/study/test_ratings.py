"""Ratings: what is wrong in a file is named with its line; what is right is joined with the key."""

from __future__ import annotations

import pandas as pd
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.study.package import ORIGINS, read_package
from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.ratings import grid, ratings_from_frame, read_ratings, write_ratings


@pytest.fixture(scope="module")
def made(make_study):
    return make_study(images=4)


@pytest.fixture
def answers(made):
    return simulate_panel(made.package, made.key, PanelSettings(raters=3, unfinished=0), 0)


def read(tmp_path, made, answers):
    path = tmp_path / "ratings.csv"
    write_ratings(path, answers)
    return read_ratings(path, made.package, made.key)


def test_a_file_gives_back_what_was_written(tmp_path, made, answers):
    found = read(tmp_path, made, answers)
    direct = ratings_from_frame(answers, made.package, made.key)
    pd.testing.assert_frame_equal(found.table, direct.table)
    assert found.origin == "simulation" and found.simulated
    assert found.raters == ["sim001", "sim002", "sim003"]
    assert len(found.table) == len(answers)
    # Each row says of its item what the key does.
    key = made.key.set_index("item")
    for name in ("kind", "image", "method", "stratum"):
        assert (found.table[name] == key.loc[found.table["item"], name].to_numpy()).all()
    assert set(found.scored["kind"]) == {"item"}


def test_only_people_drop_the_mark(tmp_path, made, answers, as_people):
    for origin in ORIGINS:
        rows = as_people(answers) if origin == "human" else answers.assign(origin=origin)
        found = read(tmp_path, made, rows)
        assert found.simulated == (origin != "human")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rating", "6", "rating 6, expected one of 1, 2, 3, 4, 5"),
        ("rating", "0", "rating 0"),
        ("rating", "3.5", "rating '3.5', expected a whole number"),
        ("rating", "", "rating ''"),
        ("item", "nosuchitem", "unknown item 'nosuchitem'"),
        ("study", "other", "study 'other', the package is of"),
        ("origin", "robot", "unknown origin 'robot'"),
        ("origin", "human", "origin 'human' in a table of origin 'simulation'"),
        ("origin", "script", "never analysed together"),
        ("rater", " ", "no rater"),
        ("position", "-1", "position '-1'"),
        ("seconds", "nan", "seconds 'nan'"),
        ("seconds", "-2", "seconds '-2'"),
        ("answered_at", "yesterday", "answered_at 'yesterday'"),
        ("answered_at", "2026-01-31T09:30:00", "expected UTC"),
    ],
)
def test_a_bad_value_is_named_with_file_and_line(tmp_path, made, answers, column, value, message):
    broken = answers.astype(str)
    broken.loc[5, column] = value
    with pytest.raises(LabelsplatError, match=r"ratings\.csv, line 7") as error:
        read(tmp_path, made, broken)
    assert message in str(error.value)


def test_an_item_rated_twice_names_both_lines(tmp_path, made, answers):
    twice = pd.concat([answers, answers.iloc[[2]]])
    with pytest.raises(LabelsplatError, match=rf"line {len(answers) + 2}: .*twice .*line 4"):
        read(tmp_path, made, twice)


def test_practice_items_do_not_count(tmp_path, made, answers):
    broken = answers.copy()
    broken.loc[0, "item"] = made.package.practice[0]
    with pytest.raises(LabelsplatError, match="practice"):
        read(tmp_path, made, broken)


def test_no_rating_at_all(tmp_path, made, answers):
    with pytest.raises(LabelsplatError, match=r"ratings.csv: no rating"):
        read(tmp_path, made, answers[:0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("study,rater\n", "no column 'origin'"),
        ("", "no column 'study'"),
        ("study,rater,origin,position,item,rating,seconds,answered_at\na,b\n", "line 2"),
        ("study,rater,origin,position,item,rating,seconds,answered_at\n\xff", "expected 8 values"),
    ],
)
def test_a_file_that_is_no_table(tmp_path, made, content, message):
    path = tmp_path / "odd.csv"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(LabelsplatError, match=r"odd\.csv") as error:
        read_ratings(path, made.package, made.key)
    assert message in str(error.value)


def test_a_binary_file_is_an_error_not_a_crash(tmp_path, made):
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00study")
    with pytest.raises(LabelsplatError, match=r"odd\.csv"):
        read_ratings(tmp_path / "odd.csv", made.package, made.key)


def test_another_key_is_refused(made, make_study, answers):
    other = make_study(images=4, seed=5)
    with pytest.raises(LabelsplatError, match="key is of study 'made5'"):
        ratings_from_frame(answers, made.package, other.key)
    with pytest.raises(LabelsplatError, match="not in the key"):
        ratings_from_frame(answers, read_package(made.root), made.key[1:])


def test_a_pair_is_one_unit_whichever_side_a_map_stood_on(rated):
    _, ratings = rated(design="pairs", images=6)
    table = ratings.scored
    for _, row in table.iterrows():
        left, right = row["method"], row["other_method"]
        assert row["unit"] == ":".join([row["image"], *sorted((left, right))])
        assert row["answer"] == (row["rating"] if left < right else -row["rating"])
    assert (table["method"] > table["other_method"]).any()


def test_grid_has_gaps_where_nobody_rated(rated):
    _, ratings = rated(images=4)
    rows = ratings.scored[lambda t: t["method"] == "refined"]
    images = sorted(rows["image"].unique())
    found = grid(rows[1:], "rating", raters=ratings.raters, columns=images, by="image")
    first = rows.iloc[0]
    for i, rater in enumerate(ratings.raters):
        for j, image in enumerate(images):
            own = rows[1:][lambda t, r=rater, m=image: (t["rater"] == r) & (t["image"] == m)]
            if len(own):
                assert found[i, j] == own["rating"].iloc[0]
            else:
                assert found[i, j] != found[i, j]
    assert found[ratings.raters.index(first["rater"]), images.index(first["image"])] != 0


@pytest.mark.parametrize("wrong", ["rater", "answered_at"])
def test_a_panel_that_is_said_to_be_people_is_refused(tmp_path, made, answers, as_people, wrong):
    rows = as_people(answers)
    rows[wrong] = answers[wrong]
    with pytest.raises(LabelsplatError, match=r"ratings\.csv, line 2.*simulated panel"):
        read(tmp_path, made, rows)


def test_two_people_under_one_name_are_refused(tmp_path, made, answers):
    """Two labs' exports joined: both have a first rater, and their orders differ."""
    names = {"sim001": "sim001", "sim002": "sim001"}
    cut = answers["position"] < 10
    first = (answers["rater"] == "sim001") & cut
    second = (answers["rater"] == "sim002") & ~cut
    joined = answers[first | second].assign(rater=lambda t: t["rater"].map(names))
    joined = joined.drop_duplicates("item")
    with pytest.raises(LabelsplatError, match="no order of the package has it there"):
        read(tmp_path, made, joined)


def test_a_position_twice_is_named(tmp_path, made, answers):
    broken = answers.copy()
    broken.loc[4, "position"] = 3
    with pytest.raises(LabelsplatError, match=r"line 6.*two items at position 3"):
        read(tmp_path, made, broken)


def test_an_item_at_another_position_is_named(tmp_path, made, answers):
    broken = answers.copy()
    broken.loc[[4, 5], "position"] = [5, 4]
    with pytest.raises(LabelsplatError, match=r"line [67].*rated item '.*' at position [45]"):
        read(tmp_path, made, broken)
