"""Gradients of blending, and its transpose.

A block's weights are computed again, which costs less than keeping them. Let ``s_i`` be the
derivative of the loss by weight i (the dot product of feature i with the pixel's gradient) and
``r_i`` the blend of all that lies behind i, as if i and those before it were not there. From back
to front ``r_(i-1) = alpha_i s_i + (1 - alpha_i) r_i``: one running scalar a pixel. The derivative
by the Gaussian's exponent is then ``q_i = w_i (r_i - s_i)``, and all derivatives by the geometry
are sums of q times 1, x, y, x^2, x y and y^2 over the pixels.

Every entry (a Gaussian in a tile) has its own row of gradients, written by the one thread that has
the tile; a second pass adds up each Gaussian's rows in a fixed order. So the result is the same
bit for bit, whatever the number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.constants import MAX_ALPHA
from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel
from labelsplat.splats.cpu.blending import gather_features
from labelsplat.splats.cpu.projection import (
    LOG2_E,
    OPACITY,
    ROOT_X,
    ROOT_XY,
    ROOT_Y,
    TILE,
    X,
    Y,
)
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

# A row of gradients: mean2d (2), conic (3), opacity (1), the sum over pixels of what each adds to
# |mean2d| (2, where asked for), then the features.
# While a tile is worked on, the first six hold the moments of q: 1, x, y, xx, xy, yy.
GEOMETRY = 8


@kernel
def _dots_4(lanes, hits, found, features, channels, d, by_image, by_weight):
    """``by_weight[hit] += sum over four channels of feature * gradient of the image``."""
    w = simd.width(lanes)
    g0 = simd.load(lanes, by_image, d * w)
    g1 = simd.load(lanes, by_image, (d + 1) * w)
    g2 = simd.load(lanes, by_image, (d + 2) * w)
    g3 = simd.load(lanes, by_image, (d + 3) * w)
    for i in range(found):
        o = hits[i] * channels + d
        a = simd.splat(lanes, features, o) * g0
        b = simd.splat(lanes, features, o + 1) * g1
        a = simd.fma(simd.splat(lanes, features, o + 2), g2, a)
        b = simd.fma(simd.splat(lanes, features, o + 3), g3, b)
        total = a + b
        if d > 0:
            total += simd.load(lanes, by_weight, i * w)
        simd.store(by_weight, i * w, total)


@kernel
def _dots_8(lanes, hits, found, features, channels, d, by_image, by_weight):
    """As ``_dots_4`` for eight channels."""
    w = simd.width(lanes)
    g0 = simd.load(lanes, by_image, d * w)
    g1 = simd.load(lanes, by_image, (d + 1) * w)
    g2 = simd.load(lanes, by_image, (d + 2) * w)
    g3 = simd.load(lanes, by_image, (d + 3) * w)
    g4 = simd.load(lanes, by_image, (d + 4) * w)
    g5 = simd.load(lanes, by_image, (d + 5) * w)
    g6 = simd.load(lanes, by_image, (d + 6) * w)
    g7 = simd.load(lanes, by_image, (d + 7) * w)
    for i in range(found):
        o = hits[i] * channels + d
        a = simd.splat(lanes, features, o) * g0
        b = simd.splat(lanes, features, o + 1) * g1
        a = simd.fma(simd.splat(lanes, features, o + 2), g2, a)
        b = simd.fma(simd.splat(lanes, features, o + 3), g3, b)
        a = simd.fma(simd.splat(lanes, features, o + 4), g4, a)
        b = simd.fma(simd.splat(lanes, features, o + 5), g5, b)
        a = simd.fma(simd.splat(lanes, features, o + 6), g6, a)
        b = simd.fma(simd.splat(lanes, features, o + 7), g7, b)
        total = a + b
        if d > 0:
            total += simd.load(lanes, by_weight, i * w)
        simd.store(by_weight, i * w, total)


@kernel
def _add_rows_4(lanes, rows, stride, start, hits, found, weights, matrix, first, step):
    """``rows[hit, start : start + 4] += sum over lanes of weight * matrix row``."""
    i = 0
    while found - i >= 4:
        simd.add_four_rows_4(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 4
    while i < found:
        simd.add_rows_4(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 1


@kernel
def _add_rows_8(lanes, rows, stride, start, hits, found, weights, matrix, first, step):
    """As ``_add_rows_4`` for eight columns."""
    i = 0
    while found - i >= 4:
        simd.add_four_rows_8(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 4
    while i < found:
        simd.add_rows_8(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 1


@kernel
def _add_rows_16(lanes, rows, stride, start, hits, found, weights, matrix, first, step):
    """As ``_add_rows_4`` for sixteen columns."""
    i = 0
    while found - i >= 4:
        simd.add_four_rows_16(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 4
    while i < found:
        simd.add_rows_16(lanes, rows, stride, start, hits, i, weights, matrix, first, step)
        i += 1


@kernel
def _feature_rows(lanes, weights, hits, found, by_image, channels, rows, stride, start):
    """``rows[hit] += sum over the block's pixels of weight * gradient of the image``."""
    d = 0
    while channels - d >= 16:
        _add_rows_16(lanes, rows, stride, start + d, hits, found, weights, by_image, d, channels)
        d += 16
    if channels - d >= 8:
        _add_rows_8(lanes, rows, stride, start + d, hits, found, weights, by_image, d, channels)
        d += 8
    if channels > d:
        _add_rows_4(lanes, rows, stride, start + d, hits, found, weights, by_image, d, channels)


