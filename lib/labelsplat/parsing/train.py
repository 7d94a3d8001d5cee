"""Training and fine-tuning of a parser."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import confusion, scores
from labelsplat.parsing.augment import Augmentation
from labelsplat.parsing.batches import Batches
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.device import choose_device, fast_bfloat16, use_threads
from labelsplat.parsing.losses import Ohem
from labelsplat.parsing.predict import predict
from labelsplat.parsing.resume import (
    load_state,
    random_state,
    save_state,
    set_random_state,
    training_identity,
)
from labelsplat.parsing.schedule import WeightAverage, learning_rate_at, make_optimiser

_LOG_EVERY = 10


@dataclass(frozen=True)
class TrainLog:
    """What happened in a training run.

    Attributes:
        steps: optimiser steps done when each entry of ``losses`` was noted.
        losses: training loss, averaged since the entry before.
        learning_rates: learning rate of that step.
        validation_steps: optimiser steps done at each validation.
        validation_miou: mean IoU over the scored classes there.
        kept_step: steps behind the weights that the network was left with.
        seconds: wall-clock time, validation included, and that of earlier calls up to the
            checkpoint that this one went on from.
        images_per_second: training images a second of that time, validation and checkpoints left
            out.
    """

    steps: list[int]
    losses: list[float]
    learning_rates: list[float]
    validation_steps: list[int]
    validation_miou: list[float]
    kept_step: int
    seconds: float
    images_per_second: float


def validation_miou(
    net: nn.Module, data: LabelledImages, *, flip: bool = False, device: str = "auto"
) -> float:
    """Mean IoU over the scored classes, from one confusion matrix of all images of ``data``."""
    matrix = np.zeros((len(data.vocabulary),) * 2, np.int64)
    for start in range(0, len(data), 12):
        part = slice(start, start + 12)
        soft = predict(net, data.images[part], flip=flip, vocabulary=data.vocabulary, device=device)
        label = soft.argmax(-1).astype(np.uint8)
        matrix += confusion(label, data.labels[part], len(data.vocabulary))
    return scores(matrix, data.vocabulary).miou


def train(
    net: nn.Module,
    data: LabelledImages,
    *,
    steps: int,
    learning_rate: float = 3e-3,
    batch: int = 8,
    coarse_share: float = 0.0,
    seed: int = 0,
    replay: LabelledImages | None = None,
    replay_batch: int = 8,
    validation: LabelledImages | None = None,
    validate_every: int = 0,
    keep: str = "last",
    optimiser: str = "adamw",
    schedule: str = "cosine",
    weight_decay: float = 0.01,
    ema: float = 0.0,
    ohem: Ohem | None = None,
    augmentation: Augmentation | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    checkpoint: str | Path | None = None,
    every: int = 0,
    progress: bool = True,
    description: str = "train",
    log: Callable[[str], None] | None = None,
) -> TrainLog:
    """Train ``net`` in place, by default with AdamW, warm-up and a cosine schedule.

    Given the same network, data, settings, seed and number of threads, the weights come out the
    same, bit for bit, on one machine; also if the training was killed and went on from a
    checkpoint.

    Args:
        net: a parser (see :mod:`labelsplat.parsing.registry`); left on the CPU, in evaluation mode.
        data: what it shall learn; ``batch`` of these images a step.
        steps: optimiser steps.
        learning_rate: the highest one, reached after the warm-up.
        batch: images of ``data`` a step.
        coarse_share: share of the steps, at the beginning, that see all images at half the size:
            they teach what lies where on a head in under half the time. Meant for training from
            random weights.
        seed: of order and augmentation, and of layers that draw random numbers.
        replay: images it shall not forget; ``replay_batch`` of these come to every step's batch.
        replay_batch: images of ``replay`` a step; without ``replay`` it means nothing.
        validation: images to watch the mean IoU on, never trained on.
        validate_every: steps between validations; 0 validates at the end alone.
        keep: "last" leaves the final weights, "best" those with the best validation.
        optimiser: "adamw" or "sgd", see :func:`labelsplat.parsing.schedule.make_optimiser`.
        schedule: "cosine" or "poly", see :func:`labelsplat.parsing.schedule.learning_rate_at`.
        weight_decay: the optimiser's.
        ema: share of itself that a running average of the weights keeps at each step. With it, the
            averaged weights are those that are validated and left; 0 = no average.
        ohem: which pixels have a loss; None = all.
        augmentation: how far images are changed.
        device: "auto" (CUDA where there is one), "cpu", "cuda", ...
        precision: "float32", "bfloat16" (mixed), or "auto": bfloat16 where the hardware has it.
        threads: CPU threads; None leaves them as they are.
        checkpoint: file from which to go on if it exists, and to write to; removed at the end. One
            of another training, or of other code, is overwritten.
        every: steps between checkpoints; 0 = none is written.
        progress: show a progress bar.
        description: what the bar and the log call this run.
        log: takes a line of text now and then, for runs whose bar nobody sees.

    Raises:
        ParameterError: impossible settings.
        LabelsplatError: sets that do not fit each other, or a loss that is no longer finite.
    """
    _check(
        data, replay, validation,
        steps=steps, batch=batch, coarse_share=coarse_share, keep=keep, every=every,
    )  # fmt: skip
    learning_rate_at(0, learning_rate, schedule)  # an unknown one is an error before the work
    where = choose_device(device)
    begin = time.perf_counter()
    path = None if checkpoint is None else Path(checkpoint)
    with use_threads(threads), torch.random.fork_rng([where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        identity = ""
        if path is not None:
            settings = (
                steps, learning_rate, batch, coarse_share, seed, replay_batch, validate_every, keep,
                optimiser, schedule, weight_decay, ema, ohem, augmentation or Augmentation(),
                precision, where.type, fast_bfloat16(where), torch.get_num_threads(),
            )  # fmt: skip
            identity = training_identity(repr(settings), net, (data, replay, validation))
        batches = Batches(
            net, data, replay, seed, batch, replay_batch, where, augmentation, coarse_share > 0
        )
        net.train()
        run = _Run(
            net,
            make_optimiser(optimiser, net, learning_rate, weight_decay),
            WeightAverage(net, ema) if ema else None,
            batches,
            _History(log, description),
        )
        saved = None if path is None else load_state(path, identity)
        if saved is not None:
            run.load_state(saved)
        history = run.history
        bar = tqdm(total=steps, initial=run.step, desc=description, disable=not progress)
        while run.step < steps:
            rate = learning_rate_at(run.step / steps, learning_rate, schedule)
            loss = run.advance(rate, precision, coarse_share * steps, ohem)
            last = run.step == steps
            if history.note(run.step, loss, rate, last=last):
                bar.set_postfix_str(history.summary, refresh=False)
            bar.update()
            due = validate_every and run.step % validate_every == 0
            if validation is not None and (due or last):
                start = time.perf_counter()
                run.validate(validation, device, keep == "best")
                bar.set_postfix_str(history.summary, refresh=False)
                run.aside += time.perf_counter() - start
            if path is not None and every and run.step % every == 0 and not last:
                start = time.perf_counter()
                seconds = run.earlier + start - begin
                save_state(path, identity, {**run.state(), "seconds": seconds})
                run.aside += time.perf_counter() - start
        bar.close()
    kept_step = run.leave_kept_weights()
    net.to("cpu").eval()
    if path is not None:
        path.unlink(missing_ok=True)
    seconds = run.earlier + time.perf_counter() - begin
    return TrainLog(
        history.steps,
        history.losses,
        history.learning_rates,
        history.validation_steps,
        history.validation_miou,
        kept_step=kept_step,
        seconds=seconds,
        images_per_second=steps * batches.images_a_step / max(seconds - run.aside, 1e-9),
    )


@dataclass(eq=False)
class _Run:
    """A training under way: all that a checkpoint must hold.

    ``aside`` are seconds of validation and checkpoints, ``earlier`` those of the calls before.
    """

    net: nn.Module
    optimiser: torch.optim.Optimizer
    average: WeightAverage | None
    batches: Batches
    history: _History
    step: int = 0
    best: tuple[float, int, dict[str, Tensor]] | None = None
    aside: float = 0.0
    earlier: float = 0.0

    def advance(
        self, rate: float, precision: str, coarse_until: float, ohem: Ohem | None
    ) -> Tensor:
        """One optimiser step; its loss."""
        self.step += 1
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss = self.batches.loss(self.net, precision, self.step <= coarse_until, ohem)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        if self.average is not None:
            self.average.update(self.net, self.step)
        return loss.detach()

    @property
    def shown(self) -> nn.Module:
        """The network that is validated and left: the averaged one, if there is one."""
        return self.net if self.average is None else self.average.net

    def validate(self, validation: LabelledImages, device: str, remember: bool) -> None:
        """Note the mean IoU, and if ``remember``, the weights where it is the best so far."""
        miou = validation_miou(self.shown, validation, device=device)
        self.history.validated(self.step, miou)
        if remember and (self.best is None or miou > self.best[0]):
            weights = {k: v.clone() for k, v in self.shown.state_dict().items()}
            self.best = miou, self.step, weights

    def leave_kept_weights(self) -> int:
        """Put the weights to be kept into the network; the steps behind them."""
        if self.best is not None:
            self.net.load_state_dict(self.best[2])
            return self.best[1]
        if self.average is not None:
            self.net.load_state_dict(self.average.net.state_dict())
        return self.step

    def state(self) -> dict[str, Any]:
        """What :meth:`load_state` wants, but for the seconds."""
        return {
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.net.state_dict(),
            "augmentation": self.batches.generator.get_state(),
            "random": random_state(self.batches.device),
            "history": self.history.state(),
            "step": self.step,
            "best": self.best,
            "aside": self.aside,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.net.load_state_dict(state["average"])
        self.batches.skip(state["step"])
        self.batches.generator.set_state(state["augmentation"])
        set_random_state(state["random"], self.batches.device)
        self.history.load_state(state["history"], self.batches.device)
        self.step, self.aside, self.earlier = state["step"], state["aside"], state["seconds"]
        self.best = None if state["best"] is None else tuple(state["best"])


class _History:
    """Collects what becomes the :class:`TrainLog`."""

    _KEPT = ("steps", "losses", "learning_rates", "validation_steps", "validation_miou")

    def __init__(self, log: Callable[[str], None] | None, description: str):
        self.log, self.description = log, description
        self.steps: list[int] = []
        self.losses: list[float] = []
        self.learning_rates: list[float] = []
        self.validation_steps: list[int] = []
        self.validation_miou: list[float] = []
        self._open: list[Tensor] = []

    @property
    def summary(self) -> str:
        parts = [f"loss {self.losses[-1]:.3f}"] if self.losses else []
        if self.validation_miou:
            parts.append(f"mIoU {self.validation_miou[-1]:.3f}")
        return ", ".join(parts)

    def note(self, step: int, loss: Tensor, rate: float, last: bool) -> bool:
        """Remember a step; True where an entry was made. Reading a loss makes a GPU wait."""
        self._open.append(loss)
        if len(self._open) < _LOG_EVERY and not last:
            return False
        mean = float(torch.stack(self._open).mean())
        self._open = []
        if not math.isfinite(mean):
            raise LabelsplatError(
                f"the training loss is {mean} at step {step}",
                where=self.description,
                remedy="Lower the learning rate",
            )
        self.steps.append(step)
        self.losses.append(mean)
        self.learning_rates.append(rate)
        if self.log and (last or len(self.steps) % 5 == 0):
            self.log(f"{self.description}: step {step}, {self.summary}")
        return True

    def state(self) -> dict[str, Any]:
        """The entries, and the losses of the steps since the last one."""
        kept = {name: list(getattr(self, name)) for name in self._KEPT}
        return {**kept, "open": [loss.cpu() for loss in self._open]}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on where :meth:`state` was taken."""
        for name in self._KEPT:
            setattr(self, name, list(state[name]))
        self._open = [loss.to(device) for loss in state["open"]]

    def validated(self, step: int, miou: float) -> None:
        self.validation_steps.append(step)
        self.validation_miou.append(miou)
        if self.log:
            self.log(f"{self.description}: step {step}, validation mIoU {miou:.4f}")


