"""From the views that a reader found to a checked capture: shared by all readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from labelsplat.capture.checks import check_capture, check_missing, check_rig, check_views
from labelsplat.capture.views import Capture, View, normalised

Similarity = tuple[float, np.ndarray, np.ndarray]
"""(s, R, t) of ``X' = R (s X) + t``."""


def assemble(
    subject: str,
    views: list[View],
    source: str,
    folder: Path,
    parameters: Path,
    to_head: Similarity | None = None,
) -> Capture:
    """The capture of ``views``, whose cameras still stand in the source's own world.

    Args:
        subject: name of the subject.
        views: what the reader found.
        source: name of the reader.
        folder: the capture's folder.
        parameters: the file that the cameras came from, to be named in errors.
        to_head: the way to the head frame in metres; None normalises origin and scale instead.

    Raises:
        CaptureError: whatever :mod:`labelsplat.capture.checks` finds.
    """
    check_views(tuple(views), parameters)
    check_missing([view.image for view in views], parameters)
    cameras = [view.camera for view in views]
    check_rig(cameras, parameters)
    if to_head is None:
        cameras, scale = normalised(cameras)
    else:
        scale, rotation, translation = to_head
        cameras = [c.transformed(rotation, translation, scale) for c in cameras]
    capture = Capture(
        subject=subject,
        views=tuple(replace(v, camera=c) for v, c in zip(views, cameras, strict=True)),
        frame="arbitrary" if to_head is None else "head",
        source=source,
        root=folder,
        scale=float(scale),
    )
    check_capture(capture)
    return capture
