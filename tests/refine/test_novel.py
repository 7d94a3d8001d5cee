"""New cameras round a head."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.capture import HeadFrame, common_focus, head_angles, orbit_camera
from labelsplat.refine import blend_rounds, without_holes
from labelsplat.splats import novel_cameras, turntable


@pytest.fixture
def cameras():
    return [orbit_camera(yaw, 5, 1.15, 16.5, 32) for yaw in (-70, -20, 30, 80)]


def test_new_cameras_look_at_the_focus_from_the_asked_range(cameras):
    new = novel_cameras(cameras, np.zeros((4, 2)), 20, seed=1)
    focus = common_focus(cameras)
    for camera in new:
        np.testing.assert_allclose(camera.project(focus), 16, atol=1e-6)
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-9)
        yaw, pitch = head_angles(camera)
        assert abs(yaw) <= 111 and -46 <= pitch <= 51
    assert len({head_angles(c) for c in new}) == 20


def test_without_a_head_frame_new_cameras_stay_near_old_ones(cameras):
    focus = common_focus(cameras)
    old = np.stack([c.centre - focus for c in cameras])
    for camera in novel_cameras(cameras, None, 10, seed=2):
        np.testing.assert_allclose(camera.project(focus), cameras[0].project(focus), atol=1e-6)
        offset = camera.centre - focus
        assert np.linalg.norm(offset) == pytest.approx(1.15, rel=1e-6)
        cosine = (old @ offset / 1.15**2).max()
        assert cosine > np.cos(np.radians(25))


def test_same_seed_same_cameras(cameras):
    a, b = (novel_cameras(cameras, np.zeros((4, 2)), 3, seed=5) for _ in range(2))
    c = novel_cameras(cameras, np.zeros((4, 2)), 3, seed=6)
    assert all((x.rotation == y.rotation).all() for x, y in zip(a, b, strict=True))
    assert (a[0].rotation != c[0].rotation).any()


def test_rounds_blend_by_frontalness():
    first, later = np.zeros((2, 1, 1, 2), np.float32), np.ones((2, 1, 1, 2), np.float32)
    mixed = blend_rounds(first, later, np.array([[0.0, 0], [90.0, 0]]), 4)
    np.testing.assert_allclose(mixed[0], 0, atol=1e-6)
    np.testing.assert_allclose(mixed[1], 1, atol=1e-6)
    np.testing.assert_allclose(blend_rounds(first, later, None, 4), 0.5)


def test_background_in_holes_of_the_foreground_does_not_vote():
    soft = np.zeros((1, 32, 32, 3), np.float32)
    soft[..., 0] = 1
    soft[0, 8:24, 8:24] = (0.1, 0.6, 0.3)
    soft[0, 15:17, 15:17] = (0.9, 0.07, 0.03)  # a hole in the cheek
    out = without_holes(soft, 2)
    np.testing.assert_array_equal(out[0, 15:17, 15:17, 0], 0)
    np.testing.assert_array_equal(out[0, 15, 15, 1:], soft[0, 15, 15, 1:])
    out[0, 15:17, 15:17] = soft[0, 15:17, 15:17]
    np.testing.assert_array_equal(out, soft)


def test_turntable_goes_round_the_head_or_swings(cameras):
    walk = turntable(cameras, np.zeros((4, 2)), yaws=(-90, 0, 90))
    np.testing.assert_allclose([head_angles(c) for c in walk], [[-90, 5], [0, 5], [90, 5]], atol=2)
    focus = common_focus(cameras)
    for camera in turntable(cameras, None, yaws=(-90, 0, 90)):
        np.testing.assert_allclose(camera.project(focus), cameras[0].project(focus), atol=1e-6)


def test_new_cameras_stand_round_a_head_whose_frame_is_not_the_worlds(cameras):
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    shift = np.array([0.3, -0.2, 0.5])
    frame = HeadFrame(turn, shift, None, 1.0, "given")
    world = [frame.back(camera) for camera in cameras]
    angles = np.zeros((4, 2))
    pairs = [
        (novel_cameras(cameras, angles, 6, 3), novel_cameras(world, angles, 6, 3, frame)),
        (turntable(cameras, angles, (-90, 0)), turntable(world, angles, (-90, 0), frame=frame)),
    ]
    for expected, found in pairs:
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(frame.camera(other).view_matrix, one.view_matrix, atol=1e-9)
