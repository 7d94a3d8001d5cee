"""nerfstudio's ``transforms.json``, as its own tools, Polycam, Record3D and others write it.

Poses are camera-to-world with OpenGL axes (x right, y up, z backward); intrinsics stand at the top
of the file or in each frame; distortion is OpenCV's; pixel centres are at +0.5, as COLMAP's.
``applied_transform`` says how the tool had turned the world that its solver gave it. As this world
has no agreed rotation, origin or scale either way, it need not be undone.

Format: docs.nerf.studio, "Data conventions".
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture._assemble import assemble
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import check_missing, nearest_rotation
from labelsplat.capture.views import Capture, View

TRANSFORMS = "transforms.json"

PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
"""Camera models that a pinhole with OpenCV's distortion covers."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")

_FLIP = np.diag([1.0, -1.0, -1.0])  # between OpenGL's and OpenCV's camera axes


def read_nerfstudio(folder: str | Path) -> Capture:
    """Open a folder with a ``transforms.json``.

    The frame is "arbitrary": the point that all cameras look at becomes the origin, and the scale
    is normalised (:func:`labelsplat.capture.views.normalised`).

    Raises:
        CaptureError: a missing or damaged file, a fisheye or panorama camera, missing photos (all
            named at once), or cameras that cannot be right.
    """
    folder = Path(folder)
    path = folder / TRANSFORMS
    table = fields.read_object(path)
    frames = fields.pick(table, "frames", path)
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise CaptureError("'frames' should be a list of objects", where=path)
    files = [_file_path(frame, i, path) for i, frame in enumerate(frames)]
    photos = [_photo(folder, file) for file in files]
    check_missing(photos, path)
    views = [
        # A frame's own intrinsics go before those at the top of the file.
        _view({**table, **frame}, name, photo, f"{path}: {file}")
        for frame, file, name, photo in zip(frames, files, _names(files), photos, strict=True)
    ]
    views.sort(key=lambda view: fields.natural(view.name))
    return assemble(folder.resolve().name, views, "nerfstudio", folder, path)


def _file_path(frame: dict[str, object], index: int, path: Path) -> str:
    value = fields.pick(frame, "file_path", f"{path}: frame {index}")
    if not isinstance(value, str) or not value or "\0" in value:
        raise CaptureError(f"file_path of frame {index} is {value!r}", where=path)
    return value


def _photo(folder: Path, file: str) -> Path:
    """The photo that ``file`` names; its suffix may be left out."""
    exact = folder / file
    if fields.is_file(exact):
        return exact
    others = (folder / f"{file}{suffix}" for suffix in SUFFIXES)
    return next((other for other in others if fields.is_file(other)), exact)


def _names(files: list[str]) -> list[str]:
    """A name a file: its stem, or its whole path where several folders use the same stems."""
    paths = [PurePosixPath(file) for file in files]
    if max(Counter(p.stem for p in paths).values(), default=0) <= 1:
        return [p.stem for p in paths]
    return ["_".join(q for q in p.with_suffix("").parts if q not in ("/", "..")) for p in paths]


def _view(table: dict[str, object], name: str, photo: Path, where: str) -> View:
    model = table.get("camera_model", "OPENCV")
    if model not in PERSPECTIVE or table.get("is_fisheye"):
        raise CaptureError(
            f"camera model {'fisheye' if table.get('is_fisheye') else model!r} is not supported",
            where=where,
            remedy=f"Undistort the photos first; supported are {', '.join(PERSPECTIVE)}",
        )
    pose = fields.array(
        fields.pick(table, "transform_matrix", where), ((4, 4), (3, 4)), "transform_matrix", where
    )
    rotation = _FLIP @ nearest_rotation(pose[:3, :3], where).T
    camera = Camera(rotation, -rotation @ pose[:3, 3], *_intrinsics(table, photo, where))
    return View(name, photo, camera, _distortion(table, where))


def _intrinsics(table: dict[str, object], photo: Path, where: str) -> tuple[np.ndarray, int, int]:
    """K ``[3, 3]``, width and height; what the file leaves out follows from the photo's size."""
    if "w" in table and "h" in table:
        width = fields.positive_integer(table["w"], "w", where)
        height = fields.positive_integer(table["h"], "h", where)
    else:
        width, height = _size(photo)

    def focal(axis: str, side: int, default: float | None) -> float:
        if f"fl_{axis}" in table:
            return fields.number(table[f"fl_{axis}"], f"fl_{axis}", where)
        if f"camera_angle_{axis}" in table:
            angle = fields.number(table[f"camera_angle_{axis}"], f"camera_angle_{axis}", where)
            if not 0 < angle < np.pi:
                raise CaptureError(f"camera_angle_{axis} is {angle:g} radians", where=where)
            return side / 2 / float(np.tan(angle / 2))
        if default is None:
            raise CaptureError(
                "no focal length",
                where=where,
                remedy="Give fl_x (and fl_y) in pixels, or camera_angle_x in radians",
            )
        return default

    fx = focal("x", width, None)
    fy = focal("y", height, fx)
    cx = fields.optional(table, "cx", width / 2, fields.number, where)
    cy = fields.optional(table, "cy", height / 2, fields.number, where)
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), width, height


def _distortion(table: dict[str, object], where: str) -> tuple[float, ...] | None:
    first = "k1" if "k1" in table else "k"  # COLMAP's SIMPLE_RADIAL has one coefficient, k
    keys = (first, "k2", "p1", "p2", "k3")
    values = tuple(float(fields.optional(table, k, 0.0, fields.number, where)) for k in keys)
    if fields.optional(table, "k4", 0.0, fields.number, where):
        raise CaptureError(
            "a fourth radial coefficient k4 is not supported",
            where=where,
            remedy="Is this a fisheye? Undistort the photos first",
        )
    return values if any(values) else None


def _size(photo: Path) -> tuple[int, int]:
    try:
        with Image.open(photo) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CaptureError(f"not a readable image ({error})", where=photo) from None
