"""The ``.ply`` that Gaussian-splat viewers open.

Binary little-endian float32, one vertex a Gaussian: position, normal (zeros), colour as the zeroth
spherical harmonic and those of higher degree if there are any, opacity before the sigmoid,
logarithms of the scales, rotation w x y z. Viewers read nothing else, so labels cannot ride along:
write a second file with the labels' colours, and :func:`write_label_sidecar` beside it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import LabelsplatError, ParameterError, atomic_path
from labelsplat.labels import Vocabulary
from labelsplat.splats.gaussians import BANDS, Gaussians, finite_rows

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
_REST = tuple(f"f_rest_{i}" for i in range(45))
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
    own = colours is None
    colours = gaussians.colours if own else torch.as_tensor(colours)
    if tuple(colours.shape) != (len(gaussians), 3):
        raise ParameterError(
            f"shape {tuple(colours.shape)}, wanted ({len(gaussians)}, 3)",
            where="write_ply: colours",
        )
    g = gaussians.detach()
    rest = g.means.new_zeros(len(g), 0)
    if own and g.harmonics is not None:
        rest = g.harmonics.mT.flatten(1)  # colour by colour
    columns = [
        g.means,
        torch.zeros_like(g.means),
        (colours.detach().to(g.means) - 0.5) / SH_0,
        rest,
        g.opacity_logits[:, None],
        g.log_scales,
        torch.nn.functional.normalize(g.quaternions, dim=-1),
    ]
    rows = torch.cat(columns, 1).cpu().numpy().astype("<f4")
    rows = rows[_written(g, colours)]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    names = list(_PROPERTIES)
    names[9:9] = _REST[: rest.shape[1]]
    header += [f"property float {name}" for name in names]
    with atomic_path(path) as temporary:
        text = "\n".join([*header, "end_header", ""])
        temporary.write_bytes(text.encode("ascii") + rows.tobytes())


def _written(gaussians: Gaussians, colours: Tensor) -> np.ndarray:
    """``[N]`` bool: the Gaussians that a file holds; a viewer would choke on the others."""
    drawn = [t for name, t in gaussians.tensors().items() if name != "label_logits"]
    return finite_rows(*drawn, colours.to(gaussians.means)).cpu().numpy()


def read_ply(path: str | Path) -> Gaussians:
    """Gaussians of a ``.ply`` written here or by another splatting program.

    Normals and properties of other names are passed over.

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
        harmonics=_harmonics(columns, layout.names, path),
    )


def _harmonics(columns, names: tuple[str, ...], path: str | Path) -> Tensor | None:
    found = [name for name in _REST if name in names]
    if not found:
        return None
    bands = len(found) // 3
    if len(found) % 3 or bands not in BANDS or tuple(found) != _REST[: len(found)]:
        raise LabelsplatError(f"{len(found)} properties f_rest, wanted 9, 24 or 45", where=path)
    rest = columns(*found).reshape(-1, 3, bands)
    # Many programs write zeros where they know of no harmonics.
    return rest.mT.contiguous() if rest.any() else None


def write_label_sidecar(path: str | Path, gaussians: Gaussians, vocabulary: Vocabulary) -> None:
    """Write the labels of Gaussians as ``.npz``, row by row as :func:`write_ply` writes them.

    Arrays ``labels [N]`` uint8, ``probabilities [N, K]`` float16, and ``classes``, the names.

    Raises:
        ParameterError: no labels, or of another number of classes.
    """
    found = gaussians.label_probabilities
    if found is None or found.shape[1] != len(vocabulary):
        raise ParameterError(
            f"{'no' if found is None else found.shape[1]} classes, wanted {len(vocabulary)}",
            where="write_label_sidecar",
        )
    written = _written(gaussians.detach(), gaussians.colours.detach())
    probabilities = found.detach().cpu().numpy()[written]
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            labels=probabilities.argmax(1).astype(np.uint8),
            probabilities=probabilities.astype(np.float16),
            classes=np.array(vocabulary.classes),
        )


def read_label_sidecar(path: str | Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Labels ``[N]``, probabilities ``[N, K]`` and class names of :func:`write_label_sidecar`.

    Raises:
        LabelsplatError: the file is missing, damaged, or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            classes = tuple(str(name) for name in file["classes"])
            return file["labels"], file["probabilities"].astype(np.float32), classes
    except FileNotFoundError:
        raise LabelsplatError("the file is missing", where=path) from None
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise LabelsplatError(f"no label sidecar ({error})", where=path) from None


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
