"""Personal links: one unguessable token a rater, of which the database holds a digest alone.

A token has 256 random bits, so that its plain SHA-256 cannot be turned back by guessing; whoever
reads the database can neither open a rater's page nor answer in a rater's name.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from labelsplat.base import LabelsplatError

_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """A fresh token: 43 characters that may stand in an address."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> bytes | None:
    """The digest that a token is looked up by; None for what can be no token.

    The look-up compares digests, never tokens: how long it takes tells nothing about a token.
    """
    return hashlib.sha256(token.encode()).digest() if _SHAPE.fullmatch(token) else None


def personal_link(base: str, token: str) -> str:
    """The address that a rater opens.

    Args:
        base: where raters reach the app, e.g. ``https://study.example.org``.
        token: from :func:`new_token`.
    """
    return f"{base.rstrip('/')}/s/{token}"


def write_links(path: str | Path, rows: Iterable[tuple[str, str]]) -> None:
    """Write ``rater,link`` as a CSV that its owner alone may read.

    Args:
        path: a file that is not there yet.
        rows: (pseudonym, address).

    Raises:
        LabelsplatError: the file is there already (links in it may be in use), or cannot be made.
    """
    path = Path(path)
    text = "rater,link\n" + "".join(f"{rater},{link}\n" for rater, link in rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Owner-only from the first byte on: a chmod afterwards would leave a gap.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise LabelsplatError(
            "the file exists, and its links may be in use", where=path, remedy="Name another file"
        ) from None
    except OSError as error:
        raise LabelsplatError(f"cannot be written ({error})", where=path) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
