from collections import Counter

import numpy as np
import pytest

from labelsplat.capture import poses
from labelsplat.labels import in_stratum, stratum_of

SEEDS = range(200)


@pytest.mark.parametrize("name", sorted(poses.POSES))
def test_same_seed_same_list_other_seed_another(name):
    make = poses.POSES[name]
    assert make(3) == make(3)
    assert make(3) != make(4)


def test_standard_views_stay_near_the_front_and_use_the_whole_range():
    drawn = np.array([poses.standard_views(seed) for seed in SEEDS])
    assert drawn.shape == (200, 5, 2)
    assert (np.abs(drawn) <= poses.STANDARD).all()
    assert (np.abs(drawn).max((0, 1)) > 0.95 * np.array(poses.STANDARD)).all()
    assert len(poses.standard_views(0, count=7)) == 7


def test_capture_views_are_one_frontal_three_a_side_and_four_high_or_low():
    for seed in SEEDS:
        views = np.array(poses.capture_views(seed))
        assert views.shape == (11, 2)
        assert (np.abs(views[:, 0]) <= 110).all()
        level = views[np.abs(views[:, 1]) < 30.5]  # sides: rings at pitch -8 and 25, jitter 4
        steep = views[np.abs(views[:, 1]) > 30.5]
        assert len(steep) == 4
        assert (np.abs(level[:, 0]) <= 5).sum() == 1
        assert (level[:, 0] >= 40).sum() == 3  # the subject's left
        assert (level[:, 0] <= -40).sum() == 3


def test_heldout_views_are_eight_other_places_of_the_same_ring():
    ring = np.array(poses.RING)

    def places(views):
        gaps = np.abs(np.array(views)[:, None] - ring)
        near = (gaps <= [poses.YAW_JITTER, poses.PITCH_JITTER]).all(-1)
        assert near.any(1).all()
        return set(near.argmax(1))

    for seed in SEEDS:
        capture, heldout = poses.capture_views(seed), poses.heldout_views(seed)
        assert len(set(heldout)) == 8
        assert all(abs(yaw) <= 110 for yaw, _ in heldout)
        assert not places(capture) & places(heldout)


def test_test_views_hold_every_stratum_in_exact_numbers():
    for seed in SEEDS:
        views = poses.test_views(seed)
        assert len(views) == 26
        counts = Counter(stratum_of(*view) for view in views)
        assert counts == {"standard": 6, "middle": 6, "extreme": 12, "behind": 2}
        extreme = [v for v in views if stratum_of(*v) == "extreme"]
        assert sum(in_stratum("yaw60", *v) for v in extreme) == 6
        steep = [v for v in extreme if in_stratum("pitch30", *v)]
        assert sum(p >= 30 for _, p in steep) == 3
        assert sum(p <= -30 for _, p in steep) == 3


def test_test_views_are_spread_over_left_and_right():
    for seed in SEEDS:
        views = poses.test_views(seed)
        groups = (views[:6], views[6:12], views[12:18], views[24:])
        for group in groups:
            assert sum(yaw > 0 for yaw, _ in group) == len(group) // 2
        sides = np.sort(np.abs([yaw for yaw, _ in views[12:18]]))
        borders = np.linspace(62, poses.LARGEST_YAW, 4)  # every third of the range on both sides
        np.testing.assert_array_equal(np.histogram(sides, borders)[0], [2, 2, 2])
        for steep in (views[18:21], views[21:24]):
            assert min(y for y, _ in steep) < 0 < max(y for y, _ in steep)


def test_strata_survive_a_camera_that_aims_beside_the_origin():
    from labelsplat.capture import head_angles, orbit_camera

    rng = np.random.default_rng(0)
    for seed in range(40):
        for yaw, pitch in poses.test_views(seed):
            aim = rng.normal(size=3)
            aim *= 0.03 / np.linalg.norm(aim)
            measured = head_angles(orbit_camera(yaw, pitch, 1.15, 16.5, 32, aim))
            assert stratum_of(*measured) == stratum_of(yaw, pitch)
