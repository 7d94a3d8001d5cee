"""People as units: what is averaged over a person's photos, and what it weighs."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.study.rated_tables import person_means, rated_tables, rater_means


@pytest.fixture(scope="module")
def tables(rated):
    """24 photos of 15 people: nine have two photos, six have one."""
    _, ratings = rated(people=15)
    return rated_tables(ratings)


def test_each_photo_shows_the_person_of_the_key(tables):
    faces = tables.scored.drop_duplicates("image").set_index("image")["identity"]
    assert [tables.people[k] for k in tables.person] == faces[tables.images].tolist()
    assert sorted(np.bincount(tables.person)) == [1] * 6 + [2] * 9


def test_differences_are_means_over_a_persons_photos(tables):
    rows = tables.scored[tables.scored["method"].isin(["refined", "oracle"])]
    wide = rows.pivot_table(index=["rater", "identity", "image"], columns="method", values="rating")
    both = (wide["oracle"] - wide["refined"]).dropna().groupby(["rater", "identity"]).mean()
    expected = both.unstack().reindex(index=tables.raters, columns=tables.people).to_numpy()
    np.testing.assert_allclose(tables.differences("oracle", "refined"), expected)


def test_a_person_with_two_photos_counts_as_one_with_one(tables):
    whole = np.isfinite(tables.opinions).all((1, 2))
    means = rater_means(tables.person_opinions[whole])
    twice = np.bincount(tables.person) == 2
    photos = rater_means(tables.opinions[whole])
    for k in np.flatnonzero(twice):
        np.testing.assert_allclose(means[k], photos[tables.person == k].mean(0))
    assert means.shape == (15, 5)


def test_a_missing_photo_leaves_the_other_one():
    values = np.array([[1.0, np.nan, 5.0], [2.0, 4.0, np.nan]])
    found = person_means(values, np.array([0, 0, 1]), 2)
    np.testing.assert_array_equal(found, [[1.0, 5.0], [3.0, np.nan]])


def test_some_images_have_their_people_alone(tables):
    own = tables.of(tables.images[:3])
    assert own.people == [tables.people[k] for k in sorted(set(tables.person[:3]))]
    np.testing.assert_array_equal(
        [own.people[k] for k in own.person], [tables.people[k] for k in tables.person[:3]]
    )


def test_wins_of_a_person_are_those_of_the_photos(rated):
    _, ratings = rated(design="pairs", images=6, people=4)
    found = rated_tables(ratings)
    wins = found.wins()
    assert wins.shape[1] == 4 and wins.sum() == len(found.scored)
