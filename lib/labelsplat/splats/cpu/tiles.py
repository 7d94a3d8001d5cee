"""What blending and its gradients share: the Gaussians of one tile, block by block.

A tile of 32 x 32 pixels is cut into blocks of 4 x (lanes / 4) pixels, one pixel a lane. For each
row of blocks every Gaussian of the tile gets one byte: the bits of the blocks that its ellipse
touches. A block's candidates are then found 32 Gaussians at a time.
"""

from __future__ import annotations

import numpy as np

from labelsplat.splats.constants import MAX_ALPHA, MIN_TRANSMITTANCE
from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel
from labelsplat.splats.cpu.projection import (
    FAINT,
    HALF_X,
    HALF_Y,
    LEAN,
    MAX_EXPONENT,
    ROOT_X,
    ROOT_XY,
    ROOT_Y,
    SHRINK,
    SLOPE,
    TILE,
    WIDTH2,
    X,
    Y,
)
from labelsplat.splats.cpu.simd import BLOCK

COLUMNS = TILE // BLOCK  # blocks side by side: the bits of one byte
MIDDLE = TILE // 2  # of a tile
HOT = 8  # numbers that `block_weights` reads a Gaussian
_SHAPE = 8  # numbers that `touched_blocks` reads a Gaussian
_SLACK = 1e-3  # pixels by which spans are widened against rounding


@kernel
def padded(count):
    """``count`` rounded up to whole groups of 32, the step in which candidates are found."""
    return (count + 31) // 32 * 32


@kernel
def gather_tile(records, items, first, count, left, top, hot, shape):
    """Copy a tile's Gaussians close together.

    Args:
        hot: output ``[count * HOT]``, row by row, what ``block_weights`` needs: u and v as linear
            functions of the pixel's place relative to the tile's middle (see ``records``).
        shape: output ``[_SHAPE, padded(count)]``, column by column, what ``touched_blocks`` needs;
            centres relative to the tile's top left corner.
    """
    for i in range(count):
        r = records[items[first + i]]
        x, y = r[X] - left, r[Y] - top
        dx, dy, o = x - MIDDLE, y - MIDDLE, i * HOT
        hot[o], hot[o + 1], hot[o + 3] = r[ROOT_X], r[ROOT_XY], r[ROOT_Y]
        hot[o + 2], hot[o + 4] = -(r[ROOT_X] * dx + r[ROOT_XY] * dy), -(r[ROOT_Y] * dy)
        hot[o + 5] = r[FAINT]
        shape[0, i], shape[1, i] = x, y
        shape[2, i], shape[3, i] = r[HALF_X], r[HALF_Y]
        shape[4, i], shape[5, i] = r[SLOPE], r[SHRINK]
        shape[6, i], shape[7, i] = r[WIDTH2], r[LEAN]
    for i in range(count, shape.shape[1]):
        for j in range(_SHAPE):
            shape[j, i] = 0
        shape[1, i] = -1e6  # padding: touches nothing


