"""Photos are chosen by pose and person, by nothing else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.study.selection import choose_images, shares

STRATA = ("extreme", "middle", "standard")


def table(people: int = 16, **views: int) -> pd.DataFrame:
    """So many views of each stratum of each person."""
    views = views or {"standard": 6, "middle": 8, "extreme": 8, "behind": 4}
    rows = [
        (
            f"{301 + p}/1_neutral",
            f"{stratum}{v}",
            str(301 + p),
            "" if stratum == "none" else stratum,
        )
        for p in range(people)
        for stratum, count in views.items()
        for v in range(count)
    ]
    return pd.DataFrame(rows, columns=["subject", "view", "identity", "stratum"])


def choose(photos: pd.DataFrame, images: int = 24, practice: int = 3, seed: int = 0):
    return choose_images(photos, images=images, practice=practice, strata=STRATA, seed=seed)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("images", [24, 25, 40])
def test_strata_and_people_are_balanced_and_the_back_is_left_out(seed: int, images: int):
    found = choose(table(), images, seed=seed)
    strata = Counter(found.images["stratum"])
    assert set(strata) == set(STRATA) and max(strata.values()) - min(strata.values()) <= 1
    people = Counter(found.images["identity"])
    assert max(people.values()) - min(people.values()) <= 1
    assert len(people) == 15  # one is kept for practice
    assert not found.images.duplicated(["subject", "view"]).any()
    assert found.notes == ()


def test_what_cannot_be_shared_out_goes_to_extreme_poses():
    assert Counter(choose(table(), 25).images["stratum"])["extreme"] == 9


@pytest.mark.parametrize("seed", range(5))
def test_practice_shows_somebody_else(seed: int):
    found = choose(table(), seed=seed)
    assert len(found.practice) == 3
    assert not set(found.practice["identity"]) & set(found.images["identity"])


def test_where_people_are_few_practice_shows_other_photos_of_them():
    found = choose(table(people=3), 24)
    both = pd.concat([found.images, found.practice])
    assert len(both) == 27 and not both.duplicated(["subject", "view"]).any()
    assert found.images["identity"].nunique() == 3
    assert any("Practice" in note for note in found.notes)


def test_unknown_poses_balance_people_alone():
    found = choose(table(people=7, none=11))
    assert set(found.images["stratum"]) == {""}
    people = Counter(found.images["identity"])
    assert len(people) == 7 and max(people.values()) - min(people.values()) <= 1


def test_scores_cannot_matter():
    """The same photos with any column of scores, in any order of rows."""
    photos = table()
    rng = np.random.default_rng(0)
    scored = photos.assign(miou=rng.random(len(photos))).sample(frac=1, random_state=1)
    for left, right in zip(
        (choose(photos).images, choose(photos).practice),
        (choose(scored).images, choose(scored).practice),
        strict=True,
    ):
        assert (left[["subject", "view"]].to_numpy() == right[["subject", "view"]].to_numpy()).all()


def test_same_seed_same_photos():
    a, b, c = (choose(table(), seed=seed).images for seed in (4, 4, 5))
    assert a.equals(b) and not a.equals(c)


def test_a_stratum_that_lacks_photos_gives_its_places_to_others():
    photos = table(people=4, standard=6, middle=6, extreme=1)
    found = choose(photos, 24)
    assert Counter(found.images["stratum"]) == {"extreme": 4, "middle": 10, "standard": 10}
    assert shares({"a": 1, "b": 9, "c": 2}, 7) == {"a": 1, "b": 4, "c": 2}


def test_too_few_photos_are_said_and_far_too_few_refused():
    found = choose(table(people=5, standard=2), 24)
    assert len(found.images) == 10
    assert "24 photos were asked for, there are 10." in found.notes
    assert any("practice photos were asked for" in note for note in found.notes)
    with pytest.raises(LabelsplatError, match=r"study\.images: 5 photos"):
        choose(table(people=5, standard=1, behind=9), 24)
    assert len(choose(table(people=3, standard=1), 3, practice=0).images) == 3
