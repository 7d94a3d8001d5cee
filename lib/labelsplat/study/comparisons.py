"""What was found of each method, and of each two, as JSON: means, strengths, tests, by pose.

A pair is named "better-worse" by the order of :data:`~labelsplat.study.key.METHODS`, so that an
expected difference is positive. Every person on the photos counts once, however many photos show
them: means and tests are of a rater's means over each person's photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from labelsplat.labels import STRATA
from labelsplat.study.fixed import PRIMARY
from labelsplat.study.key import METHODS
from labelsplat.study.mixed import MixedTest, crossed_test, holm
from labelsplat.study.mos import difference_interval, mean_opinions
from labelsplat.study.nonparametric import friedman, wilcoxon
from labelsplat.study.package import SCALES
from labelsplat.study.pairwise import bradley_terry
from labelsplat.study.rated_tables import RatedTables, rater_means

FEW_RATERS = "fewer than two raters: nothing is known of how raters differ"
FEW_PEOPLE = "fewer than two people on the photos: nothing is known of how people differ"

PRIMARY_NAME = "-".join(PRIMARY)


def couples(tables: RatedTables) -> list[tuple[str, str]]:
    """Pairs of methods, the supposedly better one first; the primary one leads."""
    upward = [name for name in METHODS if name in tables.methods]
    found = [(b, a) for a, b in combinations(upward, 2)]
    return sorted(found, key=lambda couple: couple != PRIMARY)


def opinions(tables: RatedTables, draws: Mapping[str, int]) -> dict[str, Any]:
    """MOS by method: ``mean, low, high`` with every person once, ``n`` ratings and their
    ``counts``; {} of pairs.

    Args:
        tables: of the kept ratings.
        draws: ``draws`` and ``seed`` of the bootstrap.
    """
    if tables.design != "acr":
        return {}
    found = mean_opinions(tables.person_opinions, **draws)
    out = {}
    for m, name in enumerate(tables.methods):
        values = tables.opinions[..., m]
        counts = {str(v): int((values == v).sum()) for v in sorted(SCALES["acr"])}
        out[name] = {**found[m].as_dict(), "n": sum(counts.values()), "counts": counts}
    return out


def strengths(tables: RatedTables, draws: Mapping[str, int]) -> dict[str, Any] | None:
    """Bradley and Terry's log strengths by method; None of ``acr``."""
    if tables.design != "pairs":
        return None
    if not tables.methods:
        return {}
    found = bradley_terry(tables.wins(), **draws)
    if found is None:
        return {
            name: {"value": None, "low": None, "high": None, "reason": "no finite maximum"}
            for name in tables.methods
        }
    return {name: asdict(strength) for name, strength in zip(tables.methods, found, strict=True)}


def all_pairs(
    tables: RatedTables, draws: Mapping[str, int]
) -> tuple[dict[str, Any], MixedTest | None]:
    """Every pair's difference with its crossed test, corrected by Holm but for the primary one; and
    the primary test itself, None where there is none."""
    out: dict[str, Any] = {}
    primary = None
    for a, b in couples(tables):
        photos = tables.photo_differences(a, b)
        if not np.isfinite(photos).any():
            continue  # of pairs: never shown together
        values = tables.differences(a, b)
        test = crossed_test(values)
        if (a, b) == PRIMARY:
            primary = test
        row = _pair(values, test, draws) | {"n": int(np.isfinite(photos).sum())}
        if tables.design == "pairs":
            answers = (("better", 1), ("none", 0), ("worse", -1))
            row["counts"] = {name: int((photos == answer).sum()) for name, answer in answers}
        out[f"{a}-{b}"] = row
    _correct(out)
    return out, primary


def _correct(rows: dict[str, Any]) -> None:
    """``p_holm`` of each row: the primary test stands alone, one test needs no correction."""
    others = {k: v["p"] for k, v in rows.items() if k != PRIMARY_NAME and v["p"] is not None}
    adjusted = holm(others)
    for name, row in rows.items():
        row["p_holm"] = row["p"] if name == PRIMARY_NAME else adjusted.get(name)


def _pair(values: np.ndarray, test: MixedTest | None, draws: Mapping[str, int]) -> dict[str, Any]:
    low, high = difference_interval(np.stack([values, np.zeros_like(values)], -1), 0, 1, **draws)
    row: dict[str, Any] = {
        "difference": float(np.nanmean(values)),
        "low": None,
        "high": None,
        "p": None,
        "p_holm": None,
        "se": None,
        "df": None,
        "bootstrap": {"low": low, "high": high},
    }
    if test is None:
        rated = np.isfinite(values)
        few = rated.any(1).sum() < 2
        people = rated.any(0).sum() < 2
        reason = FEW_RATERS if few else FEW_PEOPLE if people else "too few ratings"
        return {**row, "reason": reason}
    found = {k: getattr(test, k) for k in ("difference", "low", "high", "p", "se", "df")}
    more = {"components": asdict(test.components), "estimated_by": test.method}
    return {**row, **found, **more}


def by_stratum(tables: RatedTables, draws: Mapping[str, int]) -> dict[str, Any]:
    """Opinions and the primary difference of each pose stratum: a description, without tests."""
    where = tables.scored.drop_duplicates("image").set_index("image")["stratum"]
    out = {}
    for stratum in STRATA:
        images = [name for name in tables.images if where[name] == stratum]
        if not images:
            continue
        own = tables.of(images)
        row: dict[str, Any] = {
            "images": len(images), "people": len(own.people), "mos": opinions(own, draws),
            "primary": None,
        }  # fmt: skip
        if set(PRIMARY) <= set(own.methods):
            photos = own.photo_differences(*PRIMARY)
            if np.isfinite(photos).any():
                values = own.differences(*PRIMARY)
                pair = _pair(values, crossed_test(values), draws)
                # With p it would be one more test.
                row["primary"] = {k: pair[k] for k in ("difference", "low", "high")}
                row["primary"]["n"] = int(np.isfinite(photos).sum())
        out[stratum] = row
    return out


def rank_test(tables: RatedTables) -> dict[str, Any]:
    """Friedman's test on means per person."""
    found = friedman(rater_means(tables.person_opinions), tables.methods)
    if tables.design == "pairs":
        found["reason"] = "of pairs no method is rated by itself"
    return found if len(tables.raters) >= 2 else _not_tested(found)


def _not_tested(found: dict[str, Any]) -> dict[str, Any]:
    """Over people alone one rater could be tested, too; but it would be a test of that rater."""
    return {**found, "statistic": None, "p": None, "reason": FEW_RATERS}


def rank_differences(tables: RatedTables) -> dict[str, Any]:
    """Wilcoxon's test of each pair on means per person, corrected as the crossed tests are."""
    out = {}
    for a, b in couples(tables):
        means = rater_means(tables.differences(a, b))
        means = means[np.isfinite(means)]
        if means.size:
            test = wilcoxon(means)
            out[f"{a}-{b}"] = test if len(tables.raters) >= 2 else _not_tested(test)
    _correct(out)
    return out
