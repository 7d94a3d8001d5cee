"""Fit Gaussians to a few photos of one head, and a label model with them. No truth enters.

Each view has its own smooth background, so that captures need no masks; a weak loss holds alpha to
the PREDICTED foreground. Labels may move the geometry, too, or only ride on it: a setting
(``settings.COUPLINGS``). A parser's wrong labels agree with each other in profile and bend the
surface that they are to be voted on with, unless ``label_weights`` give views from the side, and
pixels of which the parser is unsure, less of a say.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.capture.cameras import Camera, common_focus, scene_extent
from labelsplat.capture.views import NORMAL_EXTENT
from labelsplat.parsing.device import choose_device
from labelsplat.splats.backgrounds import fit_backgrounds
from labelsplat.splats.density import make_density
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.hull import solid_foreground
from labelsplat.splats.identity import fit_identity
from labelsplat.splats.loop import Loop
from labelsplat.splats.objective import Objective, Targets
from labelsplat.splats.parameters import Parameters
from labelsplat.splats.poses import corrected_cameras
from labelsplat.splats.rendering import render
from labelsplat.splats.settings import FitSettings
from labelsplat.splats.smoothing import ColourSmoothing
from labelsplat.splats.start import start_gaussians

MIN_OPACITY, MAX_SCALE = 0.02, 0.9
"""Gaussians more transparent, or wider than this share of the scene extent, are dropped at the end:
they carry no surface, and one of the size of the scene would collect votes from everywhere."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted head.

    Attributes:
        gaussians: those of the colour set that survived, float32 on the CPU; with label logits
            where the label set has the same opacities.
        labels: the Gaussians that carry the label model, or None: ``gaussians`` themselves, or
            those with other opacities, or others altogether (by the coupling). What they say of a
            pixel: :func:`labelsplat.splats.posteriors.model_posteriors`.
        backgrounds: ``[V, 6, 3]`` coefficients of each view's background, see :func:`background`.
        affines: ``[V, 3, 4]`` deviation of each camera's colours from the identity; zeros if not
            fitted.
        cameras: the V cameras, corrected if the fit was allowed to.
        psnr: of ``gaussians``, mean over the views of the fit's own photos, dB.
        dropped: Gaussians of the colour set left out at the end.
        steps: optimiser steps that were taken.
        seconds: wall-clock time, with that of earlier calls up to the checkpoint that this one
            went on from.
        history: (step, PSNR of that step's view) now and then, of all Gaussians of that step.
        rows: ``[N]`` which Gaussians of the colour set survived, ascending.
        label_rows: which of the label set did, or None. Two models that share their means number
            them alike, so that Gaussians of equal number are those that are in both.
    """

    gaussians: Gaussians
    labels: Gaussians | None
    backgrounds: np.ndarray
    affines: np.ndarray
    cameras: list[Camera]
    psnr: float
    dropped: int
    steps: int
    seconds: float
    history: list[tuple[int, float]] = field(default_factory=list)
    rows: np.ndarray | None = None
    label_rows: np.ndarray | None = None


def fit_gaussians(
    images: np.ndarray,
    valid: np.ndarray,
    foreground: np.ndarray,
    cameras: list[Camera],
    settings: FitSettings,
    *,
    labels: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    label_weights: np.ndarray | None = None,
    points: np.ndarray | None = None,
    seed: int = 0,
    device: str = "auto",
    checkpoint: str | Path | None = None,
    every: int = 0,
    progress: bool = True,
    description: str = "fit",
) -> Fit:
    """Fit Gaussians to the photos of one head.

    Args:
        images: ``[V, H, W, 3]`` uint8.
        valid: ``[V, H, W]`` bool; pixels beyond a photo's edge are False and cost nothing.
        foreground: ``[V, H, W]`` predicted probability that a pixel belongs to the person.
        cameras: one a view, of the images' size.
        settings: see :class:`FitSettings`.
        labels: ``[V, H, W, K]`` soft labels for the label model; wanted if ``label_weight`` > 0,
            else of no effect.
        weights: ``[V, H, W]`` how much each pixel's colour counts, e.g. less where something
            covers the face; None = 1.
        label_weights: ``[V, H, W]`` how much each pixel's label counts; None = 1.
        points: ``[M, 3]`` where to start, e.g. from COLMAP; None = the visual hull of the
            foregrounds. One that is given several times counts once.
        seed: of the start, of the order of the views and of all that is random later.
        device: "auto", "cpu" or "cuda".
        checkpoint: file from which to go on if it exists, and to write to; removed at the end.
            The fit then ends as it would have uninterrupted. One of another fit, or of other code,
            is overwritten.
        every: steps between checkpoints; 0 = none is written.
        progress: show a bar.
        description: what the bar says.

    Raises:
        LabelsplatError: the foregrounds have no common hull, points are not finite, or no
            Gaussian is left at the end.
        ParameterError: no such device here, or a ``label_weight`` without labels.
        ValueError: arrays that do not fit each other.
    """
    start = time.perf_counter()
    if not settings.label_weight:
        labels = None
    elif labels is None:
        raise ParameterError(
            f"label_weight {settings.label_weight}, but no labels are given",
            where="fit",
            remedy="Give labels, or set label_weight to 0: then no label model is fitted",
        )
    _check(images, valid, foreground, cameras, labels, weights, label_weights)
    where = choose_device(device)
    radius = round(settings.close_radius * max(images.shape[1:3]) / 128)
    solid = solid_foreground(foreground, radius)
    rng = np.random.default_rng(seed)
    extent = scene_extent(cameras, common_focus(cameras))
    begin = start_gaussians(images, valid, solid, cameras, settings, rng, points).to(where)
    views = {"backgrounds": fit_backgrounds(images, valid, solid)}
    views = {k: torch.from_numpy(v.astype(np.float32)).to(where) for k, v in views.items()}
    if settings.colour_affine:
        views["affines"] = torch.zeros(len(cameras), 3, 4, device=where)
    if settings.camera_rate:
        views["cameras"] = torch.zeros(len(cameras), 6, device=where)
    parameters = Parameters.of(
        begin, views, settings, 0 if labels is None else labels.shape[-1], extent / NORMAL_EXTENT
    )
    pixel_weights = valid.astype(np.float32) * (1 if weights is None else weights)
    if labels is not None:
        label_weights = valid * (1 if label_weights is None else label_weights)
    targets = Targets.of(
        images, solid, pixel_weights, cameras, labels, label_weights, extent, where
    )
    density = make_density(settings, extent)
    objective = Objective(parameters, targets, settings)
    identity = ""
    if checkpoint is not None:
        arrays = (images, solid, pixel_weights, labels, label_weights, points)
        identity = fit_identity(repr((settings, seed, where.type)), cameras, *arrays)
    smoothing = ColourSmoothing(settings.colour_smoothing)
    loop = Loop(objective, density, smoothing, identity, start)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        # Every view once before any twice.
        rounds = settings.iterations // len(cameras) + 1
        order = np.concatenate([rng.permutation(len(cameras)) for _ in range(rounds)])
        loop.run(
            order[: settings.iterations], Path(checkpoint) if checkpoint else None, every,
            progress, description,
        )  # fmt: skip
    return _finished(loop, cameras, extent)


def _check(images, valid, foreground, cameras, labels, weights, label_weights) -> None:
    shape = images.shape[:3]
    given = {
        "valid": valid, "foreground": foreground, "weights": weights,
        "label_weights": label_weights, "labels": None if labels is None else labels[..., 0],
    }  # fmt: skip
    wrong = {k: a.shape for k, a in given.items() if a is not None and a.shape != shape}
    if wrong or len(cameras) != shape[0]:
        raise ValueError(
            f"images {images.shape} and {len(cameras)} cameras do not fit each other or {wrong}"
        )


def _finished(loop: Loop, cameras: list[Camera], extent: float) -> Fit:
    run = loop.objective
    p, settings = run.parameters, run.settings
    with torch.no_grad():
        colour, label = p.colour_set(), p.label_set(settings.coupling)
        good = _worth_keeping(colour, extent)
        shared = label is not None and not p.label and "label_opacities" not in p.colour
        if shared:
            good &= label.finite()
        kept, rows = _survivors(colour, good, "colours")
        errors = [run.psnr(v, render(kept, run.camera(v))) for v in range(len(cameras))]
        kept = kept.detach().to("cpu")
        labels, label_rows = None, None
        if shared:
            kept = replace(kept, label_logits=label.label_logits[good].detach().to("cpu"))
            labels, label_rows = kept, rows
        elif label is not None:
            carriers, label_rows = _survivors(label, _worth_keeping(label, extent), "labels")
            labels = carriers.detach().to("cpu")
    twists = p.views.get("cameras")
    if twists is not None:
        scaled = twists.detach().cpu().double().numpy() * ([1] * 3 + [run.targets.extent] * 3)
        cameras = corrected_cameras(cameras, scaled)
    affines = p.views.get("affines", torch.zeros(len(cameras), 3, 4))
    return Fit(
        kept,
        labels,
        p.views["backgrounds"].detach().cpu().numpy().astype(np.float64),
        affines.detach().cpu().numpy().astype(np.float64),
        list(cameras),
        psnr=float(np.mean(errors)),
        dropped=int((~good).sum()),
        steps=loop.steps,
        seconds=loop.seconds,
        history=loop.history,
        rows=rows,
        label_rows=label_rows,
    )


def _worth_keeping(gaussians: Gaussians, extent: float) -> Tensor:
    good = (gaussians.opacities > MIN_OPACITY) & gaussians.finite()
    return good & (gaussians.scales.amax(1) < MAX_SCALE * extent)


def _survivors(gaussians: Gaussians, good: Tensor, what: str) -> tuple[Gaussians, np.ndarray]:
    """The Gaussians of a mask ``[N]`` and their indices; an error if there are none."""
    if not good.any():
        raise LabelsplatError(
            f"none of the {len(good)} Gaussians of the {what} is left: all are more transparent "
            f"than {MIN_OPACITY}, larger than the scene, or not finite",
            where="fit",
            remedy="See that the predicted foreground shows the head in all views; else take "
            "smaller weights of the regularisers (opacity_weight), or a smaller means_rate",
        )
    return gaussians.select(good), good.nonzero()[:, 0].cpu().numpy()
