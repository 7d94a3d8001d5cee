"""Nuisances: what is worn has its own class, what covers is background, photographs are spoilt."""

from dataclasses import replace

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import head_angles
from labelsplat.capture.heads import (
    NUISANCE_LEVELS,
    RIGS,
    Nuisances,
    bake,
    build_head,
    describe,
    population,
    render_view,
    rig,
    sample_identity,
    sample_lens,
    sample_photo,
    spoil,
)
from labelsplat.capture.heads.headwear import above_rim, press_hair
from labelsplat.capture.heads.light import sample_environment
from labelsplat.labels import CELEBAMASK

from .conftest import camera, plain_identity

INDEX = CELEBAMASK.index
WORN = ("eye_g", "hat", "ear_r", "neck_l")


def count(view, name):
    return int((view.labels == INDEX(name)).sum())


def wearing(**worn):
    """The front view of one head that wears the given things, and from its side."""
    person = plain_identity(3, "short")
    clothes = replace(person.clothes, neckline="wide")
    nuisances = Nuisances("hard", NUISANCE_LEVELS["hard"], **worn)
    scene = bake(build_head(replace(person, nuisances=nuisances, clothes=clothes)), 3)
    return render_view(scene, camera(0, 0)), render_view(scene, camera(75, 0))


@pytest.fixture(scope="module")
def bare():
    return wearing()


@pytest.fixture(scope="module")
def dressed_up():
    return wearing(glasses="sun", hat="beanie", earrings="drop", necklace="pearls")


@pytest.fixture(scope="module")
def masked():
    return wearing(glasses="clear", hat="cap", cover="mask")


def test_plain_wears_nothing_and_hard_changes_nothing_else():
    for seed in range(30):
        plain, hard = sample_identity(seed), sample_identity(seed, "hard")
        assert plain.nuisances.words == "none"
        assert (hard.nuisances.level, hard.nuisances.version) == ("hard", NUISANCE_LEVELS["hard"])
        assert replace(hard, nuisances=plain.nuisances) == plain


def test_everything_is_worn_by_some():
    people = [sample_identity(seed, "hard") for seed in range(200)]
    worn = population(people)["worn"]
    for name in ("clear glasses", "sun glasses", "beanie", "cap", "mask", "hand", "scarf",
                 "stud earrings", "drop earrings", "hoop earrings", "chain", "pearls"):  # fmt: skip
        assert 3 <= worn[name] < 100, name
    assert describe(people[0])["nuisances"] == people[0].nuisances.words
    for person in people:  # a necklace under cloth could not be seen
        covered = person.clothes.neckline in ("turtle", "collar") or person.nuisances.scarf
        assert not (covered and person.nuisances.necklace != "none")


@pytest.mark.parametrize("call", [
    lambda: sample_identity(1, "hardest"), lambda: sample_photo(1, 0, "hardest"),
    lambda: sample_lens(1, 0, "hardest"),
])  # fmt: skip
def test_unknown_level(call):
    with pytest.raises(ParameterError, match=r"'hardest'.*plain, hard"):
        call()


def test_what_is_worn_has_its_own_class(bare, dressed_up):
    for name in WORN:
        assert count(bare[0], name) == count(bare[1], name) == 0
        assert count(dressed_up[0], name) >= 8, name
    front = dressed_up[0]
    rows = {n: np.nonzero(front.labels == INDEX(n))[0].mean() for n in (*WORN, "nose", "l_lip")}
    assert rows["hat"] < rows["eye_g"] < rows["nose"] < rows["l_lip"] < rows["neck_l"]
    assert rows["eye_g"] < rows["ear_r"] < rows["neck_l"]
    columns = np.nonzero(front.labels == INDEX("ear_r"))[1]
    assert columns.min() < 50 < 78 < columns.max()  # one on each side


def test_dark_lenses_hide_the_eyes_and_clear_ones_do_not(bare, dressed_up, masked):
    eyes = [count(v[0], "l_eye") + count(v[0], "r_eye") for v in (bare, dressed_up, masked)]
    assert eyes[1] == 0
    assert eyes[2] > 0.6 * eyes[0]
    assert 15 < count(masked[0], "eye_g") < count(dressed_up[0], "eye_g") / 2


def test_a_mask_is_background(bare, masked):
    view = masked[0]
    for name in ("mouth", "u_lip", "l_lip"):
        assert count(view, name) == 0
    assert count(view, "nose") < 0.7 * count(bare[0], "nose")
    lips = np.isin(bare[0].labels, (INDEX("u_lip"), INDEX("l_lip")))
    assert (view.labels[lips] == 0).all()
    assert not view.alpha[lips].any()
    assert not view.depth[lips].any()
    # ... which is seen all the same.
    assert np.abs(view.image.astype(int) - bare[0].image)[lips].mean() > 15


def test_a_hat_hides_hair_and_its_visor_shows_in_profile(bare, masked):
    assert count(masked[0], "hair") < 0.6 * count(bare[0], "hair")
    seen = np.nonzero(masked[1].labels == INDEX("hat"))[1]
    face = np.nonzero(masked[1].labels == INDEX("eye_g"))[1]
    assert seen.min() < face.min() - 5  # from the subject's left the face looks to the left


