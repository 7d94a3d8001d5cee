"""The tune set: like ``capture`` and ``test``, with other people, for EVERY choice of a setting.

``data/tune`` is a project of its own (data, models and work below it), so that the stages' own
functions run on it as they are. The baseline and the standard pool are those of the line. Nothing
here is part of ``make repro``; `make tune` prints and writes what it found.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from labelsplat.base import LabelsplatError, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture.embedded import default_jobs, make_sets
from labelsplat.evaluate.arms import score_arms, true_heads
from labelsplat.evaluate.confusions import ViewConfusions, compare_views, join
from labelsplat.labels import STRATA, scores
from labelsplat.parsing import finetune_round, predict_round
from labelsplat.refine import RefineSettings, refine_round
from labelsplat.splats import FitSettings
from labelsplat.splats.stage import fit_round


def tune_capture(line: Mapping[str, Any]) -> dict[str, Any]:
    """Section ``capture`` of the tune set: the line's, with identities beyond all of its own.

    Args:
        line: section ``capture`` of params.yaml.
    """
    used = [
        line[f"{name}_first"] + line[f"{name}_identities"]
        for name in ("standard", "capture", "test", "hard")
    ]
    # Beyond every identity of the line, so that no person is in both.
    first = max(used) + line["validation_identities"] + 100
    return {
        **line,
        "standard_identities": 0,
        "validation_identities": 0,
        "hard_identities": 0,
        "checked_pairs": 0,
        "capture_first": first,
        "test_first": first + line["capture_identities"],
    }


def prepare_tune(layout: Layout, params: Mapping[str, Any]) -> Layout:
    """Photograph the tune heads, if they are not there, and give them the line's baseline.

    Raises:
        LabelsplatError: the baseline has not been trained.
    """
    if not layout.baseline.is_file():
        raise LabelsplatError(
            "the baseline is missing", where=layout.baseline, remedy="Run `make repro` first"
        )
    tune = Layout(layout.tune)
    capture = tune_capture(params["capture"])
    wanted = {"seed": params["seed"], "capture": capture}
    known = tune.root / "made_of.json"
    if not known.is_file() or read_json(known) != wanted:
        shutil.rmtree(tune.root, ignore_errors=True)
        jobs = default_jobs(tune, capture)
        make_sets(
            jobs,
            size=capture["size"],
            supersample=capture["supersample"],
            seed=params["seed"],
            processes=capture["processes"],
        )
        write_json(known, wanted)
    for name in ("standard", "baseline"):
        source = layout.standard if name == "standard" else layout.models("baseline")
        target = tune.standard if name == "standard" else tune.models("baseline")
        shutil.copytree(source, target, dirs_exist_ok=True)
    return tune


def strata_scores(views: ViewConfusions) -> dict[str, float]:
    """Mean IoU by stratum."""
    return {s: scores(views.total(s), views.vocabulary).miou for s in STRATA}


def label_scores(tune: Layout, labels: Mapping[str, np.ndarray], size: int) -> dict[str, float]:
    """Mean IoU of label maps of the capture views by stratum.

    Args:
        tune: its layout.
        labels: ``[V, H, W]`` uint8 by subject.
        size: pixels.
    """
    parts = []
    for head in true_heads(tune.capture, tune.truth, size):
        p = head.photos
        parts.append(compare_views(p.subject, p.names, p.angles, labels[p.subject], head.labels))
    return strata_scores(join(parts))


def run_tune(layout: Layout, params: Mapping[str, Any]) -> dict[str, Any]:
    """The whole line on the tune set with the active parameters; writes metrics/tune.json."""
    tune = prepare_tune(layout, params)
    size, seed, device = params["capture"]["size"], params["seed"], params["device"]
    settings = RefineSettings(**params["refine"])
    out: dict[str, Any] = {"labels": {}, "arms": {}}
    predict = {**params["predict"], "parser": layout.outside_text(params["predict"]["parser"])}
    for name, entry in params["rounds"].items():
        predict_round(tune, name, entry["parsers"], size=size, device=device, **predict)
        if name in params["fits"]:
            fit = FitSettings(**params["fit"])
            fit_round(tune, name, fit, settings.votes(), size=size, seed=seed, device=device)
        done, _ = refine_round(tune, name, entry["splats"], settings, size=size, seed=seed)
        votes = {d.photos.subject: d.votes.argmax(-1).astype(np.uint8) for d in done}
        out["labels"][f"{name} votes"] = label_scores(tune, votes, size)
        refined = {d.photos.subject: d.labels for d in done}
        out["labels"][f"{name} refined"] = label_scores(tune, refined, size)
        finetune_round(
            tune, name, entry["arms"], params["finetune"], size=size, seed=seed, device=device
        )
        for arm in entry["arms"]:
            out["arms"][f"{name} {arm}"] = arm_scores(tune, name, arm, size, device)
    for group, arm in (("control", "replay_only"), ("oracle", "oracle")):
        finetune_round(tune, group, [arm], params["finetune"], size=size, seed=seed, device=device)
        out["arms"][arm] = arm_scores(tune, group, arm, size, device)
    out["arms"]["baseline"] = arm_scores(tune, "baseline", "baseline", size, device)
    write_json(layout.metrics / "tune.json", out)
    return out


def arm_scores(tune: Layout, group: str, arm: str, size: int, device: str) -> dict[str, float]:
    """Mean IoU by stratum of a checkpoint on the tune set's test heads."""
    files = {arm: tune.model(group, arm)}
    return strata_scores(score_arms(files, tune.test_photos, tune.test_truth, size, device)[arm])
