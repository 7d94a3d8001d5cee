"""What the embedded heads cost to draw, and whether their labels are true in space."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelsplat.base.parallel import run_jobs

PAIRS_A_HEAD = 8
"""Pairs of views that are compared of one head."""

SECONDS = ("seconds_per_identity", "seconds_per_view_128")
"""Figures of :func:`check_heads` that differ from run to run."""

_TIMED_VIEWS = 5
_TIMED_SIZE = 128  # pixels; labels are compared in views of reprojection.random_pairs' own size


@dataclass(frozen=True)
class HeadCheck:
    """What was found of one head.

    Attributes:
        identity_seconds: CPU time to shape it and to bake its light.
        view_seconds: CPU time of each of some views at 128 px, with labels.
        shares: of each ordered pair of views, the share of samples whose labels agree.
    """

    identity_seconds: float
    view_seconds: tuple[float, ...]
    shares: tuple[float, ...]


def check_head(identity: int, supersample: int, seed: int) -> HeadCheck:
    """Make one plain head, time it, and hold labels of its views against each other."""
    from labelsplat.capture.cameras import HEAD_SHOT, orbit_camera
    from labelsplat.capture.heads import (
        bake,
        build_head,
        random_pairs,
        render_view,
        reprojection_agreement,
        sample_identity,
    )

    own = identity + 1000 * seed
    start = time.process_time()
    scene = bake(build_head(sample_identity(own)), seed=own)
    made = time.process_time() - start
    seconds = []
    for yaw in np.linspace(-90, 90, _TIMED_VIEWS):
        start = time.process_time()
        render_view(scene, orbit_camera(float(yaw), 5, *HEAD_SHOT, _TIMED_SIZE), supersample)
        seconds.append(time.process_time() - start)
    found = reprojection_agreement(scene, random_pairs(PAIRS_A_HEAD, own), supersample)
    return HeadCheck(made, tuple(seconds), found.shares)


def check_heads(
    first: int, pairs: int, *, supersample: int, seed: int, processes: int
) -> dict[str, float | int | None]:
    """Check as many heads as ``pairs`` pairs of views take, :data:`PAIRS_A_HEAD` a head.

    Args:
        first: number of the first identity.
        pairs: of views, 15 to 45 degrees apart, drawn at 256 px; 0 = check nothing.
        supersample: rays a pixel and axis.
        seed: of the whole run.
        processes: at a time; 0 = one a core.

    Returns:
        ``seconds_per_identity`` (shape and light) and ``seconds_per_view_128``, medians of CPU
        time; ``label_reprojection_agreement``, the mean over pairs; ``checked_pairs``.
    """
    names = (*SECONDS, "label_reprojection_agreement")
    if not pairs:
        return {**dict.fromkeys(names), "checked_pairs": 0}
    heads = -(-pairs // PAIRS_A_HEAD)
    jobs: Sequence[tuple] = [(first + i, supersample, seed) for i in range(heads)]
    done = run_jobs(check_head, jobs, processes=processes, description="checks of heads")
    # Medians: the first head of each process also loads compiled code and the template.
    values = (
        np.median([found.identity_seconds for found in done]),
        np.median([s for found in done for s in found.view_seconds]),
        np.mean([share for found in done for share in found.shares]),
    )
    figures = {name: round(float(v), 4) for name, v in zip(names, values, strict=True)}
    return {**figures, "checked_pairs": heads * PAIRS_A_HEAD}
