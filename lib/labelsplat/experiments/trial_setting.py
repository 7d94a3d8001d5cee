"""Fit settings of an earlier trial, kept, on the line's own heads: what later ones must beat."""

from __future__ import annotations

from typing import Any

from labelsplat.base import LabelsplatError
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import capture_root
from labelsplat.evaluate import Likeness, has_truth, likeness, true_head
from labelsplat.experiments.heads import ROUND
from labelsplat.experiments.methods import fit_colours
from labelsplat.experiments.summary import mean_interval
from labelsplat.parsing import prepared, round_predictions
from labelsplat.splats import FitSettings


def run_trial_setting(
    layout: Layout,
    fit: FitSettings,
    *,
    size: int,
    seed: int,
    device: str,
    draws: int,
    processes: int,
) -> dict[str, Any]:
    """Fit the line's captures with these settings; measure them in their held-out views.

    Args:
        layout: the line's tree, with captures, held-out views and first predictions.
        fit: the kept settings.
        size: pixels.
        seed: of fits and bootstrap.
        device: "auto", "cpu" or "cuda".
        draws: resamples of the heads for each interval.
        processes: heads at a time; 0 = one a core.

    Returns:
        ``{psnr_heldout, ssim_heldout: {mean, low, high}, subjects: {id: {psnr, ssim}}}``, PSNR in
        dB, both over the true foreground and as means over heads.

    Raises:
        LabelsplatError: the capture comes without truth.
    """
    if not has_truth(layout.heldout_truth):
        raise LabelsplatError(
            "no held-out views with truth to measure a fit in",
            where=layout.heldout_truth,
            remedy="This experiment runs on the embedded heads: set capture.source to embedded",
        )
    *_, subjects = capture_root(layout)
    jobs = [(layout, subject, fit, size, seed, device) for subject in subjects]
    found: list[Likeness] = run_jobs(try_head, jobs, processes=processes, description="heads")
    return {
        "psnr_heldout": mean_interval([one.psnr for one in found], draws, seed),
        "ssim_heldout": mean_interval([one.ssim for one in found], draws, seed),
        "subjects": {
            subject: {"psnr": one.psnr, "ssim": one.ssim}
            for subject, one in zip(subjects, found, strict=True)
        },
    }


def try_head(
    layout: Layout, subject: str, fit: FitSettings, size: int, seed: int, device: str
) -> Likeness:
    """One head of :func:`run_trial_setting`."""
    photos = prepared(layout, subject, size)
    soft = round_predictions(layout, ROUND, "baseline", subject).probabilities
    done = fit_colours(photos, 1 - soft[..., 0], fit, seed=seed, device=device)
    unseen = true_head(layout.heldout_photos, layout.heldout_truth, subject, size)
    seen = unseen.photos
    return likeness(done.gaussians, seen.cameras, seen.images, unseen.labels != 0)
