"""The batches of a training run: which images come when, how they are changed, and their loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from labelsplat.parsing.augment import Augmentation, augment
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.device import precision as numeric_precision
from labelsplat.parsing.losses import Ohem, class_weights, segmentation_loss


class Batches:
    """The batches of a run and their loss.

    Args:
        net: put on the device, channels last in memory.
        data: new images, ``batch`` a step.
        replay: images it shall not forget, ``replay_batch`` a step, or None.
        seed: of order and augmentation.
        batch: of ``data``.
        replay_batch: of ``replay``.
        device: where the images are kept and the loss is computed.
        augmentation: how far images are changed.
        with_coarse: whether images at half the size will be asked for.

    Attributes:
        generator: of the augmentation's random numbers.
        images_a_step: of both kinds.
    """

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
        self.sources = [(data, shuffled(len(data), batch, order))]
        if replay is not None and replay_batch:
            self.sources.append((replay, shuffled(len(replay), replay_batch, order)))
        self.images_a_step = batch + (replay_batch if len(self.sources) > 1 else 0)
        self.fine = [_on(source, device) for source, _ in self.sources]
        if with_coarse:
            self.coarse = [_on(source.halved(), device) for source, _ in self.sources]

    def skip(self, steps: int) -> None:
        """Leave out so many batches; the augmentation's random numbers stay undrawn."""
        for _ in range(steps):
            for _, indices in self.sources:
                next(indices)

    def loss(self, net: nn.Module, precision: str, coarse: bool, ohem: Ohem | None) -> Tensor:
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
        return segmentation_loss(logits, labels, self.weights, ohem=ohem)


def _on(data: LabelledImages, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.tensor(data.images, device=device), torch.tensor(data.labels, device=device)


def shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices for ever; every image comes once before any comes again."""
    waiting = torch.empty(0, dtype=torch.int64)
    while True:
        while len(waiting) < batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:batch]
        waiting = waiting[batch:]
