"""Committed notebooks: canonical, their parameters and imports as dvc.yaml says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.report import notebooks
from labelsplat.report.imports import notebook_closure
from labelsplat.report.lock import defined
from labelsplat.report.params import default_params, read_yaml
from labelsplat.report.run import parse_settings
from labelsplat.report.stages import EXPERIMENTS, LINE, Stage, load_stage

REPO = Path(__file__).resolve().parents[2]
LIB = REPO / "lib"
NOTEBOOKS = sorted((REPO / "notebooks").rglob("*.ipynb"))
FILES = {file: read_yaml(REPO / file) for file in (LINE, EXPERIMENTS)}
LINES_STAGES = [name for name in defined(FILES[LINE], default_params()) if name != "source"]
STAGES = [*LINES_STAGES, *(f"{EXPERIMENTS}:{name}" for name in defined(FILES[EXPERIMENTS], {}))]
FIRST_OF_EACH = [name for name in STAGES if "@" not in name or name.endswith(("@r1", "@pixels"))]


def _words(address: str) -> list[str]:
    file, _, name = address.rpartition(":")
    stage = FILES[file or LINE]["stages"][name.partition("@")[0]]
    return shlex.split(stage.get("do", stage)["cmd"])


def _notebook(name: str) -> Path:
    path = REPO / _words(name)[5]
    if not path.exists():
        pytest.skip(f"{path.name} is not written yet")
    return path


def _settings(name: str) -> dict[str, str]:
    words = _words(name)
    return parse_settings(words[words.index("--set") + 1 :]) if "--set" in words else {}


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    return {name: load_stage(REPO, name) for name in STAGES}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_is_committed_in_canonical_form(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text == notebooks.canonical_text(notebooks.read_notebook(path)), "run: make format"
    content = json.loads(text)
    assert content["metadata"] == {"language_info": {"name": "python"}}
    for cell in content["cells"]:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        assert cell["metadata"].keys() <= {"tags"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_reads_offline_and_like_a_chapter(path: Path):
    cells = notebooks.read_notebook(path).cells
    assert cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")
    for cell in cells:
        if cell.cell_type == "markdown":
            # Formulas would need MathJax from a network; pictures must be made by the notebook.
            assert not re.search(r"\$\$|\\\(|(?<![\w$])\$[^\s$][^$\n]*\$", cell.source), cell.source
            assert not re.search(r"(src=|\]\()\s*[\"']?https?:\S+\.(png|jpg|svg|js)", cell.source)


@pytest.mark.parametrize("name", STAGES)
def test_parameters_cell_declares_what_the_stage_tracks(name: str, stages):
    path = _notebook(name)
    declared = notebooks.declared_parameters(notebooks.read_notebook(path), where=path.name)
    passed = stages[name].variables().keys() | _settings(name).keys()
    assert declared.keys() - {"round"} == passed - {"round"}
    for key, value in stages[name].variables().items():
        if isinstance(value, dict) and key != "rounds":
            keys = declared[key].keys()
            # One notebook serves all experiments; each tracks of a section what it needs.
            assert value.keys() <= keys if ":" in name else value.keys() == keys, f"keys of {key}"


@pytest.mark.parametrize("name", FIRST_OF_EACH)
def test_defaults_in_the_notebook_are_those_of_params_yaml(name: str, stages):
    """So that a notebook opened by hand does what the line does (its first round)."""
    path = _notebook(name)
    declared = notebooks.declared_parameters(notebooks.read_notebook(path), where=path.name)
    settings = _settings(name)
    for key, value in stages[name].variables().items():
        if key in declared and key not in settings:
            default = declared[key]
            if ":" in name and isinstance(value, dict):
                default = {k: v for k, v in default.items() if k in value}
            assert default == value, f"{key}: python -m labelsplat.report.notebooks defaults"


def test_defaults_of_committed_notebooks_are_renewed_to_what_they_are(tmp_path):
    own = "notebooks/experiments/params.yaml"
    files = (LINE, EXPERIMENTS, "params.yaml", own, *(str(p.relative_to(REPO)) for p in NOTEBOOKS))
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(REPO / file, tmp_path / file)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copytree(REPO / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    assert notebooks.write_defaults(tmp_path) == []
    text = (tmp_path / files[-1]).read_text(encoding="utf-8")
    (tmp_path / files[-1]).write_text(text.replace("seed = 0", "seed = 9"), encoding="utf-8")
    assert notebooks.write_defaults(tmp_path) == [files[-1]]
    assert (tmp_path / files[-1]).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_all_code_that_its_notebook_uses(name: str, stages):
    folders = [REPO / dep for dep in stages[name].code if dep.startswith("lib/")]
    for file in notebook_closure(_notebook(name), LIB):
        if file != LIB / "labelsplat/__init__.py":  # test_imports.py holds it empty
            assert any(file.is_relative_to(f) for f in folders), f"{file} is no dependency"


@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_no_other_code(name: str, stages):
    """Otherwise it would be run again for nothing."""
    closure = notebook_closure(_notebook(name), LIB)
    for dep in stages[name].code:
        if dep.startswith("lib/"):
            assert any(f.is_relative_to(REPO / dep) for f in closure), f"{dep} is not used"


# -- the tool ------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A notebook as Jupyter saves it after a run."""
    from nbformat import v4

    code = v4.new_code_cell(
        "x = 1  \nx\n",
        execution_count=7,
        outputs=[v4.new_output("execute_result", data={"text/plain": "1"}, execution_count=7)],
        metadata={"tags": ["parameters", "keep"], "collapsed": True},
    )
    metadata = {
        "kernelspec": {"name": "my-env", "display_name": "x", "language": "python"},
        "language_info": {"name": "python", "version": "3.11.7"},
        "widgets": {},
    }
    cells = [v4.new_markdown_cell("# Ä title"), code, v4.new_code_cell("")]
    path = tmp_path / "n.ipynb"
    path.write_text(v4.writes(v4.new_notebook(cells=cells, metadata=metadata)), encoding="utf-8")
    return path


