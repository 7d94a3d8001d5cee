"""The analysis: from checked ratings to ``user_study.json``.

What is tested was named before anyone rated: refined against self-training, by the crossed test.
All other pairs of methods are corrected by Holm among themselves; strata, agreement, order effects
and power are descriptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError, write_json
from labelsplat.base.layout import Layout
from labelsplat.labels import STRATA
from labelsplat.study.agreement import correlations, intraclass, krippendorff_alpha
from labelsplat.study.effects import order_effects, rater_offsets, tenths_of_sessions
from labelsplat.study.exclusion import Exclusion, ExclusionRules, apply_rules
from labelsplat.study.key import read_key
from labelsplat.study.mixed import MixedTest, crossed_test, holm
from labelsplat.study.mos import difference_interval, mean_opinions
from labelsplat.study.nonparametric import friedman, wilcoxon
from labelsplat.study.package import SCALES, Package, read_package
from labelsplat.study.pairwise import bradley_terry, count_wins
from labelsplat.study.panel import PanelSettings, miou_known, simulate_panel
from labelsplat.study.power import PowerSettings, raters_needed
from labelsplat.study.rated_tables import RatedTables, rated_tables
from labelsplat.study.ratings import Ratings, grid, ratings_from_frame, read_ratings

PRIMARY = ("refined", "self_training")
"""The one comparison that is tested without a correction."""

_UPWARD = ("baseline", "self_training", "refined", "oracle", "reference")
"""A pair is named "better-worse" by this order, so that an expected difference is positive."""

FEW_RATERS = "fewer than two raters: nothing is known of how raters differ"
FEW_IMAGES = "fewer than two images: nothing is known of how images differ"


@dataclass(frozen=True)
class AnalysisSettings:
    """How ratings are analysed.

    Attributes:
        bootstrap: resamples of raters and images for each interval.
        rules: who is left out.
        power: what is asked of a study.
    """

    bootstrap: int = 2000
    rules: ExclusionRules = field(default_factory=ExclusionRules)
    power: PowerSettings = field(default_factory=PowerSettings)

    def __post_init__(self) -> None:
        if self.bootstrap < 1:
            raise ParameterError(
                f"{self.bootstrap} resamples, at least 1 is needed", where="study.bootstrap"
            )


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What the analysis found.

    Attributes:
        content: of ``user_study.json``.
        ratings: that were kept.
        exclusion: who was left out.
        correlations: ``[R, R]`` of the kept raters, over what they judged.
        offsets: ``[R]`` points that each of them gives more than the others; of pairs, a lean to
            the right side.
        tenths: ratings and seconds along a session, index 0 to 9.
    """

    content: dict[str, Any]
    ratings: Ratings
    exclusion: Exclusion
    correlations: np.ndarray
    offsets: np.ndarray
    tenths: pd.DataFrame

    @property
    def simulated(self) -> bool:
        """Whether every table and figure must carry the mark SIMULATED."""
        return self.ratings.simulated


