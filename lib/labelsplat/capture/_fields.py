"""Typed values out of JSON files that strangers wrote: each is what it should be, or an error.

Every function takes ``where``, what to name in the error: the file, or the file and the view.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from labelsplat.base import CaptureError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
SUFFIXES += tuple(suffix.upper() for suffix in SUFFIXES)
"""Of photos, in the order in which they are looked for where a file leaves them out."""

LARGEST = 1e9
"""No length, focal or coefficient of a real camera comes near it."""


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which "view10" follows "view9", however many digits there are."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    digits = [p.lstrip("0") if p[0] in "0123456789" else None for p in parts]
    return [
        (1, 0, part) if number is None else (0, len(number), number)
        for part, number in zip(parts, digits, strict=True)
    ]


def view_names(files: list[str]) -> list[str]:
    """A name a file: its stem, or its whole path where several folders use the same stems."""
    paths = [PurePosixPath(file) for file in files]
    if max(Counter(p.stem for p in paths).values(), default=0) <= 1:
        return [p.stem for p in paths]
    return ["_".join(q for q in p.with_suffix("").parts if q not in ("/", "..")) for p in paths]


def read_object(path: Path) -> dict[str, object]:
    """The one JSON object that a file holds.

    Raises:
        CaptureError: missing or unreadable file, not JSON, not an object, or a key given twice
            (of which JSON readers silently keep the last).
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise CaptureError(
                    f"key {key!r} stands there twice", where=path, remedy="Remove one of the two"
                )
            found[key] = value
        return found

    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise CaptureError("the file is missing", where=path) from None
    except OSError as error:
        raise CaptureError(f"the file cannot be read ({error.strerror})", where=path) from None
    except (ValueError, RecursionError) as error:
        raise CaptureError(
            f"not valid JSON ({error})", where=path, remedy="Copy the file anew from its source"
        ) from None
    if not isinstance(value, dict):
        raise CaptureError(
            f"expected one JSON object {{...}}, found {type(value).__name__}", where=path
        )
    return value


def is_file(path: Path) -> bool:
    """Whether a file is there; a name that no file can have (too long, odd bytes) is not."""
    try:
        return path.is_file()
    except OSError:
        return False


def some(names: Sequence[str], most: int = 6) -> str:
    """The first of the names, and how many more there are: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def pick(table: dict[str, object], key: str, where: object) -> object:
    """``table[key]``, or a CaptureError that names the key."""
    if key not in table:
        raise CaptureError(
            f"key {key!r} is missing", where=where, remedy="Copy the file anew from its source"
        )
    return table[key]


def number(value: object, key: str, where: object) -> float:
    """A finite number of a believable size."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CaptureError(f"{key} should be a number, it is {_short(value)}", where=where)
    if not abs(value) <= LARGEST:  # also catches NaN, which compares false
        raise CaptureError(f"{key} is {_short(value)}, which no camera has", where=where)
    return float(value)


def positive_integer(value: object, key: str, where: object) -> int:
    """A whole number above 0, as an image size is; 640.0 counts as whole."""
    size = number(value, key, where)
    if size != math.floor(size) or size < 1:
        raise CaptureError(f"{key} should be a whole number above 0, it is {size:g}", where=where)
    return int(size)


def array(
    value: object, shapes: tuple[tuple[int, ...], ...], key: str, where: object
) -> np.ndarray:
    """Finite numbers in one of ``shapes`` (one or two axes), as float64."""
    rows = value if isinstance(value, list) else []
    if rows and all(isinstance(row, list) for row in rows):
        lengths = {len(row) for row in rows}
        shape: tuple[int, ...] = (len(rows), lengths.pop()) if len(lengths) == 1 else ()
        flat = [entry for row in rows for entry in row]
    else:
        shape, flat = (len(rows),), rows
    if shape not in shapes:
        wanted = " or ".join("x".join(map(str, s)) for s in shapes)
        raise CaptureError(f"{key} should be {wanted} numbers, it is {_short(value)}", where=where)
    return np.array([number(entry, key, where) for entry in flat]).reshape(shape)


def optional(
    table: dict[str, object],
    key: str,
    default: object,
    parse: Callable[[object, str, object], object],
    where: object,
) -> object:
    """``parse(table[key])`` where the key is there, else ``default``."""
    return parse(table[key], key, where) if key in table else default


def _short(value: object) -> str:
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
