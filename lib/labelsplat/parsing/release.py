"""BiSeNet files of the public 19-class face-parsing release, and of whoever kept its names.

zllrunning/face-parsing.PyTorch: ``79999_iter.pth`` and its fine-tuned descendants. Full width,
max-pool in the stem, ImageNet's mean and deviation, images of 512 x 512 pixels.

**Sizes.** The release knows heads at 512 pixels: a face at 128 looks to it like one far away, and
its coarsest features would be 4 x 4 cells. So the network that comes back resizes every image to a
longer side of 512 by itself (``config.size``), predicts there, and brings the logits back to the
image's own size, averaging where that is smaller. Nothing else need be done at any working size; it
costs what 512 pixels cost.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, Conversion, Vocabulary
from labelsplat.parsing.bisenet import BiSeNet, BiSeNetConfig
from labelsplat.parsing.checkpoint import Checkpoint, fill

SIZE = 512
"""Pixels, the size of the images that the release learned from."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_STEM = "cp.resnet.conv1.weight"
_HEADS = tuple(f"{head}.conv_out.weight" for head in ("conv_out", "conv_out16", "conv_out32"))
_COUNTER = "num_batches_tracked"


def is_release(keys: Iterable[str]) -> bool:
    """Whether weights of these names are a BiSeNet in the release's naming."""
    found = {key.removeprefix("module.") for key in keys}
    return {_STEM, _HEADS[0]} <= found


def load_release(
    path: str | Path, *, vocabulary: Vocabulary = CELEBAMASK, size: int = SIZE
) -> Checkpoint:
    """Read a BiSeNet in the release's naming.

    Nothing in the file is executed: of a ``.pth`` file only tensors are read.

    Args:
        path: a ``.pth`` state dict (bare, or below ``state_dict`` or ``model``; ``module.`` before
            names is ignored), or the same in safetensors format.
        vocabulary: the order of the file's classes. The release's is :data:`CELEBAMASK`'s; where
            the same names come in another order, the output layers are put into that of
            :data:`CELEBAMASK`, by name.
        size: see above; 0 predicts at the images' own size.

    Returns:
        the parser with ``width``, ``stem``, normalisation and ``size`` in its config;
        :func:`labelsplat.parsing.save_checkpoint` keeps them all.

    Raises:
        LabelsplatError: missing, truncated or foreign file, a file that holds more than tensors,
            keys that are missing or too many, or another number of classes; names the file.
    """
    path = Path(path)
    weights = _weights(path)
    if not is_release(weights):
        known = ", ".join(sorted(weights)[:3]) or "nothing"
        raise LabelsplatError(
            f"no BiSeNet in the naming of face-parsing.PyTorch: {_STEM} or {_HEADS[0]} is missing "
            f"(it holds {known})",
            where=path,
            remedy="Export other networks to ONNX and describe them in a YAML file beside it",
        )
    classes, width = weights[_HEADS[0]].shape[0], weights[_STEM].shape[0]
    if classes != len(vocabulary):
        raise LabelsplatError(
            f"{classes} classes do not fit vocabulary {vocabulary.name!r} ({len(vocabulary)})",
            where=path,
            remedy="Name the vocabulary: load_release(path, vocabulary=...)",
        )
    conversion = Conversion(CELEBAMASK, vocabulary)
    if conversion.is_reordering:
        order = torch.from_numpy(conversion.indices)
        weights |= {head: weights[head][order] for head in _HEADS if head in weights}
        vocabulary = CELEBAMASK
    net = BiSeNet(
        BiSeNetConfig(
            classes=classes,
            width=width,
            stem="maxpool",
            detail=0,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            size=size,
            align_corners=True,
        )
    )
    # Counters of training steps mean nothing here, and older torch did not write them.
    counters = {key: v for key, v in net.state_dict().items() if key.endswith(_COUNTER)}
    fill(
        net, {k: v.float() for k, v in weights.items() if not k.endswith(_COUNTER)} | counters, path
    )
    net = net.to(memory_format=torch.channels_last).eval()
    return Checkpoint(net, "bisenet", vocabulary, {"source": "face-parsing.PyTorch"})


def _weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise LabelsplatError("the parser file is missing", where=path)
    try:
        if path.suffix.lower() == ".safetensors":
            found: Any = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise LabelsplatError(
            f"the file is no state dict, or holds more than tensors ({_first_line(error)})",
            where=path,
            remedy="Write the weights alone: torch.save(net.state_dict(), path)",
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, SafetensorError) as error:
        raise LabelsplatError(
            f"the file is truncated or no PyTorch file ({_first_line(error)})",
            where=path,
            remedy="Copy it again",
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping):
        raise LabelsplatError(f"the file holds a {type(found).__name__}, no weights", where=path)
    return {
        str(key).removeprefix("module."): value
        for key, value in found.items()
        if isinstance(value, Tensor)
    }


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