@kernel
def touched_blocks(lanes, shape, columns, rows, touched):
    """Which blocks each Gaussian of a tile touches.

    Args:
        shape: as ``gather_tile`` leaves it.
        columns, rows: size of the tile in pixels (less than TILE at the image's border).
        touched: output uint8 ``[block rows * padded(count)]``, bit k of a byte for block column k.
    """
    n = shape.shape[1]
    height = simd.width(lanes) // BLOCK
    last_block = (columns + BLOCK - 1) // BLOCK
    for block_row in range((rows + height - 1) // height):
        # First and last row of pixel centres.
        upper = block_row * height + 0.5
        lower = min((block_row + 1) * height, rows) - 0.5
        for i in range(0, n, simd.width(lanes)):
            x, y = simd.load(lanes, shape, i), simd.load(lanes, shape, n + i)
            half_x = simd.load(lanes, shape, 2 * n + i)
            half_y = simd.load(lanes, shape, 3 * n + i)
            slope, shrink = simd.load(lanes, shape, 4 * n + i), simd.load(lanes, shape, 5 * n + i)
            width2, lean = simd.load(lanes, shape, 6 * n + i), simd.load(lanes, shape, 7 * n + i)
            dy0, dy1 = upper - y, lower - y
            meets = (dy0 <= half_y) & (dy1 >= -half_y)
            dy0, dy1 = simd.maximum(dy0, -half_y), simd.minimum(dy1, half_y)
            w0 = simd.sqrt(simd.maximum(width2 - shrink * dy0 * dy0, 0))
            w1 = simd.sqrt(simd.maximum(width2 - shrink * dy1 * dy1, 0))
            low = simd.minimum(slope * dy0 - w0, slope * dy1 - w1)
            high = simd.maximum(slope * dy0 + w0, slope * dy1 + w1)
            # Where the ellipse is widest between the two rows, they do not tell its width.
            high = simd.select((lean >= dy0) & (lean <= dy1), half_x, high)
            low = simd.select((-lean >= dy0) & (-lean <= dy1), -half_x, low)
            # The first block whose last pixel centre is not left of the span, and one past the
            # last whose first centre is not right of it.
            begin = (x + low - (_SLACK + BLOCK - 0.5)) * (1 / BLOCK)
            end = (x + high + (_SLACK - 0.5)) * (1 / BLOCK) + 1
            begin = simd.ceil(simd.minimum(simd.maximum(begin, 0), COLUMNS))
            end = simd.minimum(simd.maximum(end, 0), last_block)
            simd.store_bit_ranges(touched, block_row * n + i, begin, end, meets)


@kernel
def block_candidates(lanes, touched, start, n, column, found):
    """List in ``found`` the Gaussians whose byte in ``touched[start : start + n]`` has the bit.

    ``found`` needs room for 16 more than there can be.
    """
    count = 0
    if simd.width(lanes) == 16:
        for group in range(0, n, 16):
            count = simd.append_with_bit(touched, start + group, 1 << column, found, count, group)
        return count
    for group in range(0, n, 32):
        flags = simd.bytes_with_bit(touched, start + group, 1 << column)
        while flags != 0:
            found[count] = group + simd.trailing_zeros(flags)
            count += 1
            flags &= flags - 1
    return count


@kernel
def block_weights(
    lanes, hot, candidates, count, pixel_x, pixel_y, inside, weights, alphas, hits, keep, left_over
):
    """Blending weights of one block: alpha times the light that the Gaussians in front let pass.

    Args:
        candidates: ``[count]`` Gaussians of the tile, front to back.
        pixel_x, pixel_y: vectors, pixel centres relative to the tile's middle.
        inside: mask of those in the image.
        weights: output ``[hits, lanes]``. alphas: output ``[hits, lanes]`` if ``keep``.
        hits: output, the Gaussians that contribute anywhere in the block.
        keep: whether alphas are wanted.
        left_over: output ``[lanes]``, the light that passes all of them.

    Returns:
        The number of hits.
    """
    w = simd.width(lanes)
    zero, light = simd.full(lanes, hot, 0), simd.full(lanes, hot, 1)
    alive = inside
    found = i = 0
    while i < count:
        k = candidates[i]
        i += 1
        o = k * HOT
        u = simd.fma(simd.splat(lanes, hot, o + 1), pixel_y, simd.splat(lanes, hot, o + 2))
        u = simd.fma(simd.splat(lanes, hot, o), pixel_x, u)
        v = simd.fma(simd.splat(lanes, hot, o + 3), pixel_y, simd.splat(lanes, hot, o + 4))
        exponent = simd.fma(u, u, simd.fma(v, v, simd.splat(lanes, hot, o + 5)))
        drawn = alive & (exponent <= MAX_EXPONENT)
        if not simd.any_lane(drawn):
            continue
        alpha = simd.minimum(simd.exp2_negative(exponent), MAX_ALPHA)
        alpha = simd.select(drawn, alpha, zero)
        passed = light * (1 - alpha)
        finished = drawn & (passed <= MIN_TRANSMITTANCE)
        if simd.any_lane(finished):
            alive &= ~finished
            alpha = simd.select(finished, zero, alpha)
            passed = simd.select(finished, light, passed)
            if not simd.any_lane(alive):
                count = i
        simd.store(weights, found * w, alpha * light)
        if keep:
            simd.store(alphas, found * w, alpha)
        hits[found] = k
        found += 1
        light = passed
    simd.store(left_over, 0, light)
    return found


@kernel
def pixel_grid(lanes, like):
    """Columns and rows of the centres of a tile's first block, relative to the tile's middle."""
    w = simd.width(lanes)
    x, y = np.empty(w, like.dtype), np.empty(w, like.dtype)
    for lane in range(w):
        x[lane], y[lane] = lane % BLOCK + 0.5 - MIDDLE, lane // BLOCK + 0.5 - MIDDLE
    return x, y
