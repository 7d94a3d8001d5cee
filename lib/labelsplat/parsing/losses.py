"""Class-weighted cross-entropy over a parser's main and auxiliary logits, of all or hard pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from labelsplat.base import ParameterError
from labelsplat.labels import IGNORE, Vocabulary

SMALL_PARTS = frozenset({"brow", "eye", "mouth", "lip"})
"""Parts of a few pixels each: unweighted, their loss drowns in hair and background."""


@dataclass(frozen=True)
class Ohem:
    """Online hard example mining: only pixels that the parser finds hard have a loss.

    Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining"
    (CVPR 2016), for pixels as BiSeNet's authors train theirs. Which pixels are hard is found for
    each head of the network by itself.

    Attributes:
        threshold: pixels whose true class has a probability below this are hard.
        least: where fewer are hard than this share of the labelled pixels, so many of the largest
            losses count all the same; without it a good parser would learn from a few outliers.

    Raises:
        ParameterError: a threshold or share outside of 0 (excluded) to 1.
    """

    threshold: float = 0.7
    least: float = 1 / 16

    def __post_init__(self) -> None:
        for name, value in (("threshold", self.threshold), ("least", self.least)):
            if not 0 < value <= 1:
                raise ParameterError(
                    f"{name} is {value}", where="ohem", remedy="Use a number above 0, at most 1"
                )


def class_weights(vocabulary: Vocabulary, small: float = 2.5) -> Tensor:
    """``[classes]`` float32: ``small`` for eyes, brows, lips and mouth, 1 for every other class."""
    parts = [name.rpartition("_")[2] if name[1:2] == "_" else name for name in vocabulary.classes]
    return torch.tensor([small if part in SMALL_PARTS else 1.0 for part in parts])


def at_resolution(labels: Tensor, height: int, width: int) -> Tensor:
    """Labels ``[B, H, W]`` at the centres of a coarser grid, ``[B, height, width]``."""
    rows, columns = (
        ((torch.arange(new, device=labels.device) + 0.5) * (old / new)).long()
        for new, old in ((height, labels.shape[1]), (width, labels.shape[2]))
    )
    return labels[:, rows[:, None], columns]


def segmentation_loss(
    logits: Tensor | Sequence[Tensor],
    labels: Tensor,
    weights: Tensor | None = None,
    auxiliary: float = 0.4,
    ohem: Ohem | None = None,
) -> Tensor:
    """Weighted mean cross-entropy of the main logits plus ``auxiliary`` times each further one's.

    Args:
        logits: ``[B, classes, h, w]``, or a sequence of such: the main ones first. Each is compared
            with the labels at its own resolution.
        labels: ``[B, H, W]`` int64, 255 = ignore: such a pixel has no loss and no gradient.
        weights: ``[classes]`` weight of each pixel by its true class; the mean is divided by the
            sum of the weights, so it does not depend on how many small parts a batch shows.
        auxiliary: weight of each auxiliary loss.
        ohem: mean over hard pixels alone; None = over all. What is hard is decided by the
            unweighted loss, at each resolution for itself.

    Returns:
        A scalar; 0 where every pixel is ignored.
    """
    main, *others = [logits] if isinstance(logits, Tensor) else logits
    loss = _cross_entropy(main, labels, weights, ohem)
    for low in others:
        loss = loss + auxiliary * _cross_entropy(low, labels, weights, ohem)
    return loss


def _cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None, ohem: Ohem | None
) -> Tensor:
    height, width = logits.shape[-2:]
    if labels.shape[-2:] != (height, width):
        labels = at_resolution(labels, height, width)
    # One row a pixel: with channels last in memory this is a view, and the softmax is far faster.
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    labels = labels.reshape(-1)
    counted = labels != IGNORE
    if ohem is None:
        total = F.cross_entropy(rows, labels, weights, ignore_index=IGNORE, reduction="sum")
        mass = _shares(labels, counted, weights).sum()
    else:
        errors = F.cross_entropy(rows, labels, ignore_index=IGNORE, reduction="none")
        shares = _shares(labels, hard_pixels(errors.detach(), counted, ohem), weights)
        total, mass = (errors * shares).sum(), shares.sum()
    # The plain mean is 0 / 0 where a batch holds no label at all.
    return total / mass.clamp_min(1e-12)


def _shares(labels: Tensor, counted: Tensor, weights: Tensor | None) -> Tensor:
    """How much each pixel counts, ``[M]``: the weight of its class, or nothing."""
    return counted if weights is None else weights[torch.where(counted, labels, 0)].mul(counted)


def hard_pixels(errors: Tensor, counted: Tensor, ohem: Ohem) -> Tensor:
    """Which pixels are hard, ``[M]`` bool.

    Args:
        errors: ``[M]`` unweighted losses.
        counted: ``[M]`` bool, which pixels have a label.
        ohem: what is hard.
    """
    hard = counted & (errors > -math.log(ohem.threshold))
    least = math.ceil(ohem.least * int(counted.sum()))
    if int(hard.sum()) >= least:
        return hard
    # Ignored pixels have an error of 0, as a sure one may have, too: they come after all others.
    largest = torch.where(counted, errors, -1.0).topk(least, sorted=False).indices
    return torch.zeros_like(counted).index_fill_(0, largest, True)
