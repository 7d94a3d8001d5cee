"""The vector type: arithmetic, masks, memory, at every width and in both types."""

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.splats.cpu import simd, vectors
from labelsplat.splats.cpu._jit import kernel


@pytest.fixture(params=[4, 8, 16])
def lanes(request, monkeypatch):
    monkeypatch.setenv(vectors.WIDTH_VARIABLE, str(request.param))
    return vectors.chosen_lanes()


@kernel
def _arithmetic(lanes, a, b, out):
    w = simd.width(lanes)
    x, y = simd.load(lanes, a, 0), simd.load(lanes, b, 0)
    z = (2 * x - y / 4 + 1) * simd.sqrt(simd.maximum(y, 0.5))
    z += simd.fma(x, y, -x)
    wanted = (x > 0.3) & ~(y <= 1.0) | (x < -1)
    simd.store(out, 0, simd.select(wanted, z, 0))
    simd.store(out, w, simd.minimum(x, y) * simd.splat(lanes, a, 1))
    return simd.any_lane(wanted), simd.any_lane(x > 100)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arithmetic_and_masks(lanes, dtype):
    w = lanes.width
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, w)).astype(dtype) * 2
    a[0], b[0] = 1, 2
    out = np.zeros(2 * w, dtype)
    found = _arithmetic(lanes, a, b, out)
    z = (2 * a - b / 4 + 1) * np.sqrt(np.maximum(b, 0.5)) + a * b - a
    wanted = (a > 0.3) & ~(b <= 1) | (a < -1)
    np.testing.assert_allclose(out[:w], np.where(wanted, z, 0), rtol=20 * np.finfo(dtype).eps)
    np.testing.assert_allclose(out[w:], np.minimum(a, b) * a[1], rtol=20 * np.finfo(dtype).eps)
    assert found == (True, False)


@kernel
def _exponential(lanes, x, out):
    for i in range(0, len(x), simd.width(lanes)):
        simd.store(out, i, simd.exp2_negative(simd.load(lanes, x, i)))


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 4e-7), (np.float64, 2e-15)])
def test_exponential(lanes, dtype, error):
    x = np.linspace(-20, 80, 1600, dtype=dtype)
    out = np.empty_like(x)
    _exponential(lanes, x, out)
    np.testing.assert_allclose(out, np.exp2(-x.astype(float)), rtol=error)


@kernel
def _blocks(lanes, image, first, row_step, step, limit, out):
    block = simd.gather_block(lanes, image, first, row_step, step, simd.load(lanes, limit, 0) > 0)
    simd.store(out, 0, block)
    simd.scatter_block(image, first, row_step, step, simd.load(lanes, limit, 0) > 1, 10 * block)


def test_blocks_are_read_and_written_where_the_mask_says(lanes):
    w = lanes.width
    image = np.arange(200, dtype=np.float32)
    limit = np.arange(w, dtype=np.float32) % 3
    out = np.empty(w, np.float32)
    _blocks(lanes, image, 7, 21, 3, limit, out)
    places = 7 + 21 * (np.arange(w) // 4) + 3 * (np.arange(w) % 4)
    assert out.tolist() == np.where(limit > 0, places, 0).tolist()
    wanted = np.arange(200, dtype=np.float32)
    wanted[places[limit > 1]] *= 10
    assert image.tolist() == wanted.tolist()


@kernel
def _bits(lanes, begin, end, keep, octets, found):
    b, e = simd.load(lanes, begin, 0), simd.load(lanes, end, 0)
    simd.store_bit_ranges(octets, 0, b, e, simd.load(lanes, keep, 0) > 0)
    count = 0
    for i in range(0, 32, 16):
        count = simd.append_with_bit(octets, i, 1 << 5, found, count, i)
    flags = simd.bytes_with_bit(octets, 0, 1 << 5)
    lowest = simd.trailing_zeros(flags) if flags != 0 else -1
    return count, flags, lowest


def test_bits_and_bytes(lanes):
    w = lanes.width
    draw = np.random.default_rng(1)
    begin = draw.integers(0, 9, w).astype(np.float32)
    end = draw.integers(0, 9, w).astype(np.float32)
    begin[1], end[1] = 2, 8
    end = np.maximum(begin, end)
    keep = (draw.random(w) < 0.8).astype(np.float32)
    keep[1] = 1
    octets, found = np.zeros(32, np.uint8), np.zeros(64, np.int32)
    octets[w:] = draw.integers(0, 256, 32 - w)
    count, flags, lowest = _bits(lanes, begin, end, keep, octets, found)
    for i in range(w):
        bits = {k for k in range(8) if octets[i] >> k & 1}
        assert bits == (set(range(int(begin[i]), int(end[i]))) if keep[i] else set())
    wanted = [i for i in range(32) if octets[i] & 32]
    assert found[:count].tolist() == wanted
    assert flags == sum(1 << i for i in wanted)
    assert lowest == wanted[0]


@kernel
def _rows(lanes, target, hits, weights, matrix):
    simd.add_four_rows_8(lanes, target, 11, 2, hits, 0, weights, matrix, 1, 9)
    simd.add_rows_4(lanes, target, 11, 1, hits, 4, weights, matrix, 3, 9)


def test_products_with_a_matrix_of_rows(lanes):
    w = lanes.width
    draw = np.random.default_rng(2)
    weights, matrix = draw.random((5, w)), draw.random((w, 9))
    hits = np.array([3, 0, 4, 1, 2], np.int32)
    target = draw.random((5, 11))
    wanted = target.copy()
    wanted[hits[:4], 2:10] += weights[:4] @ matrix[:, 1:]
    wanted[hits[4], 1:5] += weights[4] @ matrix[:, 3:7]
    _rows(lanes, target.reshape(-1), hits, weights.reshape(-1), matrix.reshape(-1))
    np.testing.assert_allclose(target, wanted, rtol=1e-13)


def test_the_width_follows_the_variable_and_else_the_cpu(monkeypatch):
    monkeypatch.delenv(vectors.WIDTH_VARIABLE, raising=False)
    assert vectors.chosen_lanes().width == vectors.native_width() in vectors.WIDTHS
    monkeypatch.setenv(vectors.WIDTH_VARIABLE, "12")
    with pytest.raises(ParameterError, match=r"LABELSPLAT_SIMD_WIDTH: '12'.*4, 8 or 16"):
        vectors.chosen_lanes()
