"""Vocabularies: named lists of classes with their colours and their left/right pairs.

CelebAMask-HQ's 18 part names circulate in three incompatible index orders, so a vocabulary is an
object with a name, and label maps are carried from one vocabulary to another by class NAME only.
``l_`` is the SUBJECT's left, which lies on the image's right when the head faces the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

IGNORE = 255
"""Index in label maps that says: no label here; neither trained on nor scored."""


@dataclass(frozen=True)
class Vocabulary:
    """A named, ordered list of classes.

    Attributes:
        name: identifies the vocabulary in files and reports.
        classes: class names in index order; the first is the background.
        palette: one (red, green, blue) a class, 0..255.
        unscored: classes left out of mean scores, because too few pixels show them.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    unscored: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Index of the class called ``name``; ValueError if there is none."""
        return self.classes.index(name)

    @cached_property
    def flip(self) -> np.ndarray:
        """``[classes]`` int64: the class that each class becomes in a mirrored image."""
        swap = {"l": "r", "r": "l"}
        out = []
        for name in self.classes:
            side, _, part = name.partition("_")
            twin = f"{swap[side]}_{part}" if side in swap else name
            # l_lip and u_lip are "lower" and "upper": no twin called r_lip, so they stay.
            out.append(self.index(twin) if twin in self.classes else self.index(name))
        return np.array(out)

    @cached_property
    def scored(self) -> np.ndarray:
        """Indices of the classes that enter mean scores, background included."""
        return np.array([i for i, name in enumerate(self.classes) if name not in self.unscored])

    @cached_property
    def colours(self) -> np.ndarray:
        """``[256, 3]`` uint8 lookup table; indices without a class are white."""
        table = np.full((256, 3), 255, np.uint8)
        table[: len(self)] = self.palette
        return table


CELEBAMASK = Vocabulary(
    name="celebamask-19",
    classes=(
        "background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear",
        "ear_r", "nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat",
    ),
    palette=(
        (0, 0, 0), (236, 188, 160), (150, 90, 30), (205, 140, 60), (40, 90, 255), (90, 190, 255),
        (255, 230, 40), (230, 60, 160), (150, 50, 210), (255, 220, 140), (60, 190, 100),
        (130, 0, 0), (255, 70, 70), (255, 140, 130), (205, 150, 100), (255, 235, 110),
        (75, 120, 155), (85, 55, 40), (20, 160, 160),
    ),
    unscored=("eye_g", "ear_r", "neck_l", "hat"),
)  # fmt: skip
"""Background and CelebAMask-HQ's 18 names, in the index order of the public BiSeNet release."""

VOCABULARIES = {v.name: v for v in (CELEBAMASK,)}
