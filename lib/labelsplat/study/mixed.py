"""The test of a difference between two methods, over raters and people at once.

Rater r rated both methods on photos of person p. The differences of the two ratings are averaged
over the photos of that person first:

    d_rp = mean over the photos i of p of (rating by r of a on i - rating by r of b on i)
         = mu + a_r + b_p + e_rp,    a ~ N(0, A),  b ~ N(0, B),  e ~ N(0, E)

and only mu is asked for. Raters and people are both samples: who treats one of them as fixed finds
differences that are those of the chosen raters or faces (Clark 1973; Baayen, Davidson & Bates 2008,
Journal of Memory and Language 59, 390-412; Judd, Westfall & Kenny 2012, Journal of Personality and
Social Psychology 103, 54-69). Several photos of one person share whatever suits a method about that
face, so they are not several faces: counted as if they were, a test at 5 % finds differences that
are not there in up to a quarter of the studies.

Every person counts once, however many photos show them. B holds the photos' own variance as well,
divided by the person's number of photos. Where these numbers are unequal the d_rp are not equally
sure, but the standard error of their plain mean stays right: the expected mean square of people is
the mean of their variances, equal or not, and so is the variance of the mean, times their number.

Complete tables have a closed form: the mean squares of raters, people and the rest give

    SE^2 = (MS_R + MS_P - MS_E) / (R P)

and Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2, 110-114). A variance cannot be
negative: where MS_R or MS_P falls below MS_E, their sums of squares are pooled with the rest, which
is what REML with variances of at least zero arrives at. Incomplete tables take REML itself
(:mod:`labelsplat.study.reml`), which on complete ones gives the same figures.

Letters: R raters, P people, T tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from labelsplat.study.mos import LEVEL
from labelsplat.study.reml import fit_reml

ENOUGH = 2
"""Raters, and people, that a test needs at least."""


@dataclass(frozen=True)
class Components:
    """Variances of the differences: of raters, of people (the part of their photos that averaging
    leaves included), of the rest; in points squared."""

    rater: float
    person: float
    rest: float


@dataclass(frozen=True)
class MixedTest:
    """The difference between two methods.

    Attributes:
        difference: mu.
        se: its standard error.
        df: Satterthwaite's degrees of freedom.
        low, high: the 95 % interval.
        p: two-sided.
        components: the variances.
        raters, people: that took part.
        method: "closed form" or "REML".
    """

    difference: float
    se: float
    df: float
    low: float
    high: float
    p: float
    components: Components
    raters: int
    people: int
    method: str


@dataclass(frozen=True, eq=False)
class Tables:
    """Closed form of many complete tables, arrays ``[T]``: mean, SE^2, degrees of freedom, and the
    variances ``rater, person, rest``."""

    mean: np.ndarray
    squared_error: np.ndarray
    df: np.ndarray
    rater: np.ndarray
    person: np.ndarray
    rest: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """Two-sided p values; 1 where all differences are zero, 0 where all are the same other."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.mean) / np.sqrt(self.squared_error)
        t = np.where(self.mean == 0, 0.0, t)
        return 2 * stats.t.sf(t, self.df)


def closed_form(differences: np.ndarray) -> Tables:
    """Mean, standard error and variances of complete tables.

    Args:
        differences: ``[T, R, P]`` without NaN, R and P at least 2.

    Raises:
        ValueError: fewer, or NaN.
    """
    values = np.asarray(differences, float)
    raters, people = values.shape[1:]
    if min(raters, people) < ENOUGH or not np.isfinite(values).all():
        raise ValueError(f"{raters} x {people} differences, expected complete ones from 2 x 2")
    return from_squares(*sums_of_squares(values), raters, people)


