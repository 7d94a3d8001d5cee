"""The figures of the last stage, drawn from ``evaluate.json`` and its examples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labelsplat.base.arms import ARM_TITLES
from labelsplat.labels import STRATA, STRATUM_TITLES
from labelsplat.viz.charts import MINUS, dumbbells, plot_scores, strata_bars
from labelsplat.viz.figures import Picture
from labelsplat.viz.pictures import label_sheet, overlay
from labelsplat.viz.style import ARM_COLOURS, LABEL_COLOURS, LABEL_TITLES

if TYPE_CHECKING:
    from labelsplat.evaluate import Example


def plot_arms(report: Mapping[str, Any], strata: Sequence[str] = STRATA) -> Picture:
    """Mean IoU of every arm in every stratum that has views, with intervals."""
    arms = report["arms"]
    table = {s: {arm: rows[s] for arm, rows in arms.items()} for s in strata}
    table = {s: row for s, row in table.items() if any(row.values())}
    return plot_scores(
        table,
        colours=ARM_COLOURS,
        titles={**STRATUM_TITLES, **ARM_TITLES},
        title="Unseen heads: mean IoU with 95 % intervals",
    )


def plot_gains(report: Mapping[str, Any]) -> Picture:
    """What the refined parser gained over the better control and over self-training."""
    names = {
        "gain": "over the better control",
        "over_self_training": f"over {ARM_TITLES['self_training']}",
    }
    table = {s: {text: report[key][s] for key, text in names.items()} for s in STRATA}
    colours = {
        names["gain"]: ARM_COLOURS["refined"],
        names["over_self_training"]: ARM_COLOURS["self_training"],
    }
    return strata_bars(
        table,
        colours=colours,
        titles=STRATUM_TITLES,
        title="Gain of the refined parser on unseen heads, with paired 95 % intervals",
        ylabel="difference in mean IoU",
        signed=True,
    )


def plot_labels(report: Mapping[str, Any]) -> Picture:
    """Labels of the capture views: raw, refined and the ceiling; without truth, agreement."""
    if report["labels"]["raw"]["all"] is None:
        table = {s: {k: rows[s] for k, rows in report["agreement"].items()} for s in STRATA}
        return strata_bars(
            table,
            colours=LABEL_COLOURS,
            titles={**STRATUM_TITLES, **LABEL_TITLES},
            title="Capture views: agreement between the two halves of the views",
            ylabel="share of pixels",
        )
    labels = {k: report["labels"][k] for k in ("raw", "refined", "ceiling")}
    return strata_bars(
        {s: {k: rows[s] for k, rows in labels.items()} for s in STRATA},
        colours=LABEL_COLOURS,
        titles={**STRATUM_TITLES, **LABEL_TITLES},
        title="Labels of the capture views: mean IoU with 95 % intervals",
    )


def plot_classes(report: Mapping[str, Any], stratum: str = "extreme") -> Picture:
    """IoU of each class in a stratum: baseline, refined and oracle."""
    shown = [arm for arm in ("baseline", "refined", "oracle") if report["arms"].get(arm)]
    found = {arm: report["arms"][arm][stratum] for arm in shown}
    found = {arm: value["per_class"] for arm, value in found.items() if value}
    names = next(iter(found.values()), {})
    return dumbbells(
        {name: {arm: rows[name]["iou"] for arm, rows in found.items()} for name in names},
        colours=ARM_COLOURS,
        titles=ARM_TITLES,
        title=f"Each class on unseen heads, {STRATUM_TITLES[stratum]} poses",
        link=("baseline", "refined"),
    )


def example_sheet(
    examples: Sequence[Example],
    columns: Sequence[str] | None = None,
    *,
    title: str | None = None,
    cell: int | None = None,
    alpha: float = 0.62,
) -> Picture:
    """Examples in rows: the photo, then its label maps laid over it.

    Args:
        examples: at least one, of ``labelsplat.evaluate``.
        columns: names of the maps; None = those of the first example.
        title: above all.
        cell: side of a picture in pixels; None = its own.
        alpha: strength of the overlay.
    """
    columns = list(columns or examples[0].maps)
    rows, titles = [], []
    for example in examples:
        row = [example.photo]
        for name in columns:
            labels = example.maps.get(name)
            row.append(None if labels is None else overlay(example.photo, labels, alpha=alpha))
        rows.append(row)
        titles.append(_describe(example))
    names = [ARM_TITLES.get(name, LABEL_TITLES.get(name, name)) for name in columns]
    return label_sheet(rows, titles, ["photo", *names], title=title, cell=cell)


def _describe(example: Example) -> str:
    lines = [f"head {example.subject.partition('/')[0]}"]
    if not math.isnan(example.yaw):
        lines.append(f"yaw {example.yaw:.0f}°".replace("-", MINUS))
        lines.append(f"pitch {example.pitch:.0f}°".replace("-", MINUS))
    if example.failure:
        lines.insert(0, "FAILURE: worst case")
    return "\n".join(lines)
