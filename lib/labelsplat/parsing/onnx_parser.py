"""Any ONNX model as a parser, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, Conversion
from labelsplat.parsing.layers import resized
from labelsplat.parsing.onnx_description import (
    OnnxDescription,
    description_path,
    read_description,
)

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_TINY = 1e-8  # probability below which logits make no difference


class OnnxParser(nn.Module):
    """A parser as :mod:`labelsplat.parsing.registry` documents it: images ``[B, 3, H, W]`` in 0..1
    to logits ``[B, 19, H, W]`` of :data:`labelsplat.labels.CELEBAMASK`.

    Classes are carried by name (:class:`labelsplat.labels.Conversion`). It can predict, neither be
    trained nor saved as a checkpoint.

    Args:
        path: the ONNX file.
        description: how its input is made and what its output means; by default the YAML file
            beside it.

    Raises:
        LabelsplatError: onnxruntime is not installed, a file is missing or broken, or the
            description does not fit the model; names the file.
    """

    def __init__(self, path: str | Path, description: OnnxDescription | None = None):
        super().__init__()
        self.path = Path(path)
        self.session = _session(self.path)
        self.config = description or read_description(description_path(self.path))
        self.conversion = Conversion(self.config.vocabulary, CELEBAMASK)
        self._input = self._chosen("input", self.session.get_inputs(), self.config.input)
        self._output = self._chosen("output", self.session.get_outputs(), self.config.output)
        self._check()

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 19, H, W]`` float32 on the images' device."""
        height, width = images.shape[-2:]
        seen = images if self.config.size is None else resized(images, *self.config.size)
        raw = self._run(self._prepared(seen))
        values = torch.from_numpy(raw).to(images.device)
        return self._carried(resized(values, height, width))

    def _prepared(self, images: Tensor) -> np.ndarray:
        d = self.config
        low, high = d.range
        x = images.float() * (high - low) + low
        x = x if d.channels == "RGB" else x.flip(1)
        mean, std = (x.new_tensor(v)[:, None, None] for v in (d.mean, d.std))
        x = (x - mean) / std
        x = x if d.layout == "NCHW" else x.permute(0, 2, 3, 1)
        return np.ascontiguousarray(x.cpu().numpy(), _TYPES[self._input.type])

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """The model's output ``[B, classes, h, w]`` float32."""
        fixed = self._input.shape[0]
        step = fixed if isinstance(fixed, int) else len(batch)
        parts = []
        for start in range(0, len(batch), step):
            part = batch[start : start + step]
            missing = step - len(part)
            full = np.concatenate([part, np.repeat(part[-1:], missing, 0)]) if missing else part
            try:
                out = self.session.run([self._output.name], {self._input.name: full})[0]
            except Exception as error:  # onnxruntime's own classes have no common public base
                raise self._error(f"the model failed on images {full.shape} ({error})") from None
            parts.append(self._arranged(np.asarray(out), len(full))[: len(part)])
        return np.concatenate(parts)

    def _arranged(self, out: np.ndarray, count: int) -> np.ndarray:
        if out.ndim == 4 and self.config.output_layout == "NHWC":
            out = out.transpose(0, 3, 1, 2)
        classes = len(self.config.vocabulary)
        if out.ndim != 4 or out.shape[:2] != (count, classes):
            raise self._error(
                f"output {self._output.name!r} has shape {out.shape}, not [{count}, {classes}, "
                f"height, width] for the {classes} classes of {self.config.vocabulary.name!r}",
                "Name the right output, layout and vocabulary",
            )
        out = out.astype(np.float32)
        if not np.isfinite(out).all():
            raise self._error("the model returned values that are not finite")
        if self.config.kind == "probabilities":
            total = out.sum(1)
            if out.min() < -0.01 or np.abs(total - 1).max() > 0.02:
                raise self._error(
                    f"kind is probabilities, but pixels sum to {total.min():.3g} .. "
                    f"{total.max():.3g}",
                    "Write kind: logits",
                )
        return np.ascontiguousarray(out)

    def _carried(self, values: Tensor) -> Tensor:
        """Logits of the project's vocabulary from the model's values."""
        if self.config.sides == "image":
            values = values[:, torch.from_numpy(self.config.vocabulary.flip).to(values.device)]
        logits = self.config.kind == "logits"
        if self.conversion.is_reordering:
            inverse = Conversion(CELEBAMASK, self.config.vocabulary).indices
            values = values[:, torch.from_numpy(inverse).to(values.device)]
            return values if logits else values.clamp_min(_TINY).log()
        soft = torch.softmax(values, 1) if logits else values
        matrix = torch.from_numpy(self.conversion.matrix).to(values.device)
        carried = torch.einsum("bshw,st->bthw", soft, matrix)
        # A softmax of these gives what dropped classes had to the others, in proportion.
        return carried.clamp_min(_TINY).log()

    def _chosen(self, what: str, found: list, name: str | None) -> Any:
        names = [node.name for node in found]
        if name is not None and name not in names:
            raise self._error(f"no {what} is called {name!r}", f"There are {', '.join(names)}")
        if name is None and what == "input" and len(found) > 1:
            raise self._error(
                f"the model has {len(found)} inputs, which one?", f"input: {names[0]}"
            )
        return found[names.index(name) if name is not None else 0]

    def _check(self) -> None:
        """Hold the description against what the file says of itself."""
        d, shape = self.config, list(self._input.shape)
        if self._input.type not in _TYPES:
            raise self._error(f"input {self._input.name!r} takes {self._input.type}, not float")
        places = (1, 2, 3) if d.layout == "NCHW" else (3, 1, 2)
        wanted = (3, *(d.size or (None, None)))
        found = [shape[place] for place in places] if len(shape) == 4 else None
        if found is None or any(
            isinstance(f, int) and w is not None and f != w
            for f, w in zip(found, wanted, strict=True)
        ):
            raise self._error(
                f"input {self._input.name!r} has shape {shape}, which is not layout {d.layout} "
                f"of size {list(d.size) if d.size else 'any'}",
                "Correct size or layout",
            )
        if d.size is None and any(isinstance(side, int) for side in found[1:]):
            raise self._error(
                f"size is null, but input {self._input.name!r} wants {found[1:]} pixels",
                f"size: {found[1:]}",
            )
        out = list(self._output.shape or [])
        place = 1 if d.output_layout == "NCHW" else 3
        classes = len(d.vocabulary)
        if len(out) == 4 and isinstance(out[place], int) and out[place] != classes:
            raise self._error(
                f"output {self._output.name!r} has {out[place]} channels ({d.output_layout} of "
                f"{out}), vocabulary {d.vocabulary.name!r} {classes} classes",
                "Name the right output, layout and vocabulary",
            )

    def _error(self, message: str, remedy: str | None = None) -> LabelsplatError:
        return LabelsplatError(message, where=self.path, remedy=remedy)


def _session(path: Path) -> Any:
    if not path.is_file():
        raise LabelsplatError("the ONNX file is missing", where=path)
    try:
        import onnxruntime
    except ImportError:
        raise LabelsplatError(
            "onnxruntime is not installed", where=path, remedy="Run: pip install onnxruntime"
        ) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors come as exceptions
    usable = onnxruntime.get_available_providers()
    wanted = [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in usable]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # onnxruntime's own classes have no common public base
        raise LabelsplatError(
            f"the file is no ONNX model that onnxruntime can run ({error})", where=path
        ) from None
