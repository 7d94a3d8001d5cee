"""Which fit a checkpoint belongs to: a digest of all that its outcome depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from labelsplat.base.code import code_digest
from labelsplat.capture.cameras import Camera

_HERE = Path(__file__).parent


def fit_identity(text: str, cameras: list[Camera], *arrays: np.ndarray | None) -> str:
    """A digest of a fit's input, of the code that fits, and of torch's version.

    Args:
        text: settings, seed and the like.
        cameras: of the views.
        arrays: photos and all that comes with them; None where there are none.
    """
    digest = hashlib.sha256(f"{text} {torch.__version__} {code_digest(_HERE)}".encode())
    matrices = [m for c in cameras for m in (c.view_matrix, c.intrinsics)]
    for array in (*matrices, *arrays):
        digest.update(b"none" if array is None else str((array.shape, array.dtype)).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
