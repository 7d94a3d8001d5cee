"""One way in for every capture: which reader opens this folder?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture._fields import some
from labelsplat.capture.colmap import find_models, read_colmap
from labelsplat.capture.facescape import (
    ALIGNMENT,
    PARAMETERS,
    list_facescape,
    read_facescape,
    tree_of,
)
from labelsplat.capture.nerfstudio import TRANSFORMS, read_nerfstudio
from labelsplat.capture.nersemble import CALIBRATION, list_nersemble, read_nersemble
from labelsplat.capture.views import Capture

SOURCES = ("embedded", "facescape", "nerfstudio", "colmap", "nersemble")
"""Kinds of captures. "embedded" heads are written in FaceScape's layout and read like FaceScape."""


_FOLDERS = {
    "nerfstudio": (lambda folder: (folder / TRANSFORMS).is_file(), read_nerfstudio),
    "colmap": (lambda folder: bool(find_models(folder)), read_colmap),
}
"""Sources of which one folder is one capture: what marks the folder, and the reader."""

_TREES = {"embedded": read_facescape, "facescape": read_facescape, "nersemble": read_nersemble}
"""Sources whose captures lie in a tree of subjects: readers of (root, subject)."""

_EXPECTED = (
    f"Expected {TRANSFORMS} (nerfstudio), {{id}}/{{expression}}/{PARAMETERS} (FaceScape), "
    f"images and sparse/0 (COLMAP), or {{id}}/{CALIBRATION} (NeRSemble)"
)


def detect_source(folder: str | Path) -> str:
    """Which reader a folder is for: "nerfstudio", "facescape", "colmap" or "nersemble".

    A folder with both a ``transforms.json`` and the COLMAP model that it was made of is
    nerfstudio's.

    Raises:
        CaptureError: no such folder, or nothing in it that a reader knows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptureError("no such folder", where=folder)
    if _below("nerfstudio", folder):
        return "nerfstudio"
    if (folder / PARAMETERS).is_file() or list_facescape(folder):
        return "facescape"
    if _below("colmap", folder):
        return "colmap"
    if list_nersemble(folder) or (folder / CALIBRATION).is_file():
        return "nersemble"
    empty = not any(folder.iterdir())
    words = "the folder is empty" if empty else "no capture found in this folder"
    raise CaptureError(words, where=folder, remedy=_EXPECTED)


def list_subjects(
    source: str, root: str | Path, subjects: Sequence[str] | None = None
) -> list[str]:
    """The subjects of a tree, or those of the given ones, checked to be there.

    Args:
        source: one of :data:`SOURCES`, or "auto".
        root: folder of the captures.
        subjects: the ones wanted, those of NeRSemble with or without a moment (``@12``); None or
            an empty list takes all.

    Raises:
        ParameterError: an unknown source.
        CaptureError: no capture below ``root``, or a wanted subject is not there.
    """
    root = Path(root)
    source = _resolve(source, root)
    found = _list(source, root)
    if not found:
        raise CaptureError(f"no capture of source {source!r}", where=root, remedy=_EXPECTED)
    whole = {s: s.partition("@")[0] if source == "nersemble" else s for s in subjects or ()}
    missing = [s for s, name in whole.items() if name not in found]
    if missing:
        raise CaptureError(
            f"no subject {missing[0]!r}",
            where=root,
            remedy=f"There are {len(found)}: {some(found)}",
        )
    return list(subjects or found)


def open_capture(folder: str | Path, subject: str | None = None, source: str = "auto") -> Capture:
    """Open a capture by what lies in the folder.

    Args:
        folder: the folder of one capture (it holds ``transforms.json``, ``params.json`` or
            ``sparse``), or a tree of several, or a part of FaceScape's tree.
        subject: which one of a tree; may be left out where there is only one.
        source: one of :data:`SOURCES`, or "auto".

    Raises:
        ParameterError: an unknown source.
        CaptureError: nothing there that can be opened.
    """
    folder = Path(folder)
    source = _resolve(source, folder)
    root, part = _tree(source, folder)
    if subject is None and part and (folder / PARAMETERS).is_file():
        beside = folder / ALIGNMENT
        return read_facescape(root, part, beside if beside.is_file() else None)
    if subject is None:
        found = list_subjects(source, folder)
        if len(found) > 1:
            raise CaptureError(
                f"{len(found)} subjects, which one?",
                where=folder,
                remedy=f"Name one of {some(found)}",
            )
        subject = found[0]
    if part and subject not in _list(source, folder):
        subject = f"{part}/{subject}"
    if source in _TREES:
        return _TREES[source](root, subject)
    is_own, read = _FOLDERS[source]
    return read(folder if is_own(folder) and folder.resolve().name == subject else folder / subject)


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


def _tree(source: str, folder: Path) -> tuple[Path, str]:
    """The tree that a folder belongs to, and the part of it that it is; see :func:`tree_of`."""
    return tree_of(folder) if _TREES.get(source) is read_facescape else (folder, "")


def _list(source: str, root: Path) -> list[str]:
    if source == "nersemble":
        return list_nersemble(root)
    if source in _TREES:
        tree, part = _tree(source, root)
        found = list_facescape(tree)
        return [s for s in found if f"{s}/".startswith(f"{part}/")] if part else found
    return [folder.resolve().name for folder in _below(source, root)]


def _below(source: str, root: Path) -> list[Path]:
    """Folders of captures: ``root`` itself if it is one, else those in it."""
    is_own, _ = _FOLDERS[source]
    return [root] if is_own(root) else sorted(f for f in root.iterdir() if is_own(f))
