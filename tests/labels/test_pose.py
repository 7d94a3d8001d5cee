"""Strata and the one convention of yaw and pitch."""

import numpy as np
import pytest

from labelsplat.capture import Camera, head_angles, orbit_camera
from labelsplat.labels import STRATA, in_stratum, stratum_of

EXCLUSIVE = ("standard", "middle", "extreme", "behind")


@pytest.mark.parametrize(
    ("yaw", "pitch", "stratum"),
    [
        (0, 0, "standard"),
        (30, 20, "standard"),
        (-30, -20, "standard"),
        (30.1, 0, "middle"),
        (0, 20.1, "middle"),
        (59.9, 29.9, "middle"),
        (60, 0, "extreme"),
        (-60, 0, "extreme"),
        (0, 30, "extreme"),
        (10, -30, "extreme"),
        (110, 0, "extreme"),
        (110.1, 0, "behind"),
        (-150, 50, "behind"),
        (180, 0, "behind"),
    ],
)
def test_borders(yaw, pitch, stratum):
    assert stratum_of(yaw, pitch) == stratum


def test_exclusive_strata_share_out_all_poses():
    for yaw in range(-180, 181, 5):
        for pitch in range(-85, 86, 5):
            assert sum(in_stratum(s, yaw, pitch) for s in EXCLUSIVE) == 1


def test_strata_beside_them():
    for yaw in range(-180, 181, 5):
        for pitch in range(-85, 86, 5):
            behind = in_stratum("behind", yaw, pitch)
            assert in_stratum("all", yaw, pitch) != behind
            sideways, steep = in_stratum("yaw60", yaw, pitch), in_stratum("pitch30", yaw, pitch)
            assert not (sideways and steep)
            assert (sideways or steep) == in_stratum("extreme", yaw, pitch)


@pytest.mark.parametrize("stratum", STRATA)
def test_left_and_right_up_and_down_are_alike(stratum):
    for yaw, pitch in np.random.default_rng(0).uniform([-180, -80], [180, 80], (200, 2)):
        inside = in_stratum(stratum, yaw, pitch)
        assert inside == in_stratum(stratum, -yaw, pitch) == in_stratum(stratum, yaw, -pitch)


def test_unknown_stratum_is_an_error():
    with pytest.raises(ValueError, match="sideways"):
        in_stratum("sideways", 0, 0)


def _camera_at(position) -> Camera:
    """A camera at a point of the head frame; its direction does not matter."""
    rotation = np.diag([1.0, -1.0, -1.0])
    return Camera(rotation, -rotation @ np.array(position, float), np.eye(3), 10, 10)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ((0, 0, 1), (0, 0)),  # before the face, which looks along +z
        ((1, 0, 0), (90, 0)),  # at the subject's left, +x
        ((-1, 0, 0), (-90, 0)),
        ((1, 0, 1), (45, 0)),
        ((0, 1, 1), (0, 45)),  # above, +y
        ((0, -1, 1), (0, -45)),
    ],
)
def test_yaw_is_positive_to_the_subjects_left_and_pitch_above(position, expected):
    assert head_angles(_camera_at(position)) == pytest.approx(expected)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (70, -20), (-100, 35), (170, 10)])
def test_orbit_camera_stands_where_it_says(yaw, pitch):
    assert head_angles(orbit_camera(yaw, pitch, 1.0, 20, 32)) == pytest.approx((yaw, pitch))
