"""Fit settings of an earlier trial, kept, on the line's own heads: what later ones must beat.

It opens the truth of the line's held-out views, to measure by; nothing is fitted to it or chosen.
"""

from __future__ import annotations

from typing import Any

from labelsplat.base import LabelsplatError
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import capture_root
from labelsplat.evaluate import Likeness, has_truth, likeness, true_head
from labelsplat.evaluate.numbers import number
from labelsplat.experiments.heads import ROUND
from labelsplat.experiments.methods import fit_colours
from labelsplat.experiments.settings import Setup
from labelsplat.experiments.summary import mean_interval
from labelsplat.labels import foreground
from labelsplat.parsing import prepared, round_predictions


def run_trial_setting(setup: Setup) -> dict[str, Any]:
    """Fit the line's captures with the kept settings; measure them in their held-out views.

    Args:
        setup: of the experiment, its ``fit`` the kept settings, its ``layout`` with captures,
            held-out views and first predictions.

    Returns:
        ``{psnr_heldout, ssim_heldout: {mean, low, high}, subjects: {id: {psnr, ssim}}}``, PSNR in
        dB, both over the true foreground and as means over heads.

    Raises:
        LabelsplatError: the capture comes without truth.
    """
    if not has_truth(setup.layout.heldout_truth):
        raise LabelsplatError(
            "no held-out views with truth to measure a fit in",
            where=setup.layout.heldout_truth,
            remedy="This experiment runs on the embedded heads: set capture.source to embedded",
        )
    *_, subjects = capture_root(setup.layout)
    jobs = [(setup, subject) for subject in subjects]
    found: list[Likeness] = run_jobs(try_head, jobs, processes=setup.processes, description="heads")
    return {
        "psnr_heldout": mean_interval([one.psnr for one in found], setup.draws, setup.seed),
        "ssim_heldout": mean_interval([one.ssim for one in found], setup.draws, setup.seed),
        "subjects": {
            subject: {"psnr": number(one.psnr), "ssim": number(one.ssim)}
            for subject, one in zip(subjects, found, strict=True)
        },
    }


def try_head(setup: Setup, subject: str) -> Likeness:
    """One head of :func:`run_trial_setting`."""
    layout, size = setup.layout, setup.size
    photos = prepared(layout, subject, size)
    soft = round_predictions(layout, ROUND, "baseline", subject).probabilities
    done = fit_colours(photos, 1 - soft[..., 0], setup.fit, seed=setup.seed, device=setup.device)
    unseen = true_head(layout.heldout_photos, layout.heldout_truth, subject, size)
    seen = unseen.photos
    return likeness(done.gaussians, seen.cameras, seen.images, foreground(unseen.labels))
