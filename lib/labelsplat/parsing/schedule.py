"""How weights move in training: the optimiser, its learning rate, and an average of the weights."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from labelsplat.base import ParameterError

OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "poly")

_WARM_UP = 0.08
_MOMENTUM = 0.9
_POWER = 0.9


def make_optimiser(
    name: str, net: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of all weights of ``net``.

    Args:
        name: "adamw", or "sgd" (with momentum .9, as BiSeNet's authors train; it wants about ten
            times AdamW's learning rate and a twentieth of its weight decay).
        net: whose parameters it moves, on the device where they will stay.
        learning_rate: the highest one.
        weight_decay: AdamW's is decoupled from the gradient, SGD's is part of it.

    Raises:
        ParameterError: no such optimiser.
    """
    if name not in OPTIMISERS:
        raise _unknown("optimiser", name, OPTIMISERS)
    # Fused: one pass over each tensor in place of several.
    given = {"lr": learning_rate, "weight_decay": weight_decay, "fused": True}
    if name == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=_MOMENTUM, **given)
    return torch.optim.AdamW(net.parameters(), **given)


def learning_rate_at(share: float, peak: float, schedule: str = "cosine") -> float:
    """Learning rate after ``share`` (0..1) of the steps: a linear warm-up times a fall to nothing.

    Args:
        share: of the steps.
        peak: the highest one that the fall starts from.
        schedule: "cosine" falls by half a cosine, to 1 % of the peak; "poly" by
            ``(1 - share) ** 0.9``, as DeepLab and BiSeNet do.

    Raises:
        ParameterError: no such schedule.
    """
    if schedule not in SCHEDULES:
        raise _unknown("schedule", schedule, SCHEDULES)
    warm_up = min(1.0, share / _WARM_UP + 0.02)
    if schedule == "poly":
        return peak * warm_up * (1 - share) ** _POWER
    return peak * warm_up * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)


class WeightAverage:
    """An exponential moving average of a network's weights and of its normalisation statistics.

    After step t the average keeps the share ``min(decay, (1 + t) / (10 + t))`` of what it was, so
    that random first weights are soon forgotten however near to 1 ``decay`` is.

    Args:
        net: to average; the average starts from its weights.
        decay: 0 < decay < 1; the average reaches back about ``1 / (1 - decay)`` steps.

    Attributes:
        net: a copy of the network that holds the average.

    Raises:
        ParameterError: a decay out of range.
    """

    def __init__(self, net: nn.Module, decay: float):
        if not 0 < decay < 1:
            raise ParameterError(
                f"ema is {decay}", remedy="Use a share between 0 and 1, e.g. 0.999, or 0 for none"
            )
        self.decay = decay
        self.net = copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Take in the weights of ``net`` after step number ``step``, counted from 1."""
        keep = min(self.decay, (1 + step) / (10 + step))
        for mean, now in zip(_tensors(self.net), _tensors(net), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)  # a counter has no average


def _tensors(net: nn.Module) -> list[Tensor]:
    return list(net.state_dict().values())


def _unknown(what: str, name: str, known: tuple[str, ...]) -> ParameterError:
    return ParameterError(
        f"no {what} is called {name!r}", where=what, remedy=f"Use one of {', '.join(known)}"
    )
