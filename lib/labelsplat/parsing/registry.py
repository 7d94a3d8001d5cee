"""Parsers by name.

A parser is any ``torch.nn.Module`` that takes images ``[B, 3, H, W]``, float sRGB in 0..1 (it
normalises them itself), and returns logits ``[B, classes, H, W]`` in evaluation mode. In training
mode it may instead return a list, those logits first, then auxiliary logits ``[B, classes, h, w]``
of any lower resolution. That is all that prediction and training ask for.

A parser that can be stored and loaded by name also has ``config``, a frozen dataclass of plain
values with a field ``classes``, and is listed here with a factory that builds it from that config.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from labelsplat.base import ParameterError
from labelsplat.parsing.bisenet import BiSeNet, BiSeNetConfig
from labelsplat.parsing.unet import UNet, UNetConfig


@runtime_checkable
class Parser(Protocol):
    """The protocol above, for type checkers; ``config`` is what a checkpoint stores."""

    config: Any

    def __call__(self, images: Tensor) -> Tensor | list[Tensor]: ...


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One kind of parser.

    Attributes:
        config: its frozen dataclass of plain values.
        factory: builds the module, with random weights, from such a config.
    """

    config: type
    factory: Callable[[Any], nn.Module]


ARCHITECTURES: dict[str, Architecture] = {
    "bisenet": Architecture(BiSeNetConfig, BiSeNet),
    "unet": Architecture(UNetConfig, UNet),
}


def register(name: str, config: type, factory: Callable[[Any], nn.Module]) -> None:
    """List an architecture under ``name``, so that it can be created, stored and loaded.

    Raises:
        ParameterError: another architecture has that name.
    """
    new = Architecture(config, factory)
    if ARCHITECTURES.setdefault(name, new) != new:
        raise ParameterError(f"a parser called {name!r} exists already", remedy="Choose a new name")


def find(name: str) -> Architecture:
    """The architecture called ``name``; a ParameterError names the nearest one if there is none."""
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ParameterError(
            f"no parser is called {name!r}",
            remedy=f"{hint}Known: {', '.join(sorted(ARCHITECTURES))}".capitalize(),
        )
    return ARCHITECTURES[name]


def name_of(net: nn.Module) -> str:
    """Name under which ``net`` is registered, by the type of its ``config``.

    Raises:
        ParameterError: it has no config, or one that no architecture uses.
    """
    config = getattr(net, "config", None)
    for name, architecture in ARCHITECTURES.items():
        if type(config) is architecture.config:
            return name
    raise ParameterError(
        f"{type(net).__name__} belongs to no registered parser",
        remedy="Register its factory and its config first",
    )


def make_config(name: str, values: Mapping[str, Any]) -> Any:
    """The config of architecture ``name`` from plain values, such as a JSON object's.

    Raises:
        ParameterError: unknown architecture, unknown field or impossible value.
    """
    kind = find(name).config
    fields = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in fields:
            raise ParameterError(
                f"{key!r} is no setting of parser {name!r}", remedy=f"It has {', '.join(fields)}"
            )
    # JSON has no tuples, and a frozen config should hold nothing that can be changed.
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    try:
        return kind(**plain)
    except TypeError as error:
        raise ParameterError(f"settings of parser {name!r} do not fit ({error})") from None


def create(name: str, *, seed: int = 0, **settings: Any) -> nn.Module:
    """A parser with random weights.

    Args:
        name: architecture, such as "bisenet".
        seed: of the weights; torch's global random state is left as it was.
        **settings: fields of the architecture's config.

    Raises:
        ParameterError: unknown architecture or setting.
    """
    config = make_config(name, settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return find(name).factory(config)
