"""The whole line in a copy of the project, with other parameters."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from labelsplat.base import LabelsplatError

_LEFT_OUT = (
    ".venv", ".git", ".dvc", "data", "models", "work", "reports", "out", "answers", ".checkpoints",
    "dvc.lock", "__pycache__",
)  # fmt: skip


def copy_project(root: Path, target: Path) -> Path:
    """Copy a project without anything that a run makes; ``target``."""
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (target / "reports").mkdir()
    run_command(("git", "init", "-q", "."), target)
    (target / ".dvc").mkdir()  # without the cache, which could answer in a run's place
    shutil.copy2(root / ".dvc/config", target / ".dvc/config")
    return target


def share_cache(root: Path, target: Path) -> None:
    """Let a copy know what the project has run: stages that are the same there are not run again.

    Args:
        root: of the project.
        target: of its copy.
    """
    cache = run_command(("dvc", "cache", "dir"), root).strip()
    run_command(("dvc", "config", "--local", "cache.dir", str((root / cache).resolve())), target)
    shutil.copy2(root / "dvc.lock", target / "dvc.lock")


def change_params(path: Path, change: Callable[[dict], None]) -> None:
    """Rewrite a params.yaml; ``change`` gets its sections and changes them in place."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    params = yaml.load(path.read_text(encoding="utf-8"))
    change(params)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def run_line(project: Path, *stages: str) -> None:
    """``make repro`` without the set-up.

    Args:
        project: the copy.
        stages: up to which it goes; without one, to the end with all that is put together there.

    Raises:
        LabelsplatError: a stage failed; what it said comes along.
    """
    python = (sys.executable, "-m", "labelsplat")
    run_command((*python, "check"), project)
    run_command(("dvc", "repro", *stages), project)
    if not stages:
        run_command((*python, "finish"), project)


def run_command(command: tuple[str, ...], folder: Path) -> str:
    """Run a command in a project's folder, by this Python's packages; what it printed.

    Raises:
        LabelsplatError: it failed.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder / "lib")}
    environment.pop("LABELSPLAT_ROOT", None)
    # A stage of the outer project, if any, is not the copy's.
    for name in [name for name in environment if name.startswith("DVC")]:
        environment.pop(name)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise LabelsplatError(
            f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}",
            where="the copy of the project",
        )
    return done.stdout
