"""Photos that lie on their side, as phones held upright store them: turned where that is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from labelsplat.base import LabelsplatError
from labelsplat.capture import (
    Camera,
    View,
    frame_from_cameras,
    inspect_capture,
    on_their_side,
    open_capture,
    prepare,
    read_facescape,
    read_nerfstudio,
    turned_view,
    upright_turns,
    write_capture,
    write_facescape,
)
from labelsplat.parsing.foreign_masks import _way
from labelsplat.report.photo_masks import as_taken

TAGS = {0: 1, 1: 6, 2: 3, 3: 8}
"""EXIF's orientation of a photo that was stored after so many turns to the left."""

AXES = '{"axes": {"left": [1, 0, 0], "up": [0, 1, 0], "front": [0, 0, 1]}}'
SUBJECT = "7/1_neutral"


def distorted_pixel(view, point):
    """Pixel of the photo as taken: OpenCV's formulas and the whole of K, with its skew."""
    x, y = (view.camera.to_camera(point) / view.camera.to_camera(point)[2])[:2]
    k1, k2, p1, p2, k3 = view.distortion
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    bent = [
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        1,
    ]
    return (view.camera.intrinsics @ bent)[:2]


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("skew", [0.0, 4.0])
def test_a_pixel_goes_where_the_turned_photo_has_it(made_up, turns, skew):
    camera = made_up.camera(20, -10)
    k = camera.intrinsics * [[1.1], [0.9], [1]] + [[0, skew, 2], [0, 0, -1], [0, 0, 0]]
    view = View("v", Path("v.png"), replace(camera, intrinsics=k), (0.3, -0.2, 0.05, -0.04, 0.1))
    turned = turned_view(view, turns)
    assert (turned.turns, turned.size_as_taken) == (turns % 4, (24, 16))
    assert np.linalg.det(turned.camera.rotation) == pytest.approx(1)
    np.testing.assert_allclose(turned.camera.centre, view.camera.centre, atol=1e-12)
    assert abs(turned.camera.intrinsics[[1, 2, 2], [0, 0, 1]]).max() == 0
    for point in np.random.default_rng(0).normal(0, 0.05, (8, 3)):
        x, y = distorted_pixel(view, point)
        for _ in range(
            turns
        ):  # what a turn to the left does to pixels, whose array is [row, column]
            x, y = y, (24, 16, 24, 16)[_] - x
        np.testing.assert_allclose(distorted_pixel(turned, point), (x, y), atol=1e-9)
    back = turned_view(turned, -turns)
    np.testing.assert_allclose(back.camera.view_matrix, view.camera.view_matrix, atol=1e-12)
    np.testing.assert_allclose(back.camera.intrinsics, k, atol=1e-9)
    np.testing.assert_allclose(back.distortion, view.distortion, atol=1e-12)


def store_turned(folder, stored, tags=None):
    """Store photos of :func:`nerfstudio` after turns to the left: pixels, camera, EXIF's word."""
    path = folder / "transforms.json"
    table = json.loads(path.read_text())
    for i, (frame, turns) in enumerate(zip(table["frames"], stored, strict=True)):
        file = folder / frame["file_path"]
        photo = Image.open(file)
        pixels = Image.fromarray(np.rot90(np.asarray(photo), turns).copy())
        exif = Image.Exif()
        tag = TAGS[turns] if tags is None else tags[i]
        if tag:
            exif[0x0112] = tag
        pixels.save(file, exif=exif)
        if tags is None:  # EXIF's word is the one that viewers follow
            shown = ImageOps.exif_transpose(Image.open(file))
            np.testing.assert_array_equal(np.asarray(shown), np.asarray(photo))
        pose = np.array(frame["transform_matrix"])
        for _ in range(turns):
            # The stored photo's right is what was down, its top what was the right.
            pose[:, [0, 1]] = np.stack([-pose[:, 1], pose[:, 0]], -1)
            w, h, fx, fy = (frame[key] for key in ("w", "h", "fl_x", "fl_y"))
            cx, cy = frame["cx"], frame["cy"]
            frame.update(w=h, h=w, fl_x=fy, fl_y=fx, cx=cy, cy=w - cx)
        frame["transform_matrix"] = pose.tolist()
    path.write_text(json.dumps(table))


