"""One way in for every capture: which reader opens this folder?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture.facescape import PARAMETERS, list_facescape, read_facescape
from labelsplat.capture.nerfstudio import TRANSFORMS, read_nerfstudio
from labelsplat.capture.views import Capture

SOURCES = ("embedded", "facescape", "nerfstudio")
"""Kinds of captures. "embedded" heads are written in FaceScape's layout and read like FaceScape."""


def detect_source(folder: str | Path) -> str:
    """Which reader a folder is for: "facescape" or "nerfstudio".

    Raises:
        CaptureError: no such folder, or nothing in it that a reader knows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptureError("no such folder", where=folder)
    if _transforms_below(folder):
        return "nerfstudio"
    if (folder / PARAMETERS).is_file() or list_facescape(folder):
        return "facescape"
    if not any(folder.iterdir()):
        raise CaptureError("the folder is empty", where=folder, remedy=_EXPECTED)
    hint = _EXPECTED
    if (folder / "sparse").is_dir():
        hint = "This is a COLMAP model: convert it with `ns-process-data`"
    raise CaptureError("no capture found in this folder", where=folder, remedy=hint)


def list_subjects(
    source: str, root: str | Path, subjects: Sequence[str] | None = None
) -> list[str]:
    """The subjects of a tree, or those of the given ones, checked to be there.

    Args:
        source: one of :data:`SOURCES`, or "auto".
        root: folder of the captures.
        subjects: the ones wanted; None or an empty list takes all.

    Raises:
        ParameterError: an unknown source.
        CaptureError: no capture below ``root``, or a wanted subject is not there.
    """
    root = Path(root)
    found = _list(_resolve(source, root), root)
    if not found:
        raise CaptureError(f"no capture of source {source!r}", where=root, remedy=_EXPECTED)
    missing = [s for s in subjects or () if s not in found]
    if missing:
        raise CaptureError(
            f"no subject {missing[0]!r}",
            where=root,
            remedy=f"There are {len(found)}: {_some(found)}",
        )
    return list(subjects or found)


def open_capture(folder: str | Path, subject: str | None = None, source: str = "auto") -> Capture:
    """Open a capture by what lies in the folder.

    Args:
        folder: the folder of one capture (it holds ``transforms.json`` or ``params.json``), or a
            tree of several.
        subject: which one of a tree; may be left out where there is only one.
        source: one of :data:`SOURCES`, or "auto".

    Raises:
        ParameterError: an unknown source.
        CaptureError: nothing there that can be opened.
    """
    folder = Path(folder)
    source = _resolve(source, folder)
    if source != "nerfstudio" and subject is None and (folder / PARAMETERS).is_file():
        folder = folder.resolve()
        if re.match("[0-9]+_", folder.name):  # {id}/{k_expression}; its alignment lies at the root
            return read_facescape(folder.parent.parent, f"{folder.parent.name}/{folder.name}")
        return read_facescape(folder.parent, folder.name)
    if subject is None:
        found = list_subjects(source, folder)
        if len(found) > 1:
            raise CaptureError(
                f"{len(found)} subjects, which one?",
                where=folder,
                remedy=f"Name one of {_some(found)}",
            )
        subject = found[0]
    if source != "nerfstudio":
        return read_facescape(folder, subject)
    own = (folder / TRANSFORMS).is_file() and folder.resolve().name == subject
    return read_nerfstudio(folder if own else folder / subject)


_EXPECTED = f"Expected {TRANSFORMS} (nerfstudio), or {{id}}/{{expression}}/{PARAMETERS} (FaceScape)"


def _resolve(source: str, folder: Path) -> str:
    if source == "auto":
        return detect_source(folder)
    if source not in SOURCES:
        raise ParameterError(
            f"unknown source {source!r}", where="capture.source", remedy=f"One of {SOURCES}"
        )
    if not folder.is_dir():
        raise CaptureError("no such folder", where=folder)
    return source


def _list(source: str, root: Path) -> list[str]:
    if source != "nerfstudio":
        return list_facescape(root)
    return [folder.resolve().name for folder in _transforms_below(root)]


def _transforms_below(root: Path) -> list[Path]:
    if (root / TRANSFORMS).is_file():
        return [root]
    return sorted(f for f in root.iterdir() if (f / TRANSFORMS).is_file())


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
