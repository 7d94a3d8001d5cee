"""Where and how a parser computes: device, numeric precision, CPU threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from labelsplat.base import ParameterError

PRECISIONS = ("auto", "float32", "bfloat16")


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" is CUDA where there is one, else the CPU; any other name is torch's.

    Raises:
        ParameterError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ParameterError(
            f"no device is called {name!r}", where="device", remedy="Use auto, cpu or cuda"
        ) from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ParameterError(
            "CUDA is not available here", where="device", remedy="Use device: auto or cpu"
        )
    return device


def fast_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bfloat16 matrices in hardware.

    Every CUDA GPU that current torch supports profits; of CPUs those with AMX tiles (Intel Xeon
    since 2023), where a training step takes half the time. On any other CPU bfloat16 is slower
    than float32.
    """
    if device.type == "cuda":
        return True
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def precision(device: torch.device, name: str = "float32") -> AbstractContextManager:
    """Context in which a network computes with the named precision.

    Args:
        device: where it computes.
        name: "float32"; "bfloat16" for mixed precision (weights, sums and normalisation statistics
            stay float32, so no scaling of the loss is needed); "auto" for bfloat16 where
            :func:`fast_bfloat16`, else float32.

    Raises:
        ParameterError: any other name.
    """
    if name not in PRECISIONS:
        raise ParameterError(
            f"no precision is called {name!r}",
            where="precision",
            remedy=f"Use one of {', '.join(PRECISIONS)}",
        )
    mixed = name == "bfloat16" or (name == "auto" and fast_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` CPU threads inside the block; None leaves them as they are."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
