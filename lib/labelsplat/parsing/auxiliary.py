"""The auxiliary training set that refinement makes.

::

    {root}/labels.json                             what the indices mean
    {root}/{part}/images/{subject}/{view}.png      photo, or rendered view
    {root}/{part}/labels/{subject}/{view}.png      class indices, palette, 255 = ignore
    {root}/{part}/confidence/{subject}/{view}.png  posterior of the label, 0..255

Parts are ``captured`` (the capture's own photos) and ``novel`` (rendered from new cameras).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.labels import (
    CELEBAMASK,
    Vocabulary,
    read_label_map,
    write_label_map,
    write_vocabulary,
)
from labelsplat.parsing.data import LabelledImages

PARTS = ("captured", "novel")


@dataclass(frozen=True, eq=False)
class LabelledViews:
    """Views of one subject with refined labels.

    Attributes:
        subject: e.g. "201/1_neutral".
        names: V file names without suffix.
        images: ``[V, H, W, 3]`` uint8.
        labels: ``[V, H, W]`` uint8.
        confidence: ``[V, H, W]`` 0..1.
    """

    subject: str
    names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray


def write_views(
    root: Path, part: str, views: LabelledViews, vocabulary: Vocabulary = CELEBAMASK
) -> None:
    """Add one subject's views to a part of the set."""
    if not (root / "labels.json").is_file():
        write_vocabulary(root / "labels.json", vocabulary)
    for i, name in enumerate(views.names):
        path = Path(views.subject) / f"{name}.png"
        _save(root / part / "images" / path, views.images[i])
        write_label_map(root / part / "labels" / path, views.labels[i], vocabulary)
        sure = np.round(np.clip(views.confidence[i], 0, 1) * 255).astype(np.uint8)
        _save(root / part / "confidence" / path, sure)


def read_part(root: Path, part: str, vocabulary: Vocabulary = CELEBAMASK) -> LabelledImages:
    """All images of a part with their labels, ordered by path.

    Raises:
        LabelsplatError: the part is missing or empty, or a label map cannot be read.
    """
    paths = sorted((root / part / "images").rglob("*.png"))
    if not paths:
        raise LabelsplatError(
            "no images here", where=root / part, remedy="Run the refine stage first"
        )
    images, labels = [], []
    for path in paths:
        with Image.open(path) as image:
            images.append(np.array(image.convert("RGB")))
        place = path.relative_to(root / part / "images")
        labels.append(read_label_map(root / part / "labels" / place, vocabulary))
    return LabelledImages(np.stack(images), np.stack(labels), vocabulary)


def read_confidence(root: Path, part: str, subject: str, names: Sequence[str]) -> np.ndarray:
    """Confidences of a subject's views, ``[V, H, W]`` float32, 0 to 1, in steps of 1/255.

    Raises:
        LabelsplatError: a file is missing or broken.
    """
    maps = []
    for name in names:
        path = root / part / "confidence" / subject / f"{name}.png"
        try:
            with Image.open(path) as image:
                maps.append(np.asarray(image.convert("L"), np.float32) / 255)
        except (OSError, SyntaxError) as error:
            raise LabelsplatError(
                f"the confidence cannot be read ({error})", where=path, remedy="Run: make repro"
            ) from None
    return np.stack(maps)


def _save(path: Path, values: np.ndarray) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(values).save(temporary, format="PNG")
