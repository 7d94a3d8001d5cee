from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    Camera,
    Capture,
    View,
    load_photo,
    orbit_camera,
    prepare,
    restore_crop,
    straight_pixels,
    undistort,
    undistortion_maps,
)

COEFFICIENTS = (-0.3, 0.12, 0.01, -0.015, 0.05)


def view_of(path, width=24, height=16, focal=(30.0, 26.0), distortion=None):
    k = np.array([[focal[0], 0, width / 2 + 0.7], [0, focal[1], height / 2 - 0.4], [0, 0, 1]])
    camera = Camera(np.eye(3), np.array([0, 0, 1.0]), k, width, height)
    return View("v", Path(path), camera, distortion)


def capture_of(*views):
    return Capture("s", views, "arbitrary", "test", Path("."), 1.0)


@pytest.fixture
def smooth():
    """``[16, 24, 3]`` uint8 without sharp edges."""
    y, x = np.mgrid[:16, :24]
    waves = (120 + 80 * np.sin(x / 5 + y / 7 + c) * np.cos(y / 6 - c) for c in (0, 1, 2))
    return np.stack(list(waves), -1).astype(np.uint8)


def test_modes_are_converted(tmp_path, smooth):
    grey = smooth[..., 0]
    path = tmp_path / "photo.png"

    Image.fromarray(smooth).save(path)
    np.testing.assert_array_equal(load_photo(view_of(path)), smooth)
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(load_photo(view_of(path)), np.stack([grey] * 3, -1))
    Image.fromarray(grey.astype(np.uint16) * 256 + 17).save(path)
    np.testing.assert_array_equal(load_photo(view_of(path)), np.stack([grey] * 3, -1))
    alpha = np.full_like(grey, 255)
    alpha[:, :5] = 0
    Image.fromarray(np.dstack([smooth, alpha])).save(path)
    np.testing.assert_array_equal(load_photo(view_of(path))[:, 5:], smooth[:, 5:])
    assert not load_photo(view_of(path))[:, :5].any()  # over black
    Image.fromarray(smooth).quantize(16).save(path)
    assert load_photo(view_of(path)).shape == (16, 24, 3)


def test_an_exif_orientation_is_not_applied(tmp_path, smooth):
    path, exif = tmp_path / "photo.png", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth).save(path, exif=exif)
    np.testing.assert_array_equal(load_photo(view_of(path)), smooth)


def test_unreadable_photos_are_named(tmp_path, smooth):
    with pytest.raises(CaptureError, match=r"gone\.png: the photo is missing"):
        load_photo(view_of(tmp_path / "gone.png"))
    path = tmp_path / "photo.png"
    path.write_text("text")
    with pytest.raises(CaptureError, match="not an image"):
        load_photo(view_of(path))
    path.write_bytes(b"")
    with pytest.raises(CaptureError, match="not an image"):
        load_photo(view_of(path))
    Image.fromarray(smooth).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CaptureError, match="truncated"):
        load_photo(view_of(path))
    Image.fromarray(smooth).save(path)
    with pytest.raises(CaptureError, match=r"24 x 16, its camera says 16 x 24.*swapped"):
        load_photo(view_of(path, 16, 24))
    with pytest.raises(CaptureError, match="original size"):
        load_photo(view_of(path, 48, 32))


def distorted_pixel(view, column, row):
    """Where in the photo as taken the undistorted pixel's centre comes from: OpenCV's formulas."""
    k1, k2, p1, p2, k3 = view.distortion
    k = view.camera.intrinsics
    x = (column + 0.5 - k[0, 2]) / k[0, 0]
    y = (row + 0.5 - k[1, 2]) / k[1, 1]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return k[0, 0] * xd + k[0, 2] - 0.5, k[1, 1] * yd + k[1, 2] - 0.5


