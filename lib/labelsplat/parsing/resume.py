"""Checkpoints of a training under way: a killed one goes on and ends as it would have.

A checkpoint belongs to one training: to its network, data, settings and seed, to the code and to
the machine's way of computing. It is written whole or not at all, never executed when it is read,
and removed at the end. What it holds is plain tensors and numbers.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labelsplat.base import atomic_path
from labelsplat.base.code import code_digest
from labelsplat.parsing.data import LabelledImages

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_CODE = (_HERE, _HERE.with_name("labels"))
"""Whose code decides what comes of a training: this package's, and that of the labels' scores."""


def training_identity(text: str, net: nn.Module, sets: Iterable[LabelledImages | None]) -> str:
    """A digest of all that the outcome of a training depends on.

    Args:
        text: settings, seed, device, number of threads and the like.
        net: with the weights that it starts from.
        sets: training, replay and validation; None where there is none.
    """
    digest = hashlib.sha256(f"{text} {torch.__version__} {code_digest(*_CODE)}".encode())
    digest.update(f"{net!r} {getattr(net, 'config', None)}".encode())
    for name, value in net.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    for data in sets:
        digest.update(b"none" if data is None else f"{data.vocabulary}".encode())
        for array in () if data is None else (data.images, data.labels):
            digest.update(f"{array.shape} {array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Torch's global random state, which layers such as dropout draw from."""
    state = {"cpu": torch.random.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Bring back what :func:`random_state` told."""
    torch.random.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)


def save_state(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write the state of the training called ``identity``, whole or not at all."""
    with atomic_path(path) as temporary:
        torch.save({"of": identity, **state}, temporary)


def load_state(path: Path, identity: str) -> dict[str, Any] | None:
    """The state of this very training; None, with a warning, if the file is another's or broken."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["of"] == identity:
            return state
    except Exception:  # torch raises whatever the damaged bytes lead it to
        pass
    logger.warning("%s is of another training or broken: this one starts anew", path)
    return None
