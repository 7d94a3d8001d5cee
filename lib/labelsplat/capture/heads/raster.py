"""Numba kernels that turn triangles into samples: z-buffers, label votes, depth.

A render has ``supersample x supersample`` samples a pixel, in one z-buffer of that many times the
size. All kernels run on one thread and in fixed order: equal input, equal bytes.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from labelsplat.capture.heads.parts import FROM_TEXTURE

NEAR = 0.05
"""Metres in front of the camera below which triangles are dropped."""

FAR = np.float32(1e9)
"""Depth of an empty sample."""

_FLAT, _TINY = 1e-9, 1e-30  # slopes of weights that count as none; what keeps 1 / 0 away

_CLASSES = 32  # room for the votes of a pixel; more than any vocabulary here has


@nb.njit(cache=True, nogil=True)
def project(vertices, rotation, translation, intrinsics, scale):
    """World points ``[N, 3]`` to ``[N, 3]`` float32: x, y in samples, depth in metres."""
    out = np.empty((len(vertices), 3), np.float32)
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        cx = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z + translation[0]
        cy = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z + translation[1]
        cz = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z + translation[2]
        inverse = 1 / max(cz, 1e-6)
        u = (intrinsics[0, 0] * cx + intrinsics[0, 1] * cy) * inverse + intrinsics[0, 2]
        v = intrinsics[1, 1] * cy * inverse + intrinsics[1, 2]
        out[i, 0], out[i, 1], out[i, 2] = u * scale, v * scale, cz
    return out


@nb.njit(cache=True, nogil=True, inline="always")
def _narrow(low, high, offset, slope, minus_inverse):
    """The part of ``low .. high`` where ``offset + slope x`` is not negative."""
    if slope > _FLAT:
        return max(low, offset * minus_inverse), high
    if slope < -_FLAT:
        return low, min(high, offset * minus_inverse)
    return low, high


@nb.njit(cache=True, nogil=True)
def rasterise(points, triangles, first, last, depth, triangle_of, weights):
    """Draw triangles ``first .. last - 1`` into a z-buffer.

    Args:
        points: ``[N, 3]`` from :func:`project`.
        triangles: ``[T, 3]``.
        first, last: range of triangles to draw.
        depth: ``[H, W]`` float32, updated.
        triangle_of: ``[H, W]`` int32 index of the nearest triangle, updated.
        weights: ``[H, W, 2]`` float32 perspective-correct weights of its first two corners.
    """
    height, width = depth.shape
    for t in range(first, last):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = points[i, 0], points[i, 1], points[i, 2]
        x1, y1, z1 = points[j, 0], points[j, 1], points[j, 2]
        x2, y2, z2 = points[k, 0], points[k, 1], points[k, 2]
        if min(z0, z1, z2) <= NEAR:
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if left > right or top > bottom:
            continue
        area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if area == 0:
            continue
        inverse = 1.0 / area
        ax, ay = (y1 - y2) * inverse, (x2 - x1) * inverse
        bx, by = (y2 - y0) * inverse, (x0 - x2) * inverse
        cx = -ax - bx
        to_a, to_b, to_c = -1 / (ax + _TINY), -1 / (bx + _TINY), -1 / (cx + _TINY)
        for row in range(top, bottom + 1):
            a0 = ay * (row + 0.5 - y2) - ax * x2
            b0 = by * (row + 0.5 - y2) - bx * x2
            # Hairs are thin, their boxes are not: only the columns between the edges are tried.
            # (One column more on either side: the weights below decide, this only saves time.)
            low, high = _narrow(left - 0.5, right + 1.5, a0, ax, to_a)
            low, high = _narrow(low, high, b0, bx, to_b)
            low, high = _narrow(low, high, 1 - a0 - b0, cx, to_c)
            if low > high + 1e-6:
                continue
            first_column, last_column = max(left, int(low - 0.5)), min(right, int(high + 0.5))
            for column in range(first_column, last_column + 1):
                a = a0 + ax * (column + 0.5)
                b = b0 + bx * (column + 0.5)
                c = 1 - a - b
                if a >= 0 and b >= 0 and c >= 0:
                    z = 1 / (a / z0 + b / z1 + c / z2)
                    if z < depth[row, column]:
                        depth[row, column] = z
                        triangle_of[row, column] = t
                        weights[row, column, 0] = a * z / z0
                        weights[row, column, 1] = b * z / z1


@nb.njit(cache=True, nogil=True)
def rasterise_depth(points, triangles, depth):
    """Draw triangles of an orthographic view into a square z-buffer (a shadow map)."""
    size = len(depth)
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = points[i, 0], points[i, 1]
        x1, y1 = points[j, 0], points[j, 1]
        x2, y2 = points[k, 0], points[k, 1]
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(size - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(size - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if left > right or top > bottom:
            continue
        area = (y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2)
        if area == 0:
            continue
        inverse = 1.0 / area
        ax, ay = (y1 - y2) * inverse, (x2 - x1) * inverse
        bx, by = (y2 - y0) * inverse, (x0 - x2) * inverse
        for row in range(top, bottom + 1):
            a0 = ay * (row + 0.5 - y2) - ax * x2
            b0 = by * (row + 0.5 - y2) - bx * x2
            for column in range(left, right + 1):
                a = a0 + ax * (column + 0.5)
                b = b0 + bx * (column + 0.5)
                c = 1 - a - b
                if a >= 0 and b >= 0 and c >= 0:
                    z = a * points[i, 2] + b * points[j, 2] + c * points[k, 2]
                    if z < depth[row, column]:
                        depth[row, column] = z


@nb.njit(cache=True, nogil=True)
def label_samples(triangle_of, weights, triangles, part_of, part_label, uv, texture):
    """Class of every sample, ``[H, W]`` uint8; 0 (background) where there is no triangle."""
    height, width = triangle_of.shape
    rows, columns = texture.shape
    out = np.zeros((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            t = triangle_of[y, x]
            if t < 0:
                continue
            label = part_label[part_of[t]]
            if label == FROM_TEXTURE:
                a, b = weights[y, x, 0], weights[y, x, 1]
                c = 1 - a - b
                i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                u = a * uv[i, 0] + b * uv[j, 0] + c * uv[k, 0]
                v = a * uv[i, 1] + b * uv[j, 1] + c * uv[k, 1]
                row = min(rows - 1, max(0, int((1 - v) * rows)))
                label = texture[row, min(columns - 1, max(0, int(u * columns)))]
            out[y, x] = label
    return out


@nb.njit(cache=True, nogil=True)
def vote(samples, supersample):
    """Most frequent class of each pixel's samples (the lowest of equals), and the coverage.

    Returns:
        Labels ``[h, w]`` uint8, and the share of samples that are not background as uint8, 0..255.
    """
    height, width = samples.shape[0] // supersample, samples.shape[1] // supersample
    labels = np.zeros((height, width), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    votes = np.zeros(_CLASSES, np.int32)
    full = supersample * supersample
    for y in range(height):
        for x in range(width):
            votes[:] = 0
            for j in range(supersample):
                for i in range(supersample):
                    votes[samples[y * supersample + j, x * supersample + i]] += 1
            best = 0
            for k in range(1, _CLASSES):
                if votes[k] > votes[best]:
                    best = k
            labels[y, x] = best
            alpha[y, x] = (255 * (full - votes[0]) + full // 2) // full
    return labels, alpha


@nb.njit(cache=True, nogil=True)
def centre_depth(points, triangles, triangle_of, supersample):
    """Depth ``[h, w]`` float32 in metres at the pixels' centres, 0 for the background.

    With an even supersample no sample lies on the centre: the plane of the triangle of the sample
    right below it is read there, within the triangle's own range of depths.
    """
    height, width = triangle_of.shape[0] // supersample, triangle_of.shape[1] // supersample
    out = np.zeros((height, width), np.float32)
    middle = supersample // 2
    for y in range(height):
        for x in range(width):
            t = triangle_of[y * supersample + middle, x * supersample + middle]
            if t < 0:
                continue
            i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            x0, y0, z0 = points[i, 0], points[i, 1], points[i, 2]
            x1, y1, z1 = points[j, 0], points[j, 1], points[j, 2]
            x2, y2, z2 = points[k, 0], points[k, 1], points[k, 2]
            inverse = 1.0 / ((y1 - y2) * (x0 - x2) + (x2 - x1) * (y0 - y2))
            px, py = (x + 0.5) * supersample, (y + 0.5) * supersample
            a = ((y1 - y2) * (px - x2) + (x2 - x1) * (py - y2)) * inverse
            b = ((y2 - y0) * (px - x2) + (x0 - x2) * (py - y2)) * inverse
            near, far = min(z0, z1, z2), max(z0, z1, z2)
            disparity = a / z0 + b / z1 + (1 - a - b) / z2
            out[y, x] = min(far, max(near, 1 / disparity)) if disparity > 0 else far
    return out
