"""How good the labels of the capture views are: raw, refined, and what the geometry allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelsplat.base import LabelsplatError
from labelsplat.base.layout import Layout
from labelsplat.capture import Prepared, read_labels
from labelsplat.evaluate.arms import has_truth
from labelsplat.evaluate.calibration import Calibration, calibrate
from labelsplat.evaluate.confusions import ViewConfusions, compare_views
from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.parsing import prepared, round_predictions, with_frame
from labelsplat.parsing.auxiliary import read_confidence
from labelsplat.refine import (
    Lift,
    ceiling,
    entropy,
    read_refined,
    render_disagreement,
    render_posteriors,
    round_votes,
    view_disagreement,
)
from labelsplat.splats import Gaussians, read_gaussians
from labelsplat.splats.stage import read_fit


@dataclass(frozen=True, eq=False)
class CaptureLabels:
    """All label maps of one capture's V views.

    Attributes:
        photos: the views.
        raw: ``[V, H, W]`` uint8, the most probable classes of the baseline's prediction.
        refined: such maps of each round, by the round's name, in order.
        truth: true labels, None where there are none.
        gaussians: of the last round, with its label logits.
        factors: ``[K]`` of the last round, multiplied into posteriors before the argmax.
        votes: ``[V, H, W, K]`` soft labels that the last round lifted.
        confidence: ``[V, H, W]`` 0 to 1, of the last round's labels.
    """

    photos: Prepared
    raw: np.ndarray
    refined: dict[str, np.ndarray]
    truth: np.ndarray | None
    gaussians: Gaussians
    factors: np.ndarray
    votes: np.ndarray
    confidence: np.ndarray

    @property
    def last(self) -> np.ndarray:
        """``[V, H, W]`` uint8 refined labels of the last round."""
        return list(self.refined.values())[-1]


def read_capture_labels(
    layout: Layout,
    subject: str,
    rounds: Mapping[str, Mapping[str, Any]],
    size: int,
    blend_power: float = 4.0,
) -> CaptureLabels:
    """Gather one capture's label maps from where the stages wrote them.

    Args:
        layout: of the project.
        subject: of the capture.
        rounds: section ``rounds`` of params.yaml.
        size: of the photos, in pixels.
        blend_power: by which later rounds blend with the first one's predictions.

    Raises:
        LabelsplatError: a file is missing, broken, or of other views than its photos.
    """
    names = list(rounds)
    soft = round_predictions(layout, names[0], "baseline", subject)
    photos = prepared(layout, subject, size)
    photos = read_fit(layout, rounds[names[-1]]["splats"], subject).corrected(photos)
    if tuple(soft.names) != tuple(photos.names):
        raise LabelsplatError(
            "the predictions are of other views than the capture has",
            where=layout.relative(layout.predictions(names[0])),
            remedy="Run: make repro",
        )
    # Strata are told by the capture's own frame where it has one; the votes are blended by the
    # frame that refinement went by.
    turned = with_frame(layout, names[-1], photos)
    votes = round_votes(layout, names[-1], turned, blend_power)
    if photos.angles is None:
        photos = turned
    refined = {r: read_refined(layout, r, subject, list(photos.names)) for r in names}
    truth = None
    if has_truth(layout.truth):
        truth = read_labels(layout.truth, subject, photos.names)
    path = layout.refined(names[-1]) / subject / "gaussians.safetensors"
    gaussians, facts = read_gaussians(path)
    return CaptureLabels(
        photos,
        np.where(photos.valid, soft.labels, IGNORE).astype(np.uint8),
        refined,
        truth,
        gaussians,
        np.array(facts["factors"], np.float32),
        votes,
        read_confidence(layout.auxiliary(names[-1]), "captured", subject, photos.names),
    )


def compare_labels(labels: CaptureLabels, epochs: int) -> dict[str, ViewConfusions]:
    """Counts against truth: ``raw``, ``ceiling`` and each round's name; empty without truth.

    Args:
        labels: of one capture.
        epochs: sharpening steps of the ceiling's lift.
    """
    if labels.truth is None:
        return {}
    p = labels.photos
    best = ceiling(labels.gaussians, p.cameras, labels.truth, len(CELEBAMASK), epochs)
    maps = {"raw": labels.raw, "ceiling": best, **labels.refined}
    return {
        name: compare_views(p.subject, p.names, p.angles, found, labels.truth)
        for name, found in maps.items()
    }


def label_calibration(labels: CaptureLabels) -> Calibration | None:
    """Whether confidence, entropy and disagreement tell where the last round is wrong.

    None without truth.
    """
    if labels.truth is None:
        return None
    p, features = labels.photos, labels.gaussians.label_probabilities.cpu().numpy()
    posteriors = render_posteriors(labels.gaussians, features * labels.factors, p.cameras)
    lift = Lift(labels.gaussians, p.cameras)
    apart = view_disagreement(lift, labels.votes, p.valid.astype(np.float32))
    measures = {
        "confidence": labels.confidence,
        "entropy": entropy(posteriors),
        "disagreement": render_disagreement(lift, apart),
    }
    return calibrate(labels.last, labels.truth, measures)


def agreement(labels: CaptureLabels, epochs: int) -> dict[str, ViewConfusions]:
    """How well label maps of one half of the views foretell those of the other half.

    The views are halved, every other one by yaw. Each half's maps are lifted to the Gaussians
    with equal weights and rendered in the other half's cameras; the counts compare what is
    rendered (predicted) with that view's own map (in the place of the truth).

    It needs no truth, and must never choose a method: a wrong label that all views share agrees
    perfectly.

    Args:
        labels: of one capture.
        epochs: sharpening steps of the lift.

    Returns:
        Counts for ``raw`` and ``refined``; empty for a capture of fewer than four views.
    """
    p = labels.photos
    if len(p.names) < 4:
        return {}
    order = np.arange(len(p.names)) if p.angles is None else np.argsort(p.angles[:, 0])
    halves = order[::2], order[1::2]
    lifts = [Lift(labels.gaussians, [p.cameras[i] for i in half]) for half in halves]
    out = {}
    for name, maps in (("raw", labels.raw), ("refined", labels.last)):
        rendered = np.zeros_like(maps)
        for k, half in enumerate(halves):
            features = lifts[k].run_labels(maps[half], len(CELEBAMASK), epochs)
            rendered[halves[1 - k]] = lifts[1 - k].render(features).argmax(-1)
        out[name] = compare_views(p.subject, p.names, p.angles, rendered, maps)
    return out


def share_agreeing(views: ViewConfusions, stratum: str) -> float | None:
    """Share of the pixels on which :func:`agreement`'s two maps are equal.

    Pixels that are background in both are left out: they would make any labelling look good.
    """
    matrix = views.total(stratum)
    seen = matrix.sum() - matrix[0, 0]
    return float((np.trace(matrix) - matrix[0, 0]) / seen) if seen else None
