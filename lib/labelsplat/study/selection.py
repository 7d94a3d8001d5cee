"""Which photos are shown: as many of each pose stratum, as evenly over people as there are photos.

No score is looked at. Photos chosen for their mIoU, or for how far two methods lie apart on them,
would give a mean opinion score of that choice; whoever draws them so can have any result.
Draws follow from the seed and from the list of photos alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from labelsplat.base import LabelsplatError

FEWEST = 6
"""Photos below which there is no study, whatever was asked for."""

ENOUGH_PEOPLE = 8
"""With so many people one of them is kept for practice, so that no practised face is rated."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Photos of a study.

    Attributes:
        images: rated, a table like ``images.csv``, ordered by stratum.
        practice: shown first, as practice; may hold fewer than asked for.
        notes: what could not be had as asked for, in sentences for people.
    """

    images: pd.DataFrame
    practice: pd.DataFrame
    notes: tuple[str, ...]


def choose_images(
    table: pd.DataFrame, *, images: int, practice: int, strata: tuple[str, ...], seed: int
) -> Selection:
    """Choose the photos to be rated, and others for practice.

    Each stratum gets its share, within one; what a stratum lacks goes to the others. The next photo
    is always of a person who has the fewest yet. Photos whose stratum is not known ("") count as a
    stratum of their own: where none is known, people alone are balanced.

    Args:
        table: columns subject, view, identity, stratum; scores are neither needed nor looked at.
        images: photos to be rated.
        practice: photos for practice.
        strata: those to choose from, the most wanted first: it gets what cannot be shared out.
        seed: of the draws.

    Raises:
        LabelsplatError: fewer than :data:`FEWEST` photos although more were asked for.
    """
    wanted = table[table["stratum"].isin((*strata, ""))]
    wanted = wanted.sort_values(["subject", "view"], ignore_index=True)
    if len(wanted) < min(images, FEWEST):
        raise LabelsplatError(
            f"{len(wanted)} photos in the strata {', '.join(strata)}, a study of {images} needs at "
            f"least {min(images, FEWEST)}",
            where="study.images",
            remedy="Photograph more people, or more poses",
        )
    rng = np.random.default_rng([*b"selection", seed])
    people = sorted(set(wanted["identity"]))
    notes: list[str] = []
    kept = None
    if practice and len(people) >= ENOUGH_PEOPLE:
        kept = people[rng.integers(len(people))]
        if (wanted["identity"] != kept).sum() < images:
            kept = None
    pool = wanted[wanted["identity"] != kept] if kept else wanted
    chosen = _balanced(pool, images, strata, rng)
    if len(chosen) < images:
        notes.append(f"{images} photos were asked for, there are {len(chosen)}.")
    rest = wanted.drop(chosen)
    strangers = rest[~rest["identity"].isin(wanted.loc[chosen, "identity"])]
    others = _balanced(strangers, practice, strata, rng)
    if len(others) < practice:
        others += _balanced(rest.drop(others), practice - len(others), strata, rng)
        if others:
            notes.append("Practice shows other photos of people who are rated, too.")
    if len(others) < practice:
        notes.append(f"{practice} practice photos were asked for, {len(others)} are left.")
    ranks = {name: rank for rank, name in enumerate((*reversed(strata), ""))}
    rated = wanted.loc[chosen]
    rated = rated.sort_values("stratum", key=lambda s: s.map(ranks), kind="stable")
    return Selection(
        rated.reset_index(drop=True), wanted.loc[others].reset_index(drop=True), tuple(notes)
    )


def shares(available: dict[str, int], count: int) -> dict[str, int]:
    """``count`` places shared out evenly among groups that may be too small for their share.

    Args:
        available: how many there are by group; earlier groups get what cannot be shared out.
        count: places.

    Returns:
        Places by group. Two groups differ by more than one only where the smaller is used up.
    """
    out = dict.fromkeys(available, 0)
    for _ in range(min(count, sum(available.values()))):
        open_groups = [name for name in available if out[name] < available[name]]
        out[min(open_groups, key=out.__getitem__)] += 1
    return out


def _balanced(
    table: pd.DataFrame, count: int, strata: tuple[str, ...], rng: np.random.Generator
) -> list[int]:
    """Index labels of up to ``count`` rows, of strata in turn, each of a person seen least yet."""
    groups = {name: table[table["stratum"] == name] for name in (*strata, "")}
    left = shares({name: len(rows) for name, rows in groups.items()}, count)
    seen: Counter[str] = Counter()
    seen_so: Counter[tuple[str, str]] = Counter()
    chosen: list[int] = []
    while any(left.values()):
        for name in [name for name, places in left.items() if places]:
            rows = groups[name]
            # Ties are drawn: people in the order of their numbers would favour the first.
            chance = rng.random(len(rows))
            order = [
                (seen[person], seen_so[name, person], tie, label)
                for label, person, tie in zip(rows.index, rows["identity"], chance, strict=True)
                if label not in chosen
            ]
            label = min(order)[-1]
            person = rows.loc[label, "identity"]
            seen[person] += 1
            seen_so[name, person] += 1
            chosen.append(label)
            left[name] -= 1
    return chosen
