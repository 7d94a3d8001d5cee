import os
import shutil

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    NORMAL_EXTENT,
    angles,
    common_focus,
    open_capture,
    prepare,
    read_nerfstudio,
    scene_extent,
    undistortion_maps,
    write_points,
)

NAN = float("nan")
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture
def transforms(nerfstudio):
    return nerfstudio / "transforms.json"


def each_frame(change):
    def edit(table):
        for frame in table["frames"]:
            change(frame)

    return edit


def test_cameras_are_the_same_rig_normalised(nerfstudio, cameras, photos):
    capture = read_nerfstudio(nerfstudio)
    assert (capture.frame, capture.source, capture.subject) == ("arbitrary", "nerfstudio", "phone")
    assert list(capture.names) == [f"frame_{i}" for i in range(1, 7)]
    assert angles(capture) is None
    np.testing.assert_allclose(common_focus(capture.cameras), 0, atol=1e-9)
    assert scene_extent(capture.cameras, np.zeros(3)) == pytest.approx(NORMAL_EXTENT)
    focus = common_focus(cameras)
    points = np.random.default_rng(0).normal(0, 0.05, (20, 3))
    for read, true in zip(capture.cameras, cameras, strict=True):
        np.testing.assert_allclose(
            read.project(capture.scale * (points - focus)), true.project(points), atol=1e-7
        )
        assert (read.width, read.height) == (true.width, true.height)
    np.testing.assert_array_equal(prepare(capture, 24).images[0, 4:20], photos[0])


def test_global_intrinsics_serve_frames_without_their_own(nerfstudio, transforms, edit):
    def lift(table):
        table |= {"w": 24, "h": 16, "fl_x": 80.0, "fl_y": 70.0, "cx": 11.0, "cy": 8.5}
        table["frames"] = [f for f in table["frames"] if f["w"] == 24]
        for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
            for frame in table["frames"][1:]:
                del frame[key]

    edit(transforms, lift)
    first, *others = (camera.intrinsics for camera in read_nerfstudio(nerfstudio).cameras)
    assert first[0, 0] != 80
    for k in others:
        np.testing.assert_array_equal(k, [[80, 0, 11], [0, 70, 8.5], [0, 0, 1]])


def test_what_is_left_out_follows_from_the_photo(nerfstudio, transforms, edit):
    def strip(frame):
        for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
            del frame[key]

    edit(transforms, lambda t: (each_frame(strip)(t), t.update(camera_angle_x=0.5)))
    for camera in read_nerfstudio(nerfstudio).cameras:
        w, h, focal = camera.width, camera.height, camera.width / 2 / np.tan(0.25)
        np.testing.assert_allclose(
            camera.intrinsics, [[focal, 0, w / 2], [0, focal, h / 2], [0, 0, 1]]
        )


def test_distortion_of_the_file_and_of_a_frame(nerfstudio, transforms, edit):
    def distort(table):
        table |= {"k1": 0.1, "k2": 0.2, "p1": 0.01, "p2": 0.02, "k3": 0.3}
        table["frames"][0]["k1"] = -0.1

    edit(transforms, distort)
    views = read_nerfstudio(nerfstudio).views
    assert views[0].distortion == (-0.1, 0.2, 0.01, 0.02, 0.3)
    assert views[1].distortion == (0.1, 0.2, 0.01, 0.02, 0.3)


def test_missing_photos_are_named_in_one_error(nerfstudio):
    for i in (2, 5):
        (nerfstudio / f"images/frame_{i}.png").unlink()
    with pytest.raises(CaptureError, match=r"transforms\.json: 2 of 6 .* frame_2\.png, frame_5"):
        read_nerfstudio(nerfstudio)


def test_the_suffix_and_the_dot_may_be_left_out(nerfstudio, transforms, edit):
    edit(transforms, each_frame(lambda f: f.update(file_path=f["file_path"][2:-4])))
    capture = read_nerfstudio(nerfstudio)
    assert capture.views[0].image == nerfstudio / "images/frame_1.png"
    assert capture.names[0] == "frame_1"


def test_equal_stems_in_two_folders_get_two_names(nerfstudio, transforms, edit):
    (nerfstudio / "right").mkdir()
    shutil.move(nerfstudio / "images/frame_2.png", nerfstudio / "right/frame_1.png")
    edit(transforms, lambda t: t["frames"][1].update(file_path="right/frame_1.png"))
    names = read_nerfstudio(nerfstudio).names
    assert {"images_frame_1", "right_frame_1"} < set(names)
    assert len(set(names)) == 6


