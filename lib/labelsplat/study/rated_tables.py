"""Kept ratings as arrays over raters, images, people and methods: what means and tests are made of.

Photos of one person are no independent samples of faces. So what is compared are a rater's means
over the photos of each person (:func:`person_means`): a person with two photos counts as one with
one does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelsplat.study.key import METHODS
from labelsplat.study.pairwise import count_wins, preferences
from labelsplat.study.ratings import Ratings, grid


@dataclass(frozen=True, eq=False)
class RatedTables:
    """Scored ratings of one design.

    Attributes:
        scored: the rows.
        design: "acr" or "pairs".
        raters: R names, sorted.
        images: I names, sorted.
        people: P names (the key's ``identity``), sorted.
        person: ``[I]`` int, whose face each image shows.
        methods: M names, in the order of :data:`~labelsplat.study.key.METHODS`.
        opinions: ``[R, I, M]`` ratings, NaN where there is none; of pairs all NaN.
    """

    scored: pd.DataFrame
    design: str
    raters: list[str]
    images: list[str]
    people: list[str]
    person: np.ndarray
    methods: list[str]
    opinions: np.ndarray

    @property
    def person_opinions(self) -> np.ndarray:
        """``[R, P, M]`` mean rating by rater, person and method, NaN where there is none."""
        return person_means(self.opinions, self.person, len(self.people))

    def photo_differences(self, a: str, b: str) -> np.ndarray:
        """``[R, I]`` rating of a less that of b; of pairs 1, 0, -1 for a, neither, b. NaN where
        one is missing."""
        if self.design == "acr":
            places = [self.methods.index(name) for name in (a, b)]
            return self.opinions[..., places[0]] - self.opinions[..., places[1]]
        found = preferences(self.scored, a, b)
        return grid(found, "difference", raters=self.raters, columns=self.images, by="image")

    def differences(self, a: str, b: str) -> np.ndarray:
        """``[R, P]`` mean of :meth:`photo_differences` over each person's photos."""
        return person_means(self.photo_differences(a, b), self.person, len(self.people))

    def wins(self) -> np.ndarray:
        """``[R, P, M, M]`` of pairs: preferences of each rater, summed over a person's photos."""
        found = count_wins(self.scored, self.methods, self.raters, self.images)
        of_person = np.eye(len(self.people))[self.person]
        return np.einsum("rimn,ip->rpmn", found, of_person)

    def of(self, images: list[str]) -> RatedTables:
        """The same of some images, and of the people on them."""
        places = [self.images.index(name) for name in images]
        rows = self.scored[self.scored["image"].isin(images)]
        kept, person = np.unique(self.person[places], return_inverse=True)
        return RatedTables(
            rows, self.design, self.raters, images, [self.people[k] for k in kept], person,
            self.methods, self.opinions[:, places],
        )  # fmt: skip


def rated_tables(kept: Ratings) -> RatedTables:
    """The scored rows of some ratings as arrays."""
    scored = kept.scored
    used = set(scored["method"]) | set(scored["other_method"])
    raters, images = (sorted(scored[name].unique()) for name in ("rater", "image"))
    faces = scored.drop_duplicates("image").set_index("image")["identity"].reindex(images)
    people, person = np.unique(faces.to_numpy(str), return_inverse=True)
    methods = [name for name in METHODS if name in used]
    opinions = np.full((len(raters), len(images), len(methods)), np.nan)
    if kept.design == "acr":
        for m, name in enumerate(methods):
            rows = scored[scored["method"] == name]
            opinions[..., m] = grid(rows, "rating", raters=raters, columns=images, by="image")
    return RatedTables(
        scored, kept.design, raters, images, people.tolist(), person, methods, opinions
    )


def person_means(values: np.ndarray, person: np.ndarray, people: int) -> np.ndarray:
    """Means over the photos of each person, of what is known.

    Args:
        values: ``[R, I, ...]``, NaN where there is none.
        person: ``[I]`` int, whose face each photo shows.
        people: P.

    Returns:
        ``[R, P, ...]``, NaN where no photo of a person has a value.
    """
    of_person = np.eye(people)[person]
    known = np.isfinite(values)
    counts = np.einsum("ri...,ip->rp...", known.astype(float), of_person)
    sums = np.einsum("ri...,ip->rp...", np.where(known, values, 0.0), of_person)
    return known_ratio(sums, counts)


def rater_means(values: np.ndarray) -> np.ndarray:
    """Means over raters of what is known: ``[R, ...]`` gives ``[...]``, NaN where there is none."""
    known = np.isfinite(values)
    return known_ratio(np.where(known, values, 0.0).sum(0), known.sum(0))


def known_ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """sums / counts, NaN where the count is zero."""
    return np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0)
