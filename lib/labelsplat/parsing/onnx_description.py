"""What an ONNX file does not say: how its input is made, and what its output means.

A YAML file beside the model, of the same name (``parser.onnx``, ``parser.yaml``)::

    size: [512, 512]           # height, width of the input in pixels; null = any
    range: [0, 1]              # value of black and of white before normalisation; [0, 255], [-1, 1]
    mean: [0.485, 0.456, 0.406]  # subtracted from each channel after that
    std: [0.229, 0.224, 0.225]   # divides each channel
    channels: RGB              # RGB | BGR, also the order of mean and std
    layout: NCHW               # NCHW | NHWC, of input and output
    kind: logits               # logits | probabilities
    vocabulary: celebamask-19  # a name, or a list of class names in index order

and, where needed::

    input: images              # name of the input, by default the only one
    output: logits             # name of the output, by default the first one
    output_layout: NCHW        # where it is not the input's
    sides: subject             # whose left l_ is: subject | image
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from pathlib import Path
from typing import Any

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary, known_parts

_CHOICES = {
    "channels": ("RGB", "BGR"),
    "layout": ("NCHW", "NHWC"),
    "output_layout": ("NCHW", "NHWC"),
    "kind": ("logits", "probabilities"),
    "sides": ("subject", "image"),
}
_REQUIRED = ("size", "range", "mean", "std", "channels", "layout", "kind", "vocabulary")
_OPTIONAL = ("input", "output", "output_layout", "sides")


@dataclasses.dataclass(frozen=True)
class OnnxDescription:
    """The content of such a file.

    Attributes:
        size: (height, width) of the input in pixels, None = any. Images of another size are
            stretched to it, and the logits back.
        range: value of black and of white before normalisation.
        mean, std: of each channel, in the order of ``channels``.
        channels: "RGB" or "BGR".
        layout: of the input, "NCHW" or "NHWC".
        kind: of the output, "logits" or "probabilities".
        vocabulary: meaning of the output's classes.
        input: name of the input, None = the only one.
        output: name of the output, None = the first one.
        output_layout: "NCHW" or "NHWC".
        sides: "subject", or "image" where ``l_`` is what lies on the image's left.
    """

    size: tuple[int, int] | None
    range: tuple[float, float]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: str
    layout: str
    kind: str
    vocabulary: Vocabulary
    input: str | None = None
    output: str | None = None
    output_layout: str = "NCHW"
    sides: str = "subject"

    @property
    def classes(self) -> int:
        """Classes of the parser that comes of it: the project's vocabulary."""
        return len(CELEBAMASK)


def description_path(model: str | Path) -> Path:
    """The YAML file beside an ONNX file."""
    return Path(model).with_suffix(".yaml")


def read_description(path: str | Path) -> OnnxDescription:
    """Read and check the YAML file of an ONNX model.

    Raises:
        LabelsplatError: a missing or broken file, an unknown, misspelt or missing key, or a value
            that cannot be; names the file and the key.
    """
    values = _read(Path(path))
    for key in values:
        if key not in (*_REQUIRED, *_OPTIONAL):
            near = difflib.get_close_matches(str(key), (*_REQUIRED, *_OPTIONAL), 1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(_REQUIRED)}"
            raise LabelsplatError(f"unknown key {key!r}", where=path, remedy=remedy)
    missing = [key for key in _REQUIRED if key not in values]
    if missing:
        raise LabelsplatError(
            f"the keys {', '.join(missing)} are missing",
            where=path,
            remedy="All of these decide what the model sees, so none is guessed",
        )
    for key, words in _CHOICES.items():
        if key in values and values[key] not in words:
            raise LabelsplatError(f"{key} is {values[key]!r}", where=path, remedy=f"One of {words}")
    for key in ("input", "output"):
        if not isinstance(values.get(key, ""), str):
            raise LabelsplatError(f"{key} is {values[key]!r}, no name", where=path)
    low, high = _numbers(values, "range", 2, path)
    std = _numbers(values, "std", 3, path)
    if low >= high:
        raise LabelsplatError(f"range is [{low}, {high}]", where=path, remedy="Black comes first")
    if min(std) <= 0:
        raise LabelsplatError(f"std is {list(std)}", where=path, remedy="Use positive numbers")
    return OnnxDescription(
        size=_size(values["size"], path),
        range=(low, high),
        mean=_numbers(values, "mean", 3, path),
        std=std,
        channels=values["channels"],
        layout=values["layout"],
        kind=values["kind"],
        vocabulary=_vocabulary(values["vocabulary"], path),
        input=values.get("input"),
        output=values.get("output"),
        output_layout=values.get("output_layout", values["layout"]),
        sides=values.get("sides", "subject"),
    )


def description_text(description: OnnxDescription) -> str:
    """The content of a YAML file that :func:`read_description` reads as ``description``."""
    d = description
    known = VOCABULARIES.get(d.vocabulary.name) == d.vocabulary
    lines = {
        "size": (_listed(d.size) if d.size else "null", "height, width in pixels; null = any"),
        "range": (_listed(d.range), "value of black and of white before normalisation"),
        "mean": (_listed(d.mean), "subtracted from each channel after that"),
        "std": (_listed(d.std), "divides each channel"),
        "channels": (d.channels, "RGB | BGR, also the order of mean and std"),
        "layout": (d.layout, "NCHW | NHWC"),
        "kind": (d.kind, "logits | probabilities"),
        "vocabulary": (
            d.vocabulary.name if known else _listed(d.vocabulary.classes),
            "a name, or class names in index order",
        ),
        "input": (d.input, "name of the input"),
        "output": (d.output, "name of the output"),
        "output_layout": (d.output_layout, "NCHW | NHWC"),
        "sides": (d.sides, "whose left l_ is: subject | image"),
    }
    told = [f"{key}: {value}  # {what}" for key, (value, what) in lines.items() if value]
    return "\n".join(told) + "\n"


def _listed(values: tuple) -> str:
    return f"[{', '.join(map(str, values))}]"


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LabelsplatError(
            "the description of the ONNX model is missing",
            where=path,
            remedy=f"Write it with the keys {', '.join(_REQUIRED)}; the README has an example",
        ) from None
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise LabelsplatError(f"not valid YAML ({error})", where=path) from None
    if not isinstance(values, dict):
        raise LabelsplatError("holds no keys", where=path)
    return values


def _numbers(values: dict, key: str, count: int, path: str | Path) -> tuple[float, ...]:
    found = values[key]
    fits = isinstance(found, list) and len(found) == count
    if not fits or not all(_is_number(x) for x in found):
        raise LabelsplatError(f"{key} is {found!r}, no list of {count} numbers", where=path)
    return tuple(float(x) for x in found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _size(value: object, path: str | Path) -> tuple[int, int] | None:
    if value is None:
        return None
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or not all(type(side) is int and side > 0 for side in pair):
        raise LabelsplatError(
            f"size is {value!r}", where=path, remedy="Give [height, width], one number, or null"
        )
    return pair[0], pair[1]


def _vocabulary(value: object, path: str | Path) -> Vocabulary:
    if isinstance(value, list):
        try:
            return known_parts(f"{Path(path).stem}-{len(value)}", value)
        except ValueError as error:
            raise LabelsplatError(f"vocabulary: {error}", where=path) from None
    if value not in VOCABULARIES:
        raise LabelsplatError(
            f"vocabulary {value!r} is unknown",
            where=path,
            remedy=f"Known: {', '.join(sorted(VOCABULARIES))}; or list the class names",
        )
    return VOCABULARIES[value]
