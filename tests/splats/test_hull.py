"""The visual hull of a ball, and filled foregrounds."""

from __future__ import annotations

import numpy as np
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.capture import orbit_camera
from labelsplat.splats import solid_foreground, visual_hull

RADIUS = 0.1


@pytest.fixture(scope="module")
def ball():
    """Silhouettes of a ball at the origin, by the angle between each pixel's ray and the axis."""
    cameras = [
        orbit_camera(yaw, pitch, 1.15, 16.5, 48)
        for yaw, pitch in ((0, 0), (60, 0), (-60, 0), (120, 10), (180, 0), (0, 55), (30, -50))
    ]
    views = []
    for camera in cameras:
        y, x = np.mgrid[0:48, 0:48] + 0.5
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.intrinsics).T
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
        towards = camera.to_camera(np.zeros(3))
        nearest = np.linalg.norm(np.cross(rays, towards), axis=-1)
        views.append(nearest < RADIUS)
    return np.stack(views).astype(np.float32), cameras


def test_hull_of_a_ball_is_about_the_ball(ball):
    foreground, cameras = ball
    valid = np.ones(foreground.shape, bool)
    surface, side = visual_hull(foreground, valid, cameras, resolution=48, tolerance=1.0)
    radius = np.linalg.norm(surface, axis=1)
    # It holds the ball, and few views leave corners outside it.
    assert radius.min() > RADIUS - 2 * side
    assert np.median(radius) < 1.25 * RADIUS


def test_no_common_foreground_is_an_error_with_a_remedy(ball):
    foreground, cameras = ball
    valid = np.ones(foreground.shape, bool)
    with pytest.raises(LabelsplatError, match="no hull to start from"):
        visual_hull(np.zeros_like(foreground), valid, cameras, resolution=16, tolerance=0.9)


def test_pixels_beyond_the_photo_do_not_carve(ball):
    foreground, cameras = ball
    valid = np.ones(foreground.shape, bool)
    whole, _side = visual_hull(foreground, valid, cameras, resolution=32, tolerance=1.0)
    cut = foreground.copy()
    cut[0] = 0
    valid[0] = False
    kept, _ = visual_hull(cut, valid, cameras, resolution=32, tolerance=1.0)
    assert len(kept) >= 0.9 * len(whole)


def test_holes_are_filled_and_nothing_is_taken_away(ball):
    foreground, _ = ball
    holed = foreground.copy()
    holed[:, 22:26, 22:26] = 0
    out = solid_foreground(holed, 2)
    assert (out >= holed).all()
    np.testing.assert_array_equal(out[:, 22:26, 22:26], 1)
    # Outside the disc nothing is added, but for roundings of its edge.
    assert (out - foreground).sum() < 0.03 * foreground.sum()
    np.testing.assert_array_equal(solid_foreground(holed, 0), holed)


def test_a_bust_cut_off_by_the_frame_stays_whole():
    view = np.zeros((1, 40, 40), np.float32)
    view[0, 20:, 5:35] = 1
    np.testing.assert_array_equal(solid_foreground(view, 3), view)
