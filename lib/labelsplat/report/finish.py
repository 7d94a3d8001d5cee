"""The last step after ``dvc repro``: what gathers several stages, and what tells times.

Neither may be a stage's output: times differ at every run and would dirty what depends on them.
Nothing happens while the inputs are unchanged.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from labelsplat.base.errors import LabelsplatError
from labelsplat.base.files import atomic_path, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.report.environment import setup_seconds
from labelsplat.report.lock import defined
from labelsplat.report.params import read_yaml
from labelsplat.report.stages import slug

_FRONT = "labelsplat.report.front"

GATHERED = ("capture", "timing", "fit", "pretrain")
"""Metrics that are put together here."""


def finish(root: Path) -> bool:
    """Write what is gathered and the front page; whether anything had changed.

    Raises:
        LabelsplatError: a stage has not run yet.
    """
    layout = Layout(Path(root).resolve())
    stamp = layout.reports / ".finished"
    inputs = _fingerprint(layout)
    written = [layout.metrics / f"{name}.json" for name in GATHERED]
    front = importlib.util.find_spec(_FRONT)
    if front:
        written += [layout.reports / "index.html", layout.reports / "user_study.html"]
    done = stamp.read_text(encoding="utf-8") if stamp.exists() else ""
    if done == _done(inputs, written):
        return False

    names = _expected_stages(layout.root)
    timings = {name: _timing(layout, name) for name in names}
    write_json(layout.metrics / "timing.json", gather_timing(timings, setup_seconds(layout.root)))
    write_json(
        layout.metrics / "capture.json",
        {
            **read_json(layout.capture_counts),
            **(read_json(layout.head_times) if layout.head_times.exists() else {}),
            "seconds": timings["capture"]["seconds"],
        },
    )
    _write_fit(layout, timings)
    _write_pretrain(layout)
    if front:
        from labelsplat.report.front import write_front_page
        from labelsplat.report.study_page import write_study_page

        write_front_page(layout)
        write_study_page(layout)
    with atomic_path(stamp) as temporary:
        temporary.write_text(_done(inputs, written), encoding="utf-8")
    return True


def _write_fit(layout: Layout, timings: dict[str, dict]) -> None:
    """fit.json: what evaluation found of the fits, with their seconds; none without truth."""
    path = layout.metrics / "fit.json"
    report = layout.metrics / "evaluate.json"
    fit = read_json(report).get("fit") if report.exists() else None
    if not fit:
        path.unlink(missing_ok=True)
        return
    params = read_yaml(layout.root / "params.yaml")
    last = list(params["rounds"].values())[-1]["splats"]
    trial = layout.metrics / "experiments" / "trial_setting.json"
    device = timings[f"fit@{last}"]["device"]
    kept = read_json(trial)["psnr_heldout"]["mean"] if trial.exists() else None
    engine = "gsplat" if device == "cuda" else "cpu"
    write_json(path, gather_fit(fit, read_json(layout.fit_times(last)), engine, kept))


def _write_pretrain(layout: Layout) -> None:
    """pretrain.json: what evaluation found of the baseline, with its training's times.

    None without truth.
    """
    path = layout.metrics / "pretrain.json"
    report = layout.metrics / "evaluate.json"
    found = read_json(report).get("pretrain") if report.exists() else None
    if not found:
        path.unlink(missing_ok=True)
        return
    times = layout.training_times("baseline")
    write_json(path, gather_pretrain(found, read_json(times) if times.exists() else {}))


def gather_pretrain(found: dict, times: dict[str, float]) -> dict:
    """The content of pretrain.json.

    Args:
        found: section ``pretrain`` of evaluate.json.
        times: ``seconds`` that the training took and ``images_per_second``, as far as known.
    """
    return {**found, **{name: times.get(name) for name in ("seconds", "images_per_second")}}


def gather_fit(
    fit: dict, seconds: dict[str, float], engine: str, trial_setting: float | None
) -> dict:
    """The content of fit.json.

    Args:
        fit: section ``fit`` of evaluate.json.
        seconds: of each subject's fit.
        engine: that drew.
        trial_setting: PSNR of held-out views with the kept settings of an earlier trial, dB, as the
            experiment of that name found it; None before it was run.
    """
    known = [seconds[name] for name in fit["subjects"] if name in seconds]
    mean = {
        **fit["mean"],
        "seconds": round(sum(known) / len(known), 2) if known else None,
        "heldout": {**fit["mean"]["heldout"], "psnr_trial_setting": trial_setting},
    }
    subjects = {
        name: {**found, "seconds": seconds.get(name)} for name, found in fit["subjects"].items()
    }
    return {"engine": engine, "mean": mean, "subjects": subjects}


def gather_timing(timings: dict[str, dict], setup: float | None) -> dict:
    """The content of timing.json from each stage's own timing.

    Args:
        timings: by stage, as :func:`labelsplat.report.timing.write_timing` wrote them.
        setup: seconds that ``make setup`` took, None if unknown.
    """
    devices = {t["device"] for t in timings.values()}
    return {
        "total_seconds": round(sum(t["seconds"] for t in timings.values()), 1),
        "setup_seconds": setup,
        # Stages run one after the other: the largest one is the run's peak.
        "peak_memory_mb": max(t["peak_memory_mb"] for t in timings.values()),
        "cores": max(t["cores"] for t in timings.values()),
        # A stage without the parameter (drawing heads, say) always runs on the CPU.
        "device": "cuda" if "cuda" in devices else "cpu",
        "stages": {name: t["seconds"] for name, t in timings.items()},
    }


def _expected_stages(root: Path) -> list[str]:
    """Those with a notebook: they write a page and a timing."""
    found = defined(read_yaml(root / "dvc.yaml"), read_yaml(root / "params.yaml"))
    return [
        name for name, entry in found.items() if f"reports/timing/{slug(name)}.json" in entry.outs
    ]


def _timing(layout: Layout, name: str) -> dict:
    path = layout.timing / f"{slug(name)}.json"
    if not path.exists():
        raise LabelsplatError(
            f"stage {name} has not run", where=layout.relative(path), remedy="Run: make repro"
        )
    return read_json(path)


def _fingerprint(layout: Layout) -> str:
    """Hash of all that the metrics and the front page are made of."""
    files = [
        layout.root / "params.yaml",
        layout.root / "dvc.yaml",
        layout.capture_counts,
        layout.head_times,
    ]
    for folder in (
        layout.timing,
        layout.reports / "fits",
        layout.reports / "training",
        layout.figures,
        layout.study_figures,
        layout.tables,
        layout.metrics,
    ):
        files += sorted(p for p in folder.rglob("*") if p.is_file())
    for pattern in ("*front*", "*study*", "page_pictures.py"):
        files += sorted(Path(__file__).parent.glob(pattern))
    made_here = {layout.metrics / f"{name}.json" for name in GATHERED}
    digest = hashlib.sha256(str(setup_seconds(layout.root)).encode())
    for path in files:
        if path.is_file() and path not in made_here:
            digest.update(f"{path.relative_to(path.parents[1])}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _done(inputs: str, written: list[Path]) -> str:
    lines = [inputs]
    for path in written:
        content = path.read_bytes() if path.exists() else b""
        lines.append(f"{path.name} {hashlib.sha256(content).hexdigest()}")
    return "\n".join(lines) + "\n"
