"""Cluttered rooms: shelves, pictures, windows, plants, people out of focus behind the head.

A background is an environment map as in light.py, only finer: what a camera sees behind a head is
a few degrees of it.
"""

from __future__ import annotations

import colorsys

import numpy as np
from scipy import ndimage

from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads._random import stream

_ROWS = 384  # half a degree a cell
_SKINS = ((0.55, 0.33, 0.22), (0.36, 0.19, 0.11), (0.12, 0.06, 0.035), (0.62, 0.42, 0.32))


def _colour(rng: np.random.Generator) -> np.ndarray:
    hue, saturation, value = rng.random(), rng.uniform(0, 0.55), rng.uniform(0.05, 1.0)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value)) ** 2.2


def _box(room: np.ndarray, row: float, column: float, height: float, width: float, colour) -> None:
    """Fill a rectangle; columns wrap around."""
    top, bottom = int(max(0, row - height / 2)), int(min(len(room), row + height / 2))
    columns = np.arange(int(column - width / 2), int(column + width / 2) + 1) % room.shape[1]
    room[top:bottom, columns] = colour


def _shelf(room: np.ndarray, rng: np.random.Generator, column: float) -> None:
    """Boards with rows of books."""
    width, board = rng.uniform(50, 130), rng.uniform(12, 22)
    wood = np.array((0.20, 0.11, 0.05)) * rng.uniform(0.4, 1.8)
    for row in np.arange(rng.uniform(90, 130), 290, board):
        _box(room, row, column, board, width, 0.25 * wood)
        at = -width / 2
        while at < width / 2 - 3:
            thick = rng.uniform(1.5, 5)
            tall = board * rng.uniform(0.55, 0.9)
            if rng.random() < 0.85:
                place = row + (board - tall) / 2
                _box(room, place, column + at + thick / 2, tall, thick - 0.6, _colour(rng))
            at += thick
        _box(room, row + board / 2, column, 2.5, width, wood)


def _frame(room: np.ndarray, rng: np.random.Generator, column: float) -> None:
    """A picture, or a bright window."""
    row, height, width = rng.uniform(130, 230), rng.uniform(20, 70), rng.uniform(20, 70)
    _box(room, row, column, height, width, _colour(rng))
    bright = rng.random() < 0.35
    inner = rng.uniform(1.5, 4.0) * np.ones(3) if bright else _colour(rng)
    _box(room, row, column, 0.86 * height, 0.86 * width, inner)
    for _ in range(int(rng.integers(0, 6))):
        y, x = rng.uniform(-0.3, 0.3, 2) * (height, width)
        size = rng.uniform(0.1, 0.5, 2) * (height, width)
        _box(room, row + y, column + x, *(0.6 * size), inner if bright else _colour(rng))


def _person(room: np.ndarray, rng: np.random.Generator, column: float) -> None:
    """Someone else: skin, hair and clothes that are not the subject's."""
    rows, columns = room.shape[:2]
    row, size = rng.uniform(160, 215), rng.uniform(10, 24)
    y = np.arange(rows)[:, None] - row
    x = (np.arange(columns)[None] - column + columns / 2) % columns - columns / 2
    skin, hair = np.array(_SKINS[rng.integers(4)]), _colour(rng) * 0.4
    body = (np.abs(x) < 1.7 * size) & (y > 1.2 * size + 0.25 * np.abs(x))
    room[body] = _colour(rng)
    room[(np.abs(x) < 0.45 * size) & (y > 0) & (y < 1.6 * size)] = 0.8 * skin
    room[(x / 0.82) ** 2 + (y + 0.28 * size) ** 2 < (1.08 * size) ** 2] = hair
    room[(x / 0.75) ** 2 + (y - 0.12 * size) ** 2 < size**2] = skin


def _plant(room: np.ndarray, rng: np.random.Generator, column: float) -> None:
    """A bunch of leaves."""
    green = np.array((0.05, 0.16, 0.03)) * rng.uniform(0.4, 2.2)
    row, spread = rng.uniform(150, 260), rng.uniform(10, 30)
    rows, columns = room.shape[:2]
    for _ in range(90):
        y, x = row + rng.normal(0, spread), column + rng.normal(0, spread)
        length, width = rng.uniform(3, 9), rng.uniform(1.0, 2.5)
        c, s = np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)
        near_y = np.arange(int(max(0, y - length)), int(min(rows, y + length)))
        near_x = np.arange(int(x - length), int(x + length))
        dy, dx = np.meshgrid(near_y - y, near_x - x, indexing="ij")
        leaf = ((c * dx + s * dy) / length) ** 2 + ((c * dy - s * dx) / width) ** 2 < 1
        at_y, at_x = np.meshgrid(near_y, near_x % columns, indexing="ij")
        room[at_y[leaf], at_x[leaf]] = green * rng.uniform(0.4, 2.0)


def cluttered_room(seed: int) -> np.ndarray:
    """``[rows, 2 rows, 3]`` float32 background of mean 1, full of things."""
    rng = stream(seed, "clutter")
    theta = (np.arange(_ROWS) + 0.5) / _ROWS * np.pi
    phi = (np.arange(2 * _ROWS) + 0.5) / _ROWS * np.pi - np.pi
    t, p = np.meshgrid(theta, phi, indexing="ij")
    direction = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], -1)
    wall, floor = _colour(rng) * 0.6 + 0.15, _colour(rng) * 0.4 + 0.03
    room = np.where((t > rng.uniform(1.75, 2.1))[..., None], floor, wall)
    room = room * (1 + 0.15 * noise(direction, 3.0, seed, "plaster", 4)[..., None])
    makers = (_shelf, _frame, _person, _plant, _frame)
    for _ in range(int(rng.integers(16, 30))):
        makers[rng.integers(len(makers))](room, rng, rng.uniform(0, 2 * _ROWS))
    mode = ("nearest", "wrap", "nearest")
    sigma = float(np.exp(rng.uniform(np.log(1.2), np.log(4.5))))
    room = np.maximum(ndimage.gaussian_filter(room, (sigma, sigma, 0), mode=mode), 0.005)
    return (room / room.mean()).astype(np.float32)
