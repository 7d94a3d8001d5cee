"""What the screens of a study show: items, checks and practice, with their label maps and scores.

An absurd label map is scored like any other, against the reference; without a reference it stands
in the key as worthless, with 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelsplat.labels import confusion, scores
from labelsplat.study.design import Screen
from labelsplat.study.judged import Judged
from labelsplat.study.overlay import absurd_map
from labelsplat.study.plan import StudySettings
from labelsplat.study.selection import Selection


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo of the study, with the label map of every method.

    Attributes:
        row: subject, view, identity, stratum.
        pixels: ``[S, S, 3]`` uint8.
        maps: ``[S, S]`` uint8, in the order of the methods.
        mious: likewise, NaN where they are not known.
        practice: whether it is shown for practice alone.
    """

    row: pd.Series
    pixels: np.ndarray
    maps: tuple[np.ndarray, ...]
    mious: tuple[float, ...]
    practice: bool


@dataclass(frozen=True, eq=False)
class Shown:
    """A screen with its photo, its label maps, and their scores.

    ``absurd`` numbers the label map that cannot be right, if one is.
    """

    screen: Screen
    photo: Photo
    maps: tuple[np.ndarray, ...]
    mious: tuple[float, ...]
    absurd: int | None


def read_photos(judged: Judged, selection: Selection) -> list[Photo]:
    """All photos of a study, the rated ones first, with all their label maps."""
    out = []
    for practice, table in ((False, selection.images), (True, selection.practice)):
        for _, row in table.iterrows():
            who = row["subject"], row["view"]
            out.append(
                Photo(
                    row=row,
                    pixels=judged.photo(*who),
                    maps=tuple(judged.mask(method, *who) for method in judged.methods),
                    mious=tuple(judged.miou(*who, method) for method in judged.methods),
                    practice=practice,
                )
            )
    return out


def absurd_screens(
    settings: StudySettings, images: int, methods: int, secret: bytes
) -> tuple[Screen, ...]:
    """Checks: which photos, and whose label maps are scrambled, is drawn.

    Of pairs, one label map is absurd, left and right in turn.
    """
    rng = np.random.default_rng([*b"absurd", *secret])
    # One of each stretch of the list, which is ordered by stratum.
    ends = [images * j // max(settings.absurd, 1) for j in range(settings.absurd + 1)]
    chosen = [int(rng.integers(low, high)) for low, high in itertools.pairwise(ends)]
    if settings.design == "acr":
        turns = rng.permutation(methods).tolist()
        return tuple(
            Screen("absurd", image, (turns[j % methods],)) for j, image in enumerate(chosen)
        )
    # The other one is the last method's: nothing but attention is asked for.
    turns, side = rng.permutation(methods - 1).tolist(), int(rng.integers(2))
    out = []
    for j, image in enumerate(chosen):
        shown = (turns[j % len(turns)], methods - 1)
        out.append(Screen("absurd", image, shown[::-1] if (j + side) % 2 else shown))
    return tuple(out)


def show_screens(
    judged: Judged,
    photos: Sequence[Photo],
    orders: Sequence[Sequence[Screen]],
    design: str,
    secret: bytes,
) -> dict[Screen, Shown]:
    """Every screen that somebody sees, sorted.

    Args:
        judged: names the methods.
        photos: by number.
        orders: of all raters; practice comes on top.
        design: ``acr`` or ``pairs``.
        secret: what all draws follow from.
    """
    methods = len(judged.methods)
    practice = _practice_screens(photos, methods, design)
    out = {}
    for screen in sorted({screen for order in orders for screen in order} | set(practice)):
        photo, wrong = photos[screen.image], None
        pictures = [(photo.maps[m], photo.mious[m]) for m in screen.methods]
        if screen.kind == "absurd" or screen in practice[1::3]:
            # Of a pair the method that comes first in the tables, not the good one.
            wrong = screen.methods.index(min(screen.methods))
            pictures[wrong] = _absurd(judged, photos, screen.image, screen.methods[wrong], secret)
        maps, mious = zip(*pictures, strict=True)
        out[screen] = Shown(screen, photo, maps, mious, wrong)
    return out


def _practice_screens(photos: Sequence[Photo], methods: int, design: str) -> list[Screen]:
    """Good, absurd, and whatever the first method gives: practice shows how far the scale goes."""
    best, other = methods - 1, 0
    alone = [(best,), (other,), (other,)]
    two = [(other, best), (other, best), (best, other)]
    turns = alone if design == "acr" else two
    own = [number for number, photo in enumerate(photos) if photo.practice]
    return [Screen("practice", image, turns[j % 3]) for j, image in enumerate(own)]


def example_screens(judged: Judged, shown: Iterable[Shown]) -> tuple[Screen, Screen] | None:
    """For the instructions: a practice screen whose colours fit, and one whose colours do not.

    None without true label maps, since nobody knows then that a map fits; of pairs, where a screen
    shows both; and without as much practice.
    """
    practice = [e for e in shown if e.screen.kind == "practice" and len(e.maps) == 1]
    true = judged.methods.index("reference") if judged.reference else None
    good = [e.screen for e in practice if e.absurd is None and e.screen.methods == (true,)]
    bad = [e.screen for e in practice if e.absurd is not None]
    return (good[0], bad[0]) if good and bad else None


def _absurd(
    judged: Judged, photos: Sequence[Photo], image: int, method: int, secret: bytes
) -> tuple[np.ndarray, float]:
    """Somebody else's label map, scrambled, and how it scores on this photo."""
    rng = np.random.default_rng([*b"scramble", image, *secret])
    labels = absurd_map(photos[_stranger(photos, image, rng)].maps[method], rng)
    if not judged.reference:
        return labels, 0.0
    truth = photos[image].maps[judged.methods.index("reference")]
    matrix = confusion(labels, truth, len(judged.vocabulary))
    return labels, scores(matrix, judged.vocabulary).miou


def _stranger(photos: Sequence[Photo], image: int, rng: np.random.Generator) -> int:
    """Number of a photo of somebody else, or of another photo where there is nobody else."""
    own = photos[image].row["identity"]
    others = [n for n, photo in enumerate(photos) if photo.row["identity"] != own]
    return int(rng.choice(others or [n for n in range(len(photos)) if n != image]))
