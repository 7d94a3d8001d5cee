"""The line once more with ESTIMATED head frames: what does it cost not to be told?

``head_frames`` asks that of the labels, on tune heads. Here the whole line runs again, down to the
scores of its parsers on the test heads; nothing is chosen by them. What does not depend on a
frame (heads, baseline, both controls) comes out of the project's own cache.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labelsplat.base import read_json
from labelsplat.base.layout import Layout
from labelsplat.evaluate.numbers import number
from labelsplat.experiments.copied_line import change_params, copy_project, run_line, share_cache

STRATA = ("all", "standard", "extreme", "yaw60")
"""Those that are reported."""


def run_estimated_line(layout: Layout) -> dict[str, Any]:
    """Run the line with ``predict.head_frame: estimate`` and compare it with the project's own run.

    Args:
        layout: the project, its line run.

    Returns:
        ``{"own" | "estimate": {labels_<stratum>, parser_<stratum>, gain_<stratum>:
        {mean, low, high}}}``: mIoU of the refined labels, mIoU of the refined parser on the test
        heads, and its gain over the better control.

    Raises:
        LabelsplatError: the line has not run, or a stage failed in the copy.
    """
    own = read_json(layout.metrics / "evaluate.json")
    with tempfile.TemporaryDirectory() as name:
        project = copy_project(layout.root, Path(name).resolve() / "project")
        share_cache(layout.root, project)
        change_params(project / "params.yaml", _estimate)
        run_line(project, "evaluate")
        estimated = read_json(Layout(project).metrics / "evaluate.json")
    return {"own": frame_scores(own), "estimate": frame_scores(estimated)}


def _estimate(params: dict) -> None:
    params["predict"]["head_frame"] = "estimate"


def frame_scores(report: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """The figures of one run, see :func:`run_estimated_line`.

    Args:
        report: content of its evaluate.json.
    """
    parts = {
        "labels": report["labels"].get("refined") or {},
        "parser": report["arms"].get("refined") or {},
        "gain": report["gain"] or {},
    }
    return {
        f"{what}_{stratum}": {
            "mean": number(row["miou"]), "low": number(row["low"]), "high": number(row["high"])
        }
        for what, rows in parts.items()
        for stratum in STRATA
        if (row := rows.get(stratum))
    }  # fmt: skip
