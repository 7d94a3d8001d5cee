"""How a study is laid out, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from labelsplat.base import ParameterError, write_json
from labelsplat.study.package import DESIGNS
from labelsplat.study.selection import Selection


@dataclass(frozen=True)
class StudySettings:
    """How a study is laid out; checks itself.

    Attributes:
        design: ``acr`` (one label map a screen, rated 1 to 5) or ``pairs`` (two, which is better).
        images: photos to be rated.
        images_per_rater: of these each rater sees so many; 0 = all.
        pairs_per_image: pairs of methods that a rater sees of each photo (``pairs``).
        orders: raters that orders are made for; the next one begins at the first order again.
        absurd: screens with a label map that cannot be right.
        repeats: items that each rater sees a second time.
        practice: screens before the first rating; their answers are not kept.
        title: what raters read at the top.
        salt: words that only the analyst knows; all draws follow from them, too. "" = none: who
            has the same pictures can then rebuild the key.

    Raises:
        ParameterError: a value that allows no study.
    """

    design: str = "acr"
    images: int = 24
    images_per_rater: int = 0
    pairs_per_image: int = 5
    orders: int = 60
    absurd: int = 4
    repeats: int = 4
    practice: int = 3
    title: str = "How well do the colours fit the face?"
    salt: str = ""

    def __post_init__(self) -> None:
        if self.design not in DESIGNS:
            raise ParameterError(
                f"unknown design {self.design!r}",
                where="study.design",
                remedy=f"Expected one of {', '.join(DESIGNS)}",
            )
        least = {"images": 2, "pairs_per_image": 1, "orders": 1}
        for name in (
            "images", "images_per_rater", "pairs_per_image", "orders", "absurd", "repeats",
            "practice",
        ):  # fmt: skip
            value = getattr(self, name)
            low = least.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ParameterError(
                    f"{value!r}, expected a whole number of at least {low}", where=f"study.{name}"
                )
        if not isinstance(self.salt, str):
            raise ParameterError(
                f"{self.salt!r}, expected words", where="study.salt", remedy="Put it in quotes"
            )
        if self.images_per_rater == 1 or self.images_per_rater > self.images:
            raise ParameterError(
                f"{self.images_per_rater}, expected 0 (all) or 2 to {self.images} (study.images)",
                where="study.images_per_rater",
            )


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """What was prepared; stays with the analyst.

    Attributes:
        study: identifies it, as in the package, the key and the ratings.
        seed: that all draws follow from.
        settings: as used: cut down to what there is.
        methods: what is compared, in the order of the tables.
        selection: photos, rated and for practice.
        key: one row an item, as in the key file.
        orders: items of each rater, first to last.
        practice: items that everybody sees before.
        examples: of these, one whose colours fit and one whose colours do not, for the
            instructions; None where there are none.
        legend: (class in words, colour).
        notes: what differs from what was asked for, in sentences for people.
    """

    study: str
    seed: int
    settings: StudySettings
    methods: tuple[str, ...]
    selection: Selection
    key: pd.DataFrame
    orders: tuple[tuple[str, ...], ...]
    practice: tuple[str, ...]
    examples: tuple[str, str] | None
    legend: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def screens(self) -> int:
        """Screens that a rater answers, practice not counted."""
        return max(map(len, self.orders))

    @property
    def ratings(self) -> int:
        """Scored ratings of one rater, checks not counted."""
        return self.screens - self.settings.absurd - self.settings.repeats

    def write(self, path: str | Path, fixed: Mapping[str, Any]) -> None:
        """Write seed, settings, salt and numbers as JSON, whole or not at all.

        Args:
            path: of the file, beside the key; like the key it never travels with the package.
            fixed: what the analysis will be held to
                (:func:`labelsplat.study.fixed.fixed_beforehand`).
        """
        counts = self.key["kind"].value_counts().to_dict()
        write_json(
            path,
            {
                "study": self.study,
                "seed": self.seed,
                "settings": dataclasses.asdict(self.settings),
                "methods": list(self.methods),
                "images": len(self.selection.images),
                "identities": int(self.selection.images["identity"].nunique()),
                "screens": self.screens,
                "ratings": self.ratings,
                "items": {str(kind): int(count) for kind, count in sorted(counts.items())},
                "fixed": dict(fixed),
                "notes": list(self.notes),
            },
        )


def selection_table(plan: StudyPlan) -> pd.DataFrame:
    """Photos, people and items of each method, by stratum; last row: all of them."""
    images, items = plan.selection.images, plan.key[plan.key["kind"] == "item"]
    rows = {}
    for name in [*dict.fromkeys(images["stratum"]), None]:
        own = images if name is None else images[images["stratum"] == name]
        shown = items if name is None else items[items["stratum"] == name]
        counts = {
            method: int(((shown["method"] == method) | (shown["other_method"] == method)).sum())
            for method in plan.methods
        }
        title = "all" if name is None else name or "pose not known"
        rows[title] = {"photos": len(own), "people": own["identity"].nunique(), **counts}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stratum")


def people_table(plan: StudyPlan) -> pd.DataFrame:
    """Photos of each person, by stratum."""
    images = plan.selection.images
    strata = [name or "pose not known" for name in dict.fromkeys(images["stratum"])]
    table = pd.crosstab(images["identity"], images["stratum"].replace("", "pose not known"))
    return table[strata].assign(all=table.sum(axis=1)).rename_axis(columns=None)


def session_table(plan: StudyPlan) -> pd.DataFrame:
    """How often each method is shown in each block of a session, over all orders."""
    facts = plan.key.set_index("item")
    rows = []
    for order in plan.orders:
        scored = [item for item in order if facts.at[item, "kind"] == "item"]
        photos = len({facts.at[item, "image"] for item in scored})
        for i, item in enumerate(scored):
            for column in ("method", "other_method"):
                if facts.at[item, column]:
                    rows.append((facts.at[item, column], i // photos + 1))
    table = pd.DataFrame(rows, columns=["method", "block"])
    counts = pd.crosstab(table["method"], table["block"])
    return counts.loc[[name for name in plan.methods if name in counts.index]]
