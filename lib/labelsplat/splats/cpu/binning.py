"""Sorting the visible Gaussians by depth and listing those that reach each tile.

One sort a view; tiles are then filled in depth order, so no tile needs a sort of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from labelsplat.splats.cpu._jit import kernel
from labelsplat.splats.cpu.projection import TILE

_DIGIT = 11  # bits that one pass of the radix sort looks at


class TileLists(NamedTuple):
    """Which Gaussians to draw in which tile, front to back.

    An *entry* is one Gaussian in one tile.

    Attributes:
        starts: ``[tiles + 1]`` int32, the entries of tile t are ``starts[t] : starts[t + 1]``;
            tiles run row by row.
        items: ``[entries]`` int32, the Gaussian of each entry.
        order: ``[drawn]`` int32, the Gaussians with at least one entry, front to back.
        gather_starts: ``[drawn + 1]`` int32 into ``gather``, for the Gaussians of ``order``.
        gather: ``[entries]`` int32, the entries of each Gaussian of ``order``, one after another.
        turns: ``[tiles]`` int32, the order in which to work on the tiles. Each thread gets one
            stretch of it; the stretches hold about the same number of entries.
    """

    starts: np.ndarray
    items: np.ndarray
    order: np.ndarray
    gather_starts: np.ndarray
    gather: np.ndarray
    turns: np.ndarray


@kernel
def _drawn(boxes):
    """Indices of the Gaussians with at least one tile."""
    drawn = np.empty(len(boxes), np.int32)
    n = 0
    for g in range(len(boxes)):
        drawn[n] = g
        n += boxes[g, 0] <= boxes[g, 1]
    return drawn[:n]


@kernel
def _sort_by_key(items, keys):
    """``items`` in ascending order of the unsigned ``keys[item]``; equal keys keep their order."""
    n, bits = len(items), 8 * keys.itemsize
    mask = (1 << _DIGIT) - 1
    sorted_keys, other_keys = keys[items], np.empty(n, keys.dtype)
    other = np.empty_like(items)
    starts = np.empty(1 << _DIGIT, np.int32)
    for shift in range(0, bits, _DIGIT):
        starts[:] = 0
        for i in range(n):
            starts[np.int64(sorted_keys[i] >> np.uint64(shift)) & mask] += 1
        if n > 0 and starts[np.int64(sorted_keys[0] >> np.uint64(shift)) & mask] == n:
            continue  # all keys agree in this digit
        total = 0
        for digit in range(len(starts)):
            count = starts[digit]
            starts[digit] = total
            total += count
        for i in range(n):
            digit = np.int64(sorted_keys[i] >> np.uint64(shift)) & mask
            place = starts[digit]
            starts[digit] = place + 1
            other[place], other_keys[place] = items[i], sorted_keys[i]
        items, other = other, items
        sorted_keys, other_keys = other_keys, sorted_keys
    return items


@kernel
def _fill(order, boxes, columns, rows):
    """The lists of ``TileLists`` by a counting sort."""
    tiles = columns * rows
    starts = np.zeros(tiles + 1, np.int32)
    gather_starts = np.empty(len(order) + 1, np.int32)
    total = 0
    for k in range(len(order)):
        left, right, top, bottom = boxes[order[k]]
        gather_starts[k] = total
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                starts[row * columns + column + 1] += 1
        total += (bottom + 1 - top) * (right + 1 - left)
    gather_starts[len(order)] = total
    for tile in range(tiles):
        starts[tile + 1] += starts[tile]
    place = starts[:-1].copy()
    items, gather = np.empty(total, np.int32), np.empty(total, np.int32)
    n = 0
    for k in range(len(order)):
        g = order[k]
        left, right, top, bottom = boxes[g]
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                tile = row * columns + column
                entry = place[tile]
                place[tile] = entry + 1
                items[entry], gather[n] = g, entry
                n += 1
    return starts, items, gather_starts, gather


def tile_lists(depths: np.ndarray, boxes: np.ndarray, width: int, height: int) -> TileLists:
    """Sort and bin the Gaussians of one view.

    Args:
        depths: ``[N, 1]`` along the optical axis; equal depths keep the Gaussians' order.
        boxes: ``[N, 4]`` int32 as ``projection.project`` makes them.
        width, height: of the image in pixels.
    """
    # The bits of positive floats, read as integers, are in the order of the floats.
    keys = depths.reshape(-1).view(np.uint32 if depths.itemsize == 4 else np.uint64)
    order = _sort_by_key(_drawn(boxes), keys)
    starts, items, gather_starts, gather = _fill(
        order, boxes, (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    )
    return TileLists(starts, items, order, gather_starts, gather, _turns(starts))


def _turns(starts: np.ndarray) -> np.ndarray:
    """The tiles from the fullest to the emptiest, dealt to the threads like cards."""
    fullest_first = np.argsort(starts[:-1] - starts[1:], kind="stable").astype(np.int32)
    threads = numba.get_num_threads()
    return np.concatenate([fullest_first[t::threads] for t in range(threads)])
