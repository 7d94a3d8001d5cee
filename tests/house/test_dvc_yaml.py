"""What a reader and DVC's own commands expect of dvc.yaml."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from labelsplat.report.finish import GATHERED
from labelsplat.report.lock import defined
from labelsplat.report.params import default_params, read_yaml
from labelsplat.report.stages import Stage, code_hashes, load_stage

REPO = Path(__file__).resolve().parents[2]
CONTENT = read_yaml(REPO / "dvc.yaml")
BARE = "source"
"""The one stage without a notebook: it looks at files outside the project, in every run."""

STAGES = {name: stage.get("do", stage) for name, stage in CONTENT["stages"].items() if name != BARE}
NAMES = [name for name in defined(CONTENT, default_params()) if name != BARE]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {name: load_stage(REPO, name) for name in NAMES}


def test_stages_worked_out_without_dvc_are_dvcs(stages):
    from dvc.repo import Repo

    with Repo(str(REPO)) as repo:
        line = [stage.name for stage in repo.stage.collect("dvc.yaml")]
    assert sorted([*NAMES, BARE]) == sorted(line)
    found = defined(CONTENT, default_params())
    for name in NAMES:
        assert found[name].deps == set(stages[name].deps)
        assert found[name].outs == set(stages[name].outs)


def test_the_source_is_looked_at_in_every_run(stages):
    """DVC cannot see photos outside the project; a note of their sizes and times it can."""
    stage = CONTENT["stages"][BARE]
    assert stage["always_changed"] and stage["desc"] and "deps" not in stage
    assert stage["outs"] == ["data/source.json", "data/parser.json", "data/ratings.json"]
    assert "data/source.json" in stages["capture"].deps
    assert "data/parser.json" in stages["predict@r1"].deps
    assert "data/ratings.json" in stages["study_analyse"].deps
    readers = [name for name, s in stages.items() if "data/source.json" in s.deps]
    assert readers == ["capture"]  # the note changes with a mere touch of the photos


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_described_and_has_dependencies(name: str):
    stage = STAGES[name]
    assert stage["desc"]
    # DVC never takes a stage without dependencies from its run cache.
    assert {"requirements.lock", stage["cmd"].split()[5]} <= set(stage["deps"])
    assert stage["params"]


@pytest.mark.parametrize("name", STAGES)
def test_command_names_its_own_stage(name: str):
    words = STAGES[name]["cmd"].split()
    assert words[:4] == ["python", "-m", "labelsplat", "run"]
    key = {"${rounds}": "@${key}", "${fits}": "@${item}"}
    assert words[4] == name + key.get(CONTENT["stages"][name].get("foreach"), "")


def test_nothing_depends_on_pages_or_times(stages):
    for stage in stages.values():
        for dep in stage.deps:
            assert not dep.startswith("reports")


def test_each_stage_has_one_page_and_one_timing(stages):
    pages = [stage.out_in("reports/html") for stage in stages.values()]
    assert len(set(pages)) == len(pages)
    for stage in stages.values():
        assert stage.out_in("reports/timing") == f"reports/timing/{stage.slug}.json"


def test_gathered_metrics_are_no_stages_output(stages):
    outs = {out for stage in stages.values() for out in stage.outs}
    names = {f"reports/metrics/{name}.json" for name in GATHERED}
    assert names == set(CONTENT["metrics"])
    assert outs.isdisjoint(CONTENT["metrics"])


def test_committed_reports_are_not_cached():
    for stage in STAGES.values():
        for entry in [*stage.get("metrics", []), *stage.get("plots", [])]:
            assert next(iter(entry.values())) == {"cache": False}


def test_what_dvc_caches_is_ignored_by_git(stages):
    cached = [o for s in stages.values() for o in s.outs if not o.startswith("reports/metrics")]
    committed = ("reports/figures", "reports/study", "reports/tables")
    cached = [o for o in cached if not o.startswith(committed)]
    done = subprocess.run(
        ["git", "check-ignore", *cached], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert sorted(set(done.stdout.split())) == sorted(set(cached))


def test_truth_reaches_oracle_and_evaluation_only(stages):
    truth = ("data/truth", "data/heldout", "data/test", "data/tune")
    readers = {name for name, s in stages.items() if any(d.startswith(truth) for d in s.deps)}
    whole = {name for name, stage in stages.items() if "data" in stage.deps}
    assert readers | whole == {"oracle", "evaluate"}
    assert "data/test" not in stages["oracle"].deps


def test_a_rounds_outputs_stay_in_its_folder(stages):
    for stage in stages.values():
        if stage.round:
            for out in stage.outs:
                assert stage.round in Path(out).stem.split("_") or stage.round in Path(out).parts


def test_rounds_build_on_one_another(stages):
    assert "models/baseline" in stages["predict@r1"].deps
    assert "models/r1" in stages["predict@r2"].deps
    assert {"work/r1/predictions", "work/r2/predictions", "work/r1/splats"} <= set(
        stages["refine@r2"].deps
    )


def test_a_round_knows_its_own_keys_only(stages):
    variables = stages["finetune@r2"].variables()
    assert variables["round"] == "r2" and "rounds" not in variables
    assert variables["arms"] == default_params()["rounds"]["r2"]["arms"]


def test_no_analytics_leave_the_machine():
    config = (REPO / ".dvc" / "config").read_text(encoding="utf-8")
    assert "analytics = false" in config and "autostage = false" in config


def test_code_hashes_ignore_what_appears_by_itself(tmp_path: Path):
    folder = tmp_path / "lib" / "a"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "code.py").write_text("x = 1", encoding="utf-8")
    before = code_hashes(tmp_path, ("lib/a",))
    (folder / "__pycache__" / "code.cpython-311.pyc").write_bytes(b"1")
    (folder / "kernel.nbi").write_bytes(b"1")
    assert code_hashes(tmp_path, ("lib/a",)) == before == {"lib/a/code.py": before["lib/a/code.py"]}
    (folder / "code.py").write_text("x = 2", encoding="utf-8")
    assert code_hashes(tmp_path, ("lib/a",)) != before
