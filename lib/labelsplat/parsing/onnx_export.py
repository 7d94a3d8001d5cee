"""Parsers as ONNX files.

torch has two ways to write ONNX. The tracing one (``dynamo=False``) needs the package ``onnx``
alone; the other needs ``onnxscript`` as well. These networks have no control flow, so the first
serves them; a test holds the file's logits against the network's.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import nn

from labelsplat.base import LabelsplatError, ParameterError, atomic_path
from labelsplat.labels import CELEBAMASK, Vocabulary
from labelsplat.parsing.onnx_description import (
    OnnxDescription,
    description_path,
    description_text,
)
from labelsplat.parsing.onnx_parser import OnnxParser

OPSET = 17
"""Version of ONNX's operators: of 2022, so that runtimes of any age in use know them."""


def export_onnx(
    net: nn.Module, path: str | Path, size: int, *, vocabulary: Vocabulary = CELEBAMASK
) -> None:
    """Write a parser as ONNX, and the YAML file beside it by which :class:`OnnxParser` reads it.

    The file takes images ``[B, 3, size, size]`` float32 RGB in 0..1, any B (the network normalises
    them itself), and gives logits ``[B, classes, size, size]``.

    Args:
        net: a parser, see :mod:`labelsplat.parsing.registry`; left as it was.
        path: ``*.onnx``.
        size: pixels.
        vocabulary: the meaning of its classes.

    Raises:
        ParameterError: another suffix, or an impossible size.
        LabelsplatError: the package onnx is missing, or the network cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".onnx":
        raise ParameterError("the file must be called *.onnx", where=path)
    if size < 1:
        raise ParameterError(f"size is {size}", where=path, remedy="Give the pixels of one side")
    if isinstance(net, OnnxParser):
        raise LabelsplatError("this parser is an ONNX model already", where=net.path)
    try:
        import onnx  # noqa: F401, what torch needs to write the file
    except ImportError:
        raise LabelsplatError(
            "the package onnx is not installed", where=path, remedy="Run: pip install onnx"
        ) from None
    description = OnnxDescription(
        size=(size, size),
        range=(0.0, 1.0),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        channels="RGB",
        layout="NCHW",
        kind="logits",
        vocabulary=vocabulary,
        input="images",
        output="logits",
    )
    own = getattr(net.config, "size", 0) if hasattr(net, "config") else 0
    if own and size != own:
        # Tracing leaves out the averaging by which such a network brings images to its own size.
        raise ParameterError(
            f"size is {size}, but the network resizes all images to {own} pixels",
            where=path,
            remedy=f"Export it with size {own}",
        )
    first = next(net.parameters(), None)
    images = torch.rand(2, 3, size, size, device=None if first is None else first.device)
    training = net.training
    net.eval()
    try:
        with atomic_path(path) as model, atomic_path(description_path(path)) as beside:
            _write(net, images, model)
            beside.write_text(description_text(description), encoding="utf-8")
    except torch.onnx.OnnxExporterError as error:
        raise LabelsplatError(
            f"{type(net).__name__} cannot be written as ONNX ({error})", where=path
        ) from None
    finally:
        net.train(training)


def _write(net: nn.Module, images: torch.Tensor, path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        # Sizes are fixed in the file, which is what the tracer warns of; and that it is the older
        # way is known.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (images,),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
