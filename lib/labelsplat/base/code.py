"""Which code made something: what was begun by one code must not be ended by another."""

from __future__ import annotations

import hashlib
from pathlib import Path


def code_digest(*folders: Path) -> str:
    """A digest of the Python files below some folders: names and text."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            text = path.read_bytes()
            name = path.relative_to(folder.parent).as_posix()
            digest.update(f"{name} {len(text)} ".encode() + text)
    return digest.hexdigest()
