"""Training and fine-tuning of a parser."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.labels import confusion, scores
from labelsplat.parsing.augment import Augmentation, augment
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.device import choose_device, use_threads
from labelsplat.parsing.device import precision as numeric_precision
from labelsplat.parsing.losses import class_weights, segmentation_loss
from labelsplat.parsing.predict import predict

_WARM_UP = 0.08
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
        seconds: wall-clock time, validation included.
        images_per_second: training images a second of that time, validation left out.
    """

    steps: list[int]
    losses: list[float]
    learning_rates: list[float]
    validation_steps: list[int]
    validation_miou: list[float]
    kept_step: int
    seconds: float
    images_per_second: float


def learning_rate_at(share: float, peak: float) -> float:
    """Learning rate after ``share`` (0..1) of the steps: a linear warm-up times half a cosine."""
    warm_up = min(1.0, share / _WARM_UP + 0.02)
    return peak * warm_up * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)


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
    weight_decay: float = 0.01,
    augmentation: Augmentation | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    progress: bool = True,
    description: str = "train",
    log: Callable[[str], None] | None = None,
) -> TrainLog:
    """Train ``net`` in place with AdamW, warm-up and a cosine schedule.

    Given the same network, data, settings, seed and number of threads, the weights come out the
    same, bit for bit, on one machine.

    Args:
        net: a parser (see :mod:`labelsplat.parsing.registry`); left on the CPU, in evaluation mode.
        data: what it shall learn; ``batch`` of these images a step.
        steps: optimiser steps.
        learning_rate: the highest one, reached after the warm-up.
        batch: images of ``data`` a step.
        coarse_share: share of the steps, at the beginning, that see all images at half the size:
            they teach what lies where on a head in under half the time. Meant for training from
            random weights.
        seed: of order and augmentation.
        replay: images it shall not forget; ``replay_batch`` of these come to every step's batch.
        replay_batch: images of ``replay`` a step; without ``replay`` it means nothing.
        validation: images to watch the mean IoU on, never trained on.
        validate_every: steps between validations; 0 validates at the end alone.
        keep: "last" leaves the final weights, "best" those with the best validation.
        weight_decay: AdamW's.
        augmentation: how far images are changed.
        device: "auto" (CUDA where there is one), "cpu", "cuda", ...
        precision: "float32", "bfloat16" (mixed), or "auto": bfloat16 where the hardware has it.
        threads: CPU threads; None leaves them as they are.
        progress: show a progress bar.
        description: what the bar and the log call this run.
        log: takes a line of text now and then, for runs whose bar nobody sees.

    Raises:
        ParameterError: impossible settings.
        LabelsplatError: sets that do not fit each other, or a loss that is no longer finite.
    """
    _check(data, replay, validation, steps=steps, batch=batch, coarse_share=coarse_share, keep=keep)
    where = choose_device(device)
    run = _Run(net, data, replay, seed, batch, replay_batch, where, augmentation, coarse_share > 0)
    optimiser = torch.optim.AdamW(
        net.parameters(), learning_rate, weight_decay=weight_decay, fused=True
    )
    history = _History(log, description)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    begin, watching = time.perf_counter(), 0.0
    net.train()
    with use_threads(threads):
        for step in (bar := tqdm(range(1, steps + 1), description, disable=not progress)):
            rate = learning_rate_at((step - 1) / steps, learning_rate)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = run.loss(net, precision, coarse=step <= coarse_share * steps)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if history.note(step, loss.detach(), rate, last=step == steps):
                bar.set_postfix_str(history.summary, refresh=False)
            due = validate_every and step % validate_every == 0
            if validation is not None and (due or step == steps):
                start = time.perf_counter()
                miou = validation_miou(net, validation, device=device)
                history.validated(step, miou)
                bar.set_postfix_str(history.summary, refresh=False)
                if keep == "best" and (best is None or miou > best[0]):
                    best = miou, step, {k: v.clone() for k, v in net.state_dict().items()}
                watching += time.perf_counter() - start
    if best is not None:
        net.load_state_dict(best[2])
    net.to("cpu").eval()
    seconds = time.perf_counter() - begin
    return TrainLog(
        history.steps,
        history.losses,
        history.learning_rates,
        history.validation_steps,
        history.validation_miou,
        kept_step=steps if best is None else best[1],
        seconds=seconds,
        images_per_second=steps * run.images_a_step / max(seconds - watching, 1e-9),
    )


class _Run:
    """The batches of a run and their loss."""

    def __init__(
        self,
        net: nn.Module,
        data: LabelledImages,
        replay: LabelledImages | None,
        seed: int,
        batch: int,
        replay_batch: int,
        device: torch.device,
        augmentation: Augmentation | None,
        with_coarse: bool,
    ):
        net.to(device, memory_format=torch.channels_last)
        self.device, self.augmentation, self.vocabulary = device, augmentation, data.vocabulary
        self.generator = torch.Generator(device).manual_seed(seed)
        self.weights = class_weights(data.vocabulary).to(device)
        order = torch.Generator().manual_seed(seed + 1)
        self.sources = [(data, _shuffled(len(data), batch, order))]
        if replay is not None and replay_batch:
            self.sources.append((replay, _shuffled(len(replay), replay_batch, order)))
        self.images_a_step = batch + (replay_batch if len(self.sources) > 1 else 0)
        self.fine = [_on(source, device) for source, _ in self.sources]
        if with_coarse:
            self.coarse = [_on(source.halved(), device) for source, _ in self.sources]

    def loss(self, net: nn.Module, precision: str, coarse: bool) -> Tensor:
        """Loss of the next batch, at half the size if ``coarse``."""
        pools = self.coarse if coarse else self.fine
        chosen = [next(indices).to(self.device) for _, indices in self.sources]
        images, labels = (
            torch.cat([pool[kind][index] for pool, index in zip(pools, chosen, strict=True)])
            for kind in (0, 1)
        )
        images, labels = augment(images, labels, self.vocabulary, self.generator, self.augmentation)
        with numeric_precision(self.device, precision):
            logits = net(images)
        logits = [part.float() for part in ([logits] if isinstance(logits, Tensor) else logits)]
        return segmentation_loss(logits, labels, self.weights)


def _on(data: LabelledImages, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(data.images, device=device), torch.tensor(data.labels, device=device)


def _shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices for ever; every image comes once before any comes again."""
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:batch]
        waiting = waiting[batch:]


class _History:
    """Collects what becomes the :class:`TrainLog`."""

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
) -> None:
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
