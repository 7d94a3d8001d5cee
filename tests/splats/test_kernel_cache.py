"""Compiled kernels on disk: found again, kept apart by vector width, not trusted if damaged."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest

from labelsplat.splats.cpu import _jit, simd, vectors

PROBE = """
import logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
import numpy as np
from labelsplat.splats.cpu import binning
keys = np.array([3, 1, 2], np.uint32)
print(binning._sort_by_key(np.arange(3, dtype=np.int32), keys).tolist())
"""


@pytest.fixture
def probe(tmp_path):
    def run():
        environment = {**os.environ, "LABELSPLAT_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-c", PROBE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    run.files = lambda: sorted((tmp_path / "cache").rglob("*.kernel"))
    return run


def test_kernels_are_compiled_once_with_a_word_and_then_found(probe):
    first = probe()
    assert len(first) == 2 and first[0].startswith("compiling the CPU renderer")
    assert first[1] == "[1, 2, 0]"
    assert len(probe.files()) == 1
    assert probe() == ["[1, 2, 0]"]
    probe.files()[0].write_bytes(b"rubbish")
    assert probe() == first


@_jit.kernel
def _width(lanes):
    return simd.width(lanes)


def test_widths_do_not_share_compiled_code(monkeypatch):
    found = []
    for width in (4, 16, 8):
        monkeypatch.setenv(vectors.WIDTH_VARIABLE, str(width))
        found.append(_width(vectors.chosen_lanes()))
    assert found == [4, 16, 8]
    codegen = _width.targetctx.codegen()
    paths = {_width._cache._path(signature, codegen) for signature in _width.signatures}
    assert len(paths) == 3 and all(path.exists() for path in paths)


def test_a_disk_that_cannot_be_written_costs_time_only(monkeypatch, caplog):
    @_jit.kernel
    def double(x):
        return 2 * x

    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(_jit, "atomic_path", fail)
    with caplog.at_level(logging.WARNING, logger=_jit.__name__):
        assert np.array_equal(double(np.ones(3)), [2, 2, 2])
    assert "disk full" in caplog.text
