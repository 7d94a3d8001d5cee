"""nerfstudio's ``transforms.json``, as its own tools, Polycam, Record3D and others write it.

Poses are camera-to-world with OpenGL axes (x right, y up, z backward); intrinsics stand at the top
of the file or in each frame; distortion is OpenCV's; pixel centres are at +0.5, as COLMAP's.
``applied_transform`` says how the tool had turned the world that its solver gave it, cameras and
sparse points alike. As this world has no agreed rotation, origin or scale either way, it need not
be undone.

Format: docs.nerf.studio, "Data conventions".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture._assemble import Similarity, assemble
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import check_missing, nearest_rotation, photo_size
from labelsplat.capture.points import read_points
from labelsplat.capture.views import Capture, View

TRANSFORMS, POINTS, HEAD = "transforms.json", "ply_file_path", "labelsplat_head"
"""The file, its key for the file of sparse points, and one of our own: where the head is."""

PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
"""Camera models that a pinhole with OpenCV's distortion covers."""

FISHEYE = "OPENCV_FISHEYE"
"""The camera model whose k1 to k4 are those of OpenCV's fisheye."""

FOCALS = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y")
"""Keys of which each says how far the camera zooms."""

FLIP = np.diag([1.0, -1.0, -1.0])
"""Between OpenGL's and OpenCV's camera axes, either way."""


def read_nerfstudio(folder: str | Path) -> Capture:
    """Open a folder with a ``transforms.json``.

    The frame is "arbitrary": the point that all cameras look at becomes the origin, and the scale
    is normalised (:func:`labelsplat.capture.views.normalised`). Only files that
    :func:`labelsplat.capture.write_nerfstudio` wrote can say where the head is. The sparse points
    of ``ply_file_path`` come along; a folder that left them behind opens without.

    Raises:
        CaptureError: a missing or damaged file, a camera model other than those named above,
            missing photos (all named at once), or cameras that cannot be right.
    """
    folder = Path(folder)
    path = folder / TRANSFORMS
    table = fields.read_object(path)
    frames = fields.pick(table, "frames", path)
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise CaptureError("'frames' should be a list of objects", where=path)
    files = [_text(frame, "file_path", f"{path}: frame {i}") for i, frame in enumerate(frames)]
    photos = [_photo(folder, file) for file in files]
    check_missing(photos, path)
    names = fields.view_names(files)
    views = [
        _view(_merged(table, frame), name, photo, f"{path}: {file}")
        for frame, file, name, photo in zip(frames, files, names, photos, strict=True)
    ]
    views.sort(key=lambda view: fields.natural(view.name))
    sparse = folder / _text(table, POINTS, path) if POINTS in table else None
    there = sparse is not None and fields.is_file(sparse)
    return assemble(
        folder.resolve().name,
        views,
        "nerfstudio",
        folder,
        path,
        _to_head(table, path),
        points=read_points(sparse) if there else None,
        files=(sparse,) if there else (),
    )


def _merged(table: dict[str, object], frame: dict[str, object]) -> dict[str, object]:
    """A frame with what the top of the file says of all; the frame's own words go first.

    Focal lengths and angles of view say the same thing: a frame that gives one takes none of them
    from the top.
    """
    own = any(key in frame for key in FOCALS)
    return {k: v for k, v in table.items() if not (own and k in FOCALS)} | frame


def _text(table: dict[str, object], key: str, where: object) -> str:
    value = fields.pick(table, key, where)
    if not isinstance(value, str) or not value or "\0" in value:
        raise CaptureError(f"{key} is {value!r}", where=where)
    return value


def _photo(folder: Path, file: str) -> Path:
    """The photo that ``file`` names; its suffix may be left out."""
    exact = folder / file
    if fields.is_file(exact):
        return exact
    others = (folder / f"{file}{suffix}" for suffix in fields.SUFFIXES)
    return next((other for other in others if fields.is_file(other)), exact)


def _view(table: dict[str, object], name: str, photo: Path, where: str) -> View:
    fisheye = _is_fisheye(table, where)
    pose = fields.array(
        fields.pick(table, "transform_matrix", where), ((4, 4), (3, 4)), "transform_matrix", where
    )
    rotation = FLIP @ nearest_rotation(pose[:3, :3], where).T
    camera = Camera(rotation, -rotation @ pose[:3, 3], *_intrinsics(table, photo, where))
    distortion = (_fisheye if fisheye else _distortion)(table, where)
    return View(name, photo, camera, distortion, fisheye)


def _is_fisheye(table: dict[str, object], where: str) -> bool:
    """By nerfstudio's name of the camera model, or by instant-ngp's flag."""
    model = table.get("camera_model", FISHEYE if table.get("is_fisheye") is True else "OPENCV")
    if model != FISHEYE and model not in PERSPECTIVE:
        raise CaptureError(
            f"camera model {model!r} is not supported",
            where=where,
            remedy=f"Undistort the photos first; supported are {', '.join(PERSPECTIVE)}, {FISHEYE}",
        )
    if table.get("is_fisheye") and model != FISHEYE:
        raise CaptureError(
            f"is_fisheye contradicts camera model {model!r}",
            where=where,
            remedy=f"Use {FISHEYE}, or take is_fisheye out",
        )
    return model == FISHEYE


def _intrinsics(table: dict[str, object], photo: Path, where: str) -> tuple[np.ndarray, int, int]:
    """K ``[3, 3]``, width and height; what the file leaves out follows from the photo's size."""
    if "w" in table and "h" in table:
        width = fields.positive_integer(table["w"], "w", where)
        height = fields.positive_integer(table["h"], "h", where)
    else:
        width, height = photo_size(photo)

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


def _coefficients(table: dict[str, object], keys: tuple[str, ...], where: str) -> tuple[float, ...]:
    return tuple(float(fields.optional(table, k, 0.0, fields.number, where)) for k in keys)


def _fisheye(table: dict[str, object], where: str) -> tuple[float, ...]:
    """k1 to k4. All zero they still are a fisheye's: angles go along the radius, not tangents."""
    return _coefficients(table, ("k1", "k2", "k3", "k4"), where)


def _distortion(table: dict[str, object], where: str) -> tuple[float, ...] | None:
    first = "k1" if "k1" in table else "k"  # COLMAP's SIMPLE_RADIAL has one coefficient, k
    values = _coefficients(table, (first, "k2", "p1", "p2", "k3"), where)
    if fields.optional(table, "k4", 0.0, fields.number, where):
        raise CaptureError(
            "a fourth radial coefficient k4 is not supported",
            where=where,
            remedy=f"Is this a fisheye? Then its camera_model is {FISHEYE}",
        )
    return values if any(values) else None


def _to_head(table: dict[str, object], path: Path) -> Similarity | None:
    """Our own key: the way to the head frame in metres, None where the file does not say it."""
    if HEAD not in table:
        return None
    value, where = table[HEAD], f"{path}: {HEAD}"
    if not isinstance(value, dict):
        raise CaptureError("should be an object of scale, rotation, translation", where=where)
    scale = fields.number(fields.pick(value, "scale", where), "scale", where)
    if scale <= 0:
        raise CaptureError(f"the scale should be positive, it is {scale:g}", where=where)
    rotation = fields.array(fields.pick(value, "rotation", where), ((3, 3),), "rotation", where)
    shift = fields.array(fields.pick(value, "translation", where), ((3,),), "translation", where)
    return scale, nearest_rotation(rotation, where), shift
