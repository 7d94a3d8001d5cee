"""Sentences of the front page that follow from the figures: the answer, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from labelsplat.report.front_numbers import (
    STRATA,
    Estimate,
    Metrics,
    difference,
    percent,
    score,
    signed,
)

_NOISE = 0.01
"""Differences smaller than this are not counted as an effect: a convention, not a measurement."""


@dataclass(frozen=True)
class Answer:
    """What the reader takes away.

    Attributes:
        verdict: a word or three.
        text: the sentence behind it.
        tone: ``good``, ``poor`` or ``none`` (nothing to judge by).
    """

    verdict: str
    text: str
    tone: str


@dataclass(frozen=True)
class Tile:
    """A large figure: its name, the figure, and a line of smaller print."""

    name: str
    figure: str
    note: str


def answer(metrics: Metrics) -> Answer:
    """The question's answer, as far as the metrics hold one."""
    if not metrics.evaluated:
        return Answer("Not evaluated yet.", "The last stage of make repro scores the arms.", "none")
    if not metrics.has_truth:
        return Answer(
            "No truth.",
            "These photos come without true labels, so nothing can be scored. The pictures and the "
            "chapters below show what refinement did to them.",
            "none",
        )
    gain, control = metrics.gain("extreme"), metrics.control("extreme")
    refined = metrics.arm("refined", "extreme").value
    if gain.value is None or control is None or refined is None:
        return Answer(
            "No answer.",
            "The parsers could not be compared at extreme poses: no test view with true labels "
            "stands there.",
            "none",
        )
    heads = metrics.count("identities", "test")
    where = f"On {heads} heads that nobody trained on" if heads else "On unseen heads"
    verb = "rises" if gain.value > 0 else "falls" if _loses(gain.value) else "goes"
    text = (
        f"{where}, the parser's mIoU at extreme poses {verb} from "
        f"{score(metrics.arm(control, 'extreme').value)} to {score(refined)} "
        f"({signed(gain.value)}{interval(gain, signed)})."
    )
    gap = metrics.gap("extreme")
    if gap is not None and gap > 0:
        text += f" That is {percent(gap)} of what true labels of the same photos bring."
    if gain.low is None:
        return Answer("No interval.", text, "none")
    if gain.low > 0:
        return Answer("Yes, on these heads.", text, "good")
    if gain.high is not None and gain.high < 0:
        return Answer("No: it got worse.", f"{text} The whole interval lies below zero.", "poor")
    return Answer("Not shown by this run.", f"{text} The interval includes zero.", "poor")


def interval(estimate: Estimate, show=score) -> str:
    """``, 95 % interval a to b``; empty where it is not known."""
    if not estimate.has_interval:
        return ""
    return f", 95 % interval {show(estimate.low)} to {show(estimate.high)}"


def tiles(metrics: Metrics) -> list[Tile]:
    """Large figures for the top of the page; only those that are known."""
    out = []
    gain = metrics.gain("extreme")
    if gain.value is not None:
        ends = f"95 %: {signed(gain.low)} to {signed(gain.high)}" if gain.has_interval else ""
        out.append(
            Tile("Parser, extreme poses", signed(gain.value), f"mIoU on unseen heads. {ends}")
        )
    if (gap := metrics.gap("extreme")) is not None:
        out.append(Tile("Gap to true labels", percent(gap), "recovered at extreme poses"))
    raw, refined = metrics.label("raw", "yaw60"), metrics.label("refined", "yaw60")
    if raw is not None and refined is not None:
        out.append(
            Tile("Labels in profile", f"{score(raw)} → {score(refined)}", "mIoU, raw → refined")
        )
    front = metrics.gain("standard").value
    if front is not None:
        cost = "what it costs at the front" if _loses(front) else "nothing lost at the front"
        out.append(Tile("Parser, standard poses", signed(front), f"mIoU: {cost}"))
    return out


