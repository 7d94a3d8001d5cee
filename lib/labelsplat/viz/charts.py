"""Charts: training curves, scores with intervals, and where cameras stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.style import ARM_COLOURS, INK, LINE, SOFT, styled

Interval = tuple[float, float | None, float | None]
"""A value with the low and high end of its interval; None where there is none."""

MINUS = "\u2212"

_CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#5f6b7a", "#d55e00")


@styled
def plot_training(log: Any, *, title: str = "Training") -> Picture:
    """Loss and learning rate; beside them the mean IoU on validation heads, and what was kept.

    Args:
        log: a ``TrainLog``, or a dict with its ``steps``, ``losses``, ``validation_steps``,
            ``validation_miou`` and ``kept_step``, and ``learning_rates`` if they are to be shown.
            Several runs: a dict name -> log.
        title: of the figure.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    runs = {name: _as_dict(run) for name, run in _runs(log).items()}
    validated = any(run.get("validation_miou") for run in runs.values())
    figure = new_figure(8.2 if validated else 5.2, 2.9)
    axes = np.atleast_1d(figure.subplots(1, 2 if validated else 1))
    for (name, run), fallback in zip(runs.items(), _cycle(len(runs)), strict=True):
        colour = ARM_COLOURS.get(name, fallback)
        axes[0].plot(run["steps"], run["losses"], color=colour, label=name, linewidth=1.5)
        if not validated or not run.get("validation_miou"):
            continue
        steps, scores = run["validation_steps"], run["validation_miou"]
        axes[1].plot(steps, scores, color=colour, label=name, marker="o", markersize=3.2)
        if run.get("kept_step") in steps:
            score = scores[steps.index(run["kept_step"])]
            axes[1].plot([run["kept_step"]], [score], "o", ms=10, mfc="none", mec=colour, mew=1.4)
            axes[1].annotate(
                f"kept: {score:.3f}", (run["kept_step"], score), (-6, -14),
                textcoords="offset points", ha="right", va="top", color=colour, fontsize=8.5,
            )  # fmt: skip
    axes[0].set(title=f"{title}: loss", xlabel="optimiser steps")
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes[0].yaxis.set_minor_locator(NullLocator())
    if validated:
        axes[1].set(title="mean IoU on validation heads", xlabel="optimiser steps")
    if len(runs) > 1:
        axes[0].legend()
    _draw_rates(axes[0], runs)
    figure.tight_layout(w_pad=2.5)
    return figure