def test_strip_is_canonical_and_idempotent(saved: Path):
    assert notebooks.strip(saved)
    first = saved.read_bytes()
    assert not notebooks.strip(saved)
    assert saved.read_bytes() == first
    content = json.loads(first)
    assert [c["id"] for c in content["cells"]] == ["cell-00", "cell-01"]
    assert content["cells"][1]["source"] == ["x = 1\n", "x"]
    assert content["cells"][1]["metadata"] == {"tags": ["keep", "parameters"]}
    assert "Ä" in first.decode()


def test_resaving_by_another_jupyter_changes_nothing_after_strip(saved: Path):
    notebooks.strip(saved)
    first = saved.read_bytes()
    content = json.loads(first)
    content["metadata"]["language_info"]["version"] = "3.13.0"
    content["cells"][0]["id"] = "f00ba4"
    content["cells"][1]["execution_count"] = 12
    saved.write_text(json.dumps(content), encoding="utf-8")
    assert notebooks.main(["check", str(saved)]) == 1
    assert notebooks.main(["strip", str(saved)]) == 0
    assert saved.read_bytes() == first
    assert notebooks.main(["check", str(saved)]) == 0


def test_strip_without_notebooks_says_how():
    assert notebooks.main([]) == notebooks.main(["strip"]) == 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"cells": 3}', '{"nbformat": 4}', '{"nbformat": 4, "cells": 3}']
)
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, text: str):
    path = tmp_path / "odd.ipynb"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelsplatError, match=r"odd\.ipynb"):
        notebooks.read_notebook(path)


def test_declared_parameters(tmp_path: Path, write_notebook):
    path = tmp_path / "n.ipynb"
    write_notebook(path, 'seed = 0\nfit = {\n    "a": [1, 2.5],  # why\n    "b": None,\n}', "y = 2")
    read = notebooks.read_notebook(path)
    assert notebooks.declared_parameters(read) == {"seed": 0, "fit": {"a": [1, 2.5], "b": None}}


def test_defaults_follow_params_yaml_and_keep_comments():
    source = """\
seed = 0
fit = {
    "a": [1, 2],  # why
    "ä": "x", "b": 0.5,
    "own": 3,
}
root = ""  # folder"""
    values = {"seed": 4, "fit": {"a": [], "ä": "x", "b": 1e-3}, "root": "/a b", "other": 1}
    expected = """\
seed = 4
fit = {
    "a": [],  # why
    "ä": "x", "b": 0.001,
    "own": 3,
}
root = "/a b"  # folder"""
    assert notebooks.with_defaults(source, values) == expected
    assert notebooks.with_defaults(expected, values) == expected


@pytest.mark.parametrize("source", ["seed = f()", "import os", "a, b = 1, 2", "a.b = 1"])
def test_parameters_cell_holds_literals_only(tmp_path: Path, source: str, write_notebook):
    path = tmp_path / "n.ipynb"
    write_notebook(path, source)
    with pytest.raises(ParameterError, match=r"name = literal"):
        notebooks.declared_parameters(notebooks.read_notebook(path), where="n.ipynb")
