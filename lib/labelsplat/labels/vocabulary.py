"""Vocabularies: named lists of classes with their colours and their left/right pairs.

CelebAMask-HQ's 18 part names circulate in three incompatible index orders, so a vocabulary is an
object with a name, and label maps are carried from one vocabulary to another by class NAME only
(:mod:`labelsplat.labels.convert`). All vocabularies therefore call a part what CelebAMask-HQ calls
it; other spellings are given where a vocabulary is defined.

``l_`` is the SUBJECT's left, which lies on the image's right when the head faces the camera. The
published lists say "left" without saying whose, and people read them both ways: look at a mask
before you trust the sides of a set or of a parser, and exchange them where they are the image's
(``sides: image`` in a parser's description).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
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
        holds: (class of other vocabularies, class here) for parts that this vocabulary does not
            tell apart: where its label maps show the first, they say the second.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    unscored: tuple[str, ...] = ()
    holds: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Index of the class called ``name``; ValueError if there is none."""
        return self.classes.index(name)

    @cached_property
    def flip(self) -> np.ndarray:
        """``[classes]`` int64: the class that each class becomes in a mirrored image."""
        out = np.arange(len(self))
        for left, right in self.pairs:
            out[[self.index(left), self.index(right)]] = self.index(right), self.index(left)
        return out

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(left, right) classes that a mirror exchanges."""
        lefts = [name for name in self.classes if name.startswith("l_")]
        # l_lip and u_lip are "lower" and "upper": no twin called r_lip, so they are no pair.
        both = [(name, f"r_{name.removeprefix('l_')}") for name in lefts]
        return tuple(pair for pair in both if pair[1] in self.classes)

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
"""Background and CelebAMask-HQ's 18 names, in the index order of the public BiSeNet release
(zllrunning/face-parsing.PyTorch): the project's own vocabulary."""


def known_parts(
    name: str, classes: str | Sequence[str], holds: Mapping[str, str] | None = None
) -> Vocabulary:
    """A vocabulary whose parts are among :data:`CELEBAMASK`'s, in its colours.

    Args:
        name: of the vocabulary.
        classes: names in index order, a sequence or one string with spaces between.
        holds: see :class:`Vocabulary`.

    Raises:
        ValueError: an unknown or repeated name, or a first class other than the background.
    """
    words = tuple(classes.split() if isinstance(classes, str) else classes)
    for word in words:
        if word not in CELEBAMASK.classes:
            near = difflib.get_close_matches(str(word), CELEBAMASK.classes, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {CELEBAMASK.classes}"
            raise ValueError(f"no class is called {word!r}, {hint}")
    if not words or words[0] != "background" or len(set(words)) < len(words):
        raise ValueError(f"classes {words} must be different ones, the background first")
    colours = dict(zip(CELEBAMASK.classes, CELEBAMASK.palette, strict=True))
    return Vocabulary(
        name,
        words,
        tuple(colours[word] for word in words),
        CELEBAMASK.unscored if len(words) == len(CELEBAMASK) else (),
        tuple((holds or {}).items()),
    )


CELEBAMASK_OFFICIAL = known_parts(
    "celebamask-official-19",
    "background skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat "
    "ear_r neck_l neck cloth",
)
"""The same names in the order of CelebAMask-HQ's own tools, 2 = nose (``label_list`` in
switchablenorms/CelebAMask-HQ, face_parsing/Data_preprocessing/g_mask.py)."""

CELEBAMASK_SEGFACE = known_parts(
    "celebamask-segface-19",
    "background neck skin cloth l_ear r_ear l_brow r_brow l_eye r_eye nose mouth l_lip u_lip hair "
    "eye_g hat ear_r neck_l",
)
"""The same names in the order of FaRL and SegFace, 1 = neck (suffixes of the mask files in
FacePerceiver/FaRL, farl/datasets/celebamask_hq.py; SegFace took them over). FaRL's own names for
indices 4 to 9 call CelebAMask-HQ's ``l_`` the right side."""

# Glasses are left out on purpose: none of these says what a pixel of glasses is called.
_ELSEWHERE = {"neck": "background", "neck_l": "background", "cloth": "background"}
_ELSEWHERE |= {"hat": "background"}

LAPA = known_parts(
    "lapa-11",
    "background skin l_brow r_brow l_eye r_eye nose u_lip mouth l_lip hair",
    {"l_ear": "skin", "r_ear": "skin", "ear_r": "skin", **_ELSEWHERE},
)
"""LaPa's eleven classes (JDAI-CV/lapa-dataset): hair, skin, left_eyebrow, right_eyebrow, left_eye,
right_eye, nose, upper_lip, inner_mouth, lower_lip, and background = 0. Its skin holds the ears
(``face_lr_rr`` in FacePerceiver/FaRL, farl/datasets/lapa.py)."""

HELEN = known_parts(
    "helen-11",
    "background skin l_brow r_brow l_eye r_eye nose u_lip mouth l_lip hair",
    {"l_ear": "background", "r_ear": "background", "ear_r": "background", **_ELSEWHERE},
)
"""The eleven labels of Smith et al., "Exemplar-Based Face Parsing" (CVPR 2013), on Helen's photos.
Their README: "01: face skin (excluding ears and neck)", so both are background."""

IBUGMASK = known_parts(
    "ibugmask-11",
    "background skin l_brow r_brow l_eye r_eye nose u_lip mouth l_lip hair",
    _ELSEWHERE,
)
"""iBugMask's eleven classes (hhj1897/face_parsing, README: "Label map for 11 classes"). Its skin is
"face and scalp"; what its maps call an ear is not said, so ears stay without a label there."""

IBUG = known_parts(
    "ibug-14",
    "background skin l_brow r_brow l_eye r_eye nose u_lip mouth l_lip hair l_ear r_ear eye_g",
    _ELSEWHERE,
)
"""Fourteen classes, iBugMask's and ears and glasses, of the parsers that iBUG published
(hhj1897/face_parsing, README: "Label map for 14 classes")."""

VOCABULARIES = {
    v.name: v
    for v in (CELEBAMASK, CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE, LAPA, HELEN, IBUGMASK, IBUG)
}
"""Every vocabulary by its name."""
