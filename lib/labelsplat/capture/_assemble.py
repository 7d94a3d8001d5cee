"""From the views that a reader found to a checked capture: shared by all readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from labelsplat.capture.checks import check_capture, check_missing, check_rig, check_views
from labelsplat.capture.views import Capture, View, half_turned, normalised, upside_down

Similarity = tuple[float, np.ndarray, np.ndarray]
"""(s, R, t) of ``X' = R (s X) + t``."""

_HEAD_TOP = np.array([0.0, 1.0, 0.0])


def assemble(
    subject: str,
    views: list[View],
    source: str,
    folder: Path,
    parameters: Path,
    to_head: Similarity | None = None,
    *,
    points: np.ndarray | None = None,
    files: Sequence[Path] = (),
) -> Capture:
    """The capture of ``views``, whose cameras still stand in the source's own world.

    Photos of cameras that hung upside down are marked to be turned: parsers know upright faces.

    Args:
        subject: name of the subject.
        views: what the reader found.
        source: name of the reader.
        folder: the capture's folder.
        parameters: the file that the cameras came from, to be named in errors.
        to_head: the way to the head frame in metres; None normalises origin and scale instead.
        points: ``[M, 3]`` sparse points in the source's own world.
        files: further files that were read.

    Raises:
        CaptureError: whatever :mod:`labelsplat.capture.checks` finds.
    """
    check_views(tuple(views), parameters)
    check_missing([view.image for view in views], parameters)
    cameras = [view.camera for view in views]
    focus = check_rig(cameras, parameters)
    if to_head is None:
        cameras, scale = normalised(cameras)
        rotation, translation = np.eye(3), -scale * focus
    else:
        scale, rotation, translation = to_head
        cameras = [c.transformed(rotation, translation, scale) for c in cameras]
    views = [replace(view, camera=c) for view, c in zip(views, cameras, strict=True)]
    count = 0 if points is None else len(points)
    hanging = upside_down(cameras, None if to_head is None else _HEAD_TOP)
    capture = Capture(
        subject=subject,
        views=tuple(half_turned(v) if h else v for v, h in zip(views, hanging, strict=True)),
        frame="arbitrary" if to_head is None else "head",
        source=source,
        root=folder,
        scale=float(scale),
        points=scale * points @ rotation.T + translation if count else None,
        parameters=(parameters, *files),
    )
    check_capture(capture)
    return capture
