"""The experiments' own dvc.yaml: beside the line, never in its way."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from labelsplat.base import LabelsplatError
from labelsplat.base.layout import Layout
from labelsplat.experiments import EXPERIMENTS, KINDS, report_path
from labelsplat.report.lock import defined
from labelsplat.report.params import default_params, read_yaml
from labelsplat.report.stages import EXPERIMENTS as FILE
from labelsplat.report.stages import Stage, load_stage

REPO = Path(__file__).resolve().parents[2]
CONTENT = read_yaml(REPO / FILE)
ENTRIES = {name: stage.get("do", stage) for name, stage in CONTENT["stages"].items()}
NAMES = list(defined(CONTENT, {}))


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {name: load_stage(REPO, f"{FILE}:{name}") for name in NAMES}


def test_stages_are_the_experiments(stages):
    from dvc.repo import Repo

    with Repo(str(REPO)) as repo:
        assert sorted(NAMES) == sorted(stage.name for stage in repo.stage.collect(FILE))
    assert sorted(NAMES) == sorted(EXPERIMENTS)
    found = defined(CONTENT, {})
    for name, stage in stages.items():
        assert stage.file == FILE
        assert found[name].deps == set(stage.deps) and found[name].outs == set(stage.outs)


@pytest.mark.parametrize("name", ENTRIES)
def test_stage_runs_itself_from_the_projects_folder(name: str):
    stage = ENTRIES[name]
    words = stage["cmd"].split()
    key = "@${item}" if "foreach" in CONTENT["stages"][name] else ""
    assert stage["desc"] and stage["wdir"] == "../.."
    assert words[:5] == ["python", "-m", "labelsplat", "run", f"{FILE}:{name}{key}"]
    assert f"experiment={name}{key}" in words
    assert {"requirements.lock", words[5]} <= set(stage["deps"])


def test_each_stage_has_one_report_one_page_and_one_timing(stages):
    for name, stage in stages.items():
        report = report_path(Layout(REPO), name).relative_to(REPO).as_posix()
        assert stage.out_in("reports/metrics/experiments") == report
        assert stage.out_in("reports/html") == f"reports/html/experiments/{stage.slug}.html"
        assert stage.out_in("reports/timing") == f"reports/timing/experiments/{stage.slug}.json"
    for entry in ENTRIES.values():
        assert [next(iter(m.values())) for m in entry["metrics"]] == [{"cache": False}]


def test_the_line_neither_runs_nor_needs_an_experiment(stages):
    line = defined(read_yaml(REPO / "dvc.yaml"), default_params())
    outs = {Path(out) for stage in stages.values() for out in stage.outs}
    for name, entry in line.items():
        for dep in map(Path, entry.deps):
            inside = [o for o in outs if o.is_relative_to(dep) or dep.is_relative_to(o)]
            assert not inside, f"{name} depends on {inside}"
        assert "lib/labelsplat/experiments" not in entry.deps
    assert not {Path(o) for entry in line.values() for o in entry.outs} & outs


def test_no_experiment_opens_the_test_set_or_what_was_learned_from_it(stages):
    for name, stage in stages.items():
        data = {dep for dep in stage.deps if dep.startswith(("data", "models", "work"))}
        allowed = {
            "heads": {"models/baseline", "data/parser.json"},
            "label_noise": set(),
            "trial_setting": {"data/capture", "data/heldout", "work/r1/predictions"},
            "paper_setting": set(),
            # Runs the line in a copy; reports on its test heads, and nothing is chosen by that.
            "estimated_line": set(),
        }
        assert data == allowed.get(name, {"data/experiments"})


def test_all_kinds_are_gathered(stages):
    reports = {dep for dep in stages["label_noise"].deps if dep.startswith("reports")}
    assert reports == {stages[f"noise@{kind}"].out_in("reports/metrics") for kind in KINDS}


def test_an_experiment_is_not_dirtied_by_anothers_settings(stages):
    own = {name: set(stage.params.get("experiments", {})) for name, stage in stages.items()}
    shared = {"bootstrap", "processes"}
    assert own["coupling"] == own["coupling_weighted"] == shared | {"coupling"}
    assert own["noise@flips"] == shared | {"label_noise"}
    assert own["trial_setting"] == shared | {"trial_setting"}
    assert own["head_frames"] == shared | {"head_frames"}
    assert own["paper_setting"] == {"processes", "paper_setting"}
    assert own["estimated_line"] == set()
    assert own["heads"] == shared and own["label_noise"] == set()


def test_pages_are_ignored_by_git_and_reports_are_not(stages):
    outs = [out for stage in stages.values() for out in stage.outs]
    done = subprocess.run(
        ["git", "check-ignore", *outs], cwd=REPO, capture_output=True, text=True, check=False
    )
    committed = set(outs) - set(done.stdout.split())
    assert committed == {stage.out_in("reports/metrics") for stage in stages.values()}


def test_every_parameter_has_a_comment_or_says_that_it_is_off():
    lines = (REPO / "notebooks/experiments/params.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if re.match(r" +\w+: \S", line)]
    assert len(keys) > 30
    silent = [line.split(":")[0].strip() for line in keys if "#" not in line]
    values = read_yaml(REPO / "notebooks/experiments/params.yaml")["experiments"]["trial_setting"]
    assert silent and set(silent) <= values.keys()


def test_an_unknown_stage_or_file_is_named():
    with pytest.raises(LabelsplatError, match=r"couplings.*Known: heads, coupling"):
        load_stage(REPO, f"{FILE}:couplings")
    with pytest.raises(LabelsplatError, match=r"There is no nowhere/dvc\.yaml"):
        load_stage(REPO, "nowhere/dvc.yaml:coupling")


def test_make_experiments_runs_both_files():
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    target = makefile.split("\nexperiments:", 1)[1].split("\n\n", 1)[0]
    assert f"dvc repro dvc.yaml {FILE}" in target
    assert FILE not in makefile.split("\nrepro:", 1)[1].split("\n\n", 1)[0]
