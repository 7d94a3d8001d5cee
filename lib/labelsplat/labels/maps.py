"""Label maps and their files: single-channel index PNGs with a palette beside a ``labels.json``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import LabelsplatError, atomic_path, write_json
from labelsplat.labels.vocabulary import IGNORE, Vocabulary


def foreground(labels: np.ndarray) -> np.ndarray:
    """Where label maps (any shape) show the person: neither background nor :data:`IGNORE`."""
    return (labels != 0) & (labels != IGNORE)


def write_label_map(path: str | Path, labels: np.ndarray, vocabulary: Vocabulary) -> None:
    """Write ``labels [height, width]`` uint8 as an index PNG that viewers show in colour."""
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8), mode="P")
    image.putpalette(vocabulary.colours.tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True)


def read_label_map(path: str | Path, vocabulary: Vocabulary) -> np.ndarray:
    """Read an index PNG as ``[height, width]`` uint8.

    Raises:
        LabelsplatError: missing or broken file, a colour image, or an index without a class.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in ("P", "L"):
                raise LabelsplatError(
                    f"a label map has one channel of class indices, this image is {image.mode}",
                    where=path,
                    remedy="Save class indices (modes P or L), not colours",
                )
            labels = np.array(image, np.uint8)
    except FileNotFoundError:
        raise LabelsplatError("the label map is missing", where=path) from None
    except (OSError, SyntaxError) as error:
        raise LabelsplatError(f"the label map cannot be read ({error})", where=path) from None
    bad = np.unique(labels[(labels >= len(vocabulary)) & (labels != IGNORE)])
    if bad.size:
        raise LabelsplatError(
            f"index {bad[0]} has no class in vocabulary {vocabulary.name!r} "
            f"({len(vocabulary)} classes, {IGNORE} = ignore)",
            where=path,
            remedy="Convert the masks to this vocabulary by class name",
        )
    return labels


def write_vocabulary(path: str | Path, vocabulary: Vocabulary) -> None:
    """Write a ``labels.json`` that says what the indices of the maps beside it mean."""
    write_json(
        path,
        {
            "vocabulary": vocabulary.name,
            "ignore": IGNORE,
            "classes": [
                {"index": i, "name": name, "colour": list(colour)}
                for i, (name, colour) in enumerate(
                    zip(vocabulary.classes, vocabulary.palette, strict=True)
                )
            ],
        },
    )
