"""The vocabulary: names, sides, colours."""

import numpy as np
import pytest

from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary

# Written down by hand: the left and right class that a mirror exchanges.
PAIRS = [("l_brow", "r_brow"), ("l_eye", "r_eye"), ("l_ear", "r_ear")]


def test_celebamask_has_background_and_eighteen_names():
    assert len(CELEBAMASK) == len(set(CELEBAMASK.classes)) == len(CELEBAMASK.palette) == 19
    assert CELEBAMASK.classes[0] == "background"
    assert VOCABULARIES["celebamask-19"] is CELEBAMASK


def test_flip_swaps_left_and_right_and_nothing_else():
    partner = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
    for i, name in enumerate(CELEBAMASK.classes):
        assert CELEBAMASK.classes[CELEBAMASK.flip[i]] == partner.get(name, name)


def test_flip_is_its_own_inverse():
    assert (CELEBAMASK.flip[CELEBAMASK.flip] == np.arange(19)).all()


@pytest.mark.parametrize("name", ["l_lip", "u_lip", "neck_l", "ear_r", "eye_g"])
def test_names_that_only_look_like_sides_stay(name):
    """l_lip is the lower lip, neck_l a necklace, ear_r an earring."""
    assert CELEBAMASK.flip[CELEBAMASK.index(name)] == CELEBAMASK.index(name)


def test_a_side_without_a_twin_stays():
    lonely = Vocabulary("x", ("background", "l_arm"), ((0, 0, 0), (1, 1, 1)))
    assert lonely.flip.tolist() == [0, 1]


def test_scored_are_fifteen_with_background():
    left_out = {"eye_g", "ear_r", "neck_l", "hat"}
    scored = {CELEBAMASK.classes[i] for i in CELEBAMASK.scored}
    assert scored == set(CELEBAMASK.classes) - left_out
    assert len(CELEBAMASK.scored) == 15 and CELEBAMASK.scored[0] == 0


def test_colours_are_distinct_and_white_without_a_class():
    assert len({tuple(c) for c in CELEBAMASK.palette}) == 19
    assert CELEBAMASK.colours.shape == (256, 3) and CELEBAMASK.colours.dtype == np.uint8
    assert (CELEBAMASK.colours[19:] == 255).all()
    assert tuple(CELEBAMASK.colours[10]) == CELEBAMASK.palette[10]


def test_unknown_name_is_an_error():
    with pytest.raises(ValueError):
        CELEBAMASK.index("beard")
