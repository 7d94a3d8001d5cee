"""Ratings as CSV: what the app hands to the analysis."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.study.package import RATING_COLUMNS
from labelsplat.study.store import Store


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 with milliseconds and a ``Z``."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def export_ratings(store: Store, path: str | Path, origin: str | None = None) -> int:
    """Write the ratings, sorted by rater and position: same ratings, same bytes.

    Args:
        store: the answers.
        path: file to write.
        origin: of which raters; None takes all, if they are of one origin.

    Returns:
        how many ratings are written.

    Raises:
        LabelsplatError: no ratings, or ratings of several origins and none is named.
    """
    answers = store.answers(origin)
    origins = sorted({answer.origin for answer in answers})
    if not answers:
        what = f"of origin {origin!r} " if origin else ""
        raise LabelsplatError(f"no ratings {what}yet", where=store.path)
    if len(origins) > 1:
        raise LabelsplatError(
            f"holds ratings of several origins ({', '.join(origins)}), which no table may mix",
            where=store.path,
            remedy="Name one: --origin human",
        )
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(RATING_COLUMNS)
        for a in answers:
            writer.writerow(
                (store.study, a.rater, a.origin, a.position, a.item, a.rating,
                 f"{a.seconds:.3f}", utc_text(a.answered))
            )  # fmt: skip
    return len(answers)
