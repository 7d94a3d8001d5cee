"""What a study cannot say, in sentences: of its size, of its checks, and of what was fixed
beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from labelsplat.base import LabelsplatError, read_json
from labelsplat.study.exclusion import Exclusion, ExclusionRules
from labelsplat.study.fixed import PRIMARY, fixed_beforehand
from labelsplat.study.package import Package
from labelsplat.study.rated_tables import RatedTables
from labelsplat.study.ratings import Ratings


def limits_of(
    tables: RatedTables, kept: Ratings, exclusion: Exclusion, package: Package
) -> list[str]:
    """Sentences without a full stop; none where there is nothing to say.

    Args:
        tables: of the kept ratings.
        kept: the kept ratings.
        exclusion: who was left out.
        package: that was rated.
    """
    out = []
    if len(tables.raters) < 2:
        left = f"{len(tables.raters)} of {exclusion.raters} rated well enough"
        out.append(f"of the raters {left}: no interval, no test, no agreement, no power")
    images, people = len(tables.images), len(tables.people)
    if people < 2:
        out.append(f"people on the photos rated: {people}: no interval, no test, no power")
    elif people < images:
        out.append(
            f"{images} photos show {people} people: intervals and tests are over people, so each "
            "person counts once, and photos of one person are averaged"
        )
    if not set(PRIMARY) <= set(tables.methods):
        out.append(f"no primary test: {' and '.join(PRIMARY)} were not both rated")
    out += _blunt_checks(package, kept.key, exclusion.rules)
    if kept.simulated:
        out.append("no person rated: the figures show what a study would look like, not a result")
    return out


def _blunt_checks(package: Package, key: pd.DataFrame, rules: ExclusionRules) -> list[str]:
    """Rules that could exclude nobody, whatever is answered."""
    kind = key.set_index("item")["kind"]
    shown = {
        name: min(sum(kind[item] == name for item in order) for order in package.orders)
        for name in ("absurd", "repeat")
    }
    out = []
    if shown["absurd"] <= rules.absurd_allowed:
        out.append(
            f"absurd items exclude nobody: some raters see {shown['absurd']}, and "
            f"{rules.absurd_allowed} may be failed"
        )
    if not shown["repeat"]:
        out.append("some raters see no repeated item: that rule excludes none of them")
    return out


def against_plan(path: Path, bootstrap: int, rules: ExclusionRules, study: str) -> list[str]:
    """Where the analysis differs from what ``plan.json`` says was fixed beforehand.

    Args:
        path: of plan.json, beside the key.
        bootstrap: resamples that the analysis is run with.
        rules: likewise.
        study: id of the package.

    Returns:
        A sentence for each difference, without a full stop; one that says so where there is no
        plan, or one of another study.
    """
    unknown = "whether the rules were fixed beforehand cannot be told"
    try:
        plan = read_json(path)
    except LabelsplatError:
        return [f"no plan.json beside the key: {unknown}"]
    if not isinstance(plan, Mapping) or not isinstance(plan.get("fixed"), Mapping):
        return [f"plan.json names nothing that was fixed: {unknown}"]
    if plan.get("study") != study:
        return [f"plan.json is of study {plan.get('study')}, not of {study}: {unknown}"]
    fixed = dict(plan["fixed"])
    # A rule that the plan does not name was left at what it is by default.
    if isinstance(fixed.get("exclusion"), Mapping):
        fixed["exclusion"] = asdict(ExclusionRules()) | dict(fixed["exclusion"])
    before, now = _flat(fixed), _flat(fixed_beforehand(bootstrap, asdict(rules)))
    return [
        f"not as fixed beforehand: {name} is {now.get(name, 'not known any more')}, "
        f"fixed was {before.get(name, 'nothing')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            out |= _flat(entry, f"{before}{name}.")
        else:
            out[f"{before}{name}"] = entry
    return out
