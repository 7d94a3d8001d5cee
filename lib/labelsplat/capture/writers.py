"""Any capture, written in FaceScape's or nerfstudio's layout: read again, it is the same capture.

Photos are copied byte by byte. Cameras go to the scale of their own source, to a world whose origin
lies beside the head: only there does a transposed rotation show when the files are read.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError, atomic_dir, write_json
from labelsplat.capture import _fields as fields
from labelsplat.capture.cameras import Camera, common_focus
from labelsplat.capture.facescape import (
    MILLIMETRES,
    PARAMETERS,
    camera_entries,
    put_alignment,
)
from labelsplat.capture.given_frame import FRAME_FILE, read_frame
from labelsplat.capture.nerfstudio import FISHEYE, FLIP, HEAD, POINTS, TRANSFORMS
from labelsplat.capture.points import write_points
from labelsplat.capture.turns import turned_view
from labelsplat.capture.views import Capture, View, normalised

LAYOUTS = ("facescape", "nerfstudio")
"""Layouts that captures can be written in."""

ASIDE = np.array([0.5, 0.7, 1.1])
"""Where a written world's origin lies before the head, in the capture's units (metres)."""

_SUBJECT = r"[^/\\]+/[0-9]+_[a-z_]+"


def write_capture(
    capture: Capture,
    out: str | Path,
    layout: str,
    subject: str | None = None,
    invalid: Sequence[str] = (),
) -> Path:
    """Write a capture in one of :data:`LAYOUTS`; the folder that was written.

    The head frame that a user gave beside the photos goes along.

    Args:
        capture: to be written.
        out: nerfstudio's folder, or the root of FaceScape's tree.
        layout: "facescape" or "nerfstudio".
        subject: FaceScape's ``"{id}/{k_expression}"``; by default the capture's own name if it is
            of this form, else ``"1/1_neutral"``.
        invalid: names of views to be left aside: FaceScape's layout keeps them as not valid,
            nerfstudio's has no place for them.

    Raises:
        CaptureError: something is there already, a view that is not in the capture, or a lens that
            the layout cannot say.
    """
    if layout not in LAYOUTS:
        raise CaptureError(f"no layout {layout!r}", remedy=f"One of {', '.join(LAYOUTS)}")
    unknown = [name for name in invalid if name not in capture.names]
    if unknown:
        raise CaptureError(f"no view {unknown[0]!r} to be left aside", where=capture.root)
    if layout == "nerfstudio":
        return write_nerfstudio(capture, out, invalid)
    return copy_to_facescape(capture, out, subject, invalid)


def copy_to_facescape(
    capture: Capture,
    root: str | Path,
    subject: str | None = None,
    invalid: Sequence[str] = (),
) -> Path:
    """Write a capture as one subject of a FaceScape tree; see :func:`write_capture`.

    A capture with a head frame gets its entry in ``{root}/Rt_scale_dict.json``. FaceScape's format
    has five coefficients a lens and no sparse points.

    Returns:
        The subject's folder.
    """
    if subject is None:
        subject = capture.subject if re.fullmatch(_SUBJECT, capture.subject) else "1/1_neutral"
    if not re.fullmatch(_SUBJECT, subject):
        raise CaptureError(
            f"{subject!r} cannot name a subject", remedy="FaceScape's are of the form 7/1_neutral"
        )
    root = Path(root)
    folder = root / subject
    _require_free(folder)
    table: dict[str, object] = {}
    with atomic_dir(folder) as temporary:
        for view, camera in _as_taken(capture):
            if view.fisheye or (view.distortion and any(view.distortion[5:])):
                raise _cannot(view, "FaceScape's layout has no fisheye and no rational lens")
            photo = _copy(view, temporary)
            distortion = view.distortion or (0.0,) * 5
            valid = view.name not in invalid
            label = f"{capture.source}-{view.name}"
            table |= camera_entries(view.name, camera, distortion[:5], valid, label, photo.name)
        write_json(temporary / PARAMETERS, table)
        _put_frame(capture, temporary, invalid)
        shift = None
        if capture.frame == "head":
            shift = (capture.scale * MILLIMETRES, np.eye(3), -ASIDE * MILLIMETRES)
        # Before the photos appear: an entry without photos does no harm, photos with a wrong entry
        # or with none would open in a wrong frame.
        put_alignment(root, subject, shift)
    return folder


def write_nerfstudio(capture: Capture, folder: str | Path, invalid: Sequence[str] = ()) -> Path:
    """Write a capture as nerfstudio's ``transforms.json``, ``images`` and sparse points.

    The format knows no head frame: a key of our own, ``labelsplat_head``, which other readers pass
    over, carries it. Arguments and errors: see :func:`write_capture`.

    Returns:
        The folder.
    """
    folder = Path(folder)
    _require_free(folder)
    frames = []
    with atomic_dir(folder) as temporary:
        (temporary / "images").mkdir()
        for view, camera in _as_taken(capture):
            if view.name not in invalid:
                photo = _copy(view, temporary / "images")
                frames.append({"file_path": f"images/{photo.name}", **_frame(view, camera)})
        models = {frame["camera_model"] for frame in frames}
        table: dict[str, object] = {}
        if len(models) == 1:
            table["camera_model"] = models.pop()
            for frame in frames:
                del frame["camera_model"]
        if capture.points is not None:
            write_points(temporary / "sparse_pc.ply", (capture.points + ASIDE) / capture.scale)
            table[POINTS] = "sparse_pc.ply"
        if capture.frame == "head":
            table[HEAD] = {
                "scale": capture.scale,
                "rotation": np.eye(3).tolist(),
                "translation": (-ASIDE).tolist(),
            }
        write_json(temporary / TRANSFORMS, table | {"frames": frames})
        _put_frame(capture, temporary, invalid)
    return folder


def _put_frame(capture: Capture, folder: Path, invalid: Sequence[str]) -> None:
    """Write the user's head frame of a capture, if there is one, beside what is written of it."""
    file = capture.root / FRAME_FILE
    if not fields.is_file(file):
        return
    frame = read_frame(file)
    kept = [view.camera for view in capture.views if view.name not in invalid]
    if capture.frame == "head" or len(kept) == len(capture.views):
        shutil.copyfile(file, folder / FRAME_FILE)
        return
    # Origin and scale of an opened capture follow from its cameras, and some are left aside.
    try:
        _, scale = normalised(kept)
        origin = common_focus(kept)
    except (ValueError, np.linalg.LinAlgError):
        raise CaptureError("the views that are left do not look at one point", where=file) from None
    moved = {
        "rotation": frame.rotation.tolist(),
        "translation": (scale * (frame.translation + frame.rotation @ origin)).tolist(),
        "scale": None if frame.scale is None else frame.scale / scale,
    }
    write_json(folder / FRAME_FILE, moved)


