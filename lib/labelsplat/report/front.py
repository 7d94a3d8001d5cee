"""The front page ``reports/index.html`` and the README's table, both from reports/metrics alone.

The page is one file of less than a megabyte that opens offline: styles, drawings and pictures stand
in it. Called by ``labelsplat finish``, or by hand::

    python -m labelsplat.report.front            the page and the README's table
    python -m labelsplat.report.front --readme   the README's table alone
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from labelsplat.base.errors import LabelsplatError, ParameterError
from labelsplat.base.files import atomic_path
from labelsplat.base.layout import Layout
from labelsplat.report.front_geometry import read_geometry
from labelsplat.report.front_numbers import (
    ARM_MEANINGS,
    ARMS,
    DASH,
    STRATA,
    Metrics,
    Row,
    difference,
    gates,
    headline_rows,
    number,
    percent,
    score,
    signed,
)
from labelsplat.report.front_study import read_study
from labelsplat.report.front_words import answer, findings, tiles
from labelsplat.report.page_pictures import Picture, picture_addresses
from labelsplat.report.params import profile_names, profile_text, read_yaml
from labelsplat.report.templates import templates

PAGE_BYTES = 1_000_000
"""Upper limit of the page's size; the page is committed."""

BEGIN, END = "<!-- headline:begin -->", "<!-- headline:end -->"
"""Marks in the README around the generated table."""

_HERE = Path(__file__).parent
_SECRET = ("study.salt",)
_CAPTIONS = {
    "before_after": "Test heads at extreme poses, chosen by a rule before any result was seen. "
    "The last row is the worst case: the photo on which refinement cost most.",
    "gain_by_stratum": "What refinement brought over the better control, with 95 % intervals.",
    "labels_profile": "Captured heads, each seen from the side: raw and refined labels.",
    "per_class": "Each class at extreme poses, before and after.",
}


@dataclass(frozen=True)
class Profile:
    """What the run was made with.

    Attributes:
        text: a sentence that names the profile.
        warning: shown on top, None for the default profile and for larger ones.
        judged: whether the bars hold for it.
        changes: (parameter, default, this run) for what differs from the default profile.
    """

    text: str
    warning: str | None
    judged: bool
    changes: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Chapter:
    """One stage: its name in dvc.yaml, what it does, its page relative to the front page."""

    name: str
    description: str
    link: str | None
    seconds: float | None


def write_front_page(layout: Layout) -> Path:
    """Write ``reports/index.html`` and the README's table; the page's path.

    Files and keys may be missing: the page says so in their place.

    Raises:
        LabelsplatError: a metrics file is not JSON.
    """
    update_readme(layout)
    path = layout.reports / "index.html"
    text = front_page(layout)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def front_page(layout: Layout) -> str:
    """The front page's HTML, see :func:`write_front_page`."""

    metrics = Metrics(layout.metrics)
    params = _params(layout)
    bars, hard = gates(metrics), metrics.hard()
    judged = [gate for gate in bars if gate.met is not None]
    environment = templates()
    environment.filters |= {"score": score, "signed": signed, "percent": percent}
    page = environment.get_template("front.html.j2")
    values = {
        "css": _raw((_HERE / "front.css").read_text(encoding="utf-8")),
        "profile": used_profile(params),
        "answer": answer(metrics),
        "tiles": tiles(metrics),
        "has_truth": metrics.has_truth,
        "arms": ARMS,
        "meanings": ARM_MEANINGS,
        "rows_miou": headline_rows(metrics),
        "rows_f1": headline_rows(metrics, "f1"),
        "rows_hard": headline_rows(hard) if hard.arm("baseline", "all").value is not None else [],
        "label_rows": _label_rows(metrics),
        "geometry": read_geometry(layout),
        "agreement": {kind: metrics.agreement(kind) for kind in ("raw", "refined")},
        "findings": findings(metrics),
        "gates": bars,
        "judged": len(judged),
        "missed": sum(not gate.met for gate in judged),
        "counts": {
            "test": metrics.count("identities", "test"),
            "test_images": metrics.count("images", "test"),
            "capture": metrics.count("images", "capture"),
            "hard": metrics.count("identities", "hard"),
        },
        "source": params.get("capture", {}).get("source"),
        "size": params.get("capture", {}).get("size"),
        "machine": _machine(metrics),
        "stages": chapters(layout, params, metrics),
        "study": read_study(layout),
    }
    empty = page.render(values, pictures={n: Picture(c, None) for n, c in _CAPTIONS.items()})
    room = PAGE_BYTES - len(empty.encode()) - 10_000
    return page.render(values, pictures=picture_addresses(layout.figures, _CAPTIONS, room))


def update_readme(layout: Layout) -> bool:
    """Write the headline table between the README's marks; whether the file had to change.

    A project without a README, or with one that lacks the marks, is left alone.
    """
    path = layout.root / "README.md"
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8")
    new = with_headline(text, readme_table(layout))
    if new == text:
        return False
    with atomic_path(path) as temporary:
        temporary.write_text(new, encoding="utf-8")
    return True


