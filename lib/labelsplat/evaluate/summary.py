"""From counts to ``evaluate.json``: scores, intervals, gains, and the share of the gap closed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from labelsplat.evaluate.arms import CONTROLS
from labelsplat.evaluate.bootstrap import draw_identities, interval, resampled_miou
from labelsplat.evaluate.confusions import ViewConfusions
from labelsplat.evaluate.labels_quality import share_agreeing
from labelsplat.evaluate.numbers import known_mean, number
from labelsplat.labels import CELEBAMASK, STRATA, Scores, Vocabulary, scores

LEAST_GAP = 0.02
"""The oracle must be this much above the control before a share of the gap means anything."""

PARTS = {"ears": ("l_ear", "r_ear"), "nose": ("nose",), "lips": ("u_lip", "l_lip")}
"""Thin parts with rows of their own; a part's score is the mean over its classes."""


class Resamples:
    """The same draws of identities for every arm, so that all differences are paired.

    Args:
        identities: names, in the order of :meth:`ViewConfusions.by_identity`.
        draws: number of resamples.
        seed: of the draws.
    """

    def __init__(self, identities: Sequence[str], draws: int, seed: int):
        self.identities = tuple(identities)
        # One identity alone always draws itself: an interval of width 0 would be a lie.
        enough = len(self.identities) > 1
        self.counts = draw_identities(len(self.identities), draws, seed) if enough else None

    def miou(self, views: ViewConfusions, stratum: str) -> np.ndarray:
        """``[B]`` mean IoU in each resample; NaN throughout if there is only one identity."""
        if views.identities != self.identities:
            raise ValueError(f"identities {views.identities}, expected {self.identities}")
        if self.counts is None:
            return np.full(1, np.nan)
        return resampled_miou(views.by_identity(stratum), self.counts, views.vocabulary)


def bounds(samples: np.ndarray) -> dict[str, float | None]:
    """``{"low", "high"}`` of bootstrap samples, None where there is no interval."""
    low, high = interval(samples)
    return {"low": number(low), "high": number(high)}


def score_stratum(
    views: ViewConfusions, stratum: str, resamples: Resamples
) -> dict[str, Any] | None:
    """All scores of one arm in one stratum, None where it has no view."""
    if not views.inside(stratum).any():
        return None
    found = scores(views.total(stratum), views.vocabulary)
    return {
        **_scores(found, views, stratum, resamples),
        "miou_all": number(found.miou_all),
        "f1_all": number(found.f1_all),
        "per_class": {
            name: {"iou": number(found.iou_per_class[name]), "f1": number(found.f1_per_class[name])}
            for name in views.vocabulary.classes
        },
    }


def _scores(
    found: Scores, views: ViewConfusions, stratum: str, resamples: Resamples
) -> dict[str, Any]:
    return {
        "miou": number(found.miou),
        "f1": number(found.f1),
        **bounds(resamples.miou(views, stratum)),
        "parts": part_scores(found),
    }


def part_scores(found: Scores) -> dict[str, dict[str, float | None]]:
    """``{part: {"iou", "f1"}}`` of :data:`PARTS`: means over those classes that truth has."""
    return {
        part: {
            "iou": number(known_mean(found.iou_per_class.get(n, math.nan) for n in names)),
            "f1": number(known_mean(found.f1_per_class.get(n, math.nan) for n in names)),
        }
        for part, names in PARTS.items()
    }


def difference(
    better: ViewConfusions | None,
    worse: ViewConfusions | None,
    stratum: str,
    resamples: Resamples,
) -> dict[str, float | None] | None:
    """Mean IoU of one arm minus another's, with its paired interval; None without views."""
    if better is None or worse is None or not better.inside(stratum).any():
        return None
    gap = miou(better, stratum) - miou(worse, stratum)
    samples = resamples.miou(better, stratum) - resamples.miou(worse, stratum)
    return {"miou": number(gap), **bounds(samples)}


def miou(views: ViewConfusions, stratum: str) -> float:
    """Dataset-level mean IoU in a stratum, NaN where it has no view."""
    return scores(views.total(stratum), views.vocabulary).miou


def better_control(arms: Mapping[str, ViewConfusions], stratum: str) -> str | None:
    """Name of the better control in a stratum (the baseline on a tie), None without views."""
    known = [name for name in CONTROLS if name in arms and arms[name].inside(stratum).any()]
    return max(known, key=lambda name: miou(arms[name], stratum)) if known else None


def gap_share(refined: float, control: float, oracle: float) -> float | None:
    """Share of the gap between control and oracle that ``refined`` closes.

    None where the oracle is less than :data:`LEAST_GAP` above the control: a share of next to
    nothing would be noise.
    """
    values = (refined, control, oracle)
    if not all(math.isfinite(v) for v in values) or oracle < control + LEAST_GAP:
        return None
    return (refined - control) / (oracle - control)


