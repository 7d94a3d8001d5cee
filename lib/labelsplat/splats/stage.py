"""The fit stage: Gaussians of every capture subject, as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelsplat.base import atomic_dir
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import capture_root
from labelsplat.parsing.stage import prepared, round_predictions
from labelsplat.splats.fit import FitSettings, fit_gaussians
from labelsplat.splats.gaussians import Gaussians, read_gaussians, write_gaussians


@dataclass(frozen=True)
class FitReport:
    """What became of one subject's fit: for tables and curves.

    Attributes:
        subject: its name.
        psnr: of its own photos, dB.
        gaussians: how many survived.
        dropped: how many did not.
        seconds: wall-clock time on one thread.
        history: (step, PSNR of that step's view).
    """

    subject: str
    psnr: float
    gaussians: int
    dropped: int
    seconds: float
    history: list[tuple[int, float]]


def fit_subject(
    layout: Layout,
    subject: str,
    round_name: str,
    out: Path,
    settings: FitSettings,
    size: int,
    seed: int,
    device: str,
) -> FitReport:
    """Fit one subject from its photos and predictions to ``out/{subject}.safetensors``."""
    photos = prepared(layout, subject, size)
    soft = round_predictions(layout, round_name, "refined", subject)
    fit = fit_gaussians(
        photos.images,
        photos.valid,
        1 - soft.probabilities[..., 0],
        photos.cameras,
        settings,
        seed=seed,
        device=device,
        progress=False,
    )
    facts = {"psnr": fit.psnr, "backgrounds": fit.backgrounds.tolist()}
    write_gaussians(out / f"{subject}.safetensors", fit.gaussians, facts)
    return FitReport(subject, fit.psnr, len(fit.gaussians), fit.dropped, fit.seconds, fit.history)


def fit_round(
    layout: Layout, round_name: str, settings: FitSettings, *, size: int, seed: int, device: str
) -> list[FitReport]:
    """Fit every capture subject; writes ``work/{round}/splats/{subject}.safetensors``."""
    *_, subjects = capture_root(layout)
    with atomic_dir(layout.splats(round_name)) as out:
        jobs = [
            (layout, subject, round_name, out, settings, size, seed, device) for subject in subjects
        ]
        return run_jobs(fit_subject, jobs, processes=settings.processes, description="fit")


def read_fit(layout: Layout, round_name: str, subject: str) -> tuple[Gaussians, np.ndarray]:
    """A subject's Gaussians and its views' background coefficients ``[V, 6, 3]``."""
    gaussians, facts = read_gaussians(layout.splats(round_name) / f"{subject}.safetensors")
    return gaussians, np.array(facts["backgrounds"])
