"""Kept ratings as arrays over raters, images and methods: what means and tests are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelsplat.study.key import METHODS
from labelsplat.study.pairwise import preferences
from labelsplat.study.ratings import Ratings, grid


@dataclass(frozen=True, eq=False)
class RatedTables:
    """Scored ratings of one design.

    Attributes:
        scored: the rows.
        design: "acr" or "pairs".
        raters: R names, sorted.
        images: I names, sorted.
        methods: M names, in the order of :data:`~labelsplat.study.key.METHODS`.
        opinions: ``[R, I, M]`` ratings, NaN where there is none; of pairs all NaN.
    """

    scored: pd.DataFrame
    design: str
    raters: list[str]
    images: list[str]
    methods: list[str]
    opinions: np.ndarray

    def differences(self, a: str, b: str) -> np.ndarray:
        """``[R, I]`` rating of a less that of b; of pairs 1, 0, -1 for a, neither, b. NaN where
        one is missing."""
        if self.design == "acr":
            places = [self.methods.index(name) for name in (a, b)]
            return self.opinions[..., places[0]] - self.opinions[..., places[1]]
        found = preferences(self.scored, a, b)
        return grid(found, "difference", raters=self.raters, columns=self.images, by="image")

    def of(self, images: list[str]) -> RatedTables:
        """The same of some images."""
        places = [self.images.index(name) for name in images]
        rows = self.scored[self.scored["image"].isin(images)]
        return RatedTables(
            rows, self.design, self.raters, images, self.methods, self.opinions[:, places]
        )

    def image_means(self) -> np.ndarray:
        """``[I, M]`` mean rating by image and method, NaN where there is none."""
        known = np.isfinite(self.opinions)
        counts = known.sum(0)
        sums = np.where(known, self.opinions, 0.0).sum(0)
        return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def rated_tables(kept: Ratings) -> RatedTables:
    """The scored rows of some ratings as arrays."""
    scored = kept.scored
    used = set(scored["method"]) | set(scored["other_method"])
    raters, images = (sorted(scored[name].unique()) for name in ("rater", "image"))
    methods = [name for name in METHODS if name in used]
    opinions = np.full((len(raters), len(images), len(methods)), np.nan)
    if kept.design == "acr":
        for m, name in enumerate(methods):
            rows = scored[scored["method"] == name]
            opinions[..., m] = grid(rows, "rating", raters=raters, columns=images, by="image")
    return RatedTables(scored, kept.design, raters, images, methods, opinions)