def findings(metrics: Metrics) -> list[str]:
    """What did not work or is left to do, one sentence a finding, worked out from the figures."""
    out = []
    for stratum in ("extreme", "yaw60", "pitch30", "middle", "all"):
        gain = metrics.gain(stratum)
        name = STRATA[stratum][0].removeprefix("… ").lower()
        if _loses(gain.value):
            out.append(
                f"Views “{name}”: the parser loses {score(-gain.value)} against the better "
                f"control{interval(gain, signed)}."
            )
        elif gain.value is not None and gain.low is not None and gain.low <= 0:
            out.append(
                f"Views “{name}”: the gain of {signed(gain.value)} is not secured, its interval "
                f"starts at {signed(gain.low)}."
            )
    front = metrics.gain("standard")
    if _loses(front.value):
        out.append(
            f"Standard poses lose {score(-front.value)} against the better "
            f"control{interval(front, signed)}."
        )
    out += _arms_that_brought_nothing(metrics)
    out += _labels(metrics)
    out += _classes(metrics)
    rest = difference(
        metrics.arm("oracle", "extreme").value, metrics.arm("refined", "extreme").value
    )
    if rest is not None and rest > 0:
        out.append(f"At extreme poses {score(rest)} is still missing to the oracle.")
    return out


def _loses(change: float | None) -> bool:
    """Whether a change is a loss at the precision that is shown."""
    return change is not None and round(change, 3) < 0


def _arms_that_brought_nothing(metrics: Metrics) -> list[str]:
    out = []
    too_small = f"smaller than {score(_NOISE)}, which we do not count as an effect"
    control = metrics.control("extreme")
    base = metrics.arm(control, "extreme").value if control else None
    own = difference(metrics.arm("self_training", "extreme").value, base)
    if own is not None and own < _NOISE:
        raw = "Self-training on the raw predictions"
        if own <= -_NOISE:
            out.append(f"{raw} loses {score(-own)} at extreme poses against the better control.")
        else:
            out.append(
                f"{raw} moves extreme poses by {signed(own)} against the better control: "
                f"{too_small}."
            )
    novel = difference(
        metrics.arm("refined_novel", "extreme").value, metrics.arm("refined", "extreme").value
    )
    if novel is not None and novel < _NOISE:
        if novel <= -_NOISE:
            out.append(
                f"Rendered novel views add nothing at extreme poses ({signed(novel)}): they lose."
            )
        else:
            out.append(
                f"Rendered novel views move extreme poses by {signed(novel)} against the refined "
                f"photos alone: {too_small}."
            )
    return out


def _labels(metrics: Metrics) -> list[str]:
    out = []
    for stratum, (name, _) in STRATA.items():
        change = difference(metrics.label("refined", stratum), metrics.label("raw", stratum))
        if change is not None and round(change, 3) < 0:  # what would read as .000 is no finding
            out.append(
                f"Refinement made the labels worse for “{name.removeprefix('… ').lower()}” "
                f"({signed(change)})."
            )
    rest = difference(metrics.label("ceiling", "all"), metrics.label("refined", "all"))
    if rest is not None and rest > 0:
        out.append(
            f"Refined labels stay {score(rest)} below their ceiling, the true labels lifted to the "
            "same Gaussians and rendered."
        )
    return out


def _classes(metrics: Metrics) -> list[str]:
    refined = metrics.classes("refined", "extreme")
    refined.pop("background", None)
    control = metrics.control("extreme")
    before = metrics.classes(control, "extreme") if control else {}
    out = []
    if refined:
        weak = sorted(refined, key=refined.get)[:4]
        listed = ", ".join(f"{name} {score(refined[name])}" for name in weak)
        out.append(f"Weakest classes of the refined parser at extreme poses (IoU): {listed}.")
    lost = {name: refined[name] - before[name] for name in refined if name in before}
    lost = {name: change for name, change in lost.items() if change < -_NOISE}
    if lost:
        listed = ", ".join(f"{n} {signed(lost[n])}" for n in sorted(lost, key=lost.get)[:6])
        out.append(f"Classes that lose more than {score(_NOISE)} there: {listed}.")
    return out
