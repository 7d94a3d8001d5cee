"""COLMAP's sparse models, text and binary, as COLMAP, GLOMAP and many phone tools write them.

Layout: ``images/`` beside ``sparse/0`` (or ``sparse``). Poses are world-to-camera with OpenCV axes,
quaternions w x y z; pixel centres are at +0.5. Photos are matched by NAME, never by order.

pycolmap reads the files. It trusts the counts in binary ones, so a damaged count could keep it busy
or hungry for ever: how the bytes add up is checked before.

Format: colmap.github.io, "Output Format" and "Camera Models".
"""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture._assemble import assemble
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import check_camera, check_missing
from labelsplat.capture.points import check_points
from labelsplat.capture.views import Capture, View

if TYPE_CHECKING:
    import pycolmap

IMAGES = "images"

MODELS = ("sparse", "colmap/sparse")
"""Where models lie: in folders 0, 1, ... of these, or in these themselves."""

PARTS = ("cameras", "images", "points3D")
"""Files of a model, without their suffix."""

CAMERA_MODELS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "SIMPLE_RADIAL_FISHEYE": "f cx cy k1",
    "RADIAL_FISHEYE": "f cx cy k1 k2",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
}
"""The supported camera models with their parameters in COLMAP's order."""

_BINARY_PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16)  # by number of the camera model
_REMEDY = "Write it anew with COLMAP, or copy it anew from its source"


def find_models(folder: str | Path) -> list[Path]:
    """The folders of the sparse models of a capture, the one with the most photos first.

    COLMAP writes a model for every group of photos that hang together, in no order of size.
    """
    for inner in MODELS:
        base = Path(folder) / inner
        numbered = [f for f in base.iterdir() if f.name.isdecimal()] if base.is_dir() else []
        numbered.sort(key=lambda f: fields.natural(f.name))
        found = [f for f in numbered if _suffix(f)] or [f for f in (base,) if _suffix(f)]
        if found:
            return sorted(found, key=_count, reverse=True) if len(found) > 1 else found
    return []


def _suffix(model: Path) -> str | None:
    """Of the files of a model; None where there is none."""
    for end in (".bin", ".txt"):
        if all((model / f"{part}{end}").is_file() for part in PARTS[:2]):
            return end
    return None


def _count(model: Path) -> int:
    """How many photos a model says that it has; 0 where that cannot be read."""
    file = model / f"{PARTS[1]}{_suffix(model)}"
    try:
        if file.suffix == ".txt":
            return len(_whole_names(file))
        with file.open("rb") as stream:
            return struct.unpack("<Q", stream.read(8))[0]
    except (OSError, struct.error):
        return 0


def read_colmap(folder: str | Path) -> Capture:
    """Open a folder with ``images/`` and a sparse model.

    The frame is "arbitrary": the point that all cameras look at becomes the origin, and the scale
    is normalised (:func:`labelsplat.capture.views.normalised`). The sparse points come along.
    Of several models the one with the most photos is taken. Photos that it does not place have no
    camera and are left out; the capture's notes name them.

    Raises:
        CaptureError: pycolmap is not installed, a missing or damaged file, a camera model that is
            not in :data:`CAMERA_MODELS`, missing photos (all named at once), or cameras that
            cannot be right.
    """
    folder = Path(folder)
    models = find_models(folder)
    if not models:
        raise CaptureError(
            "no COLMAP model",
            where=folder,
            remedy="Expected cameras and images (.bin or .txt) in sparse/0 or colmap/sparse/0",
        )
    model = models[0]
    files = [model / f"{part}{_suffix(model)}" for part in PARTS]
    cameras, shots, points = _read(files)
    check_points(points, files[2])
    used = {number for _, number, _ in shots}
    lenses = {n: _lens(*cameras[n], f"{files[0]}: camera {n}") for n in sorted(used)}
    names = [name for name, _, _ in shots]
    photos = [folder / IMAGES / name for name in names]
    check_missing(photos, files[1])
    views = []
    for view, photo, (_, number, pose) in zip(fields.view_names(names), photos, shots, strict=True):
        k, size, distortion, fisheye = lenses[number]
        camera = Camera(pose[:, :3], pose[:, 3], k, *size)
        views.append(View(view, photo, camera, distortion, fisheye))
    views.sort(key=lambda view: fields.natural(view.name))
    found = [file for file in files[::2] if file.is_file()]
    subject = folder.resolve().name
    return assemble(
        subject,
        views,
        "colmap",
        folder,
        files[1],
        points=points,
        files=found,
        notes=_notes(folder, models, photos),
    )


