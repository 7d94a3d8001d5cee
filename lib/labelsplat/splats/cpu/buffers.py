"""Large arrays that are used again instead of being asked of the system anew.

Fresh memory costs more than it seems: the system hands it out page by page, at the first touch of
each, and for a picture of many channels that takes as long as to draw it. Buffers come back here
when the last array or tensor that stands on one is gone, and are handed out again as they are.

Not for several Python threads at once, like the engine that draws into them; the kernels' own
threads only fill what they are given.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np

SMALLEST = 1 << 16
"""Bytes; what is smaller, the allocator itself keeps."""

KEPT = 1 << 28
"""Bytes that are kept at most; beyond, those of the size that was asked for longest ago go."""

_free: OrderedDict[int, list[np.ndarray]] = OrderedDict()  # by size; the last asked for is last
_kept = 0


class _Buffer:
    """Owns memory while arrays stand on it: numpy keeps whatever offers the memory alive."""

    def __init__(self, memory: np.ndarray):
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        global _kept
        size = len(self._memory)
        _free.setdefault(size, []).append(self._memory)
        _kept += size
        while _kept > KEPT:
            longest, buffers = next(iter(_free.items()))
            buffers.pop()
            _kept -= longest
            if not buffers:
                del _free[longest]


def empty(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of any content, as ``numpy.empty``."""
    global _kept
    kind = np.dtype(kind)
    size = kind.itemsize * (math.prod(shape) if isinstance(shape, tuple) else shape)
    if size < SMALLEST:
        return np.empty(shape, kind)
    room = 1 << (size - 1).bit_length()  # so that sizes that vary a little find their like
    found = _free.get(room)
    if found:
        memory = found.pop()
        _kept -= room
        _free.move_to_end(room)
    else:
        memory = np.empty(room, np.uint8)
    return np.asarray(_Buffer(memory))[:size].view(kind).reshape(shape)


def zeros(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of zeros, as ``numpy.zeros``."""
    out = empty(shape, kind)
    out.fill(0)
    return out
