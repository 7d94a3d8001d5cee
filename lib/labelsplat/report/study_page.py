"""``reports/user_study.html``: the human study on one page, its text and tables from
``user_study.json`` alone, its pictures as chapter 09 drew them.

While nobody has rated, the page says so on top, in every table and across every figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labelsplat.base.files import atomic_path, read_json
from labelsplat.base.layout import Layout
from labelsplat.report.page_pictures import picture_addresses
from labelsplat.report.templates import HERE, templates

PAGE_BYTES = 1_000_000
"""Upper limit of the page's size; the page is committed."""

CAPTIONS = {
    "study_answers": "Every rating that was kept, by method.",
    "study_means": "What each method got on average, and differences between methods, with 95 % "
    "intervals over raters and people.",
    "study_poses": "The same by pose: few people each, so the intervals are wide.",
    "study_agreement": "How alike raters judge, and how generous each of them is.",
    "study_session": "Ratings and time on an item, along a session.",
    "study_power": "Studies that would find the difference, by number of raters.",
}
"""Figures of the page, in its order."""

DESIGNS = {
    "acr": "each rated from 1 (bad) to 5 (excellent), by the words of ITU-T P.910",
    "pairs": "two label maps of a photo side by side, and a choice between them",
}


@dataclass(frozen=True)
class Table:
    """A table for the template: a title a row, one text a cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def write_study_page(layout: Layout) -> Path | None:
    """Write ``reports/user_study.html``; None, and no page, where there is no study.

    Raises:
        LabelsplatError: user_study.json is not JSON.
    """
    path = study_page_path(layout)
    source = layout.metrics / "user_study.json"
    if not source.is_file():
        path.unlink(missing_ok=True)
        return None
    text = study_page(read_json(source), layout.study_figures)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def study_page_path(layout: Layout) -> Path:
    """Where the page lies."""
    return layout.reports / "user_study.html"


def study_page(content: Mapping[str, Any], figures: Path) -> str:
    """The page's HTML.

    Args:
        content: of user_study.json.
        figures: folder of the pictures.
    """
    from markupsafe import Markup

    from labelsplat.study import tables as made

    primary = content["pairs"].get(content["primary"]) if content["primary"] else None
    values = {
        "css": Markup((HERE / "front.css").read_text(encoding="utf-8")),
        "content": content,
        "design": DESIGNS[content["design"]],
        "primary": primary,
        "primary_title": made.pair_title(content["primary"]) if content["primary"] else "",
        "tables": {
            "opinions": _table(made.opinion_table(content)),
            "poses": _table(made.pose_table(content)),
            "pairs": _table(made.pair_table(content)),
            "excluded": _table(made.exclusion_table(content)),
            "agreement": _table(made.agreement_table(content)),
            "effects": _table(made.effect_table(content)),
        },
        "power": made.power_sentence(content),
    }
    environment = templates()
    environment.filters["points"] = _points
    page = environment.get_template("study.html.j2")
    room = PAGE_BYTES - len(page.render(values, pictures={}).encode()) - 10_000
    return page.render(values, pictures=picture_addresses(figures, CAPTIONS, room))


def _points(value: float | None) -> str:
    """A difference on the scale, with its sign."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _table(frame) -> Table:
    rows = tuple(
        (str(title), tuple(str(cell) for cell in cells))
        for title, cells in zip(frame.index, frame.to_numpy().tolist(), strict=True)
    )
    return Table(tuple(map(str, frame.columns)), rows)
