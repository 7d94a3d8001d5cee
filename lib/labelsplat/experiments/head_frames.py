"""What it costs not to know where the face looks: the line's refinement with three head frames.

``own``       the capture's own frame, as the embedded heads have it;
``estimate``  estimated from the predictions, as for a capture that has none;
``none``      no frame: all views count the same, and labels stay out of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import open_capture
from labelsplat.evaluate import ViewConfusions, compare_views, join
from labelsplat.evaluate.numbers import number
from labelsplat.experiments.heads import head_names, read_head
from labelsplat.experiments.methods import fit_labels, lifted, lifted_maps
from labelsplat.experiments.settings import Setup
from labelsplat.experiments.summary import mean_interval, miou_interval
from labelsplat.parsing import choose_frame, with_facts
from labelsplat.splats import labels_of_fit

MODES = {"own": "auto", "estimate": "estimate", "none": "none"}
"""Values of ``predict.head_frame``, by the names above."""


@dataclass(frozen=True, eq=False)
class Framed:
    """One head, refined with one frame.

    Attributes:
        labels: counts in the pools ``train`` and ``heldout``.
        degrees: mean angle between the views' directions in this frame and in the true one; None
            without a frame.
    """

    labels: dict[str, ViewConfusions]
    degrees: float | None


def compare_frames(setup: Setup, heads: int) -> dict[str, Any]:
    """Refine every head with every frame.

    Args:
        setup: of the experiment, its fit and lift the line's.
        heads: how many, the first ones.

    Returns:
        ``{frame: {lift_miou_train, lift_miou_heldout[, degrees_off]: {mean, low, high}}}`` and
        ``degrees_off`` by subject.
    """
    subjects = head_names(setup.layout, heads)
    jobs = [(setup, subject, frame) for frame in MODES for subject in subjects]
    done: list[Framed] = run_jobs(
        frame_head, jobs, processes=setup.processes, description="head frames"
    )
    out: dict[str, Any] = {}
    for i, frame in enumerate(MODES):
        own = done[i * len(subjects) : (i + 1) * len(subjects)]
        out[frame] = {
            f"lift_miou_{pool}": miou_interval(
                join([one.labels[pool] for one in own]), setup.draws, setup.seed
            )
            for pool in ("train", "heldout")
        }
        if frame == "estimate":
            off = [one.degrees for one in own]
            out[frame]["degrees_off"] = mean_interval(off, setup.draws, setup.seed)
            out["subjects"] = {
                s: {"degrees_off": number(d)} for s, d in zip(subjects, off, strict=True)
            }
    return out


def frame_head(setup: Setup, subject: str, frame: str) -> Framed:
    """One head of :func:`compare_frames`."""
    head = read_head(setup.layout, subject, setup.size)
    capture = open_capture(Layout(setup.layout.experiments).capture, subject, "facescape")
    facts = choose_frame(capture, head.photos, head.soft, MODES[frame])
    photos = with_facts(head.photos, facts)
    every = np.ones(len(head.soft), bool)
    fit, votes = labels_of_fit(photos, head.soft, setup.fit, setup.refine.votes())
    done = fit_labels(
        photos, head.foreground, head.soft, every, fit, seed=setup.seed, device=setup.device,
        votes=votes,
    )  # fmt: skip
    features = lifted(done.gaussians, photos, head.soft, every, setup.refine)
    labels = {
        # Scored by the true angles, whatever frame was used.
        pool: compare_views(
            subject, views.photos.names, views.photos.angles,
            lifted_maps(done.gaussians, features, views.photos.cameras), views.labels,
        )
        for pool, views in (("train", head.train), ("heldout", head.heldout))
    }  # fmt: skip
    degrees = None
    if photos.angles is not None:
        degrees = float(_apart(photos.angles, head.photos.angles).mean())
    return Framed(labels, degrees)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles in degrees ``[V]`` between directions of (yaw, pitch) ``[V, 2]``."""

    def rays(angles: np.ndarray) -> np.ndarray:
        yaw, pitch = np.radians(angles).T
        return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])

    return np.degrees(np.arccos(np.clip((rays(a) * rays(b)).sum(0), -1, 1)))
