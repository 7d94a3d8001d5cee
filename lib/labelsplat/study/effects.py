"""Order and fatigue: do answers change along a session?

Every rater gives one slope (and one difference between the first and the last third); raters are
independent of one another, so a t interval over them needs no further assumption. Items come in
other orders for other raters, and what an item is worth is taken out by the other raters' mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from labelsplat.study.mos import LEVEL

FEW = "fewer than two raters with enough answers"


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
    table = scored.assign(residual=residuals(scored), log=_log_seconds(scored))
    trends: dict[str, list[float]] = {
        name: [] for name in ("rating_trend", "rating_thirds", "seconds_trend", "seconds_thirds")
    }
    for _, rows in table.groupby("rater", sort=True):
        for name, column in (("rating", "residual"), ("seconds", "log")):
            slope, thirds = _along(rows["position"].to_numpy(float), rows[column].to_numpy())
            trends[f"{name}_trend"].append(slope)
            trends[f"{name}_thirds"].append(thirds)
    out = {name: _mean(np.array(values)) for name, values in trends.items()}
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
    table = scored.assign(residual=residuals(scored))
    rank = table.groupby("rater")["position"].rank(method="first")
    count = table.groupby("rater")["position"].transform("size")
    table["tenth"] = np.minimum(((rank - 1) * 10 // count).astype(int), 9)
    per_rater = table.groupby(["rater", "tenth"]).agg(
        rating=("residual", "mean"), seconds=("seconds", "median")
    )
    return per_rater.groupby("tenth").mean().astype(float)


def residuals(scored: pd.DataFrame) -> np.ndarray:
    """Ratings less the mean that the OTHER raters gave to the same; NaN where there is none.

    Of pairs the answer counts, whichever side a label map stood on; what is left is a lean to the
    right side.
    """
    pairs = scored["other_method"].to_numpy() != ""
    backwards = (scored["method"] > scored["other_method"]).to_numpy()
    turned = np.where(pairs & backwards, -1.0, 1.0)
    group = scored.groupby("unit")["answer"]
    count = group.transform("size").to_numpy(float)
    others = group.transform("sum").to_numpy(float) - scored["answer"].to_numpy(float)
    mean = np.divide(others, count - 1, out=np.full(len(scored), np.nan), where=count > 1)
    return scored["rating"].to_numpy(float) - turned * mean


def rater_offsets(scored: pd.DataFrame, raters: list[str]) -> np.ndarray:
    """``[R]`` how many points more each rater gives than the others give to the same; NaN where
    nobody else rated any of it."""
    mean = pd.Series(residuals(scored)).groupby(scored["rater"].to_numpy()).mean()
    return mean.reindex(raters).to_numpy(float)


def _log_seconds(scored: pd.DataFrame) -> np.ndarray:
    # A tenth of a second is what the app measures; log of zero would be no number.
    return np.log(np.maximum(scored["seconds"].to_numpy(float), 0.1))


def _along(position: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Change from the first position to the last by least squares; last third less first third."""
    fine = np.isfinite(values)
    position, values = position[fine], values[fine]
    if len(values) < 6 or np.ptp(position) == 0:
        return np.nan, np.nan
    order = np.argsort(position, kind="stable")
    part = len(values) // 3
    x = (position - position.min()) / np.ptp(position)
    centred = x - x.mean()
    slope = (centred @ values) / (centred @ centred)
    return float(slope), float(values[order][-part:].mean() - values[order][:part].mean())


def _mean(values: np.ndarray) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    count = len(values)
    if count < 2:
        return {"value": None, "low": None, "high": None, "p": None, "raters": count, "reason": FEW}
    mean, se = float(values.mean()), float(values.std(ddof=1) / np.sqrt(count))
    half = se * float(stats.t.ppf((1 + LEVEL) / 2, count - 1))
    p = 2 * float(stats.t.sf(abs(mean) / se, count - 1)) if se > 0 else float(mean == 0)
    return {"value": mean, "low": mean - half, "high": mean + half, "p": p, "raters": count}


def _as_factor(found: dict[str, Any]) -> dict[str, Any]:
    ends = ("value", "low", "high")
    return {k: float(np.exp(v)) if k in ends and v is not None else v for k, v in found.items()}
