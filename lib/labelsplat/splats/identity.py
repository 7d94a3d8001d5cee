"""Which fit a checkpoint belongs to: a digest of all that its outcome depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from labelsplat.capture.cameras import Camera


def fit_identity(text: str, cameras: list[Camera], *arrays: np.ndarray | None) -> str:
    """A digest of a fit's input, of the code that fits, and of torch's version.

    Args:
        text: settings, seed and the like.
        cameras: of the views.
        arrays: photos and all that comes with them; None where there are none.
    """
    digest = hashlib.sha256(f"{text} {torch.__version__} {code_digest()}".encode())
    matrices = [m for c in cameras for m in (c.view_matrix, c.intrinsics)]
    for array in (*matrices, *arrays):
        digest.update(b"none" if array is None else str((array.shape, array.dtype)).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def code_digest(folder: Path = Path(__file__).parent) -> str:
    """A digest of the Python files below ``folder``, by default of this package: names and text.

    Half a fit of one code and half of another is a fit of neither.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        text = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(text)} ".encode() + text)
    return digest.hexdigest()
