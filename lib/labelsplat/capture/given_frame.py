"""Head frames in files: as a user gives one beside the photos, and as estimates are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture.head_frame import HeadFrame, identity_frame
from labelsplat.capture.views import Capture

FRAME_FILE = "head_frame.json"
"""In a capture's folder: its head frame, given by the user."""


def known_frame(capture: Capture) -> HeadFrame | None:
    """A capture's head frame where it is known: as the user gives it, else the capture's own.

    Raises:
        CaptureError: the user's file is broken.
    """
    file = capture.root / FRAME_FILE
    if fields.is_file(file):
        frame = read_frame(file)
        metres = capture.frame == "head" and frame.scale is None
        return replace(frame, scale=1.0) if metres else frame
    return identity_frame() if capture.frame == "head" else None


def read_frame(path: str | Path) -> HeadFrame:
    """A head frame that the user gives.

    The file holds one JSON object: either ``"axes": {"left": [x, y, z], "up": [...],
    "front": [...]}``, the subject's own directions in the capture's world, with an ``"origin"``
    beside it; or ``"transform"``, a 4x4 or 3x4 matrix from that world to the head, whose scale, if
    it has one, is metres in a unit; or what
    :func:`frame_facts` makes of an estimate. Lengths are those of the opened capture, whose origin
    is the point that its cameras look at.

    Raises:
        CaptureError: a missing or broken file, or axes that are no right-handed frame.
    """
    path = Path(path)
    table = fields.read_object(path)
    translation, own_scale = np.zeros(3), 1.0
    if "axes" in table:
        axes = table["axes"]
        if not isinstance(axes, dict):
            raise CaptureError("'axes' should be an object with left, up, front", where=path)
        rows = [fields.array(fields.pick(axes, n, path), ((3,),), n, path) for n in _AXES]
        rotation = _rotation(np.array(rows), path)
        if "origin" in table:
            translation = -rotation @ fields.array(table["origin"], ((3,),), "origin", path)
    elif "transform" in table:
        matrix = fields.array(table["transform"], ((4, 4), (3, 4)), "transform", path)
        rotation = _rotation(matrix[:3, :3], path)
        own_scale = _scale_of(matrix[:3, :3], path)
        translation = matrix[:3, 3] / own_scale
    else:
        rows = fields.pick(table, "rotation", path)
        rotation = _rotation(fields.array(rows, ((3, 3),), "rotation", path), path)
        if "translation" in table:
            translation = fields.array(table["translation"], ((3,),), "translation", path)
    scale = table.get("scale")
    if scale is not None:
        scale = fields.number(scale, "scale", path)
        if scale <= 0:
            raise CaptureError(f"scale should be above zero, it is {scale:g}", where=path)
    if own_scale != 1:
        if scale is not None and abs(scale / own_scale - 1) > UNSCALED:
            raise CaptureError(
                f"the transform scales by {own_scale:g}, scale says {scale:g}",
                where=path,
                remedy="Leave 'scale' out",
            )
        scale = own_scale
    return HeadFrame(rotation, translation, scale, 1.0, "given")


def frame_facts(frame: HeadFrame) -> dict:
    """A frame as plain values for JSON; :func:`frame_of_facts` is its inverse."""
    return {
        "method": frame.method,
        "confidence": round(float(frame.confidence), 4),
        "uncertainty_degrees": frame.uncertainty and round(frame.uncertainty, 3),
        "residuals_metres": {name: round(float(r), 5) for name, r in frame.residuals.items()},
        "rotation": frame.rotation.tolist(),
        "translation": frame.translation.tolist(),
        "scale": frame.scale,
    }


def frame_of_facts(facts: Mapping) -> HeadFrame:
    """The frame that :func:`frame_facts` wrote."""
    return HeadFrame(
        np.array(facts["rotation"], float),
        np.array(facts["translation"], float),
        facts["scale"],
        facts["confidence"],
        facts["method"],
        dict(facts["residuals_metres"]),
        facts["uncertainty_degrees"],
    )


_AXES = ("left", "up", "front")

UNSCALED = 1e-3
"""By how much a matrix may scale and still count as a rotation: files with four digits pass."""


def _scale_of(matrix: np.ndarray, path: Path) -> float:
    """The factor by which a rotation ``[3, 3]`` is scaled; 1 where it is but for rounding."""
    lengths = np.linalg.norm(matrix, axis=1)
    scale = float(np.cbrt(np.linalg.det(matrix)))
    if np.abs(lengths / scale - 1).max() > 0.01:
        raise CaptureError(
            f"the transform scales the axes by {', '.join(f'{s:.4g}' for s in lengths)}",
            where=path,
            remedy="One scale is meant for all three",
        )
    return 1.0 if abs(scale - 1) < UNSCALED else scale


def _rotation(rows: np.ndarray, path: Path) -> np.ndarray:
    """The rotation nearest to three axes, which need not be of unit length."""
    lengths = np.linalg.norm(rows, axis=1)
    if not (lengths > 0).all():
        raise CaptureError("an axis of the head frame has no length", where=path)
    unit = rows / lengths[:, None]
    skewed = np.abs(unit @ unit.T - np.eye(3)).max()
    if np.linalg.det(unit) < 0 or skewed > 0.1:
        raise CaptureError(
            "the axes of the head frame are not a right-handed frame of right angles "
            f"(determinant {np.linalg.det(unit):.3f})",
            where=path,
            remedy="Left, up and front are the subject's own: left x up = front",
        )
    u, _, v = np.linalg.svd(unit)
    return u @ v
