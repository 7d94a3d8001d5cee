"""From labels of some views to label maps of any view, by five methods.

``noisy``       the labels as they were given, in their own views alone;
``vote``        lifted in closed form to colour geometry, all views equal, not sharpened;
``lift``        as the line lifts: weighted by frontalness and confidence, gated, sharpened;
``joint``       one set of Gaussians that learns colours and labels by descent;
``two_models``  two sets that share means and covariances.

``vote`` and ``lift`` share one geometry, that of the colours alone, so that nothing else differs
between them. The line's own fits hear labels, too: see the experiment ``coupling_weighted``.

A view without labels has no vote and no label loss; its photo counts as any other. Letters: V views
of which L are labelled, K classes, N Gaussians.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labelsplat.capture import Camera, Prepared
from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.refine import RefineSettings, lift_subject, render_posteriors
from labelsplat.splats import Fit, FitSettings, Gaussians, fit_gaussians, model_posteriors

METHODS = ("noisy", "vote", "lift", "joint", "two_models")
FITTED = ("joint", "two_models")
"""Methods that fit a model of their own; the others share one colour geometry."""


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Label maps ``[V, H, W]`` as soft labels ``[V, H, W, K]``; all zeros where there is none."""
    known = labels != IGNORE
    return np.eye(len(CELEBAMASK), dtype=np.float32)[np.where(known, labels, 0)] * known[..., None]


def noisy(labels: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The labels themselves, ``[V, H, W]`` uint8; views that are not ``given`` ([V]) have none."""
    return np.where(given[:, None, None], labels, IGNORE).astype(np.uint8)


def lifted(
    gaussians: Gaussians,
    photos: Prepared,
    soft: np.ndarray,
    given: np.ndarray,
    settings: RefineSettings,
) -> np.ndarray:
    """``[N, K]`` of the line's own lift of the labelled views.

    Args:
        gaussians: the fitted head.
        photos: its V photos.
        soft: ``[V, H, W, K]`` soft labels; those of views that are not given are ignored.
        given: ``[V]`` bool, the labelled views.
        settings: of the line.
    """
    # The gate compares views that vote: a view without labels may not close it for the others.
    features, _ = lift_subject(gaussians, photos.only(given), soft[given], settings, later=False)
    return features


def fit_colours(
    photos: Prepared, foreground: np.ndarray, settings: FitSettings, *, seed: int, device: str
) -> Fit:
    """Colour geometry that no label has moved.

    Args:
        photos: V photos.
        foreground: ``[V, H, W]`` predicted probability of the person.
        settings: of the fit; its label model is left out.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
    """
    plain = replace(settings, label_weight=0.0, coupling="geometry_from_rgb")
    return _fit(photos, foreground, plain, seed, device)


def fit_labels(
    photos: Prepared,
    foreground: np.ndarray,
    soft: np.ndarray,
    given: np.ndarray,
    settings: FitSettings,
    *,
    seed: int,
    device: str,
    votes: np.ndarray | None = None,
) -> Fit:
    """A label model by descent, its coupling and label weight in the settings.

    Args:
        photos: V photos.
        foreground: ``[V, H, W]`` predicted probability of the person.
        soft: ``[V, H, W, K]`` soft labels.
        given: ``[V]`` bool, the views whose labels count.
        settings: of the fit; ``label_weight`` above 0.
        seed: of the fit.
        device: "auto", "cpu" or "cuda".
        votes: ``[V, H, W]`` how much each pixel's label counts; None = 1.
    """
    known = soft.any(-1) & given[:, None, None]
    weights = known.astype(np.float32) * (1 if votes is None else votes)
    return _fit(photos, foreground, settings, seed, device, labels=soft, label_weights=weights)


def _fit(photos: Prepared, foreground, settings: FitSettings, seed: int, device: str, **labels):
    return fit_gaussians(
        photos.images, photos.valid, foreground, photos.cameras, settings,
        seed=seed, device=device, progress=False, **labels,
    )  # fmt: skip


def lifted_maps(
    gaussians: Gaussians, features: np.ndarray, cameras: Sequence[Camera]
) -> np.ndarray:
    """Label maps ``[M, H, W]`` uint8 of lifted classes ``[N, K]`` in M cameras."""
    return render_posteriors(gaussians, features, list(cameras)).argmax(-1).astype(np.uint8)


def model_maps(fit: Fit, cameras: Sequence[Camera]) -> np.ndarray:
    """Label maps ``[M, H, W]`` uint8 of a fitted label model in M cameras."""
    return model_posteriors(fit.labels, cameras).argmax(-1).astype(np.uint8)
