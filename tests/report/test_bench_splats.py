"""The benchmark's scene and its file; no time is asserted."""

import json

import numpy as np
import pytest
import torch

from labelsplat.report import bench_scene
from labelsplat.report import bench_splats as bench
from labelsplat.splats import render

LIFT = {"n": 300, "views": 3, "size": 32, "classes": 4, "epochs": 1}
FIT = {"count": 300, "size": 32, "iterations": 20, "labels": True, "views": 3}


def test_scene_is_the_same_every_time_and_fills_the_image():
    first, features = bench_scene.scene(2000, 15)
    again, _ = bench_scene.scene(2000, 15)
    assert all(torch.equal(a, again.tensors()[k]) for k, a in first.tensors().items())
    assert features.shape == (2000, 15)
    alpha = render(first, bench_scene.camera(64)).alpha[0]
    covered = (alpha > 0.5).nonzero()
    height = (covered[:, 0].max() - covered[:, 0].min() + 1).item()
    assert 0.75 * 64 <= height <= 0.95 * 64
    assert 0.35 < (alpha > 0.5).float().mean() < 0.6


def test_camera_looks_at_the_scene():
    camera = bench_scene.camera(100)
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.norm(camera.centre) == pytest.approx(0.6)
    np.testing.assert_allclose(camera.project(np.zeros(3)), [50, 50], atol=1e-9)


def test_rows_are_complete(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "SIZES", ((300, 32, 3),))
    monkeypatch.setattr(bench, "LIFT", LIFT)
    monkeypatch.setattr(bench, "FIT", FIT)
    bench.main(["--quick", "--output", str(tmp_path / "bench.json")])
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["sgemm_gflops"] > 0
    engines = {(row["engine"], row["threads"]) for row in written["rows"]}
    assert {("cpu", 1), ("reference", 1)} <= engines <= {("cpu", 1), ("cpu", 2), ("reference", 1)}
    for row in written["rows"]:
        assert (row["n"], row["size"], row["channels"]) == (300, 32, 3)
        assert 0 < row["forward_ms"] <= row["total_ms"]
        assert (row["engine"] == "cpu") == (row.get("gflops", 0) > 0)
    assert [row["threads"] for row in written["lift"]] in ([1], [1, 2])
    for row in written["lift"]:
        assert min(row["freeze_ms"], row["vote_ms"], row["sharpen_ms"]) > 0
        assert LIFT.items() <= row.items()
    assert written["fit"]["seconds"] > 0 and written["fit"]["iterations"] == 20
    assert "x reference" in capsys.readouterr().out


def test_a_quick_look_leaves_the_committed_file_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "SIZES", ((300, 32, 3),))
    monkeypatch.setattr(bench, "LIFT", LIFT)
    monkeypatch.setattr(bench, "FIT", FIT)
    monkeypatch.setattr(bench, "OUTPUT", tmp_path / "bench_splats.json")
    bench.main(["--quick"])
    assert not any(tmp_path.iterdir())


def test_speed_of_the_kernels_is_the_cpu_engine_s_alone(monkeypatch):
    counted = iter(range(1, 100))
    monkeypatch.setattr(bench, "kernel_gflops", lambda *_: next(counted))
    rows = bench.measure(300, 32, 3, rounds=5, threads=(1,))
    speeds = {row["engine"]: row.get("gflops") for row in rows}
    assert speeds == {"cpu": 3, "reference": None}  # the median of 1 to 5: no other figure entered
