"""What the front page and the README say in figures, read from reports/metrics.

Nothing here is written by hand: a figure that the metrics lack (``null``, a stratum without views,
photos without truth) stays None and is shown as a dash. Neither numpy nor pandas is imported: the
last step of ``make repro`` must take no time.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labelsplat.base.arms import ARM_TITLES
from labelsplat.base.files import read_json

DASH, MINUS = "\N{EN DASH}", "\N{MINUS SIGN}"

ARMS = {arm: title[:1].upper() + title[1:] for arm, title in ARM_TITLES.items()}
"""Arms of the study in the order of the tables, with the names that people read."""

ARM_MEANINGS = {
    "baseline": "the parser before any fine-tune",
    "replay_only": "the same extra steps on its own frontal pool: more training alone",
    "self_training": "fine-tuned on its own raw predictions of the capture photos",
    "refined": "fine-tuned on the refined labels of the same photos",
    "refined_novel": "refined labels of the photos and of rendered novel views",
    "oracle": "fine-tuned on the TRUE labels of the same photos: the upper bound",
}

STRATA = {
    "extreme": ("Extreme poses", "yaw 60 to 110° or pitch ≥ 30°, up or down"),
    "yaw60": ("… in profile", "yaw 60 to 110°"),
    "pitch30": ("… from above or below", "pitch ≥ 30°, yaw < 60°"),
    "middle": ("Middle poses", "between standard and extreme"),
    "standard": ("Standard poses", "yaw ≤ 30°, pitch ≤ 20°"),
    "behind": ("From behind", "yaw > 110°"),
    "all": ("All but behind", ""),
}
"""Strata of the tables: name and meaning (yaw and pitch of the camera, without their signs)."""

PARTS = {
    "Ears": ("l_ear", "r_ear"),
    "Nose": ("nose",),
    "Lips": ("u_lip", "l_lip"),
}
"""Parts that have rows of their own, as in the paper; scored at extreme poses."""


def number(value: object) -> float | None:
    """``value`` as a float, None unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def score(value: float | None) -> str:
    """A score as ``.512``; a dash where there is none."""
    if value is None:
        return DASH
    text = f"{abs(value):.3f}"
    text = text[1:] if text.startswith("0") else text
    return f"{MINUS}{text}" if value < 0 and text != ".000" else text


def signed(value: float | None) -> str:
    """A difference as ``+.120`` or ``-.016``; a dash where there is none."""
    text = score(value)
    return f"+{text}" if value is not None and not text.startswith(MINUS) else text


def percent(value: float | None) -> str:
    """A share as ``74 %``; a dash where there is none."""
    if value is None:
        return DASH
    whole = round(100 * value)
    return f"{MINUS if whole < 0 else ''}{abs(whole)} %"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; each part is None where it is not known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return self.low is not None and self.high is not None


@dataclass(frozen=True)
class Row:
    """One row of a headline table.

    Attributes:
        name: of the stratum or the part.
        meaning: a few words on it.
        cells: one estimate an arm, in the order of :data:`ARMS`.
        gain: refined minus the better control.
        gap: share of the gap to the oracle that is recovered.
        part: whether the row scores one part of the face rather than the mean.
    """

    name: str
    meaning: str
    cells: tuple[Estimate, ...]
    gain: Estimate
    gap: float | None = None
    part: bool = False


@dataclass(frozen=True)
class Gate:
    """A bar that the run should clear.

    Attributes:
        name: what is measured.
        bar: the bar in words, e.g. ``≥ .640``.
        value: the measured value as text.
        met: None if it could not be measured.
    """

    name: str
    bar: str
    value: str
    met: bool | None


