"""The CUDA benchmark on other engines; no time is asserted."""

from __future__ import annotations

import json

import pytest
import torch

from labelsplat.report import bench_cuda, bench_fit


def test_agreement_of_two_engines_is_small_and_no_zero():
    found = bench_cuda.agreement(300, 32, 5, device="cpu", engine="reference")
    assert 0 < found["image"] < 1e-4 and 0 < found["gradients"] < 1e-3


@pytest.mark.parametrize("labels", [False, True])
def test_a_fit_is_timed(labels):
    found = bench_fit.timed_fit(400, 32, 60, views=6, labels=labels)
    assert found["seconds"] > 0 and found["psnr"] > 15


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_cuda_nothing_is_written(tmp_path, capsys):
    assert bench_cuda.main(["--output", str(tmp_path / "bench.json")]) == 0
    assert "not run" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gsplat_agrees_with_the_cpu():
    found = bench_cuda.agreement(10_000, 256, 15)
    assert found["image"] <= 1e-3 and found["gradients"] <= 1e-2
    assert json.dumps(found)