def with_headline(text: str, table: str) -> str:
    """``text`` with ``table`` between its marks; unchanged if it has no marks."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text, count=1)


def readme_table(layout: Layout) -> str:
    """The headline as Markdown: a sentence, a table of mIoU, a table of F1."""
    metrics = Metrics(layout.metrics)
    verdict = answer(metrics)
    lines = [f"**{verdict.verdict}** {verdict.text}"]
    if not metrics.has_truth:
        return lines[0]
    lines += ["", *_markdown(headline_rows(metrics), "mIoU", gap=True)]
    lines += ["", *_markdown(headline_rows(metrics, "f1"), "F1", gap=False)]
    lines += [
        "",
        f"Brackets: 95 % intervals, bootstrap over test heads. Gain: *{ARMS['refined']}* against "
        f"the better of *{ARMS['baseline']}* and *{ARMS['replay_only']}*. Ears, nose, lips: at "
        "extreme poses.",
    ]
    return "\n".join(lines)


def _markdown(rows: list[Row], caption: str, *, gap: bool) -> list[str]:
    head = [caption, *ARMS.values(), "Gain", *(["Gap recovered"] if gap else [])]
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [row.name, *(_bracketed(cell, score) for cell in row.cells)]
        cells.append(_bracketed(row.gain, signed))
        if gap:
            cells.append(percent(row.gap))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _bracketed(estimate, show) -> str:
    if not estimate.has_interval:
        return show(estimate.value)
    return f"{show(estimate.value)} [{show(estimate.low)}, {show(estimate.high)}]"


def used_profile(params: dict) -> Profile:
    """Which profile the parameters are, or how they differ from the default one."""
    if not params:
        return Profile("params.yaml is missing, so the settings are not known.", None, False)
    default = _profile("default")
    if params == default:
        return Profile("Settings: the default profile, as committed in params.yaml.", None, True)
    changes = tuple(_changes(default, params))
    for name in profile_names():
        if params == _profile(name):
            warning = None
            if name == "quick":
                warning = "Profile quick: a few minutes to try the line. Read no result from it."
            return Profile(f"Settings: the profile “{name}”.", warning, False, changes)
    text = f"Settings: the default profile but for {len(changes)} parameter"
    return Profile(f"{text}{'s' if len(changes) > 1 else ''}.", None, False, changes)


def _profile(name: str) -> dict:
    # Not read_yaml on the profile's own file: that one lists only what it changes.
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(profile_text(name))


def _changes(default: dict, params: dict, prefix: str = ""):
    for key in dict.fromkeys([*default, *params]):
        old, new = default.get(key), params.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{prefix}{key}.")
        elif old != new:
            name = f"{prefix}{key}"
            # Who knows the salt can tell the study's items apart.
            yield name, _shown(old), "(set)" if name in _SECRET else _shown(new)


def _shown(value: object) -> str:
    return DASH if value is None else str(value)


def chapters(layout: Layout, params: dict, metrics: Metrics) -> list[Chapter]:
    """Every stage of dvc.yaml, rounds resolved, in the order of the file."""
    path = layout.root / "dvc.yaml"
    stages = read_yaml(path).get("stages", {}) if path.is_file() else {}
    out = []
    for name, stage in stages.items():
        keys = [None]
        if "foreach" in stage:
            over = stage["foreach"]
            keys = list(params.get(over[2:-1], ()) if isinstance(over, str) else over)
            stage = stage.get("do", {})
        for key in keys:
            full = name if key is None else f"{name}@{key}"
            page = _page_of(stage, key)
            link = (
                page.removeprefix("reports/") if page and (layout.root / page).is_file() else None
            )
            description = _resolved(stage.get("desc", ""), key)
            out.append(Chapter(full, description, link, metrics.seconds(full)))
    return out


def _page_of(stage: dict, key: str | None) -> str | None:
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", ())]
    pages = [_resolved(out, key) for out in outs if out.startswith("reports/html/")]
    return pages[0] if pages else None


def _resolved(text: str, key: str | None) -> str:
    return text if key is None else text.replace("${key}", key).replace("${item}", key)


def _label_rows(metrics: Metrics) -> list[dict]:
    rows = []
    for stratum, (name, _) in STRATA.items():
        raw, refined, ceiling = (
            metrics.label(kind, stratum) for kind in ("raw", "refined", "ceiling")
        )
        if raw is None and refined is None:
            continue
        change = difference(refined, raw)
        rows.append(
            {"name": name, "raw": raw, "refined": refined, "change": change, "ceiling": ceiling}
        )
    return rows


def _machine(metrics: Metrics) -> str | None:
    timing = metrics.timing
    seconds = number(timing.get("total_seconds"))
    if seconds is None:
        return None
    device = {"cuda": "CUDA", "cpu": "no GPU"}.get(timing.get("device"), "device unknown")
    text = f"All stages together took {seconds:,.0f} s ({seconds / 60:.0f} minutes)"
    cores = number(timing.get("cores"))
    text += f" on {cores:.0f} cores, {device}" if cores else f", {device}"
    memory = number(timing.get("peak_memory_mb"))
    if memory is not None:
        text += f", and {memory:,.0f} MiB of memory at most"
    setup = number(timing.get("setup_seconds"))
    text += "."
    return text if setup is None else f"{text} Setting up the environment took {setup:.0f} s."


def _params(layout: Layout) -> dict:
    try:
        return read_yaml(layout.root / "params.yaml")
    except ParameterError:
        return {}


def _raw(css: str):
    from markupsafe import Markup

    return Markup(css)


def main(arguments: list[str] | None = None) -> int:
    """Write the page and the README's table, or that table alone (``--readme``)."""
    import argparse

    parser = argparse.ArgumentParser(prog="labelsplat.report.front", description=main.__doc__)
    parser.add_argument("--readme", action="store_true", help="the README's table alone")
    options = parser.parse_args(arguments)
    try:
        layout = Layout.find()
        if options.readme:
            changed = update_readme(layout)
            print(f"README.md: {'table written' if changed else 'up to date'}")
        else:
            print(write_front_page(layout))
    except LabelsplatError as error:
        print(f"labelsplat.report.front: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
