"""Parsers in files: safetensors weights with a JSON description in the same file.

One file, so weights and description cannot part; written whole or not at all; the same parser
gives the same bytes. Nothing in it is executed when it is read.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary
from labelsplat.parsing.registry import find, make_config, name_of

_KEY = "labelsplat"
_FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A parser as it came from a file.

    Attributes:
        net: the module, in evaluation mode, on the CPU.
        architecture: its name in the registry.
        vocabulary: the meaning of its classes.
        training: what the file says about how it was trained.
    """

    net: nn.Module
    architecture: str
    vocabulary: Vocabulary
    training: dict[str, Any]


def save_checkpoint(
    path: str | Path,
    net: nn.Module,
    *,
    vocabulary: Vocabulary = CELEBAMASK,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a registered parser to ``path`` (by custom ``*.safetensors``).

    Args:
        path: the file; replaced as a whole.
        net: a module of a registered architecture.
        vocabulary: the meaning of its classes.
        training: plain JSON values about its training. Leave times out where the file must be the
            same in every run.

    Raises:
        LabelsplatError: an unregistered module, or as many classes as the vocabulary does not have.
    """
    name = name_of(net)
    if net.config.classes != len(vocabulary):
        raise LabelsplatError(
            f"the parser has {net.config.classes} classes, vocabulary {vocabulary.name!r} "
            f"{len(vocabulary)}",
            where=path,
        )
    description = {
        "format": _FORMAT,
        "architecture": name,
        "config": dataclasses.asdict(net.config),
        "vocabulary": vocabulary.name,
        "training": dict(training or {}),
    }
    weights = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    text = json.dumps(description, sort_keys=True, allow_nan=False)
    with atomic_path(path) as temporary:
        save_file(weights, temporary, metadata={_KEY: text})


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a parser that :func:`save_checkpoint` wrote.

    Raises:
        LabelsplatError: missing, truncated or foreign file, unknown architecture or vocabulary, or
            weights that do not fit; names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise LabelsplatError(
            "the parser checkpoint is missing",
            where=path,
            remedy="Train a parser first, or give the path of a checkpoint",
        )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise LabelsplatError(
            f"the file is truncated or not in safetensors format ({error})",
            where=path,
            remedy="Train or copy the checkpoint again",
        ) from None
    description = _description(metadata, path)
    name = description["architecture"]
    vocabulary = _vocabulary(description["vocabulary"], path)
    try:
        config = make_config(name, description["config"])
        net = find(name).factory(config)
    except LabelsplatError as error:
        raise LabelsplatError(error.message, where=path, remedy=error.remedy) from None
    fill(net, weights, path)
    if config.classes != len(vocabulary):
        raise LabelsplatError(
            f"{config.classes} classes do not fit vocabulary {vocabulary.name!r}", where=path
        )
    # The layout that the CPU's and the GPU's fast convolutions want.
    net = net.to(memory_format=torch.channels_last).eval()
    return Checkpoint(net, name, vocabulary, description["training"])


def _description(metadata: Mapping[str, str], path: Path) -> dict[str, Any]:
    wanted = {"format": int, "architecture": str, "config": dict, "vocabulary": str}
    wanted["training"] = dict
    try:
        found = json.loads(metadata[_KEY])
        complete = all(isinstance(found[key], kind) for key, kind in wanted.items())
    except (KeyError, TypeError, ValueError):
        complete = False
    if not complete:
        raise LabelsplatError(
            "the file holds weights, but no description of a parser",
            where=path,
            remedy="Give a checkpoint that this program wrote",
        )
    if found["format"] != _FORMAT:
        raise LabelsplatError(
            f"checkpoint format {found['format']} is not {_FORMAT}",
            where=path,
            remedy="Use the version of labelsplat that wrote it, or train again",
        )
    return found


def _vocabulary(name: str, path: Path) -> Vocabulary:
    if name not in VOCABULARIES:
        raise LabelsplatError(
            f"vocabulary {name!r} is unknown",
            where=path,
            remedy=f"Known: {', '.join(sorted(VOCABULARIES))}",
        )
    return VOCABULARIES[name]


def fill(net: nn.Module, weights: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Put weights by name into a network.

    Raises:
        LabelsplatError: keys that are missing, too many or of another shape; names some.
    """
    expected = net.state_dict()
    problems = [f"{key} is missing" for key in expected if key not in weights]
    problems += [f"{key} is not a weight of it" for key in weights if key not in expected]
    problems += [
        f"{key} has shape {list(weights[key].shape)} in place of {list(value.shape)}"
        for key, value in expected.items()
        if key in weights and weights[key].shape != value.shape
    ]
    if problems:
        told = "; ".join(problems[:3]) + ("; ..." if len(problems) > 3 else "")
        raise LabelsplatError(
            f"the weights do not fit the architecture: {told} ({len(problems)} in all)",
            where=path,
        )
    net.load_state_dict(dict(weights))
