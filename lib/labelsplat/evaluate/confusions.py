"""Confusion counts of single views, and their sums over identities and pose strata.

One matrix a view is kept, because all that is ever asked (a stratum, an identity, a resample of
identities, one picture) is a sum of such matrices. Scores are taken of the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labelsplat.labels import (
    CELEBAMASK,
    STRATA,
    Conversion,
    Vocabulary,
    confusion,
    in_stratum,
    scores,
)


@dataclass(frozen=True, eq=False)
class ViewConfusions:
    """Confusion counts of n views of one or more heads.

    Attributes:
        subjects: ``[n]`` subject of each view, ``"301/1_neutral"``; the part before the slash is
            the identity, so that expressions of one person stay together.
        names: ``[n]`` name of each view.
        angles: ``[n, 2]`` float64 (yaw, pitch) in degrees, NaN without a head frame.
        matrices: ``[n, C, C]`` int64 pixels; rows are the true class, columns the predicted one.
        vocabulary: the C classes.
    """

    subjects: tuple[str, ...]
    names: tuple[str, ...]
    angles: np.ndarray
    matrices: np.ndarray
    vocabulary: Vocabulary = CELEBAMASK

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def identities(self) -> tuple[str, ...]:
        """The different identities, in the order in which they first appear."""
        return tuple(dict.fromkeys(identity_of(s) for s in self.subjects))

    def inside(self, stratum: str) -> np.ndarray:
        """``[n]`` bool: which views belong to a stratum.

        Views without a head frame belong to "all" alone.
        """
        if stratum not in STRATA:
            raise ValueError(f"unknown stratum {stratum!r}, expected one of {STRATA}")
        unknown = np.isnan(self.angles).any(1)
        known = np.array([in_stratum(stratum, *pose) for pose in self.angles], bool)
        return np.where(unknown, stratum == "all", known)

    def by_identity(self, stratum: str) -> np.ndarray:
        """``[identities, C, C]`` int64 sums over each identity's views in a stratum."""
        place = {name: i for i, name in enumerate(self.identities)}
        out = np.zeros((len(place), *self.matrices.shape[1:]), np.int64)
        for i in np.flatnonzero(self.inside(stratum)):
            out[place[identity_of(self.subjects[i])]] += self.matrices[i]
        return out

    def total(self, stratum: str) -> np.ndarray:
        """``[C, C]`` int64 sum over all views in a stratum."""
        return self.matrices[self.inside(stratum)].sum(0)

    def carried(self, vocabulary: Vocabulary) -> ViewConfusions:
        """The counts in another vocabulary, truth and prediction alike carried to it by name."""
        if vocabulary == self.vocabulary:
            return self
        matrices = Conversion(self.vocabulary, vocabulary).confusion(self.matrices)
        return replace(self, matrices=matrices, vocabulary=vocabulary)

    def view_scores(self) -> np.ndarray:
        """``[n]`` mean IoU of each view by itself; for picking examples, not for reporting."""
        return np.array([scores(matrix, self.vocabulary).miou for matrix in self.matrices])


def identity_of(subject: str) -> str:
    """The person behind a subject: ``"301"`` of ``"301/1_neutral"``."""
    return subject.partition("/")[0]


def compare_views(
    subject: str,
    names: Sequence[str],
    angles: np.ndarray | None,
    labels: np.ndarray,
    truth: np.ndarray,
    vocabulary: Vocabulary = CELEBAMASK,
) -> ViewConfusions:
    """Confusion counts of one subject's views.

    Args:
        subject: its name.
        names: V view names.
        angles: ``[V, 2]`` degrees, or None without a head frame.
        labels: ``[V, H, W]`` uint8 to be judged; 255 is left out.
        truth: ``[V, H, W]`` uint8; 255 is left out.
        vocabulary: of both.
    """
    if not len(names) == len(labels) == len(truth):
        raise ValueError(f"{len(names)} names, {len(labels)} label maps, {len(truth)} true ones")
    matrices = [confusion(a, b, len(vocabulary)) for a, b in zip(labels, truth, strict=True)]
    if angles is None:
        angles = np.full((len(names), 2), np.nan)
    return ViewConfusions(
        (subject,) * len(names),
        tuple(names),
        np.asarray(angles, float),
        np.stack(matrices),
        vocabulary,
    )


def join(parts: Sequence[ViewConfusions]) -> ViewConfusions:
    """All views of several; ValueError if there are none."""
    if not parts:
        raise ValueError("nothing to join")
    return ViewConfusions(
        sum((p.subjects for p in parts), ()),
        sum((p.names for p in parts), ()),
        np.concatenate([p.angles for p in parts]),
        np.concatenate([p.matrices for p in parts]),
        parts[0].vocabulary,
    )
