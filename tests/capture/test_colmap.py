import builtins
import shutil
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    View,
    common_focus,
    detect_source,
    inspect_capture,
    list_subjects,
    open_capture,
    prepare,
    read_colmap,
    straight_pixels,
    undistortion_maps,
)
from labelsplat.capture.colmap import CAMERA_MODELS
from labelsplat.capture.lenses import fold2
from labelsplat.capture.source import capture_files


def edit_text(folder, part, change):
    path = folder / "sparse/0" / f"{part}.txt"
    path.write_text(change(path.read_text()))


@pytest.fixture
def text(tmp_path, photos, solved, made_up):
    pytest.importorskip("pycolmap")
    return made_up.colmap(tmp_path / "text", photos, solved, binary=False)


def test_both_formats_give_the_same_rig_normalised(colmap, cameras, photos, made_up):
    capture = read_colmap(colmap)
    assert (capture.frame, capture.source, capture.subject) == ("arbitrary", "colmap", "scan")
    assert list(capture.names) == [f"frame_{i}" for i in range(1, 7)]
    scale, rotation, _ = made_up.world()
    focus = common_focus(cameras)
    for view, true, photo in zip(capture.views, cameras, photos, strict=True):
        # By name: each photo got its own camera, whatever the order of the file.
        np.testing.assert_array_equal(np.array(Image.open(view.image)), photo)
        local = capture.scale * scale * (made_up.sparse - focus) @ rotation.T
        np.testing.assert_allclose(
            view.camera.project(local), true.project(made_up.sparse), atol=1e-7
        )
    np.testing.assert_allclose(capture.points, local, atol=1e-9)
    np.testing.assert_array_equal(prepare(capture, 24).images[0, 4:20], photos[0])


def test_the_door_knows_it_and_its_files_are_watched(colmap):
    assert detect_source(colmap) == detect_source(colmap.parent) == "colmap"
    assert list_subjects("colmap", colmap.parent) == ["scan"]
    capture = open_capture(colmap)
    names = {path.name.partition(".")[0] for path in capture_files(capture)}
    assert names == {"cameras", "images", "points3D", *capture.names}
    shutil.move(colmap / "sparse/0", colmap / "zero")
    shutil.rmtree(colmap / "sparse")
    shutil.move(colmap / "zero", colmap / "sparse")
    assert open_capture(colmap.parent, "scan", "colmap").names == capture.names


def test_points_may_be_missing(colmap):
    for path in colmap.glob("sparse/0/points3D*"):
        path.unlink()
    assert read_colmap(colmap).points is None


def test_missing_names_are_named_together(colmap):
    for i in (2, 5):
        (colmap / f"images/frame_{i}.png").unlink()
    with pytest.raises(CaptureError, match=r"images\..*2 of 6 photos are missing: .*frame_") as e:
        read_colmap(colmap)
    assert "frame_2.png" in str(e.value)
    assert "frame_5.png" in str(e.value)


def test_folders_within_images(text):
    (text / "images/left").mkdir()
    shutil.move(text / "images/frame_2.png", text / "images/left/frame_1.png")
    edit_text(text, "images", lambda t: t.replace("frame_2.png", "left/frame_1.png"))
    names = read_colmap(text).names
    assert {"left_frame_1", "frame_1"} < set(names)


def test_without_pycolmap_the_remedy_is_named(colmap, monkeypatch):
    true = builtins.__import__

    def no(name, *rest, **more):
        if name == "pycolmap":
            raise ImportError(name)
        return true(name, *rest, **more)

    monkeypatch.delitem(sys.modules, "pycolmap", raising=False)
    monkeypatch.setattr(builtins, "__import__", no)
    with pytest.raises(CaptureError, match="pip install pycolmap"):
        read_colmap(colmap)