def sums_of_squares(
    differences: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and sums of squares of raters, of people and of the rest, each ``[T]``.

    Args:
        differences: ``[T, R, P]`` without NaN.
    """
    raters, people = differences.shape[1:]
    mean = differences.mean((1, 2))
    of_raters = differences.mean(2) - mean[:, None]
    of_people = differences.mean(1) - mean[:, None]
    rest = differences - mean[:, None, None] - of_raters[..., None] - of_people[:, None]
    return (
        mean,
        people * (of_raters**2).sum(1),
        raters * (of_people**2).sum(1),
        (rest**2).sum((1, 2)),
    )


def from_squares(
    mean: np.ndarray,
    rater: np.ndarray,
    person: np.ndarray,
    rest: np.ndarray,
    raters: int,
    people: int,
) -> Tables:
    """The closed form from the sums of squares, each ``[T]``.

    Which sums are pooled: the smaller of MS_R and MS_P first, if it lies below MS_E; then the
    other, if it lies below what that gave (the order in which the constrained maximum is found).
    """
    df_r, df_p, df_e = raters - 1, people - 1, (raters - 1) * (people - 1)
    ms_r, ms_p, ms_e = rater / df_r, person / df_p, rest / df_e
    raters_first = ms_r <= ms_p
    one = np.where(raters_first, ms_r, ms_p)
    sum_one, df_one = np.where(raters_first, rater, person), np.where(raters_first, df_r, df_p)
    other = np.where(raters_first, ms_p, ms_r)
    sum_other, df_other = np.where(raters_first, person, rater), np.where(raters_first, df_p, df_r)

    pool_one = one <= ms_e
    sums = rest + np.where(pool_one, sum_one, 0)
    dfs = df_e + np.where(pool_one, df_one, 0)
    pool_other = pool_one & (other <= sums / dfs)
    sums, dfs = sums + np.where(pool_other, sum_other, 0), dfs + np.where(pool_other, df_other, 0)
    error = sums / dfs

    # Var(mean) R P = MS_R + MS_P - MS_E; a pooled one equals MS_E and cancels.
    both = one + other - error
    square = np.where(pool_other, error, np.where(pool_one, other, both))
    spread = np.where(
        pool_other,
        error**2 / dfs,
        np.where(
            pool_one,
            other**2 / df_other,
            one**2 / df_one + other**2 / df_other + error**2 / df_e,
        ),
    )
    least = min(df_r, df_p)
    df = np.divide(square**2, spread, out=np.full_like(square, least), where=spread > 0)
    var_one = np.where(pool_one, 0, one - error)
    var_other = np.where(pool_other, 0, other - error)
    return Tables(
        mean=mean,
        squared_error=square / (raters * people),
        df=df,
        rater=np.where(raters_first, var_one, var_other) / people,
        person=np.where(raters_first, var_other, var_one) / raters,
        rest=error,
    )


def crossed_test(differences: np.ndarray) -> MixedTest | None:
    """Test one table of differences.

    Args:
        differences: ``[R, P]``, mean over each person's photos; NaN where a rater lacks one of the
            two ratings on all of them.

    Returns:
        None where fewer than two raters or two people have a difference, or no variance can be
        told from another.
    """
    known = np.isfinite(differences)
    values = differences[known.any(1)][:, known.any(0)]
    if min(values.shape) < ENOUGH:
        return None
    if np.isfinite(values).all():
        found = closed_form(values[None])
        mean, square, df = found.mean[0], found.squared_error[0], found.df[0]
        parts = Components(*(float(v[0]) for v in (found.rater, found.person, found.rest)))
        method = "closed form"
    else:
        fitted = fit_reml(values)
        if fitted is None:
            return None
        mean, square, df = fitted.mean, fitted.squared_error, fitted.df
        parts, method = Components(fitted.rater, fitted.column, fitted.rest), "REML"
    se = float(np.sqrt(square))
    half = se * float(stats.t.ppf((1 + LEVEL) / 2, df))
    # No variance at all: a difference that everybody makes everywhere is certain, none is none.
    p = 2 * float(stats.t.sf(abs(mean) / se, df)) if se > 0 else float(mean == 0)
    return MixedTest(
        float(mean), se, float(df), float(mean - half), float(mean + half), p, parts,
        *values.shape, method,
    )  # fmt: skip


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted by Holm (1979, Scandinavian Journal of Statistics 6, 65-70)."""
    order = sorted(p, key=lambda name: p[name])
    adjusted, before = {}, 0.0
    for rank, name in enumerate(order):
        before = max(before, min(1.0, (len(order) - rank) * p[name]))
        adjusted[name] = before
    return {name: adjusted[name] for name in p}
