"""Sparse points in PLY files, as camera solvers write them beside the cameras."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError, atomic_path
from labelsplat.capture._fields import LARGEST

TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
"""NumPy's codes of PLY's scalar types."""

_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_LONGEST_HEADER = 65536


def read_points(path: str | Path) -> np.ndarray:
    """The vertices of a PLY file, ascii or binary, ``[M, 3]`` float64.

    Raises:
        CaptureError: missing, truncated, no PLY, no first element "vertex" with x, y, z, or a
            coordinate that no point has.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"the file cannot be read ({error.strerror})", where=path) from None
    order, count, names, body = _header(content, path)
    try:
        if order == "ascii":
            lines = body.decode("ascii").split("\n", count)[:count]
            rows = np.array([line.split() for line in lines], float).reshape(count, len(names))
            columns = dict(zip((name for name, _ in names), rows.T, strict=True))
        else:
            kind = np.dtype([(name, order + code) for name, code in names])
            columns = np.frombuffer(body, kind, count)
        points = np.stack([np.asarray(columns[axis], float) for axis in "xyz"], -1)
    except (ValueError, KeyError, UnicodeDecodeError) as error:
        raise CaptureError(
            f"its {count} points cannot be read ({error})", where=path, remedy="Copy it anew"
        ) from None
    check_points(points, path)
    return points


def write_points(path: str | Path, points: np.ndarray) -> None:
    """Write ``points [M, 3]`` as an ascii PLY that reads back to the same numbers."""
    head = ["ply", "format ascii 1.0", f"element vertex {len(points)}"]
    head += [f"property double {axis}" for axis in "xyz"]
    rows = [" ".join(map(repr, row)) for row in np.asarray(points, float).tolist()]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join([*head, "end_header", *rows]) + "\n", encoding="ascii")


def check_points(points: np.ndarray, where: object) -> None:
    """Raise a CaptureError unless all ``points [M, 3]`` are finite and of a believable size."""
    wrong = int((~(np.abs(points) <= LARGEST)).any(-1).sum())  # NaN compares false
    if wrong:
        raise CaptureError(
            f"{wrong} of {len(points)} sparse points are not finite or absurdly far", where=where
        )


def _header(content: bytes, path: Path) -> tuple[str, int, list[tuple[str, str]], bytes]:
    """Byte order or "ascii", number of vertices, their properties, and what follows the header."""
    end = content.find(b"end_header", 0, _LONGEST_HEADER)
    start = content.find(b"\n", end) + 1
    if not content.startswith(b"ply") or end < 0 or not start:
        raise CaptureError("not a PLY file", where=path)
    form, count, names = "", -1, []
    for line in content[:end].decode("latin-1").splitlines():
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            form = words[1]
        elif words[:1] == ["element"]:
            if count >= 0:  # faces and the like follow the vertices
                break
            if words[1:2] != ["vertex"] or len(words) != 3 or not words[2].isdecimal():
                raise CaptureError(f"expected 'element vertex N', found {line!r}", where=path)
            count = int(words[2][:18])
        elif words[:1] == ["property"]:
            if len(words) != 3 or words[1] not in TYPES or count < 0:
                raise CaptureError(f"vertices with {line!r} are not supported", where=path)
            names.append((words[2], TYPES[words[1]]))
    order = "ascii" if form == "ascii" else _ORDERS.get(form)
    if order is None or count < 0:
        raise CaptureError(f"not a PLY file of vertices (format {form!r})", where=path)
    return order, count, names, content[start:]