def _as_taken(capture: Capture) -> list[tuple[View, Camera]]:
    """The views as their photos lie on the disk, and their cameras in the world to be written."""
    views = [turned_view(view, -view.turns) for view in capture.views]
    scale = capture.scale
    return [(v, v.camera.transformed(np.eye(3), ASIDE / scale, 1 / scale)) for v in views]


def _frame(view: View, camera: Camera) -> dict[str, object]:
    k = camera.intrinsics
    keys = ("k1", "k2", "k3", "k4") if view.fisheye else ("k1", "k2", "p1", "p2", "k3")
    coefficients = view.distortion or (0.0,) * len(keys)
    if any(coefficients[len(keys) :]):
        raise _cannot(view, "nerfstudio's layout has no rational lens")
    if k[0, 1]:
        raise _cannot(view, "nerfstudio's layout has no skewed pixels")
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.rotation.T @ FLIP, camera.centre
    intrinsics = (camera.width, camera.height, k[0, 0], k[1, 1], k[0, 2], k[1, 2])
    return {
        "transform_matrix": pose.tolist(),
        "camera_model": FISHEYE if view.fisheye else "OPENCV",
        **dict(zip(("w", "h", "fl_x", "fl_y", "cx", "cy"), intrinsics, strict=True)),
        **dict(zip(keys, coefficients, strict=False)),
    }


def _copy(view: View, folder: Path) -> Path:
    suffix = view.image.suffix
    if suffix not in fields.SUFFIXES:
        raise CaptureError(
            f"photos {suffix!r} are not known",
            where=view.image,
            remedy=f"Known are {', '.join(fields.SUFFIXES[: len(fields.SUFFIXES) // 2])}",
        )
    return Path(shutil.copyfile(view.image, folder / f"{view.name}{suffix}"))


def _cannot(view: View, words: str) -> CaptureError:
    return CaptureError(words, where=view.image, remedy="Undistort the photos first")


def _require_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise CaptureError("there is something already", where=folder, remedy="Name a new folder")
