"""Figures of the experiments: every kind, method and coupling of a report is in them."""

from __future__ import annotations

import pytest

from labelsplat.experiments import KINDS, METHODS
from labelsplat.splats import COUPLINGS
from labelsplat.viz import plot_experiment, plot_label_noise, png_bytes
from labelsplat.viz.experiments import FIGURE_TITLES, METHOD_COLOURS, METHOD_TITLES


def rows(kinds=KINDS, interval=0.05):
    return [
        {
            "kind": kind, "rate": rate, "labelled_views": views, "method": method,
            "miou": 0.8 - rate, "low": interval and 0.8 - rate - interval,
            "high": interval and 0.8 - rate + interval,
        }
        for kind in kinds
        for rate, views in ((0.5, 11), (0.1, 11), (0.3, 11), (0.3, 3))
        for method in METHODS
    ]  # fmt: skip


@pytest.mark.parametrize("kinds", [KINDS, ["flips"]])
def test_a_panel_a_kind_and_a_line_a_method(kinds):
    figure = plot_experiment({"commit": "x", "rows": rows(kinds)})
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(kinds)
    for axes in figure.axes:
        lines = [line for line in axes.lines if len(line.get_xdata()) == 3]
        assert [line.get_label() for line in lines] == [METHOD_TITLES[m] for m in METHODS]
        for line in lines:  # in the order of the rates, whatever the rows' is
            assert list(line.get_xdata()) == [0.1, 0.3, 0.5]
            assert list(line.get_ydata()) == pytest.approx([0.7, 0.5, 0.3])
        assert len(axes.lines) == 2 * len(METHODS) and len(axes.collections) == len(METHODS)
    assert png_bytes(figure) == png_bytes(plot_label_noise(rows(kinds)))


def test_without_intervals_there_are_no_bands():
    figure = plot_label_noise(rows(["pixels"], interval=None))
    assert not figure.axes[0].collections


def test_couplings_side_by_side():
    value = {"mean": 0.5, "low": 0.4, "high": 0.6}
    report = {"commit": "x", "seed": 0, "machine": "y"}
    report |= {name: dict.fromkeys(FIGURE_TITLES, value) for name in COUPLINGS}
    figure = plot_experiment(report)
    legend = {text.get_text() for text in figure.axes[0].get_legend().get_texts()}
    assert legend == {METHOD_TITLES[name] for name in COUPLINGS}
    assert len(figure.axes[0].get_yticks()) == len(FIGURE_TITLES)


def test_reports_that_a_table_tells_have_no_figure():
    assert plot_experiment({"commit": "x", "subjects": {}, "psnr_heldout": {"mean": 1}}) is None


def test_every_method_and_coupling_has_a_colour_and_a_name():
    assert METHOD_COLOURS.keys() == METHOD_TITLES.keys() == {*METHODS, *COUPLINGS}
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS)
