"""Label maps carried from one vocabulary to another, by class name."""

import itertools

import numpy as np
import pytest

from labelsplat.labels import (
    CELEBAMASK,
    CELEBAMASK_OFFICIAL,
    CELEBAMASK_SEGFACE,
    HELEN,
    IBUG,
    IBUGMASK,
    IGNORE,
    LAPA,
    VOCABULARIES,
    Conversion,
    confusion,
    scores,
)

ORDERS = (CELEBAMASK, CELEBAMASK_OFFICIAL, CELEBAMASK_SEGFACE)


def maps(vocabulary, shape=(3, 9, 11), seed=0):
    out = np.random.default_rng(seed).integers(0, len(vocabulary), shape).astype(np.uint8)
    out[0, 0] = IGNORE
    return out


def names(labels, vocabulary):
    return np.array([*vocabulary.classes, *[""] * (256 - len(vocabulary))])[labels]


@pytest.mark.parametrize(("source", "target"), [*itertools.permutations(ORDERS, 2)])
def test_the_three_orders_keep_every_name_and_come_back(source, target):
    there, back = Conversion(source, target), Conversion(target, source)
    labels = maps(source)
    carried = there.labels(labels)
    assert (names(carried, target) == names(labels, source)).all()
    assert (carried != labels).any()
    np.testing.assert_array_equal(back.labels(carried), labels)
    assert there.is_reordering
    assert not there.merged and not there.dropped and not there.absent
    soft = np.random.default_rng(1).dirichlet(np.ones(19), (4, 5)).astype(np.float32)
    np.testing.assert_allclose(there.soft(soft)[..., there.indices], soft, rtol=1e-6)


def test_what_lapa_does_not_tell_apart():
    found = Conversion(CELEBAMASK, LAPA)
    assert found.merged["skin"] == ("skin", "l_ear", "r_ear", "ear_r")
    assert set(found.merged) == {"skin", "background"}
    assert set(found.merged["background"]) == {"background", "neck", "neck_l", "cloth", "hat"}
    assert found.dropped == ("eye_g",)
    assert not found.absent
    told = found.report()
    assert "l_ear" in told and "without a label: eye_g" in told and "celebamask-19" in told


def test_ears_are_what_each_set_s_authors_say():
    ear = np.array([CELEBAMASK.index("l_ear")], np.uint8)
    carried = {v: Conversion(CELEBAMASK, v).labels(ear)[0] for v in (LAPA, HELEN, IBUGMASK, IBUG)}
    assert carried[LAPA] == LAPA.index("skin")
    assert carried[HELEN] == HELEN.index("background")
    assert carried[IBUGMASK] == IGNORE
    assert carried[IBUG] == IBUG.index("l_ear") == 11


def test_finer_classes_stay_empty_and_are_named():
    found = Conversion(LAPA, CELEBAMASK)
    assert set(found.absent) == {
        "eye_g", "l_ear", "r_ear", "ear_r", "neck", "neck_l", "cloth", "hat",
    }  # fmt: skip
    labels = maps(LAPA)
    carried = found.labels(labels)
    assert (names(carried, CELEBAMASK) == names(labels, LAPA)).all()
    assert "never given: " in found.report()


@pytest.mark.parametrize("target", [LAPA, HELEN, IBUGMASK, IBUG])
def test_soft_maps_sum_what_is_merged_and_share_out_what_is_dropped(target):
    found = Conversion(CELEBAMASK, target)
    soft = np.random.default_rng(2).dirichlet(np.full(19, 0.3), (6, 7)).astype(np.float32)
    carried = found.soft(soft)
    assert carried.shape == (6, 7, len(target)) and carried.dtype == np.float32
    np.testing.assert_allclose(carried.sum(-1), 1, atol=1e-5)
    lost = sum(soft[..., CELEBAMASK.index(name)] for name in found.dropped)
    for i, name in enumerate(target.classes):
        parts = found.merged.get(name, (name,))
        total = sum(soft[..., CELEBAMASK.index(part)] for part in parts)
        np.testing.assert_allclose(carried[..., i], total / (1 - lost), rtol=1e-4, atol=1e-6)


def test_one_hot_soft_maps_and_label_maps_agree():
    found = Conversion(CELEBAMASK, IBUGMASK)
    labels = np.arange(19, dtype=np.uint8)
    soft = found.soft(np.eye(19, dtype=np.float32))
    hard = found.labels(labels)
    known = hard != IGNORE
    np.testing.assert_array_equal(soft[known].argmax(-1), hard[known])
    np.testing.assert_allclose(soft[~known], 1 / 11)


def test_confusions_are_carried_like_label_maps():
    found = Conversion(CELEBAMASK, IBUGMASK)
    truth, prediction = maps(CELEBAMASK, seed=3), maps(CELEBAMASK, seed=4)
    carried = found.confusion(confusion(prediction, truth, 19))
    np.testing.assert_array_equal(
        carried, confusion(found.labels(prediction), found.labels(truth), 11)
    )


def test_scores_say_their_vocabulary_and_what_is_merged():
    found = Conversion(CELEBAMASK, LAPA)
    matrix = confusion(maps(CELEBAMASK, seed=3), maps(CELEBAMASK, seed=4), 19)
    own, coarse = scores(matrix, CELEBAMASK), scores(matrix, CELEBAMASK, found)
    assert own.vocabulary == "celebamask-19" and own.merged == {}
    assert coarse.vocabulary == "lapa-11" and coarse.merged == found.merged
    assert coarse.iou_per_class.keys() == set(LAPA.classes)
    by_hand = scores(found.confusion(matrix), LAPA)
    assert coarse.miou == by_hand.miou and coarse.f1 == by_hand.f1


@pytest.mark.parametrize("vocabulary", [*VOCABULARIES.values()], ids=lambda v: v.name)
def test_carrying_and_mirroring_can_be_exchanged(vocabulary):
    found = Conversion(CELEBAMASK, vocabulary)
    labels = np.arange(19, dtype=np.uint8)
    mirrored = found.labels(CELEBAMASK.flip[labels].astype(np.uint8))
    carried = found.labels(labels)
    known = carried != IGNORE
    np.testing.assert_array_equal(mirrored[known], vocabulary.flip[carried[known]])
    np.testing.assert_array_equal(mirrored != IGNORE, known)


def test_bad_input_is_an_error():
    found = Conversion(LAPA, CELEBAMASK)
    with pytest.raises(ValueError, match="label 11"):
        found.labels(np.array([0, 11], np.uint8))
    with pytest.raises(ValueError, match="11 of 'lapa-11'"):
        found.soft(np.ones((2, 19), np.float32))
