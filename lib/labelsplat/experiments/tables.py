"""Tables for people, made of the experiments' reports alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from labelsplat.experiments.methods import FITTED


def experiment_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """The table of any experiment's report.

    Rows of label noise: kind, rate and number of labelled views by method, mIoU [95 %]. Couplings
    and single figures: a row each, ``mean [low, high]``. Heads: one a row. Checks of the study: a
    row each, shares of simulated studies, and their names end in (SIMULATED).
    """
    if "rows" in report:
        frame = pd.DataFrame(report["rows"])
        frame["score"] = [_score(row) for row in report["rows"]]
        keys = ["kind", "rate", "labelled_views"]
        table = frame.pivot(index=keys, columns="method", values="score")
        return table[list(dict.fromkeys(frame["method"]))]
    subjects = report.get("subjects")
    if subjects and "baseline_miou_train" in report:
        return pd.DataFrame.from_dict(subjects, orient="index")
    rows = {name: value for name, value in report.items() if isinstance(value, dict)}
    rows.pop("subjects", None)
    if all("mean" in value for value in rows.values()):
        return pd.DataFrame({"mean [95 %]": {k: _interval(v) for k, v in rows.items()}})
    return pd.DataFrame.from_dict(
        {row: {k: _interval(v) for k, v in cells.items()} for row, cells in rows.items()},
        orient="index",
    )


def best_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """Of label noise: which method was best, and how the line's lift stood against the fitted ones.

    A row each kind, rate and number of labelled views. ``as given`` is the mIoU of the labels that
    went in, in their own views: no method, and no competitor. ``intervals`` says whether those of
    the lift and of the better fitted model are ``apart`` or ``overlap``; they are over the same
    heads, so overlapping ones need not mean equal.
    """
    rows = []
    for (kind, rate, views), found in _conditions(report["rows"]).items():
        best = _best(found, [name for name in found if name != "noisy"])
        fitted = _best(found, FITTED)
        lift = found.get("lift")
        both = lift is not None and fitted is not None
        rows.append(
            {
                "kind": kind,
                "rate": rate,
                "labelled_views": views,
                "as given": _score(found.get("noisy")),
                "best method": best["method"] if best else "",
                "its mIoU": _score(best),
                "the lift's": _score(lift),
                "the fitted models'": _score(fitted),
                "lift - fitted": f"{lift['miou'] - fitted['miou']:+.3f}" if both else "",
                "intervals": _apart(lift, fitted) if both else "",
            }
        )
    return pd.DataFrame(rows).set_index(["kind", "rate", "labelled_views"])


def noise_findings(report: Mapping[str, Any]) -> list[str]:
    """Of label noise: a sentence each kind, on the rows with most labelled views.

    It names the best method at each rate, and the rates at which no method was better than the
    labels as given.
    """
    most = max(row["labelled_views"] for row in report["rows"])
    found: dict[str, dict[float, dict[str, Any]]] = {}
    for (kind, rate, views), methods in _conditions(report["rows"]).items():
        if views == most:
            found.setdefault(kind, {})[rate] = methods
    out = []
    for kind, rates in found.items():
        winners: dict[str, list[float]] = {}
        useless = []
        for rate, methods in sorted(rates.items()):
            best = _best(methods, [name for name in methods if name != "noisy"])
            if best is None:
                continue
            winners.setdefault(best["method"], []).append(rate)
            if "noisy" in methods and methods["noisy"]["miou"] >= best["miou"]:
                useless.append(rate)
        named = ", ".join(f"{name} at {_listed(at)}" for name, at in winners.items())
        text = f"{kind}: best {named}" if named else f"{kind}: nothing to compare"
        if useless:
            text += f"; no method was better than the labels as given at {_listed(useless)}"
        out.append(f"{text}.")
    return out


def _conditions(
    rows: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, float, int], dict[str, Mapping[str, Any]]]:
    """Rows that have a score, by kind, rate and labelled views, and then by method."""
    out: dict[tuple[str, float, int], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        methods = out.setdefault((row["kind"], row["rate"], row["labelled_views"]), {})
        if row["miou"] is not None:
            methods[row["method"]] = row
    return out


def _best(found: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> Mapping[str, Any] | None:
    known = [found[name] for name in names if name in found]
    return max(known, key=lambda row: row["miou"]) if known else None


def _score(row: Mapping[str, Any] | None) -> str:
    return _interval({"mean": row["miou"], "low": row["low"], "high": row["high"]}) if row else ""


def _apart(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    if None in (a["low"], b["low"]):
        return ""
    return "apart" if a["high"] < b["low"] or b["high"] < a["low"] else "overlap"


def _listed(rates: Sequence[float]) -> str:
    *first, last = (f"{rate:g}" for rate in rates)
    return f"{', '.join(first)} and {last}" if first else last


def _interval(value: Mapping[str, float | None]) -> str:
    if value["mean"] is None:
        return ""
    text = f"{value['mean']:.3f}" if value["mean"] < 5 else f"{value['mean']:.1f}"
    if value["low"] is None:
        return text
    digits = 3 if value["mean"] < 5 else 1
    return f"{text} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"
