"""What labels do to a fit that they may move: the couplings of colours and labels, compared.

Labels are what the line has: the baseline's soft predictions, right in front and wrong in profile.
The fits take them as they are, as the paper's do, or weighted as the line's lift weights its votes:
so that what the weights bring is not put down to the lift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from labelsplat.base.parallel import run_jobs
from labelsplat.evaluate import ViewConfusions, compare_views, join, likeness
from labelsplat.experiments.heads import Head, head_names, read_head
from labelsplat.experiments.methods import fit_labels, lifted, lifted_maps, model_maps
from labelsplat.experiments.settings import CouplingSettings, Setup
from labelsplat.experiments.summary import mean_interval, miou_interval
from labelsplat.labels import foreground
from labelsplat.splats import FitSettings, labels_of_fit


@dataclass(frozen=True, eq=False)
class Coupled:
    """One head, fitted with one coupling.

    Attributes:
        labels: counts of ``label`` (what the label model says) and ``lift`` (the closed lift on
            this fit's colour geometry) in the pools ``train`` and ``heldout``: ``label_train``.
        psnr: of the held-out views over the true foreground, dB.
        seconds: of the fit.
    """

    labels: dict[str, ViewConfusions]
    psnr: float
    seconds: float


def compare_couplings(
    setup: Setup, settings: CouplingSettings, *, weighted: bool
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Fit every head with every coupling.

    Args:
        setup: of the experiment, its fit and lift the line's. Seconds are of fits that ran side by
            side, as many as it has processes.
        settings: heads, couplings, and the iterations and label weight of every fit.
        weighted: whether a pixel's label counts in the fits as it does in the line's lift; else all
            count the same.

    Returns:
        ``{coupling: {figure: {mean, low, high}}}`` with the figures ``label_miou_train``,
        ``label_miou_heldout``, ``lift_miou_train``, ``lift_miou_heldout``, ``psnr_heldout`` (dB)
        and ``seconds``. mIoU is of all heads' pixels together, the others are means over heads.
    """
    subjects = head_names(setup.layout, settings.heads)
    fit = replace(
        setup.fit,
        iterations=settings.iterations,
        label_weight=settings.label_weight,
        label_every=settings.label_every,
    )
    jobs = [
        (replace(setup, fit=replace(fit, coupling=coupling)), subject, weighted)
        for coupling in settings.couplings
        for subject in subjects
    ]
    done: list[Coupled] = run_jobs(
        couple_head, jobs, processes=setup.processes, description="couplings"
    )
    out: dict[str, Any] = {}
    for i, coupling in enumerate(settings.couplings):
        own = done[i * len(subjects) : (i + 1) * len(subjects)]
        out[coupling] = {
            **{
                name.replace("_", "_miou_"): miou_interval(
                    join([one.labels[name] for one in own]), setup.draws, setup.seed
                )
                for name in own[0].labels
            },
            "psnr_heldout": mean_interval([one.psnr for one in own], setup.draws, setup.seed),
            "seconds": mean_interval([one.seconds for one in own], setup.draws, setup.seed),
        }
    return out


def couple_head(setup: Setup, subject: str, weighted: bool) -> Coupled:
    """One head of :func:`compare_couplings`, fitted with the coupling of ``setup.fit``."""
    head = read_head(setup.layout, subject, setup.size)
    all_views = np.ones(len(head.soft), bool)
    _warm_up(head, setup.fit, setup.device)
    votes = None
    if weighted:
        _, votes = labels_of_fit(head.photos, head.soft, setup.fit, setup.refine.votes())
    done = fit_labels(
        head.photos, head.foreground, head.soft, all_views, setup.fit, seed=setup.seed,
        device=setup.device, votes=votes,
    )  # fmt: skip
    photos = replace(head.photos, cameras=done.cameras)
    features = lifted(done.gaussians, photos, head.soft, all_views, setup.refine)
    labels = {}
    for pool, views, truth in (
        ("train", photos, head.train.labels),
        ("heldout", head.heldout.photos, head.heldout.labels),
    ):
        maps = {
            "label": model_maps(done, views.cameras),
            "lift": lifted_maps(done.gaussians, features, views.cameras),
        }
        for name, found in maps.items():
            labels[f"{name}_{pool}"] = compare_views(
                subject, views.names, views.angles, found, truth
            )
    unseen, truth = head.heldout.photos, head.heldout.labels
    alike = likeness(done.gaussians, unseen.cameras, unseen.images, foreground(truth))
    return Coupled(labels, alike.psnr, done.seconds)


_WARM: set[str] = set()


def _warm_up(head: Head, fit: FitSettings, device: str) -> None:
    """One step, the first time in a process: kernels are loaded once, and not to be timed."""
    if fit.coupling not in _WARM:
        _WARM.add(fit.coupling)
        views = np.ones(len(head.soft), bool)
        short = replace(fit, iterations=1)
        fit_labels(head.photos, head.foreground, head.soft, views, short, seed=0, device=device)