def _notes(folder: Path, models: list[Path], photos: list[Path]) -> list[str]:
    """What of the folder is not used: other models, photos that have no camera."""
    notes = []
    if len(models) > 1:
        others = [f"{m.relative_to(folder)} ({_count(m)} photos)" for m in models[1:]]
        taken = f"{models[0].relative_to(folder)} with {len(photos)} photos"
        notes.append(f"of {len(models)} models {taken} is read, not {fields.some(others)}")
    files = sorted((folder / IMAGES).rglob("*"), key=lambda file: fields.natural(str(file)))
    placed = set(photos)
    lost = [f for f in files if f.suffix in fields.SUFFIXES and f not in placed and f.is_file()]
    if lost:
        names = fields.some([str(file.relative_to(folder / IMAGES)) for file in lost])
        notes.append(f"{len(lost)} photos have no camera in the model and are left out: {names}")
    return notes


_Camera = tuple[str, np.ndarray, tuple[int, int]]
_Shot = tuple[str, int, np.ndarray]


def _read(files: list[Path]) -> tuple[dict[int, _Camera], list[_Shot], np.ndarray]:
    """Cameras (model, parameters, size) by number, photos (name, camera, [R | t]), points."""
    try:
        import pycolmap
    except ImportError:
        raise CaptureError(
            "COLMAP models are read by the package pycolmap, which is not installed",
            where=files[0].parent,
            remedy="Install it: pip install pycolmap",
        ) from None
    if files[0].suffix == ".bin":
        for file, walk in zip(files, (_walk_cameras, _walk_images, _walk_points), strict=True):
            if file.is_file():
                _check_bytes(file, walk)
    try:
        cameras, shots, points = _contents(_reconstruction(pycolmap, files))
    except Exception as error:  # whatever C++ threw: RuntimeError, ValueError, IndexError, ...
        words = str(error).strip().splitlines()
        raise CaptureError(
            f"pycolmap cannot read the model ({words[-1] if words else type(error).__name__})",
            where=f"{files[0].parent} ({', '.join(file.name for file in files)})",
            remedy=_REMEDY,
        ) from None
    names = _whole_names(files[1]) if files[1].suffix == ".txt" else {}
    shots = [(names.get(n, name), camera, pose) for n, (name, camera, pose) in shots.items()]
    return cameras, shots, points


def _whole_names(file: Path) -> dict[int, str]:
    """Names of the photos of a text model by number; COLMAP's own reader ends them at a space."""
    found = {}
    lines = iter(file.read_text(encoding="utf-8", errors="replace").split("\n"))
    for line in lines:
        words = line.split(maxsplit=9)
        if words and not words[0].startswith("#"):
            if len(words) == 10 and words[0].isdecimal() and len(words[0]) < 20:
                found[int(words[0])] = words[9].strip()
            next(lines, None)  # the photo's points
    return found


def _reconstruction(pycolmap, files: list[Path]) -> pycolmap.Reconstruction:
    # A folder of its own, with these files alone: newer models have rigs and frames beside them,
    # which repeat the poses; models of phone tools often have no points, which pycolmap demands.
    with tempfile.TemporaryDirectory() as temporary:
        for file in files:
            copy = Path(temporary) / file.name
            if file.is_file():
                try:
                    copy.symlink_to(file.resolve())
                except OSError:  # a system that allows no links
                    shutil.copyfile(file, copy)
            else:
                copy.write_bytes(bytes(8) if file.suffix == ".bin" else b"")
        return pycolmap.Reconstruction(temporary)


