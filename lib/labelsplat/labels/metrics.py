"""Segmentation scores from ONE dataset-level confusion matrix.

Counts are summed over all pixels of all images first; IoU and F1 are taken of the sums. (Averaging
per-image scores, as some libraries do, answers another question and gives other numbers.)
A class counts towards a mean where the truth has it; a class that the truth lacks is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from labelsplat.labels.convert import Conversion
from labelsplat.labels.vocabulary import IGNORE, Vocabulary


def confusion(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Count pixels: rows are the true class, columns the predicted one.

    Args:
        prediction: label maps, any shape, values below ``classes``; IGNORE is left out.
        truth: label maps of the same shape; IGNORE is left out.
        classes: number of classes.

    Returns:
        ``[classes, classes]`` int64.

    Raises:
        ValueError: the shapes differ, or a label is neither a class nor IGNORE.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    p, t = prediction.ravel().astype(np.int64), truth.ravel().astype(np.int64)
    keep = (p != IGNORE) & (t != IGNORE)
    p, t = p[keep], t[keep]
    for name, x in (("prediction", p), ("truth", t)):
        if x.size and (x.min() < 0 or x.max() >= classes):
            raise ValueError(f"{name} holds label {x.max()}, but there are {classes} classes")
    return np.bincount(t * classes + p, minlength=classes * classes).reshape(classes, classes)


def _parts(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hit = np.diagonal(matrix, axis1=-2, axis2=-1).astype(float)
    return hit, matrix.sum(-1), matrix.sum(-2)


def iou(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union a class, ``[..., C, C] -> [..., C]``; NaN where truth has none."""
    hit, true, predicted = _parts(matrix)
    union = true + predicted - hit
    return np.where(true > 0, hit / np.maximum(union, 1), np.nan)


def f1(matrix: np.ndarray) -> np.ndarray:
    """F1 (Dice) a class, ``[..., C, C] -> [..., C]``; NaN where truth has none."""
    hit, true, predicted = _parts(matrix)
    return np.where(true > 0, 2 * hit / np.maximum(true + predicted, 1), np.nan)


def mean_score(score: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Mean over the listed classes that are present, ``[..., C] -> [...]``; NaN if none is."""
    chosen = score[..., classes]
    present = np.isfinite(chosen)
    total = np.where(present, chosen, 0).sum(-1)
    count = present.sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Scores:
    """Scores of one confusion matrix under a vocabulary.

    Attributes:
        miou: mean IoU over the scored classes, background included.
        f1: mean F1 over the scored classes, background left out.
        miou_all: mean IoU over every class of the vocabulary.
        f1_all: mean F1 over every class but the background.
        iou_per_class: IoU of each class, NaN where truth has none.
        f1_per_class: F1 of each class, NaN where truth has none.
        vocabulary: name of the vocabulary that all of these use.
        merged: its classes that stand for several of the finer vocabulary that was scored, with
            those; empty where nothing was merged.
    """

    miou: float
    f1: float
    miou_all: float
    f1_all: float
    iou_per_class: dict[str, float]
    f1_per_class: dict[str, float]
    vocabulary: str
    merged: dict[str, tuple[str, ...]] = field(default_factory=dict)


def scores(
    matrix: np.ndarray, vocabulary: Vocabulary, conversion: Conversion | None = None
) -> Scores:
    """All scores of a confusion matrix.

    Args:
        matrix: ``[C, C]`` counts.
        vocabulary: its classes.
        conversion: from that vocabulary to another one, to score in: label maps of parsers or sets
            with different classes are compared in the coarser vocabulary.

    Raises:
        ValueError: the conversion starts from another vocabulary.
    """
    merged = {}
    if conversion is not None:
        if conversion.source != vocabulary:
            raise ValueError(
                f"the matrix is of {vocabulary.name!r}, the conversion of "
                f"{conversion.source.name!r}"
            )
        matrix, merged = conversion.confusion(matrix), conversion.merged
        vocabulary = conversion.target
    j, f = iou(matrix), f1(matrix)
    every = np.arange(len(vocabulary))
    scored = vocabulary.scored
    return Scores(
        miou=float(mean_score(j, scored)),
        f1=float(mean_score(f, scored[scored > 0])),
        miou_all=float(mean_score(j, every)),
        f1_all=float(mean_score(f, every[1:])),
        iou_per_class=dict(zip(vocabulary.classes, map(float, j), strict=True)),
        f1_per_class=dict(zip(vocabulary.classes, map(float, f), strict=True)),
        vocabulary=vocabulary.name,
        merged=merged,
    )
