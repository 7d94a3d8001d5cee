"""Opening a damaged capture for a look: the views that a reader objects to are left out.

Readers stop at the first thing that is wrong, as they should. An inspection wants them all. So the
parameter file is copied without the view that an error names, the photos are linked beside it, and
the same reader opens that; until it opens, or the error names no view.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from labelsplat.base import CaptureError
from labelsplat.capture import _fields as fields
from labelsplat.capture.doors import list_subjects, open_capture
from labelsplat.capture.facescape import ALIGNMENT, KEYS, PARAMETERS, find_folder, tree_of
from labelsplat.capture.given_frame import FRAME_FILE
from labelsplat.capture.nerfstudio import TRANSFORMS
from labelsplat.capture.views import Capture

MOST_ERRORS = 100
"""After so many damaged views the rest is not looked at."""

MISSING = "photos are missing"
"""Part of the one error that names several photos at a time, and not all if they are many."""


@dataclass(frozen=True, eq=False)
class Opened:
    """What could be opened of a capture.

    Attributes:
        capture: with the views that a reader accepts; None where it accepts none.
        errors: what it objected to, in the order found.
        left_out: names of the views that are left out for it.
    """

    capture: Capture | None
    errors: tuple[CaptureError, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    """How to leave views of one layout out.

    Attributes:
        views: keys of its views.
        forms: regular expressions by which an error names a view.
        write: writes a shadow without some views into a folder; the subject to open there.
        source: name of the reader.
        home: the folder of the capture itself.
        tree: the folder that a shadow stands for.
    """

    views: tuple[str, ...]
    forms: Callable[[str], list[str]]
    write: Callable[[Path, set[str]], str | None]
    source: str
    home: Path
    tree: Path


def open_what_can_be(folder: str | Path, subject: str | None, source: str) -> Opened:
    """Open a capture; where a reader objects to single views, open it without them.

    Args:
        folder: as for :func:`labelsplat.capture.open_capture`.
        subject: one of a tree, or None.
        source: name of the reader, or "auto".
    """
    folder = Path(folder)
    errors: list[CaptureError] = []
    try:
        return Opened(open_capture(folder, subject, source), (), ())
    except CaptureError as error:
        errors.append(error)
    if subject is None:
        # A tree of one capture opens without a name.
        with contextlib.suppress(CaptureError):
            found = list_subjects(source, folder)
            subject = found[0] if len(found) == 1 else None
    layout = _layout(folder, subject)
    left_out: list[str] = []
    while layout is not None and len(errors) < MOST_ERRORS:
        named = _named(str(errors[-1]), layout, left_out)
        if not named or len(named) + len(left_out) == len(layout.views):
            break
        left_out += named
        try:
            capture = _open_shadow(layout, set(left_out))
        except CaptureError as error:
            if MISSING in str(error) and MISSING in str(errors[-1]):
                errors.pop()
            errors.append(error)
        else:
            return Opened(capture, tuple(errors), tuple(left_out))
    return Opened(None, tuple(errors), tuple(left_out))


def _named(text: str, layout: _Layout, known: list[str]) -> list[str]:
    """The views, but for those known already, that an error names."""
    return [
        view
        for view in layout.views
        if view not in known and any(re.search(form, text) for form in layout.forms(view))
    ]


def _open_shadow(layout: _Layout, without: set[str]) -> Capture:
    with tempfile.TemporaryDirectory(prefix="labelsplat-") as temporary:
        root = Path(temporary)
        subject = layout.write(root, without)
        try:
            capture = open_capture(root, subject, layout.source)
        except CaptureError as error:
            # Users know their own folder, not the copy.
            where = error.where and str(error.where).replace(temporary, str(layout.tree))
            message = error.message.replace(temporary, str(layout.tree))
            remedy = error.remedy and error.remedy.replace(temporary, str(layout.tree))
            raise CaptureError(message, where=where, remedy=remedy) from None
        views = tuple(replace(v, image=v.image.resolve()) for v in capture.views)
        name = capture.subject if subject else layout.home.resolve().name
        return replace(capture, views=views, root=layout.home, subject=name)


def _layout(folder: Path, subject: str | None) -> _Layout | None:
    """The layout of a folder, as far as its parameter file can be read; else None."""
    inner = folder / subject if subject else folder
    try:
        for place in (folder, inner):
            if (place / TRANSFORMS).is_file():
                return _nerfstudio(place)
        if subject and not (inner / PARAMETERS).is_file():
            inner = find_folder(tree_of(folder)[0], subject)
        if (inner / PARAMETERS).is_file():
            return _facescape(inner)
    except CaptureError:
        pass
    return None


def _nerfstudio(folder: Path) -> _Layout | None:
    table = fields.read_object(folder / TRANSFORMS)
    frames = table.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        return None
    files = [frame.get("file_path") for frame in frames]
    if not all(isinstance(file, str) and file for file in files):
        return None

    stems = Counter(Path(file).stem for file in files)

    def forms(file: str) -> list[str]:
        stem = Path(file).stem
        ends = r"(?![A-Za-z0-9_-])"
        full = re.escape(str(Path(file))) + ends
        if stems[stem] > 1:
            return [re.escape(file) + ends, full]
        return [
            re.escape(file) + ends,
            full,
            rf"view {re.escape(stem)}{ends}",
            rf"(?<![A-Za-z0-9_-]){re.escape(stem)}\.(jpg|jpeg|png|JPG|JPEG|PNG){ends}",
        ]

    def write(root: Path, without: set[str]) -> None:
        kept = [f for f in frames if f["file_path"] not in without]
        absolute = [{**f, "file_path": str(folder.resolve() / f["file_path"])} for f in kept]
        text = json.dumps({**table, "frames": absolute})
        (root / TRANSFORMS).write_text(text, encoding="utf-8")
        if (folder / FRAME_FILE).is_file():
            (root / FRAME_FILE).symlink_to((folder / FRAME_FILE).resolve())

    return _Layout(tuple(dict.fromkeys(files)), forms, write, "nerfstudio", folder, folder)


def _facescape(inner: Path) -> _Layout:
    table = fields.read_object(inner / PARAMETERS)
    views = {key.rpartition("_")[0] for key in table if key.rpartition("_")[2] in KEYS}
    home, subject = tree_of(inner)

    def forms(view: str) -> list[str]:
        name, before = re.escape(view), r"(?<![A-Za-z0-9.-])"
        return [
            rf"{before}{name}_({'|'.join(KEYS)})\b",
            rf"view {name}(?![A-Za-z0-9-])",
            rf"{before}{name}\.(jpg|jpeg|png|JPG|JPEG|PNG)\b",
        ]

    def write(target: Path, without: set[str]) -> str:
        folder = target / subject
        folder.mkdir(parents=True)
        for entry in inner.resolve().iterdir():
            if entry.name != PARAMETERS:
                (folder / entry.name).symlink_to(entry)
        kept = {k: v for k, v in table.items() if k.rpartition("_")[0] not in without}
        (folder / PARAMETERS).write_text(json.dumps(kept), encoding="utf-8")
        if (home / ALIGNMENT).is_file():
            (target / ALIGNMENT).symlink_to((home / ALIGNMENT).resolve())
        return subject

    return _Layout(tuple(sorted(views, key=fields.natural)), forms, write, "facescape", inner, home)
