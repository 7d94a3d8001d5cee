"""Where the photos come from, and whether they are still the same.

Photos of a user's own are read in place: copying a licensed FaceScape tree into the project would
help nobody. DVC tracks what lies in the project, so it is told of changes outside by two small
files: ``data/source.json``, sizes and times of the photos, which the stage ``source`` looks at in
every run; and a digest of their content in ``data/capture/capture.json``, on which later stages
depend. Photos that were only touched are thus read again, but nothing is computed anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from labelsplat.base import CaptureError, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture.doors import list_subjects, open_capture
from labelsplat.capture.pools import pool_state
from labelsplat.capture.publish import publishable_ids
from labelsplat.capture.views import Capture


def note_source(layout: Layout, capture: dict) -> None:
    """Write ``data/source.json``: the source, and for photos of a user's own their sizes and times.

    Args:
        layout: the project's tree.
        capture: section ``capture`` of params.yaml.

    Raises:
        CaptureError: the user's photos cannot be opened.
    """
    write_json(layout.source_note, source_state(layout, capture))


def note_parser(layout: Layout, parser: str) -> None:
    """Write ``data/parser.json``: the file of ``predict.parser`` and digests of its content.

    Args:
        layout: the project's tree.
        parser: parameter ``predict.parser``; relative paths start at the project; "" = none.

    Raises:
        CaptureError: there is no such file.
    """
    note = {}
    if parser:
        file = layout.outside(parser)
        if not file.is_file():
            raise CaptureError(
                f"predict.parser is {parser!r}, which is no file",
                where="params.yaml",
                remedy='Name a parser file, or "" for the one that this project trains',
            )
        # Beside an ONNX model lie its description and, of a large one, its weights.
        beside = [*file.parent.glob(f"{file.name}?*"), file.with_suffix(".yaml")]
        files = [file, *sorted(p for p in beside if p.is_file())]
        note = {f.name: _file_digest(f) for f in files}
    write_json(layout.parser_note, note)


def source_state(layout: Layout, capture: dict) -> dict:
    """What :func:`note_source` writes; photos are not opened, so this takes no time."""
    pools = pool_state(layout, capture)
    own = {"pools": pools} if pools else {}
    if capture["source"] == "embedded":
        return {"source": "embedded", **own}
    root = source_root(layout, capture)
    names = list_subjects(capture["source"], root, capture["subjects"])
    subjects = {}
    for name in names:
        stats = {
            file: file.stat() for file in capture_files(open_capture(root, name, capture["source"]))
        }
        known = [(str(file), s.st_size, s.st_mtime_ns) for file, s in stats.items()]
        subjects[name] = hashlib.sha256(repr(known).encode()).hexdigest()
    # A list of whose faces may be shown lies outside, too.
    ids = publishable_ids(capture.get("publishable_ids", []), layout.root)
    shown = None if ids is None else sorted(ids)
    return {
        "source": capture["source"], "root": str(root), "subjects": subjects, "shown": shown, **own
    }  # fmt: skip


def source_root(layout: Layout, capture: dict) -> Path:
    """``capture.root`` as an absolute path; relative ones start at the project.

    Raises:
        CaptureError: there is no such folder.
    """
    root = layout.outside(capture["root"])
    if not capture["root"] or not root.is_dir():
        raise CaptureError(
            f"capture.root is {capture['root']!r}, which is no folder",
            where="params.yaml",
            remedy=f"Set capture.root to the folder of your {capture['source']} captures",
        )
    return root.resolve()


def capture_files(capture: Capture) -> list[Path]:
    """Every file that a capture is read from: photos, cameras, points, the JSON beside them."""
    photos = [view.image for view in capture.views]
    folders = {capture.root, *(photo.parent for photo in photos)}
    beside = (file for folder in folders for file in folder.glob("*.json"))
    return sorted({*photos, *capture.parameters, *beside})


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_digest(capture: Capture) -> str:
    """SHA-256 over names and content of :func:`capture_files`."""
    digest = hashlib.sha256()
    for file in capture_files(capture):
        digest.update(f"{file.name}\0".encode())
        digest.update(_file_digest(file).encode())
    return digest.hexdigest()
