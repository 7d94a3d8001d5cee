"""Gaussians to the image plane of one camera.

For a Gaussian with centre ``m``, rotation ``R`` and scales ``s`` seen by ``x_cam = W m + t``::

    u = f_x x / z + c_x,  v = f_y y / z + c_y                 centre in pixels
    U = J W R diag(s)                                         [2, 3]
    covariance = U U^T + LOW_PASS I,  conic = covariance^-1   [2, 2]

J is the derivative of the perspective at the centre (Zwicker et al., EWA splatting, 2001).
Gaussians ride in the lanes of vectors: chunks of them are turned from rows into columns first.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.constants import BORDER, FAR, LOW_PASS, MIN_ALPHA, NEAR
from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel

TILE = 32  # pixels, width and height
RECORD = 16  # numbers a Gaussian in `records`
CHUNK = 256  # Gaussians that are turned into columns at once; a multiple of every vector width

# Columns of `records`: what blending needs to know of a projected Gaussian. With
# u = ROOT_X dx + ROOT_XY dy and v = ROOT_Y dy (a root of the conic), its alpha at the offset
# (dx, dy) is 2^-(u^2 + v^2 + FAINT). It is drawn inside the ellipse where that is at least
# MIN_ALPHA. At row offset dy the ellipse spans dx = SLOPE dy +- sqrt(WIDTH2 - SHRINK dy^2); it is
# at most HALF_X wide, at row offset LEAN, and HALF_Y high.
X, Y, ROOT_X, ROOT_XY, ROOT_Y, FAINT, OPACITY = range(7)
HALF_X, HALF_Y, SLOPE, SHRINK, WIDTH2, LEAN = range(7, 13)

LOG2_E = 1.4426950408889634
MAX_EXPONENT = np.log2(1 / MIN_ALPHA)  # of 1/2, for what is drawn

# Columns of `camera`: rotation row by row, translation, focal lengths, principal point.
FX, FY, CX, CY = range(12, 16)

_FAR_OFF = 1e9  # pixels, fits an int32
_BIG = 1e30  # covariances beyond this cannot be inverted in float32


def pack_camera(view: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """``[16]``: rotation (9), translation (3), fx, fy, cx, cy, of ``[4, 4]`` and ``[3, 3]``."""
    k = intrinsics
    focal = np.array([k[0, 0], k[1, 1], k[0, 2], k[1, 2]], view.dtype)
    return np.concatenate([view[:3, :3].reshape(9), view[:3, 3], focal])


@kernel
def _to_columns(rows, first, count, columns, start):
    """``columns[start + j, i] = rows[first + i, j]``."""
    for i in range(count):
        for j in range(rows.shape[1]):
            columns[start + j, i] = rows[first + i, j]


@kernel
def _to_rows(columns, start, rows, first, count):
    """``rows[first + i, j] = columns[start + j, i]``."""
    for i in range(count):
        for j in range(rows.shape[1]):
            rows[first + i, j] = columns[start + j, i]


@kernel
def _rotation(a, b, c, d):
    """The nine entries of the rotation by the unit quaternion a + b i + c j + d k."""
    return (
        1 - 2 * (c * c + d * d),
        2 * (b * c - a * d),
        2 * (b * d + a * c),
        2 * (b * c + a * d),
        1 - 2 * (b * b + d * d),
        2 * (c * d - a * b),
        2 * (b * d - a * c),
        2 * (c * d + a * b),
        1 - 2 * (b * b + c * c),
    )


@kernel
def _limits(camera, width, height):
    """How far (x / z and y / z: low x, high x, low y, high y) the derivative is taken."""
    fx, fy, cx, cy = camera[FX], camera[FY], camera[CX], camera[CY]
    margin_x, margin_y = BORDER * 0.5 * width / fx, BORDER * 0.5 * height / fy
    return (
        -(cx / fx + margin_x),
        (width - cx) / fx + margin_x,
        -(cy / fy + margin_y),
        (height - cy) / fy + margin_y,
    )


# Rows of the columns that _project_chunk writes, and how many there are.
_OUT_RECORD, _OUT_MEAN, _OUT_CONIC, _OUT_DEPTH, _OUT_VISIBLE, _OUT_ROWS = 0, 13, 15, 18, 19, 20


@kernel
def _project_chunk(lanes, columns, count, camera, limits, width, height, out):
    """``columns`` [12, CHUNK] (mean, quaternion, scales, opacity, level) to ``out``."""
    low_x, high_x, low_y, high_y = limits
    w, t = camera[:9], camera[9:12]
    fx, fy, cx, cy = camera[FX], camera[FY], camera[CX], camera[CY]
    one = simd.full(lanes, columns, 1)
    for i in range(0, count, simd.width(lanes)):
        mx = simd.load(lanes, columns, i)
        my = simd.load(lanes, columns, CHUNK + i)
        mz = simd.load(lanes, columns, 2 * CHUNK + i)
        x = w[0] * mx + w[1] * my + w[2] * mz + t[0]
        y = w[3] * mx + w[4] * my + w[5] * mz + t[1]
        z = w[6] * mx + w[7] * my + w[8] * mz + t[2]

        a = simd.load(lanes, columns, 3 * CHUNK + i)
        b = simd.load(lanes, columns, 4 * CHUNK + i)
        c = simd.load(lanes, columns, 5 * CHUNK + i)
        d = simd.load(lanes, columns, 6 * CHUNK + i)
        n = 1 / simd.sqrt(a * a + b * b + c * c + d * d)
        r = _rotation(a * n, b * n, c * n, d * n)

        # Rows of J W, where J = [[j0, 0, j2], [0, k1, k2]].
        inverse_z = 1 / z
        x_over_z = simd.minimum(simd.maximum(x * inverse_z, low_x), high_x)
        y_over_z = simd.minimum(simd.maximum(y * inverse_z, low_y), high_y)
        j0, k1 = fx * inverse_z, fy * inverse_z
        j2, k2 = -(j0 * x_over_z), -(k1 * y_over_z)
        p0, p1, p2 = j0 * w[0] + j2 * w[6], j0 * w[1] + j2 * w[7], j0 * w[2] + j2 * w[8]
        q0, q1, q2 = k1 * w[3] + k2 * w[6], k1 * w[4] + k2 * w[7], k1 * w[5] + k2 * w[8]

        s0 = simd.load(lanes, columns, 7 * CHUNK + i)
        s1 = simd.load(lanes, columns, 8 * CHUNK + i)
        s2 = simd.load(lanes, columns, 9 * CHUNK + i)
        u0 = (p0 * r[0] + p1 * r[3] + p2 * r[6]) * s0
        u1 = (p0 * r[1] + p1 * r[4] + p2 * r[7]) * s1
        u2 = (p0 * r[2] + p1 * r[5] + p2 * r[8]) * s2
        v0 = (q0 * r[0] + q1 * r[3] + q2 * r[6]) * s0
        v1 = (q0 * r[1] + q1 * r[4] + q2 * r[7]) * s1
        v2 = (q0 * r[2] + q1 * r[5] + q2 * r[8]) * s2

        sharp_xx, sharp_yy = u0 * u0 + u1 * u1 + u2 * u2, v0 * v0 + v1 * v1 + v2 * v2
        xx, yy = sharp_xx + LOW_PASS, sharp_yy + LOW_PASS
        xy = u0 * v0 + u1 * v1 + u2 * v2
        # The determinant by Lagrange's identity, |u|^2 |v|^2 - (u v)^2 = |u x v|^2: the difference
        # of products loses every digit for needles in float32.
        n0, n1, n2 = u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0
        determinant = n0 * n0 + n1 * n1 + n2 * n2 + LOW_PASS * (sharp_xx + yy)
        inverse = 1 / determinant
        conic_a, conic_b, conic_c = yy * inverse, -(xy * inverse), xx * inverse
        centre_x, centre_y = j0 * x + cx, k1 * y + cy

        opacity = simd.load(lanes, columns, 10 * CHUNK + i)
        level = simd.load(lanes, columns, 11 * CHUNK + i)
        half_x, half_y = simd.sqrt(2 * level * xx), simd.sqrt(2 * level * yy)
        # Comparisons are false for NaN: whatever went wrong above makes a Gaussian invisible.
        visible = (z >= NEAR) & (z <= FAR) & (opacity >= MIN_ALPHA)
        visible &= (determinant > 0) & (determinant < _BIG) & (xx * yy < _BIG)
        visible &= (centre_x + half_x > 0) & (centre_x - half_x < width)
        visible &= (centre_y + half_y > 0) & (centre_y - half_y < height)

        # conic = [[a, b], [b, c]] = 2 ln 2 root^T root: base 2 suits the exponential.
        inverse_yy = 1 / yy
        shrink = determinant * inverse_yy * inverse_yy
        root_x = simd.sqrt(0.5 * LOG2_E * conic_a)
        simd.store(out, X * CHUNK + i, centre_x)
        simd.store(out, Y * CHUNK + i, centre_y)
        simd.store(out, ROOT_X * CHUNK + i, root_x)
        simd.store(out, ROOT_XY * CHUNK + i, -(root_x * xy * inverse_yy))
        simd.store(out, ROOT_Y * CHUNK + i, root_x * simd.sqrt(shrink))
        simd.store(out, FAINT * CHUNK + i, MAX_EXPONENT - LOG2_E * level)
        simd.store(out, OPACITY * CHUNK + i, opacity)
        simd.store(out, HALF_X * CHUNK + i, half_x)
        simd.store(out, HALF_Y * CHUNK + i, half_y)
        simd.store(out, SLOPE * CHUNK + i, xy * inverse_yy)
        simd.store(out, SHRINK * CHUNK + i, shrink)
        simd.store(out, WIDTH2 * CHUNK + i, 2 * level * determinant * inverse_yy)
        simd.store(out, LEAN * CHUNK + i, xy / xx * half_x)
        simd.store(out, _OUT_MEAN * CHUNK + i, centre_x)
        simd.store(out, (_OUT_MEAN + 1) * CHUNK + i, centre_y)
        simd.store(out, _OUT_CONIC * CHUNK + i, conic_a)
        simd.store(out, (_OUT_CONIC + 1) * CHUNK + i, conic_b)
        simd.store(out, (_OUT_CONIC + 2) * CHUNK + i, conic_c)
        simd.store(out, _OUT_DEPTH * CHUNK + i, z)
        simd.store(out, _OUT_VISIBLE * CHUNK + i, simd.select(visible, one, 0))


@kernel
def _tile_box(x, y, half_x, half_y, width, height, box):
    """First and last tile column and row whose pixel centres the ellipse's box reaches.

    ``box`` stays as it is if there are none (the ellipse lies between pixel centres).
    """
    left = max(np.ceil(x - half_x - 0.5), 0.0)
    right = min(np.floor(x + half_x - 0.5), width - 1.0)
    top = max(np.ceil(y - half_y - 0.5), 0.0)
    bottom = min(np.floor(y + half_y - 0.5), height - 1.0)
    if left <= right and top <= bottom:
        box[0], box[1] = int(left) // TILE, int(right) // TILE
        box[2], box[3] = int(top) // TILE, int(bottom) // TILE


@kernel(parallel=True)
def project(
    lanes, means, quaternions, scales, opacities, levels, camera, width, height,
    means2d, conics, depths, records, boxes, radii,
):  # fmt: skip
    """Project N Gaussians into one camera.

    Args:
        lanes: vector width.
        means: ``[N, 3]``. quaternions: ``[N, 4]`` wxyz, of any length. scales: ``[N, 3]``.
        opacities: ``[N, 1]``. levels: ``[N, 1]`` ln(opacity / MIN_ALPHA).
        camera: ``[16]``, see ``pack_camera``. width, height: of the image, pixels.
        means2d: output ``[N, 2]`` pixels. conics: output ``[N, 3]``. depths: output ``[N, 1]``.
        records: output ``[N, RECORD]``, see above.
        boxes: output ``[N, 4]`` int32, first and last tile column, first and last tile row;
            the last before the first where nothing is to be drawn.
        radii: output ``[N, 2]`` int32, pixels that the drawn ellipse reaches sideways and up and
            down; 0 where nothing is to be drawn.
    """
    n = len(means)
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        count = min(CHUNK, n - first)
        columns = np.zeros((12, CHUNK), means.dtype)
        out = np.empty((_OUT_ROWS, CHUNK), means.dtype)
        _to_columns(means, first, count, columns, 0)
        _to_columns(quaternions, first, count, columns, 3)
        _to_columns(scales, first, count, columns, 7)
        _to_columns(opacities, first, count, columns, 10)
        _to_columns(levels, first, count, columns, 11)
        limits = _limits(camera, width, height)
        _project_chunk(lanes, columns, count, camera, limits, width, height, out)
        _to_rows(out, _OUT_MEAN, means2d, first, count)
        _to_rows(out, _OUT_CONIC, conics, first, count)
        _to_rows(out, _OUT_DEPTH, depths, first, count)
        _to_rows(out, _OUT_RECORD, records, first, count)  # the last three columns are not used
        for i in range(count):
            g = first + i
            half_x, half_y, box = out[HALF_X, i], out[HALF_Y, i], boxes[g]
            box[0], box[1], box[2], box[3] = 1, 0, 1, 0
            if out[_OUT_VISIBLE, i] > 0:
                _tile_box(out[X, i], out[Y, i], half_x, half_y, width, height, box)
            drawn = box[0] <= box[1]
            radii[g, 0] = int(np.ceil(min(half_x, _FAR_OFF))) if drawn else 0
            radii[g, 1] = int(np.ceil(min(half_y, _FAR_OFF))) if drawn else 0
