"""Structural similarity of two images and its gradient, fused.

SSIM (Wang et al. 2004) with the usual window: 11 x 11 Gaussian, sigma 1.5, zeros beyond the edge.
With blurs ``B`` it is ``A1 A2 / (B1 B2)`` of ``B(x), B(x x), B(x y), B(y), B(y y)``. The blur is
separable. Down the columns it is taken while ``x`` is read, along the rows from a buffer of one
row, so nothing but the three planes of derivatives ever goes to memory; those are blurred back in
the same way. What depends on ``y`` alone is computed once a photo.

Planes are ``[3, H + 2 REACH, stride]``: one colour each, with zeros round the image. Rows are cut
at every vector, so the loops have no remainder.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel

REACH = 5
"""Pixels that the window reaches to either side."""

SIGMA = 1.5
_WINDOW = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
WINDOW = tuple(float(v) for v in _WINDOW / _WINDOW.sum())
C1, C2 = 0.01**2, 0.03**2

PAD = 16
"""Zeros to either side of a row of a plane: the widest vector, and more than REACH."""


def plane_shape(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a plane of an H x W image."""
    return height + 2 * REACH, 2 * PAD + -(-width // PAD) * PAD


@kernel
def to_planes(image, weights, planes):
    """Write ``image [H, W, C]`` to the inside of ``planes [C, H + 2 REACH, stride]``.

    Where ``weights [H + 2 REACH, stride]`` are zero the planes stay as they are.
    """
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            if weights[y + REACH, x + PAD] > 0:
                for c in range(channels):
                    planes[c, y + REACH, x + PAD] = image[y, x, c]


@kernel
def _down_products(lanes, x, y, at, stride, column, one, squared, crossed):
    """Blur ``x``, ``x x`` and ``x y`` down the columns of one row; ``at``: its first window row."""
    sum_x = simd.full(lanes, x, 0)
    sum_xx, sum_xy = sum_x, sum_x
    for tap in range(2 * REACH + 1):
        here = at + tap * stride + column
        a = simd.load(lanes, x, here)
        weighted = WINDOW[tap] * a
        sum_x += weighted
        sum_xx = simd.fma(weighted, a, sum_xx)
        sum_xy = simd.fma(weighted, simd.load(lanes, y, here), sum_xy)
    simd.store(one, column, sum_x)
    simd.store(squared, column, sum_xx)
    simd.store(crossed, column, sum_xy)


@kernel
def _along(lanes, row, column):
    """Blur along a row that was blurred down the columns."""
    total = WINDOW[REACH] * simd.load(lanes, row, column)
    for tap in range(1, REACH + 1):
        pair = simd.load(lanes, row, column - tap) + simd.load(lanes, row, column + tap)
        total = simd.fma(simd.full(lanes, row, WINDOW[REACH + tap]), pair, total)
    return total


@kernel
def _down(lanes, plane, at, stride, column):
    """Blur a plane down the columns."""
    total = WINDOW[REACH] * simd.load(lanes, plane, at + REACH * stride + column)
    for tap in range(1, REACH + 1):
        above = simd.load(lanes, plane, at + (REACH - tap) * stride + column)
        below = simd.load(lanes, plane, at + (REACH + tap) * stride + column)
        weight = simd.full(lanes, plane, WINDOW[REACH + tap])
        total = simd.fma(weight, above + below, total)
    return total


@kernel(parallel=True)
def statistics(lanes, y, mean, square):
    """``B(y)`` and ``B(y y)`` of planes ``y``, written to two arrays of its shape."""
    channels, rows, stride = y.shape
    w, inner = simd.width(lanes), rows - 2 * REACH
    for turn in prange(channels * inner):
        c, r = turn // inner, turn % inner
        at = (c * rows + r) * stride
        one, squared = np.zeros(stride, y.dtype), np.zeros(stride, y.dtype)
        unused = np.zeros(stride, y.dtype)
        for column in range(PAD, stride - PAD, w):
            _down_products(lanes, y, y, at, stride, column, one, squared, unused)
        for column in range(PAD, stride - PAD, w):
            here = at + REACH * stride + column
            simd.store(mean, here, _along(lanes, one, column))
            simd.store(square, here, _along(lanes, squared, column))


@kernel(parallel=True)
def ssim_derivatives(lanes, x, y, mean_y, square_y, weights, sums, by_mean, by_square, by_cross):
    """Weighted SSIM of every row, and its derivatives by ``B(x)``, ``B(x x)`` and ``B(x y)``.

    Args:
        lanes: vector width.
        x, y: planes.
        mean_y, square_y: of :func:`statistics`.
        weights: ``[H + 2 REACH, stride]``, zeros round the image.
        sums: output ``[3, H]``: each row's sum of weight times SSIM.
        by_mean, by_square, by_cross: output planes.
    """
    channels, rows, stride = x.shape
    w, inner = simd.width(lanes), rows - 2 * REACH
    for turn in prange(channels * inner):
        c, r = turn // inner, turn % inner
        at = (c * rows + r) * stride
        one, squared = np.zeros(stride, x.dtype), np.zeros(stride, x.dtype)
        crossed = np.zeros(stride, x.dtype)
        for column in range(PAD, stride - PAD, w):
            _down_products(lanes, x, y, at, stride, column, one, squared, crossed)
        total = simd.full(lanes, x, 0)
        for column in range(PAD, stride - PAD, w):
            here = at + REACH * stride + column
            mx, xx = _along(lanes, one, column), _along(lanes, squared, column)
            xy = _along(lanes, crossed, column)
            my, yy = simd.load(lanes, mean_y, here), simd.load(lanes, square_y, here)
            weight = simd.load(lanes, weights, (r + REACH) * stride + column)
            both = mx * my
            a1, a2 = 2 * both + C1, 2 * (xy - both) + C2
            squares = mx * mx + my * my
            b1, b2 = squares + C1, xx + yy - squares + C2
            inverse1, inverse2 = 1 / b1, 1 / b2
            weighted = weight * inverse1 * inverse2
            score = a1 * a2 * weighted
            total += score
            cross = 2 * a1 * weighted
            square = -score * inverse2
            mean = 2 * my * a2 * weighted - 2 * mx * score * inverse1
            simd.store(by_mean, here, mean - my * cross - 2 * mx * square)
            simd.store(by_square, here, square)
            simd.store(by_cross, here, cross)
        simd.store(one, 0, total)
        found = 0.0
        for lane in range(w):
            found += one[lane]
        sums[c, r] = found


@kernel(parallel=True)
def photometric_gradient(
    lanes, image, x, y, weights, by_mean, by_square, by_cross, l1, ssim, differences, gradient
):
    """Gradient of ``l1 sum w |x - y| - ssim sum w SSIM`` by the image, and the first sum's rows.

    Args:
        lanes: vector width.
        image: ``[H, W, 3]``, only its shape counts.
        x, y, weights, by_mean, by_square, by_cross: as for :func:`ssim_derivatives`.
        l1, ssim: factors of the two terms.
        differences: output ``[H]``: each row's sum of weight times ``|x - y|``.
        gradient: output ``[H, W, 3]``.
    """
    height, width, channels = image.shape
    rows, stride = x.shape[1:]
    w = simd.width(lanes)
    for r in prange(height):
        blurred = np.zeros((3, stride), x.dtype)
        out = np.zeros((3, stride), x.dtype)
        total = 0.0
        for c in range(channels):
            at = (c * rows + r) * stride
            for column in range(PAD, stride - PAD, w):
                simd.store(blurred, column, _down(lanes, by_mean, at, stride, column))
                simd.store(blurred, stride + column, _down(lanes, by_square, at, stride, column))
                simd.store(blurred, 2 * stride + column, _down(lanes, by_cross, at, stride, column))
            for column in range(PAD, stride - PAD, w):
                here = at + REACH * stride + column
                a, b = simd.load(lanes, x, here), simd.load(lanes, y, here)
                value = _along(lanes, blurred, column)
                value += 2 * a * _along(lanes, blurred, stride + column)
                value += b * _along(lanes, blurred, 2 * stride + column)
                simd.store(out, c * stride + column, -ssim * value)
        for i in range(width):
            weight = weights[r + REACH, PAD + i]
            for c in range(channels):
                away = x[c, r + REACH, PAD + i] - y[c, r + REACH, PAD + i]
                sign = x.dtype.type(0) + (away > 0) - (away < 0)
                total += weight * abs(away)
                gradient[r, i, c] = out[c, PAD + i] + l1 * weight * sign if weight > 0 else 0
        differences[r] = total
