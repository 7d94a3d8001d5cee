"""Sums of views by stratum and identity."""

import numpy as np
import pytest

from labelsplat.evaluate import compare_views, join
from labelsplat.labels import (
    CELEBAMASK,
    IGNORE,
    LAPA,
    STRATA,
    Conversion,
    confusion,
    in_stratum,
)

ANGLES = np.array([(0.0, 0.0), (45, 0), (80, 0), (0, 40), (150, 0)])


def views(subject, seed, angles=ANGLES):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 19, (2, len(ANGLES), 6, 6)).astype(np.uint8)
    names = [str(i) for i in range(len(ANGLES))]
    return compare_views(subject, names, angles, *maps), maps


def test_strata_sum_the_views_in_them():
    found, (labels, truth) = views("301/1_neutral", 0)
    for stratum in STRATA:
        inside = [in_stratum(stratum, *pose) for pose in ANGLES]
        np.testing.assert_array_equal(found.inside(stratum), inside)
        expected = confusion(labels[inside], truth[inside], 19)
        np.testing.assert_array_equal(found.total(stratum), expected)


def test_expressions_of_one_person_are_one_identity():
    parts = [views(s, i)[0] for i, s in enumerate(("7/1_neutral", "8/1_neutral", "7/2_smile"))]
    found = join(parts)
    assert found.identities == ("7", "8")
    by_identity = found.by_identity("all")
    np.testing.assert_array_equal(by_identity[0], parts[0].total("all") + parts[2].total("all"))
    np.testing.assert_array_equal(by_identity[1], parts[1].total("all"))
    np.testing.assert_array_equal(by_identity.sum(0), found.total("all"))


def test_an_identity_without_a_view_in_the_stratum_has_zeros():
    front = views("9/1_neutral", 1, np.zeros((5, 2)))[0]
    found = join([views("8/1_neutral", 0)[0], front])
    assert found.by_identity("yaw60")[1].sum() == 0


def test_without_a_head_frame_views_belong_to_all_alone():
    found = views("scan", 0, None)[0]
    for stratum in STRATA:
        assert found.inside(stratum).all() == (stratum == "all")
        assert found.inside(stratum).any() == (stratum == "all")


def test_bad_input_is_an_error():
    with pytest.raises(ValueError, match="stratum"):
        views("7/1_neutral", 0)[0].inside("sideways")
    with pytest.raises(ValueError, match="2 names"):
        compare_views("7", ["a", "b"], None, np.zeros((3, 2, 2)), np.zeros((3, 2, 2)))
    with pytest.raises(ValueError):
        join([])


def test_counts_in_a_coarser_vocabulary_are_those_of_carried_maps():
    rng = np.random.default_rng(4)
    labels, truth = rng.integers(0, 19, (2, 3, 8, 8)).astype(np.uint8)
    coarse = Conversion(CELEBAMASK, LAPA)
    fine = compare_views("1", ("a", "b", "c"), None, labels, truth)
    carried = [coarse.labels(m) for m in (labels, truth)]
    known = (carried[0] != IGNORE) & (carried[1] != IGNORE)
    for i, matrix in enumerate(fine.carried(LAPA).matrices):
        pair = [m[i][known[i]][None] for m in carried]
        np.testing.assert_array_equal(matrix, confusion(*pair, len(LAPA)))
    assert fine.carried(CELEBAMASK) is fine
