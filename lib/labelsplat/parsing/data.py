"""Labelled images: what a parser learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labelsplat.base import LabelsplatError
from labelsplat.labels import CELEBAMASK, IGNORE, Vocabulary


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images of one size with their label maps.

    Attributes:
        images: ``[n, H, W, 3]`` uint8 sRGB.
        labels: ``[n, H, W]`` uint8 class indices, 255 = ignore.
        vocabulary: what the indices mean.

    Raises:
        LabelsplatError: no image, shapes or types that do not fit, or an index without a class.
    """

    images: np.ndarray
    labels: np.ndarray
    vocabulary: Vocabulary = CELEBAMASK

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.shape[-1] != 3 or not len(images):
            raise LabelsplatError(
                f"labelled images have shape {images.shape}",
                remedy="Give at least one image, as [n, height, width, 3]",
            )
        if labels.shape != images.shape[:3]:
            raise LabelsplatError(
                f"label maps {labels.shape} do not fit images {images.shape}",
                remedy="Give one label map of the same height and width for each image",
            )
        if images.dtype != np.uint8 or labels.dtype != np.uint8:
            raise LabelsplatError(
                f"images are {images.dtype} and label maps {labels.dtype}, both must be uint8",
                remedy="Convert them: 0..255 for images, class indices for label maps",
            )
        wrong = labels[(labels >= len(self.vocabulary)) & (labels != IGNORE)]
        if wrong.size:
            raise LabelsplatError(
                f"label {wrong[0]} has no class in vocabulary {self.vocabulary.name!r}",
                remedy="Convert the label maps to this vocabulary by class name",
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int] | np.ndarray) -> LabelledImages:
        """The images at ``indices``, in that order."""
        chosen = np.asarray(indices)
        return LabelledImages(self.images[chosen], self.labels[chosen], self.vocabulary)

    def halved(self) -> LabelledImages:
        """The same images at half the width and height.

        Colours are averaged over 2 x 2 pixels; a label is that of one of the four, since labels
        have no average. An odd last row or column is left out.
        """
        n, height, width = self.labels.shape
        height, width = height // 2, width // 2
        images = self.images[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, 3)
        mean = (images.sum((2, 4), dtype=np.uint16) + 2) // 4
        labels = self.labels[:, 1 : 2 * height : 2, 1 : 2 * width : 2]
        return LabelledImages(mean.astype(np.uint8), labels.copy(), self.vocabulary)

    def joined(self, other: LabelledImages) -> LabelledImages:
        """These images followed by ``other``'s, of the same size and vocabulary."""
        if self.vocabulary != other.vocabulary:
            raise LabelsplatError(
                f"vocabularies {self.vocabulary.name!r} and {other.vocabulary.name!r} differ",
                remedy="Convert one set of label maps by class name first",
            )
        return LabelledImages(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.labels, other.labels]),
            self.vocabulary,
        )
