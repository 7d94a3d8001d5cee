"""Pairs: how strong each method is, by the model of Bradley and Terry.

Method a is preferred to b with probability p_a / (p_a + p_b). The maximum of the likelihood is
found by Zermelo's iteration, an MM algorithm (Hunter 2004, Annals of Statistics 32(1), 384-406);
"no difference" counts as half a preference each way. It exists where the methods cannot be split
into two groups of which one was never preferred to the other (Ford 1957, American Mathematical
Monthly 64(8), 28-33).

Every comparison counts once in the strengths; their intervals draw raters, and people as a whole.

Letters: M methods, R raters, I images, P people, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelsplat.study.mos import crossed_draws, percentile_interval

_MOST_STEPS = 20_000
_STILL = 1e-10
"""Largest change of a log strength at which the iteration has arrived."""

ENOUGH_RESAMPLES = 0.99
"""Share of the resamples that need a maximum; with fewer there is no interval."""


@dataclass(frozen=True)
class Strength:
    """Log strength of a method (all of them sum to zero), with a 95 % interval."""

    value: float
    low: float | None
    high: float | None


def has_maximum(wins: np.ndarray) -> np.ndarray:
    """Whether finite strengths exist.

    Args:
        wins: ``[..., M, M]`` how often the row's method was preferred to the column's.

    Returns:
        ``[...]`` bool: whether preferences lead from every method to every other.
    """
    methods = wins.shape[-1]
    reach = ((wins > 0) | np.eye(methods, dtype=bool)).astype(float)
    for _ in range(max(1, int(np.ceil(np.log2(methods))))):
        reach = (reach @ reach > 0).astype(float)
    return (reach > 0).all((-2, -1))


def log_strengths(wins: np.ndarray) -> np.ndarray:
    """Log strengths at the maximum of the likelihood, of many tables at once.

    Args:
        wins: ``[B, M, M]`` how often the row's method was preferred to the column's; ties are half
            a preference each way. Each must pass :func:`has_maximum`.

    Returns:
        ``[B, M]`` with a mean of zero.

    Raises:
        ValueError: there is no finite maximum.
    """
    wins = np.asarray(wins, float)
    if not has_maximum(wins).all():
        raise ValueError("the strengths have no finite maximum")
    total = wins.sum(-1)
    met = wins + wins.swapaxes(-1, -2)
    logs = np.zeros(wins.shape[:-1])
    open_ = np.arange(len(wins))
    for _ in range(_MOST_STEPS):
        strength = np.exp(logs[open_])
        sums = strength[:, :, None] + strength[:, None]
        new = np.log(total[open_] / (met[open_] / sums).sum(-1))
        new -= new.mean(-1, keepdims=True)
        change = np.abs(new - logs[open_]).max(-1)
        logs[open_] = new
        open_ = open_[change > _STILL]
        if not open_.size:
            break
    return logs


def count_wins(
    rows: pd.DataFrame, methods: Sequence[str], raters: Sequence[str], images: Sequence[str]
) -> np.ndarray:
    """Preferences of every rater on every image, ``[R, I, M, M]`` float64.

    Args:
        rows: scored rows of a table of pairs: ``rater, image, method`` (left), ``other_method``
            (right), ``rating`` (-1 left, 0 none, 1 right).
        methods: M names.
        raters: R names.
        images: I names.
    """
    places = [{name: i for i, name in enumerate(names)} for names in (raters, images, methods)]
    out = np.zeros((len(raters), len(images), len(methods), len(methods)))
    r, i = (rows[name].map(place).to_numpy(int) for name, place in
            zip(("rater", "image"), places[:2], strict=True))  # fmt: skip
    left, right = (rows[name].map(places[2]).to_numpy(int) for name in ("method", "other_method"))
    rating = rows["rating"].to_numpy(float)
    np.add.at(out, (r, i, left, right), (1 - rating) / 2)
    np.add.at(out, (r, i, right, left), (1 + rating) / 2)
    return out


def bradley_terry(wins: np.ndarray, *, draws: int, seed: int) -> list[Strength] | None:
    """Strengths with intervals over raters and people, both drawn with replacement.

    Args:
        wins: ``[R, P, M, M]``: those of :func:`count_wins`, summed over each person's images.
        draws: resamples.
        seed: of the resamples.

    Returns:
        M strengths, or None where they have no finite maximum. Intervals are None with fewer than
        two raters or people, and where more than 1 % of the resamples have no maximum.
    """
    total = wins.sum((0, 1))
    if not has_maximum(total):
        return None
    values = log_strengths(total[None])[0]
    raters, people, methods = wins.shape[0], wins.shape[1], wins.shape[2]
    intervals: list[tuple[float | None, float | None]] = [(None, None)] * methods
    if min(raters, people) >= 2:
        by_rater, by_person = crossed_draws(raters, people, draws, seed)
        part = (by_rater @ wins.reshape(raters, -1)).reshape(draws, people, methods * methods)
        sums = np.einsum("bpk,bp->bk", part, by_person).reshape(draws, methods, methods)
        fine = has_maximum(sums)
        if fine.mean() >= ENOUGH_RESAMPLES:
            samples = log_strengths(sums[fine])
            intervals = [percentile_interval(samples[:, m]) for m in range(methods)]
    return [
        Strength(float(value), *interval) for value, interval in zip(values, intervals, strict=True)
    ]


def preferences(rows: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Of rows that compare two methods, in either place: ``rater, image, stratum, difference``.

    ``difference`` is 1 where ``a`` was preferred, -1 where ``b`` was, 0 for no difference.
    """
    left = (rows["method"] == a) & (rows["other_method"] == b)
    right = (rows["method"] == b) & (rows["other_method"] == a)
    found = rows[left | right]
    sign = np.where(right[left | right], 1.0, -1.0)
    return found[["rater", "image", "stratum"]].assign(difference=sign * found["rating"])
