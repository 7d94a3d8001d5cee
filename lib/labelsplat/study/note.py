"""Which ratings are analysed, noted where DVC sees a change."""

from __future__ import annotations

import hashlib

from labelsplat.base import LabelsplatError, write_json
from labelsplat.base.layout import Layout


def note_ratings(layout: Layout, ratings: str) -> None:
    """Write ``data/ratings.json``: the file of ``study.ratings`` and a digest of its content.

    DVC tracks what lies in the project; ratings lie where the lab keeps them.

    Args:
        layout: the project's tree.
        ratings: parameter ``study.ratings``; relative paths start at the project; "" = a panel.

    Raises:
        LabelsplatError: there is no such file.
    """
    note = {}
    if ratings:
        file = layout.outside(ratings)
        if not file.is_file():
            raise LabelsplatError(
                f"study.ratings is {ratings!r}, which is no file",
                where="params.yaml",
                remedy='Name a CSV file that the rating app exported, or "" for a simulated panel',
            )
        note[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    write_json(layout.ratings_note, note)
