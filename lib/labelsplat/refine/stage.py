"""The refine stage: refined labels of all capture views, and the auxiliary training set."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from labelsplat.base import atomic_dir
from labelsplat.base.layout import Layout
from labelsplat.capture import HeadFrame, Prepared, capture_root
from labelsplat.labels import CELEBAMASK, IGNORE, read_label_map, write_label_map, write_vocabulary
from labelsplat.parsing.auxiliary import LabelledViews, write_views
from labelsplat.parsing.frames import round_frame
from labelsplat.parsing.stage import posed, round_predictions
from labelsplat.refine.discretise import discretise, ear_factors, remove_specks
from labelsplat.refine.lift import render_posteriors
from labelsplat.refine.novel import draw_images
from labelsplat.refine.subject import RefineSettings, blend_rounds, lift_subject
from labelsplat.refine.uncertainty import entropy
from labelsplat.splats import Gaussians, novel_cameras, write_gaussians
from labelsplat.splats.stage import read_fit

FIRST = "r1"
"""The round that predicts with the baseline."""


@dataclass(frozen=True, eq=False)
class RefinedSubject:
    """One head after refinement.

    Attributes:
        photos: its V photos, cameras, angles.
        votes: ``[V, H, W, K]`` the predictions that were lifted: of later rounds a blend.
        gaussians: geometry, colours and label logits.
        posteriors: ``[V, H, W, K]`` rendered in the capture views.
        labels: ``[V, H, W]`` uint8.
        confidence: ``[V, H, W]`` 0..1.
    """

    photos: Prepared
    votes: np.ndarray
    gaussians: Gaussians
    posteriors: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray


def refine_round(
    layout: Layout,
    round_name: str,
    splats: str,
    settings: RefineSettings,
    *,
    size: int,
    seed: int,
) -> tuple[list[RefinedSubject], np.ndarray]:
    """Refine every capture subject's labels; writes ``refined`` and ``auxiliary`` of the round.

    Args:
        layout: the project's tree.
        round_name: e.g. "r2".
        splats: round whose Gaussians the labels are lifted to.
        settings: section ``refine`` of params.yaml.
        size: pixels.
        seed: of the novel views.

    Returns:
        the subjects, and the class factors ``[K]`` that they share.
    """
    from tqdm.auto import tqdm

    *_, subjects = capture_root(layout)
    lifted = [
        _lift(layout, round_name, splats, subject, settings, size)
        for subject in tqdm(subjects, "lift")
    ]
    factors = np.ones(len(CELEBAMASK), np.float32)
    if settings.class_factors == "ears":
        factors = ear_factors([item.posteriors for item in lifted], CELEBAMASK)
    done = [_decided(item, factors, settings) for item in lifted]
    with atomic_dir(layout.refined(round_name)) as out:
        write_vocabulary(out / "labels.json", CELEBAMASK)
        for item in done:
            folder = out / item.photos.subject
            for name, labels in zip(item.photos.names, item.labels, strict=True):
                write_label_map(folder / f"{name}.png", labels, CELEBAMASK)
            facts = {"factors": factors.tolist(), "vocabulary": CELEBAMASK.name}
            write_gaussians(folder / "gaussians.safetensors", item.gaussians, facts)
    with atomic_dir(layout.auxiliary(round_name)) as out:
        for i, item in enumerate(tqdm(done, "render")):
            views = LabelledViews(
                item.photos.subject, tuple(item.photos.names), item.photos.images,
                item.labels, item.confidence,
            )  # fmt: skip
            write_views(out, "captured", views)
            if settings.novel_views:
                head = read_fit(layout, splats, item.photos.subject)
                frame = round_frame(layout, round_name, item.photos.subject)
                views = _novel(item, frame, head.backgrounds, factors, settings, seed + 1000 * i)
                write_views(out, "novel", views)
    return done, factors


def _lift(
    layout: Layout, round_name: str, splats: str, subject: str, settings: RefineSettings, size: int
) -> RefinedSubject:
    photos = posed(layout, round_name, subject, size)
    votes = round_votes(layout, round_name, photos, settings.blend_power)
    later = round_name != FIRST
    head = read_fit(layout, splats, subject)
    photos = head.corrected(photos)
    features, posteriors = lift_subject(head.gaussians, photos, votes, settings, later=later)
    logits = torch.from_numpy(np.log(features))
    gaussians = replace(head.gaussians, label_logits=logits)
    empty = np.zeros(0)
    return RefinedSubject(photos, votes, gaussians, posteriors, empty, empty)


def round_votes(
    layout: Layout, round_name: str, photos: Prepared, blend_power: float
) -> np.ndarray:
    """``[V, H, W, K]`` soft labels that a round lifts: later rounds blend with the first one's."""
    votes = round_predictions(layout, round_name, "refined", photos.subject).probabilities
    if round_name == FIRST:
        return votes
    first = round_predictions(layout, FIRST, "refined", photos.subject).probabilities
    return blend_rounds(first, votes, photos.angles, blend_power)


def decide(
    posteriors: np.ndarray, factors: np.ndarray, settings: RefineSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``[V, H, W]`` and confidences of posteriors ``[V, H, W, K]``, cleaned up."""
    labels, sure = discretise(posteriors, factors, settings.ignore_below)
    if settings.ignore_entropy < 1:
        labels[entropy(posteriors * factors) > settings.ignore_entropy] = IGNORE
    if not settings.clean_up:
        return labels, sure
    scaled = posteriors * factors
    pairs = zip(labels, scaled, strict=True)
    clean = np.stack([remove_specks(label, posterior) for label, posterior in pairs])
    moved = clean != labels  # their confidence is that of the class they have now
    share = np.take_along_axis(scaled[moved], clean[moved][:, None].astype(int), 1)[:, 0]
    sure[moved] = share / np.maximum(scaled[moved].sum(-1), 1e-6)
    return clean, sure


def _decided(item: RefinedSubject, factors: np.ndarray, settings: RefineSettings) -> RefinedSubject:
    labels, sure = decide(item.posteriors, factors, settings)
    labels[~item.photos.valid] = IGNORE  # beyond the photo's edge
    return replace(item, labels=labels, confidence=sure)


def _novel(
    item: RefinedSubject,
    frame: HeadFrame | None,
    backgrounds: np.ndarray,
    factors: np.ndarray,
    settings: RefineSettings,
    seed: int,
) -> LabelledViews:
    photos = item.photos
    cameras = novel_cameras(photos.cameras, photos.angles, settings.novel_views, seed, frame)
    features = item.gaussians.label_probabilities.numpy()
    labels, sure = decide(render_posteriors(item.gaussians, features, cameras), factors, settings)
    images = draw_images(item.gaussians, backgrounds, cameras, seed)
    names = tuple(f"novel{i:03d}" for i in range(len(cameras)))
    return LabelledViews(photos.subject, names, images, labels, sure)


def read_refined(layout: Layout, round_name: str, subject: str, names: list[str]) -> np.ndarray:
    """Refined labels of a subject's views, ``[V, H, W]`` uint8."""
    folder = layout.refined(round_name) / subject
    return np.stack([read_label_map(folder / f"{name}.png", CELEBAMASK) for name in names])