def _contents(
    model: pycolmap.Reconstruction,
) -> tuple[dict[int, _Camera], dict[int, _Shot], np.ndarray]:
    cameras = {
        number: (camera.model.name, np.array(camera.params, float), (camera.width, camera.height))
        for number, camera in model.cameras.items()
    }
    shots = {
        n: (image.name, image.camera_id, np.array(image.cam_from_world().matrix(), float))
        for n, image in model.images.items()
        if image.has_pose
    }
    # Sorted: the map has no order of its own, and equal files must give equal fits.
    points = [np.array(point.xyz, float) for _, point in sorted(model.points3D.items())]
    return cameras, shots, np.array(points).reshape(-1, 3)


def _lens(
    model: str, values: np.ndarray, size: tuple[int, int], where: str
) -> tuple[np.ndarray, tuple[int, int], tuple[float, ...] | None, bool]:
    """K ``[3, 3]``, size, coefficients in OpenCV's order, and whether they are a fisheye's."""
    if model not in CAMERA_MODELS:
        raise CaptureError(
            f"camera model {model} is not supported",
            where=where,
            remedy=f"Run `colmap image_undistorter`, or use {', '.join(CAMERA_MODELS)}",
        )
    names = CAMERA_MODELS[model].split()
    if len(values) != len(names):
        raise CaptureError(f"{len(values)} parameters, {model} has {len(names)}", where=where)
    if not (np.abs(values) <= fields.LARGEST).all() or not 0 < max(size) <= fields.LARGEST:
        raise CaptureError(f"no camera has {values.tolist()}, {size[0]} x {size[1]}", where=where)
    p = dict(zip(names, values.tolist(), strict=True))
    fx, fy = (p["f"], p["f"]) if "f" in p else (p["fx"], p["fy"])
    k = np.array([[fx, 0, p["cx"]], [0, fy, p["cy"]], [0, 0, 1.0]])
    check_camera(Camera(np.eye(3), np.zeros(3), k, *size), where)
    if model.endswith("_FISHEYE"):
        return k, size, tuple(p.get(key, 0.0) for key in ("k1", "k2", "k3", "k4")), True
    order = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    coefficients = tuple(p.get(key, 0.0) for key in order)
    if not any(coefficients[5:]):
        coefficients = coefficients[:5]
    return k, size, coefficients if any(coefficients) else None, False


def _check_bytes(file: Path, walk: Callable[[bytes, int], int]) -> None:
    """Raise a CaptureError unless a binary file holds exactly as many records as it says."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CaptureError(f"the file cannot be read ({error.strerror})", where=file) from None
    try:
        (count,) = struct.unpack_from("<Q", data)
        end = 8
        for _ in range(count):
            end = walk(data, end)
            if end > len(data):
                raise ValueError(f"it ends within one of {count} records")
        if end != len(data):
            raise ValueError(f"{len(data) - end} bytes follow its {count} records")
    except (struct.error, ValueError, OverflowError) as error:
        raise CaptureError(f"a damaged file: {error}", where=file, remedy=_REMEDY) from None


def _walk_cameras(data: bytes, at: int) -> int:
    """Where the camera that starts at ``at`` ends."""
    _, model, _, _ = struct.unpack_from("<IiQQ", data, at)
    if not 0 <= model < len(_BINARY_PARAMETERS):
        raise ValueError(f"camera model number {model} is not known or not supported")
    return at + 24 + 8 * _BINARY_PARAMETERS[model]


def _walk_images(data: bytes, at: int) -> int:
    """Number, quaternion, translation, camera; the name up to a zero; the photo's points."""
    name = data.index(b"\0", at + 64) + 1
    (points,) = struct.unpack_from("<Q", data, name)
    return name + 8 + 24 * points


def _walk_points(data: bytes, at: int) -> int:
    """Number, position, colour, error; the photos that show it."""
    (track,) = struct.unpack_from("<Q", data, at + 43)
    return at + 51 + 8 * track
