"""Tables for people, made of ``evaluate.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from labelsplat.evaluate.arms import ARMS
from labelsplat.evaluate.summary import PARTS
from labelsplat.labels import STRATA, STRATUM_TITLES


def headline_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """The strata and the thin parts, one row each; arms, gain and share of the gap as columns.

    Strata show mean IoU, and gains with their intervals. Parts (ears, nose, lips, at extreme
    poses) show F1, as is usual for face parsing, and their gain against the control of the
    extreme poses: which control is the better one is settled by mean IoU, not part by part.
    Strata without views are left out; no row without truth.
    """
    rows = {}
    arms = [arm for arm in ARMS if arm in report["arms"]]
    for stratum in STRATA:
        found = {arm: report["arms"][arm][stratum] for arm in arms}
        if not any(found.values()):
            continue
        gain, share = report["gain"][stratum], report["gap_recovered"][stratum]
        rows[STRATUM_TITLES[stratum]] = {
            **{arm: _number(value and value["miou"]) for arm, value in found.items()},
            "gain [95 %]": _interval(gain, sign=True),
            "over self-training [95 %]": _interval(
                report["over_self_training"][stratum], sign=True
            ),
            "share of the gap": "" if share is None else f"{100 * share:.0f} %",
        }
    for part in PARTS:
        found = {arm: report["arms"][arm]["extreme"] for arm in arms}
        if not any(found.values()):
            continue
        f1 = {arm: value["parts"][part]["f1"] for arm, value in found.items() if value}
        control, mine = f1.get(report["control"]["extreme"]), f1.get("refined")
        rows[f"{part}, extreme (F1)"] = {
            **{arm: _number(value) for arm, value in f1.items()},
            "gain [95 %]": "" if None in (mine, control) else f"{mine - control:+.3f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def label_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """Labels of the capture views: a stratum a row; raw, each round, the ceiling, the gain."""
    labels = report["labels"]
    columns = {
        "raw": labels["raw"],
        **{f"refined {name}": row for name, row in labels["refined_by_round"].items()},
        "ceiling": labels["ceiling"],
    }
    rows = {}
    for stratum in STRATA:
        if labels["raw"][stratum] is None:
            continue
        rows[STRATUM_TITLES[stratum]] = {
            **{name: _interval(row[stratum]) for name, row in columns.items()},
            "gain": _interval(labels["gain"][stratum], sign=True),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def class_table(report: Mapping[str, Any], stratum: str = "extreme") -> pd.DataFrame:
    """IoU of each class in a stratum, a class a row, an arm a column."""
    arms = [arm for arm in ARMS if (report["arms"].get(arm) or {}).get(stratum)]
    if not arms:
        return pd.DataFrame()
    per_class = {arm: report["arms"][arm][stratum]["per_class"] for arm in arms}
    names = per_class[arms[0]]
    frame = {arm: {name: per_class[arm][name]["iou"] for name in names} for arm in arms}
    return pd.DataFrame(frame, dtype=float)


def agreement_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """Agreement between views: a stratum a row; raw and refined, shares of pixels."""
    frame = pd.DataFrame(report["agreement"], index=list(STRATA), dtype=float)
    return frame.dropna(how="all").rename(index=STRATUM_TITLES)


def fit_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """How the fitted heads hold in their own and in held-out views, a subject a row and their
    mean; without truth, empty."""
    fit = report["fit"]
    if fit is None:
        return pd.DataFrame()
    rows = {
        name: {
            "Gaussians": found["gaussians"],
            "PSNR of its photos [dB]": found["psnr"],
            "PSNR held out [dB]": found["heldout"]["psnr"],
            "SSIM of its photos": found["ssim"],
            "SSIM held out": found["heldout"]["ssim"],
        }
        for name, found in {**fit["subjects"], "all": fit["mean"]}.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)


def fit_label_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """Label mIoU of all heads together: a labelling a row, fitted and held-out views as columns;
    without truth, empty."""
    fit = report["fit"]
    if fit is None:
        return pd.DataFrame()
    titles = {"train": "views that voted", "heldout": "held-out views"}
    rows = {
        name: {titles[pool]: value for pool, value in found.items()}
        for name, found in fit["mean"]["label_miou"].items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)


def calibration_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """How well each measure of certainty finds the wrong pixels; without truth, empty."""
    found = report["calibration"]
    if found is None:
        return pd.DataFrame()
    rows = {name: {"finds errors (AUROC)": v} for name, v in found["finds_errors"].items()}
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    if value is None or value["miou"] is None:
        return ""
    spec = "+.3f" if sign else ".3f"
    text = format(value["miou"], spec)
    if value["low"] is None:
        return text
    return f"{text} [{value['low']:{spec}}, {value['high']:{spec}}]"
