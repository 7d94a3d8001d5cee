"""Tests by ranks, on means per image: raw ratings of one rater, or of one image, depend on one
another, which these tests do not allow. They ask about images alone; the raters are taken as they
are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def friedman(means: np.ndarray, methods: Sequence[str]) -> dict[str, Any]:
    """Whether any method differs, over images (Friedman 1937).

    Args:
        means: ``[I, M]`` mean ratings, NaN where there is none; images with gaps are left out.
        methods: M names, for the mean ranks (1 = lowest).

    Returns:
        ``statistic, df, p, images, ranks``, or None values with a ``reason``.
    """
    full = means[np.isfinite(means).all(1)]
    out: dict[str, Any] = {
        "statistic": None, "df": None, "p": None, "images": len(full), "ranks": None,
    }  # fmt: skip
    if means.shape[1] < 3 or len(full) < 2:
        return {**out, "reason": "needs three methods and two images that all of them share"}
    if (np.ptp(full, axis=1) == 0).all():
        return {**out, "reason": "all methods are rated alike on every image"}
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
    """Whether two methods differ, over images (Wilcoxon 1945, signed ranks).

    Args:
        differences: ``[I]`` mean differences of the images.

    Returns:
        ``statistic, p, images``, or None values with a ``reason``.
    """
    out: dict[str, Any] = {"statistic": None, "p": None, "images": len(differences)}
    if len(differences) < 2:
        return {**out, "reason": "fewer than two images"}
    if not np.any(differences):
        return {**out, "reason": "no difference on any image"}
    found = stats.wilcoxon(differences)
    return {**out, "statistic": float(found.statistic), "p": float(found.pvalue)}
