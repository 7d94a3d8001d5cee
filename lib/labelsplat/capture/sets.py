"""Truth trees: what embedded heads know about their images, kept apart from the captures.

``{root}/{subject}/{view}.png`` holds class indices (with palette), ``{view}_alpha.png`` how much
of the pixel the head covers (8 bits), ``{view}_depth.png`` the depth in 0.1 mm (16 bits, 0 where
there is no surface), and ``{root}/labels.json`` says what the indices mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError, atomic_path
from labelsplat.labels import (
    CELEBAMASK,
    Vocabulary,
    read_label_map,
    write_label_map,
    write_vocabulary,
)

DEPTH_UNIT = 1e-4
"""Metres in one step of a depth file."""


def write_truth(
    root: str | Path,
    subject: str,
    view: str,
    labels: np.ndarray,
    alpha: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    vocabulary: Vocabulary = CELEBAMASK,
) -> None:
    """Write the truth of one image.

    Args:
        root: folder of the tree.
        subject: as in the capture, e.g. ``"7/1_neutral"``.
        view: name of the view.
        labels: ``[H, W]`` uint8 class indices.
        alpha: ``[H, W]`` coverage, float in 0..1 or uint8.
        depth: ``[H, W]`` float, metres along the optical axis; what is not finite, not positive
            or beyond 6.55 m counts as no surface.
        vocabulary: of the labels.
    """
    root = Path(root)
    if not (root / "labels.json").is_file():
        write_vocabulary(root / "labels.json", vocabulary)
    folder = root / subject
    write_label_map(folder / f"{view}.png", labels, vocabulary)
    if alpha is not None:
        if alpha.dtype != np.uint8:
            alpha = np.round(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
        _write(folder / f"{view}_alpha.png", alpha)
    if depth is not None:
        steps = np.round(np.asarray(depth, np.float64) / DEPTH_UNIT)
        known = (steps > 0) & (steps <= np.iinfo(np.uint16).max)  # NaN compares false
        _write(folder / f"{view}_depth.png", np.where(known, steps, 0).astype(np.uint16))


def read_labels(
    root: str | Path, subject: str, names: Sequence[str], vocabulary: Vocabulary = CELEBAMASK
) -> np.ndarray:
    """Label maps of the named views, ``[V, H, W]`` uint8.

    Raises:
        LabelsplatError: a map is missing or broken.
        CaptureError: the maps differ in size.
    """
    return _stack(root, subject, names, "", lambda path: read_label_map(path, vocabulary))


def read_alpha(root: str | Path, subject: str, names: Sequence[str]) -> np.ndarray:
    """Coverage of the named views, ``[V, H, W]`` float32 in 0..1; CaptureError if not readable."""
    return _stack(root, subject, names, "_alpha", _read).astype(np.float32) / 255


def read_depth(root: str | Path, subject: str, names: Sequence[str]) -> np.ndarray:
    """Depth of the named views, ``[V, H, W]`` float32 metres, 0 where there is no surface.

    Raises:
        CaptureError: a file is missing or broken, or they differ in size.
    """
    steps = _stack(root, subject, names, "_depth", _read)
    return (steps * DEPTH_UNIT).astype(np.float32)


def _stack(
    root: str | Path,
    subject: str,
    names: Sequence[str],
    suffix: str,
    read: Callable[[Path], np.ndarray],
) -> np.ndarray:
    folder = Path(root) / subject
    maps = [read(folder / f"{name}{suffix}.png") for name in names]
    sizes = sorted({m.shape for m in maps})
    if len(sizes) != 1:
        raise CaptureError(
            f"the {len(maps)} maps should be of one size, found {sizes}", where=folder
        )
    return np.stack(maps)


def _write(path: Path, values: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(values).save(temporary, format="PNG")


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image)
    except FileNotFoundError:
        raise CaptureError("the file is missing", where=path) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CaptureError(f"the file cannot be read ({error})", where=path) from None