def test_a_hand_covers_and_a_scarf_is_cloth(bare):
    front, _ = wearing(cover="hand", scarf=True)
    assert count(front, "neck") < 0.7 * count(bare[0], "neck")
    assert count(front, "cloth") > count(bare[0], "cloth")
    covered = (front.labels == 0) & (bare[0].labels != 0)
    assert covered.sum() > 100
    # Elsewhere nothing changes, but for a few pixels at the rims, where other votes are left.
    changed = (front.labels != bare[0].labels) & (front.labels != 0)
    assert (~np.isin(front.labels[changed], (INDEX("cloth"), INDEX("neck")))).sum() < 12


def test_hair_under_a_hat_lies_flat():
    from labelsplat.capture.heads.hair import grow_hair
    from labelsplat.capture.heads.shape import build_shape
    from labelsplat.capture.heads.template import load_template

    person = plain_identity(11, "afro")
    person = replace(person, nuisances=Nuisances("hard", 1, hat="beanie"))
    template = load_template()
    shape = build_shape(template, person)
    before = grow_hair(template, shape, person)
    after = press_hair(before, template, shape, person)
    assert 50 < len(after) < len(before)
    crown = template.canonical[:, 1] > 8.2
    top = shape.vertices[crown, 1].max()
    assert before[..., 1].max() > top + 0.02
    assert after[..., 1].max() < top + 0.008
    assert (above_rim(template.canonical[crown], "beanie") > 0).all()


def test_photographs_are_reproducible_and_spoilt(bare):
    image = bare[0].image
    seen = []
    for shot in range(6):
        photo = sample_photo(5, shot, "hard")
        assert photo == sample_photo(5, shot, "hard")
        out = spoil(image, photo)
        np.testing.assert_array_equal(out, spoil(image, photo))
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        seen.append(np.abs(out.astype(int) - image).mean())
    assert min(seen) > 0.3
    assert max(seen) > 5
    assert sample_photo(5, 0, "plain") is None
    base = replace(sample_photo(5, 0, "hard"), exposure=0.0, balance=(1.0, 1.0), blur=0.0,
                   motion=0.0, quality=95)  # fmt: skip
    errors = [
        np.abs(spoil(image, replace(base, noise=n)).astype(int) - image).mean()
        for n in (200.0, 2000.0, 2e9)
    ]
    assert errors[0] > 2 * errors[1] > 2 * errors[2]
    assert errors[2] < 2
    assert spoil(image, replace(base, exposure=1.0)).mean() > spoil(image, base).mean() + 10


def test_only_colours_are_spoilt(scene, front):
    spoilt = render_view(scene, camera(0, 0), photo=sample_photo(1, 0, "hard"))
    for name in ("labels", "alpha", "depth"):
        np.testing.assert_array_equal(getattr(spoilt, name), getattr(front, name))
    assert (spoilt.image != front.image).any()


def test_lenses_frame_the_head_alike():
    assert sample_lens(3, 0, "plain") == (1.15, 16.5)
    lenses = np.array([sample_lens(3, shot, "hard") for shot in range(40)])
    assert lenses[:, 0].min() < 0.6
    assert lenses[:, 0].max() > 1.9
    framed = lenses[:, 0] * np.tan(np.radians(lenses[:, 1] / 2))
    assert 0.15 < framed.min() <= framed.max() < 0.21


def test_rooms_are_cluttered_at_hard_only():
    detail = {}
    for level in NUISANCE_LEVELS:
        rooms = [sample_environment(seed, level).background for seed in range(3)]
        for room in rooms:
            assert room.mean() == pytest.approx(1, abs=1e-3)
            assert room.min() > 0
        # Change between neighbouring directions, 4 degrees apart, along the horizon.
        bands = [room[len(room) // 2, :: len(room) // 48] for room in rooms]
        detail[level] = np.mean([np.abs(np.diff(band, axis=0)).mean() for band in bands])
    assert detail["hard"] > 3 * detail["plain"]
    same = sample_environment(1, "plain").total
    np.testing.assert_array_equal(sample_environment(1, "hard").total, same)


@pytest.mark.parametrize("name", RIGS)
def test_rigs_look_at_the_head(name):
    shots = rig(name, 4, 128)
    assert len(shots) == RIGS[name]
    for shot in shots:
        pixel = shot.camera.project(np.zeros(3))
        assert (np.abs(pixel - 64) < 24).all()
        identity = shot.camera.rotation @ shot.camera.rotation.T
        np.testing.assert_allclose(identity, np.eye(3), atol=1e-9)
    yaws = np.array([head_angles(shot.camera)[0] for shot in shots])
    assert yaws.min() < -80
    assert yaws.max() > 80
    again = rig(name, 4, 128)
    np.testing.assert_array_equal(shots[-1].camera.rotation, again[-1].camera.rotation)
    assert not np.allclose(shots[0].camera.centre, rig(name, 5, 128)[0].camera.centre)


def test_only_a_phones_poses_are_imperfect():
    for name in RIGS:
        shots = rig(name, 2, 64)
        away = [np.linalg.norm(s.camera.centre - s.reported.centre) for s in shots]
        if name == "phone":
            assert 0.0005 < np.mean(away) < 0.006
        else:
            assert max(away) == 0
    steps = np.diff([head_angles(s.camera)[0] for s in rig("phone", 2, 64)])
    assert np.abs(steps).max() > 4 * np.abs(steps).min()
    with pytest.raises(ParameterError, match=r"'dome'.*ring, phone, sparse"):
        rig("dome", 0, 64)
