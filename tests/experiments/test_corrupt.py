"""Corrupted labels: as many as asked for, the same each time, nothing else touched."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.experiments import (
    FLIPS,
    KINDS,
    corrupt,
    growth,
    labelled_views,
    off_front,
)
from labelsplat.labels import CELEBAMASK, IGNORE

ANGLES = np.array([[0, 0], [30, 0], [45, 0], [60, 0], [90, 0], [-90, 0], [105, 10]], float)
SIZE = 64


def head(shift: int = 0) -> np.ndarray:
    """A drawn profile: hair round a face with its parts, an ear, a neck, a collar."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    x -= shift
    out = np.zeros((SIZE, SIZE), np.uint8)

    def ellipse(name, cx, cy, rx, ry):
        out[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1] = CELEBAMASK.index(name)

    ellipse("cloth", 32, 66, 26, 12)
    ellipse("neck", 32, 52, 7, 10)
    ellipse("hair", 32, 26, 19, 22)
    ellipse("skin", 36, 30, 15, 19)
    ellipse("l_ear", 20, 32, 3, 5)
    ellipse("l_brow", 42, 22, 4, 1.5)
    ellipse("l_eye", 42, 27, 3, 2)
    ellipse("nose", 48, 32, 3, 5)
    ellipse("u_lip", 44, 40, 4, 1.5)
    ellipse("l_lip", 44, 43, 4, 1.5)
    return out


TRUE = np.stack([head()] * len(ANGLES))
SOLID = TRUE[0] != 0


def share(labels: np.ndarray, true: np.ndarray = TRUE) -> np.ndarray:
    """Wrong part of each view's foreground."""
    solid = true != 0
    return ((labels != true) & solid).sum((1, 2)) / solid.sum((1, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_same_arguments_same_labels(kind: str):
    before = TRUE.copy()
    a, b = (corrupt(kind, TRUE, ANGLES, 0.3, 7) for _ in range(2))
    assert np.array_equal(a, b) and np.array_equal(TRUE, before)
    assert not np.array_equal(a, corrupt(kind, TRUE, ANGLES, 0.3, 8))


@pytest.mark.parametrize("kind", KINDS)
def test_rate_zero_and_views_without_labels_stay(kind: str):
    assert np.array_equal(corrupt(kind, TRUE, ANGLES, 0.0, 0), TRUE)
    gaps = TRUE.copy()
    gaps[:, 20:30] = IGNORE
    out = corrupt(kind, gaps, ANGLES, 0.4, 0)
    assert ((out == IGNORE) == (gaps == IGNORE)).all() and (out != gaps).any()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_pixels_share(rate: float):
    out = corrupt("pixels", TRUE, ANGLES, rate, 0)
    wrong = (out != TRUE).reshape(len(TRUE), -1).mean(1)
    assert wrong == pytest.approx(rate, abs=1 / SIZE**2)  # of all pixels, exactly
    assert share(out) == pytest.approx(rate, abs=0.04)
    assert set(np.unique(out)) == set(np.unique(TRUE))


def test_wrong_pixels_take_every_other_class_alike():
    out = corrupt("pixels", TRUE, ANGLES, 1.0, 0)
    assert (out != TRUE).all()
    skin = CELEBAMASK.index("skin")
    counts = np.bincount(out[skin == TRUE], minlength=19)[np.unique(TRUE)]
    others = counts[counts > 0]
    assert len(others) == len(counts) - 1
    assert others.std() < 0.15 * others.mean()


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 1.0])
def test_patches_share_of_the_foreground(rate: float):
    out = corrupt("patches", TRUE, ANGLES, rate, 0)
    assert share(out) == pytest.approx(rate, abs=1 / SOLID.sum())
    # Patches, not pixels: a wrong pixel's right neighbour is mostly wrong as well.
    wrong = out != TRUE
    assert wrong[:, :, 1:][wrong[:, :, :-1]].mean() > (0.7 if rate < 1 else 0.9)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_flips_hit_a_share_of_the_views_and_whole_regions(rate: float):
    true = np.concatenate([TRUE, TRUE])
    out = corrupt("flips", true, np.concatenate([ANGLES, ANGLES]), rate, 3)
    hit = [v for v in range(len(true)) if (out[v] != true[v]).any()]
    assert len(hit) == round(rate * len(true))
    for v in hit:
        moved = out[v] != true[v]
        (old,), (new,) = np.unique(true[v][moved]), np.unique(out[v][moved])
        assert FLIPS[CELEBAMASK.classes[old]] == CELEBAMASK.classes[new]
        assert moved.sum() == (true[v] == old).sum() >= 0.01 * SOLID.sum()


