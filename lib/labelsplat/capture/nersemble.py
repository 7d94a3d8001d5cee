"""NeRSemble's captures (version 2): sixteen synchronised cameras around a moving head.

Layout: ``{id}/calibration/camera_params.json`` holds ``world_2_cam`` (4x4 a camera, by serial
number, OpenCV axes) and ONE ``intrinsics`` (3x3) for photos of 2200 x 3208 pixels; frames of the
videos lie in ``{id}/sequences/{sequence}/images/cam_{serial}_{timestep}.jpg``. The videos are not
decoded here.

Format: github.com/tobias-kirschstein/nersemble-data; frames as ShenhanQian/VHAP extracts them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture._assemble import assemble
from labelsplat.capture.cameras import Camera
from labelsplat.capture.checks import nearest_rotation, photo_size
from labelsplat.capture.views import Capture, View

CALIBRATION = "calibration/camera_params.json"

FULL_SIZE = (2200, 3208)
"""Width and height in pixels that the intrinsics are for; smaller photos scale them."""

_FRAME = re.compile(r"cam_([0-9A-Za-z]+)_([0-9]+)")


def list_nersemble(root: str | Path) -> list[str]:
    """Subjects below ``root`` in natural order, e.g. ``["030/EXP-1-head", "037/FREE"]``.

    ``root`` holds the participants, or is the folder of one.
    """
    found = []
    for person in _people(Path(root)):
        sequences = person / "sequences"
        for sequence in sequences.iterdir() if sequences.is_dir() else ():
            if sequence.is_dir():
                found.append(f"{person.name}/{sequence.name}")
    return sorted(found, key=fields.natural)


def read_nersemble(root: str | Path, subject: str, timestep: int | None = None) -> Capture:
    """Open one moment of a sequence.

    The frame is "arbitrary", normalised as for nerfstudio.

    Args:
        root: folder of the participants, or of one of them.
        subject: ``"{id}/{sequence}"`` as :func:`list_nersemble` gives it, or with a moment,
            ``"{id}/{sequence}@{timestep}"``.
        timestep: the moment, if ``subject`` names none; None takes the first one that most cameras
            show.

    Raises:
        CaptureError: a missing or damaged file, a photo without calibration, sizes of another shape
            than the intrinsics are for, or cameras that cannot be right.
    """
    root = Path(root)
    name, _, moment = subject.partition("@")
    if moment and not re.fullmatch("[0-9]{1,9}", moment):
        raise CaptureError(
            f"{moment!r} is no timestep", where=subject, remedy="Write e.g. 030/EXP-1-head@12"
        )
    identity, _, sequence = name.partition("/")
    person = next((p for p in _people(root) if p.name == identity), None)
    if person is None or not (person / "sequences" / sequence).is_dir():
        raise CaptureError(
            f"no sequence {name!r}",
            where=root,
            remedy=f"There are: {', '.join(list_nersemble(root))}",
        )
    folder = person / "sequences" / sequence / "images"
    chosen, photos = _moment(folder, int(moment) if moment else timestep)
    path = person / CALIBRATION
    table = fields.read_object(path)
    k = fields.array(fields.pick(table, "intrinsics", path), ((3, 3),), "intrinsics", path)
    poses = fields.pick(table, "world_2_cam", path)
    if not isinstance(poses, dict):
        raise CaptureError("world_2_cam should be an object of matrices", where=path)
    unknown = sorted(set(photos) - set(poses))
    if unknown:
        raise CaptureError(
            f"photos of {len(unknown)} cameras without calibration: {', '.join(unknown[:8])}",
            where=path,
            remedy=f"Photos: {folder}",
        )
    views = [_view(serial, photos[serial], poses[serial], k, path) for serial in photos]
    called = subject if moment or timestep is None else f"{name}@{chosen}"
    return assemble(called, views, "nersemble", folder, path)


def _people(root: Path) -> list[Path]:
    if (root / CALIBRATION).is_file():
        return [root.resolve()]
    inner = root.iterdir() if root.is_dir() else ()
    return sorted(f for f in inner if (f / CALIBRATION).is_file())


def _moment(folder: Path, timestep: int | None) -> tuple[int, dict[str, Path]]:
    """A timestep, and its photos by serial number in natural order."""
    moments: dict[int, dict[str, Path]] = defaultdict(dict)
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _FRAME.fullmatch(file.stem)
        if match and file.suffix in fields.SUFFIXES and len(match[2]) < 10:
            moments[int(match[2])][match[1]] = file
    if not moments:
        videos = folder.is_dir() and any(folder.glob("cam_*.mp4"))
        raise CaptureError(
            "videos, but no photos" if videos else "no photos like cam_222200037_00000.jpg",
            where=folder,
            remedy="Extract a frame of each camera, e.g. ffmpeg -i cam_222200037.mp4 "
            "-frames:v 1 -q:v 1 cam_222200037_00000.jpg",
        )
    if timestep is None:
        timestep = min(moments, key=lambda moment: (-len(moments[moment]), moment))
    if timestep not in moments:
        raise CaptureError(
            f"no photos of timestep {timestep}",
            where=folder,
            remedy=f"There are {len(moments)}, {min(moments)} to {max(moments)}",
        )
    photos = moments[timestep]
    return timestep, {serial: photos[serial] for serial in sorted(photos, key=fields.natural)}


def _view(serial: str, photo: Path, pose: object, k: np.ndarray, path: Path) -> View:
    matrix = fields.array(pose, ((4, 4), (3, 4)), f"world_2_cam of {serial}", path)
    rotation = nearest_rotation(matrix[:3, :3], f"{path}: camera {serial}")
    width, height = photo_size(photo)
    full_width, full_height = FULL_SIZE
    # A whole number of pixels is all that a smaller photo can keep of the shape.
    if abs(width * full_height - height * full_width) > max(FULL_SIZE):
        raise CaptureError(
            f"the photo is {width} x {height}, its intrinsics are for {full_width} x {full_height}",
            where=photo,
            remedy="Use whole photos, resized but neither cropped nor turned",
        )
    camera = Camera(rotation, matrix[:3, 3], k, full_width, full_height)
    return View(serial, photo, camera.resized(width, height))
