"""The small project through DVC, as a user runs it: again, changed, switched back, continued."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from types import SimpleNamespace

import pytest

from labelsplat.base import LabelsplatError, read_json
from labelsplat.report import finish as finishing
from labelsplat.report.finish import finish, gather_timing
from labelsplat.report.lock import forget_reduced, remembered
from labelsplat.report.params import default_params, profile_text, read_yaml


@pytest.fixture(autouse=True)
def _no_front_page(monkeypatch):
    """The front page has tests of its own; the small project has not the metrics it shows."""
    monkeypatch.setattr(finishing, "_FRONT", "labelsplat.report.none")


def _ran(output: str) -> list[str]:
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def line(shared_project):
    """The small project after its first `dvc repro`."""
    shared_project.first = shared_project.repro().stdout
    return shared_project


def test_first_run_runs_every_stage(line):
    assert _ran(line.first) == ["capture", "refine@r1", "refine@r2", "evaluate"]
    power = default_params()["refine"]["power"]
    assert read_json(line.root / "reports/metrics/evaluate.json") == {
        "power": {"r1": power, "r2": power}
    }


def test_finish_gathers_times_and_counts_and_does_it_once(line):
    assert finish(line.root)
    timing = json.loads(line.text("reports/metrics/timing.json"))
    assert timing.keys() == {
        "total_seconds", "setup_seconds", "peak_memory_mb", "cores", "device", "stages",
    }  # fmt: skip
    assert list(timing["stages"]) == ["capture", "refine@r1", "refine@r2", "evaluate"]
    assert timing["total_seconds"] == pytest.approx(sum(timing["stages"].values()), abs=0.06)
    assert timing["device"] == "cpu"
    capture = json.loads(line.text("reports/metrics/capture.json"))
    assert capture == {
        "images": {"capture": 1},
        "identities": {"capture": 1},
        "seconds": timing["stages"]["capture"],
    }
    assert not finish(line.root)
    (line.root / "reports/metrics/timing.json").write_text("{}", encoding="utf-8")
    assert finish(line.root)
    assert json.loads(line.text("reports/metrics/timing.json")) == timing


def test_unchanged_run_does_nothing(line):
    assert _ran(line.repro().stdout) == []


def test_by_products_of_using_the_code_dirty_nothing(line):
    cache = line.root / "lib/toy/base/__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "x.pyc").write_bytes(b"1")
    (line.root / "lib/toy/base/kernel.nbi").write_bytes(b"1")
    (line.root / "notebooks/.ipynb_checkpoints").mkdir()
    assert _ran(line.repro().stdout) == []


def test_only_tracked_keys_matter(line):
    text = line.text("params.yaml")
    changed = re.sub(r"\n  (supersample|gaussians): \d+", r"\n  \1: 77777", text)
    assert changed.count(": 77777 ") == 2
    (line.root / "params.yaml").write_text(changed, encoding="utf-8")
    assert _ran(line.repro().stdout) == []
    (line.root / "params.yaml").write_text(text, encoding="utf-8")


def test_switching_profiles_and_back_hits_the_run_cache(line):
    default = {p: line.text(p) for p in ("params.yaml", "reports/metrics/evaluate.json")}
    times = line.text("reports/timing/capture.json")
    pages = line.text("reports/html/01_capture.html")
    line.labelsplat("profile", "quick")
    assert line.text("params.yaml") == profile_text("quick") != default["params.yaml"]
    assert "capture" in _ran(line.repro().stdout)
    line.labelsplat("profile", "default")
    assert line.text("params.yaml") == default["params.yaml"]
    back = line.repro()
    assert _ran(back.stdout) == []
    assert "is cached" in back.stdout
    # Metrics and figures (committed to git, not cached as such) come back, and so do page and
    # timing of the last real execution.
    assert line.text("reports/metrics/evaluate.json") == default["reports/metrics/evaluate.json"]
    assert (line.root / "reports/figures/curve.png").exists()
    assert line.text("reports/timing/capture.json") == times
    assert line.text("reports/html/01_capture.html") == pages


def test_a_round_more_and_a_round_less(line):
    text = line.text("params.yaml")
    third = "  r3: {parsers: models/r2, splats: r1, arms: [refined, self_training]}\n\nfits:"
    (line.root / "params.yaml").write_text(text.replace("\nfits:", third, 1), encoding="utf-8")
    assert _ran(line.repro().stdout) == ["refine@r3", "evaluate"]
    assert json.loads(line.text("reports/metrics/evaluate.json"))["power"].keys() == {
        "r1",
        "r2",
        "r3",
    }
    (line.root / "params.yaml").write_text(text, encoding="utf-8")
    said = line.labelsplat("check").stdout
    assert "work/r3/refined" in said and not (line.root / "work/r3").exists()
    assert (line.root / "work/r2/refined").exists()
    assert not (line.root / "reports/html/05_refine_r3.html").exists()
    assert line.labelsplat("check").stdout == ""
    # Without the left-over, evaluation comes from the run cache.
    assert _ran(line.repro().stdout) == []


def test_a_killed_line_goes_on_from_the_last_finished_stage(line):
    line.notebook("05_refine", None, "import time\nprint('asleep')", "time.sleep(99)")
    with line.start("dvc", "repro") as process:
        found = any("asleep" in text for text in process.stdout)
        # DVC, runner and all: nothing can clear up.
        os.killpg(process.pid, signal.SIGKILL)
    assert found, "the second stage did not start"
    assert not (line.root / "work/r1/refined").exists()
    line.notebook("05_refine")
    again = line.repro()
    assert "capture" not in _ran(again.stdout)
    assert (line.root / "work/r1/refined/labels.json").exists()


def test_a_failed_stage_is_short_on_the_terminal(line):
    line.notebook(
        "07_evaluate",
        None,
        "from labelsplat.base import LabelsplatError",
        "raise LabelsplatError('no luck', where='x.png')",
    )
    broken = line.repro(check=False)
    assert "labelsplat run: stage evaluate: x.png: no luck" in broken.stderr
    assert "Traceback" not in broken.stderr + broken.stdout
    line.notebook("07_evaluate")
    line.repro()


def test_finish_before_all_stages_ran_says_what_to_do(project):
    with pytest.raises(LabelsplatError, match=r"stage capture has not run.*make repro"):
        finish(project.root)


def test_check_and_profile_on_the_command_line(project):
    bad = project.labelsplat("profile", "quik", check=False)
    assert bad.returncode == 1 and "Did you mean quick?" in bad.stderr
    assert "Traceback" not in bad.stderr
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("seed:", "sed:"), encoding="utf-8")
    bad = project.labelsplat("check", check=False)
    assert bad.returncode == 1 and "Did you mean seed?" in bad.stderr


def test_light_commands_import_nothing_heavy(line):
    """An unchanged `make repro` passes through both and must take no time."""
    code = (
        "import sys\nfrom labelsplat.__main__ import main\nfrom labelsplat.report import finish\n"
        "finish._FRONT = 'labelsplat.report.none'\n"
        "main(['check']), main(['finish']), main(['finish'])\n"
        "heavy = {'torch', 'numba', 'pandas', 'numpy', 'dvc', 'papermill', 'nbconvert', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    finish(line.root)
    assert line.command("python", "-c", code).stdout.splitlines()[-1] == "[]"


def test_experiments_in_a_copy_leave_the_project_alone(line):
    line.command("git", "config", "user.email", "a@example.org")
    line.command("git", "config", "user.name", "a")
    line.command("git", "add", "-A")
    line.command("git", "commit", "-qm", "all")
    before = line.text("reports/metrics/evaluate.json")
    done = line.command("dvc", "exp", "run", "--temp", "-S", "refine.power=5")
    assert "refine@r1" in _ran(done.stdout)
    assert line.text("reports/metrics/evaluate.json") == before
    shown = json.loads(line.command("dvc", "exp", "show", "--json").stdout)
    assert '"power": 5' in json.dumps(shown)
    assert line.command("git", "status", "--porcelain").stdout == ""


def test_timing_of_several_devices():
    stage = {"seconds": 10.04, "peak_memory_mb": 100, "cores": 2, "device": "cpu"}
    other = {"seconds": 5.0, "peak_memory_mb": 900, "cores": 2, "device": "cuda"}
    both = gather_timing({"capture": stage, "parser": other}, 61.2)
    assert both["total_seconds"] == 15.0 and both["peak_memory_mb"] == 900
    assert both["device"] == "cuda" and both["setup_seconds"] == 61.2


def test_dvc_lock_is_read_as_yaml_reads_it(line):
    found = remembered(line.text("dvc.lock"))
    content = read_yaml(line.root / "dvc.lock")["stages"]
    assert found.keys() == content.keys()
    for name, stage in content.items():
        assert found[name].outs == {o["path"] for o in stage["outs"]}
        assert found[name].deps == {d["path"] for d in stage["deps"]}
        assert found[name].params == set(stage["params"]["params.yaml"])


def test_a_parameter_less_runs_the_stage_again(line):
    """DVC compares what is still listed, so it would find the stage unchanged."""
    text = line.text("dvc.yaml")
    less = text.replace("params: [seed, capture.size]", "params: [capture.size]")
    (line.root / "dvc.yaml").write_text(less, encoding="utf-8")
    line.notebook("01_capture", 'capture = {"size": 64}', "seed = 3", line.code["01_capture"])
    line.notebook("05_refine")
    assert "capture lost a" in line.labelsplat("check").stdout
    assert "capture" in _ran(line.repro().stdout)
    assert json.loads(line.text("data/capture/photo.json"))["seed"] == 3
    assert line.labelsplat("check").stdout == ""
    (line.root / "dvc.yaml").write_text(text, encoding="utf-8")
    line.notebook("01_capture")
    line.repro()


def test_forgetting_leaves_the_other_stages_as_they_are(tmp_path):
    lock = "schema: '2.0'\nstages:\n  a:\n    cmd: x\n    deps:\n    - path: p\n      md5: 1\n"
    other = "  b@r1:\n    cmd: y\n    params:\n      params.yaml:\n        seed: 0\n"
    (tmp_path / "dvc.lock").write_text(lock + other, encoding="utf-8")
    stages = {"a": {"cmd": "x"}, "b": {"foreach": ["r1"], "do": {"cmd": "y", "params": ["seed"]}}}
    assert forget_reduced(tmp_path, {"stages": stages}, {}) == ["a"]
    text = (tmp_path / "dvc.lock").read_text(encoding="utf-8")
    assert text == "schema: '2.0'\nstages:\n" + other
    stages["b"]["do"]["params"] = []
    assert forget_reduced(tmp_path, {"stages": stages}, {}) == ["b@r1"]
    assert read_yaml(tmp_path / "dvc.lock") == {"schema": "2.0", "stages": {}}


def test_the_front_page_is_written_where_there_is_one(line, monkeypatch):
    front = SimpleNamespace(
        write_front_page=lambda layout: (layout.reports / "index.html").write_text("front")
    )
    monkeypatch.setattr(finishing, "_FRONT", "labelsplat.report.front")
    monkeypatch.setitem(sys.modules, "labelsplat.report.front", front)
    front.__spec__ = SimpleNamespace(name="labelsplat.report.front")
    assert finish(line.root)
    assert line.text("reports/index.html") == "front"
    assert not finish(line.root)
    (line.root / "reports/index.html").unlink()
    assert finish(line.root)