@pytest.mark.parametrize("coefficients", [COEFFICIENTS, (0.4, -0.1, -0.02, 0.01, 0.02)])
def test_undistort_agrees_with_a_plain_loop(smooth, coefficients):
    view = view_of("unused", distortion=coefficients)
    image, valid = undistort(smooth, view)
    expected_valid = np.zeros((16, 24), bool)
    compared = 0
    for row in range(16):
        for column in range(24):
            x, y = distorted_pixel(view, column, row)
            expected_valid[row, column] = -0.5 <= x <= 23.5 and -0.5 <= y <= 15.5
            if 0 <= x < 23 and 0 <= y < 15:
                i, j = int(x), int(y)
                a, b = x - i, y - j
                corners = smooth[j : j + 2, i : i + 2].astype(float)
                value = (1 - b) * ((1 - a) * corners[0, 0] + a * corners[0, 1]) + b * (
                    (1 - a) * corners[1, 0] + a * corners[1, 1]
                )
                # OpenCV interpolates at steps of 1/32 pixel and rounds.
                np.testing.assert_allclose(image[row, column], value, atol=2)
                compared += 1
    np.testing.assert_array_equal(valid, expected_valid)
    assert compared > 200
    assert np.abs(image.astype(int) - smooth).max() > 10  # it did something


def test_undistort_undoes_opencvs_own_projection():
    """A white dot where OpenCV projects a point with distortion returns to the pinhole's pixel."""
    size, rng = 200, np.random.default_rng(0)
    k = np.array([[180.0, 0, 101.3], [0, 170.0, 97.8], [0, 0, 1]])
    camera = Camera(np.eye(3), np.array([0, 0, 1.0]), k, size, size)
    view = View("v", Path("unused"), camera, COEFFICIENTS)
    shifted = k.copy()
    shifted[:2, 2] -= 0.5
    for point in rng.uniform(-0.35, 0.35, (6, 3)) * [1, 1, 0]:
        (((u, v),),), _ = cv2.projectPoints(
            point[None], np.zeros(3), camera.translation, shifted, np.array(COEFFICIENTS)
        )
        rows, columns = np.mgrid[:size, :size]
        dot = 255 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 18)
        image, _ = undistort(np.repeat(dot[..., None], 3, 2).astype(np.uint8), view)
        weight = image[..., 0].astype(float)
        centre = [(weight * (g + 0.5)).sum() / weight.sum() for g in (columns, rows)]
        np.testing.assert_allclose(centre, camera.project(point), atol=0.15)


def test_without_distortion_the_photo_is_untouched(smooth):
    image, valid = undistort(smooth, view_of("unused"))
    np.testing.assert_array_equal(image, smooth)
    assert valid.all()


def test_where_the_lens_model_folds_back_nothing_is_valid():
    # r (1 - r^2) turns back at r^2 = 1/3: the far corners would show the photo once more.
    view = view_of("unused", 64, 64, (40.0, 40.0), (-1.0, 0.0, 0.0, 0.0, 0.0))
    _, valid = undistort(np.zeros((64, 64, 3), np.uint8), view)
    k = view.camera.intrinsics
    y, x = np.mgrid[:64, :64] + 0.5
    r2 = ((x - k[0, 2]) / k[0, 0]) ** 2 + ((y - k[1, 2]) / k[1, 1]) ** 2
    np.testing.assert_array_equal(valid, r2 < 1 / 3)
    assert 0 < valid.sum() < valid.size


STRONG = {
    "barrel": (-0.32, 0.12, 0.001, -0.002, -0.02),
    "pincushion": (0.5, 0.2, 0.01, -0.01, 0.1),
    "rational": (-0.3, 0.1, 0.002, 0.001, 0.01, 0.1, 0.05, 0.02),
}


@pytest.mark.parametrize("lens", STRONG)
def test_every_pixel_of_a_strong_lens_is_straightened_exactly(lens):
    """OpenCV's projection of where each pixel goes is the pixel itself."""
    view = view_of("unused", 400, 300, (310.0, 300.0), STRONG[lens])
    straight = straight_pixels(view).astype(float).reshape(-1, 2)
    k = view.camera.intrinsics.copy()
    k[:2, 2] -= 0.5
    rays = np.c_[straight, np.ones(len(straight))] @ np.linalg.inv(k).T
    again, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), k, np.array(STRONG[lens]))
    rows, columns = np.mgrid[:300, :400]
    off = np.hypot(*(again.reshape(300, 400, 2) - np.stack([columns, rows], -1)).T)
    assert off.max() < 5e-3
    assert np.hypot(*(straight - np.stack([columns, rows], -1).reshape(-1, 2)).T).max() > 10


