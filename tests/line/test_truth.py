"""No truth reaches a stage that would not have it.

The stages between the parser and the fine-tune run twice on a tiny line: once as they are, once
with the truth of the capture and the roots of heldout, test and tune deleted. They must write the
same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from labelsplat.base import CaptureError, LabelsplatError
from labelsplat.base.layout import Layout
from labelsplat.capture import capture_root, gather, list_facescape, open_capture, source_state
from labelsplat.parsing import finetune_round, predict_round, train_baseline
from labelsplat.refine import RefineSettings, refine_round
from labelsplat.splats import FitSettings
from labelsplat.splats.stage import fit_round

SIZE = 32
CAPTURE = {
    "source": "embedded",
    "root": "",
    "subjects": [],
    "size": SIZE,
    "supersample": 1,
    "standard_identities": 1,
    "validation_identities": 1,
    "capture_identities": 1,
    "heldout_views": 2,
    "test_identities": 1,
    "standard_first": 1,
    "capture_first": 201,
    "test_first": 301,
    "nuisance": "plain",
    "rig": "few",
    "hard_identities": 1,
    "hard_first": 401,
    "checked_pairs": 0,
    "processes": 1,
}
PARSER = {
    "width": 8,
    "architecture": "bisenet",
    "stem": "none",
    "steps": 4,
    "batch": 2,
    "learning_rate": 1e-3,
    "weight_decay": 0.01,
    "coarse_share": 0.0,
    "validate_every": 2,
    "threads": 1,
}
FINETUNE = {"steps": 2, "learning_rate": 1e-3, "batch": 2, "replay_batch": 2, "processes": 1}
FIT = FitSettings(gaussians=200, iterations=6, hull_resolution=16, hull_tolerance=0.0, processes=1)
REFINE = RefineSettings(em_epochs=1, novel_views=2)


def run_stages(layout: Layout) -> None:
    """Stages 02 to 06 of both rounds, and the control; without the oracle."""
    shared = {"size": SIZE, "seed": 0}
    train_baseline(layout, PARSER, device="cpu", **shared)
    for name, parsers in (("r1", "models/baseline"), ("r2", "models/r1")):
        predict_round(layout, name, parsers, size=SIZE, flip=True, device="cpu")
        if name == "r1":
            fit_round(layout, name, FIT, REFINE.votes(), device="cpu", **shared)
        refine_round(layout, name, "r1", REFINE, **shared)
        arms = ["refined", "refined_novel", "self_training"]
        finetune_round(layout, name, arms, FINETUNE, device="cpu", **shared)
    finetune_round(layout, "control", ["replay_only"], FINETUNE, device="cpu", **shared)


def written(layout: Layout) -> dict[str, str]:
    """Hashes of all files that the stages wrote."""
    files = [p for f in ("models", "work") for p in (layout.root / f).rglob("*") if p.is_file()]
    return {
        layout.relative(p): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p != layout.capture_counts
    }


@pytest.fixture(scope="module")
def line(tmp_path_factory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("line").resolve())
    gather(layout, CAPTURE, seed=0)
    return layout


@pytest.fixture(scope="module")
def blind(line: Layout, tmp_path_factory) -> Layout:
    """The same line without any truth but that of ``standard``."""
    copy = Layout(tmp_path_factory.mktemp("blind").resolve() / "line")
    shutil.copytree(line.root, copy.root)
    for root in (copy.truth, copy.heldout, copy.test, copy.tune):
        shutil.rmtree(root, ignore_errors=True)
    return copy


def test_stages_write_the_same_bytes_without_truth(line: Layout, blind: Layout):
    run_stages(line)
    run_stages(blind)
    a, b = written(line), written(blind)
    assert a == b
    assert {Path(p).parts[0] for p in a} == {"models", "work"}
    assert sum(p.endswith("refined.safetensors") for p in a) == 2


def test_the_oracle_alone_needs_the_truth(blind: Layout):
    with pytest.raises(LabelsplatError, match="truth"):
        finetune_round(blind, "oracle", ["oracle"], FINETUNE, size=SIZE, seed=0, device="cpu")
    assert not blind.models("oracle").exists()


def test_capture_tree_holds_photos_and_cameras_only(line: Layout):
    files = [p for p in line.capture.rglob("*") if p.is_file()]
    assert {p.name for p in files if p.suffix == ".json"} == {"params.json", "Rt_scale_dict.json"}
    assert {p.suffix for p in files} == {".jpg", ".json"}
    assert sum(p.suffix == ".jpg" for p in files) == 11


def test_sets_share_no_identity_but_heldout(line: Layout):
    ids = {
        name: {s.partition("/")[0] for s in list_facescape(root)}
        for name, root in (
            ("standard", line.standard_photos),
            ("capture", line.capture),
            ("heldout", line.heldout_photos),
            ("test", line.test_photos),
            ("hard", line.hard_photos),
        )
    }
    assert ids["heldout"] == ids["capture"]
    assert not ids["standard"] & ids["capture"] and not ids["test"] & ids["capture"]
    assert not ids["standard"] & ids["test"]
    assert ids["hard"] and not ids["hard"] & set.union(
        *(ids[name] for name in ids if name != "hard")
    )


def test_a_missing_capture_is_named(tmp_path: Path):
    with pytest.raises(CaptureError, match="no captures"):
        capture_root(Layout(tmp_path))


def test_foreign_captures_are_read_in_place(line: Layout, tmp_path: Path):
    """A holder of FaceScape sets source and root; truth, heldout and test stay empty."""
    layout = Layout(tmp_path / "project")
    settings = {**CAPTURE, "source": "facescape", "root": str(line.capture)}
    gather(layout, settings, seed=0)
    source, root, subjects = capture_root(layout)
    assert (source, root) == ("facescape", line.capture) and len(subjects) == 1
    for empty in (layout.truth, layout.heldout, layout.test):
        assert empty.is_dir() and not any(empty.iterdir())
    with pytest.raises(CaptureError, match=r"capture\.root"):
        gather(layout, {**settings, "root": "nowhere"}, seed=0)


def test_later_stages_depend_on_the_content_of_foreign_photos(line: Layout, tmp_path: Path):
    """Touched photos are read again and nothing follows; changed ones change the note."""
    root, layout = tmp_path / "photos", Layout(tmp_path / "project")
    shutil.copytree(line.capture, root)
    settings = {**CAPTURE, "source": "facescape", "root": str(root)}
    photo = open_capture(root, source="facescape").views[0].image

    def state_and_note() -> tuple[dict, bytes]:
        gather(layout, settings, seed=0)
        return source_state(layout, settings), (layout.capture / "capture.json").read_bytes()

    state, note = state_and_note()
    os.utime(photo, ns=(1, 1))
    touched, same_note = state_and_note()
    assert touched != state and same_note == note
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert state_and_note()[1] != note
    assert source_state(layout, CAPTURE) == {"source": "embedded"}