def summarise_arms(
    arms: Mapping[str, ViewConfusions] | None, names: Sequence[str], draws: int, seed: int
) -> dict[str, Any]:
    """The sections ``arms``, ``control``, ``gain``, ``over_self_training`` and ``gap_recovered``.

    Args:
        arms: counts of each arm on the test set; None where there is no truth.
        names: the arms that exist.
        draws: resamples of the identities.
        seed: of the resamples.
    """
    if not arms:
        nothing = dict.fromkeys(STRATA)
        keys = ("control", "gain", "over_self_training", "gap_recovered")
        return {
            "arms": {name: dict(nothing) for name in names},
            **{key: dict(nothing) for key in keys},
        }
    first = next(iter(arms.values()))
    resamples = Resamples(first.identities, draws, seed)
    controls = {s: better_control(arms, s) for s in STRATA}
    refined = arms.get("refined")

    def against(control: Callable[[str], str | None]) -> dict[str, Any]:
        others = {s: arms.get(control(s) or "") for s in STRATA}
        return {s: difference(refined, others[s], s, resamples) for s in STRATA}

    return {
        "arms": {
            name: {s: score_stratum(views, s, resamples) for s in STRATA}
            for name, views in arms.items()
        },
        "control": controls,
        "gain": against(lambda s: controls[s]),
        "over_self_training": against(lambda s: "self_training"),
        "gap_recovered": {s: _gap_recovered(arms, controls[s], s) for s in STRATA},
    }


def _gap_recovered(
    arms: Mapping[str, ViewConfusions], control: str | None, stratum: str
) -> float | None:
    if control is None or not {"refined", "oracle"} <= arms.keys():
        return None
    return gap_share(*(miou(arms[name], stratum) for name in ("refined", control, "oracle")))


def summarise_labels(
    labels: Mapping[str, ViewConfusions] | None, rounds: Sequence[str], draws: int, seed: int
) -> dict[str, Any]:
    """The section ``labels``.

    Args:
        labels: counts of ``raw``, ``ceiling`` and each round on the capture views; None where
            there is no truth.
        rounds: names in order.
        draws: resamples of the identities.
        seed: of the resamples.
    """
    if not labels:
        empty = {key: dict.fromkeys(STRATA) for key in ("raw", "refined", "ceiling", "gain")}
        return {**empty, "refined_by_round": {r: dict.fromkeys(STRATA) for r in rounds}}
    resamples = Resamples(labels["raw"].identities, draws, seed)

    def row(views: ViewConfusions) -> dict[str, Any]:
        return {s: _label_score(views, s, resamples) for s in STRATA}

    by_round = {r: row(labels[r]) for r in rounds}
    last = labels[rounds[-1]]
    return {
        "raw": row(labels["raw"]),
        "refined": by_round[rounds[-1]],
        "ceiling": row(labels["ceiling"]),
        "gain": {s: difference(last, labels["raw"], s, resamples) for s in STRATA},
        "refined_by_round": by_round,
    }


def _label_score(
    views: ViewConfusions, stratum: str, resamples: Resamples
) -> dict[str, Any] | None:
    if not views.inside(stratum).any():
        return None
    return _scores(scores(views.total(stratum), views.vocabulary), views, stratum, resamples)


def summarise_agreement(agreement: Mapping[str, ViewConfusions]) -> dict[str, Any]:
    """The section ``agreement``: ``{raw, refined}.{stratum}``, shares of pixels."""
    return {
        name: {s: share_agreeing(views, s) for s in STRATA} for name, views in agreement.items()
    }


def count_views(views: ViewConfusions | None) -> dict[str, Any] | None:
    """How many identities there are, and how many views in each stratum."""
    if views is None:
        return None
    return {
        "identities": len(views.identities),
        "views": {s: int(views.inside(s).sum()) for s in STRATA},
    }


def sample_confusion(
    matrix: np.ndarray, rows: int = 200, vocabulary: Vocabulary = CELEBAMASK
) -> list[tuple[str, str]]:
    """Pairs (actual, predicted) class that stand for a confusion matrix.

    DVC's template ``confusion_normalized`` counts rows and divides by class, so every class that
    truth has gets the same number of rows, shared out as its pixels were predicted (largest
    remainders): no chance in it, and small classes show as well as large ones.

    Args:
        matrix: ``[C, C]`` pixel counts.
        rows: a class.
        vocabulary: names of the classes.
    """
    out = []
    for actual, counts in zip(vocabulary.classes, matrix, strict=True):
        if counts.sum() == 0:
            continue
        exact = counts / counts.sum() * rows
        share = np.floor(exact).astype(int)
        rest = rows - share.sum()
        share[np.argsort(share - exact, kind="stable")[:rest]] += 1
        for predicted, times in zip(vocabulary.classes, share, strict=True):
            out += [(actual, predicted)] * int(times)
    return out
