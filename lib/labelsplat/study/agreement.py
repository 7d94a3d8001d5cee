"""How far raters agree: Krippendorff's alpha and intraclass correlations.

Letters: R raters, U units (rated items), V values of the scale.
"""

from __future__ import annotations

import numpy as np

from labelsplat.study.reml import fit_reml

METRICS = ("nominal", "ordinal", "interval")


def krippendorff_alpha(ratings: np.ndarray, metric: str = "ordinal") -> float | None:
    """Krippendorff's alpha: 1 = raters agree, 0 = as if by chance.

    After Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": alpha = 1 - D_o / D_e
    from the matrix of coincidences; units that fewer than two raters rated do not count.

    Args:
        ratings: ``[R, U]``, NaN where a rater did not rate.
        metric: "nominal", "ordinal" or "interval".

    Returns:
        None where no unit has two ratings, or all ratings are the same (nothing could differ).

    Raises:
        ValueError: unknown metric.
    """
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r}, expected one of {', '.join(METRICS)}")
    known = np.isfinite(ratings)
    paired = known.sum(0) >= 2
    scale = np.unique(ratings[:, paired][known[:, paired]])
    if scale.size < 2:
        return None
    counts = (ratings[:, paired][..., None] == scale).sum(0).astype(float)  # [U, V]
    per_unit = counts.sum(1)
    shares = counts / (per_unit - 1)[:, None]
    coincidences = counts.T @ shares - np.diag(shares.sum(0))
    totals = coincidences.sum(1)
    distance = _distances(scale, totals, metric)
    observed = (coincidences * distance).sum()
    # A value meets itself at distance zero, so the diagonal's n (n - 1) plays no part.
    expected = (np.outer(totals, totals) * distance).sum() / (totals.sum() - 1)
    return float(1 - observed / expected)


def _distances(scale: np.ndarray, totals: np.ndarray, metric: str) -> np.ndarray:
    if metric == "nominal":
        return 1.0 - np.eye(len(scale))
    if metric == "interval":
        return (scale[:, None] - scale) ** 2
    # Ordinal: how many ratings lie between, both ends by half.
    middle = np.cumsum(totals) - totals / 2
    return (middle[:, None] - middle) ** 2


def intraclass(ratings: np.ndarray) -> tuple[float | None, float | None]:
    """ICC(2,1) and ICC(2,k): how far one rater's, and k raters' mean, ratings tell units apart.

    After Shrout & Fleiss (1979), Psychological Bulletin 86, 420-428: raters and units are random,
    absolute agreement. A complete table takes their mean squares; one with gaps the variances of
    a REML fit.

    k is the number of ratings of a unit; where that differs from unit to unit, as where each rater
    sees some of the photos, their harmonic mean (:func:`ratings_a_unit`), which is what the mean
    error variance of the units' means divides by.

    Args:
        ratings: ``[R, U]``, NaN where a rater did not rate.

    Returns:
        None for both with fewer than two raters or units, or where nothing varies.
    """
    known = np.isfinite(ratings)
    values = ratings[known.any(1)][:, known.any(0)]
    if min(values.shape, default=0) < 2:
        return None, None
    raters, units = values.shape
    if not np.isfinite(values).all():
        fitted = fit_reml(values)
        if fitted is None:
            return None, None
        k = ratings_a_unit(values)
        unit, rater, rest = fitted.column, fitted.rater, fitted.rest
        return _ratio(unit, unit + rater + rest), _ratio(unit, unit + (rater + rest) / k)
    mean = values.mean()
    of_units, of_raters = values.mean(0) - mean, values.mean(1) - mean
    units_ms = raters * (of_units**2).sum() / (units - 1)
    raters_ms = units * (of_raters**2).sum() / (raters - 1)
    rest_ms = ((values - mean - of_units - of_raters[:, None]) ** 2).sum()
    rest_ms /= (raters - 1) * (units - 1)
    above = units_ms - rest_ms
    one = _ratio(above, units_ms + (raters - 1) * rest_ms + raters * (raters_ms - rest_ms) / units)
    several = _ratio(above, units_ms + (raters_ms - rest_ms) / units)
    return one, several


def ratings_a_unit(ratings: np.ndarray) -> float | None:
    """k: harmonic mean of the number of ratings of a unit, units without any left out.

    Args:
        ratings: ``[R, U]``, NaN where a rater did not rate.

    Returns:
        None where nothing was rated.
    """
    counts = np.isfinite(ratings).sum(0)
    counts = counts[counts > 0]
    return float(len(counts) / (1 / counts).sum()) if counts.size else None


def _ratio(above: float, below: float) -> float | None:
    return float(above / below) if below > 1e-12 else None


def correlations(ratings: np.ndarray) -> np.ndarray:
    """``[R, R]`` Pearson correlation of every two raters over the units both rated, NaN where
    there are fewer than three or one of the two does not vary; 1 on the diagonal."""
    raters = len(ratings)
    out = np.eye(raters)
    for a in range(raters):
        for b in range(a):
            both = np.isfinite(ratings[a]) & np.isfinite(ratings[b])
            x, y = ratings[a, both], ratings[b, both]
            spread = x.std() * y.std() if both.sum() >= 3 else 0.0
            value = ((x - x.mean()) * (y - y.mean())).mean() / spread if spread > 0 else np.nan
            out[a, b] = out[b, a] = value
    return out
