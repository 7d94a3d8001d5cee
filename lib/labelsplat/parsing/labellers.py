"""Who says what is seen in photos: a parser, or masks that were made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.capture import Capture, Prepared
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary
from labelsplat.parsing.foreign import load_parser, predict_photos
from labelsplat.parsing.foreign_masks import foreign_predictions

SIDES = ("subject", "image")
"""Whose left ``l_`` is: the subject's, as everywhere here, or the image's."""


@dataclass(frozen=True, eq=False)
class Labeller:
    """Something that labels photos softly.

    Attributes:
        path: of the parser's file, or of the folder of masks.
        vocabulary: of the labels.
        label: soft labels ``[V, size, size, classes]`` of a capture's photos at working size.
    """

    path: Path
    vocabulary: Vocabulary
    label: Callable[[Capture, Prepared], np.ndarray]


def parser_labeller(
    path: str | Path,
    *,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
    temperature: float = 1.0,
    sides: str = "subject",
    device: str = "auto",
) -> Labeller:
    """A parser's file, see :func:`labelsplat.parsing.load_parser` for those that are known.

    Args:
        path: of the file.
        flip: average with the mirrored image.
        scales, temperature: as for :func:`labelsplat.parsing.predict_averaged`.
        sides: whose left its left is, one of :data:`SIDES`.
        device: "auto", "cpu" or "cuda".

    Raises:
        LabelsplatError: a missing, broken or unknown file; names it.
    """
    parser, mirrored = load_parser(path), _mirrored(sides)

    def label(capture: Capture, photos: Prepared) -> np.ndarray:
        soft = predict_photos(
            parser, capture, photos, flip, device, scales=scales, temperature=temperature
        )
        return soft[..., parser.vocabulary.flip] if mirrored else soft

    return Labeller(Path(path), parser.vocabulary, label)


def mask_labeller(
    folder: str | Path,
    order: str,
    *,
    renamed: dict[str, str] | None = None,
    sides: str = "subject",
) -> Labeller:
    """A folder of masks of the photos as taken, see :func:`foreign_predictions`.

    Args:
        folder: of the masks, named like the photos.
        order: what their indices (or colours) mean: a key of
            :data:`labelsplat.labels.VOCABULARIES`.
        renamed: our name of a class, where the names differ.
        sides: whose left their left is, one of :data:`SIDES`.

    Raises:
        LabelsplatError: no such folder, or an order that is not known.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise LabelsplatError("the folder of masks is missing", where=folder)
    if order not in VOCABULARIES:
        raise LabelsplatError(
            f"no vocabulary {order!r}",
            where=folder,
            remedy=f"Say what the masks' indices mean: {', '.join(VOCABULARIES)}",
        )
    vocabulary, mirrored = VOCABULARIES[order], _mirrored(sides)

    def label(capture: Capture, photos: Prepared) -> np.ndarray:
        found = foreign_predictions(
            folder, capture, photos, vocabulary, renamed=renamed, mirrored_sides=mirrored
        )
        return found.probabilities

    return Labeller(folder, CELEBAMASK, label)


def _mirrored(sides: str) -> bool:
    if sides not in SIDES:
        raise ParameterError(f"sides is {sides!r}", remedy=f"Use one of {', '.join(SIDES)}")
    return sides == "image"
