"""Does refinement know where it is wrong? Confidence and uncertainty of labels against truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from labelsplat.labels import IGNORE, foreground

BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """Of labels and what was said of their certainty, over the pixels of any number of views.

    Background pixels that are labelled so are left out: they are easy, and half of every picture.

    Attributes:
        correct: ``[M]`` bool.
        measures: ``[M]`` each, by name: ``confidence`` (higher is surer) and uncertainties.
    """

    correct: np.ndarray
    measures: dict[str, np.ndarray]


def calibrate(
    labels: np.ndarray, truth: np.ndarray, measures: Mapping[str, np.ndarray]
) -> Calibration:
    """Gather the pixels of label maps ``[V, H, W]`` with truth and measures of the same shape."""
    known = (labels != IGNORE) & (truth != IGNORE)
    counts = known & (foreground(labels) | foreground(truth))
    found = {name: np.asarray(values)[counts] for name, values in measures.items()}
    return Calibration((labels == truth)[counts], found)


def join_calibrations(parts: Sequence[Calibration]) -> Calibration:
    """All pixels of several; ValueError if there are none."""
    if not parts:
        raise ValueError("nothing to join")
    names = parts[0].measures
    return Calibration(
        np.concatenate([p.correct for p in parts]),
        {name: np.concatenate([p.measures[name] for p in parts]) for name in names},
    )


def reliability(correct: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """The reliability diagram of a confidence, and its expected calibration error.

    ``ece`` is the mean distance of accuracy and confidence over equally wide bins, weighted by
    their pixels (Guo et al. 2017, eq. 3).

    Args:
        correct: ``[M]`` bool.
        confidence: ``[M]`` 0 to 1.
        bins: number of bins.

    Returns:
        ``ece``, and ``bins``: a row ``{confidence, accuracy, share}`` for each that holds pixels.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows, error = [], 0.0
    for k in range(bins):
        inside = place == k
        if not inside.any():
            continue
        sure, right = float(confidence[inside].mean()), float(correct[inside].mean())
        share = float(inside.mean())
        rows.append({"confidence": sure, "accuracy": right, "share": share})
        error += share * abs(right - sure)
    return {"ece": error, "bins": rows}


def ranking(correct: np.ndarray, uncertainty: np.ndarray) -> float | None:
    """Chance that a wrong pixel is more uncertain than a right one (area under the ROC curve).

    None where all are right or all wrong.
    """
    wrong = int((~correct).sum())
    right = len(correct) - wrong
    if not wrong or not right:
        return None
    ranks = rankdata(uncertainty)[~correct].sum()
    return float((ranks - wrong * (wrong + 1) / 2) / (wrong * right))


def summarise_calibration(found: Calibration | None) -> dict[str, Any] | None:
    """The section ``calibration`` of evaluate.json, None without truth."""
    if found is None or not len(found.correct):
        return None
    confidence = found.measures["confidence"]
    others = {k: v for k, v in found.measures.items() if k != "confidence"}
    return {
        "accuracy": float(found.correct.mean()),
        "confidence": reliability(found.correct, confidence),
        "finds_errors": {
            "confidence": ranking(found.correct, -confidence),
            **{name: ranking(found.correct, values) for name, values in others.items()},
        },
    }
