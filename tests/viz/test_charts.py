"""Charts draw the numbers that they are given."""

import numpy as np
import pytest

from labelsplat import viz
from labelsplat.evaluate import ARMS
from labelsplat.labels import STRATA

LOG = {
    "steps": [10, 20, 30],
    "losses": [2.0, 1.0, 0.5],
    "validation_steps": [15, 30],
    "validation_miou": [0.4, 0.6],
    "kept_step": 30,
}


def texts(figure):
    figure.canvas.draw()
    found = [t.get_text() for axes in figure.axes for t in axes.texts]
    for axes in figure.axes:
        found += [t.get_text() for t in (*axes.get_xticklabels(), *axes.get_yticklabels())]
        if axes.get_legend():
            found += [t.get_text() for t in axes.get_legend().get_texts()]
    return found


def points(figure):
    """(x, y) of all lines."""
    data = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    return [tuple(map(float, p)) for part in data for p in part]


def test_training_curves():
    figure = viz.plot_training(LOG)
    assert {(10, 2.0), (30, 0.5), (15, 0.4), (30, 0.6)} <= set(points(figure))
    assert "kept: 0.600" in texts(figure)


def test_the_learning_rate_has_a_scale_of_its_own():
    figure = viz.plot_training(LOG | {"learning_rates": [0.1, 0.3, 0.2]})
    assert {(10, 0.1), (20, 0.3), (30, 0.2), (10, 2.0), (30, 0.6)} <= set(points(figure))
    loss, _, rate = figure.axes
    assert loss.get_yscale() == "log" and rate.get_yscale() == "linear"
    assert rate.get_ylabel() == "learning rate (dotted)"


def test_training_of_several_arms_without_validation():
    few = {k: LOG[k] for k in ("steps", "losses")}
    figure = viz.plot_training({"refined": few, "oracle": few})
    assert len(figure.axes) == 1
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert colours == {viz.ARM_COLOURS["refined"], viz.ARM_COLOURS["oracle"]}


def test_scores_with_intervals():
    table = {"front": {"a": (0.5, 0.4, 0.6), "b": 0.3}, "side": {"a": None, "b": {"miou": 0.2}}}
    figure = viz.plot_scores(table, titles={"front": "from the front"})
    x = [p[0] for p in points(figure)]
    assert {0.5, 0.4, 0.6, 0.3, 0.2} <= set(x)
    assert "from the front" in texts(figure)


def test_bars_write_their_values():
    figure = viz.strata_bars({"x": {"a": 0.25, "b": (-0.5, -0.6, -0.4)}}, signed=True)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([0.25, -0.5])
    assert {"+.25", "\u2212.50"} <= set(texts(figure))


def test_dumbbells_leave_out_empty_rows():
    figure = viz.dumbbells({"nose": {"a": 0.1, "b": 0.4}, "hat": {"a": None, "b": None}})
    assert "nose" in texts(figure) and "hat" not in texts(figure)


def test_rig_has_the_subjects_left_on_the_right_side_as_seen_from_above():
    figure = viz.plot_rig({"one": np.array([[90.0, 0.0]]), "two": np.array([[0.0, 60.0]])})
    above, plane = figure.axes
    np.testing.assert_allclose(above.collections[0].get_offsets(), [[1, 0]], atol=1e-9)
    np.testing.assert_allclose(above.collections[1].get_offsets(), [[0, -0.5]], atol=1e-9)
    np.testing.assert_allclose(plane.collections[0].get_offsets(), [[90, 0]])


def test_colours_of_arms_differ():
    assert len(set(viz.ARM_COLOURS.values())) == len(viz.ARM_COLOURS)
    assert tuple(viz.ARM_COLOURS) == tuple(viz.ARM_TITLES) == ARMS


def _report(empty):
    row = {"miou": 0.5, "low": 0.4, "high": 0.6, "per_class": {"nose": {"iou": 0.3, "f1": 0.4}}}
    value = None if empty else row
    strata = dict.fromkeys(STRATA, value)
    return {
        "arms": {"baseline": strata, "refined": strata},
        "gain": strata,
        "over_self_training": strata,
        "labels": {"raw": strata, "refined": strata, "ceiling": strata},
        "agreement": {"raw": dict.fromkeys(STRATA, 0.7), "refined": dict.fromkeys(STRATA, 0.9)},
    }


@pytest.mark.parametrize("draw", [viz.plot_arms, viz.plot_gains, viz.plot_classes])
def test_results_without_truth_say_so(draw):
    assert any("no truth" in text for text in texts(draw(_report(True))))
    assert not any("no truth" in text for text in texts(draw(_report(False))))


def test_labels_without_truth_show_agreement():
    figure = viz.plot_labels(_report(True))
    assert figure.axes[0].get_ylabel() == "share of pixels"
    assert ".90" in texts(figure)
    assert viz.plot_labels(_report(False)).axes[0].get_ylabel() == "mean IoU"
