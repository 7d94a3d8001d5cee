"""Class-weighted cross-entropy over a parser's main and auxiliary logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from labelsplat.labels import IGNORE, Vocabulary

SMALL_PARTS = frozenset({"brow", "eye", "mouth", "lip"})
"""Parts of a few pixels each: unweighted, their loss drowns in hair and background."""


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
) -> Tensor:
    """Weighted mean cross-entropy of the main logits plus ``auxiliary`` times each further one's.

    Args:
        logits: ``[B, classes, h, w]``, or a sequence of such: the main ones first. Each is compared
            with the labels at its own resolution.
        labels: ``[B, H, W]`` int64, 255 = ignore: such a pixel has no loss and no gradient.
        weights: ``[classes]`` weight of each pixel by its true class; the mean is divided by the
            sum of the weights, so it does not depend on how many small parts a batch shows.
        auxiliary: weight of each auxiliary loss.

    Returns:
        A scalar; 0 where every pixel is ignored.
    """
    main, *others = [logits] if isinstance(logits, Tensor) else logits
    loss = _cross_entropy(main, labels, weights)
    for low in others:
        loss = loss + auxiliary * _cross_entropy(low, labels, weights)
    return loss


def _cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    height, width = logits.shape[-2:]
    if labels.shape[-2:] != (height, width):
        labels = at_resolution(labels, height, width)
    # One row a pixel: with channels last in memory this is a view, and the softmax is far faster.
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    labels = labels.reshape(-1)
    total = F.cross_entropy(rows, labels, weights, ignore_index=IGNORE, reduction="sum")
    counted = labels != IGNORE
    if weights is None:
        mass = counted.sum()
    else:
        mass = weights[torch.where(counted, labels, 0)].mul(counted).sum()
    # The plain mean is 0 / 0 where a batch holds no label at all.
    return total / mass.clamp_min(1e-12)
