"""One way in for every parser file: this project's, the public release's, ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import nn

from labelsplat.base import LabelsplatError
from labelsplat.capture import Capture, Prepared, enlarged
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing.checkpoint import Checkpoint, load_checkpoint
from labelsplat.parsing.onnx_parser import OnnxParser
from labelsplat.parsing.release import is_release, load_release
from labelsplat.parsing.tta import predict_averaged

KINDS = {
    ".safetensors": "a checkpoint of this project, or the public release in that format",
    ".pth": "the public 19-class BiSeNet release (also .pt)",
    ".onnx": "any ONNX model with a YAML description beside it",
}
"""Files that :func:`load_parser` opens, by suffix."""


def load_parser(path: str | Path) -> Checkpoint:
    """Open a parser by what its file is, see :data:`KINDS`.

    An ONNX parser's classes are carried to :data:`labelsplat.labels.CELEBAMASK` by name; the others
    come in the vocabulary that the checkpoint says.

    Raises:
        LabelsplatError: a missing, broken or unknown file; names it.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return Checkpoint(OnnxParser(path).eval(), "onnx", CELEBAMASK, {})
    if suffix == ".safetensors":
        return load_release(path) if _is_release_file(path) else load_checkpoint(path)
    if suffix in (".pth", ".pt"):
        return load_release(path)
    if not path.is_file():
        raise LabelsplatError("the parser file is missing", where=path)
    raise LabelsplatError(
        f"{suffix or 'a name without suffix'!r} is no parser file that is known",
        where=path,
        remedy="Known: " + "; ".join(f"{kind}: {what}" for kind, what in KINDS.items()),
    )


def working_size(net: nn.Module) -> int | None:
    """Pixels that a parser wants images to have, by its config; None where it does not say."""
    size = getattr(getattr(net, "config", None), "size", None)
    return (max(size) if isinstance(size, tuple) else size) or None


def predict_photos(
    parser: Checkpoint,
    capture: Capture,
    photos: Prepared,
    flip: bool = True,
    device: str = "auto",
    *,
    scales: Sequence[float] = (1.0,),
    temperature: float = 1.0,
) -> np.ndarray:
    """Soft predictions of photos at working size, by a parser that may want them larger.

    A parser that was trained at 512 pixels (:func:`working_size`) sees the photos themselves at
    512, not an enlarged working image; its probabilities are averaged over each working pixel.

    Args:
        parser: from :func:`load_parser`.
        capture: where the photos come from.
        photos: some or all of its views at the working size, cropped or not.
        flip: average with the mirrored image.
        device: "auto", "cpu" or "cuda".
        scales, temperature: as for :func:`labelsplat.parsing.predict_averaged`.

    Returns:
        ``[V, size, size, classes]`` float32, each pixel summing to 1.
    """
    settings = {
        "flip": flip, "scales": scales, "temperature": temperature, "device": device,
        "vocabulary": parser.vocabulary,
    }  # fmt: skip
    size, wanted = photos.images.shape[1], working_size(parser.net) or 0
    if wanted <= size:
        return predict_averaged(parser.net, photos.images, **settings)
    views = {view.name: view for view in capture.views}
    out = np.empty((*photos.images.shape[:3], len(parser.vocabulary)), np.float32)
    for i, name in enumerate(photos.names):  # one at a time: at 512 px each takes 20 MB and more
        image = enlarged(capture, views[name], photos.crops[i], wanted)
        soft = torch.from_numpy(predict_averaged(parser.net, image[None], **settings))
        mean = F.adaptive_avg_pool2d(soft.permute(0, 3, 1, 2), size)
        out[i] = mean[0].permute(1, 2, 0).numpy()
    return out


def _is_release_file(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt") as file:
            return not file.metadata() and is_release(file.keys())
    except (SafetensorError, OSError):
        return False  # load_checkpoint says what is wrong with it
