import numpy as np
import pytest

from labelsplat.capture import (
    NORMAL_EXTENT,
    common_focus,
    head_angles,
    normalised,
    orbit_camera,
    scene_extent,
)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (40, 10), (-105, -35), (170, 50), (-15, -55)])
def test_orbit_camera_stands_where_it_says(yaw, pitch):
    camera = orbit_camera(yaw, pitch, 1.15, 16.5, 64)
    assert head_angles(camera) == pytest.approx((yaw, pitch))
    np.testing.assert_allclose(camera.project(np.zeros(3)), [32, 32], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(camera.centre), 1.15)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)


def test_positive_yaw_is_the_subjects_left_and_the_head_is_upright():
    front, left, above = (orbit_camera(y, p, 1.0, 20, 64) for y, p in [(0, 0), (30, 0), (0, 30)])
    assert left.centre[0] > 0  # subject's left = +x
    assert above.centre[1] > 0
    # Seen from the front the subject's left lies on the image's right, the head-top above.
    assert front.project(np.array([0.05, 0, 0]))[0] > 32
    assert front.project(np.array([0, 0.05, 0]))[1] < 32


def test_project_agrees_with_a_plain_loop():
    camera = orbit_camera(25, -12, 1.1, 18, 48)
    points = np.random.default_rng(0).normal(0, 0.1, (20, 3))
    for point, pixel in zip(points, camera.project(points), strict=True):
        x, y, z = (
            sum(camera.rotation[i, j] * point[j] for j in range(3)) + camera.translation[i]
            for i in range(3)
        )
        k = camera.intrinsics
        np.testing.assert_allclose(pixel, [k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]])
    assert np.isnan(camera.project(2 * camera.centre)).all()


def test_resized_and_padded_move_pixels_as_the_image_does():
    camera = orbit_camera(25, -12, 1.1, 18, 48)
    points = np.random.default_rng(0).normal(0, 0.1, (20, 3))
    expected = camera.project(points) * [0.5, 2.0] + [3, 5]
    np.testing.assert_allclose(
        camera.resized(24, 96).padded(3, 5, 40, 120).project(points), expected
    )


def test_transformed_sees_transformed_points_at_the_same_pixels():
    rng = np.random.default_rng(1)
    camera = orbit_camera(25, -12, 1.1, 18, 48)
    rotation = orbit_camera(70, 40, 1, 20, 8).rotation
    translation, scale = rng.normal(size=3), 3.7
    points = rng.normal(0, 0.1, (20, 3))
    moved = camera.transformed(rotation, translation, scale)
    np.testing.assert_allclose(
        moved.project(points @ rotation.T * scale + translation), camera.project(points)
    )


def test_common_focus_is_found_and_parallel_axes_are_refused():
    target = np.array([0.3, -0.2, 0.1])
    cameras = [orbit_camera(y, p, 1.1, 18, 48, target) for y, p in [(0, 0), (40, 5), (-70, 20)]]
    np.testing.assert_allclose(common_focus(cameras), target, atol=1e-9)
    with pytest.raises(ValueError, match="do not meet"):
        common_focus([cameras[0], cameras[0].transformed(np.eye(3), np.array([1.0, 0, 0]), 1)])


def test_normalised_centres_the_focus_and_fixes_the_extent():
    rig = [orbit_camera(y, 5, 1.15, 16.5, 48) for y in (-60, 0, 60)]
    # The constant IS the embedded rig's extent.
    assert scene_extent(rig, np.zeros(3)) == pytest.approx(NORMAL_EXTENT, abs=5e-4)
    far = [c.transformed(np.eye(3), np.array([5.0, 6, 7]), 40.0) for c in rig]
    cameras, scale = normalised(far)
    assert scale == pytest.approx(1 / 40, rel=3e-3)
    np.testing.assert_allclose(common_focus(cameras), 0, atol=1e-9)
    assert scene_extent(cameras, np.zeros(3)) == pytest.approx(NORMAL_EXTENT)
