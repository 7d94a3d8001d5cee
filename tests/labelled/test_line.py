"""Labelled sets of a user's own as ``standard`` and ``test`` pools, through stages 01 to 07."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError, read_json
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    gather,
    orbit_camera,
    pool_vocabulary,
    sample_standard,
    source_state,
    write_facescape,
)
from labelsplat.evaluate import evaluate_line
from labelsplat.evaluate.arms import true_heads
from labelsplat.labels import CELEBAMASK, LAPA
from labelsplat.parsing import (
    finetune_round,
    predict_round,
    round_frame,
    standard_set,
    train_baseline,
)
from labelsplat.refine import RefineSettings, refine_round
from labelsplat.splats import FitSettings
from labelsplat.splats.stage import fit_round

SIZE = 32
POSES = [(-60, 0), (-25, 10), (0, 0), (30, -5), (65, 5)]
PARSER = {
    "width": 8, "stem": "none", "steps": 4, "batch": 2, "learning_rate": 1e-3, "weight_decay": 0.01,
    "coarse_share": 0.0, "validate_every": 2, "threads": 1,
}  # fmt: skip
FINETUNE = {"steps": 2, "learning_rate": 1e-3, "batch": 2, "replay_batch": 2, "processes": 1}
FIT = FitSettings(gaussians=200, iterations=6, hull_resolution=16, hull_tolerance=0.0, processes=1)
REFINE = RefineSettings(em_epochs=1, novel_views=2)
ARMS = ["refined", "self_training"]
ROUNDS = {"r1": {"parsers": "models/baseline", "splats": "r1", "arms": ARMS}}


def section(root: Path, **changed) -> dict:
    """Section ``capture`` of a user's params.yaml: a FaceScape tree and labelled sets."""
    return {
        "source": "facescape", "root": str(root / "heads"), "subjects": [], "size": SIZE,
        "supersample": 1, "standard_identities": 1, "validation_identities": 1,
        "capture_identities": 1, "heldout_views": 1, "test_identities": 1, "standard_first": 1,
        "capture_first": 201, "test_first": 301, "processes": 1, "standard_source": "celebamask",
        "standard_root": str(root / "celeba"), "test_source": "lapa",
        "test_root": str(root / "lapa"), "labelled_images": 0,
        "nuisance": "plain", "rig": "few", "hard_identities": 1, "hard_first": 401,
        "checked_pairs": 0, **changed,
    }  # fmt: skip


@pytest.fixture(scope="module")
def given(made, tmp_path_factory) -> Path:
    """What a user has: photos of one head without its frame, CelebAMask-HQ and LaPa."""
    root = tmp_path_factory.mktemp("given")
    cameras = [orbit_camera(yaw, pitch, 1.15, 16.5, SIZE) for yaw, pitch in POSES]
    photos = [made.photo(made.face(i, SIZE), i) for i in range(len(POSES))]
    write_facescape(root / "heads", "1/1_neutral", list("01234"), photos, cameras)
    (root / "heads/Rt_scale_dict.json").unlink()
    made.write_celebamask(root / "celeba")
    made.write_lapa(root / "lapa")
    return root


@pytest.fixture(scope="module")
def line(given: Path, tmp_path_factory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("line").resolve())
    gather(layout, section(given), seed=0)
    return layout


def test_lapa_is_scored_in_its_own_classes(line: Layout):
    assert pool_vocabulary(line.test_photos) == LAPA
    assert pool_vocabulary(line.standard_photos) == CELEBAMASK == pool_vocabulary(line.capture)


def test_the_pools_are_the_users_sets(made, line: Layout):
    standard = standard_set(line, "standard", SIZE)
    validation = standard_set(line, "validation", SIZE)
    assert len(standard) == 11 and len(validation) == 1
    assert standard.images.shape[1:] == (SIZE, SIZE, 3)
    rows = (np.arange(SIZE) * 2 + 1) * made.SIZE // (2 * SIZE)
    np.testing.assert_array_equal(standard.labels[0], made.face(1995)[rows[:, None], rows])
    heads = list(true_heads(line.test_photos, line.test_truth, SIZE))
    assert len(heads) == 4 and all(h.labels.shape == (1, SIZE, SIZE) for h in heads)
    assert all(h.photos.angles is None and not h.photos.valid.all() for h in heads)
    counts = read_json(line.capture_counts)
    assert counts["images"] == {"standard": 11, "validation": 1, "test": 4, "capture": 5}
    (photos, labels), *_ = sample_standard(line, SIZE)
    assert photos.shape == (8, SIZE, SIZE, 3) and labels.shape == (8, SIZE, SIZE)


