"""The key of an item package: what each blinded name stands for. It stays with the analyst.

A CSV file with one row an item. Of ``acr`` items the columns ``other_*`` are empty; of ``pairs``
items they describe the right one, the plain columns the left one.

============================  ==================================================================
``study, item``               as in the package
``kind``                      ``item``, ``absurd`` (a label map that cannot be right), ``repeat``
                              (an item that the rater has seen before) or ``practice``
``image``                     which photo, blinded; the factor "image" of every model
``subject, identity``         whose capture, and which person: one may have several captures
``view, stratum``             which photo, how it is posed
``method, miou``              whose label map (:data:`METHODS`); its mIoU on this photo, if known
``other_method, other_miou``  likewise
``repeat_of``                 the item that a ``repeat`` shows once more
``absurd_side``               of an ``absurd`` item of ``pairs``: which one cannot be right
============================  ==================================================================
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.base.arms import REFERENCE, STUDY_ARMS

METHODS = (*STUDY_ARMS, REFERENCE)
"""What is rated: arms by the names that ``evaluate.json`` gives them, and the true label map."""

KINDS = ("item", "absurd", "repeat", "practice")
"""Only ``item`` rows are scored; ``absurd`` and ``repeat`` check attention."""

COLUMNS = (
    "study", "item", "kind", "image", "subject", "identity", "view", "stratum", "method", "miou",
    "other_method", "other_miou", "repeat_of", "absurd_side",
)  # fmt: skip

SIDES = ("left", "right")
"""Of two label maps; on a narrow screen the left one stands above."""

_NUMBERS = ("miou", "other_miou")


def write_key(path: str | Path, key: pd.DataFrame) -> None:
    """Write a key with the columns :data:`COLUMNS`, whole or not at all."""
    with atomic_path(path) as temporary:
        key[list(COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")


def read_key(path: str | Path) -> pd.DataFrame:
    """The key, one row an item, columns :data:`COLUMNS`; texts, with "" where there is nothing.

    Raises:
        LabelsplatError: no such file, missing columns, an unknown kind or method, an item without a
            person, an absurd pair without its absurd side, two rows of one item, or several
            studies; names the file.
    """
    path = Path(path)
    try:
        key = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise LabelsplatError(
            f"the key cannot be read ({error})", where=path, remedy="Run `make repro`"
        ) from None
    missing = [name for name in COLUMNS if name not in key]
    if missing:
        raise LabelsplatError(
            f"no column {missing[0]!r}", where=path, remedy="Prepare the study anew: `make repro`"
        )
    methods = set(key["method"]) | (set(key["other_method"]) - {""})
    for what, wrong in (
        ("kind", set(key["kind"]) - set(KINDS)),
        ("method", methods - set(METHODS)),
    ):
        if wrong:
            raise LabelsplatError(f"unknown {what} {sorted(wrong)[0]!r}", where=path)
    nobody = key["item"][key["identity"] == ""]
    if len(nobody):
        raise LabelsplatError(f"item {nobody.iloc[0]!r} shows no person (identity)", where=path)
    sided = (key["kind"] == "absurd") & (key["other_method"] != "")
    wrong = key[sided != key["absurd_side"].isin(SIDES)]
    if len(wrong):
        row = wrong.iloc[0]
        raise LabelsplatError(
            f"item {row['item']!r} has absurd_side {row['absurd_side']!r}: expected left or right "
            "of an absurd pair, nothing of all others",
            where=path,
        )
    if key["item"].duplicated().any():
        twice = key["item"][key["item"].duplicated()].iloc[0]
        raise LabelsplatError(f"item {twice!r} stands there twice", where=path)
    if key["study"].nunique() != 1:
        raise LabelsplatError("the key of exactly one study was expected", where=path)
    for name in _NUMBERS:
        key[name] = pd.to_numeric(key[name], errors="coerce")
    return key[list(COLUMNS)]