def test_one_photo_twice_is_refused(nerfstudio, transforms, edit):
    edit(transforms, lambda t: t["frames"].append(t["frames"][0]))
    with pytest.raises(CaptureError, match="used twice"):
        read_nerfstudio(nerfstudio)


FAULTS = {
    "a model of no kind": (lambda t: t.update(camera_model=["OPENCV"]), r"\['OPENCV'\] is not"),
    "a flag against the model": (lambda t: t.update(is_fisheye=True), "is_fisheye contradicts"),
    "division model": (lambda t: t.update(camera_model="FISHEYE624"), "FISHEYE624"),
    "points are a number": (lambda t: t.update(ply_file_path=3), "ply_file_path is 3"),
    "head without scale": (lambda t: t.update(labelsplat_head={}), "'scale' is missing"),
    "head of size zero": (lambda t: t.update(labelsplat_head={"scale": 0}), "should be positive"),
    "head is text": (lambda t: t.update(labelsplat_head="here"), "should be an object"),
    "panorama": (lambda t: t["frames"][2].update(camera_model="EQUIRECTANGULAR"), "EQUIRECT"),
    "fourth coefficient": (lambda t: t.update(k4=0.1), "k4"),
    "no frames": (lambda t: t.pop("frames"), "'frames' is missing"),
    "empty frames": (lambda t: t.update(frames=[]), "no usable view"),
    "one frame": (lambda t: t.update(frames=t["frames"][:1]), "single view"),
    "frames of text": (lambda t: t.update(frames=["a"]), "list of objects"),
    "no pose": (lambda t: t["frames"][1].pop("transform_matrix"), "transform_matrix"),
    "NaN pose": (lambda t: t["frames"][1].update(transform_matrix=[[NAN] * 4] * 4), "nan"),
    "no path": (lambda t: t["frames"][1].pop("file_path"), "file_path"),
    "path is a number": (lambda t: t["frames"][1].update(file_path=3), "file_path"),
    "no focal": (lambda t: t["frames"][1].pop("fl_x"), "no focal length"),
    "negative focal": (lambda t: t["frames"][1].update(fl_x=-80.0), "focal length in x"),
    "no angle": (
        each_frame(lambda f: (f.pop("fl_x"), f.update(camera_angle_x=0))),
        "camera_angle_x is 0 radians",
    ),
    "swapped sizes": (each_frame(lambda f: f.update(w=f["h"], h=f["w"])), "swapped"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(nerfstudio, transforms, edit, fault):
    change, words = FAULTS[fault]
    edit(transforms, change)
    with pytest.raises(CaptureError, match=words) as caught:
        read_nerfstudio(nerfstudio)
    assert str(nerfstudio) in str(caught.value)


def transpose(pose):
    pose = pose.copy()
    pose[:3, :3] = pose[:3, :3].T
    return pose


@pytest.mark.parametrize(
    "model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"]
)
def test_pinhole_models_of_the_file_or_of_a_frame(nerfstudio, transforms, edit, model):
    edit(transforms, lambda t: t.update(camera_model="OPENCV_FISHEYE", k1=0.1))
    edit(transforms, each_frame(lambda f: f.update(camera_model=model)))
    for view in read_nerfstudio(nerfstudio).views:
        assert (view.fisheye, view.distortion) == (False, (0.1, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize("flag", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_fisheyes_are_undistorted_as_opencv_projects(nerfstudio, transforms, edit, flag):
    k = {"k1": 0.9, "k2": -1.5, "k3": 0.4, "k4": 0.6}

    def change(table):
        table.pop("camera_model")
        table |= flag | k

    edit(transforms, change)
    capture = read_nerfstudio(nerfstudio)
    view = capture.views[0]
    assert (view.fisheye, view.distortion) == (True, tuple(k.values()))
    x, y, valid = undistortion_maps(view)
    own = view.camera.intrinsics
    rows, columns = np.mgrid[: view.camera.height, : view.camera.width] + 0.5
    # By the formulas of the fisheye model: the angle to the axis, bent, goes along the radius.
    a, b = (columns - own[0, 2]) / own[0, 0], (rows - own[1, 2]) / own[1, 1]
    radius = np.hypot(a, b)
    angle = np.arctan(radius)
    bent = angle * (1 + sum(c * angle ** (2 * i + 2) for i, c in enumerate(k.values())))
    np.testing.assert_allclose(x, own[0, 0] * bent * a / radius + own[0, 2] - 0.5, atol=1e-3)
    np.testing.assert_allclose(y, own[1, 1] * bent * b / radius + own[1, 2] - 0.5, atol=1e-3)
    assert prepare(capture, 24).valid[0].sum() == valid.sum()
    edit(transforms, lambda t: [t.pop(key) for key in k])
    assert read_nerfstudio(nerfstudio).views[0].distortion == (0, 0, 0, 0)


def test_sparse_points_come_along(nerfstudio, transforms, edit, cameras, made_up):
    write_points(nerfstudio / "sparse_pc.ply", made_up.sparse)
    turn = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]  # how the tool turned both; nothing to undo
    edit(transforms, lambda t: t.update(ply_file_path="sparse_pc.ply", applied_transform=turn))
    capture = read_nerfstudio(nerfstudio)
    for camera, true in zip(capture.cameras, cameras, strict=True):
        pixels = true.project(made_up.sparse)
        np.testing.assert_allclose(camera.project(capture.points), pixels, atol=1e-7)
    assert nerfstudio / "sparse_pc.ply" in capture.parameters
    (nerfstudio / "sparse_pc.ply").write_text("ply")
    with pytest.raises(CaptureError, match=r"sparse_pc\.ply: not a PLY"):
        read_nerfstudio(nerfstudio)


MISREADINGS = {
    "OpenCV axes": lambda pose: pose @ FLIP,
    "world-to-camera, OpenGL axes": np.linalg.inv,
    "world-to-camera, OpenCV axes": lambda pose: np.linalg.inv(pose @ FLIP),
    "transposed rotation": transpose,
}


@pytest.mark.parametrize("name", MISREADINGS)
def test_misread_conventions_are_caught(nerfstudio, transforms, edit, name):
    # A world that is not the head's, as a structure-from-motion solver gives it.
    turn = np.eye(4)
    turn[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    turn[:3, 3] = [0.8, -0.5, 0.4]

    def move(frame):
        frame["transform_matrix"] = (turn @ np.array(frame["transform_matrix"])).tolist()

    def misread(frame):
        frame["transform_matrix"] = MISREADINGS[name](np.array(frame["transform_matrix"])).tolist()

    edit(transforms, each_frame(move))
    read_nerfstudio(nerfstudio)
    edit(transforms, each_frame(misread))
    with pytest.raises(CaptureError, match="convention"):
        read_nerfstudio(nerfstudio)


@pytest.mark.skipif(
    not os.environ.get("LABELSPLAT_REAL_CAPTURE"),
    reason="LABELSPLAT_REAL_CAPTURE does not name the folder of a real nerfstudio capture",
)
def test_a_real_capture_opens(edit, tmp_path):
    folder = os.environ["LABELSPLAT_REAL_CAPTURE"]
    capture = open_capture(folder)
    prepared = prepare(capture, 64)
    assert len(prepared.names) == len(capture.views) >= 2
    focus = np.array([camera.project(np.zeros(3)) for camera in prepared.cameras])
    assert ((focus > 0) & (focus < 64)).all()
    assert prepared.valid.mean() > 0.5
    # The same photos with poses that pretend to have OpenCV axes are refused.
    for view in capture.views:
        Image.new("RGB", (view.camera.width, view.camera.height)).save(tmp_path / view.image.name)
    shutil.copy(os.path.join(folder, "transforms.json"), tmp_path)

    def wrong_axes(frame):
        frame["file_path"] = os.path.basename(frame["file_path"])
        frame["transform_matrix"] = (np.array(frame["transform_matrix"]) @ FLIP).tolist()

    edit(tmp_path / "transforms.json", each_frame(wrong_axes))
    with pytest.raises(CaptureError, match="BEHIND"):
        read_nerfstudio(tmp_path)


def test_a_frames_angle_of_view_goes_before_the_files_focal_length(nerfstudio, transforms, edit):
    def change(table):
        table |= {"fl_x": 80.0, "fl_y": 70.0}
        for frame in table["frames"]:
            del frame["fl_x"], frame["fl_y"]
        table["frames"][1]["camera_angle_x"] = 0.5
        table["frames"][4] |= {"fl_x": 60.0}

    edit(transforms, change)
    focals = [np.diag(c.intrinsics)[:2] for c in read_nerfstudio(nerfstudio).cameras]
    own = 24 / 2 / np.tan(0.25)
    expected = [(80, 70), (own, own), (80, 70), (80, 70), (60, 60), (80, 70)]
    np.testing.assert_allclose(focals, expected)