@kernel
def _by_exponent(lanes, weights, alphas, by_weight, found, behind):
    """Derivatives q by the hits' exponents, in place of those by their weights.

    ``behind``: at first, what one unit of light that reaches the background is worth.
    """
    w = simd.width(lanes)
    zero = simd.full(lanes, weights, 0)
    for i in range(found - 1, -1, -1):
        alpha = simd.load(lanes, alphas, i * w)
        step = behind - simd.load(lanes, by_weight, i * w)
        q = simd.load(lanes, weights, i * w) * step
        q = simd.select(alpha < MAX_ALPHA, q, zero)  # where alpha is capped, nothing moves it
        simd.store(by_weight, i * w, q)
        behind = behind - alpha * step


@kernel
def _absolute_pulls(lanes, hot, hits, found, pixel_x, pixel_y, by_exponent, pull_x, pull_y):
    """How hard each pixel of the block pulls at the hits' centres, whatever the direction.

    Up to the factors of ``_moments_to_gradients``: ``|q u|`` sideways (to be multiplied by the
    root's x) and ``|q (root_xy u + root_y v)|`` down.
    """
    w = simd.width(lanes)
    for i in range(found):
        o = hits[i] * HOT
        u = simd.fma(simd.splat(lanes, hot, o + 1), pixel_y, simd.splat(lanes, hot, o + 2))
        u = simd.fma(simd.splat(lanes, hot, o), pixel_x, u)
        v = simd.fma(simd.splat(lanes, hot, o + 3), pixel_y, simd.splat(lanes, hot, o + 4))
        down = simd.splat(lanes, hot, o + 1) * u + simd.splat(lanes, hot, o + 3) * v
        q = simd.load(lanes, by_exponent, i * w)
        simd.store(pull_x, i * w, simd.maximum(q * u, -(q * u)))
        simd.store(pull_y, i * w, simd.maximum(q * down, -(q * down)))


@kernel
def _load_block(
    lanes, by_image, by_alpha, background, left, top, inside, channels,
    by_lane, by_channel, by_light,
):  # fmt: skip
    """A block's gradients of the image, once lane by lane and once channel by channel."""
    w, (width, given) = simd.width(lanes), by_image.shape[1:]
    first = top * width + left
    light = -simd.gather_block(lanes, by_alpha, first, width, 1, inside)
    all_lanes = light <= simd.full(lanes, by_light, np.inf)
    for d in range(given):
        value = simd.gather_block(lanes, by_image, first * given + d, width * given, given, inside)
        simd.store(by_channel, d * w, value)
        simd.scatter_block(by_lane, d, BLOCK * channels, channels, all_lanes, value)
        light = light + background[d] * value
    simd.store(by_light, 0, light)


