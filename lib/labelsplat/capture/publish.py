"""Whose faces reports may show.

FaceScape's licence lets pictures AND renders be published only of the identities on its list
(``publishable_list_v1.txt``). ``capture.publishable_ids`` names them; everybody else is worked with
like the others, but left out of every picture.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from labelsplat.base import CaptureError

_SEPARATORS = re.compile(r"[\s,;]+")


def publishable_ids(entries: Sequence[str], root: str | Path = ".") -> frozenset[str] | None:
    """The identities that pictures may show; None where no list is given, and all may be shown.

    Args:
        entries: identities, e.g. ``["122", "212"]``, or paths of text files that list them, with
            spaces, commas or line ends between. What ends in ``.txt`` is a path.
        root: folder that relative paths start from.

    Raises:
        CaptureError: a file that cannot be read, or that lists nobody.
    """
    if not entries:
        return None
    found: set[str] = set()
    for entry in entries:
        if not entry.lower().endswith(".txt"):
            found.add(_plain(entry))
            continue
        path = Path(root) / Path(entry).expanduser()
        try:
            words = [word for word in _SEPARATORS.split(path.read_text(encoding="utf-8")) if word]
        except (OSError, UnicodeDecodeError) as error:
            raise CaptureError(
                f"the list of publishable identities cannot be read ({error})",
                where=path,
                remedy="capture.publishable_ids holds identities, or the path of a text file",
            ) from None
        if not words:
            raise CaptureError("lists no identity", where=path)
        found.update(map(_plain, words))
    return frozenset(found)


def is_publishable(subject: str, ids: Collection[str] | None) -> bool:
    """Whether pictures may show a subject.

    Args:
        subject: ``"{id}/{k_expression}"``, or any name, which then is the identity itself.
        ids: from :func:`publishable_ids`.
    """
    return ids is None or _plain(subject.partition("/")[0]) in ids


def _plain(identity: str) -> str:
    """One spelling of a number: "007" is "7"."""
    return identity.lstrip("0") or "0" if identity.isdecimal() else identity
