"""The steps of a fit: one view each, with checkpoints to go on from, and an early stop."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from labelsplat.base import atomic_path
from labelsplat.splats.density import Fixed
from labelsplat.splats.objective import Objective
from labelsplat.splats.smoothing import ColourSmoothing

logger = logging.getLogger(__name__)

SMOOTHING = 0.02
"""Share of a step in the running loss by which a fit may stop early."""

SHOWN_EVERY = 100
"""Steps between two entries of the history."""


@dataclass(eq=False)
class Loop:
    """A fit under way.

    Attributes:
        objective: what is made smaller.
        density: how the number of Gaussians changes.
        smoothing: of the colours.
        identity: names this very fit (photos, settings, seed, code) in its checkpoints.
        started: value of ``time.perf_counter`` when this call began.
        earlier: seconds that calls before this one took until their last checkpoint.
        steps: taken so far.
        history: (step, PSNR of that step's view) now and then.
    """

    objective: Objective
    density: Fixed
    smoothing: ColourSmoothing
    identity: str = ""
    started: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0
    steps: int = 0
    history: list[tuple[int, float]] = field(default_factory=list)
    _best: float = float("inf")
    _best_step: int = 0
    _running: float = float("nan")

    @property
    def seconds(self) -> float:
        """Wall-clock time that the fit took so far, with that of calls that it goes on from."""
        return self.earlier + time.perf_counter() - self.started

    @property
    def _device(self) -> torch.device:
        return self.objective.parameters.colour["means"].device

    def run(
        self,
        order: np.ndarray,
        checkpoint: Path | None,
        every: int,
        progress: bool,
        description: str,
    ) -> None:
        """Take all steps that are left.

        Args:
            order: the view of each step.
            checkpoint: file to go on from and to write, removed at the end; or None.
            every: steps between checkpoints, 0 = none.
            progress: show a bar.
            description: what it says.
        """
        from tqdm.auto import tqdm

        if checkpoint is not None and checkpoint.is_file():
            self._load(checkpoint)
        bar = tqdm(total=len(order), initial=self.steps, desc=description, disable=not progress)
        while self.steps < len(order):
            step, view = self.steps, int(order[self.steps])
            self.objective.parameters.schedule(step / len(order))
            loss, drawn = self.objective.loss(view, step, absgrad=self.density.absgrad(step))
            loss.backward()
            self.objective.parameters.step()
            if self.density.after(self.objective.parameters, drawn, step):
                self.smoothing.forget()
            self.smoothing.after(self.objective.parameters, step)
            if step % SHOWN_EVERY == 0 or step == len(order) - 1:
                self.history.append((step, self.objective.psnr(view, drawn)))
                bar.set_postfix_str(f"{self.history[-1][1]:.1f} dB", refresh=False)
            self.steps += 1
            bar.update()
            if self._stalled(float(loss.detach())):
                break
            if checkpoint is not None and every and self.steps % every == 0:
                self._save(checkpoint)
        bar.close()
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)

    def _stalled(self, loss: float) -> bool:
        """Whether the running loss has not been better for ``stop_after`` steps."""
        if not self.objective.settings.stop_after:
            return False
        if math.isfinite(loss):  # one Gaussian that is not finite can spoil a regulariser's mean
            first = math.isnan(self._running)
            self._running = loss if first else self._running + SMOOTHING * (loss - self._running)
        if self._running < self._best:
            self._best, self._best_step = self._running, self.steps
        return self.steps - self._best_step >= self.objective.settings.stop_after

    def _save(self, path: Path) -> None:
        state = {
            "of": self.identity,
            "parameters": self.objective.parameters.state(),
            "density": self.density.state(),
            "smoothing": self.smoothing.state(),
            "random": torch.random.get_rng_state(),
            "progress": [self.steps, self._best, self._best_step, self._running],
            "history": self.history,
            "seconds": self.seconds,
        }
        if self._device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self._device)
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def _load(self, path: Path) -> None:
        """Go on from a checkpoint of this very fit; from another one's, or a broken one, start."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            same = state["of"] == self.identity
        except Exception:  # torch raises whatever the damaged bytes lead it to
            same = False
        if not same:
            logger.warning("%s is of another fit or broken: this one starts anew", path)
            return
        self.objective.parameters.load_state(state["parameters"])
        self.density.load_state(state["density"], self._device)
        self.smoothing.load_state(state["smoothing"], self._device)
        torch.random.set_rng_state(state["random"])
        if "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self._device)
        self.steps, self._best, self._best_step, self._running = state["progress"]
        self.history = [tuple(entry) for entry in state["history"]]
        self.earlier = state["seconds"]
