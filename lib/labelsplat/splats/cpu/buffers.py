"""Large arrays that are used again instead of being asked of the system anew.

Fresh memory costs more than it seems: the system hands it out page by page, at the first touch of
each, and for a picture of many channels that takes as long as to draw it. Buffers come back here
when the last array or tensor that stands on one is gone, and are handed out again as they are.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

SMALLEST = 1 << 16
"""Bytes; what is smaller, the allocator itself keeps."""

KEPT = 1 << 28
"""Bytes that are kept at most; what comes back beyond is let go."""

_free: dict[int, list[np.ndarray]] = defaultdict(list)
_kept = 0


class _Buffer:
    """Owns memory while arrays stand on it: numpy keeps whatever offers the memory alive."""

    def __init__(self, memory: np.ndarray):
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        global _kept
        size = self._memory.nbytes
        if _kept + size <= KEPT:
            _kept += size
            _free[size].append(self._memory)


def empty(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of any content, as ``numpy.empty``."""
    global _kept
    kind = np.dtype(kind)
    count = int(np.prod(shape, dtype=np.int64))
    size = count * kind.itemsize
    if size < SMALLEST:
        return np.empty(shape, kind)
    room = 1 << (size - 1).bit_length()  # so that sizes that vary a little find their like
    found = _free[room]
    if found:
        memory = found.pop()
        _kept -= room
    else:
        memory = np.empty(room, np.uint8)
    return np.asarray(_Buffer(memory))[:size].view(kind).reshape(shape)


def zeros(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of zeros, as ``numpy.zeros``."""
    out = empty(shape, kind)
    out.fill(0)
    return out