PARAMETERS = {
    "SIMPLE_PINHOLE": [80, 12.5, 8.2],
    "PINHOLE": [80, 74, 12.5, 8.2],
    "SIMPLE_RADIAL": [80, 12.5, 8.2, 0.9],
    "RADIAL": [80, 12.5, 8.2, 0.9, -1.5],
    "OPENCV": [80, 74, 12.5, 8.2, 0.9, -1.5, 0.05, -0.08],
    "FULL_OPENCV": [80, 74, 12.5, 8.2, 0.9, -1.5, 0.05, -0.08, 0.3, 0.4, 0.2, -0.1],
    "SIMPLE_RADIAL_FISHEYE": [80, 12.5, 8.2, 0.9],
    "RADIAL_FISHEYE": [80, 12.5, 8.2, 0.9, -1.5],
    "OPENCV_FISHEYE": [80, 74, 12.5, 8.2, 0.9, -1.5, 0.4, 0.6],
}


@pytest.mark.parametrize("model", CAMERA_MODELS)
@pytest.mark.parametrize("binary", [False, True])
def test_each_camera_model_undistorts_as_colmap_projects(tmp_path, solved, made_up, model, binary):
    """Where our map fetches a pixel from is where COLMAP's own projection puts its ray."""
    pycolmap = pytest.importorskip("pycolmap")
    camera = {1: (model, 24, 16, PARAMETERS[model])}
    (tmp_path / "images").mkdir()
    shots = []
    for i, placed in enumerate(solved[0]):
        if placed.width == 24:
            Image.fromarray(made_up.photo(placed, i)).save(tmp_path / f"images/{i}.png")
            shots.append((f"{i}.png", 1, placed.rotation, placed.translation))
    made_up.model(tmp_path / "sparse/0", camera, shots, np.zeros((0, 3)), binary)
    view = read_colmap(tmp_path).views[0]
    assert view.fisheye == model.endswith("FISHEYE")
    if model.endswith("PINHOLE"):
        assert view.distortion is None
        return
    x, y, valid = undistortion_maps(view)
    own = pycolmap.Camera(
        model=model, width=24, height=16, params=np.array(PARAMETERS[model], float)
    )
    rows, columns = np.mgrid[:16, :24] + 0.5
    rays = (
        np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(view.camera.intrinsics).T
    )
    theirs = np.array([own.img_from_cam(ray) for ray in rays.reshape(-1, 3)]).reshape(16, 24, 2)
    np.testing.assert_allclose(np.stack([x, y], -1) + 0.5, theirs, atol=1e-3)
    assert valid.mean() > 0.5
    assert np.abs(theirs - np.stack([columns, rows], -1)).max() > 0.05  # it does bend
    # And back again.
    parts = np.moveaxis(straight_pixels(view), -1, 0)
    there = np.dstack(
        [cv2.remap(part, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for part in parts]
    )
    inner = (slice(3, -3), slice(3, -3))
    grid = np.stack([columns, rows], -1) - 0.5
    np.testing.assert_allclose(there[inner], grid[inner], atol=0.1)


def test_the_rational_model_folds_where_its_slope_ends(made_up):
    camera = made_up.camera(0, 0)
    lenses = {
        False: (-0.3, 0.02, 0, 0, 0.01, 0.1, 0.05, 0.02),
        True: (-0.2, 0.01, 0, 0),
    }
    for fisheye, k in lenses.items():
        fold = np.sqrt(fold2(View("v", "unused", camera, k, fisheye)))
        r = np.linspace(0, 1.5 * fold, 200_001)
        if fisheye:
            bent = r * (1 + sum(c * r ** (2 * i + 2) for i, c in enumerate(k)))
        else:
            top = 1 + k[0] * r**2 + k[1] * r**4 + k[4] * r**6
            bent = r * top / (1 + k[5] * r**2 + k[6] * r**4 + k[7] * r**6)
        falling = r[1:][np.diff(bent) < 0]
        assert falling[0] == pytest.approx(fold, rel=1e-4)


def test_unsupported_models_and_unused_ones(text):
    edit_text(text, "cameras", lambda t: t + "99 FOV 24 16 80 80 12 8 0.5\n")
    assert len(read_colmap(text).views) == 6  # no photo was taken by it
    edit_text(
        text,
        "cameras",
        lambda t: t.replace("10 PINHOLE", "10 FOV").replace(
            "\n10 FOV 24 16 ", "\n10 FOV 24 16 0.5 "
        ),
    )
    with pytest.raises(CaptureError, match=r"cameras\.txt: camera 10: .* FOV .*image_undis"):
        read_colmap(text)


@pytest.mark.parametrize("binary", [False, True])
def test_models_that_colmap_itself_writes(tmp_path, solved, photos, binary):
    """With rigs, frames and tracks; the photos have a space in their names."""
    pycolmap = pytest.importorskip("pycolmap", reason="it writes the model")
    rig, points = solved
    model = pycolmap.Reconstruction()
    (tmp_path / "images").mkdir()
    (tmp_path / "sparse").mkdir()
    for i, (camera, photo) in enumerate(zip(rig, photos, strict=True), 1):
        k = camera.intrinsics
        model.add_camera_with_trivial_rig(
            pycolmap.Camera(
                camera_id=i,
                model="OPENCV",
                width=camera.width,
                height=camera.height,
                params=[k[0, 0], k[1, 1], k[0, 2], k[1, 2], 0.1, 0.02, 0.001, -0.002],
            )
        )
        name = f"view {i}.png"  # a name with a space
        Image.fromarray(photo).save(tmp_path / "images" / name)
        seen = pycolmap.Point2DList([pycolmap.Point2D(xy) for xy in camera.project(points)])
        model.add_image_with_trivial_frame(
            pycolmap.Image(image_id=i, camera_id=i, name=name, points2D=seen),
            pycolmap.Rigid3d(camera.view_matrix[:3]),
        )
    for j, point in enumerate(points):
        elements = [pycolmap.TrackElement(i, j) for i in range(1, 7)]
        model.add_point3D(point, pycolmap.Track(elements))
    (model.write_binary if binary else model.write_text)(str(tmp_path / "sparse"))
    assert (tmp_path / f"sparse/rigs.{'bin' if binary else 'txt'}").exists()
    capture = read_colmap(tmp_path)
    assert capture.names == tuple(f"view {i}" for i in range(1, 7))
    assert capture.views[0].distortion == (0.1, 0.02, 0.001, -0.002, 0.0)
    for camera, true in zip(capture.cameras, rig, strict=True):
        np.testing.assert_allclose(
            camera.project(capture.points), true.project(points), rtol=0, atol=1e-6
        )


def test_the_model_with_most_photos_is_read_and_the_rest_is_told(colmap, photos, solved, made_up):
    rig, points = solved
    binary = (colmap / "sparse/0/images.bin").is_file()
    shutil.move(colmap / "sparse/0", colmap / "sparse/2")
    for number, chosen in (("0", (3, 0, 5)), ("1", (1, 2)), ("10", (4, 5))):
        cameras, shots = {}, []
        for i in chosen:
            k = rig[i].intrinsics
            values = [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]
            cameras[i + 1] = ("PINHOLE", rig[i].width, rig[i].height, values)
            shots.append((f"frame_{i + 1}.png", i + 1, rig[i].rotation, rig[i].translation))
        made_up.model(colmap / "sparse" / number, cameras, shots, points, binary)
    (colmap / "images/more").mkdir()
    for name in ("frame_7.png", "more/frame_1.png"):
        Image.fromarray(photos[0]).save(colmap / "images" / name)
    capture = open_capture(colmap)
    assert len(capture.views) == 6 and capture.parameters[0].parent.name == "2"
    models, lost = capture.notes
    assert "sparse/2 with 6 photos" in models
    assert "sparse/0 (3 photos), sparse/1 (2 photos), sparse/10 (2 photos)" in models
    assert "2 photos have no camera" in lost and "frame_7.png, more/frame_1.png" in lost
    told = {p.what for p in inspect_capture(colmap).problems if p.level == "note"}
    assert set(capture.notes) < told
    shutil.rmtree(colmap / "sparse/2")
    assert open_capture(colmap).parameters[0].parent.name == "0"


def test_nothing_is_told_where_nothing_is_left_out(colmap):
    assert read_colmap(colmap).notes == ()
