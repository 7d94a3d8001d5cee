"""Order and fatigue: do answers change along a session?

Every rater gives one slope (and one difference between the first and the last third), and a t
interval is made over them. Items come in other orders for other raters, so what an item is worth
can be taken out: the mean over ALL its raters is subtracted, of ratings and of positions alike,
which is least squares with a constant for each item. (The mean over the *others* would not do:
where orders are balanced, whoever saw an item late was preceded by the others, and a trend t that
all raters share would be found as t n / (n - 1).) Raters' slopes then lean on one another: the
variance of n such slopes is too small by (n - 2) / (n - 1), and n - 2 degrees of freedom are left.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from labelsplat.study.mos import LEVEL

FEW = "too few raters with enough answers"

FEWEST = 6
"""Answers of a rater, below which nothing is said of that session."""


def order_effects(scored: pd.DataFrame, design: str) -> dict[str, Any]:
    """Trends over a session, as JSON.

    Args:
        scored: scored rows of :attr:`~labelsplat.study.ratings.Ratings.table`.
        design: "acr" or "pairs".

    Returns:
        ``rating_trend``: points that ratings rise from the first position to the last (``pairs``:
        toward the right side); ``rating_thirds``: last third less first; ``seconds_trend`` and
        ``seconds_thirds``: the same of the time on an item, as factors (1 = no change; under 1 =
        faster); of pairs ``side``: mean answer, from -1 (always left) to 1. Each
        ``{value, low, high, p, raters}``, or None values with a ``reason``.
    """
    table = scored.assign(
        residual=residuals(scored, own=True),
        log=_log_seconds(scored),
        part=_part(scored),
        shifted=less_units(scored, _part(scored)),
    )
    trends: dict[str, list[float]] = {
        name: [] for name in ("rating_trend", "rating_thirds", "seconds_trend", "seconds_thirds")
    }
    for _, rows in table.groupby("rater", sort=True):
        position = rows["part"].to_numpy()
        for name, column, x in (("rating", "residual", "shifted"), ("seconds", "log", "part")):
            values = rows[column].to_numpy()
            trends[f"{name}_trend"].append(_slope(rows[x].to_numpy(), values))
            trends[f"{name}_thirds"].append(_thirds(position, values))
    out = {
        name: _mean(np.array(values), shared=name.startswith("rating"))
        for name, values in trends.items()
    }
    for name in ("seconds_trend", "seconds_thirds"):
        out[name] = _as_factor(out[name])
    if design == "pairs":
        out["side"] = _mean(table.groupby("rater")["rating"].mean().to_numpy(float))
    return out


def tenths_of_sessions(scored: pd.DataFrame) -> pd.DataFrame:
    """Mean rating (less what the item is worth) and median seconds by tenth of the session.

    Returns:
        Index 0 to 9; columns ``rating`` and ``seconds``, means over raters.
    """
    table = scored.assign(residual=residuals(scored, own=True))
    rank = table.groupby("rater")["position"].rank(method="first")
    count = table.groupby("rater")["position"].transform("size")
    table["tenth"] = np.minimum(((rank - 1) * 10 // count).astype(int), 9)
    per_rater = table.groupby(["rater", "tenth"]).agg(
        rating=("residual", "mean"), seconds=("seconds", "median")
    )
    return per_rater.groupby("tenth").mean().astype(float)


def residuals(scored: pd.DataFrame, *, own: bool = False) -> np.ndarray:
    """Ratings less the mean that raters gave to the same; NaN where there is only one of them.

    Of pairs the answer counts, whichever side a label map stood on; what is left is a lean to the
    right side.

    Args:
        scored: scored rows.
        own: whether the rater's own answer is part of that mean: for trends, see above. For what
            sets a rater apart it is not.
    """
    count = scored.groupby("unit")["answer"].transform("size").to_numpy(float)
    found = less_units(scored, scored["rating"].to_numpy(float))
    if not own:  # x - mean of the others = (x - mean of all) n / (n - 1)
        found = found * np.divide(count, count - 1, out=np.ones_like(count), where=count > 1)
    return np.where(count > 1, found, np.nan)


def less_units(scored: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """``[N]`` values less their mean over all rows of the same unit; of pairs they are turned to
    the side that comes first in the alphabet on the left, and back."""
    pairs = scored["other_method"].to_numpy() != ""
    backwards = (scored["method"] > scored["other_method"]).to_numpy()
    turned = np.where(pairs & backwards, -1.0, 1.0)
    mean = pd.Series(turned * values).groupby(scored["unit"].to_numpy()).transform("mean")
    return values - turned * mean.to_numpy()


def rater_offsets(scored: pd.DataFrame, raters: list[str]) -> np.ndarray:
    """``[R]`` how many points more each rater gives than the others give to the same; NaN where
    nobody else rated any of it."""
    mean = pd.Series(residuals(scored)).groupby(scored["rater"].to_numpy()).mean()
    return mean.reindex(raters).to_numpy(float)


def _log_seconds(scored: pd.DataFrame) -> np.ndarray:
    # A tenth of a second is what the app measures; log of zero would be no number.
    return np.log(np.maximum(scored["seconds"].to_numpy(float), 0.1))


def _part(scored: pd.DataFrame) -> np.ndarray:
    """Position, 0 at the rater's first answer and 1 at the last; NaN where there is but one."""
    of_rater = scored.groupby("rater")["position"]
    first, last = (of_rater.transform(name).to_numpy(float) for name in ("min", "max"))
    position = scored["position"].to_numpy(float)
    return np.divide(
        position - first, last - first, out=np.full_like(position, np.nan), where=last > first
    )


def _slope(x: np.ndarray, values: np.ndarray) -> float:
    """Change of the values over one unit of x, by least squares; NaN where x does not vary."""
    fine = np.isfinite(values) & np.isfinite(x)
    x, values = x[fine], values[fine]
    if len(values) < FEWEST:
        return np.nan
    centred = x - x.mean()
    below = centred @ centred
    return float((centred @ values) / below) if below > 1e-9 else np.nan


def _thirds(position: np.ndarray, values: np.ndarray) -> float:
    """Mean of the last third of the session less that of the first."""
    fine = np.isfinite(values) & np.isfinite(position)
    position, values = position[fine], values[fine]
    if len(values) < FEWEST:
        return np.nan
    order = np.argsort(position, kind="stable")
    part = len(values) // 3
    return float(values[order][-part:].mean() - values[order][:part].mean())


def _mean(values: np.ndarray, *, shared: bool = False) -> dict[str, Any]:
    """Mean with a t interval; ``shared``: a mean over raters was taken off (see above)."""
    values = values[np.isfinite(values)]
    count = len(values)
    df = count - 1 - shared
    if df < 1:
        return {"value": None, "low": None, "high": None, "p": None, "raters": count, "reason": FEW}
    mean, se = float(values.mean()), float(values.std(ddof=1 + shared) / np.sqrt(count))
    half = se * float(stats.t.ppf((1 + LEVEL) / 2, df))
    p = 2 * float(stats.t.sf(abs(mean) / se, df)) if se > 0 else float(mean == 0)
    return {"value": mean, "low": mean - half, "high": mean + half, "p": p, "raters": count}


def _as_factor(found: dict[str, Any]) -> dict[str, Any]:
    ends = ("value", "low", "high")
    return {k: float(np.exp(v)) if k in ends and v is not None else v for k, v in found.items()}
