"""The vocabularies: names, order, sides, colours."""

import numpy as np
import pytest

from labelsplat.labels import (
    CELEBAMASK,
    CELEBAMASK_OFFICIAL,
    CELEBAMASK_SEGFACE,
    HELEN,
    IBUG,
    IBUGMASK,
    LAPA,
    VOCABULARIES,
    Vocabulary,
    known_parts,
)

# Written down by hand: the left and right class that a mirror exchanges.
PAIRS = [("l_brow", "r_brow"), ("l_eye", "r_eye"), ("l_ear", "r_ear")]

ELEVEN = {
    1: "skin", 2: "l_brow", 3: "r_brow", 4: "l_eye", 5: "r_eye", 6: "nose", 7: "u_lip",
    8: "mouth", 9: "l_lip", 10: "hair",
}  # fmt: skip

# Index orders as they are published, one source each (see the vocabularies' docstrings).
ORDERS = {
    "celebamask-19": {
        1: "skin", 2: "l_brow", 3: "r_brow", 4: "l_eye", 5: "r_eye", 6: "eye_g", 7: "l_ear",
        8: "r_ear", 9: "ear_r", 10: "nose", 11: "mouth", 12: "u_lip", 13: "l_lip", 14: "neck",
        15: "neck_l", 16: "cloth", 17: "hair", 18: "hat",
    },
    "celebamask-official-19": {
        1: "skin", 2: "nose", 3: "eye_g", 4: "l_eye", 5: "r_eye", 6: "l_brow", 7: "r_brow",
        8: "l_ear", 9: "r_ear", 10: "mouth", 11: "u_lip", 12: "l_lip", 13: "hair", 14: "hat",
        15: "ear_r", 16: "neck_l", 17: "neck", 18: "cloth",
    },
    "celebamask-segface-19": {
        1: "neck", 2: "skin", 3: "cloth", 4: "l_ear", 5: "r_ear", 6: "l_brow", 7: "r_brow",
        8: "l_eye", 9: "r_eye", 10: "nose", 11: "mouth", 12: "l_lip", 13: "u_lip", 14: "hair",
        15: "eye_g", 16: "hat", 17: "ear_r", 18: "neck_l",
    },
    "lapa-11": ELEVEN,
    "helen-11": ELEVEN,
    "ibugmask-11": ELEVEN,
    "ibug-14": {**ELEVEN, 11: "l_ear", 12: "r_ear", 13: "eye_g"},
}  # fmt: skip
EVERY = pytest.mark.parametrize("vocabulary", [*VOCABULARIES.values()], ids=lambda v: v.name)


@EVERY
def test_index_order(vocabulary):
    assert dict(enumerate(vocabulary.classes)) == {0: "background", **ORDERS[vocabulary.name]}


def test_every_vocabulary_is_listed_under_its_name():
    known = {CELEBAMASK, CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE, LAPA, HELEN, IBUGMASK, IBUG}
    assert set(VOCABULARIES.values()) == known and len(VOCABULARIES) == len(known) == len(ORDERS)
    assert all(name == vocabulary.name for name, vocabulary in VOCABULARIES.items())
    assert VOCABULARIES["celebamask-19"] is CELEBAMASK


@EVERY
def test_names_and_colours_are_distinct(vocabulary):
    count = len(vocabulary)
    assert len(set(vocabulary.classes)) == len(vocabulary.palette) == count
    assert len({tuple(c) for c in vocabulary.palette}) == count
    assert vocabulary.colours.shape == (256, 3) and vocabulary.colours.dtype == np.uint8
    assert (vocabulary.colours[count:] == 255).all()


@EVERY
def test_a_part_has_one_colour_in_all_vocabularies(vocabulary):
    for name, colour in zip(vocabulary.classes, vocabulary.palette, strict=True):
        assert colour == CELEBAMASK.palette[CELEBAMASK.index(name)]


@EVERY
def test_flip_swaps_left_and_right_and_nothing_else(vocabulary):
    partner = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
    for i, name in enumerate(vocabulary.classes):
        assert vocabulary.classes[vocabulary.flip[i]] == partner.get(name, name)
    assert (vocabulary.flip[vocabulary.flip] == np.arange(len(vocabulary))).all()
    assert set(vocabulary.pairs) == {pair for pair in PAIRS if pair[0] in vocabulary.classes}


@EVERY
def test_parts_that_are_held_are_parts_elsewhere_of_a_class_here(vocabulary):
    for part, whole in vocabulary.holds:
        assert part in CELEBAMASK.classes and part not in vocabulary.classes
        assert whole in vocabulary.classes


@pytest.mark.parametrize("name", ["l_lip", "u_lip", "neck_l", "ear_r", "eye_g"])
def test_names_that_only_look_like_sides_stay(name):
    """l_lip is the lower lip, neck_l a necklace, ear_r an earring."""
    assert CELEBAMASK.flip[CELEBAMASK.index(name)] == CELEBAMASK.index(name)


def test_a_side_without_a_twin_stays():
    lonely = Vocabulary("x", ("background", "l_arm"), ((0, 0, 0), (1, 1, 1)))
    assert lonely.flip.tolist() == [0, 1]


def test_scored_are_fifteen_with_background():
    left_out = {"eye_g", "ear_r", "neck_l", "hat"}
    for vocabulary in (CELEBAMASK, CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE):
        scored = {vocabulary.classes[i] for i in vocabulary.scored}
        assert scored == set(CELEBAMASK.classes) - left_out
        assert len(vocabulary.scored) == 15 and vocabulary.scored[0] == 0
    assert len(LAPA.scored) == 11


def test_unknown_name_is_an_error():
    with pytest.raises(ValueError):
        CELEBAMASK.index("beard")


def test_vocabularies_of_known_parts():
    mine = known_parts("mine", ["background", "hair", "l_eye", "r_eye"])
    assert mine.classes[1] == "hair" and mine.flip.tolist() == [0, 1, 3, 2]
    for wrong, told in (
        ("background nostril", "nostril"),
        ("background noze", "did you mean 'nose'"),
        ("hair background", "background first"),
        ("background hair hair", "different"),
        ([], "background first"),
    ):
        with pytest.raises(ValueError, match=told):
            known_parts("wrong", wrong)
