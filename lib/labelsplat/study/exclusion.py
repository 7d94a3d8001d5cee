"""Who did not look: exclusion by rules that are fixed before anyone rates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError
from labelsplat.study.package import RATING_COLUMNS, SCALES, Package
from labelsplat.study.panel import absurd_side
from labelsplat.study.ratings import Ratings, ratings_from_frame

REASONS = ("absurd", "repeats", "straight_lining", "incomplete")
"""Why a rater's answers are left out; one rater may give several reasons."""

PASSES_AS_GOOD = 3
"""An absurd map that is rated so, or better, was not looked at."""


@dataclass(frozen=True)
class ExclusionRules:
    """Limits; who exceeds one is left out as a whole.

    Attributes:
        absurd_allowed: absurd items that may be failed (rated 3 or better; of pairs: not decided
            for the other map).
        repeat_difference: share of the scale's range by which answers to repeated items may differ
            on average (.375: 1.5 points from 1 to 5, .75 from -1 to 1).
        straight_lining: share of answers that may be the same.
        answered: share of the items that must be answered.
    """

    absurd_allowed: int = 1
    repeat_difference: float = 0.375
    straight_lining: float = 0.95
    answered: float = 0.8

    def __post_init__(self) -> None:
        for name in ("repeat_difference", "straight_lining", "answered"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(
                    f"{name} is {getattr(self, name)}, expected 0 to 1", where="study.exclusion"
                )
        if self.absurd_allowed < 0:
            raise ParameterError(
                f"absurd_allowed is {self.absurd_allowed}, expected a number from 0",
                where="study.exclusion",
            )


@dataclass(frozen=True, eq=False)
class Exclusion:
    """Who is left out.

    Attributes:
        reasons: reasons by rater, only of those who are left out.
        checks: one row a rater, sorted: ``absurd`` (failed items), ``repeats`` (mean difference in
            points), ``straight_lining`` (share of the most frequent answer), ``incomplete`` (share
            answered); NaN where there is nothing to check.
        rules: that were applied.
        raters: how many there were.
    """

    reasons: dict[str, tuple[str, ...]]
    checks: pd.DataFrame
    rules: ExclusionRules
    raters: int

    def counts(self) -> dict[str, Any]:
        """How many raters were left out, and how many by each reason, as JSON."""
        by_reason = {
            name: sum(name in reasons for reasons in self.reasons.values()) for name in REASONS
        }
        return {
            "raters": len(self.reasons),
            "of": self.raters,
            **by_reason,
            "rules": asdict(self.rules),
        }


def apply_rules(ratings: Ratings, package: Package, rules: ExclusionRules) -> Exclusion:
    """Hold every rater against the rules.

    The number of items that a rater should answer is that of the package's shortest order.
    """
    expected = min(map(len, package.orders))
    most = repeat_points(rules, ratings.design)
    checks = {
        rater: _check(rows, ratings.design, expected)
        for rater, rows in ratings.table.groupby("rater", sort=True)
    }
    reasons = {}
    for rater, found in checks.items():
        # Comparisons with NaN are false: nothing to check excludes nobody.
        broken = {
            "absurd": found["absurd"] > rules.absurd_allowed,
            "repeats": found["repeats"] > most,
            "straight_lining": found["straight_lining"] > rules.straight_lining,
            "incomplete": found["incomplete"] < rules.answered,
        }
        if any(broken.values()):
            reasons[rater] = tuple(name for name in REASONS if broken[name])
    frame = pd.DataFrame.from_dict(checks, orient="index", columns=list(REASONS), dtype=float)
    return Exclusion(reasons, frame, rules, len(checks))


def repeat_points(rules: ExclusionRules, design: str) -> float:
    """Points by which answers to repeated items may differ on average, on the design's scale."""
    return rules.repeat_difference * (max(SCALES[design]) - min(SCALES[design]))


def random_raters(
    package: Package, key: pd.DataFrame, rules: ExclusionRules, *, raters: int = 300, seed: int
) -> dict[str, Any]:
    """What the rules make of raters who answer everything at random: how good are these rules?

    Returns:
        ``raters``, how many were simulated, the share that passes all rules (``passed``), and
        ``by_rule`` the share that passes each.
    """
    rng = np.random.default_rng([*b"random", seed])
    orders = [package.order(rater) for rater in range(raters)]
    answers = pd.DataFrame(
        {
            "study": package.study,
            "rater": [f"sim{r + 1:03d}" for r, order in enumerate(orders) for _ in order],
            "origin": "simulation",
            "position": np.concatenate([np.arange(len(order)) for order in orders]),
            "item": [item for order in orders for item in order],
            "rating": rng.choice(sorted(package.scale), sum(map(len, orders))),
            "seconds": 1.0,
            "answered_at": "1970-01-01T00:00:00Z",
        }
    )[list(RATING_COLUMNS)]
    found = apply_rules(ratings_from_frame(answers, package, key), package, rules)
    counts = found.counts()
    return {
        "raters": raters,
        "passed": 1 - counts["raters"] / raters,
        "by_rule": {name: 1 - counts[name] / raters for name in REASONS},
    }


def _check(rows: pd.DataFrame, design: str, expected: int) -> dict[str, float]:
    answers = rows.loc[rows["kind"] == "item", "rating"]
    return {
        "absurd": _failed(rows[rows["kind"] == "absurd"], design),
        "repeats": _differences(rows),
        "straight_lining": answers.value_counts().iloc[0] / len(answers)
        if len(answers)
        else np.nan,
        "incomplete": len(rows) / expected,
    }


def _failed(absurd: pd.DataFrame, design: str) -> float:
    if not len(absurd):
        return np.nan
    answers = absurd["rating"].to_numpy()
    if design == "acr":
        return float((answers >= PASSES_AS_GOOD).sum())
    # The absurd one at the left: the right one (+1) is better, and the other way round.
    side = absurd_side(absurd)
    return float((answers != np.where(side == 0, 1, -1))[side >= 0].sum())


def _differences(rows: pd.DataFrame) -> float:
    """Mean difference between the answers to repeated items and to the items they repeat."""
    repeats = rows[rows["kind"] == "repeat"]
    first = rows[rows["item"].isin(repeats["repeat_of"])].set_index("item")
    repeats = repeats[repeats["repeat_of"].isin(first.index)]
    if not len(repeats):
        return np.nan
    before = first.loc[repeats["repeat_of"]]
    # A pair may come back with its sides changed.
    swapped = (before["method"].to_numpy() == repeats["other_method"].to_numpy()) & (
        before["other_method"].to_numpy() == repeats["method"].to_numpy()
    )
    sign = np.where(swapped, -1, 1)
    return float(np.abs(before["rating"].to_numpy() - sign * repeats["rating"].to_numpy()).mean())
