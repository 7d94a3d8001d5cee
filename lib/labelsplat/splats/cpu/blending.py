"""Alpha blending: the Gaussians of each tile, front to back, into the image.

``image = sum_i w_i feature_i + T background`` with ``w_i = alpha_i prod_{j < i} (1 - alpha_j)`` and
``T`` the light that is left; a Gaussian's alpha at a pixel is its opacity times its density there,
at most MAX_ALPHA, and nothing below MIN_ALPHA.

Per block, the weights first (``tiles.block_weights``), then the features in chunks of eight and
four channels that stay in registers.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel
from labelsplat.splats.cpu.projection import TILE
from labelsplat.splats.cpu.simd import BLOCK
from labelsplat.splats.cpu.tiles import (
    _SHAPE,
    HOT,
    MIDDLE,
    block_candidates,
    block_weights,
    gather_tile,
    padded,
    pixel_grid,
    touched_blocks,
)


@kernel
def gather_features(features, items, first, count, channels, local):
    """A tile's rows of features ``[count * channels]``, padded with zero channels."""
    given = features.shape[1]
    for i in range(count):
        g, o = items[first + i], i * channels
        for d in range(given):
            local[o + d] = features[g, d]
        for d in range(given, channels):
            local[o + d] = 0


@kernel
def _blend_8(lanes, weights, hits, found, features, channels, d, out):
    """``out[d : d + 8] = sum over hits of weight * feature``, for eight channels."""
    w = simd.width(lanes)
    zero = simd.full(lanes, features, 0)
    a0, a1, a2, a3, a4, a5, a6, a7 = zero, zero, zero, zero, zero, zero, zero, zero
    for i in range(found):
        v = simd.load(lanes, weights, i * w)
        o = hits[i] * channels + d
        a0 = simd.fma(v, simd.splat(lanes, features, o), a0)
        a1 = simd.fma(v, simd.splat(lanes, features, o + 1), a1)
        a2 = simd.fma(v, simd.splat(lanes, features, o + 2), a2)
        a3 = simd.fma(v, simd.splat(lanes, features, o + 3), a3)
        a4 = simd.fma(v, simd.splat(lanes, features, o + 4), a4)
        a5 = simd.fma(v, simd.splat(lanes, features, o + 5), a5)
        a6 = simd.fma(v, simd.splat(lanes, features, o + 6), a6)
        a7 = simd.fma(v, simd.splat(lanes, features, o + 7), a7)
    simd.store(out, d * w, a0)
    simd.store(out, (d + 1) * w, a1)
    simd.store(out, (d + 2) * w, a2)
    simd.store(out, (d + 3) * w, a3)
    simd.store(out, (d + 4) * w, a4)
    simd.store(out, (d + 5) * w, a5)
    simd.store(out, (d + 6) * w, a6)
    simd.store(out, (d + 7) * w, a7)


@kernel
def _blend_4(lanes, weights, hits, found, features, channels, d, out):
    """As ``_blend_8`` for four channels."""
    w = simd.width(lanes)
    zero = simd.full(lanes, features, 0)
    a0, a1, a2, a3 = zero, zero, zero, zero
    for i in range(found):
        v = simd.load(lanes, weights, i * w)
        o = hits[i] * channels + d
        a0 = simd.fma(v, simd.splat(lanes, features, o), a0)
        a1 = simd.fma(v, simd.splat(lanes, features, o + 1), a1)
        a2 = simd.fma(v, simd.splat(lanes, features, o + 2), a2)
        a3 = simd.fma(v, simd.splat(lanes, features, o + 3), a3)
    simd.store(out, d * w, a0)
    simd.store(out, (d + 1) * w, a1)
    simd.store(out, (d + 2) * w, a2)
    simd.store(out, (d + 3) * w, a3)


@kernel
def _write_block(lanes, sums, left_over, background, left, top, inside, image, alpha):
    """One block's pixels, those within the image."""
    w, (width, channels) = simd.width(lanes), image.shape[1:]
    light = simd.load(lanes, left_over, 0)
    first = top * width + left
    simd.scatter_block(alpha, first, width, 1, inside, 1 - light)
    for d in range(channels):
        value = simd.load(lanes, sums, d * w) + light * background[d]
        simd.scatter_block(image, first * channels + d, width * channels, channels, inside, value)


@kernel
def _blend_tile(
    lanes, first, count, items, records, features, background, left, top, right, bottom, image,
    alpha,
):  # fmt: skip
    total = 0
    w, kind = simd.width(lanes), features.dtype
    height, n = w // BLOCK, padded(count)
    channels = (features.shape[1] + 3) // 4 * 4
    hot, shape = np.empty(count * HOT, kind), np.empty((_SHAPE, n), kind)
    touched = np.empty(TILE // height * n, np.uint8)
    local = np.empty(count * channels, kind)
    candidates, hits = np.empty(count + 16, np.int32), np.empty(count, np.int32)
    weights, sums = np.empty(count * w, kind), np.empty(channels * w, kind)
    left_over = np.empty(w, kind)
    grid_x, grid_y = pixel_grid(lanes, features)
    gather_tile(records, items, first, count, left, top, hot, shape)
    gather_features(features, items, first, count, channels, local)
    touched_blocks(lanes, shape, right - left, bottom - top, touched)
    for y in range(0, bottom - top, height):
        for x in range(0, right - left, BLOCK):
            found = block_candidates(lanes, touched, y // height * n, n, x // BLOCK, candidates)
            pixel_x = simd.load(lanes, grid_x, 0) + x
            pixel_y = simd.load(lanes, grid_y, 0) + y
            inside = (pixel_x < right - left - MIDDLE) & (pixel_y < bottom - top - MIDDLE)
            found = block_weights(
                lanes, hot, candidates, found, pixel_x, pixel_y, inside,
                weights, weights, hits, False, left_over,
            )  # fmt: skip
            total += found
            d = 0
            while channels - d >= 8:
                _blend_8(lanes, weights, hits, found, local, channels, d, sums)
                d += 8
            if d < channels:
                _blend_4(lanes, weights, hits, found, local, channels, d, sums)
            _write_block(
                lanes, sums, left_over, background, left + x, top + y, inside, image, alpha
            )
    return total


@kernel(parallel=True)
def blend(lanes, starts, items, turns, records, features, background, image, alpha):
    """Draw one view.

    Args:
        lanes: vector width.
        starts, items, turns: of ``binning.TileLists``.
        records: ``[N, RECORD]`` of ``projection.project``.
        features: ``[N, D]``. background: ``[D]``.
        image: output ``[H, W, D]``. alpha: output ``[H, W]``.

    Returns:
        How often a Gaussian touched a block of pixels: what the work is proportional to.
    """
    rows, width = alpha.shape
    columns = (width + TILE - 1) // TILE
    hits = 0
    for turn in prange(len(turns)):
        tile = turns[turn]
        left, top = tile % columns * TILE, tile // columns * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, rows)
        count = starts[tile + 1] - starts[tile]
        if count > 0:
            hits += _blend_tile(
                lanes, starts[tile], count, items, records, features, background,
                left, top, right, bottom, image, alpha,
            )  # fmt: skip
        else:
            for y in range(top, bottom):
                for x in range(left, right):
                    alpha[y, x] = 0
                    for d in range(image.shape[2]):
                        image[y, x, d] = background[d]
    return hits
