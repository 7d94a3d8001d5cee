"""The figures of the human study. Unless people rated, SIMULATED stands across every one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from labelsplat.study.package import SCALES
from labelsplat.study.tables import METHOD_TITLES, pair_title, stratum_title
from labelsplat.viz.charts import MINUS, plot_scores
from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.style import ARM_COLOURS, INK, LINE, SOFT, WASH, styled

if TYPE_CHECKING:
    from labelsplat.study.analyse import StudyReport

METHOD_COLOURS = {**ARM_COLOURS, "reference": "#5f6b7a"}
"""As in all other figures; true labels are grey, for they are no method."""

ANSWER_COLOURS = {1: "#b2591d", 2: "#e6a96b", 3: "#e4e7ec", 4: "#7fb3d8", 5: "#2b6ea6"}
"""Of ratings, from bad (orange) to excellent (blue); colour-blind readers tell them apart."""

MARK = "SIMULATED"
_MARK_COLOUR = "#b42318"


def mark_simulated(figure: Picture, simulated: bool) -> Picture:
    """Write SIMULATED from corner to corner, so that the figure never passes for a result.

    Args:
        figure: drawn and laid out.
        simulated: whether ratings are; False changes nothing.

    Returns:
        The same figure.
    """
    if simulated:
        width, height = figure.get_size_inches()
        # A bold letter is some 0.72 of the font's size wide, a point 1/72 inch.
        across = 0.8 * math.hypot(width, height) * 72 / (0.72 * len(MARK))
        figure.text(
            0.5, 0.5, MARK, ha="center", va="center", fontsize=min(across, 0.42 * height * 72),
            weight="bold", color=_MARK_COLOUR, alpha=0.17, zorder=50,
            rotation=math.degrees(math.atan2(height, width)) * 0.9, rotation_mode="anchor",
        )  # fmt: skip
    return figure


@styled
def plot_study_answers(report: StudyReport) -> Picture:
    """How often each answer was given: a stacked bar a method; of pairs, a bar a pair."""
    content = report.content
    if content["design"] == "pairs":
        words = {1: "first is better", 0: "no difference", -1: "second is better"}
        keys = {1: "better", 0: "none", -1: "worse"}
        rows = {
            pair_title(name).replace(MINUS, "or"): {k: found["counts"][v] for k, v in keys.items()}
            for name, found in content["pairs"].items()
        }
        colours = {1: ANSWER_COLOURS[5], 0: ANSWER_COLOURS[3], -1: ANSWER_COLOURS[1]}
        title = "Which of two label maps is better"
    else:
        words = {k: f"{k} {word}" for k, word in sorted(SCALES["acr"].items())}
        rows = {
            METHOD_TITLES[name]: {k: found["counts"][str(k)] for k in words}
            for name, found in content["mos"].items()
        }
        colours, title = ANSWER_COLOURS, "Ratings of each method"
    figure = new_figure(7.2, 1.25 + 0.36 * max(len(rows), 2))
    axes = figure.subplots()
    for i, counts in enumerate(rows.values()):
        left, total = 0.0, max(sum(counts.values()), 1)
        for k, count in counts.items():
            share = 100 * count / total
            label = words[k] if i == 0 else None
            axes.barh(i, share, 0.74, left=left, color=colours[k], label=label, zorder=2)
            if share >= 5:
                ink = "white" if k in (1, 5) or (k == -1) else INK
                axes.text(
                    left + share / 2, i, f"{share:.0f}", ha="center", va="center", fontsize=8,
                    color=ink, zorder=3,
                )  # fmt: skip
            left += share
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set(xlim=(0, 100), xlabel="% of the ratings", title=title)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    figure.tight_layout(rect=(0, 0.3 / figure.get_size_inches()[1], 1, 1))
    if rows:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="lower center", ncols=len(words), handlelength=1.1,
            handleheight=1.0, columnspacing=1.3, borderaxespad=0.3,
        )  # fmt: skip
    return mark_simulated(figure, report.simulated)


@styled
def plot_study_means(report: StudyReport) -> Picture:
    """MOS of each method with its interval, and the differences with theirs; of pairs,
    strengths."""
    content = report.content
    pairs = content["pairs"]
    if content["design"] == "pairs":
        means = {k: (v["value"], v["low"], v["high"]) for k, v in content["bradley_terry"].items()}
        titles = ("Strength of each method", "log strength, mean 0", "share of preferences gained")
    else:
        means = {k: (v["mean"], v["low"], v["high"]) for k, v in content["mos"].items()}
        titles = ("Mean opinion scores", "MOS, 1 bad to 5 excellent", "difference in MOS")
    figure = new_figure(8.6, 1.15 + 0.25 * max(len(pairs), len(means), 3))
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    spec = ".2f" if content["design"] == "acr" else "+.2f"
    _points(left, means, METHOD_COLOURS, METHOD_TITLES, spec)
    left.set(title=titles[0], xlabel=titles[1])
    if content["design"] == "acr":
        left.set_xlim(0.9, 5.1)
        left.set_xticks(range(1, 6))
    primary = content["primary"]
    colours = {name: ARM_COLOURS["refined"] if name == primary else SOFT for name in pairs}
    names = {name: pair_title(name) for name in pairs}
    if primary:
        names[primary] = f"PRIMARY  {names[primary]}"
    values = {k: (v["difference"], v["low"], v["high"]) for k, v in pairs.items()}
    _points(right, values, colours, names, "+.2f")
    right.axvline(0, color=INK, lw=0.8, zorder=1)
    right.set(title="Differences", xlabel=titles[2])
    figure.tight_layout(w_pad=2)
    return mark_simulated(figure, report.simulated)


def _points(
    axes: Any,
    rows: Mapping[str, tuple[float | None, float | None, float | None]],
    colours: Mapping[str, str],
    titles: Mapping[str, str],
    spec: str,
) -> None:
    for i, (name, (value, low, high)) in enumerate(rows.items()):
        if value is None:
            continue
        if low is not None:
            axes.plot([low, high], [i, i], color=colours[name], lw=2.6, alpha=0.45, zorder=2)
        axes.plot(value, i, "o", color=colours[name], ms=5.5, zorder=3)
        axes.annotate(
            f"{value:{spec}}".replace("-", MINUS), (value, i), (0, 5), textcoords="offset points",
            ha="center", va="bottom", fontsize=7.5, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [titles.get(name, name) for name in rows])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.7)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.1)


def plot_study_poses(report: StudyReport) -> Picture:
    """MOS by pose stratum; of pairs, the primary difference."""
    content = report.content
    strata = content["by_stratum"]
    if content["design"] == "pairs":
        found = {s: {"": row["primary"]} for s, row in strata.items()}
        table = {s: {"primary": _triple(v[""], "difference")} for s, v in found.items()}
        title = "Preference for refined over self-training, by pose"
        label = "share of preferences gained"
    else:
        table = {
            s: {name: _triple(v, "mean") for name, v in row["mos"].items()}
            for s, row in strata.items()
        }
        title, label = "Mean opinion scores by pose, with 95 % intervals", "MOS"
    titles = {s: stratum_title(s, row) for s, row in strata.items()}
    figure = plot_scores(
        table,
        colours={**METHOD_COLOURS, "primary": ARM_COLOURS["refined"]},
        titles={**METHOD_TITLES, "primary": "refined over self-training", **titles},
        title=title,
        xlabel=label,
    )
    return mark_simulated(figure, report.simulated)


@styled
def plot_study_agreement(report: StudyReport) -> Picture:
    """Correlation of every two raters, the most generous first, and how generous each is."""
    order = np.argsort(-report.offsets, kind="stable")
    raters = len(order)
    figure = new_figure(8.2, 3.9)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    left.set(title="Correlation between raters", xlabel="rater", ylabel="rater")
    if report.content["design"] == "pairs":
        right.set(
            title="How far each rater leans to the right", xlabel="points more than the others"
        )
    else:
        right.set(title="How generous each rater is", xlabel="points more than the others give")
    if raters:
        shown = report.correlations[np.ix_(order, order)].copy()
        np.fill_diagonal(shown, np.nan)
        low = min(0.0, float(np.nanmin(shown))) if np.isfinite(shown).any() else 0.0
        picture = left.imshow(shown, cmap=_map(), vmin=low, vmax=1, interpolation="nearest")
        bar = figure.colorbar(picture, ax=left, fraction=0.046, pad=0.03)
        bar.outline.set_visible(False)
        values = report.offsets[order]
        fine = np.isfinite(values)
        colours = np.where(np.nan_to_num(values) > 0, ANSWER_COLOURS[5], ANSWER_COLOURS[1])
        right.barh(np.arange(raters)[fine], values[fine], 0.72, color=colours[fine], zorder=2)
        right.axvline(0, color=INK, lw=0.8, zorder=3)
        right.set_ylim(raters - 0.4, -0.6)
        right.set_yticks([])
    left.grid(False)
    right.grid(axis="y", visible=False)
    right.spines["left"].set_visible(False)
    if raters < 2:
        left.text(
            0.5, 0.5, "nothing to compare:\nfewer than two raters", transform=left.transAxes,
            ha="center", va="center", color=SOFT,
        )  # fmt: skip
    found = report.content["agreement"]
    if found["alpha"] is not None and found["icc"] is not None:
        figure.text(
            0.99, 0.015, f"alpha (ordinal) {found['alpha']:.2f}     ICC(2,1) {found['icc']:.2f}",
            ha="right", fontsize=8, color=SOFT,
        )  # fmt: skip
    ticks = [0, raters - 1] if raters > 1 else [0]
    left.set_xticks(ticks, [i + 1 for i in ticks])
    left.set_yticks(ticks, [i + 1 for i in ticks])
    figure.tight_layout(w_pad=2.5, rect=(0, 0.03, 1, 1))
    return mark_simulated(figure, report.simulated)


@styled
def plot_study_session(report: StudyReport) -> Picture:
    """Along a session: ratings less what the others gave to the same items, and the time taken."""
    effects = report.content["effects"]
    figure = new_figure(8.2, 2.9)
    left, right = figure.subplots(1, 2)
    x = 10 * report.tenths.index.to_numpy(float) + 5
    left.axhline(0, color=INK, lw=0.8)
    left.plot(x, report.tenths["rating"], "o-", ms=4.5, color=ARM_COLOURS["refined"])
    left.set_title("Order: ratings along a session" + _change(effects["rating_trend"], "+.2f"))
    limit = max(0.5, 1.3 * _largest(report.tenths["rating"]))
    left.set(ylabel="points above the others'", ylim=(-limit, limit))
    right.plot(x, report.tenths["seconds"], "o-", ms=4.5, color=ARM_COLOURS["self_training"])
    right.set_title("Fatigue: time on an item" + _change(effects["seconds_trend"], ".2f", "×"))
    right.set(ylabel="median seconds", ylim=(0, max(1.0, 1.2 * _largest(report.tenths["seconds"]))))
    for axes in (left, right):
        axes.set(xlim=(0, 100), xlabel="% of the session")
        axes.title.set_linespacing(1.5)
    figure.tight_layout(w_pad=2.5)
    return mark_simulated(figure, report.simulated)


def _largest(values: Any) -> float:
    """Largest absolute value of those that are known, 0 where none is."""
    return float(np.nan_to_num(np.abs(np.asarray(values, float))).max(initial=0.0))


def _change(found: Mapping[str, Any], spec: str, unit: str = "") -> str:
    if found["value"] is None:
        return ""
    value, low, high = (
        f"{unit}{found[k]:{spec}}".replace("-", MINUS) for k in ("value", "low", "high")
    )
    return f"\nfrom first to last: {value} [{low}, {high}]"


@styled
def plot_study_power(report: StudyReport) -> Picture | None:
    """Power against the number of raters; None where the variances are not known."""
    found = report.content["power"]
    if "curve" not in found:
        return None
    figure = new_figure(5.6, 3.2)
    axes = figure.subplots()
    raters = [row["raters"] for row in found["curve"]]
    powers = [100 * row["power"] for row in found["curve"]]
    axes.axhline(100 * found["power"], color=SOFT, lw=1, ls=(0, (4, 3)))
    axes.axhline(100 * found["limit"], color=LINE, lw=1.6)
    axes.plot(raters, powers, "o-", ms=4, color=ARM_COLOURS["refined"])
    axes.annotate(
        f"unlimited raters: {found['limit']:.0%}", (raters[-1], 100 * found["limit"]), (0, 3),
        textcoords="offset points", ha="right", va="bottom", fontsize=8, color=SOFT,
    )  # fmt: skip
    needed = found["raters_needed"]
    if needed is not None:
        axes.plot([needed] * 2, [0, 100 * found["reached"]], color=INK, lw=1)
        axes.annotate(
            f"{needed} raters", (needed, 4), (5, 0), textcoords="offset points", fontsize=9,
            color=INK, weight="bold",
        )  # fmt: skip
    axes.set(
        ylim=(0, 104), xlim=(0, None),
        xlabel=f"raters, each seeing {found['images']} photos of {found['people']} people",
        ylabel="% of the studies",
        title=f"Studies that find a difference of {found['difference']:g} MOS",
    )  # fmt: skip
    figure.tight_layout()
    return mark_simulated(figure, report.simulated)


def _triple(value: Mapping[str, Any] | None, key: str) -> Any:
    if value is None or value[key] is None:
        return None
    return value[key], value["low"], value["high"]


def _map() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("agreement", ["#f7e6d6", WASH, "#2b6ea6"])
    return colours.with_extremes(bad="white")
