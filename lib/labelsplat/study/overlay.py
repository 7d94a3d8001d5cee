"""What raters see of a label map: colours on a transparent ground, and files that tell nothing.

A file's name, its length or a note in it must not say which method painted it. Names are drawn
(:mod:`labelsplat.study.prepare`); here pictures are written without metadata and, since a ragged
label map compresses worse than a smooth one, filled up to one length.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

from labelsplat.labels import CELEBAMASK, IGNORE, Vocabulary, foreground
from labelsplat.study.package import Package

TITLES = {
    "skin": "skin", "l_brow": "left brow", "r_brow": "right brow", "l_eye": "left eye",
    "r_eye": "right eye", "eye_g": "glasses", "l_ear": "left ear", "r_ear": "right ear",
    "ear_r": "earring", "nose": "nose", "mouth": "inside of the mouth", "u_lip": "upper lip",
    "l_lip": "lower lip", "neck": "neck", "neck_l": "necklace", "cloth": "clothes",
    "hair": "hair", "hat": "hat",
}  # fmt: skip
"""Classes in words that raters know; left and right are the shown person's own."""

COLOURS = {
    "skin": (255, 209, 102), "l_brow": (165, 55, 0), "r_brow": (255, 120, 0),
    "l_eye": (40, 90, 255), "r_eye": (0, 190, 255), "eye_g": (30, 30, 150),
    "l_ear": (235, 60, 160), "r_ear": (125, 40, 205), "ear_r": (255, 255, 255),
    "nose": (0, 200, 195), "mouth": (115, 0, 0), "u_lip": (230, 30, 60),
    "l_lip": (255, 130, 150), "neck": (190, 150, 255), "neck_l": (240, 250, 170),
    "cloth": (70, 130, 190), "hair": (0, 140, 85), "hat": (150, 150, 20),
}  # fmt: skip
"""What raters see. A palette of natural colours would hide on a face just what they are to judge:
whether skin, neck and hair are where they should be."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILLER = b"paDd"
"""Name of the chunk that fills a file up: by its letters one that every reader may skip (PNG
specification, "Chunk naming conventions": ancillary, private, safe to copy)."""
_END = 12
"""Bytes of the last chunk."""

ROOM = 12
"""Bytes that an empty chunk takes."""


def label_picture(labels: np.ndarray, vocabulary: Vocabulary = CELEBAMASK) -> np.ndarray:
    """A label map in colours, ``[H, W]`` uint8 -> ``[H, W, 4]`` uint8 RGBA.

    Background and pixels without a label are wholly transparent, all others wholly opaque: how much
    of the photo shines through is up to whoever shows it.
    """
    shown = foreground(labels)
    out = np.zeros((*labels.shape, 4), np.uint8)
    out[shown, :3] = _table(vocabulary)[labels[shown]]
    out[shown, 3] = 255
    return out


def _table(vocabulary: Vocabulary) -> np.ndarray:
    """``[256, 3]`` uint8: raters' colour of each index; classes of other names keep their own."""
    table = vocabulary.colours.copy()
    for index, name in enumerate(vocabulary.classes):
        table[index] = COLOURS.get(name, table[index])
    return table


def legend(
    maps: Iterable[np.ndarray], vocabulary: Vocabulary = CELEBAMASK
) -> list[tuple[str, str]]:
    """(class in words, "#rrggbb") of the classes that some map shows, in the vocabulary's order."""
    present: set[int] = set()
    for labels in maps:
        present.update(map(int, np.unique(labels)))
    table = _table(vocabulary)
    return [
        (TITLES.get(name, name), "#{:02x}{:02x}{:02x}".format(*table[index]))
        for index, name in enumerate(vocabulary.classes)
        if index in present and index not in (0, IGNORE)
    ]


def absurd_map(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A label map that cannot be right: upside down, and every class another one.

    Args:
        labels: ``[H, W]`` uint8 of ANOTHER photo.
        rng: draws which class becomes which.

    Returns:
        ``[H, W]`` uint8; background stays background, so that it is still the map of a head.
    """
    present = [int(c) for c in np.unique(labels) if c not in (0, IGNORE)]
    order = rng.permutation(present)
    # One after the other around a circle: no class stays what it is.
    table = np.arange(256, dtype=np.uint8)
    table[order] = np.roll(order, 1)
    return table[labels[::-1]]


def png_bytes(pixels: np.ndarray) -> bytes:
    """A picture (``[H, W, 3]`` or ``[H, W, 4]`` uint8) as PNG, without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def filled_up(png: bytes, length: int, rng: np.random.Generator) -> bytes:
    """A PNG of exactly ``length`` bytes that shows the same picture.

    Args:
        png: the file.
        length: at least :data:`ROOM` more than it has.
        rng: draws what it is filled with, so that two files of one picture differ.

    Raises:
        ValueError: no PNG, or too long already.
    """
    missing = length - len(png) - ROOM
    if missing < 0 or not png.startswith(_SIGNATURE):
        raise ValueError(f"a PNG of {len(png)} bytes cannot be filled up to {length}")
    content = _FILLER + rng.bytes(missing)
    chunk = struct.pack(">I", missing) + content + struct.pack(">I", zlib.crc32(content))
    return png[:-_END] + chunk + png[-_END:]


def screen_pictures(package: Package, item: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """What raters see of an item: its photo ``[H, W, 3]``, its label maps ``[H, W, 4]``, uint8."""
    shown = package.items[item]
    pictures = []
    for name in (shown.photo, *shown.masks):
        with Image.open(package.root / name) as image:
            pictures.append(np.asarray(image))
    return pictures[0], pictures[1:]
