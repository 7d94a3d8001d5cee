"""The stages of notebooks/experiments/dvc.yaml: each runs one experiment and writes its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labelsplat.base import ParameterError, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.evaluate import compare_views, join
from labelsplat.experiments.corrupt import KINDS
from labelsplat.experiments.coupling import compare_couplings
from labelsplat.experiments.estimated_line import run_estimated_line
from labelsplat.experiments.head_frames import compare_frames
from labelsplat.experiments.heads import head_names, make_heads, read_head
from labelsplat.experiments.label_noise import gather_rows, noise_rows
from labelsplat.experiments.paper_setting import run_paper_setting
from labelsplat.experiments.settings import CouplingSettings, NoiseSettings, Setup, section
from labelsplat.experiments.summary import header, miou_interval
from labelsplat.experiments.trial_setting import run_trial_setting
from labelsplat.refine import RefineSettings
from labelsplat.splats import FitSettings

EXPERIMENTS = (
    "heads",
    "coupling",
    "coupling_weighted",
    *(f"noise@{kind}" for kind in KINDS),
    "label_noise",
    "trial_setting",
    "head_frames",
    "estimated_line",
    "paper_setting",
)
"""Names of the stages."""

Values = Mapping[str, Any] | None


def report_path(layout: Layout, experiment: str) -> Path:
    """Where a stage's report lies: ``reports/metrics/experiments/coupling.json``.

    Those of single kinds of noise lie in a folder, ``label_noise/pixels.json``.
    """
    group, _, kind = experiment.partition("@")
    folder = layout.metrics / "experiments"
    return folder / "label_noise" / f"{kind}.json" if kind else folder / f"{group}.json"


def run_experiment(
    layout: Layout,
    experiment: str,
    *,
    seed: int,
    device: str | None = None,
    capture: Values = None,
    predict: Values = None,
    fit: Values = None,
    refine: Values = None,
    experiments: Values = None,
) -> dict[str, Any]:
    """Run one experiment and write its report; see :func:`report_path`.

    Args:
        layout: the line's tree.
        experiment: one of :data:`EXPERIMENTS`.
        seed: of the run.
        device: "auto", "cpu" or "cuda".
        capture: section of params.yaml; all but ``heads`` need ``size`` alone.
        predict: section of params.yaml, for ``heads``.
        fit: section of params.yaml, for experiments that vary it.
        refine: section of params.yaml, for experiments that lift.
        experiments: section of notebooks/experiments/params.yaml, or what of it is needed.

    Returns:
        the report, ``{commit, seed, machine, ...}``.

    Raises:
        ParameterError: an unknown experiment or setting.
        LabelsplatError: what the experiment reads is missing.
    """
    if experiment not in EXPERIMENTS:
        raise ParameterError(f"experiment {experiment!r}", remedy=f"One of {EXPERIMENTS}")
    group, _, kind = experiment.partition("@")
    if group == "paper_setting":
        found = run_paper_setting(
            layout, experiments[group], seed=seed, processes=experiments["processes"]
        )
    elif group == "estimated_line":
        found = run_estimated_line(layout)
    elif group == "label_noise":
        reports = {k: read_json(report_path(layout, f"noise@{k}")) for k in KINDS}
        found = {"rows": gather_rows(reports)}
    else:
        setup = Setup(
            layout,
            size=capture["size"],
            seed=seed,
            device=device,
            draws=experiments["bootstrap"],
            processes=experiments["processes"],
            fit=None if fit is None else FitSettings(**fit),
            refine=None if refine is None else RefineSettings(**refine),
        )
        if group == "heads":
            found = _heads(setup, capture, predict)
        elif group == "trial_setting":
            kept = {**experiments[group], "processes": experiments["processes"]}
            found = run_trial_setting(replace(setup, fit=section(FitSettings, kept, group)))
        elif group == "head_frames":
            found = compare_frames(setup, experiments[group]["heads"])
        elif group in ("coupling", "coupling_weighted"):
            settings = section(CouplingSettings, experiments["coupling"], "coupling")
            found = compare_couplings(setup, settings, weighted=group == "coupling_weighted")
        else:
            settings = section(NoiseSettings, experiments["label_noise"], "label_noise")
            found = {"rows": noise_rows(setup, kind, settings)}
    report = {**header(layout, seed, device), **found}
    write_json(report_path(layout, experiment), report)
    return report


def _heads(setup: Setup, capture: Mapping[str, Any], predict: Mapping[str, Any]) -> dict[str, Any]:
    """The heads, and how good the baseline's labels of them are."""
    done = make_heads(setup.layout, capture, seed=setup.seed, predict=predict, device=setup.device)
    parts = []
    for subject in head_names(setup.layout, len(done)):
        head = read_head(setup.layout, subject, setup.size)
        maps = head.soft.argmax(-1).astype("uint8")
        photos = head.photos
        parts.append(compare_views(subject, photos.names, photos.angles, maps, head.train.labels))
    return {
        "baseline_miou_train": miou_interval(join(parts), setup.draws, setup.seed),
        "subjects": {
            one.subject: {"train": one.images[0], "heldout": one.images[1], **one.facts}
            for one in done
        },
    }
