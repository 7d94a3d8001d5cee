"""The fit stage: Gaussians of every capture subject, as files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from labelsplat.base import atomic_dir, write_json
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import Camera, Prepared, capture_root
from labelsplat.parsing.stage import prepared, round_predictions
from labelsplat.splats.drawing import Drawn, draw_views
from labelsplat.splats.fit import Fit, fit_gaussians
from labelsplat.splats.gaussians import Gaussians, read_gaussians, write_gaussians
from labelsplat.splats.settings import FitSettings

CHECKPOINT_EVERY = 2000
"""Steps between checkpoints: the default fit of 1,500 steps writes none, a GPU's 7,000 do."""


@dataclass(frozen=True)
class FitReport:
    """What became of one subject's fit: for tables and curves.

    Attributes:
        subject: its name.
        psnr: of its own photos, dB.
        gaussians: how many survived.
        dropped: how many did not.
        steps: optimiser steps that were taken.
        seconds: wall-clock time.
        history: (step, PSNR of that step's view).
    """

    subject: str
    psnr: float
    gaussians: int
    dropped: int
    steps: int
    seconds: float
    history: list[tuple[int, float]]


@dataclass(frozen=True, eq=False)
class FittedHead:
    """One subject's fit, as later stages read it.

    Attributes:
        gaussians: the colour set.
        labels: the Gaussians of the fitted label model, or None.
        backgrounds: ``[V, 6, 3]`` coefficients of the views' backgrounds.
        affines: ``[V, 3, 4]`` deviations of the views' colours from the identity.
        cameras: corrected cameras, or None where the capture's own stand.
    """

    gaussians: Gaussians
    labels: Gaussians | None
    backgrounds: np.ndarray
    affines: np.ndarray
    cameras: list[Camera] | None

    def draw(self, photos: Prepared) -> Drawn:
        """The fit in the views of its photos."""
        cameras = self.corrected(photos).cameras
        return draw_views(self.gaussians, cameras, self.backgrounds, self.affines)

    def corrected(self, photos: Prepared) -> Prepared:
        """The photos with the cameras that the fit arrived at."""
        return photos if self.cameras is None else replace(photos, cameras=self.cameras)


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
    checkpoint = layout.checkpoints / "fit" / round_name / f"{subject.replace('/', '_')}.pt"
    fit = fit_gaussians(
        photos.images,
        photos.valid,
        1 - soft.probabilities[..., 0],
        photos.cameras,
        settings,
        labels=soft.probabilities,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        every=CHECKPOINT_EVERY,
        progress=False,
    )
    write_fit(out / f"{subject}.safetensors", fit, moved=settings.camera_rate > 0)
    return FitReport(
        subject, fit.psnr, len(fit.gaussians), fit.dropped, fit.steps, fit.seconds, fit.history
    )


def write_fit(path: Path, fit: Fit, *, moved: bool = False) -> None:
    """Write a fit; a label model of other Gaussians goes to ``{stem}.labels.safetensors``.

    Args:
        path: ends in ``.safetensors``.
        fit: to write.
        moved: whether its cameras differ from the capture's, and are to be written, too.
    """
    facts = {
        "psnr": fit.psnr,
        "backgrounds": fit.backgrounds.tolist(),
        "affines": fit.affines.tolist(),
        "labels": None if fit.labels is None else _labels_file(path).name,
        "cameras": [_camera_facts(camera) for camera in fit.cameras] if moved else None,
    }
    if fit.labels is fit.gaussians:
        facts["labels"] = path.name
    elif fit.labels is not None:
        write_gaussians(_labels_file(path), fit.labels)
    write_gaussians(path, fit.gaussians, facts)


def read_fit(layout: Layout, round_name: str, subject: str) -> FittedHead:
    """A subject's fit.

    Raises:
        LabelsplatError: a file is missing or broken.
    """
    path = layout.splats(round_name) / f"{subject}.safetensors"
    gaussians, facts = read_gaussians(path)
    labels = gaussians if facts["labels"] == path.name else None
    if labels is None and facts["labels"]:
        labels, _ = read_gaussians(_labels_file(path))
    cameras = facts["cameras"] and [_camera(entry) for entry in facts["cameras"]]
    return FittedHead(
        gaussians, labels, np.array(facts["backgrounds"]), np.array(facts["affines"]), cameras
    )


def fit_round(
    layout: Layout, round_name: str, settings: FitSettings, *, size: int, seed: int, device: str
) -> list[FitReport]:
    """Fit every capture subject; writes ``work/{round}/splats`` and ``reports/fits/{round}.json``.

    The latter holds what no other stage may depend on: seconds.
    """
    *_, subjects = capture_root(layout)
    with atomic_dir(layout.splats(round_name)) as out:
        jobs = [
            (layout, subject, round_name, out, settings, size, seed, device) for subject in subjects
        ]
        reports = run_jobs(fit_subject, jobs, processes=settings.processes, description="fit")
    seconds = {report.subject: round(report.seconds, 2) for report in reports}
    write_json(layout.fit_times(round_name), seconds)
    return reports


def _labels_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.labels.safetensors")


def _camera_facts(camera: Camera) -> dict:
    return {
        "rotation": camera.rotation.tolist(),
        "translation": camera.translation.tolist(),
        "intrinsics": camera.intrinsics.tolist(),
        "size": [camera.width, camera.height],
    }


def _camera(facts: dict) -> Camera:
    arrays = (np.array(facts[name]) for name in ("rotation", "translation", "intrinsics"))
    return Camera(*arrays, *facts["size"])