class Metrics:
    """The committed metrics of one run; files and keys may be missing.

    Args:
        folder: holds evaluate.json, timing.json and capture.json.
    """

    def __init__(self, folder: Path):
        self.evaluated = (folder / "evaluate.json").is_file()
        self.evaluate = read_optional(folder / "evaluate.json")
        self.timing = read_optional(folder / "timing.json")
        self.capture = read_optional(folder / "capture.json")

    def hard(self) -> Metrics:
        """The same of the test heads with nuisances, in the place of the others."""
        other = copy.copy(self)
        other.evaluate = table_at(self.evaluate, "hard")
        return other

    def arm(self, arm: str, stratum: str, key: str = "miou") -> Estimate:
        """A score of one arm; its interval belongs to the mIoU."""
        found = table_at(self.evaluate, "arms", arm, stratum)
        if key != "miou":
            return Estimate(number(found.get(key)))
        return _estimate(found)

    def part(self, arm: str, stratum: str, classes: tuple[str, ...], key: str) -> float | None:
        """Mean score (``iou`` or ``f1``) over those of ``classes`` that the truth shows."""
        table = table_at(self.evaluate, "arms", arm, stratum, "per_class")
        known = [number(table_at(table, name).get(key)) for name in classes]
        known = [value for value in known if value is not None]
        return sum(known) / len(known) if known else None

    def classes(self, arm: str, stratum: str) -> dict[str, float]:
        """IoU of every class that the truth shows."""
        table = table_at(self.evaluate, "arms", arm, stratum, "per_class")
        known = {name: number(table_at(table, name).get("iou")) for name in table}
        return {name: value for name, value in known.items() if value is not None}

    def control(self, stratum: str) -> str | None:
        """The arm that the stratum's gains are taken against, those of single parts included.

        It is the one that the evaluation recorded; where none is, the better in mIoU of baseline
        and replay_only.
        """
        recorded = table_at(self.evaluate, "control").get(stratum)
        if recorded in ("baseline", "replay_only"):
            return recorded
        known = {arm: self.arm(arm, stratum).value for arm in ("baseline", "replay_only")}
        known = {arm: value for arm, value in known.items() if value is not None}
        return max(known, key=known.get) if known else None

    def gain(self, stratum: str) -> Estimate:
        """Refined minus the better control, with its paired interval."""
        return _estimate(table_at(self.evaluate, "gain", stratum))

    def over_self_training(self) -> Estimate:
        """Refined minus self-training at extreme poses."""
        return _estimate(table_at(self.evaluate, "over_self_training", "extreme"))

    def gap(self, stratum: str) -> float | None:
        """Share of the gap between control and oracle that refinement recovers."""
        return number(table_at(self.evaluate, "gap_recovered").get(stratum))

    def label(self, kind: str, stratum: str) -> float | None:
        """mIoU of the capture views' labels: ``raw``, ``refined`` or ``ceiling``."""
        return number(table_at(self.evaluate, "labels", kind, stratum).get("miou"))

    def agreement(self, kind: str) -> float | None:
        """Share of pixels on which views agree, ``raw`` or ``refined``; needs no truth."""
        return number(table_at(self.evaluate, "agreement", kind).get("all"))

    @cached_property
    def has_truth(self) -> bool:
        """Whether anything could be scored."""
        arms = any(self.arm(a, s).value is not None for a in ARMS for s in STRATA)
        return arms or any(self.label("refined", s) is not None for s in STRATA)

    def seconds(self, stage: str) -> float | None:
        """Seconds of a stage's last real execution."""
        return number(table_at(self.timing, "stages").get(stage))

    def count(self, what: str, set_name: str) -> int | None:
        """``images`` or ``identities`` of a set."""
        value = number(table_at(self.capture, what).get(set_name))
        return None if value is None else round(value)


def headline_rows(metrics: Metrics, key: str = "miou") -> list[Row]:
    """Rows of the headline table: strata, then ears, nose and lips at extreme poses.

    Args:
        metrics: of the run.
        key: ``miou`` (intervals, and IoU for the parts) or ``f1``.
    """
    rows = []
    for stratum, (name, meaning) in STRATA.items():
        cells = tuple(metrics.arm(arm, stratum, key) for arm in ARMS)
        if key == "miou":
            gain, gap = metrics.gain(stratum), metrics.gap(stratum)
        else:
            gain, gap = Estimate(_over_control(metrics, stratum, cells)), None
        rows.append(Row(name, meaning, cells, gain, gap))
    class_key = "iou" if key == "miou" else key
    for name, classes in PARTS.items():
        cells = tuple(Estimate(metrics.part(arm, "extreme", classes, class_key)) for arm in ARMS)
        gain = Estimate(_over_control(metrics, "extreme", cells))
        rows.append(Row(name, "extreme poses", cells, gain, part=True))
    return rows


