"""What the front page says of the human study."""

from __future__ import annotations

from dataclasses import dataclass

from labelsplat.base.arms import ARM_TITLES, REFERENCE, STUDY_ARMS
from labelsplat.base.layout import Layout
from labelsplat.report.front_numbers import number, read_optional, table_at

METHODS = {**{name: ARM_TITLES[name] for name in STUDY_ARMS}, REFERENCE: "true labels"}
"""What was rated, in words; as in labelsplat.study.tables, which needs pandas."""


@dataclass(frozen=True)
class Study:
    """The study in short; empty rows where it has not run or has another design.

    Attributes:
        simulated: whether no human rated.
        f: what a simulated panel sees in a label map, None where people rated.
        miou_known: whether f had mIoU to follow; without truth it is a constant.
        raters: that were kept.
        images: that they saw.
        rows: (method, mean opinion score, low, high).
        link: of the study's page, None without one.
    """

    simulated: bool
    f: str | None
    miou_known: bool
    raters: int | None
    images: int | None
    rows: list[tuple[str, float | None, float | None, float | None]]
    link: str | None


def read_study(layout: Layout) -> Study:
    """Read user_study.json, as far as it is there."""
    found = read_optional(layout.metrics / "user_study.json")
    opinions = table_at(found, "mos")
    rows = [
        (title, *(number(table_at(opinions, name).get(key)) for key in ("mean", "low", "high")))
        for name, title in METHODS.items()
        if name in opinions
    ]
    # What is not known to be people's is not called so.
    simulated = found.get("simulated") is not False
    panel = table_at(found, "panel") if found.get("panel") else {}
    return Study(
        simulated, panel.get("f"), panel.get("miou_known") is True, found.get("raters"),
        found.get("images"), rows,
        "user_study.html" if found else None,
    )  # fmt: skip
