"""Photos cropped to the head: geometry carried along, edges masked, masks brought back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    NORMAL_EXTENT,
    Capture,
    View,
    crop_to_head,
    head_sphere,
    identity_frame,
    looseness,
    orbit_camera,
    prepare,
    restore_crop,
)

SIZE = 40
RADIUS = 0.12


def loose_camera(yaw, pitch, aspect=1.0, target=(0.0, 0.0, 0.0), shift=(0, 0)):
    """A photo of 160 x 120 pixels that shows about three heads' widths."""
    camera = orbit_camera(yaw, pitch, 1.2, 36, 160, target).padded(
        shift[0], -20 + shift[1], 160, 120
    )
    k = camera.intrinsics.copy()
    k[1] *= (1, aspect, aspect)
    return replace(camera, intrinsics=k)


def gradient(width, height):
    """A photo whose red and green tell the pixel's place."""
    y, x = np.mgrid[:height, :width] + 0.5
    blue = np.full_like(x, 90)
    return np.stack([x * 250 / width, y * 250 / height, blue], -1).round().astype(np.uint8)


@pytest.fixture
def loose(tmp_path):
    """Four loosely framed views: square pixels, wide pixels, at the photo's edge, beyond it."""
    cameras = [
        loose_camera(0, 0),
        loose_camera(-40, 10, aspect=0.75),
        loose_camera(30, -5, shift=(-70, 0)),
        loose_camera(70, 0, shift=(-130, 0)),
    ]
    views = []
    for i, camera in enumerate(cameras):
        path = tmp_path / f"{i}.png"
        Image.fromarray(gradient(camera.width, camera.height)).save(path)
        views.append(View(str(i), path, camera))
    return Capture("1", tuple(views), "head", "nerfstudio", tmp_path, 1.0)


def test_points_land_where_the_crop_says(loose):
    cropped, kept = crop_to_head(loose, np.zeros(3), RADIUS, SIZE)
    assert kept.tolist() == [0, 1, 2]  # the fourth photo shows none of the sphere
    points = np.random.default_rng(0).normal(0, 0.05, (50, 3))
    for row, index in enumerate(kept):
        camera, crop = cropped.cameras[row], cropped.crops[row]
        before, after = loose.cameras[index].project(points), camera.project(points)
        scale = np.array([crop.inner_width / crop.width, crop.inner_height / crop.height])
        np.testing.assert_allclose(after, before * scale + (crop.left, crop.top), atol=1e-9)
        assert (camera.width, camera.height) == (SIZE, SIZE)
        assert camera.intrinsics[0, 0] == pytest.approx(camera.intrinsics[1, 1], rel=0.02)
        np.testing.assert_allclose(camera.project(np.zeros(3)), SIZE / 2, atol=0.51)


def test_the_sphere_fills_the_square(loose):
    cropped, _ = crop_to_head(loose, np.zeros(3), RADIUS, SIZE)
    sphere = np.random.default_rng(1).normal(size=(4000, 3))
    sphere *= RADIUS / np.linalg.norm(sphere, axis=1, keepdims=True)
    for camera in cropped.cameras:
        pixels = camera.project(sphere)
        np.testing.assert_allclose(pixels.min(0), 0, atol=1.2)
        np.testing.assert_allclose(pixels.max(0), SIZE, atol=1.2)


def test_pixels_show_what_the_camera_sees_there(loose):
    cropped, kept = crop_to_head(loose, np.zeros(3), RADIUS, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    for row, index in enumerate(kept):
        crop, inside = cropped.crops[row], cropped.valid[row]
        photo = loose.cameras[index]
        across = (x - crop.left) * crop.width / crop.inner_width
        down = (y - crop.top) * crop.height / crop.inner_height
        expected = np.stack([across * 250 / photo.width, down * 250 / photo.height], -1)
        found = cropped.images[row][..., :2].astype(float)
        assert np.abs(found - expected)[inside].max() < 3
        beyond = (across < 0) | (across > photo.width) | (down < 0) | (down > photo.height)
        assert not inside[beyond].any()
    assert cropped.valid[0].all() and 0.2 < cropped.valid[2].mean() < 0.9


@pytest.mark.parametrize("size", [16, 97])
def test_geometry_holds_for_shrinking_and_enlarging(loose, size):
    cropped, _ = crop_to_head(loose, np.zeros(3), RADIUS, size)
    crop = cropped.crops[0]
    x = (np.arange(size) + 0.5 - crop.left) * crop.width / crop.inner_width
    middle = cropped.images[0][size // 2, :, 0].astype(float)
    assert np.abs(middle - x * 250 / crop.width)[1:-1].max() < 4


def test_masks_return_to_their_photo(loose):
    cropped, _ = crop_to_head(loose, np.zeros(3), RADIUS, SIZE)
    crop = cropped.crops[2]
    labels = (np.mgrid[:SIZE, :SIZE][1] // 10).astype(np.uint8)
    full = restore_crop(labels, crop, 255)
    assert full.shape == (120, 160)
    y, x = np.mgrid[:120, :160]
    u = np.floor((x + 0.5) * crop.inner_width / crop.width) + crop.left
    v = np.floor((y + 0.5) * crop.inner_height / crop.height) + crop.top
    inside = (u >= 0) & (u < SIZE) & (v >= 0) & (v < SIZE)
    assert (full[~inside] == 255).all() and inside.any() and not inside.all()
    np.testing.assert_array_equal(full[inside], (u[inside] // 10).astype(np.uint8))


def test_of_an_uncropped_photo_nothing_lies_outside(loose):
    crop = prepare(loose, SIZE).crops[0]
    labels = np.random.default_rng(0).integers(0, 19, (SIZE, SIZE)).astype(np.uint8)
    full = restore_crop(labels, crop, 255)
    assert full.shape == (120, 160) and not (full == 255).any()
    np.testing.assert_array_equal(full, restore_crop(labels, crop))
    inner = labels[crop.top : crop.top + crop.inner_height]  # 160 pixels become 40, 120 become 30
    np.testing.assert_array_equal(full, inner.repeat(4, 0).repeat(4, 1))


def test_a_head_that_no_photo_shows(loose):
    with pytest.raises(CaptureError, match="0 of 4 photos show the head"):
        crop_to_head(loose, np.array([0, 5.0, 0]), RADIUS, SIZE)


def test_the_sphere_follows_from_the_frame_or_from_the_cameras(loose):
    frame = replace(identity_frame(), scale=0.5, translation=np.array([0, -0.1, 0]))
    centre, radius = head_sphere(loose.cameras, frame)
    np.testing.assert_allclose(centre, [0, 0.1, 0])
    assert radius == pytest.approx(NORMAL_EXTENT / 0.5)
    centre, radius = head_sphere(loose.cameras, None)
    assert looseness(loose.cameras, centre, radius) == pytest.approx(1)
    assert looseness(loose.cameras, np.zeros(3), RADIUS) > 2