def _over_control(metrics: Metrics, stratum: str, cells: tuple[Estimate, ...]) -> float | None:
    by_arm = dict(zip(ARMS, cells, strict=True))
    control = metrics.control(stratum)
    if control is None:
        return None
    return difference(by_arm["refined"].value, by_arm[control].value)


def difference(a: float | None, b: float | None) -> float | None:
    """``a - b``, None unless both are known."""
    return None if a is None or b is None else a - b


def gates(metrics: Metrics) -> list[Gate]:
    """The bars for the default profile, each with what was measured."""
    standard = metrics.arm("refined", "standard").value
    baseline = metrics.arm("baseline", "standard").value
    control = metrics.control("standard")
    better = metrics.arm(control, "standard").value if control else None
    agree = number(metrics.capture.get("label_reprojection_agreement"))
    gain, over = metrics.gain("extreme"), metrics.over_self_training()
    run_name, seconds = _run_time(metrics)
    memory = number(metrics.timing.get("peak_memory_mb"))
    above_zero = None if gain.low is None else gain.low > 0
    return [
        _bar("Baseline parser, standard poses, mIoU", baseline, 0.68, score),
        _bar("Labels of drawn heads agree between views", agree, 0.97, percent),
        _bar("Refined labels over raw, all poses", _labels_gain(metrics, "all"), 0.12, signed),
        _bar("Refined labels over raw, profile", _labels_gain(metrics, "yaw60"), 0.20, signed),
        _bar("Parser's gain at extreme poses", gain.value, 0.08, signed),
        Gate("… and its interval's lower end", "> 0", signed(gain.low), above_zero),
        _bar("Over self-training, extreme poses", over.value, 0.08, signed),
        _bar("Gap to the oracle recovered, extreme poses", metrics.gap("extreme"), 0.55, percent),
        _bar("Standard poses, against the baseline", difference(standard, baseline), -0.02, signed),
        _bar(
            "Standard poses, against the better control",
            difference(standard, better),
            -0.03,
            signed,
        ),
        _bar(run_name, _ratio(seconds, 60), 30, _plain, at_most=True),
        _bar("Peak memory, in GiB", _ratio(memory, 1024), 6, _plain, at_most=True),
    ]


def _run_time(metrics: Metrics) -> tuple[str, float | None]:
    """Name and seconds of the last setup and all stages, as far as known.

    It is the time from a bare clone only if that setup made ``.venv`` anew.
    """
    stages = number(metrics.timing.get("total_seconds"))
    setup = number(metrics.timing.get("setup_seconds"))
    if stages is None or setup is None:
        return "Whole run without its setup, in minutes", stages
    return "Setup and whole run, in minutes", setup + stages


def _labels_gain(metrics: Metrics, stratum: str) -> float | None:
    return difference(metrics.label("refined", stratum), metrics.label("raw", stratum))


def _bar(name, value, bar, show, *, at_most=False) -> Gate:
    words = f"{'≤' if at_most else '≥'} {show(bar)}"
    if value is None:
        return Gate(name, words, DASH, None)
    return Gate(name, words, show(value), value <= bar if at_most else value >= bar)


def _plain(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _ratio(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def read_optional(path: Path) -> dict:
    """The table in a JSON file, empty where there is no file.

    Raises:
        LabelsplatError: the file is not JSON.
    """
    if not path.is_file():
        return {}
    found = read_json(path)
    return found if isinstance(found, dict) else {}


def table_at(table: object, *keys: str) -> dict:
    """The table below ``keys`` of a table, empty where one of them is missing or null."""
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _estimate(found: dict) -> Estimate:
    return Estimate(*(number(found.get(key)) for key in ("miou", "low", "high")))
