"""Tables for people, made of the experiments' reports alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd


def experiment_table(report: Mapping[str, Any]) -> pd.DataFrame:
    """The table of any experiment's report.

    Rows of label noise: kind, rate and number of labelled views by method, mIoU [95 %]. Couplings
    and single figures: a row each, ``mean [low, high]``. Heads: one a row.
    """
    if "rows" in report:
        frame = pd.DataFrame(report["rows"])
        frame["score"] = [
            _interval({"mean": row.miou, "low": row.low, "high": row.high})
            for row in frame.itertuples()
        ]
        keys = ["kind", "rate", "labelled_views"]
        table = frame.pivot(index=keys, columns="method", values="score")
        return table[list(dict.fromkeys(frame["method"]))]
    subjects = report.get("subjects")
    if subjects and "psnr_heldout" not in report:
        return pd.DataFrame.from_dict(subjects, orient="index")
    rows = {name: value for name, value in report.items() if isinstance(value, dict)}
    rows.pop("subjects", None)
    if all("mean" in value for value in rows.values()):
        return pd.DataFrame({"mean [95 %]": {k: _interval(v) for k, v in rows.items()}})
    return pd.DataFrame.from_dict(
        {row: {k: _interval(v) for k, v in cells.items()} for row, cells in rows.items()},
        orient="index",
    )


def _interval(value: Mapping[str, float | None]) -> str:
    if value["mean"] is None:
        return ""
    text = f"{value['mean']:.3f}" if value["mean"] < 5 else f"{value['mean']:.1f}"
    if value["low"] is None:
        return text
    digits = 3 if value["mean"] < 5 else 1
    return f"{text} [{value['low']:.{digits}f}, {value['high']:.{digits}f}]"