def test_pixels_beyond_the_fold_of_a_lens_lie_nowhere():
    # r (1 - r^2) is at most 2 / sqrt(27).
    view = view_of("unused", 64, 64, (40.0, 40.0), (-1.0, 0.0, 0.0, 0.0, 0.0))
    straight = straight_pixels(view)
    k = view.camera.intrinsics
    y, x = np.mgrid[:64, :64] + 0.5
    bent = np.hypot((x - k[0, 2]) / k[0, 0], (y - k[1, 2]) / k[1, 1])
    sure = np.abs(bent - 2 / np.sqrt(27)) > 0.005
    there = (straight > -1e5).all(-1)
    np.testing.assert_array_equal(there[sure], (bent < 2 / np.sqrt(27))[sure])
    assert 0.1 < there.mean() < 0.9


def test_skew_is_part_of_the_bent_photo_too():
    view = view_of("unused", 40, 30, (50.0, 45.0), COEFFICIENTS)
    k = view.camera.intrinsics.copy()
    k[0, 1] = 3.0
    view = replace(view, camera=replace(view.camera, intrinsics=k))
    x, y, valid = undistortion_maps(view)
    straight = straight_pixels(view)
    parts = [
        cv2.remap(
            np.ascontiguousarray(part), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        for part in np.moveaxis(straight, -1, 0)
    ]
    rows, columns = np.mgrid[:30, :40]
    inner = (slice(5, -5), slice(5, -5))
    for found, true in zip(parts, (columns, rows), strict=True):
        np.testing.assert_allclose(found[inner], true[inner], atol=0.1)
    assert valid[inner].all()
    ray = np.linalg.inv(k) @ [30.5, 20.5, 1]
    radius = ray[0] ** 2 + ray[1] ** 2
    k1, k2, p1, p2, k3 = COEFFICIENTS
    radial = 1 + k1 * radius + k2 * radius**2 + k3 * radius**3
    bent = ray * [radial, radial, 1] + [
        2 * p1 * ray[0] * ray[1] + p2 * (radius + 2 * ray[0] ** 2),
        p1 * (radius + 2 * ray[1] ** 2) + 2 * p2 * ray[0] * ray[1],
        0,
    ]
    np.testing.assert_allclose([x[20, 30], y[20, 30]], (k @ bent)[:2] - 0.5, atol=1e-4)


def test_a_distortion_that_leaves_nothing_is_refused(tmp_path, smooth):
    path = tmp_path / "photo.png"
    Image.fromarray(smooth).save(path)
    with pytest.raises(CaptureError, match=r"photo\.png: undistortion by"):
        prepare(capture_of(view_of(path, distortion=(1e6, 1e6, 0, 0, 0))), 16)


def test_a_square_of_working_size_passes_unchanged(tmp_path):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    view = View("v", tmp_path / "photo.png", orbit_camera(20, 5, 1.15, 16.5, 32))
    prepared = prepare(capture_of(view), 32)
    np.testing.assert_array_equal(prepared.images[0], photo)
    assert prepared.valid.all()
    np.testing.assert_array_equal(prepared.cameras[0].intrinsics, view.camera.intrinsics)
    np.testing.assert_array_equal(restore_crop(photo[..., 0], prepared.crops[0]), photo[..., 0])


def test_resizing_averages_over_area_and_pads_by_the_edge(tmp_path):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    prepared = prepare(capture_of(view_of(tmp_path / "photo.png", 48, 32)), 12)
    image, valid = prepared.images[0], prepared.valid[0]
    blocks = photo.reshape(8, 4, 12, 4, 3).mean((1, 3))
    assert np.abs(image[2:10] - blocks).max() <= 0.5 + 1e-6
    np.testing.assert_array_equal(image[:2], np.stack([image[2]] * 2))
    np.testing.assert_array_equal(image[10:], np.stack([image[9]] * 2))
    np.testing.assert_array_equal(valid, np.pad(np.ones((8, 12), bool), ((2, 2), (0, 0))))


@pytest.mark.parametrize(("width", "height"), [(90, 60), (60, 90), (75, 53), (20, 33)])
def test_intrinsics_go_along(tmp_path, width, height):
    """A dot painted where the photo's camera sees a point is where the prepared camera sees it."""
    view = view_of(tmp_path / "photo.png", width, height, (110.0, 85.0))
    point = np.array([0.03, -0.05, 0.02])
    u, v = view.camera.project(point)
    rows, columns = np.mgrid[:height, :width] + 0.5
    dot = 250 * np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / 12)
    Image.fromarray(np.repeat(dot[..., None], 3, 2).astype(np.uint8)).save(view.image)
    prepared = prepare(capture_of(view), 40)
    camera, weight = prepared.cameras[0], prepared.images[0, ..., 0].astype(float)
    weight *= prepared.valid[0]
    rows, columns = np.mgrid[:40, :40] + 0.5
    centre = [(weight * g).sum() / weight.sum() for g in (columns, rows)]
    np.testing.assert_allclose(camera.project(point), centre, atol=0.12)
    assert (camera.width, camera.height) == (40, 40)
    # The two focal lengths stay apart: their ratio is the photo's, up to whole pixels.
    assert camera.intrinsics[0, 0] / camera.intrinsics[1, 1] == pytest.approx(110 / 85, rel=0.03)


