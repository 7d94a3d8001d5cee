"""How well the fitted heads hold: their colours and labels, in their own views and in others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from labelsplat.capture import Camera, Prepared
from labelsplat.evaluate.arms import TrueHead
from labelsplat.evaluate.confusions import ViewConfusions, compare_views, join
from labelsplat.evaluate.labels_quality import CaptureLabels
from labelsplat.evaluate.numbers import known_mean, number
from labelsplat.labels import CELEBAMASK, foreground, scores
from labelsplat.refine import Lift, render_posteriors, vote_equally
from labelsplat.splats import Gaussians, render, ssim_map
from labelsplat.splats.backgrounds import solve_affine

LABELLINGS = ("raw", "vote", "lift", "ceiling")
"""raw: the baseline's predictions, made in one way in both pools. vote: the last round's, lifted
with all views equal and not sharpened. lift: weighted and sharpened, as the line does it. ceiling:
lifted truth."""

POOLS = ("train", "heldout")
"""The views that were fitted, and further views of the same heads."""


@dataclass(frozen=True)
class Likeness:
    """How alike drawn and photographed heads are, mean over views; NaN where no view shows one.

    Attributes:
        psnr: dB over the true foreground.
        ssim: mean structural similarity over the true foreground.
    """

    psnr: float
    ssim: float


@dataclass(frozen=True, eq=False)
class FitQuality:
    """Of one fitted head.

    Attributes:
        subject: its name.
        gaussians: their number.
        likeness: by pool.
        labels: counts by pool and labelling, ``labels["heldout"]["lift"]``.
    """

    subject: str
    gaussians: int
    likeness: dict[str, Likeness]
    labels: dict[str, dict[str, ViewConfusions]]


def compare_head(drawn: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> Likeness:
    """PSNR and SSIM over a mask, after the colour affine that fits best.

    A fit may differ from a photo by exposure and white balance; so a 3 x 4 matrix is first solved
    by least squares that takes rendered colours (and 1) to the photo's. What is off the mask is
    black in both pictures.

    Args:
        drawn: ``[H, W, 3]`` float, 0 to 1.
        photo: ``[H, W, 3]`` float, 0 to 1.
        mask: ``[H, W]`` bool.

    Returns:
        NaN where the mask holds fewer than 4 pixels.
    """
    if mask.sum() < 4:
        return Likeness(math.nan, math.nan)
    drawn, photo = drawn.astype(float), photo.astype(float)
    affine = solve_affine(drawn, photo, mask.astype(float))
    mapped = np.clip(drawn @ affine[:, :3].T + affine[:, 3], 0, 1)
    error = np.mean((mapped - photo)[mask] ** 2)
    a, b = (torch.from_numpy(np.where(mask[..., None], x, 0.0)) for x in (mapped, photo))
    alike = ssim_map(a, b).numpy()[mask].mean()
    return Likeness(float(-10 * np.log10(max(error, 1e-12))), float(alike))


def likeness(
    gaussians: Gaussians, cameras: Sequence[Camera], images: np.ndarray, masks: np.ndarray
) -> Likeness:
    """Mean of :func:`compare_head` over V views.

    Args:
        gaussians: the fitted head.
        cameras: V cameras.
        images: ``[V, H, W, 3]`` uint8.
        masks: ``[V, H, W]`` bool, the true foreground.

    Returns:
        Means over the views that show the head; NaN where none does.
    """
    with torch.no_grad():
        colours = render(gaussians, list(cameras)).features.cpu().numpy()
    found = [compare_head(c, i / 255, m) for c, i, m in zip(colours, images, masks, strict=True)]
    return Likeness(known_mean(f.psnr for f in found), known_mean(f.ssim for f in found))


def fit_quality(
    labels: CaptureLabels,
    heldout: TrueHead,
    epochs: int,
    predict: Callable[[Prepared], np.ndarray],
) -> FitQuality:
    """Measure one head in its own and in its held-out views.

    Args:
        labels: of its capture views, truth included.
        heldout: its held-out views.
        epochs: sharpening steps when true labels are lifted.
        predict: the baseline: photos of V views to labels ``[V, H, W]``, in the way
            in which ``labels.raw`` was predicted.
    """
    if labels.truth is None:
        raise ValueError("a fit is measured where truth is known")
    g, p, h = labels.gaussians, labels.photos, heldout.photos
    lifted = {
        "vote": vote_equally(g, p, labels.votes),
        "lift": g.label_probabilities.cpu().numpy() * labels.factors,
        "ceiling": Lift(g, p.cameras).run_labels(labels.truth, len(CELEBAMASK), epochs),
    }
    maps = {
        "train": {"raw": labels.raw, "lift": labels.last},
        "heldout": {"raw": predict(h)},
    }
    photos, truths = {"train": p, "heldout": h}, {"train": labels.truth, "heldout": heldout.labels}
    found: dict[str, dict[str, ViewConfusions]] = {}
    for pool in POOLS:
        views = photos[pool]
        for name, features in lifted.items():
            if name not in maps[pool]:
                seen = render_posteriors(g, features, views.cameras).argmax(-1)
                maps[pool][name] = seen.astype(np.uint8)
        found[pool] = {
            name: compare_views(
                p.subject, views.names, views.angles, maps[pool][name], truths[pool]
            )
            for name in LABELLINGS
        }
    alike = {
        pool: likeness(g, photos[pool].cameras, photos[pool].images, foreground(truths[pool]))
        for pool in POOLS
    }
    return FitQuality(p.subject, len(g), alike, found)


def summarise_fit(fits: Sequence[FitQuality]) -> dict[str, Any] | None:
    """The section ``fit``: PSNR in dB, SSIM, label mIoU (stratum "all"); None without truth."""
    if not fits:
        return None
    pooled = {
        pool: {name: join([f.labels[pool][name] for f in fits]) for name in LABELLINGS}
        for pool in POOLS
    }
    return {
        "mean": {
            "psnr": number(known_mean(f.likeness["train"].psnr for f in fits)),
            "ssim": number(known_mean(f.likeness["train"].ssim for f in fits)),
            "gaussians": number(known_mean(f.gaussians for f in fits)),
            "heldout": {
                "psnr": number(known_mean(f.likeness["heldout"].psnr for f in fits)),
                "ssim": number(known_mean(f.likeness["heldout"].ssim for f in fits)),
            },
            "label_miou": _label_miou(pooled),
        },
        "subjects": {
            f.subject: {
                "psnr": number(f.likeness["train"].psnr),
                "ssim": number(f.likeness["train"].ssim),
                "gaussians": f.gaussians,
                "heldout": {
                    "psnr": number(f.likeness["heldout"].psnr),
                    "ssim": number(f.likeness["heldout"].ssim),
                },
                "label_miou": _label_miou(f.labels),
            }
            for f in fits
        },
    }


def _label_miou(
    labels: Mapping[str, Mapping[str, ViewConfusions]],
) -> dict[str, dict[str, float | None]]:
    """``{labelling: {pool: mIoU}}`` in the stratum "all"."""

    def miou(views: ViewConfusions) -> float | None:
        return number(scores(views.total("all"), views.vocabulary).miou)

    return {name: {pool: miou(labels[pool][name]) for pool in POOLS} for name in LABELLINGS}
