"""The line in a copy of the project; as a whole it is run by `make experiments`."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelsplat.base import LabelsplatError, read_json
from labelsplat.base.layout import Layout
from labelsplat.experiments.copied_line import (
    change_params,
    copy_project,
    run_command,
    share_cache,
)
from labelsplat.experiments.estimated_line import STRATA, frame_scores
from labelsplat.report.params import load_params

REPO = Path(__file__).resolve().parents[2]


def test_a_copy_shares_what_was_run_and_differs_in_one_parameter(tmp_path):
    project = copy_project(REPO, tmp_path / "project")
    share_cache(REPO, project)
    cache = Path(run_command(("dvc", "cache", "dir"), project).strip())
    own = Path(run_command(("dvc", "cache", "dir"), REPO).strip())
    assert (project / cache).resolve() == (REPO / own).resolve()
    assert (project / "dvc.lock").read_bytes() == (REPO / "dvc.lock").read_bytes()
    before = load_params(project / "params.yaml")
    change_params(
        project / "params.yaml", lambda params: params["predict"].update(head_frame="estimate")
    )
    after = load_params(project / "params.yaml")
    assert after["predict"].pop("head_frame") == "estimate"
    before["predict"].pop("head_frame")
    assert after == before


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(LabelsplatError, match="no-such-thing"):
        run_command(("git", "rev-parse", "no-such-thing"), tmp_path)


def test_scores_of_the_projects_own_run():
    report = read_json(Layout(REPO).metrics / "evaluate.json")
    found = frame_scores(report)
    assert set(found) == {f"{w}_{s}" for w in ("labels", "parser", "gain") for s in STRATA}
    assert found["parser_extreme"]["mean"] == report["arms"]["refined"]["extreme"]["miou"]
    assert found["gain_yaw60"]["low"] == report["gain"]["yaw60"]["low"]
    empty = frame_scores({"labels": {}, "arms": {}, "gain": None})
    assert empty == {}
