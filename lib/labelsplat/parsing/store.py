"""Soft predictions in compact files: one byte a class and pixel, compressed.

A probability p is stored as the byte nearest to ``255 sqrt(p)``: large ones are kept to .004, and
small ones, which decide where thin parts and ears lie after many views are fused, to a few
millionths, where equal steps would lose everything below .002.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary


@dataclass(frozen=True, eq=False)
class SoftPredictions:
    """Class probabilities of some images.

    Attributes:
        names: one a image, such as its file's stem.
        probabilities: ``[n, H, W, classes]`` float32, each pixel summing to 1.
        vocabulary: the meaning of the classes.
    """

    names: tuple[str, ...]
    probabilities: np.ndarray
    vocabulary: Vocabulary = CELEBAMASK

    def __post_init__(self) -> None:
        shape = self.probabilities.shape
        if len(shape) != 4 or shape[0] != len(self.names) or shape[-1] != len(self.vocabulary):
            raise LabelsplatError(
                f"probabilities {shape} do not fit {len(self.names)} images and the "
                f"{len(self.vocabulary)} classes of {self.vocabulary.name!r}"
            )

    @property
    def labels(self) -> np.ndarray:
        """``[n, H, W]`` uint8, the most probable class of every pixel."""
        return self.probabilities.argmax(-1).astype(np.uint8)


def save_predictions(path: str | Path, predictions: SoftPredictions) -> None:
    """Write predictions to ``path`` (``*.npz``); the same predictions give the same bytes."""
    codes = np.empty(predictions.probabilities.shape, np.uint8)
    for code, soft in zip(codes, predictions.probabilities, strict=True):
        code[...] = np.rint(255 * np.sqrt(np.clip(soft, 0, 1)))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            # Class by class, neighbours in memory are neighbours in the image: half the file.
            codes=np.ascontiguousarray(codes.transpose(0, 3, 1, 2)),
            names=np.array(predictions.names, dtype=np.str_),
            vocabulary=np.array(predictions.vocabulary.name),
        )


def load_predictions(path: str | Path) -> SoftPredictions:
    """Read what :func:`save_predictions` wrote; every pixel sums to 1 again.

    Raises:
        LabelsplatError: missing, truncated or foreign file; names it.
    """
    try:
        # Opened here, because np.load leaves a broken file open.
        with Path(path).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            codes = file["codes"]
            names = tuple(str(name) for name in file["names"])
            vocabulary = str(file["vocabulary"])
    except FileNotFoundError:
        raise LabelsplatError(
            "the predictions are missing", where=path, remedy="Run the prediction stage first"
        ) from None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise LabelsplatError(
            f"the predictions cannot be read ({error})", where=path, remedy="Predict again"
        ) from None
    if vocabulary not in VOCABULARIES:
        raise LabelsplatError(f"vocabulary {vocabulary!r} is unknown", where=path)
    soft = np.empty((len(codes), *codes.shape[2:], codes.shape[1]), np.float32)
    for target, code in zip(soft, codes, strict=True):
        target[...] = np.square(code.transpose(1, 2, 0).astype(np.float32))
        target /= target.sum(-1, keepdims=True)
    return SoftPredictions(names, soft, VOCABULARIES[vocabulary])
