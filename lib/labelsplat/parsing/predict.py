"""Soft predictions of a parser."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, Vocabulary
from labelsplat.parsing.device import choose_device, precision, use_threads


def predict(
    net: nn.Module,
    images: np.ndarray,
    flip: bool = True,
    batch: int = 12,
    *,
    vocabulary: Vocabulary = CELEBAMASK,
    device: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """Class probabilities of every pixel.

    Args:
        net: a parser (see :mod:`labelsplat.parsing.registry`); it comes back in the mode and on the
            device it was in.
        images: ``[n, H, W, 3]`` uint8.
        flip: average with the prediction for the mirrored image, mirrored back, its left and right
            classes swapped back.
        batch: images at a time.
        vocabulary: the meaning of the parser's classes.
        device: "auto" (CUDA where there is one), "cpu", "cuda", ...
        threads: CPU threads; None leaves them as they are.

    Returns:
        ``[n, H, W, classes]`` float32, each pixel summing to 1.

    Raises:
        LabelsplatError: the network does not return logits of the images' size and the
            vocabulary's number of classes.
    """
    target = choose_device(device)
    home, training = _device_of(net), net.training
    swap = torch.from_numpy(vocabulary.flip).to(target)
    count, height, width = images.shape[:3]
    out = np.empty((count, height, width, len(vocabulary)), np.float32)
    net.to(target).eval()
    try:
        with torch.inference_mode(), use_threads(threads):
            for start in range(0, count, batch):
                part = np.ascontiguousarray(images[start : start + batch])
                part = torch.from_numpy(part).to(target)
                part = (part.permute(0, 3, 1, 2).float() / 255).contiguous(
                    memory_format=torch.channels_last
                )
                soft = _softmax(net, part, len(vocabulary))
                if flip:
                    mirrored = _softmax(net, part.flip(3), len(vocabulary))
                    soft = (soft + mirrored.flip(3)[:, swap]) / 2
                out[start : start + batch] = soft.permute(0, 2, 3, 1).cpu().numpy()
    finally:
        net.to(home).train(training)
    return out


def _device_of(net: nn.Module) -> torch.device:
    first = next(net.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _softmax(net: nn.Module, images: Tensor, classes: int) -> Tensor:
    with precision(images.device, "auto" if images.is_cuda else "float32"):
        logits = net(images)
    expected = (len(images), classes, *images.shape[-2:])
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise LabelsplatError(
            f"the parser returned {found}, not logits {expected}",
            where=type(net).__name__,
            remedy="In evaluation mode a parser returns [batch, classes, height, width]",
        )
    return torch.softmax(logits.float(), 1)
