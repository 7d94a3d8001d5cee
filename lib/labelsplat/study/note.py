"""What of a study lies outside the project, noted where DVC sees a change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from labelsplat.base import LabelsplatError, write_json
from labelsplat.base.layout import Layout

_FILES = {
    "ratings": ("", 'a CSV file that the rating app exported, or "" for a simulated panel'),
    "package": ("manifest.json", 'the folder that was rated, or "" for data/study/package'),
    "key": ("", 'the key of the package, or "" for data/study/key.csv'),
}
"""Parameters that name something outside; which file of it tells, and what should be there."""


def note_ratings(layout: Layout, study: Mapping[str, object]) -> None:
    """Write ``data/ratings.json``: digests of ratings, package and key that lie elsewhere.

    DVC tracks what lies in the project; these lie where the lab keeps them.

    Args:
        layout: the project's tree.
        study: section ``study`` of params.yaml; relative paths start at the project.

    Raises:
        LabelsplatError: there is no such file.
    """
    note = {}
    for name, (inner, wanted) in _FILES.items():
        named = str(study[name])
        if not named:
            continue
        file = layout.outside(named) / inner if inner else layout.outside(named)
        if not file.is_file():
            raise LabelsplatError(
                f"study.{name} is {named!r}, which is no {'item package' if inner else 'file'}",
                where="params.yaml",
                remedy=f"Name {wanted}",
            )
        note[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    write_json(layout.ratings_note, note)
