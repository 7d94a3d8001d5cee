"""The runner: one good run, and every way in which a stage can fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.report import run
from labelsplat.report.html import loaded_addresses
from labelsplat.report.params import default_params
from labelsplat.report.run import parse_settings, run_stage

CAPTURE = ("capture", "notebooks/01_capture.ipynb")
OUTS = (
    "data/capture",
    "work/capture_counts.json",
    "reports/html/01_capture.html",
    "reports/timing/capture.json",
)
SEED = 'seed = 0\ncapture = {"size": 64}'


def _written(project) -> list[str]:
    return [out for out in OUTS if (project.root / out).exists()]


def _left_over(project) -> list[str]:
    return [str(p) for p in project.root.rglob(".*-*") if ".dvc" not in p.parts[:-1]]


def _fails(project, *code: str, parameters: str = SEED, match: str) -> str:
    """Run the capture stage with this code; it must fail with this message and leave nothing."""
    project.notebook("01_capture", parameters, *code)
    with pytest.raises(LabelsplatError, match=match) as caught:
        run_stage(project.root, *CAPTURE)
    assert _written(project) == []
    assert _left_over(project) == []
    return str(caught.value)


def test_a_good_run(project, capfd):
    (project.root / "reports" / "failed").mkdir(parents=True)
    (project.root / "reports" / "failed" / "capture.ipynb").touch()
    run_stage(project.root, *CAPTURE)
    # params.yaml's value, not the notebook's default.
    photo = json.loads(project.text("data/capture/photo.json"))
    size = default_params()["capture"]["size"]
    assert photo == {"size": 2 * size, "seed": 0} and size != 64
    page = project.text("reports/html/01_capture.html")
    assert loaded_addresses(page) == [] and "<script" not in page
    assert f"size {size}" in page and '<a href="../index.html">' in page
    timing = json.loads(project.text("reports/timing/capture.json"))
    assert timing["seconds"] > 0 and timing["peak_memory_mb"] > 50
    assert not (project.root / "reports/failed/capture.ipynb").exists()
    assert _left_over(project) == []
    out = capfd.readouterr().out
    assert "capture [1/4] Chapter 01" in out and f"size {size}" in out and "capture: done" in out


def test_variables_of_a_round(project, capfd):
    run_stage(project.root, *CAPTURE)
    extra = {"extra": "a,b"}
    run_stage(project.root, "refine@r2", "notebooks/05_refine.ipynb", extra)
    labels = json.loads(project.text("work/r2/refined/labels.json"))
    assert labels["arms"] == default_params()["rounds"]["r2"]["arms"]
    assert labels["extra"] == ["a", "b"]
    assert labels["power"] == default_params()["refine"]["power"]
    # A progress bar is seen while it runs, and is not in the page.
    assert "3/3" in capfd.readouterr().err
    assert "3/3" not in project.text("reports/html/05_refine_r2.html")


def test_two_runs_make_the_same_page(project):
    run_stage(project.root, *CAPTURE)
    first = project.text("reports/html/01_capture.html")
    run_stage(project.root, *CAPTURE)
    assert project.text("reports/html/01_capture.html") == first


def test_an_error_of_ours_is_told_in_its_own_words(project, capfd):
    message = _fails(
        project,
        "from labelsplat.base import CaptureError, write_json\n"
        "from labelsplat.base.layout import Layout\n"
        'write_json(Layout.find().capture / "half.json", 1)',
        'raise CaptureError("only one view", where="photos/", remedy="Take more")',
        match="only one view",
    )
    assert message == "stage capture: photos/: only one view. Take more"
    kept = json.loads(project.text("reports/failed/capture.ipynb"))
    assert "only one view" in json.dumps(kept)
    assert "reports/failed/capture.ipynb" in capfd.readouterr().out


def test_an_unexpected_error_is_short_and_says_where(project):
    code = "def scale(x):\n    return x['nothing']\n"
    (project.root / "lib/toy/base/__init__.py").write_text(code, encoding="utf-8")
    message = _fails(project, "from toy.base import scale\nscale({})", match="KeyError: 'nothing'")
    assert "(in cell 3: from toy.base" in message and "\n" not in message


def test_the_place_in_the_library_is_named():
    error = SimpleNamespace(
        ename="ValueError",
        evalue="no",
        exec_count=4,
        source="fit()",
        traceback=[
            "\x1b[0;32mFile \x1b[0m/x/lib/labelsplat/splats/fit.py:12\x1b[0m, in fit()",
            "File /x/lib/labelsplat/capture/views.py:7, in views()",
            "File /x/site-packages/numpy/core.py:99",
        ],
    )
    said = "ValueError: no (lib/labelsplat/capture/views.py:7, called from cell 4)"
    assert run._short(error) == said


def test_a_dead_kernel_is_told_from_an_error(project):
    _fails(project, "import os\nos.kill(os.getpid(), 9)", match="kernel died.*memory")
    assert (project.root / "reports/failed/capture.ipynb").exists()


def test_a_cell_without_end_is_stopped(project):
    project.notebook("01_capture", SEED, "import time\ntime.sleep(60)")
    with pytest.raises(LabelsplatError, match="longer than 1 s"):
        run_stage(project.root, *CAPTURE, cell_seconds=1)
    assert _written(project) == []


def test_code_changed_during_the_run_is_a_failure(project):
    path = project.root / "lib/toy/base/__init__.py"
    edit = f"open({str(path)!r}, 'a').write('# edited')"
    code = project.text("notebooks/01_capture.ipynb")
    assert "write_json" in code
    from_template = "".join(json.loads(code)["cells"][2]["source"])
    _fails(project, from_template, edit, match=r"code changed.*lib/toy/base/__init__\.py")


def test_an_output_that_was_not_written_is_named(project):
    _fails(project, "pass", match=r"did not write data/capture, work/capture_counts\.json")


def test_a_misspelt_parameter_is_an_error_before_anything_runs(project):
    _fails(
        project,
        "raise SystemExit",
        parameters='seed = 0\ncaptur = {"size": 64}',
        match="passes 'capture'.*did you mean 'captur'",
    )
    assert not (project.root / "reports/failed").exists()


def test_a_parameter_that_dvc_does_not_track_is_an_error(project):
    _fails(project, "pass", parameters=SEED + "\nspeed = 3", match="declares 'speed'.*dvc.yaml")


def test_a_misspelt_key_in_params_yaml_stops_the_stage(project):
    path = project.root / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  power:", "  powr:"), "utf-8")
    with pytest.raises(ParameterError, match=r"Did you mean refine\.power"):
        run_stage(project.root, *CAPTURE)


def test_unknown_stage_and_foreign_notebook(project):
    with pytest.raises(LabelsplatError, match="Known: capture, "):
        run_stage(project.root, "captur", "notebooks/01_capture.ipynb")
    with pytest.raises(LabelsplatError, match="no dependency"):
        run_stage(project.root, "capture", "notebooks/05_refine.ipynb")


def test_a_stage_of_another_file(project, write_notebook):
    """It has parameters of its own beside the line's, and what it does not need is null."""
    folder = project.root / "notebooks" / "extra"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(
        """\
stages:
  capture:
    wdir: ../..
    cmd: python -m labelsplat run notebooks/extra/dvc.yaml:capture notebooks/extra/a.ipynb
    deps: [notebooks/extra/a.ipynb]
    params: [seed, notebooks/extra/params.yaml: [extra.wide]]
    outs: [work/extra.json, reports/html/extra/a.html, reports/timing/extra/a.json]
""",
        encoding="utf-8",
    )
    (folder / "params.yaml").write_text("extra: {wide: [1, 2], deep: 5}\n", encoding="utf-8")
    write_notebook(
        folder / "a.ipynb",
        'seed = 4\ndevice = "auto"\nextra = {"wide": [], "deep": 9}',
        "from labelsplat.base import write_json\nfrom labelsplat.base.layout import Layout\n"
        'write_json(Layout.find().work / "extra.json", [seed, device, extra])',
    )
    address = "notebooks/extra/dvc.yaml:capture"
    with pytest.raises(ParameterError, match=r"'device'.*notebooks/extra/dvc\.yaml"):
        run_stage(project.root, address, "notebooks/extra/a.ipynb")
    run_stage(project.root, address, "notebooks/extra/a.ipynb", {"device": "null"})
    assert json.loads(project.text("work/extra.json")) == [0, None, {"wide": [1, 2]}]
    assert '<a href="../../index.html">' in project.text("reports/html/extra/a.html")
    assert json.loads(project.text("reports/timing/extra/a.json"))["stage"] == "capture"
    # The line's stage of the same name is another one.
    run_stage(project.root, *CAPTURE)
    assert _written(project) == list(OUTS)
    with pytest.raises(LabelsplatError, match=r"extra/dvc\.yaml: no stage 'x'.*Known: capture"):
        run_stage(project.root, "notebooks/extra/dvc.yaml:x", "notebooks/extra/a.ipynb")


