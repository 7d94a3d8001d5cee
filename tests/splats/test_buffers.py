"""Memory that is used again: never while somebody still looks at it."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from labelsplat.splats.cpu import buffers

LARGE = (300, 200)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(buffers, "_free", buffers.OrderedDict())
    monkeypatch.setattr(buffers, "_kept", 0)


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_a_buffer_is_used_again_once_it_is_free():
    first = buffers.empty(LARGE, np.float32)
    place = address(first)
    second = buffers.empty(LARGE, np.float32)
    assert address(second) != place
    del first
    gc.collect()
    assert address(buffers.empty((200, 301), np.float32)) == place  # of nearly that size


def test_views_and_tensors_keep_their_buffer():
    array = buffers.zeros(LARGE, np.float32)
    corner, tensor = array[10:20, 5:], torch.from_numpy(array)
    del array
    gc.collect()
    buffers.empty(LARGE, np.float32).fill(7)
    assert not corner.any()
    del corner
    gc.collect()
    buffers.empty(LARGE, np.float32).fill(7)
    assert not tensor.any()


def test_arrays_are_what_numpy_would_give():
    for shape in (LARGE, 70_000, (0, 3), 5, (2, 0)):
        for kind in (np.float32, np.float64, np.int32):
            array = buffers.zeros(shape, kind)
            wanted = np.zeros(shape, kind)
            assert array.shape == wanted.shape and array.dtype == kind
            assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
            assert not array.any()


def test_no_more_than_a_limit_is_kept(monkeypatch):
    monkeypatch.setattr(buffers, "KEPT", 300_000)
    many = [buffers.empty(LARGE, np.float32) for _ in range(4)]  # a quarter of a megabyte each
    del many
    gc.collect()
    assert sum(len(found) for found in buffers._free.values()) == 1
    assert buffers._kept == 1 << 18


def test_new_sizes_take_the_place_of_old_ones(monkeypatch):
    monkeypatch.setattr(buffers, "KEPT", 300_000)
    buffers.empty(LARGE, np.float32)
    smaller = buffers.empty((150, 200), np.float32)
    place = address(smaller)
    del smaller
    gc.collect()
    assert address(buffers.empty((150, 200), np.float32)) == place


def test_drawings_do_not_write_into_each_other(make_scene):
    from labelsplat.splats import render

    scene = make_scene(200, 9, 160, 130, dtype=torch.float32)
    first = render(scene.gaussians, scene.cameras, scene.features).features
    copy = first.clone()
    for _ in range(3):
        render(scene.gaussians, scene.cameras, scene.features.flip(0))
    assert torch.equal(first, copy)