def assert_upright(capture, upright, stored):
    """All that comes out is as if the photos had been stored upright."""
    assert [view.turns for view in capture.views] == [-turns % 4 for turns in stored]
    for view, true in zip(capture.views, upright[0].views, strict=True):
        np.testing.assert_allclose(view.camera.view_matrix, true.camera.view_matrix, atol=1e-9)
        np.testing.assert_allclose(view.camera.intrinsics, true.camera.intrinsics, atol=1e-9)
    done = prepare(capture, 24)
    np.testing.assert_array_equal(done.images, upright[1].images)
    np.testing.assert_array_equal(done.valid, upright[1].valid)


@pytest.fixture
def upright(nerfstudio):
    """The capture as it is before anything is turned, opened and prepared."""
    capture = read_nerfstudio(nerfstudio)
    return capture, prepare(capture, 24)


@pytest.mark.parametrize("stored", [[0, 0, 1, 0, 0, 3], [0, 2, 1, 0, 0, 1], [2, 2, 3, 2, 2, 3]])
def test_exif_says_how_to_turn(nerfstudio, upright, stored):
    """Tall photos stored broad, as phones do, and broad ones upside down."""
    store_turned(nerfstudio, stored)
    capture = open_capture(nerfstudio)
    assert_upright(capture, upright, stored)
    found = inspect_capture(nerfstudio)
    assert not any("side" in p.what for p in found.problems if p.level == "warning")
    (note,) = [p for p in found.problems if "turned on reading" in p.what]
    assert note.level == "note"
    assert note.where == ", ".join(f"frame_{i}" for i in range(1, 7) if stored[i - 1])
    for view, turns in zip(capture.views, stored, strict=True):
        shape = view.camera.height, view.camera.width
        mask = np.random.default_rng(1).integers(0, 19, shape).astype(np.uint8)
        np.testing.assert_array_equal(as_taken(mask, view, 255), np.rot90(mask, turns))


@pytest.mark.parametrize(
    ("stored", "tags"),
    [
        ([0, 0, 1, 0, 0, 1], [1, 1, 6, 1, 1, 0]),  # one photo says nothing
        ([0, 0, 1, 0, 0, 1], [1, 1, 6, 1, 1, 5]),  # a mirror image
        ([0, 0, 0, 0, 0, 0], [1, 1, 6, 1, 1, 6]),  # tall ones: turned, and the tag was kept
    ],
)
def test_exif_is_not_followed_where_it_is_doubtful(nerfstudio, stored, tags):
    store_turned(nerfstudio, stored, tags)
    assert not any(view.turned for view in open_capture(nerfstudio).views)


def test_exif_is_not_followed_against_the_cameras(nerfstudio):
    """Broad photos with upright cameras all round the head: to turn them would be wrong."""
    store_turned(nerfstudio, [0] * 6, [6] * 6)
    path = nerfstudio / "transforms.json"
    table = json.loads(path.read_text())
    table["frames"] = [frame for frame in table["frames"] if frame["w"] == 24]
    path.write_text(json.dumps(table))
    assert not any(view.turned for view in open_capture(nerfstudio).views)


