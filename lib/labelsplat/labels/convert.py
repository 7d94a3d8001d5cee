"""Label maps and soft predictions carried from one vocabulary to another, by class name.

A class of the source becomes

1. the class of the same name in the target; else
2. the class that the target uses for such parts (``Vocabulary.holds``: LaPa's skin holds the ears);
3. else no label: :data:`IGNORE` in a label map, and in a soft map its probability goes to the other
   classes in proportion. Nobody knows what the target's annotators would have said.

Nothing is guessed the other way: where the source does not tell parts apart, the target's finer
classes stay empty (:attr:`Conversion.absent`), and their pixels carry the coarser name. So two
label maps are compared in the COARSER vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from labelsplat.labels.vocabulary import IGNORE, Vocabulary

_NOWHERE = -1


@dataclass(frozen=True)
class Conversion:
    """How classes of one vocabulary become classes of another.

    Attributes:
        source: the vocabulary that label maps come in.
        target: the one that they are carried to.
    """

    source: Vocabulary
    target: Vocabulary

    @cached_property
    def indices(self) -> np.ndarray:
        """``[source classes]`` int64: the target's index of each class, -1 where it has none."""
        held = dict(self.target.holds)
        names = [n if n in self.target.classes else held.get(n) for n in self.source.classes]
        return np.array([_NOWHERE if n is None else self.target.index(n) for n in names])

    @property
    def merged(self) -> dict[str, tuple[str, ...]]:
        """Classes of the target that more than one class of the source becomes, with those."""
        groups = {
            name: tuple(np.array(self.source.classes)[self.indices == i].tolist())
            for i, name in enumerate(self.target.classes)
        }
        return {name: parts for name, parts in groups.items() if len(parts) > 1}

    @property
    def dropped(self) -> tuple[str, ...]:
        """Classes of the source that have no class in the target."""
        pairs = zip(self.source.classes, self.indices, strict=True)
        return tuple(name for name, index in pairs if index == _NOWHERE)

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the target that nothing becomes."""
        given = set(self.indices.tolist())
        return tuple(name for i, name in enumerate(self.target.classes) if i not in given)

    @property
    def is_reordering(self) -> bool:
        """Whether both have the same classes, so that nothing is merged, dropped or absent."""
        return set(self.source.classes) == set(self.target.classes)

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Carry label maps.

        Args:
            labels: uint8, any shape, indices of the source; IGNORE stays.

        Returns:
            the same shape, uint8, indices of the target or IGNORE.

        Raises:
            ValueError: an index without a class.
        """
        labels = np.asarray(labels)
        bad = labels[(labels >= len(self.source)) & (labels != IGNORE)]
        if bad.size:
            raise ValueError(f"label {bad.flat[0]} has no class in {self.source.name!r}")
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self.source)] = np.where(self.indices == _NOWHERE, IGNORE, self.indices)
        return table[labels]

    def soft(self, probabilities: np.ndarray) -> np.ndarray:
        """Carry soft predictions.

        Args:
            probabilities: ``[..., source classes]``, each pixel summing to 1.

        Returns:
            ``[..., target classes]`` float32, each pixel summing to 1. Where all of a pixel's
            probability lies on dropped classes, every class that is not absent gets the same.

        Raises:
            ValueError: the last axis is not as long as the source has classes.
        """
        if probabilities.shape[-1] != len(self.source):
            raise ValueError(
                f"{probabilities.shape[-1]} classes are not the {len(self.source)} of "
                f"{self.source.name!r}"
            )
        carried = np.asarray(probabilities, np.float32) @ self.matrix
        total = carried.sum(-1, keepdims=True)
        reached = self.matrix.any(0).astype(np.float32)
        return np.where(total > 1e-6, carried / np.maximum(total, 1e-6), reached / reached.sum())

    def confusion(self, matrix: np.ndarray) -> np.ndarray:
        """Carry confusion matrices, truth and prediction alike; dropped classes are left out.

        Args:
            matrix: ``[..., C, C]`` counts, C classes of the source.

        Returns:
            ``[..., T, T]`` int64, T classes of the target: what
            :func:`labelsplat.labels.confusion` counts on label maps that were carried first.
        """
        one = self.matrix.astype(np.int64)
        return one.T @ np.asarray(matrix, np.int64) @ one

    @cached_property
    def matrix(self) -> np.ndarray:
        """``[source classes, target classes]`` float32 of zeros and ones."""
        return (self.indices[:, None] == np.arange(len(self.target))).astype(np.float32)

    def report(self) -> str:
        """One line that says what is merged, dropped and absent; for logs and tables."""
        merged = [f"{' + '.join(parts)} = {name}" for name, parts in self.merged.items()]
        told = {
            "merged": "; ".join(merged),
            "without a label": ", ".join(self.dropped),
            "never given": ", ".join(self.absent),
        }
        parts = [f"{what}: {names}" for what, names in told.items() if names]
        head = f"{self.source.name} to {self.target.name}"
        return f"{head}: {'. '.join(parts) if parts else 'the same classes'}"