@kernel
def _moment_basis(lanes, x, y, basis):
    """1, x, y, x^2, x y, y^2 of a block's pixels; x and y of its first."""
    for lane in range(simd.width(lanes)):
        dx, dy, o = x + lane % BLOCK, y + lane // BLOCK, lane * GEOMETRY
        basis[o], basis[o + 1], basis[o + 2] = 1, dx, dy
        basis[o + 3], basis[o + 4], basis[o + 5] = dx * dx, dx * dy, dy * dy


@kernel
def _moments_to_gradients(records, items, first, count, x_middle, y_middle, rows, stride):
    """Moments of q about the tile's middle to gradients by mean, conic and opacity, in place.

    Absolute pulls get the factors that ``_absolute_pulls`` left out.
    """
    for i in range(count):
        r, o = records[items[first + i]], i * stride
        x, y = r[X] - x_middle, r[Y] - y_middle
        q, qx, qy = rows[o], rows[o + 1], rows[o + 2]
        qxx, qxy, qyy = rows[o + 3], rows[o + 4], rows[o + 5]
        # Of (Gaussian's centre - pixel) instead of (pixel - middle).
        cx, cy = x * q - qx, y * q - qy
        cxx = x * (x * q - 2 * qx) + qxx
        cxy = x * (y * q - qy) - y * qx + qxy
        cyy = y * (y * q - 2 * qy) + qyy
        # The conic times the first moment, through the conic's root.
        u = 2 / LOG2_E * (r[ROOT_X] * cx + r[ROOT_XY] * cy)
        rows[o] = r[ROOT_X] * u
        rows[o + 1] = r[ROOT_XY] * u + 2 / LOG2_E * r[ROOT_Y] * r[ROOT_Y] * cy
        rows[o + 2], rows[o + 3], rows[o + 4] = 0.5 * cxx, cxy, 0.5 * cyy
        rows[o + 5] = -q / r[OPACITY]
        rows[o + 6] *= 2 / LOG2_E * abs(r[ROOT_X])
        rows[o + 7] *= 2 / LOG2_E