def test_earlier_outputs_survive_a_failure_by_hand(project):
    """DVC removes outputs before it runs a stage; whoever runs it by hand keeps the last good."""
    run_stage(project.root, *CAPTURE)
    project.notebook("01_capture", SEED, "1 / 0")
    with pytest.raises(LabelsplatError, match="ZeroDivisionError"):
        run_stage(project.root, *CAPTURE)
    assert _written(project) == list(OUTS)


def test_half_written_left_overs_of_a_killed_run_are_removed(project):
    left = project.root / "data" / ".capture-a1b2c3d4"
    left.mkdir(parents=True)
    (left / "x").touch()
    other = project.root / "data" / ".capture-notes"
    other.touch()
    run_stage(project.root, *CAPTURE)
    assert not left.exists() and other.exists()


def test_the_users_own_settings_do_not_reach_the_notebook(project, monkeypatch, tmp_path):
    start = tmp_path / "ipython" / "profile_default" / "startup"
    start.mkdir(parents=True)
    mark = tmp_path / "started"
    (start / "a.py").write_text(f"open({str(mark)!r}, 'w').close()", encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    before = dict(os.environ)
    run_stage(project.root, *CAPTURE)
    assert dict(os.environ) == before
    assert not mark.exists()


def test_a_terminated_run_clears_up_and_leaves_no_kernel(project):
    project.notebook(
        "01_capture", SEED, "import os\nprint('pid', os.getpid())\nimport time\ntime.sleep(99)"
    )
    environment = {**os.environ, "PYTHONPATH": str(run.__file__).partition("/labelsplat/")[0]}
    with subprocess.Popen(
        [sys.executable, "-m", "labelsplat", "run", *CAPTURE],
        cwd=project.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        line = next((line for line in process.stdout if line.startswith("pid")), None)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert line, "the notebook did not start"
    assert process.returncode == 143
    assert _written(project) == [] and _left_over(project) == []
    kernel = int(line.split()[1])
    for _ in range(100):
        if not os.path.exists(f"/proc/{kernel}"):
            return
        time.sleep(0.1)
    pytest.fail("the kernel lives on")


def test_settings():
    assert parse_settings(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(ParameterError, match="name=value"):
        parse_settings(["a"])
    assert run._setting("3", 0) == 3
    assert run._setting("2.5", None) == 2.5
    assert run._setting("oracle", []) == ["oracle"]
    assert run._setting('["a", "b"]', []) == ["a", "b"]
    assert run._setting("7", "text") == "7"
    assert run._setting("word", 0) == "word"