def test_flips_know_their_classes():
    assert FLIPS.keys() | set(FLIPS.values()) <= set(CELEBAMASK.classes)
    assert all(a != b for a, b in FLIPS.items())


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 1.0])
def test_systematic_share_follows_rate_and_angle(rate: float):
    found = share(corrupt("systematic", TRUE, ANGLES, rate, 0))
    expected = rate * growth(off_front(ANGLES))
    assert found == pytest.approx(expected, abs=1 / SOLID.sum())
    assert found[0] == 0 and (np.diff(found[:5]) > 0).all()
    assert found[4] == pytest.approx(rate, abs=1 / SOLID.sum())


def test_systematic_errors_are_the_same_in_similar_views():
    """Of two neighbouring views the farther one makes the other's errors, and a few more."""
    angles = np.array([[70, 0], [74, 0], [-70, 5]], float)
    near, far, other = corrupt("systematic", TRUE[:3], angles, 0.4, 1)
    wrong = near != TRUE[0]
    assert wrong.sum() > 50 and np.array_equal(near[wrong], far[wrong])
    assert (far != TRUE[0]).sum() > wrong.sum()
    assert (other == near).mean() > 0.98


def test_systematic_errors_follow_the_head_not_the_picture():
    angles = np.array([[80, 0], [80, 0]], float)
    true = np.stack([head(), head(shift=3)])
    a, b = corrupt("systematic", true, angles, 0.3, 0)
    inner = slice(6, -6)
    assert np.array_equal(a[:, inner], np.roll(b, -3, 1)[:, inner])


def test_systematic_errors_are_a_parsers():
    """Parts shrink into the skin, ear and neck are lost, hair eats the face; seldom the reverse."""
    out = corrupt("systematic", TRUE, ANGLES, 0.3, 0)[4]
    true = TRUE[4]
    name = CELEBAMASK.index
    for part in ("l_brow", "l_eye", "u_lip", "l_lip"):
        gone = (true == name(part)) & (out != true)
        assert gone.any() and set(out[gone]) <= {name("skin"), 0}
    for part in ("l_ear", "neck"):
        lost = (true == name(part)) & (out != true)
        assert lost.mean() > 0 and set(out[lost]) <= {name("skin"), name("hair"), 0}
    eaten = (true == name("skin")) & (out == name("hair"))
    assert eaten.sum() > 10
    assert (out[~SOLID] == 0).all()


def test_random_errors_differ_between_equal_views_systematic_ones_do_not():
    angles = np.array([[90, 0], [90, 0]], float)
    for kind in KINDS:
        a, b = corrupt(kind, TRUE[:2], angles, 0.5, 2)
        assert np.array_equal(a, b) == (kind == "systematic")


def test_wrong_kind_and_rate_are_named():
    with pytest.raises(ParameterError, match=r"pixel.*pixels"):
        corrupt("pixel", TRUE, ANGLES, 0.1, 0)
    with pytest.raises(ParameterError, match=r"1\.5"):
        corrupt("pixels", TRUE, ANGLES, 1.5, 0)


def test_labelled_views_are_spread_and_nested():
    angles = np.array([[-80, 0], [-40, 0], [3, 0], [35, 0], [85, 0], [0, 50]], float)
    assert np.flatnonzero(labelled_views(angles, 1)).tolist() == [2]
    assert np.flatnonzero(labelled_views(angles, 3)).tolist() == [0, 2, 4]
    for count in range(1, 6):
        few, more = labelled_views(angles, count), labelled_views(angles, count + 1)
        assert few.sum() == count and (few <= more).all()
    for count in (0, 7):
        with pytest.raises(ParameterError, match="of 6"):
            labelled_views(angles, count)


def test_angle_from_the_front():
    found = off_front(np.array([[0, 0], [90, 0], [0, -30], [-60, 60], [180, 0]], float))
    assert found == pytest.approx([0, 90, 30, np.degrees(np.arccos(0.25)), 180])
    assert growth(found[:2]).tolist() == [0, 1] and growth(np.array(120)) == 1
