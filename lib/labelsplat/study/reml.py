"""REML for a crossed table with gaps: one mean, rows and columns as random effects
(raters, and the people on the photos; or raters and items).

The restricted likelihood (Patterson & Thompson 1971, Biometrika 58, 545-554) is profiled over the
mean and the rest's variance; what stays are two variance ratios. With V = I + Z D Z', Woodbury's
identity leaves matrices of R + C rows, never of the number of ratings, so one fit takes
milliseconds. Degrees of freedom are Satterthwaite's with the expected information of the variances
(Giesbrecht & Burns 1985, Biometrics 41, 477-486); a variance that is estimated as zero is taken out
of the model first, as in the closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

_ZERO = 1e-8
"""Variance ratio under which a component counts as absent."""

_STARTS = ((0.1, 0.1), (1.0, 1.0), (30.0, 30.0), (0.0, 0.3), (0.3, 0.0))
"""Variance ratios that the search begins at, edges included: there may be a hill of its own."""


@dataclass(frozen=True)
class Reml:
    """Estimates: the mean, its squared standard error and degrees of freedom, three variances."""

    mean: float
    squared_error: float
    df: float
    rater: float
    column: float
    rest: float


class _Crossed:
    """Cross products of a table's design, all that the likelihood needs."""

    def __init__(self, table: np.ndarray):
        raters, columns = np.nonzero(np.isfinite(table))
        values = table[raters, columns]
        self.count = len(values)
        self.sizes = table.shape
        self.centre = values.mean()
        values = values - self.centre  # keeps the sums of squares exact
        known = np.isfinite(table).astype(float)
        per_rater, per_column = known.sum(1), known.sum(0)
        # Z = [raters, columns]; G = Z'Z, and the products with X = 1 and y.
        self.gram = np.block([[np.diag(per_rater), known], [known.T, np.diag(per_column)]])
        self.ones = np.concatenate([per_rater, per_column])
        filled = np.where(known > 0, table - self.centre, 0.0)
        self.sums = np.concatenate([filled.sum(1), filled.sum(0)])
        self.total, self.squares = values.sum(), (values**2).sum()

    def roots(self, ratios: np.ndarray) -> np.ndarray:
        """Diagonal of D^(1/2)."""
        return np.sqrt(np.repeat(ratios, self.sizes))

    def solve(self, ratios: np.ndarray) -> _Solved:
        root = self.roots(ratios)
        inner = root[:, None] * self.gram * root + np.eye(len(root))
        return _Solved(self, root, linalg.cho_factor(inner, lower=True))


class _Solved:
    """Products with V^-1 = I - Z S Z', S = D^(1/2) (I + D^(1/2) G D^(1/2))^-1 D^(1/2)."""

    def __init__(self, data: _Crossed, root: np.ndarray, factor: tuple[np.ndarray, bool]):
        self.data = data
        self.logdet = 2 * np.log(np.diag(factor[0])).sum()
        self.inverse = root[:, None] * linalg.cho_solve(factor, np.diag(root))
        ones, sums = data.ones, data.sums
        self.xx = data.count - ones @ self.inverse @ ones
        self.xy = data.total - ones @ self.inverse @ sums
        self.yy = data.squares - sums @ self.inverse @ sums
        self.mean = self.xy / self.xx
        self.quadratic = max(self.yy - self.xy**2 / self.xx, 0.0)
        # Z'V^-1 of X, y and Z.
        self.zx = ones - data.gram @ self.inverse @ ones
        self.zy = sums - data.gram @ self.inverse @ sums
        self.zz = data.gram - data.gram @ self.inverse @ data.gram


def fit_reml(table: np.ndarray) -> Reml | None:
    """Fit a table with gaps.

    Args:
        table: ``[R, C]``, NaN where there is no value; every row and column has one.

    Returns:
        None where there are too few values to tell the variances apart: fewer than R + C.
    """
    data = _Crossed(np.asarray(table, float))
    if data.count < sum(data.sizes):
        return None
    if data.squares - data.total**2 / data.count <= 1e-14 * data.count:  # all values are the same
        mean = float(data.centre)
        return Reml(mean, 0.0, float(min(data.sizes) - 1), 0.0, 0.0, 0.0)
    ratios = _best(data)
    if ratios is None:
        return None
    solved = data.solve(ratios)
    rest = solved.quadratic / (data.count - 1)
    return Reml(
        mean=float(solved.mean + data.centre),
        squared_error=float(rest / solved.xx),
        df=_satterthwaite(solved, ratios, rest),
        rater=float(ratios[0] * rest),
        column=float(ratios[1] * rest),
        rest=float(rest),
    )


