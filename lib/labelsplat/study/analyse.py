"""The analysis: from checked ratings to ``user_study.json``.

What is tested was named before anyone rated (:mod:`labelsplat.study.fixed`): refined against
self-training, by the crossed test. All other pairs of methods are corrected by Holm among
themselves; strata, agreement, order effects and power are descriptions.

Every person on the photos counts once in means and tests, however many photos show them; agreement
and order effects are of single ratings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError, write_json
from labelsplat.base.layout import Layout
from labelsplat.study.agreement import (
    correlations,
    intraclass,
    krippendorff_alpha,
    ratings_a_unit,
)
from labelsplat.study.comparisons import (
    FEW_RATERS,
    PRIMARY_NAME,
    all_pairs,
    by_stratum,
    opinions,
    rank_differences,
    rank_test,
    strengths,
)
from labelsplat.study.effects import order_effects, rater_offsets, tenths_of_sessions
from labelsplat.study.exclusion import Exclusion, ExclusionRules, apply_rules, random_raters
from labelsplat.study.key import read_key
from labelsplat.study.limits import against_plan, limits_of
from labelsplat.study.mixed import MixedTest
from labelsplat.study.package import Package, read_package
from labelsplat.study.panel import PanelSettings, miou_known, simulate_panel
from labelsplat.study.power import PowerSettings, raters_needed
from labelsplat.study.rated_tables import RatedTables, rated_tables
from labelsplat.study.ratings import Ratings, check_key, grid, ratings_from_frame, read_ratings


@dataclass(frozen=True)
class AnalysisSettings:
    """How ratings are analysed.

    Attributes:
        bootstrap: resamples of raters and people for each interval.
        random_raters: simulated ones, who show how many of their kind the rules let pass.
        rules: who is left out.
        power: what is asked of a study.
    """

    bootstrap: int = 2000
    random_raters: int = 300
    rules: ExclusionRules = field(default_factory=ExclusionRules)
    power: PowerSettings = field(default_factory=PowerSettings)

    def __post_init__(self) -> None:
        if self.random_raters < 1:
            raise ParameterError(f"{self.random_raters} random raters, at least 1 is needed")
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
    package: str = "",
    key: str = "",
    bootstrap: int = 2000,
    panel: Mapping[str, Any] | None = None,
    exclusion: Mapping[str, Any] | None = None,
    power: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> StudyReport:
    """Analyse the study that was prepared; writes ``reports/metrics/user_study.json``.

    Args:
        layout: of the project.
        ratings: an exported CSV file, relative to the project; "" = a simulated panel.
        package: the folder that was rated, relative to the project; "" = ``data/study/package``.
        key: its key, likewise; "" = ``data/study/key.csv``. What was fixed beforehand is read from
            ``plan.json`` beside it; ``limits`` names where the analysis differs.
        bootstrap: see :class:`AnalysisSettings`.
        panel: fields of :class:`~labelsplat.study.panel.PanelSettings`.
        exclusion: fields of :class:`~labelsplat.study.exclusion.ExclusionRules`.
        power: fields of :class:`~labelsplat.study.power.PowerSettings`.
        seed: of the panel, of resamples and of simulations.

    Raises:
        LabelsplatError: no package, no key, or ratings that do not belong to them.
    """
    settings = AnalysisSettings(
        bootstrap,
        rules=ExclusionRules(**(exclusion or {})),
        power=PowerSettings(**(power or {})),
    )
    opened = read_package(
        layout.outside(package) if package else layout.study_package, digests=False
    )
    key_path = layout.outside(key) if key else layout.study_key
    table = read_key(key_path)
    check_key(opened, table)
    simulated = None
    if ratings:
        found = read_ratings(layout.outside(ratings), opened, table)
    else:
        simulated = PanelSettings(**(panel or {}))
        found = ratings_from_frame(simulate_panel(opened, table, simulated, seed), opened, table)
    report = analyse_study(found, opened, settings, seed=seed, panel=simulated)
    report.content["limits"] += against_plan(
        key_path.parent / "plan.json", settings.bootstrap, settings.rules, opened.study
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
) -> StudyReport:
    """Analyse checked ratings.

    With one rater, one person or one method, what cannot be said is None and the reason stands
    beside it; ``limits`` lists such limits in words.

    Args:
        ratings: all of them.
        package: that was rated.
        settings: how.
        seed: of resamples and simulations.
        panel: that made the ratings, if one did.
    """
    exclusion = apply_rules(ratings, package, settings.rules)
    kept = ratings.without(exclusion.reasons)
    tables = rated_tables(kept)
    draws = {"draws": settings.bootstrap, "seed": seed}
    pairs, primary = all_pairs(tables, draws)
    names = sorted(kept.scored["unit"].unique())
    units = grid(kept.scored, "answer", raters=tables.raters, columns=names, by="unit")  # [R, U]
    careless = random_raters(
        package, ratings.key, settings.rules, raters=settings.random_raters, seed=seed
    )
    content = {
        "simulated": ratings.simulated,
        "origin": ratings.origin,
        "study": ratings.study,
        "design": ratings.design,
        "raters": len(tables.raters),
        "items": units.shape[1],
        "images": len(tables.images),
        "people": len(tables.people),
        "ratings": len(kept.scored),
        "excluded": {**exclusion.counts(), "random_raters": careless},
        "mos": opinions(tables, draws),
        "bradley_terry": strengths(tables, draws),
        "by_stratum": by_stratum(tables, draws),
        "primary": PRIMARY_NAME if PRIMARY_NAME in pairs else None,
        "pairs": pairs,
        "friedman": rank_test(tables),
        "wilcoxon": rank_differences(tables),
        "agreement": _agreement(units),
        "effects": order_effects(kept.scored, kept.design),
        "power": _power(primary, tables, exclusion, settings.power, seed),
        "panel": _panel(panel, miou_known(ratings.key)),
        "limits": limits_of(tables, kept, exclusion, package),
    }
    return StudyReport(
        content, kept, exclusion, correlations(units), rater_offsets(kept.scored, tables.raters),
        tenths_of_sessions(kept.scored),
    )  # fmt: skip


def _agreement(units: np.ndarray) -> dict[str, Any]:
    one, several = intraclass(units)
    out = {
        "alpha": krippendorff_alpha(units, "ordinal"),
        "alpha_interval": krippendorff_alpha(units, "interval"),
        "icc": one,
        "icc_mean": several,
        "raters": len(units),
        "ratings_a_unit": ratings_a_unit(units),
        "units": units.shape[1],
    }
    if out["alpha"] is None or one is None:
        out["reason"] = FEW_RATERS if len(units) < 2 else "no item was rated twice, or none differs"
    return out


def _power(
    primary: MixedTest | None,
    tables: RatedTables,
    exclusion: Exclusion,
    settings: PowerSettings,
    seed: int,
) -> dict[str, Any]:
    """How many raters it takes, and how many to invite if as many are left out again."""
    none = {**asdict(settings), "raters_needed": None, "raters_to_invite": None}
    if tables.design != "acr":
        return {**none, "reason": "differences are stated in MOS, which pairs do not give"}
    if primary is None:
        return {**none, "reason": "the variances of the primary difference are not known"}
    found = raters_needed(
        primary.components, people=primary.people, settings=settings, seed=seed
    ).as_dict()
    excluded = len(exclusion.reasons) / exclusion.raters
    needed = found["raters_needed"]
    invite = None if needed is None else math.ceil(needed / (1 - excluded) - 1e-9)
    return {**found, "images": len(tables.images), "excluded": excluded, "raters_to_invite": invite}


def _panel(panel: PanelSettings | None, miou: bool) -> dict[str, Any] | None:
    if panel is None:
        return None
    return {"f": panel.describe(known=miou), "miou_known": miou, "settings": asdict(panel)}