def analyse_line(
    layout: Layout,
    *,
    ratings: str = "",
    bootstrap: int = 2000,
    panel: Mapping[str, Any] | None = None,
    exclusion: Mapping[str, Any] | None = None,
    power: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> StudyReport:
    """Analyse the study that was prepared; writes ``reports/metrics/user_study.json``.

    Args:
        layout: of the project; package and key lie below ``data/study``.
        ratings: an exported CSV file, relative to the project; "" = a simulated panel.
        bootstrap: see :class:`AnalysisSettings`.
        panel: fields of :class:`~labelsplat.study.panel.PanelSettings`.
        exclusion: fields of :class:`~labelsplat.study.exclusion.ExclusionRules`.
        power: fields of :class:`~labelsplat.study.power.PowerSettings`.
        seed: of the panel, of resamples and of simulations.

    Raises:
        LabelsplatError: no package, no key, or ratings that do not belong to them.
    """
    settings = AnalysisSettings(
        bootstrap, ExclusionRules(**(exclusion or {})), PowerSettings(**(power or {}))
    )
    package = read_package(layout.study_package, digests=False)
    key = read_key(layout.study_key)
    simulated = None
    if ratings:
        found = read_ratings(layout.outside(ratings), package, key)
    else:
        simulated = PanelSettings(**(panel or {}))
        found = ratings_from_frame(simulate_panel(package, key, simulated, seed), package, key)
    report = analyse_study(
        found, package, settings, seed=seed, panel=simulated, miou=miou_known(key)
    )
    write_report(layout.metrics / "user_study.json", report)
    return report


def write_report(path: str | Path, report: StudyReport) -> None:
    """Write ``user_study.json``."""
    write_json(path, report.content)


def analyse_study(
    ratings: Ratings,
    package: Package,
    settings: AnalysisSettings,
    *,
    seed: int,
    panel: PanelSettings | None = None,
    miou: bool = True,
) -> StudyReport:
    """Analyse checked ratings.

    With one rater, one image or one method, what cannot be said is None and the reason stands
    beside it; ``limits`` lists such limits in words.

    Args:
        ratings: all of them.
        package: that was rated.
        settings: how.
        seed: of resamples and simulations.
        panel: that made the ratings, if one did.
        miou: whether that panel had mIoU to follow.
    """
    exclusion = apply_rules(ratings, package, settings.rules)
    kept = ratings.without(exclusion.reasons)
    tables = rated_tables(kept)
    draws = {"draws": settings.bootstrap, "seed": seed}
    pairs, tests = _pairs(tables, draws)
    names = sorted(kept.scored["unit"].unique())
    units = grid(kept.scored, "answer", raters=tables.raters, columns=names, by="unit")  # [R, U]
    primary = tests.get(_name(*PRIMARY))
    content = {
        "simulated": ratings.simulated,
        "origin": ratings.origin,
        "study": ratings.study,
        "design": ratings.design,
        "raters": len(tables.raters),
        "items": units.shape[1],
        "images": len(tables.images),
        "ratings": len(kept.scored),
        "excluded": exclusion.counts(),
        "mos": _mos(tables, draws),
        "bradley_terry": _strengths(tables, draws),
        "by_stratum": _by_stratum(tables, draws),
        "primary": _name(*PRIMARY) if _name(*PRIMARY) in pairs else None,
        "pairs": pairs,
        "friedman": _friedman(tables),
        "wilcoxon": _wilcoxon(tables),
        "agreement": _agreement(units),
        "effects": order_effects(kept.scored, kept.design),
        "power": _power(primary, kept, settings.power, seed),
        "panel": _panel(panel, miou),
        "limits": _limits(tables, kept, exclusion),
    }
    return StudyReport(
        content, kept, exclusion, correlations(units), rater_offsets(kept.scored, tables.raters),
        tenths_of_sessions(kept.scored),
    )  # fmt: skip


def _name(a: str, b: str) -> str:
    return f"{a}-{b}"


def _couples(tables: RatedTables) -> list[tuple[str, str]]:
    """Pairs of methods, the supposedly better one first; the primary one leads."""
    upward = [name for name in _UPWARD if name in tables.methods]
    found = [(b, a) for a, b in combinations(upward, 2)]
    return sorted(found, key=lambda couple: couple != PRIMARY)


def _mos(tables: RatedTables, draws: dict[str, int]) -> dict[str, Any]:
    if tables.design != "acr":
        return {}
    found = mean_opinions(tables.opinions, **draws)
    out = {}
    for m, name in enumerate(tables.methods):
        values = tables.opinions[..., m]
        counts = {str(v): int((values == v).sum()) for v in sorted(SCALES["acr"])}
        out[name] = {**found[m].as_dict(), "counts": counts}
    return out


def _strengths(tables: RatedTables, draws: dict[str, int]) -> dict[str, Any] | None:
    if tables.design != "pairs":
        return None
    if not tables.methods:
        return {}
    wins = count_wins(tables.scored, tables.methods, tables.raters, tables.images)
    found = bradley_terry(wins, **draws)
    if found is None:
        return {
            name: {"value": None, "low": None, "high": None, "reason": "no finite maximum"}
            for name in tables.methods
        }
    return {name: asdict(strength) for name, strength in zip(tables.methods, found, strict=True)}


def _pairs(
    tables: RatedTables, draws: dict[str, int]
) -> tuple[dict[str, Any], dict[str, MixedTest | None]]:
    out: dict[str, Any] = {}
    tests: dict[str, MixedTest | None] = {}
    for a, b in _couples(tables):
        values = tables.differences(a, b)
        if not np.isfinite(values).any():
            continue  # of pairs: never shown together
        tests[_name(a, b)] = test = crossed_test(values)
        out[_name(a, b)] = _pair(values, test, draws)
        if tables.design == "pairs":
            answers = (("better", 1), ("none", 0), ("worse", -1))
            counts = {name: int((values == answer).sum()) for name, answer in answers}
            out[_name(a, b)]["counts"] = counts
    others = {k: t.p for k, t in tests.items() if t is not None and k != _name(*PRIMARY)}
    adjusted = holm(others)
    for name, row in out.items():
        # The primary test stands alone: one test needs no correction.
        row["p_holm"] = row["p"] if name == _name(*PRIMARY) else adjusted.get(name)
    return out, tests


def _pair(values: np.ndarray, test: MixedTest | None, draws: dict[str, int]) -> dict[str, Any]:
    low, high = difference_interval(np.stack([values, np.zeros_like(values)], -1), 0, 1, **draws)
    row: dict[str, Any] = {
        "difference": float(np.nanmean(values)),
        "low": None,
        "high": None,
        "p": None,
        "p_holm": None,
        "se": None,
        "df": None,
        "n": int(np.isfinite(values).sum()),
        "bootstrap": {"low": low, "high": high},
    }
    if test is None:
        rated = np.isfinite(values)
        few = rated.any(1).sum() < 2
        images = rated.any(0).sum() < 2
        reason = FEW_RATERS if few else FEW_IMAGES if images else "too few ratings"
        return {**row, "reason": reason}
    found = {k: getattr(test, k) for k in ("difference", "low", "high", "p", "se", "df")}
    more = {"components": asdict(test.components), "estimated_by": test.method}
    return {**row, **found, **more}


def _by_stratum(tables: RatedTables, draws: dict[str, int]) -> dict[str, Any]:
    where = tables.scored.drop_duplicates("image").set_index("image")["stratum"]
    out = {}
    for stratum in STRATA:
        images = [name for name in tables.images if where[name] == stratum]
        if not images:
            continue
        own = tables.of(images)
        row: dict[str, Any] = {"images": len(images), "mos": _mos(own, draws), "primary": None}
        if set(PRIMARY) <= set(own.methods):
            values = own.differences(*PRIMARY)
            if np.isfinite(values).any():
                pair = _pair(values, crossed_test(values), draws)
                # A description: with p it would be one more test.
                row["primary"] = {k: pair[k] for k in ("difference", "low", "high", "n")}
        out[stratum] = row
    return out


def _friedman(tables: RatedTables) -> dict[str, Any]:
    found = friedman(tables.image_means(), tables.methods)
    if tables.design == "pairs":
        found["reason"] = "of pairs no method is rated by itself"
    return found if len(tables.raters) >= 2 else _not_tested(found)


def _not_tested(found: dict[str, Any]) -> dict[str, Any]:
    """Over images alone one rater could be tested, too; but it would be a test of that person."""
    return {**found, "statistic": None, "p": None, "reason": FEW_RATERS}


def _wilcoxon(tables: RatedTables) -> dict[str, Any]:
    out = {}
    for a, b in _couples(tables):
        values = tables.differences(a, b)
        known = np.isfinite(values)
        rated = known.any(0)
        if not rated.any():
            continue
        means = np.where(known, values, 0.0).sum(0)[rated] / known.sum(0)[rated]
        test = wilcoxon(means)
        out[_name(a, b)] = test if len(tables.raters) >= 2 else _not_tested(test)
    own = _name(*PRIMARY)
    adjusted = holm({k: v["p"] for k, v in out.items() if k != own and v["p"] is not None})
    for name, row in out.items():
        row["p_holm"] = row["p"] if name == own else adjusted.get(name)
    return out


def _agreement(units: np.ndarray) -> dict[str, Any]:
    one, several = intraclass(units)
    out = {
        "alpha": krippendorff_alpha(units, "ordinal"),
        "alpha_interval": krippendorff_alpha(units, "interval"),
        "icc": one,
        "icc_mean": several,
        "raters": len(units),
        "units": units.shape[1],
    }
    if out["alpha"] is None or one is None:
        out["reason"] = FEW_RATERS if len(units) < 2 else "no item was rated twice, or none differs"
    return out


def _power(
    primary: MixedTest | None, kept: Ratings, settings: PowerSettings, seed: int
) -> dict[str, Any]:
    none = {**asdict(settings), "raters_needed": None}
    if kept.design != "acr":
        return {**none, "reason": "differences are stated in MOS, which pairs do not give"}
    if primary is None:
        return {**none, "reason": "the variances of the primary difference are not known"}
    images = primary.images
    return raters_needed(primary.components, images=images, settings=settings, seed=seed).as_dict()


def _panel(panel: PanelSettings | None, miou: bool) -> dict[str, Any] | None:
    if panel is None:
        return None
    return {"f": panel.describe(known=miou), "miou_known": miou, "settings": asdict(panel)}


def _limits(tables: RatedTables, kept: Ratings, exclusion: Exclusion) -> list[str]:
    out = []
    if len(tables.raters) < 2:
        left = f"{len(tables.raters)} of {exclusion.raters} rated well enough"
        out.append(f"of the raters {left}: no interval, no test, no agreement, no power")
    if len(tables.images) < 2:
        out.append(f"images rated: {len(tables.images)}: no interval, no test, no power")
    if not set(PRIMARY) <= set(tables.methods):
        out.append(f"no primary test: {' and '.join(PRIMARY)} were not both rated")
    if kept.simulated:
        out.append("no person rated: the figures show what a study would look like, not a result")
    return out