@kernel
def _tile_gradients(
    lanes, first, count, items, records, features, background, left, top, right, bottom,
    by_image, by_alpha, geometry, absolute, rows,
):  # fmt: skip
    w, kind = simd.width(lanes), by_image.dtype
    height, n = w // BLOCK, padded(count)
    channels = (by_image.shape[2] + 3) // 4 * 4
    start = GEOMETRY if geometry else 0
    stride = start + channels
    hot, shape = np.empty(count * HOT, kind), np.empty((_SHAPE, n), kind)
    touched = np.empty(TILE // height * n, np.uint8)
    local = np.empty(count * channels if geometry else 0, kind)
    candidates, hits = np.empty(count + 16, np.int32), np.empty(count, np.int32)
    weights, left_over = np.empty(count * w, kind), np.empty(w, kind)
    alphas = np.empty(count * w if geometry else 0, kind)
    by_weight = np.empty(count * w if geometry else 0, kind)
    by_lane, by_channel = np.zeros(w * channels, kind), np.zeros(channels * w, kind)
    by_light, basis = np.zeros(w, kind), np.zeros(w * GEOMETRY, kind)
    pulls = np.empty((2, count * w if absolute else 0), kind)
    sideways, down = np.zeros(w * 4, kind), np.zeros(w * 4, kind)
    sideways[2::4], down[3::4] = 1, 1  # columns 6 and 7 of a row
    grid_x, grid_y = pixel_grid(lanes, by_image)
    gather_tile(records, items, first, count, left, top, hot, shape)
    if geometry:
        gather_features(features, items, first, count, channels, local)
    touched_blocks(lanes, shape, right - left, bottom - top, touched)
    own = rows[first * stride : (first + count) * stride]
    own[:] = 0
    middle = MIDDLE - 0.5
    for y in range(0, bottom - top, height):
        for x in range(0, right - left, BLOCK):
            found = block_candidates(lanes, touched, y // height * n, n, x // BLOCK, candidates)
            if found == 0:
                continue
            pixel_x = simd.load(lanes, grid_x, 0) + x
            pixel_y = simd.load(lanes, grid_y, 0) + y
            inside = (pixel_x < right - left - MIDDLE) & (pixel_y < bottom - top - MIDDLE)
            found = block_weights(
                lanes, hot, candidates, found, pixel_x, pixel_y, inside,
                weights, alphas, hits, geometry, left_over,
            )  # fmt: skip
            _load_block(
                lanes, by_image, by_alpha, background, left + x, top + y, inside, channels,
                by_lane, by_channel, by_light,
            )  # fmt: skip
            _feature_rows(lanes, weights, hits, found, by_lane, channels, own, stride, start)
            if geometry:
                d = 0
                while channels - d >= 8:
                    _dots_8(lanes, hits, found, local, channels, d, by_channel, by_weight)
                    d += 8
                if d < channels:
                    _dots_4(lanes, hits, found, local, channels, d, by_channel, by_weight)
                behind = simd.load(lanes, by_light, 0)
                _by_exponent(lanes, weights, alphas, by_weight, found, behind)
                _moment_basis(lanes, x - middle, y - middle, basis)
                _add_rows_8(lanes, own, stride, 0, hits, found, by_weight, basis, 0, GEOMETRY)
                if absolute:
                    _absolute_pulls(
                        lanes, hot, hits, found, pixel_x, pixel_y, by_weight, pulls[0], pulls[1]
                    )
                    _add_rows_4(lanes, own, stride, 4, hits, found, pulls[0], sideways, 0, 4)
                    _add_rows_4(lanes, own, stride, 4, hits, found, pulls[1], down, 0, 4)
    if geometry:
        _moments_to_gradients(
            records, items, first, count, left + MIDDLE, top + MIDDLE, own, stride
        )


@kernel(parallel=True)
def blend_gradients(
    lanes, starts, items, turns, records, features, background, by_image, by_alpha, geometry,
    absolute, rows,
):  # fmt: skip
    """Gradient rows of all entries of one view.

    Args:
        lanes, starts, items, turns, records, features, background: as given to ``blending.blend``.
        by_image: ``[H, W, D]`` derivative of the loss by the image. by_alpha: ``[H, W]``.
        geometry: whether more than the gradient of the features is wanted; if not, features and
            background are not read, and rows have no geometry columns.
        absolute: whether the absolute pulls at the centres are wanted, too.
        rows: output ``[entries * (GEOMETRY + channels)]``, D rounded up to a multiple of 4.
    """
    height, width = by_alpha.shape
    columns = (width + TILE - 1) // TILE
    for turn in prange(len(turns)):
        tile = turns[turn]
        left, top = tile % columns * TILE, tile // columns * TILE
        right, bottom = min(left + TILE, width), min(top + TILE, height)
        count = starts[tile + 1] - starts[tile]
        if count > 0:
            _tile_gradients(
                lanes, starts[tile], count, items, records, features, background,
                left, top, right, bottom, by_image, by_alpha, geometry, absolute, rows,
            )  # fmt: skip


@kernel(parallel=True)
def gather_gradients(
    order, gather_starts, gather, rows, geometry, d_means2d, d_conics, d_opacities, d_features,
    pulls,
):  # fmt: skip
    """Add up each Gaussian's rows; ADDED to d_opacities and d_features, written to the others.

    ``pulls``: ``[N, 2]`` for the absolute pulls, or of length 0 where they are not wanted.
    """
    channels = (d_features.shape[1] + 3) // 4 * 4
    start = GEOMETRY if geometry else 0
    stride = start + channels
    for k in prange(len(order)):
        g = order[k]
        total = np.zeros(stride, rows.dtype)
        for e in range(gather_starts[k], gather_starts[k + 1]):
            row = gather[e] * stride
            for j in range(stride):
                total[j] += rows[row + j]
        for d in range(d_features.shape[1]):
            d_features[g, d] += total[start + d]
        if geometry:
            d_means2d[g, 0], d_means2d[g, 1] = total[0], total[1]
            for j in range(3):
                d_conics[g, j] = total[2 + j]
            d_opacities[g, 0] += total[5]
            if len(pulls) > 0:
                pulls[g, 0], pulls[g, 1] = total[6], total[7]
