"""The ``.ply`` that Gaussian-splat viewers open.

Binary little-endian float32, one vertex a Gaussian: position, normal (zeros), colour as the zeroth
spherical harmonic, opacity before the sigmoid, logarithms of the scales, rotation w x y z. Viewers
read nothing else, so labels cannot ride along: write a second file with the labels' colours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import LabelsplatError, ParameterError, atomic_path
from labelsplat.splats.gaussians import Gaussians

# Value of the zeroth spherical harmonic, 1 / (2 sqrt(pi)): colour = 0.5 + SH_0 f_dc.
SH_0 = 0.28209479177387814

_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "<i2",
    "ushort": "<u2",
    "int": "<i4",
    "uint": "<u4",
    "float": "<f4",
    "double": "<f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "<i2",
    "uint16": "<u2",
    "int32": "<i4",
    "uint32": "<u4",
    "float32": "<f4",
    "float64": "<f8",
}

_MEAN = ("x", "y", "z")
_NORMAL = ("nx", "ny", "nz")
_COLOUR = ("f_dc_0", "f_dc_1", "f_dc_2")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_PROPERTIES = (*_MEAN, *_NORMAL, *_COLOUR, "opacity", *_SCALE, *_ROTATION)


def write_ply(path: str | Path, gaussians: Gaussians, colours: Tensor | None = None) -> None:
    """Write Gaussians for a viewer, whole or not at all; those that are not finite are left out.

    Args:
        path: ends in ``.ply``.
        gaussians: N Gaussians.
        colours: ``[N, 3]`` RGB, 0 to 1, in place of the Gaussians' own, for instance those of
            their labels.

    Raises:
        ParameterError: colours of another shape.
    """
    colours = gaussians.colours if colours is None else torch.as_tensor(colours)
    if tuple(colours.shape) != (len(gaussians), 3):
        raise ParameterError(
            f"shape {tuple(colours.shape)}, wanted ({len(gaussians)}, 3)",
            where="write_ply: colours",
        )
    g = gaussians.detach()
    columns = [
        g.means,
        torch.zeros_like(g.means),
        (colours.detach().to(g.means) - 0.5) / SH_0,
        g.opacity_logits[:, None],
        g.log_scales,
        torch.nn.functional.normalize(g.quaternions, dim=-1),
    ]
    rows = torch.cat(columns, 1).cpu().numpy().astype("<f4")
    rows = rows[np.isfinite(rows).all(1)]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property float {name}" for name in _PROPERTIES]
    with atomic_path(path) as temporary:
        text = "\n".join([*header, "end_header", ""])
        temporary.write_bytes(text.encode("ascii") + rows.tobytes())


def read_ply(path: str | Path) -> Gaussians:
    """Gaussians of a ``.ply`` written here or by another splatting program.

    Colours are those of the zeroth harmonic: higher ones (``f_rest_*``), normals and properties of
    other names are passed over.

    Raises:
        LabelsplatError: the file is missing, damaged, or no such ``.ply``.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise LabelsplatError("the file is missing", where=path) from None
    head, mark, body = data.partition(b"end_header\n")
    if not mark:
        raise LabelsplatError("no ply header", where=path)
    count, layout = _layout(head.decode("ascii", "replace").splitlines(), path)
    if len(body) < count * layout.itemsize:
        raise LabelsplatError(
            f"{len(body)} bytes of vertices, wanted {count * layout.itemsize}",
            where=path,
            remedy="The file is cut off: copy it again.",
        )
    vertices = np.frombuffer(body, layout, count)
    wanted = [name for name in _PROPERTIES if name not in _NORMAL]
    missing = [name for name in wanted if name not in layout.names]
    if missing:
        raise LabelsplatError(
            f"no property {', '.join(missing)}",
            where=path,
            remedy="Export it as a Gaussian-splat ply.",
        )

    def columns(*names: str) -> Tensor:
        return torch.from_numpy(np.stack([vertices[n].astype(np.float32) for n in names], -1))

    return Gaussians(
        means=columns(*_MEAN),
        quaternions=columns(*_ROTATION),
        log_scales=columns(*_SCALE),
        opacity_logits=columns("opacity")[:, 0],
        colours=0.5 + SH_0 * columns(*_COLOUR),
    )


def _layout(lines: list[str], path: str | Path) -> tuple[int, np.dtype]:
    """Number of vertices and their layout, from the lines of a header."""
    words = [line.split() for line in lines if line.strip() and not line.startswith("comment")]
    if words[:1] != [["ply"]] or ["format", "binary_little_endian", "1.0"] not in words:
        raise LabelsplatError("not a binary little-endian ply", where=path)
    elements = [w for w in words if w[0] == "element"]
    if not elements or elements[0][1] != "vertex" or not elements[0][2].isdigit():
        raise LabelsplatError("the first element is not the vertices", where=path)
    begin = words.index(elements[0]) + 1
    end = words.index(elements[1]) if len(elements) > 1 else len(words)
    columns = []
    for w in words[begin:end]:
        if w[0] != "property" or w[1] not in _TYPES:
            raise LabelsplatError(f"cannot read {' '.join(w)!r}", where=path)
        columns.append((w[2], _TYPES[w[1]]))
    return int(elements[0][2]), np.dtype(columns)
