"""Tables for people, made of ``user_study.json`` alone; each row says whether people rated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from labelsplat.base.arms import ARM_TITLES
from labelsplat.labels import STRATUM_TITLES

METHOD_TITLES = {**ARM_TITLES, "reference": "true labels"}
"""What was rated, in words."""

REASON_TITLES = {
    "absurd": "absurd items not seen",
    "repeats": "repeated items rated differently",
    "straight_lining": "always the same answer",
    "incomplete": "session not finished",
}

EFFECT_TITLES = {
    "rating_trend": "ratings, from first to last position [points]",
    "rating_thirds": "ratings, last third less first [points]",
    "seconds_trend": "time on an item, from first to last position [factor]",
    "seconds_thirds": "time on an item, last third to first [factor]",
    "side": "preference for the right side [-1 to 1]",
}

ORIGIN_TITLES = {
    "human": "human",
    "script": "SIMULATED (script)",
    "simulation": "SIMULATED",
}
"""The column that no table lacks."""


def pair_title(name: str) -> str:
    """A pair such as "refined-baseline" in words."""
    a, _, b = name.partition("-")
    return f"{METHOD_TITLES.get(a, a)} \N{MINUS SIGN} {METHOD_TITLES.get(b, b)}"


def opinion_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """MOS of each method; of pairs, log strengths."""
    rows = {}
    if content["design"] == "pairs":
        for name, found in (content["bradley_terry"] or {}).items():
            rows[METHOD_TITLES.get(name, name)] = {
                "log strength [95 %]": _interval(found, "value", ".2f") or found.get("reason", "")
            }
        return _marked(rows, content)
    for name, found in content["mos"].items():
        rows[METHOD_TITLES.get(name, name)] = {
            "MOS [95 %]": _interval(found, "mean", ".2f"),
            "ratings": str(found["n"]),
        }
    return _marked(rows, content)


def pose_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """MOS of each method by pose (``acr``), and the primary difference; strata as columns."""
    rows: dict[str, dict[str, str]] = {}
    for stratum, part in content["by_stratum"].items():
        title = stratum_title(stratum, part)
        for name, found in part["mos"].items():
            row = rows.setdefault(METHOD_TITLES.get(name, name), {})
            row[title] = _interval(found, "mean", ".2f")
        if content["primary"]:
            row = rows.setdefault(pair_title(content["primary"]), {})
            row[title] = _interval(part["primary"], "difference", "+.2f")
    return _marked(rows, content)


def stratum_title(stratum: str, part: Mapping[str, Any]) -> str:
    """A stratum with what it holds, as column or axis title."""
    people = "" if part["people"] == part["images"] else f" of {part['people']} people"
    return f"{STRATUM_TITLES[stratum]} ({part['images']} photos{people})"


def pair_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Differences between methods with their tests, the primary one first.

    ``p`` of the crossed test as it is, ``Holm`` corrected (the primary test needs no correction),
    ``Wilcoxon`` corrected likewise, ``bootstrap`` the interval of the other kind.
    """
    rows = {}
    for name, found in content["pairs"].items():
        ranks = content["wilcoxon"].get(name, {})
        primary = name == content["primary"]
        rows[pair_title(name)] = {
            "difference [95 %]": _interval(found, "difference", "+.2f"),
            "p": _p(found["p"]),
            "Holm": "primary" if primary else _p(found["p_holm"]),
            "Wilcoxon": _p(ranks.get("p_holm")),
            "bootstrap [95 %]": _ends(found["bootstrap"], "+.2f"),
            "why not": found.get("reason", ""),
        }
    table = _marked(rows, content)
    return table.drop(columns="why not") if len(table) and not any(table["why not"]) else table


def exclusion_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """How many raters were left out, and why; one rater may give several reasons.

    ``random raters that pass``: share of simulated raters who answer everything at random and whom
    the rule lets pass; the fewer, the better.
    """
    found = content["excluded"]
    rules, careless = found["rules"], found["random_raters"]
    limits = {
        "absurd": f"more than {rules['absurd_allowed']}",
        "repeats": f"by more than {rules['repeat_difference']:.1%} of the scale on average",
        "straight_lining": f"in more than {rules['straight_lining']:.0%}",
        "incomplete": f"less than {rules['answered']:.0%} answered",
    }
    rows = {
        title: {
            "limit": limits[name],
            "raters": str(found[name]),
            "random raters that pass": f"{careless['by_rule'][name]:.0%}",
        }
        for name, title in REASON_TITLES.items()
    }
    rows["left out in all"] = {
        "limit": "",
        "raters": f"{found['raters']} of {found['of']}",
        "random raters that pass": f"{careless['passed']:.0%}",
    }
    return _marked(rows, content)


def effect_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Order and fatigue."""
    rows = {
        EFFECT_TITLES[name]: {
            "change [95 %]": _interval(found, "value", ".2f") or found.get("reason", ""),
            "p": _p(found["p"]),
        }
        for name, found in content["effects"].items()
    }
    return _marked(rows, content)


def agreement_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """Krippendorff's alpha and intraclass correlations."""
    found = content["agreement"]
    titles = {
        "alpha": "Krippendorff's alpha, ordinal",
        "alpha_interval": "Krippendorff's alpha, interval",
        "icc": "ICC(2,1): one rater",
        "icc_mean": f"ICC(2,k): the mean of k = {found['ratings_a_unit'] or 0:.4g} raters",
    }
    rows = {
        title: {"agreement": found.get("reason", "") if found[k] is None else f"{found[k]:.3f}"}
        for k, title in titles.items()
    }
    return _marked(rows, content)


def power_sentence(content: Mapping[str, Any]) -> str:
    """What the power calculation says, and what it supposes, in a few sentences."""
    found = content["power"]
    asked = f"a difference of {found['difference']:g} MOS with {found['power']:.0%} power"
    if found["raters_needed"] is None:
        return f"How many raters find {asked}? No answer: {found['reason']}."
    return (
        f"{found['raters_needed']} raters who see all {found['images']} photos of "
        f"{found['people']} people find {asked} (reached: {found['reached']:.1%}, simulation error "
        f"{found['error']:.1%}; with unlimited raters {found['limit']:.0%}). These are raters who "
        f"are kept: with {found['excluded']:.0%} left out, as here, {found['raters_to_invite']} "
        f"have to be invited. It supposes a two-sided test at {found['alpha']:g}, as many "
        "photos of as many people who differ as these do, raters who do not influence one another, "
        "and the "
        "variances estimated here as if they were exact."
    )


def _marked(rows: Mapping[str, Mapping[str, str]], content: Mapping[str, Any]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    # First, where no narrow window hides it.
    table.insert(0, "who rated", ORIGIN_TITLES[content["origin"]])
    return table


def _interval(found: Mapping[str, Any] | None, key: str, spec: str) -> str:
    if found is None or found[key] is None:
        return ""
    ends = _ends(found, spec)
    return _fixed(f"{found[key]:{spec}}" + (f" {ends}" if ends else ""))


def _ends(found: Mapping[str, Any], spec: str) -> str:
    if found["low"] is None:
        return ""
    return _fixed(f"[{found['low']:{spec}}, {found['high']:{spec}}]")


def _fixed(text: str) -> str:
    """With real minus signs, and in one line whatever the table's width."""
    return text.replace("-", "\N{MINUS SIGN}").replace(" ", "\N{NO-BREAK SPACE}")


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return _fixed("< .001") if value < 0.001 else f"{value:.3f}".replace("0.", ".", 1)