@pytest.mark.parametrize("quarter", [1, 3])
def test_nobody_says_it_until_the_user_does(nerfstudio, upright, quarter):
    stored = [quarter] * 6
    store_turned(nerfstudio, stored, [0] * 6)
    lying = open_capture(nerfstudio)
    assert not any(view.turned for view in lying.views) and on_their_side(lying.cameras)
    assert not frame_from_cameras(lying.cameras).usable
    assert frame_from_cameras(upright[0].cameras).confidence > 0
    (problem,) = [p for p in inspect_capture(nerfstudio).problems if "on their side" in p.what]
    assert problem.level == "warning" and "head_frame.json" in problem.remedy
    (nerfstudio / "head_frame.json").write_text(AXES)
    assert_upright(open_capture(nerfstudio), upright, stored)
    left = [p for p in inspect_capture(nerfstudio).problems if "on their side" in p.what]
    assert [p.level for p in left] == ["note"]  # that they are turned on reading
    (nerfstudio / "head_frame.json").write_text("{")  # named by whoever needs the frame
    assert not any(view.turned for view in open_capture(nerfstudio).views)


def on_its_side(camera, turns):
    return turned_view(View("", Path(), camera), turns).camera


def test_with_a_head_frame_each_photo_is_turned_by_itself(tmp_path, names, photos, cameras):
    stored = [0, 1, 2, 3, 0, 1]
    lying = [on_its_side(c, n) for c, n in zip(cameras, stored, strict=True)]
    turned = [np.rot90(p, n).copy() for p, n in zip(photos, stored, strict=True)]
    write_facescape(tmp_path, SUBJECT, names, turned, lying)
    capture = read_facescape(tmp_path, SUBJECT)
    assert [view.turns for view in capture.views] == [-n % 4 for n in stored]
    for view, true in zip(capture.views, cameras, strict=True):
        np.testing.assert_allclose(view.camera.view_matrix, true.view_matrix, atol=1e-9)
        np.testing.assert_allclose(view.camera.intrinsics, true.intrinsics, atol=1e-9)


@pytest.mark.parametrize("layout", ["facescape", "nerfstudio"])
def test_written_and_read_again_they_are_turned_again(nerfstudio, tmp_path, layout):
    store_turned(nerfstudio, [0, 0, 1, 0, 0, 3])
    capture = open_capture(nerfstudio)
    write_capture(capture, tmp_path / "out", layout)
    again = open_capture(tmp_path / "out")
    for view, true in zip(again.views, capture.views, strict=True):
        assert view.turns == true.turns and view.image.read_bytes() == true.image.read_bytes()
        np.testing.assert_allclose(view.camera.view_matrix, true.camera.view_matrix, atol=1e-9)
        np.testing.assert_allclose(view.camera.intrinsics, true.camera.intrinsics, atol=1e-9)


def test_who_looks_straight_down_is_left_alone():
    k = np.array([[30.0, 0, 12], [0, 30, 8], [0, 0, 1]])
    down = np.array([[1.0, 0, 0], [0, 0.05, 1], [0, -1, 0.05]])
    down[1:] /= np.linalg.norm(down[1])
    for turns in range(4):
        camera = on_its_side(Camera(down, np.array([0, 0, 1.0]), k, 24, 16), turns)
        assert upright_turns(camera, np.array([0.0, 1, 0])) == 0


def test_masks_of_others_are_turned_like_their_photos(nerfstudio, upright):
    """They belong to the photos as stored, and arrive where the upright photos' would."""
    stored = [0, 2, 1, 0, 0, 3]
    store_turned(nerfstudio, stored)
    capture = open_capture(nerfstudio)
    rng = np.random.default_rng(2)
    pairs = zip(capture.views, upright[0].views, prepare(capture, 24).crops, stored, strict=True)
    for view, true, crop, turns in pairs:
        mask = rng.random((true.camera.height, true.camera.width)).astype(np.float32)
        lying = np.rot90(mask, turns).copy()
        assert lying.shape == view.size_as_taken[::-1]
        found = _way(lying.shape, view, crop, Path("m.png"))(lying)
        np.testing.assert_array_equal(found, _way(mask.shape, true, crop, Path("m.png"))(mask))
        with pytest.raises(LabelsplatError, match=f"its photo {lying.shape[1]} x {lying.shape[0]}"):
            _way(lying.shape[::-1], view, crop, Path("m.png"))
