"""The fit stage: Gaussians of every capture subject, as files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from labelsplat.base import LabelsplatError, atomic_dir, write_json
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import Camera, Prepared, capture_root
from labelsplat.parsing.stage import posed, round_predictions
from labelsplat.parsing.votes import VoteSettings, vote_weights
from labelsplat.splats.drawing import Drawn, draw_views
from labelsplat.splats.fit import Fit, fit_gaussians
from labelsplat.splats.gaussians import Gaussians, read_gaussians, write_gaussians
from labelsplat.splats.hull import points_on_person
from labelsplat.splats.settings import FitSettings

CHECKPOINT_EVERY = 2000
"""Steps between checkpoints: the default fit of 1,500 steps writes none, a GPU's 7,000 do."""

FEWEST_POINTS = 50
"""Sparse points on the person from which a fit may start: fewer would leave holes everywhere."""


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


def labels_of_fit(
    photos: Prepared, probabilities: np.ndarray, settings: FitSettings, votes: VoteSettings
) -> tuple[FitSettings, np.ndarray]:
    """How predictions take part in a fit: its settings, and ``[V, H, W]`` each pixel's weight.

    The weights are those of the vote, 1 on average, so that ``label_weight`` means the same
    whatever they are. Where a capture does not say where the face looks, views from the side
    cannot be told from the front; their labels would bend the geometry, and get no say in it.

    Args:
        photos: V photos.
        probabilities: ``[V, H, W, K]`` soft predictions.
        settings: of the fit.
        votes: how predictions are weighted.
    """
    if photos.angles is None and settings.coupling in ("joint", "two_models"):
        settings = replace(settings, coupling="geometry_from_rgb", label_weight=0.0)
    weights = vote_weights(photos, probabilities, votes)
    return settings, weights / max(weights.mean(), 1e-12)


def points_of_fit(
    photos: Prepared, foreground: np.ndarray, settings: FitSettings
) -> np.ndarray | None:
    """Where a fit is to start if ``settings.start`` is "points", ``[K, 3]``; else None.

    Args:
        photos: V photos with the camera solver's points.
        foreground: ``[V, H, W]`` predicted probability of the person.
        settings: of the fit.

    Raises:
        LabelsplatError: the capture has no points, or none that the views see on the person.
    """
    if settings.start != "points":
        return None
    given = np.empty((0, 3)) if photos.points is None else photos.points
    tolerance = settings.hull_tolerance
    kept = points_on_person(given, foreground, photos.valid, photos.cameras, tolerance=tolerance)
    if len(kept) < FEWEST_POINTS:
        raise LabelsplatError(
            f"{len(given)} sparse points, {len(kept)} of them on the person: too few to start from",
            where=photos.subject,
            remedy="Set fit.start to hull",
        )
    return kept


def fit_subject(
    layout: Layout,
    subject: str,
    round_name: str,
    out: Path,
    settings: FitSettings,
    votes: VoteSettings,
    size: int,
    seed: int,
    device: str,
) -> FitReport:
    """Fit one subject from its photos and predictions to ``out/{subject}.safetensors``."""
    photos = posed(layout, round_name, subject, size)
    soft = round_predictions(layout, round_name, "refined", subject)
    settings, weights = labels_of_fit(photos, soft.probabilities, settings, votes)
    checkpoint = layout.checkpoints / "fit" / round_name / f"{subject.replace('/', '_')}.pt"
    foreground = 1 - soft.probabilities[..., 0]
    fit = fit_gaussians(
        photos.images,
        photos.valid,
        foreground,
        photos.cameras,
        settings,
        points=points_of_fit(photos, foreground, settings),
        labels=soft.probabilities,
        label_weights=weights,
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
    layout: Layout,
    round_name: str,
    settings: FitSettings,
    votes: VoteSettings,
    *,
    size: int,
    seed: int,
    device: str,
) -> list[FitReport]:
    """Fit every capture subject; writes ``work/{round}/splats`` and ``reports/fits/{round}.json``.

    The latter holds what no other stage may depend on: seconds.

    Args:
        layout: the project's tree.
        round_name: e.g. "r1"; its predictions are used.
        settings: of the fits.
        votes: how predictions are weighted where they take part in a fit.
        size: pixels.
        seed: of every fit.
        device: "auto", "cpu" or "cuda".
    """
    *_, subjects = capture_root(layout)
    with atomic_dir(layout.splats(round_name)) as out:
        jobs = [
            (layout, subject, round_name, out, settings, votes, size, seed, device)
            for subject in subjects
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
