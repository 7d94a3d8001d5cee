"""Tests by ranks, on means per person on the photos (over raters, and over the person's photos).

Raw ratings of one rater, of one photo or of one face depend on one another, which these tests do
not allow. They ask about people's faces alone; the raters are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def friedman(means: np.ndarray, methods: Sequence[str]) -> dict[str, Any]:
    """Whether any method differs, over people (Friedman 1937).

    Args:
        means: ``[P, M]`` mean ratings, NaN where there is none; people with gaps are left out.
        methods: M names, for the mean ranks (1 = lowest).

    Returns:
        ``statistic, df, p, people, ranks``, or None values with a ``reason``.
    """
    full = means[np.isfinite(means).all(1)]
    out: dict[str, Any] = {
        "statistic": None, "df": None, "p": None, "people": len(full), "ranks": None,
    }  # fmt: skip
    if means.shape[1] < 3 or len(full) < 2:
        return {**out, "reason": "needs three methods and two people whom all of them show"}
    if (np.ptp(full, axis=1) == 0).all():
        return {**out, "reason": "all methods are rated alike for every person"}
    found = stats.friedmanchisquare(*full.T)
    ranks = stats.rankdata(full, axis=1).mean(0)
    return {
        **out,
        "statistic": float(found.statistic),
        "df": full.shape[1] - 1,
        "p": float(found.pvalue),
        "ranks": {name: float(rank) for name, rank in zip(methods, ranks, strict=True)},
    }


def wilcoxon(differences: np.ndarray) -> dict[str, Any]:
    """Whether two methods differ, over people (Wilcoxon 1945, signed ranks).

    Args:
        differences: ``[P]`` mean differences of the people.

    Returns:
        ``statistic, p, people``, or None values with a ``reason``.
    """
    out: dict[str, Any] = {"statistic": None, "p": None, "people": len(differences)}
    if len(differences) < 2:
        return {**out, "reason": "fewer than two people"}
    if not np.any(differences):
        return {**out, "reason": "no difference for any person"}
    found = stats.wilcoxon(differences)
    return {**out, "statistic": float(found.statistic), "p": float(found.pvalue)}
