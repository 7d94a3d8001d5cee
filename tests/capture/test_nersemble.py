import json
import shutil

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    NORMAL_EXTENT,
    detect_source,
    list_nersemble,
    list_subjects,
    open_capture,
    orbit_camera,
    read_nersemble,
    scene_extent,
)
from labelsplat.capture.source import capture_files

SUBJECT = "030/EXP-1-head"
POSES = [(-60, 0), (-20, 10), (15, -5), (50, 20)]
SMALL = (22, 32)  # a hundredth of 2200 x 3208, up to a whole pixel


@pytest.fixture
def rig():
    square = [orbit_camera(yaw, pitch, 1.1, 16, 2200) for yaw, pitch in POSES]
    return [c.padded(0, 504, 2200, 3208) for c in square]


@pytest.fixture
def nersemble(tmp_path, rig, made_up):
    scale, rotation, translation = made_up.world()
    moved = [camera.transformed(rotation, translation, scale) for camera in rig]
    person = tmp_path / "nersemble/030"
    (person / "calibration").mkdir(parents=True)
    table = {
        "world_2_cam": {f"22220003{i}": c.view_matrix.tolist() for i, c in enumerate(moved)},
        "intrinsics": rig[0].intrinsics.tolist(),
    }
    (person / "calibration/camera_params.json").write_text(json.dumps(table))
    photo = Image.fromarray(made_up.photo(rig[0].resized(*SMALL)))
    for sequence in ("EXP-1-head", "FREE"):
        images = person / "sequences" / sequence / "images"
        images.mkdir(parents=True)
        for step in (0, 3, 12):
            for i in range(4):
                if step or i != 2:  # at first one camera was late
                    photo.save(images / f"cam_22220003{i}_{step:05d}.jpg")
    return person.parent


@pytest.fixture
def calibration(nersemble):
    return nersemble / "030/calibration/camera_params.json"


def test_cameras_are_the_same_rig_with_scaled_intrinsics(nersemble, rig):
    capture = read_nersemble(nersemble, SUBJECT)
    assert (capture.source, capture.frame, capture.subject) == ("nersemble", "arbitrary", SUBJECT)
    assert capture.names == tuple(f"22220003{i}" for i in range(4))
    assert scene_extent(capture.cameras, np.zeros(3)) == pytest.approx(NORMAL_EXTENT)
    for camera, true in zip(capture.cameras, rig, strict=True):
        assert (camera.width, camera.height) == SMALL
        np.testing.assert_allclose(
            camera.intrinsics, true.resized(*SMALL).intrinsics, rtol=0, atol=1e-9
        )
    gaps = [
        np.linalg.norm(np.diff([c.centre for c in cameras], axis=0), axis=1)
        for cameras in (capture.cameras, rig)
    ]
    np.testing.assert_allclose(gaps[0] / gaps[1], gaps[0][0] / gaps[1][0])


def test_the_moment_is_the_first_that_most_cameras_show(nersemble):
    assert all("_00003" in v.image.name for v in read_nersemble(nersemble, SUBJECT).views)
    later = read_nersemble(nersemble, f"{SUBJECT}@12")
    assert all("_00012" in view.image.name for view in later.views)
    assert later.subject == f"{SUBJECT}@12"
    assert read_nersemble(nersemble, SUBJECT, 0).names == tuple(f"22220003{i}" for i in (0, 1, 3))
    with pytest.raises(CaptureError, match=r"no photos of timestep 7.*0 to 12"):
        read_nersemble(nersemble, SUBJECT, 7)
    with pytest.raises(CaptureError, match="'last' is no timestep"):
        read_nersemble(nersemble, f"{SUBJECT}@last")


def test_the_door(nersemble, calibration):
    assert detect_source(nersemble) == detect_source(nersemble / "030") == "nersemble"
    assert list_nersemble(nersemble) == list_subjects("auto", nersemble) == [SUBJECT, "030/FREE"]
    assert list_subjects("nersemble", nersemble, [f"{SUBJECT}@12"]) == [f"{SUBJECT}@12"]
    with pytest.raises(CaptureError, match="no subject '030/SEN-1@2'"):
        list_subjects("nersemble", nersemble, ["030/SEN-1@2"])
    capture = open_capture(nersemble / "030", "030/FREE@3")
    assert calibration.resolve() in {path.resolve() for path in capture_files(capture)}
    with pytest.raises(CaptureError, match="2 subjects, which one"):
        open_capture(nersemble)


FAULTS = {
    "no intrinsics": (lambda t: t.pop("intrinsics"), "'intrinsics' is missing"),
    "intrinsics of 4x4": (lambda t: t.update(intrinsics=np.eye(4).tolist()), "3x3"),
    "a list of poses": (lambda t: t.update(world_2_cam=[]), "object of matrices"),
    "an unknown camera": (lambda t: t["world_2_cam"].pop("222200031"), "calibration: 222200031"),
    "a short pose": (
        lambda t: t["world_2_cam"]["222200031"].__delitem__(slice(2)),
        "world_2_cam of 222200031",
    ),
    "negative focal": (lambda t: t["intrinsics"][0].__setitem__(0, -9000.0), "focal length"),
    "reflection": (
        lambda t: t["world_2_cam"].update({"222200031": np.diag([1.0, 1, -1, 1]).tolist()}),
        "reflection",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(nersemble, calibration, edit, fault):
    change, words = FAULTS[fault]
    edit(calibration, change)
    with pytest.raises(CaptureError, match=words) as caught:
        read_nersemble(nersemble, SUBJECT)
    assert str(calibration) in str(caught.value)


def test_turned_photos_and_videos_are_refused(nersemble, rig, made_up):
    images = nersemble / "030/sequences/FREE/images"
    turned = made_up.photo(rig[0].resized(*SMALL)).transpose(1, 0, 2)
    Image.fromarray(turned).save(images / "cam_222200031_00003.jpg")
    with pytest.raises(CaptureError, match="32 x 22, its intrinsics are for 2200 x 3208"):
        read_nersemble(nersemble, "030/FREE")
    shutil.rmtree(images)
    images.mkdir()
    (images / "cam_222200031.mp4").write_bytes(b"video")
    with pytest.raises(CaptureError, match=r"videos, but no photos.*ffmpeg"):
        read_nersemble(nersemble, "030/FREE")
