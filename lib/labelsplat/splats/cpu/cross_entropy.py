"""Softmax and cross-entropy against soft targets with their gradient, in one pass over the pixels.

One vector holds the same class of several pixels; for that, a few pixels at a time are turned
about in a buffer that stays in the fastest memory.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from labelsplat.splats.cpu import simd
from labelsplat.splats.cpu._jit import kernel

_LOG2_E = 1 / math.log(2)

_LOWEST = 80.0
"""In powers of two: classes less likely than the likeliest by more count as 2^-80."""


@kernel
def _exponentials(lanes, buffer, classes, maxima, sums):
    """Logits ``buffer [classes, lanes]`` to ``exp(logit - maximum)``, with maxima and sums."""
    w = simd.width(lanes)
    top = simd.load(lanes, buffer, 0)
    for k in range(1, classes):
        top = simd.maximum(top, simd.load(lanes, buffer, k * w))
    total = simd.full(lanes, buffer, 0)
    for k in range(classes):
        below = _LOG2_E * (top - simd.load(lanes, buffer, k * w))
        value = simd.exp2_negative(simd.minimum(below, _LOWEST))
        simd.store(buffer, k * w, value)
        total += value
    simd.store(maxima, 0, top)
    simd.store(sums, 0, total)


@kernel(parallel=True)
def cross_entropy(lanes, logits, targets, weights, scale, sums, gradient):
    """Weighted cross-entropy of every row of pixels, and its gradient by the logits.

    Args:
        lanes: vector width.
        logits, targets: ``[H, W, K]``; targets need not sum to 1.
        weights: ``[H, W]``.
        scale: factor on the gradient.
        sums: output ``[H]``: each row's sum of weight times cross-entropy.
        gradient: output ``[H, W, K]``.
    """
    height, width, classes = logits.shape
    w = simd.width(lanes)
    for y in prange(height):
        buffer = np.zeros((classes, w), logits.dtype)
        maxima, totals = np.empty(w, logits.dtype), np.empty(w, logits.dtype)
        found = 0.0
        for first in range(0, width, w):
            count = min(w, width - first)
            for lane in range(count):
                for k in range(classes):
                    buffer[k, lane] = logits[y, first + lane, k]
            _exponentials(lanes, buffer, classes, maxima, totals)
            for lane in range(count):
                x = first + lane
                weight = weights[y, x]
                normaliser = maxima[lane] + math.log(totals[lane])
                mass, loss = logits.dtype.type(0), logits.dtype.type(0)
                for k in range(classes):
                    mass += targets[y, x, k]
                    loss += targets[y, x, k] * (normaliser - logits[y, x, k])
                found += weight * loss
                factor = scale * weight * mass / totals[lane]
                for k in range(classes):
                    share = factor * buffer[k, lane]
                    gradient[y, x, k] = share - scale * weight * targets[y, x, k]
        sums[y] = found
