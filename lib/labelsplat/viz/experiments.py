"""The figures of the experiments, drawn from their reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labelsplat.viz.charts import plot_scores
from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.style import styled

METHOD_COLOURS = {
    "noisy": "#98a1ae",
    "vote": "#5f6b7a",
    "lift": "#0072b2",
    "joint": "#e69f00",
    "two_models": "#cc79a7",
    "geometry_from_rgb": "#009e73",
    "separate": "#56b4e9",
}
"""Of label methods and couplings; what is no method of ours is grey."""

METHOD_TITLES = {
    "noisy": "the labels as given",
    "vote": "plain vote",
    "lift": "weighted, sharpened lift",
    "joint": "joint model",
    "two_models": "two models, one geometry",
    "geometry_from_rgb": "geometry from colour",
    "separate": "separate models",
}

FIGURE_TITLES = {
    "label_miou_train": "label model,\nfitted views",
    "label_miou_heldout": "label model,\nheld-out views",
    "lift_miou_train": "lift on its geometry,\nfitted views",
    "lift_miou_heldout": "lift on its geometry,\nheld-out views",
}


def plot_experiment(report: Mapping[str, Any]) -> Picture | None:
    """The figure of an experiment's report, None where a table says it all."""
    if "rows" in report:
        return plot_label_noise(report["rows"])
    couplings = {k: v for k, v in report.items() if k in METHOD_TITLES}
    if not couplings:
        return None
    table = {
        figure: {name: _triple(found[figure]) for name, found in couplings.items()}
        for figure in FIGURE_TITLES
    }
    return plot_scores(
        table,
        colours=METHOD_COLOURS,
        titles={**METHOD_TITLES, **FIGURE_TITLES},
        title="Labels after the fit, by coupling: mean IoU with 95 % intervals",
    )


@styled
def plot_label_noise(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """mIoU against the rate of wrong labels: a panel a kind, a line a method with its interval.

    Lines are of the largest number of labelled views; points off them of fewer.

    Args:
        rows: ``{kind, rate, labelled_views, method, miou, low, high}``.
    """
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    most = max(row["labelled_views"] for row in rows)
    figure = new_figure(max(4.6, 2.6 * len(kinds) + 0.4), 3.5)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for method in methods:
            own = [r for r in rows if (r["kind"], r["method"]) == (kind, method)]
            line = sorted((r for r in own if r["labelled_views"] == most), key=lambda r: r["rate"])
            colour, title = METHOD_COLOURS.get(method), METHOD_TITLES.get(method, method)
            rates, values = [r["rate"] for r in line], [r["miou"] for r in line]
            (drawn,) = axes.plot(rates, values, "o-", ms=4, color=colour, label=title)
            if all(r["low"] is not None for r in line):
                low, high = ([r[end] for r in line] for end in ("low", "high"))
                axes.fill_between(rates, low, high, color=drawn.get_color(), alpha=0.13, lw=0)
            for few in (r for r in own if r["labelled_views"] < most):
                axes.plot(few["rate"], few["miou"], "D", ms=5, mfc="none", mec=drawn.get_color())
        axes.set(title=kind, xlabel="rate of wrong labels")
    panels[0].set_ylabel("mean IoU")
    fewer = sorted({row["labelled_views"] for row in rows} - {most})
    note = f"lines: {most} labelled views" + "".join(f"; diamonds: {n}" for n in fewer)
    figure.text(0.01, 0.985, note, va="top", fontsize=8)
    handles, titles = panels[0].get_legend_handles_labels()
    columns = min(len(handles), max(2, len(kinds) + 1))
    figure.legend(handles, titles, loc="lower center", ncols=columns)
    figure.tight_layout(rect=(0, 0.09 * -(-len(handles) // columns), 1, 0.95))
    return figure


def _triple(value: Mapping[str, float | None]) -> tuple[float | None, float | None, float | None]:
    return value["mean"], value["low"], value["high"]
