"""Large arrays that are used again instead of being asked of the system anew.

Fresh memory costs more than it seems: the system hands it out page by page, at the first touch of
each, and for a picture of many channels that takes as long as to draw it. Buffers come back here
when the last array or tensor that stands on one is gone, and are handed out again as they are.

Not for several Python threads at once, like the engine that draws into them; the kernels' own
threads only fill what they are given.
"""

from __future__ import annotations

import numpy as np

SMALLEST = 1 << 16
"""Bytes; what is smaller, the allocator itself keeps."""

KEPT = 1 << 28
"""Bytes that are kept at most; beyond, what has lain unused for longest is let go."""

_free: list[np.ndarray] = []  # the longest unused first; some dozens, so a search costs nothing


class _Buffer:
    """Owns memory while arrays stand on it: numpy keeps whatever offers the memory alive."""

    def __init__(self, memory: np.ndarray):
        self._memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self):
        _free.append(self._memory)
        while sum(memory.nbytes for memory in _free) > KEPT:
            del _free[0]


def empty(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of any content, as ``numpy.empty``."""
    kind = np.dtype(kind)
    count = int(np.prod(shape, dtype=np.int64))
    size = count * kind.itemsize
    if size < SMALLEST:
        return np.empty(shape, kind)
    room = 1 << (size - 1).bit_length()  # so that sizes that vary a little find their like
    found = next((i for i in reversed(range(len(_free))) if _free[i].nbytes == room), None)
    memory = np.empty(room, np.uint8) if found is None else _free.pop(found)
    return np.asarray(_Buffer(memory))[:size].view(kind).reshape(shape)


def zeros(shape: int | tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """An array of zeros, as ``numpy.zeros``."""
    out = empty(shape, kind)
    out.fill(0)
    return out