def _criterion(ratios: np.ndarray, data: _Crossed) -> tuple[float, np.ndarray]:
    """-2 log restricted likelihood, up to a constant, and its gradient in the two ratios."""
    solved = data.solve(np.maximum(ratios, 0))
    free = data.count - 1
    value = solved.logdet + np.log(solved.xx) + free * np.log(solved.quadratic)
    # P = V^-1 - V^-1 x x' V^-1 / xx: tr(Z_k' P Z_k) and |Z_k' P y|^2 of the two blocks.
    trace = np.diag(solved.zz) - solved.zx**2 / solved.xx
    residual = solved.zy - solved.zx * solved.mean
    slope = trace - free * residual**2 / solved.quadratic
    border = data.sizes[0]
    return value, np.array([slope[:border].sum(), slope[border:].sum()])


def _best(data: _Crossed) -> np.ndarray | None:
    """The ratios at the maximum; from several starts, for the likelihood may have several hills."""
    best, value = None, np.inf
    for start in _STARTS:
        found = optimize.minimize(
            _criterion, start, args=(data,), jac=True, method="L-BFGS-B",
            bounds=[(0, 1e6)] * 2, options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 500},
        )  # fmt: skip
        if np.isfinite(found.fun) and found.fun < value - 1e-10:
            best, value = found.x, found.fun
    if best is None:
        return None
    return np.where(best < _ZERO, 0.0, best)


def _satterthwaite(solved: _Solved, ratios: np.ndarray, rest: float) -> float:
    """2 Var^2 / (g' C g): g the gradient of Var(mean), C the covariance of the variances."""
    data, border = solved.data, solved.data.sizes[0]
    blocks = [np.arange(border), np.arange(border, sum(data.sizes))]
    # Of variances, not ratios: V_total = rest V, so P_total = P / rest.
    kept = [k for k in (0, 1) if ratios[k] > 0]
    zpz = solved.zz - np.outer(solved.zx, solved.zx) / solved.xx
    # ||PZ||^2 and tr(PP), from Z'V^-2 Z and its like.
    change = np.eye(len(data.ones)) - solved.inverse @ data.gram
    zvvz = change.T @ data.gram @ change
    weights = solved.inverse @ data.ones
    vx_z = data.ones - data.gram @ weights  # Z'V^-1 x
    xvvx = data.count - 2 * data.ones @ weights + weights @ data.gram @ weights
    zvvx = vx_z - data.gram @ (solved.inverse @ vx_z)
    trace_vv = (
        data.count
        - 2 * np.trace(solved.inverse @ data.gram)
        + (np.sum((solved.inverse @ data.gram) * (solved.inverse @ data.gram).T))
    )
    zx, xx = solved.zx, solved.xx
    # The diagonal of Z'PPZ; P = V^-1 - u u'/xx with u = V^-1 x.
    zppz = np.diag(zvvz) - 2 * zvvx * zx / xx + zx**2 * xvvx / xx**2
    # tr(PP) = tr(V^-2) - 2 u'V^-1 u / xx + (u'u)^2 / xx^2
    pp = trace_vv - 2 * _cube(solved, weights) / xx + xvvx**2 / xx**2
    size = len(kept) + 1
    information, gradient = np.zeros((size, size)), np.zeros(size)
    for i, k in enumerate(kept):
        for j, other in enumerate(kept):
            information[i, j] = (zpz[np.ix_(blocks[k], blocks[other])] ** 2).sum()
        information[i, -1] = information[-1, i] = zppz[blocks[k]].sum()
        gradient[i] = (zx[blocks[k]] ** 2).sum() / xx**2
    information[-1, -1] = pp
    gradient[-1] = xvvx / xx**2
    information *= 0.5 / rest**2
    variance = rest / xx
    spread = gradient @ np.linalg.solve(information, gradient)
    return float(2 * variance**2 / spread)


def _cube(solved: _Solved, weights: np.ndarray) -> float:
    """x' V^-3 x."""
    data = solved.data
    # u = V^-1 x = x - Z w;  u' V^-1 u = u'u - (Z'u)' S (Z'u)
    zu = data.ones - data.gram @ weights
    uu = data.count - 2 * data.ones @ weights + weights @ data.gram @ weights
    return float(uu - zu @ solved.inverse @ zu)
