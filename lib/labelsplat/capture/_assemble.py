"""From the views that a reader found to a checked capture: shared by all readers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from labelsplat.base import CaptureError
from labelsplat.capture._fields import is_file
from labelsplat.capture.checks import check_capture, check_missing, check_rig, check_views
from labelsplat.capture.given_frame import FRAME_FILE, read_frame
from labelsplat.capture.turns import tagged_turns, turned_view, upright_turns, upside_down
from labelsplat.capture.views import Capture, View, normalised

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
    notes: Sequence[str] = (),
) -> Capture:
    """The capture of ``views``, whose cameras still stand in the source's own world.

    Photos that lie on their side or hang upside down are marked to be turned: parsers know upright
    faces. Which way is up the head frame says, the user's or the capture's own; else the photos'
    EXIF orientation, and the cameras among themselves.

    Args:
        subject: name of the subject.
        views: what the reader found.
        source: name of the reader.
        folder: the capture's folder.
        parameters: the file that the cameras came from, to be named in errors.
        to_head: the way to the head frame in metres; None normalises origin and scale instead.
        points: ``[M, 3]`` sparse points in the source's own world.
        files: further files that were read.
        notes: what was left aside.

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
    capture = Capture(
        subject=subject,
        views=tuple(_upright(views, _known_up(folder, None if to_head is None else _HEAD_TOP))),
        frame="arbitrary" if to_head is None else "head",
        source=source,
        root=folder,
        scale=float(scale),
        points=scale * points @ rotation.T + translation if count else None,
        parameters=(parameters, *files),
        notes=tuple(notes),
    )
    check_capture(capture)
    return capture


def _known_up(folder: Path, own: np.ndarray | None) -> np.ndarray | None:
    """``[3]`` the world's up by the user's head frame, else the capture's own, None = not known."""
    file = folder / FRAME_FILE
    if is_file(file):
        with contextlib.suppress(CaptureError):  # whoever uses the frame says what is wrong with it
            return read_frame(file).rotation[1]
    return own


def _upright(views: list[View], up: np.ndarray | None) -> list[View]:
    """The views with their photos turned upright, as far as it is known which way that is."""
    if up is not None:
        turns = [upright_turns(view.camera, up) for view in views]
        return [turned_view(view, n) for view, n in zip(views, turns, strict=True)]
    tagged = tagged_turns(views) or [0] * len(views)
    views = [turned_view(view, n) for view, n in zip(views, tagged, strict=True)]
    hanging = upside_down([view.camera for view in views])
    return [turned_view(v, 2) if h else v for v, h in zip(views, hanging, strict=True)]