def test_pixels_of_nowhere_are_invalid_at_working_size(tmp_path, smooth):
    Image.fromarray(smooth).save(tmp_path / "photo.png")
    view = view_of(tmp_path / "photo.png", distortion=(0.4, 0.0, 0.0, 0.0, 0.0))
    _, inside = undistort(smooth, view)
    assert not inside.all()
    valid = prepare(capture_of(view), 12).valid[0, 2:10]
    np.testing.assert_array_equal(valid, inside.reshape(8, 2, 12, 2).all((1, 3)))


@pytest.mark.parametrize(("width", "height", "size"), [(90, 60, 30), (50, 81, 32), (24, 16, 96)])
def test_restored_masks_lie_where_the_photo_does(tmp_path, width, height, size):
    view = view_of(tmp_path / "photo.png", width, height)
    Image.new("RGB", (width, height)).save(view.image)
    prepared = prepare(capture_of(view), size)
    crop, camera = prepared.crops[0], prepared.cameras[0]
    mask = np.arange(size * size, dtype=np.uint16).reshape(size, size)
    restored = restore_crop(mask, crop)
    assert restored.shape == (height, width)
    assert restored.dtype == mask.dtype
    ray = np.linalg.inv(view.camera.intrinsics)
    for row, column in np.random.default_rng(0).integers(0, (height, width), (30, 2)):
        point = ray @ [column + 0.5, row + 0.5, 1] - view.camera.translation
        x, y = camera.project(point)
        # On a border between two pixels either is right.
        near = {mask[int(y + b), int(x + a)] for a in (-1e-6, 1e-6) for b in (-1e-6, 1e-6)}
        assert restored[row, column] in near
    with pytest.raises(ValueError, match="its crop says"):
        restore_crop(mask[:-1], crop)


def test_a_capture_is_prepared_the_same_twice_and_view_by_view(facescape):
    from labelsplat.capture import open_capture

    capture = open_capture(facescape)
    first, second = prepare(capture, 20), prepare(capture, 20)
    np.testing.assert_array_equal(first.images, second.images)
    assert first.images.shape == (6, 20, 20, 3)
    assert first.valid.shape == (6, 20, 20)
    assert first.angles.shape == (6, 2)
    assert first.names == capture.names
    assert first.subject == capture.subject


@pytest.mark.parametrize("chosen", [[2, 0], np.array([2, 0]), np.array([True, False, True])])
def test_only_some_views(tmp_path, smooth, chosen):
    """Every field that has an entry a view is cut alike; what is the capture's stays."""
    views = []
    for i in range(3):
        Image.fromarray(np.roll(smooth, i, 0)).save(tmp_path / f"{i}.png")
        views.append(replace(view_of(tmp_path / f"{i}.png"), name=str(i)))
    whole = replace(
        prepare(capture_of(*views), 16), angles=np.arange(6.0).reshape(3, 2), points=np.ones((5, 3))
    )
    part = whole.only(chosen)
    kept = [0, 2] if np.asarray(chosen).dtype == bool else [2, 0]
    assert part.names == tuple(str(i) for i in kept) and part.subject == whole.subject
    for field in fields(whole):
        if field.name not in ("subject", "points"):
            own, all_views = getattr(part, field.name), getattr(whole, field.name)
            assert len(own) == 2 and type(own) is type(all_views)
            for one, index in zip(own, kept, strict=True):
                assert one is all_views[index] or np.array_equal(one, all_views[index])
    assert part.points is whole.points
    assert replace(whole, angles=None).only(chosen).angles is None
