"""The baseline by itself, on the test heads: how good it is, and whether it knows how good.

All that follows stands on the baseline, so it has metrics of its own. Its expected calibration
error is measured by pose, as predicted and with the temperature that was fitted on near-frontal
validation heads: what holds from the front need not hold in profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from labelsplat.evaluate.arms import true_heads
from labelsplat.evaluate.calibration import (
    Calibration,
    calibrate,
    join_calibrations,
    reliability,
)
from labelsplat.evaluate.confusions import ViewConfusions
from labelsplat.evaluate.numbers import number
from labelsplat.labels import STRATUM_TITLES, scores, stratum_of
from labelsplat.parsing import (
    calibration_file,
    load_checkpoint,
    load_temperature,
    predict,
    temper,
)

POSES = ("standard", "middle", "extreme", "all")
"""Strata of pretrain.json; "all" leaves out views from behind."""

_GRID = 128
"""Rows and columns of an image that enter the calibration error: more say the same."""


def pretrain_quality(
    checkpoint: str | Path,
    views: ViewConfusions,
    photos: str | Path,
    truth: str | Path,
    size: int,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The section ``pretrain`` of evaluate.json.

    Args:
        checkpoint: of the baseline, its temperature beside it.
        views: its counts on the test heads.
        photos: root of the test photos.
        truth: root of their true labels.
        size: of the photos, in pixels.
        device: "auto", "cpu" or "cuda".
        progress: called with each subject's name once it is done.

    Returns:
        ``{standard, middle, extreme, all}.{miou, f1}`` (None where there is no view),
        ``per_class.{name}.{iou, f1}`` over all but views from behind, ``ece.{before, after}`` over
        the same, ``ece.by_pose.{pose}.{before, after}``, ``temperature`` (None, as "after", where
        none was fitted) and ``parameters``, the number of weights.
    """
    net = load_checkpoint(checkpoint).net
    fitted = calibration_file(checkpoint).is_file()
    temperature = load_temperature(checkpoint).temperature if fitted else None
    by_pose: dict[str, list[Calibration]] = {}
    for head in true_heads(photos, truth, size):
        p = head.photos
        step = max(1, math.ceil(size / _GRID))
        soft = predict(net, p.images, flip=False, device=device)[:, ::step, ::step]
        true = head.labels[:, ::step, ::step]
        for pose, chosen in _views_by_pose(p.angles, len(p.names)).items():
            found = sureness(soft[chosen], true[chosen], temperature)
            by_pose.setdefault(pose, []).append(found)
        if progress:
            progress(p.subject)
    errors = {pose: calibration_errors(by_pose, pose) for pose in POSES}
    everything = scores(views.total("all"), views.vocabulary)
    return {
        **{pose: _scores(views, pose) for pose in POSES},
        "per_class": {
            name: {
                "iou": number(everything.iou_per_class[name]),
                "f1": number(everything.f1_per_class[name]),
            }
            for name in views.vocabulary.classes
        },
        "ece": {**errors["all"], "by_pose": errors},
        "temperature": temperature,
        "parameters": sum(weights.numel() for weights in net.parameters()),
    }


def sureness(soft: np.ndarray, truth: np.ndarray, temperature: float | None) -> Calibration:
    """Which pixels are right, and how sure a prediction is of them ``before`` and ``after``.

    Args:
        soft: ``[V, H, W, classes]`` as predicted.
        truth: ``[V, H, W]`` uint8, 255 is left out; so is background that is called so.
        temperature: for ``after``; without one there is no such measure.
    """
    measures = {"before": soft.max(-1)}
    if temperature is not None:
        measures["after"] = temper(soft, temperature).max(-1)
    return calibrate(soft.argmax(-1).astype(np.uint8), truth, measures)


def calibration_errors(by_pose: dict[str, list[Calibration]], pose: str) -> dict[str, float | None]:
    """``{"before", "after"}``: expected calibration errors in one of :data:`POSES`.

    Args:
        by_pose: parts by exclusive stratum, "unknown" for views without a head frame.
        pose: "all" joins all but "behind".
    """
    wanted = [name for name in by_pose if name == pose or (pose == "all" and name != "behind")]
    parts = [part for name in wanted for part in by_pose[name]]
    found = join_calibrations(parts) if parts else None
    if found is None or not len(found.correct):
        return {"before": None, "after": None}
    return {
        kind: reliability(found.correct, found.measures[kind])["ece"]
        if kind in found.measures
        else None
        for kind in ("before", "after")
    }


def _views_by_pose(angles: np.ndarray | None, count: int) -> dict[str, list[int]]:
    """Indices of the views in each exclusive stratum."""
    out: dict[str, list[int]] = {}
    for i in range(count):
        known = angles is not None and not np.isnan(angles[i]).any()
        out.setdefault(stratum_of(*angles[i]) if known else "unknown", []).append(i)
    return out


def _scores(views: ViewConfusions, pose: str) -> dict[str, float | None] | None:
    if not views.inside(pose).any():
        return None
    found = scores(views.total(pose), views.vocabulary)
    return {"miou": number(found.miou), "f1": number(found.f1)}


def pretrain_table(report: dict[str, Any]) -> pd.DataFrame:
    """One row a pose: scores of the baseline and its calibration errors; empty without truth.

    Args:
        report: content of evaluate.json.
    """
    found = report["pretrain"]
    if not found:
        return pd.DataFrame()
    rows = {}
    for pose in POSES:
        if found[pose]:
            errors = found["ece"]["by_pose"][pose]
            rows[STRATUM_TITLES[pose]] = {
                "mean IoU": found[pose]["miou"],
                "mean F1": found[pose]["f1"],
                "calibration error": errors["before"],
                "with the temperature": errors["after"],
            }
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)