def _draw_rates(axes: Any, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Learning rates beside the losses, on a scale of their own at the right."""
    known = [run for run in runs.values() if run.get("learning_rates")]
    twin = axes.twinx() if known else axes
    for run in known:
        twin.plot(run["steps"], run["learning_rates"], color=SOFT, linewidth=1, linestyle=":")
        twin.set(ylim=(0, None), ylabel="learning rate (dotted)")
        twin.grid(False)


@styled
def plot_scores(
    table: Mapping[str, Mapping[str, float | Interval | None]],
    *,
    colours: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
    title: str = "",
    xlabel: str = "mean IoU",
    width: float = 7.0,
) -> Picture:
    """Points with intervals, grouped: one band a row of the table, one point a column.

    Args:
        table: ``{row: {column: value}}``; a value is a number, a (value, low, high), or None
            (nothing is drawn). Columns may differ between rows.
        colours: of columns, by name.
        titles: what to write for rows and columns, by name.
        title: of the figure.
        xlabel: what the numbers are.
        width: of the figure, in inches.
    """
    colours, titles = dict(colours or {}), dict(titles or {})
    columns = list(dict.fromkeys(c for row in table.values() for c in row))
    for name, colour in zip(columns, _cycle(len(columns)), strict=True):
        colours.setdefault(name, ARM_COLOURS.get(name, colour))
    step = 0.8 / max(len(columns), 1)
    band = max(0.36, 0.155 * len(columns))
    figure = new_figure(width, 0.95 + band * max(len(table), 2))
    axes = figure.subplots()
    for i, row in enumerate(table.values()):
        if i % 2 == 0:
            axes.axhspan(i - 0.5, i + 0.5, color="#f7f8fa", zorder=0)
        for j, name in enumerate(columns):
            value, low, high = as_interval(row.get(name))
            if value is None:
                continue
            y = i - 0.4 + step * (j + 0.5)
            if low is not None and high is not None:
                axes.plot([low, high], [y, y], color=colours[name], lw=2.2, alpha=0.45, zorder=2)
            label = titles.get(name, name)
            axes.plot(value, y, "o", color=colours[name], ms=5, label=label, zorder=3)
    axes.set_yticks(range(len(table)), [titles.get(name, name) for name in table])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(max(len(table), 1) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set(title=title, xlabel=xlabel)
    if any(as_interval(v)[0] is not None for row in table.values() for v in row.values()):
        _legend_once(axes)
    else:
        _say_empty(axes)
    figure.tight_layout()
    return figure


@styled
def strata_bars(
    table: Mapping[str, Mapping[str, float | Interval | None]],
    *,
    colours: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
    title: str = "",
    ylabel: str = "mean IoU",
    signed: bool = False,
) -> Picture:
    """Bars with intervals, grouped: one group a row of the table, one bar a column.

    Args:
        table: as of :func:`plot_scores`.
        colours: of columns, by name.
        titles: what to write for rows and columns, by name.
        title: of the figure.
        ylabel: what the numbers are.
        signed: write differences: with sign, against a zero line.
    """
    colours, titles = dict(colours or {}), dict(titles or {})
    rows = {k: row for k, row in table.items() if any(v is not None for v in row.values())}
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    for name, colour in zip(columns, _cycle(len(columns)), strict=True):
        colours.setdefault(name, ARM_COLOURS.get(name, colour))
    figure = new_figure(min(9.0, max(4.4, 1.4 + 0.33 * len(rows) * (len(columns) + 1))), 3.1)
    axes = figure.subplots()
    wide = 0.82 / max(len(columns), 1)
    for i, row in enumerate(rows.values()):
        for j, name in enumerate(columns):
            value, low, high = as_interval(row.get(name))
            if value is None:
                continue
            x = i - 0.41 + wide * (j + 0.5)
            label = titles.get(name, name)
            axes.bar(x, value, wide * 0.88, color=colours[name], label=label, zorder=2)
            top = max(value, 0)
            if low is not None and high is not None:
                axes.plot([x, x], [low, high], color=INK, lw=1.1, alpha=0.8, zorder=3)
                top = max(top, high)
            text = f"{value:+.2f}" if signed else f"{value:.2f}"
            axes.annotate(
                text.replace("0.", ".").replace("-", MINUS), (x, top), (0, 3),
                textcoords="offset points", ha="center", va="bottom", fontsize=7, color=INK,
            )  # fmt: skip
    axes.set_xticks(range(len(rows)), [titles.get(name, name) for name in rows])
    axes.tick_params(axis="x", labelcolor=INK)
    axes.grid(axis="x", visible=False)
    axes.spines["left"].set_visible(False)
    if signed:
        axes.axhline(0, color=INK, lw=0.8, zorder=4)
    axes.set(title=title, ylabel=ylabel)
    axes.margins(y=0.12)
    if not rows:
        _say_empty(axes)
    elif len(columns) > 1:
        _legend_once(axes)
    figure.tight_layout()
    return figure


@styled
def dumbbells(
    table: Mapping[str, Mapping[str, float | None]],
    *,
    colours: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
    title: str = "",
    xlabel: str = "IoU",
    link: tuple[str, str] | None = None,
) -> Picture:
    """One line a row, points for its columns, and a bar that links two of them.

    Args:
        table: ``{row: {column: value or None}}``; rows without a value are left out.
        colours: of columns, by name.
        titles: what to write for columns, by name.
        title: of the figure.
        xlabel: what the numbers are.
        link: the two columns that the bar goes from and to.
    """
    colours, titles = dict(colours or {}), dict(titles or {})
    rows = {k: row for k, row in table.items() if any(v is not None for v in row.values())}
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    for name, colour in zip(columns, _cycle(len(columns)), strict=True):
        colours.setdefault(name, ARM_COLOURS.get(name, colour))
    figure = new_figure(6.6, 1.15 + 0.235 * max(len(rows), 3))
    axes = figure.subplots()
    for i, row in enumerate(rows.values()):
        if link and all(row.get(name) is not None for name in link):
            start, end = (row[name] for name in link)
            colour = colours[link[1]] if end >= start else "#d55e00"
            axes.plot([start, end], [i, i], color=colour, lw=3.4, alpha=0.32, zorder=2)
        for name in columns:
            if row.get(name) is not None:
                axes.plot(
                    row[name], i, "o", color=colours[name], ms=5.2,
                    label=titles.get(name, name), zorder=3,
                )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=-0.02)
    axes.spines["left"].set_visible(False)
    axes.set(title=title, xlabel=xlabel)
    _legend_once(axes) if rows else _say_empty(axes)
    figure.tight_layout()
    return figure


@styled
def plot_reliability(found: Mapping[str, Any]) -> Picture:
    """The reliability diagram: accuracy against confidence, bin by bin, with the bins' shares.

    Args:
        found: ``ece`` and ``bins`` of :func:`labelsplat.evaluate.reliability`.
    """
    figure = new_figure(4.6, 4.4)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    sure, right, share = (
        [row[key] for row in found["bins"]] for key in ("confidence", "accuracy", "share")
    )
    above.plot([0, 1], [0, 1], color=LINE, lw=1.2, label="as sure as right")
    above.plot(sure, right, "o-", color=ARM_COLOURS["refined"], ms=4.5, label="refined labels")
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
    above.set_title(f"Confidence of refined labels (calibration error {found['ece']:.3f})")
    above.legend(loc="upper left")
    below.bar(sure, share, width=0.06, color=ARM_COLOURS["baseline"])
    below.set(xlabel="confidence", ylabel="of the pixels")
    figure.tight_layout()
    return figure


@styled
def plot_rig(
    groups: Mapping[str, np.ndarray] | np.ndarray,
    *,
    title: str = "Where the cameras stand",
    colours: Mapping[str, str] | None = None,
) -> Picture:
    """Cameras around the head: from above by their yaw, from the side by their pitch.

    Args:
        groups: ``[V, 2]`` (yaw, pitch) in degrees, or several such arrays by name.
        title: of the figure.
        colours: of the groups, by name.
    """
    groups = dict(groups) if isinstance(groups, Mapping) else {"": np.asarray(groups)}
    colours = dict(colours or {})
    for name, colour in zip(groups, _cycle(len(groups)), strict=True):
        colours.setdefault(name, colour)
    figure = new_figure(8.0, 3.9)
    figure.text(0.02, 0.965, title, weight="bold", fontsize=10, va="top")
    above = figure.add_axes([0.01, 0.02, 0.40, 0.82], aspect="equal")
    _draw_head_from_above(above)
    for name, angles in groups.items():
        yaw, pitch = np.radians(np.asarray(angles, float)).T
        # Farther out means nearer to eye height: the projection onto the floor.
        radius = np.cos(pitch)
        above.scatter(
            radius * np.sin(yaw), -radius * np.cos(yaw), s=26, color=colours[name], zorder=4,
            label=name or None, edgecolors="white", linewidths=0.6, alpha=0.9,
        )  # fmt: skip
    plane = figure.add_axes([0.49, 0.15, 0.49, 0.66])
    plane.axvspan(-30, 30, ymin=0, ymax=1, color="#f7f8fa", zorder=0)
    for x in (-110, -60, 60, 110):
        plane.axvline(x, color="#c9ced6", lw=0.8, ls=(0, (3, 3)), zorder=1)
    for y in (-30, 30):
        plane.axhline(y, color="#c9ced6", lw=0.8, ls=(0, (3, 3)), zorder=1)
    for name, angles in groups.items():
        yaw, pitch = np.asarray(angles, float).T
        plane.scatter(
            yaw, pitch, s=26, color=colours[name], zorder=3, edgecolors="white",
            linewidths=0.6, alpha=0.9, label=name or None,
        )  # fmt: skip
    widest = max((np.abs(np.asarray(a, float)).max(0) for a in groups.values()), key=lambda a: a[0])
    tallest = max(np.abs(np.asarray(a, float)[:, 1]).max() for a in groups.values())
    plane.set_xlim(-max(120, widest[0] + 8), max(120, widest[0] + 8))
    plane.set_ylim(-max(65, tallest + 6), max(65, tallest + 6))
    plane.set_xticks(
        [x for x in (-180, -110, -60, 0, 60, 110, 180) if abs(x) <= plane.get_xlim()[1]]
    )
    plane.set_yticks([-60, -30, 0, 30, 60])
    plane.grid(visible=False)
    plane.set_xlabel("yaw [°], to the subject's left")
    plane.set_ylabel("pitch [°], upwards")
    if any(groups):
        plane.legend(
            loc="lower right", bbox_to_anchor=(1.0, 1.01), ncols=len(groups), borderaxespad=0,
            handletextpad=0.3, columnspacing=1.2,
        )  # fmt: skip
    return figure


def as_interval(value: Any) -> tuple[float | None, float | None, float | None]:
    """A number, a (value, low, high), a ``{"miou", "low", "high"}`` or None, as three values."""
    if value is None:
        return None, None, None
    if isinstance(value, Mapping):
        return value.get("miou"), value.get("low"), value.get("high")
    if np.ndim(value) == 0:
        return float(value), None, None
    return tuple(value)  # type: ignore[return-value]


def _draw_head_from_above(axes: Any) -> None:
    from matplotlib.patches import Circle, Ellipse, Polygon

    for radius in (0.5, 1.0):
        axes.add_patch(Circle((0, 0), radius, fill=False, ec=LINE, lw=0.9, zorder=0))
    for yaw in (-110, -60, -30, 30, 60, 110):
        x, y = np.sin(np.radians(yaw)), -np.cos(np.radians(yaw))
        axes.plot([0, 1.06 * x], [0, 1.06 * y], color=LINE, lw=0.8, zorder=0)
        axes.text(
            1.17 * x, 1.17 * y, f"{yaw}°".replace("-", MINUS), ha="center", va="center",
            fontsize=7.5, color=SOFT,
        )  # fmt: skip
    skin, edge = "#eef1f5", "#aab2be"
    axes.add_patch(
        Polygon([(-0.05, -0.19), (0, -0.275), (0.05, -0.19)], fc=skin, ec=edge, zorder=2)
    )
    for x in (-0.165, 0.165):
        axes.add_patch(Ellipse((x, 0.02), 0.05, 0.1, fc=skin, ec=edge, zorder=1))
    axes.add_patch(Ellipse((0, 0), 0.32, 0.42, fc=skin, ec=edge, zorder=2))
    axes.text(
        0, 0.02, "head\nfrom above", ha="center", va="center", fontsize=6, color=SOFT, zorder=3
    )
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.2))
    axes.set_axis_off()


def _legend_once(axes: Any) -> None:
    """A legend above the axes with each name once."""
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    width, height = axes.figure.get_size_inches()
    # 0.4 inches below the axes, whose height is about an inch less than the figure's.
    below = (0.5, -(0.24 + 0.18 * bool(axes.get_xlabel())) / max(height - 1.0, 0.5))
    axes.legend(
        unique.values(), unique.keys(), loc="upper center", bbox_to_anchor=below,
        ncols=_columns(list(unique), width), handletextpad=0.5, columnspacing=1.4, borderaxespad=0,
    )  # fmt: skip


def _columns(names: Sequence[str], width: float) -> int:
    longest = max(len(name) for name in names) * 0.075 + 0.45
    return max(1, min(len(names), int(width / longest)))


def _say_empty(axes: Any) -> None:
    # A chart cannot tell which of the two it is: all it gets is a table without values.
    axes.text(
        0.5, 0.5, "nothing to show here: no truth, or no such views",
        transform=axes.transAxes, ha="center", va="center", color=SOFT,
    )  # fmt: skip


def _runs(log: Any) -> dict[str, Any]:
    if isinstance(log, Mapping) and "losses" not in log:
        return dict(log)
    return {"": log}


def _as_dict(run: Any) -> dict[str, Any]:
    return dataclasses.asdict(run) if dataclasses.is_dataclass(run) else dict(run)


def _cycle(count: int) -> list[str]:
    return [_CYCLE[i % len(_CYCLE)] for i in range(count)]
