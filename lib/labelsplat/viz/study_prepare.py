"""Pictures of a study before anyone has rated: who sees what when, and what a screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from labelsplat.study.tables import METHOD_TITLES
from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.pictures import label_sheet
from labelsplat.viz.study import METHOD_COLOURS
from labelsplat.viz.style import styled

_CHECKS = {"absurd": "#d55e00", "repeat": "#000000"}
_CHECK_TITLES = {"absurd": "check: absurd", "repeat": "check: seen before"}


@styled
def plot_orders(
    orders: Sequence[Sequence[str]], key: pd.DataFrame, methods: Sequence[str], raters: int = 30
) -> Picture:
    """The orders as a picture: a row a rater, a column a screen, the colour its method.

    Beside it one photo alone, block by block, where the square is seen: a rater who does not see
    that photo has an empty row. Of pairs, the left method above and the right one below.

    Args:
        orders: items of each rater, first to last.
        key: what they are, one row an item.
        methods: names, in the order of the legend.
        raters: rows at most.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    facts = key.set_index("item").to_dict("index")
    sides = ["method", "other_method"] if (key["other_method"] != "").any() else ["method"]
    names = [*methods, *_CHECKS]
    colours = [*(METHOD_COLOURS[name] for name in methods), *_CHECKS.values()]
    rows = [[facts[item] for item in order] for order in orders[:raters]]
    first = next(fact["image"] for fact in rows[0] if fact["kind"] == "item")
    one = [[f for f in row if f["kind"] == "item" and f["image"] == first] for row in rows]
    figure = new_figure(8.8, 0.75 + len(sides) * (0.45 + 0.075 * max(len(rows), 8)))
    panels = figure.subplots(
        len(sides), 2, squeeze=False, sharex="col", sharey=True, width_ratios=[1, 6]
    )
    look = {"cmap": ListedColormap(colours), "vmin": -0.5, "vmax": len(names) - 0.5}
    for (left, right), side in zip(panels, sides, strict=True):
        for axes, table in ((left, one), (right, rows)):
            width = max(map(len, table))
            drawn = np.full((len(rows), width), np.nan)
            for i, row in enumerate(table):
                for j, fact in enumerate(row):
                    drawn[i, j] = names.index(
                        fact["kind"] if fact["kind"] in _CHECKS else fact[side]
                    )
            place = (0.5, width + 0.5, len(rows) + 0.5, 0.5)
            axes.imshow(drawn, aspect="auto", interpolation="nearest", extent=place, **look)
            axes.grid(False)
        left.set_ylabel("rater")
        left.set_xticks(range(1, max(map(len, one)) + 1))
        left.set_title("One photo")
        which = {"method": "the left method", "other_method": "the right method"}[side]
        right.set_title("All screens" + (f": {which}" if len(sides) == 2 else ""))
    panels[-1, 0].set_xlabel("block")
    panels[-1, 1].set_xlabel("screen")
    labels = [*(METHOD_TITLES[name] for name in methods), *_CHECK_TITLES.values()]
    # Only what is there: a study may go without checks.
    there = set(key["kind"]) & set(_CHECKS)
    handles = [
        Patch(color=colour, label=label)
        for name, colour, label in zip(names, colours, labels, strict=True)
        if name in methods or name in there
    ]
    figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), columnspacing=1.2)
    return figure


def laid_over(photo: np.ndarray, picture: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """A photo ``[H, W, 3]`` under a label map in colours ``[H, W, 4]``, uint8, as the app does."""
    weight = picture[..., 3:] / 255 * opacity
    return np.round(photo * (1 - weight) + picture[..., :3] * weight).astype(np.uint8)


def screens_sheet(
    screens: Sequence[tuple[np.ndarray, Sequence[np.ndarray]]],
    row_titles: Sequence[str] | None = None,
    *,
    cell: int = 192,
    title: str | None = None,
) -> Any:
    """What raters see, a row a screen: the photo, and the photo under each label map.

    Args:
        screens: photo ``[H, W, 3]`` and label maps ``[H, W, 4]``, uint8.
        row_titles: one a screen.
        cell: pixels of a picture's side.
        title: above all.
    """
    rows = [[photo, *(laid_over(photo, p) for p in pictures)] for photo, pictures in screens]
    over = len(rows[0]) - 1
    heads = ["photo", "with its label map"] if over == 1 else ["photo", "left", "right"]
    return label_sheet(rows, row_titles, heads, cell=cell, title=title)
