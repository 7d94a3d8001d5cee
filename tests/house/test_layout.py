"""The tree of files, and how the project is found."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from labelsplat.base import LabelsplatError, layout
from labelsplat.base.layout import Layout

REPO = Path(__file__).resolve().parents[2]


def _project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (folder / name).touch()
    return folder


def test_found_from_any_working_directory(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("LABELSPLAT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Layout.find().root == REPO


def test_the_named_folder_comes_first(tmp_path: Path, monkeypatch):
    root = _project(tmp_path / "copy")
    monkeypatch.setenv("LABELSPLAT_ROOT", str(root))
    assert Layout.find().capture == root / "data" / "capture"


def test_a_wrong_name_is_an_error_not_another_project(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("LABELSPLAT_ROOT", str(tmp_path))
    with pytest.raises(LabelsplatError, match="LABELSPLAT_ROOT"):
        layout.project_root()


def test_an_installed_package_finds_the_project_it_is_used_in(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("LABELSPLAT_ROOT", raising=False)
    installed = tmp_path / "site-packages" / "labelsplat" / "base" / "layout.py"
    monkeypatch.setattr(layout, "__file__", str(installed))
    inner = _project(tmp_path / "project") / "notebooks"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert layout.project_root() == tmp_path / "project"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabelsplatError, match="cloned repository"):
        layout.project_root()


def test_paths_are_those_of_dvc_yaml():
    paths = Layout(REPO)
    text = (REPO / "dvc.yaml").read_text(encoding="utf-8")
    for path in (
        paths.capture, paths.truth, paths.standard, paths.heldout, paths.test, paths.capture_counts,
        paths.models("baseline"), paths.models("control"), paths.models("oracle"), paths.figures,
    ):  # fmt: skip
        assert f"- {paths.relative(path)}\n" in text or f"- {paths.relative(path)}:\n" in text
    for path in (
        paths.predictions("${key}"), paths.refined("${key}"), paths.auxiliary("${key}"),
        paths.splats("${item}"), paths.models("${key}"),
    ):  # fmt: skip
        assert f"- {path.relative_to(REPO).as_posix()}\n" in text
    assert f"path: {paths.relative(paths.baseline)}\n" in text
    assert f"path: {paths.relative(paths.model('r2', 'refined'))}\n" in text


def test_truth_lies_apart_from_what_training_reads():
    paths = Layout(REPO)
    for truth in (paths.truth, paths.heldout_truth, paths.test_truth):
        for read in (paths.capture, paths.standard, paths.work, paths.root / "models"):
            assert not truth.is_relative_to(read) and not read.is_relative_to(truth)


def test_a_layout_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Layout(REPO).root = Path("/")