def _check(
    data: LabelledImages,
    replay: LabelledImages | None,
    validation: LabelledImages | None,
    *,
    steps: int,
    batch: int,
    coarse_share: float,
    keep: str,
    every: int,
) -> None:
    if every < 0:
        raise ParameterError(f"every is {every}", remedy="Use a number of steps, or 0 for never")
    if steps < 1 or batch < 1:
        raise ParameterError(f"steps is {steps} and batch {batch}", remedy="Use at least 1 of each")
    if not 0 <= coarse_share < 1:
        raise ParameterError(
            f"coarse_share is {coarse_share}", remedy="Use a share of the steps below 1, or 0"
        )
    if keep not in ("last", "best"):
        raise ParameterError(f"keep is {keep!r}", remedy="Use 'last' or 'best'")
    if keep == "best" and validation is None:
        raise ParameterError("keep='best' needs a validation set", remedy="Use keep='last'")
    for name, other in (("replay", replay), ("validation", validation)):
        if other is not None and other.vocabulary != data.vocabulary:
            raise LabelsplatError(
                f"the {name} set uses vocabulary {other.vocabulary.name!r}, the training set "
                f"{data.vocabulary.name!r}",
                remedy="Convert one of them by class name",
            )
    if replay is not None and replay.images.shape[1:] != data.images.shape[1:]:
        raise LabelsplatError(
            f"replay images {replay.images.shape[1:]} and new images {data.images.shape[1:]} "
            "differ in size",
            remedy="Resize one of them",
        )