def test_stages_two_to_seven_run_on_them(line: Layout):
    shared = {"size": SIZE, "seed": 0}
    train_baseline(line, PARSER, device="cpu", **shared)
    predict_round(line, "r1", "models/baseline", size=SIZE, flip=True, device="cpu")
    frame = round_frame(line, "r1", "1/1_neutral")
    assert frame.method in ("landmarks", "cameras") and 0 <= frame.confidence <= 1
    fit_round(line, "r1", FIT, REFINE.votes(), device="cpu", **shared)
    (head,), _ = refine_round(line, "r1", "r1", REFINE, **shared)
    assert (head.photos.angles is not None) == frame.usable
    finetune_round(line, "r1", ARMS, FINETUNE, device="cpu", **shared)
    finetune_round(line, "control", ["replay_only"], FINETUNE, device="cpu", **shared)
    found = evaluate_line(line, rounds=ROUNDS, size=SIZE, em_epochs=1, bootstrap=20, device="cpu")
    report = json.loads((line.metrics / "evaluate.json").read_text())
    for arm in ("baseline", "replay_only", "self_training", "refined"):
        assert 0 <= report["arms"][arm]["all"]["miou"] <= 1
        assert report["arms"][arm]["extreme"] is None  # nobody knows these photos' pose
    assert report["test"]["views"]["all"] == 4 and report["test"]["views"]["extreme"] == 0
    assert len(found.before_after) > 0


def test_a_frame_of_ones_own_is_kept_apart(given: Path, line: Layout):
    """``head_frame`` says which frame is used, and angles follow it."""
    path = given / "heads/1/1_neutral/head_frame.json"
    path.write_text('{"axes": {"left": [1, 0, 0], "up": [0, 1, 0], "front": [0, 0, 1]}}')
    shared = {"size": SIZE, "flip": False, "device": "cpu"}
    try:
        for mode, method in (("auto", "given"), ("given", "given"), ("none", None)):
            predict_round(line, "r9", "models/baseline", head_frame=mode, **shared)
            frame = round_frame(line, "r9", "1/1_neutral")
            assert (frame and frame.method) == method
        predict_round(line, "r9", "models/baseline", head_frame="estimate", **shared)
        assert round_frame(line, "r9", "1/1_neutral").method in ("landmarks", "cameras")
    finally:
        path.unlink()
    with pytest.raises(CaptureError, match=r"head_frame\.json"):
        predict_round(line, "r9", "models/baseline", head_frame="given", **shared)


def test_one_set_serves_both_pools_without_a_common_photo(made, given: Path, tmp_path: Path):
    made.write_images(tmp_path / "faces", 20)
    layout = Layout(tmp_path / "line")
    both = {"source": "images", "root": str(tmp_path / "faces")}
    capture = section(
        given, **{f"{p}_{k}": v for p in ("standard", "test") for k, v in both.items()}
    )
    people = gather(layout, capture, seed=0)
    groups = {
        g: {p.subject for p in people if p.group == g} for g in ("standard", "validation", "test")
    }
    assert [len(g) for g in groups.values()] == [17, 1, 2]
    assert len(set.union(*groups.values())) == 20


def test_a_changed_set_is_seen_and_a_missing_one_named(given: Path, tmp_path: Path):
    layout = Layout(tmp_path)
    before = source_state(layout, section(given))
    assert set(before["pools"]) == {"standard", "test"}
    photo = given / "lapa/test/images/1009_0.jpg"
    Image.open(photo).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(photo)
    after = source_state(layout, section(given))
    assert before["pools"]["standard"] == after["pools"]["standard"]
    assert before["pools"]["test"] != after["pools"]["test"]
    with pytest.raises(CaptureError, match="standard_root is 'nowhere'"):
        gather(layout, section(given, standard_root="nowhere"), seed=0)
    assert not layout.data.exists()
