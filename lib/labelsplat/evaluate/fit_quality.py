"""How well the fitted heads hold in views that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from labelsplat.capture import Camera
from labelsplat.evaluate.arms import TrueHead
from labelsplat.evaluate.confusions import ViewConfusions, compare_views
from labelsplat.evaluate.labels_quality import CaptureLabels, lift_equally
from labelsplat.refine import render_posteriors
from labelsplat.splats import Gaussians, render


@dataclass(frozen=True, eq=False)
class FitQuality:
    """Of one fitted head.

    Attributes:
        subject: its name.
        gaussians: their number.
        psnr: dB in the views that it was fitted to, mean over the views.
        heldout_psnr: dB in the held-out views.
        labels: counts in the held-out views: ``refined`` (the last round's lifted labels,
            rendered there) and ``ceiling`` (lifted true labels).
    """

    subject: str
    gaussians: int
    psnr: float
    heldout_psnr: float
    labels: dict[str, ViewConfusions]


def foreground_psnr(rendered: np.ndarray, photo: np.ndarray, mask: np.ndarray) -> float:
    """PSNR over a mask, after the colour affine that fits best.

    A fit may differ from a photo by exposure and white balance; so a 3 x 4 matrix is first solved
    by least squares that takes rendered colours (and 1) to the photo's.

    Args:
        rendered: ``[H, W, 3]`` float, 0 to 1.
        photo: ``[H, W, 3]`` float, 0 to 1.
        mask: ``[H, W]`` bool.

    Returns:
        dB, NaN where the mask holds fewer than 4 pixels.
    """
    x, y = rendered[mask].astype(float), photo[mask].astype(float)
    if len(x) < 4:
        return float("nan")
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    solution, *_ = np.linalg.lstsq(x, y, rcond=None)
    error = np.mean((np.clip(x @ solution, 0, 1) - y) ** 2)
    return float(-10 * np.log10(max(error, 1e-12)))


def mean_psnr(
    gaussians: Gaussians, cameras: Sequence[Camera], images: np.ndarray, masks: np.ndarray
) -> float:
    """Mean of :func:`foreground_psnr` over V views.

    Args:
        gaussians: the fitted head.
        cameras: V cameras.
        images: ``[V, H, W, 3]`` uint8.
        masks: ``[V, H, W]`` bool, the true foreground.
    """
    with torch.no_grad():
        colours = render(gaussians, list(cameras)).features.cpu().numpy()
    values = [
        foreground_psnr(c, i / 255, m) for c, i, m in zip(colours, images, masks, strict=True)
    ]
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


def fit_quality(labels: CaptureLabels, heldout: TrueHead, epochs: int) -> FitQuality:
    """Measure one head on its held-out views.

    Args:
        labels: of its capture views, truth included.
        heldout: its held-out views.
        epochs: sharpening steps when labels are lifted.
    """
    if labels.truth is None:
        raise ValueError("a fit is measured where truth is known")
    g, p, h = labels.gaussians, labels.photos, heldout.photos
    features = {
        "refined": g.label_probabilities.cpu().numpy() * labels.factors,
        "ceiling": lift_equally(g, p.cameras, labels.truth, epochs),
    }
    found = {}
    for name, lifted in features.items():
        seen = render_posteriors(g, lifted, h.cameras).argmax(-1).astype(np.uint8)
        found[name] = compare_views(h.subject, h.names, h.angles, seen, heldout.labels)
    return FitQuality(
        subject=p.subject,
        gaussians=len(g),
        psnr=mean_psnr(g, p.cameras, p.images, labels.truth != 0),
        heldout_psnr=mean_psnr(g, h.cameras, h.images, heldout.labels != 0),
        labels=found,
    )
