"""From gradients on the image plane to gradients of the Gaussians and of the camera.

The chain rule of ``projection.project``, written out. ``d_x`` is the derivative of the loss by x.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel
from labelsplat.splats.cpu.projection import (
    CHUNK,
    CX,
    CY,
    FX,
    FY,
    _limits,
    _rotation,
    _to_columns,
)

# Rows of the columns that come in: mean, quaternion, scales, conic, their gradients, visible.
_MEAN, _QUATERNION, _SCALES, _CONIC = 0, 3, 7, 10
_D_MEAN2D, _D_CONIC, _D_DEPTH, _VISIBLE, _IN_ROWS = 13, 15, 18, 19, 20
# ... and of those that go out: mean, quaternion, scales.
_OUT_ROWS = 10


@kernel
def _row3(lanes, columns, row, i):
    return (
        simd.load(lanes, columns, row * CHUNK + i),
        simd.load(lanes, columns, (row + 1) * CHUNK + i),
        simd.load(lanes, columns, (row + 2) * CHUNK + i),
    )


@kernel
def _store3(columns, row, i, a, b, c):
    simd.store(columns, row * CHUNK + i, a)
    simd.store(columns, (row + 1) * CHUNK + i, b)
    simd.store(columns, (row + 2) * CHUNK + i, c)


@kernel
def _unproject_chunk(lanes, columns, count, camera, limits, out, by_camera, camera_out):
    low_x, high_x, low_y, high_y = limits
    w, t = camera[:9], camera[9:12]
    fx, fy = camera[FX], camera[FY]
    for i in range(0, count, simd.width(lanes)):
        # The forward pass again, up to U = J W R diag(s).
        mx, my, mz = _row3(lanes, columns, _MEAN, i)
        x = w[0] * mx + w[1] * my + w[2] * mz + t[0]
        y = w[3] * mx + w[4] * my + w[5] * mz + t[1]
        z = w[6] * mx + w[7] * my + w[8] * mz + t[2]
        a = simd.load(lanes, columns, _QUATERNION * CHUNK + i)
        b, c, d = _row3(lanes, columns, _QUATERNION + 1, i)
        n = 1 / simd.sqrt(a * a + b * b + c * c + d * d)
        a, b, c, d = a * n, b * n, c * n, d * n
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = _rotation(a, b, c, d)
        inverse_z = 1 / z
        x_over_z, y_over_z = x * inverse_z, y * inverse_z
        free_x = (x_over_z >= low_x) & (x_over_z <= high_x)
        free_y = (y_over_z >= low_y) & (y_over_z <= high_y)
        x_clamped = simd.minimum(simd.maximum(x_over_z, low_x), high_x)
        y_clamped = simd.minimum(simd.maximum(y_over_z, low_y), high_y)
        j0, k1 = fx * inverse_z, fy * inverse_z
        j2, k2 = -(j0 * x_clamped), -(k1 * y_clamped)
        p0, p1, p2 = j0 * w[0] + j2 * w[6], j0 * w[1] + j2 * w[7], j0 * w[2] + j2 * w[8]
        q0, q1, q2 = k1 * w[3] + k2 * w[6], k1 * w[4] + k2 * w[7], k1 * w[5] + k2 * w[8]
        s0, s1, s2 = _row3(lanes, columns, _SCALES, i)
        u0, v0 = (p0 * r00 + p1 * r10 + p2 * r20) * s0, (q0 * r00 + q1 * r10 + q2 * r20) * s0
        u1, v1 = (p0 * r01 + p1 * r11 + p2 * r21) * s1, (q0 * r01 + q1 * r11 + q2 * r21) * s1
        u2, v2 = (p0 * r02 + p1 * r12 + p2 * r22) * s2, (q0 * r02 + q1 * r12 + q2 * r22) * s2

        # d_covariance = -conic d_conic conic, with half the off-diagonal gradient on each side.
        ca, cb, cc = _row3(lanes, columns, _CONIC, i)
        ga, gb, gc = _row3(lanes, columns, _D_CONIC, i)
        gb = 0.5 * gb
        h00, h01 = ca * ga + cb * gb, ca * gb + cb * gc
        h10, h11 = cb * ga + cc * gb, cb * gb + cc * gc
        xx, xy = -2 * (h00 * ca + h01 * cb), -2 * (h00 * cb + h01 * cc)
        yy = -2 * (h10 * cb + h11 * cc)
        d_u0, d_v0 = xx * u0 + xy * v0, xy * u0 + yy * v0
        d_u1, d_v1 = xx * u1 + xy * v1, xy * u1 + yy * v1
        d_u2, d_v2 = xx * u2 + xy * v2, xy * u2 + yy * v2

        # U = P R diag(s) with P = J W = [p; q]: first the scales, then P and R.
        d_s0 = d_u0 * (p0 * r00 + p1 * r10 + p2 * r20) + d_v0 * (q0 * r00 + q1 * r10 + q2 * r20)
        d_s1 = d_u1 * (p0 * r01 + p1 * r11 + p2 * r21) + d_v1 * (q0 * r01 + q1 * r11 + q2 * r21)
        d_s2 = d_u2 * (p0 * r02 + p1 * r12 + p2 * r22) + d_v2 * (q0 * r02 + q1 * r12 + q2 * r22)
        d_u0, d_u1, d_u2 = d_u0 * s0, d_u1 * s1, d_u2 * s2
        d_v0, d_v1, d_v2 = d_v0 * s0, d_v1 * s1, d_v2 * s2
        d_p0, d_q0 = d_u0 * r00 + d_u1 * r01 + d_u2 * r02, d_v0 * r00 + d_v1 * r01 + d_v2 * r02
        d_p1, d_q1 = d_u0 * r10 + d_u1 * r11 + d_u2 * r12, d_v0 * r10 + d_v1 * r11 + d_v2 * r12
        d_p2, d_q2 = d_u0 * r20 + d_u1 * r21 + d_u2 * r22, d_v0 * r20 + d_v1 * r21 + d_v2 * r22
        e00, e01, e02 = p0 * d_u0 + q0 * d_v0, p0 * d_u1 + q0 * d_v1, p0 * d_u2 + q0 * d_v2
        e10, e11, e12 = p1 * d_u0 + q1 * d_v0, p1 * d_u1 + q1 * d_v1, p1 * d_u2 + q1 * d_v2
        e20, e21, e22 = p2 * d_u0 + q2 * d_v0, p2 * d_u1 + q2 * d_v1, p2 * d_u2 + q2 * d_v2

        # The perspective and its derivative J.
        d_j0 = d_p0 * w[0] + d_p1 * w[1] + d_p2 * w[2]
        d_j2 = d_p0 * w[6] + d_p1 * w[7] + d_p2 * w[8]
        d_k1 = d_q0 * w[3] + d_q1 * w[4] + d_q2 * w[5]
        d_k2 = d_q0 * w[6] + d_q1 * w[7] + d_q2 * w[8]
        g_x = simd.load(lanes, columns, _D_MEAN2D * CHUNK + i)
        g_y = simd.load(lanes, columns, (_D_MEAN2D + 1) * CHUNK + i)
        d_x = j0 * g_x - simd.select(free_x, j0 * inverse_z * d_j2, 0)
        d_y = k1 * g_y - simd.select(free_y, k1 * inverse_z * d_k2, 0)
        twice_x = simd.select(free_x, 2 * j2 * d_j2, j2 * d_j2)
        twice_y = simd.select(free_y, 2 * k2 * d_k2, k2 * d_k2)
        d_z = j0 * (x_over_z * g_x) + k1 * (y_over_z * g_y)
        d_z = simd.load(lanes, columns, _D_DEPTH * CHUNK + i) - d_z
        d_z -= inverse_z * (j0 * d_j0 + k1 * d_k1 + twice_x + twice_y)

        # The quaternion, normalised: the component along it does nothing.
        g_a = 2 * (b * (e21 - e12) + c * (e02 - e20) + d * (e10 - e01))
        g_b = 2 * (c * (e01 + e10) + d * (e02 + e20) + a * (e21 - e12) - 2 * b * (e11 + e22))
        g_c = 2 * (b * (e01 + e10) + d * (e12 + e21) + a * (e02 - e20) - 2 * c * (e00 + e22))
        g_d = 2 * (b * (e02 + e20) + c * (e12 + e21) + a * (e10 - e01) - 2 * d * (e00 + e11))
        along = g_a * a + g_b * b + g_c * c + g_d * d

        visible = simd.load(lanes, columns, _VISIBLE * CHUNK + i) > 0
        _store3(
            out, 0, i,
            simd.select(visible, w[0] * d_x + w[3] * d_y + w[6] * d_z, 0),
            simd.select(visible, w[1] * d_x + w[4] * d_y + w[7] * d_z, 0),
            simd.select(visible, w[2] * d_x + w[5] * d_y + w[8] * d_z, 0),
        )  # fmt: skip
        simd.store(out, 3 * CHUNK + i, simd.select(visible, (g_a - along * a) * n, 0))
        _store3(
            out, 4, i,
            simd.select(visible, (g_b - along * b) * n, 0),
            simd.select(visible, (g_c - along * c) * n, 0),
            simd.select(visible, (g_d - along * d) * n, 0),
        )  # fmt: skip
        _store3(
            out, 7, i,
            simd.select(visible, d_s0, 0),
            simd.select(visible, d_s1, 0),
            simd.select(visible, d_s2, 0),
        )  # fmt: skip
        if not by_camera:
            continue
        # Entries of the rotation through the centre (d_x m^T) and through P = J W.
        c0, c1, c2 = d_x * mx + j0 * d_p0, d_x * my + j0 * d_p1, d_x * mz + j0 * d_p2
        c3, c4, c5 = d_y * mx + k1 * d_q0, d_y * my + k1 * d_q1, d_y * mz + k1 * d_q2
        c6 = d_z * mx + j2 * d_p0 + k2 * d_q0
        c7 = d_z * my + j2 * d_p1 + k2 * d_q1
        c8 = d_z * mz + j2 * d_p2 + k2 * d_q2
        _store3(camera_out, 0, i, c0, c1, c2)
        _store3(camera_out, 3, i, c3, c4, c5)
        _store3(camera_out, 6, i, c6, c7, c8)
        _store3(camera_out, 9, i, d_x, d_y, d_z)
        # At its limit, j2 = (c_x + constant) / z no longer depends on the focal length.
        slope_x = simd.select(free_x, x_clamped * d_j2, 0)
        slope_y = simd.select(free_y, y_clamped * d_k2, 0)
        shift_x = simd.select(free_x, 0, inverse_z * d_j2)
        shift_y = simd.select(free_y, 0, inverse_z * d_k2)
        simd.store(camera_out, FX * CHUNK + i, x_over_z * g_x + inverse_z * (d_j0 - slope_x))
        simd.store(camera_out, FY * CHUNK + i, y_over_z * g_y + inverse_z * (d_k1 - slope_y))
        simd.store(camera_out, CX * CHUNK + i, g_x + shift_x)
        simd.store(camera_out, CY * CHUNK + i, g_y + shift_y)


@kernel(parallel=True)
def project_gradients(
    lanes, means, quaternions, scales, camera, width, height, conics, boxes,
    d_means2d, d_conics, d_depths, d_means, d_quaternions, d_scales, by_camera, d_camera,
):  # fmt: skip
    """Gradients of the inputs of ``project``, ADDED to what the outputs hold.

    Args:
        lanes, means, quaternions, scales, camera, width, height: as given to ``project``.
        conics, boxes: as ``project`` left them.
        d_means2d: ``[N, 2]``. d_conics: ``[N, 3]`` by the three numbers (A, B, C).
        d_depths: ``[N, 1]``.
        d_means: output ``[N, 3]``. d_quaternions: output ``[N, 4]``. d_scales: output ``[N, 3]``.
        by_camera: whether d_camera is wanted.
        d_camera: output ``[chunks, 16]``, one row for each CHUNK Gaussians, so that their sum does
            not depend on the number of threads.
    """
    n = len(means)
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        first = chunk * CHUNK
        count = min(CHUNK, n - first)
        columns = np.zeros((_IN_ROWS, CHUNK), means.dtype)
        out = np.empty((_OUT_ROWS, CHUNK), means.dtype)
        camera_out = np.empty((16, CHUNK), means.dtype)
        _to_columns(means, first, count, columns, _MEAN)
        _to_columns(quaternions, first, count, columns, _QUATERNION)
        _to_columns(scales, first, count, columns, _SCALES)
        _to_columns(conics, first, count, columns, _CONIC)
        _to_columns(d_means2d, first, count, columns, _D_MEAN2D)
        _to_columns(d_conics, first, count, columns, _D_CONIC)
        _to_columns(d_depths, first, count, columns, _D_DEPTH)
        for i in range(count):
            columns[_VISIBLE, i] = 1 if boxes[first + i, 0] <= boxes[first + i, 1] else 0
        limits = _limits(camera, width, height)
        _unproject_chunk(lanes, columns, count, camera, limits, out, by_camera, camera_out)
        for i in range(count):
            g = first + i
            for j in range(3):
                d_means[g, j] += out[j, i]
                d_scales[g, j] += out[7 + j, i]
            for j in range(4):
                d_quaternions[g, j] += out[3 + j, i]
        if by_camera:
            for j in range(16):
                for i in range(count):
                    if columns[_VISIBLE, i] > 0:
                        d_camera[chunk, j] += camera_out[j, i]
