"""What all experiments report in the same way: where a number comes from, and how sure it is."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labelsplat.base.layout import Layout
from labelsplat.base.parallel import cores
from labelsplat.evaluate import Resamples, ViewConfusions, draw_identities, miou
from labelsplat.evaluate.numbers import number
from labelsplat.evaluate.summary import bounds

CODE = ("lib", "notebooks", "params.yaml", "requirements.lock")
"""What decides an experiment's result, and so whether a commit tells it."""

OUTPUTS = (":!notebooks/experiments/dvc.lock",)


def header(layout: Layout, seed: int, device: str | None) -> dict[str, Any]:
    """``{commit, seed, machine}``: what a report begins with."""
    return {"commit": commit(layout.root), "seed": seed, "machine": machine(device)}


def commit(root: Path) -> str | None:
    """The checked-out commit, with ``-dirty`` where code differs from it; None without git."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *CODE, *OUTPUTS)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head


def _git(root: Path, *words: str) -> str:
    # An optional lock would get in the way of whoever works in the checkout meanwhile.
    command = ["git", "--no-optional-locks", *words]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def machine(device: str | None) -> str:
    """The machine in words: processor, cores, and the GPU where one was used."""
    words = f"{_processor()}, {cores()} cores"
    if device in ("auto", "cuda"):
        import torch

        if torch.cuda.is_available():
            return f"{words}, {torch.cuda.get_device_name()}"
    return words


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def miou_interval(views: ViewConfusions, draws: int, seed: int) -> dict[str, float | None]:
    """``{mean, low, high}`` of the mIoU (stratum "all") of all heads' counts together.

    The interval is a bootstrap over heads, as :class:`labelsplat.evaluate.Resamples` draws them.
    """
    resamples = Resamples(views.identities, draws, seed)
    return {"mean": number(miou(views, "all")), **bounds(resamples.miou(views, "all"))}


def mean_interval(values: Sequence[float], draws: int, seed: int) -> dict[str, float | None]:
    """``{mean, low, high}`` of one value a head, on the same draws; no interval of one head."""
    known = np.asarray(values, float)
    samples = np.full(1, np.nan)
    if len(known) > 1:
        samples = draw_identities(len(known), draws, seed) @ known / len(known)
    return {"mean": number(float(known.mean())), **bounds(samples)}
