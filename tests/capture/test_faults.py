"""Damaged captures: each ends in one CaptureError that names the file, never in another error."""

import json
from dataclasses import replace

import numpy as np
import pytest

from labelsplat.base import CaptureError
from labelsplat.capture import (
    check_camera,
    check_rig,
    open_capture,
    orbit_camera,
    poses,
    prepare,
    read_facescape,
    read_nerfstudio,
    write_facescape,
)

SUBJECT = "7/1_neutral"
NAN = float("nan")


def change_matrix(key, change):
    def edit(table):
        matrix = np.array(table[key], float)
        table[key] = change(matrix).tolist()

    return edit


def put(matrix, row, column, value):
    matrix[row, column] = value
    return matrix


DAMAGES = {
    "missing key K": (lambda t: t.pop("1_K"), "1_K"),
    "missing key Rt": (lambda t: t.pop("1_Rt"), "1_Rt"),
    "missing key distortion": (lambda t: t.pop("1_distortion"), "1_distortion"),
    "missing key width": (lambda t: t.pop("1_width"), "1_width"),
    "missing key valid": (lambda t: t.pop("1_valid"), "1_valid"),
    "NaN in K": (change_matrix("1_K", lambda m: put(m, 0, 0, NAN)), "1_K is nan"),
    "infinity in Rt": (change_matrix("1_Rt", lambda m: put(m, 0, 3, np.inf)), "1_Rt is inf"),
    "NaN in distortion": (lambda t: t.update({"1_distortion": [NAN] * 5}), "1_distortion is nan"),
    "K of two rows": (lambda t: t.update({"1_K": t["1_K"][:2]}), "3x3 or 4x4"),
    "ragged Rt": (lambda t: t["1_Rt"][0].pop(), "3x4 or 4x4"),
    "K is text": (lambda t: t.update({"1_K": "focal"}), "1_K"),
    "K is null": (lambda t: t.update({"1_K": None}), "1_K"),
    "text in K": (lambda t: t["1_K"][0].__setitem__(0, "35mm"), "'35mm'"),
    "three coefficients": (lambda t: t.update({"1_distortion": [0, 0, 0]}), "1_distortion"),
    "valid is text": (lambda t: t.update({"1_valid": "yes"}), "1_valid"),
    "width of a half pixel": (lambda t: t.update({"1_width": 24.5}), "1_width"),
    "width of zero": (lambda t: t.update({"1_width": 0}), "1_width"),
    "width is true": (lambda t: t.update({"1_width": True}), "1_width"),
    "swapped sizes": (lambda t: t.update({"1_width": 16, "1_height": 24}), "swapped"),
    "other size": (lambda t: t.update({"1_width": 48, "1_height": 32}), "24 x 16"),
    "reflection": (change_matrix("1_Rt", lambda m: m * [[1], [1], [-1]]), "reflection"),
    "scaled rotation": (change_matrix("1_Rt", lambda m: 2 * m), "orthonormal"),
    "sheared rotation": (change_matrix("1_Rt", lambda m: m + 0.01), "orthonormal"),
    "negative focal": (change_matrix("1_K", lambda m: put(m, 0, 0, -m[0, 0])), "focal length in x"),
    "no focal": (change_matrix("1_K", lambda m: put(m, 1, 1, 0)), "focal length in y"),
    "focal in metres": (change_matrix("1_K", lambda m: put(m, 0, 0, 0.035)), "focal length in x"),
    "absurd focal": (change_matrix("1_K", lambda m: put(m, 0, 0, 1e8)), "focal length in x"),
    "absurd number": (change_matrix("1_Rt", lambda m: put(m, 0, 3, 1e300)), "no camera has"),
    "principal point": (change_matrix("1_K", lambda m: put(m, 0, 2, 500)), "principal point cx"),
    "transposed K": (change_matrix("1_K", np.transpose), "upper triangular"),
    "skew": (change_matrix("1_K", lambda m: put(m, 0, 1, 5.0)), "skew"),
    "one view left": (lambda t: [t.update({f"{i}_valid": False}) for i in range(1, 6)], "single"),
    "no view left": (lambda t: [t.update({f"{i}_valid": False}) for i in range(6)], "none of"),
    "no views": (lambda t: t.clear(), "no views"),
    "a view without photo": (lambda t: t.update({k.replace("1_", "77_"): v for k, v in [*t.items()]
                                                 if k.startswith("1_")}), r"77\.jpg"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_parameters(facescape, params, edit, damage):
    change, words = DAMAGES[damage]
    edit(params, change)
    with pytest.raises(CaptureError, match=words) as caught:
        read_facescape(facescape, SUBJECT)
    assert str(facescape / SUBJECT) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[1, 2]", "object"),
        (b"\xff\xfe\x00", "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"0_K": 1, "0_K": 2}', "twice"),
        (b'{"0_width": 1' + b"0" * 5000 + b"}", "JSON"),
    ],
)
def test_broken_json(facescape, params, content, words):
    params.write_bytes(content)
    with pytest.raises(CaptureError, match=words) as caught:
        read_facescape(facescape, SUBJECT)
    assert str(params) in str(caught.value)


def test_truncated_json(facescape, params):
    params.write_text(params.read_text()[:-200])
    with pytest.raises(CaptureError, match="JSON"):
        read_facescape(facescape, SUBJECT)


def test_missing_photos_are_named_in_one_error(facescape):
    for name in ("1", "4"):
        (facescape / SUBJECT / f"{name}.jpg").unlink()
    with pytest.raises(CaptureError, match=r"2 of 6 photos are missing: 1\.jpg, 4\.jpg"):
        read_facescape(facescape, SUBJECT)


def test_a_photo_that_is_no_image(facescape):
    (facescape / SUBJECT / "3.jpg").write_text("no image")
    with pytest.raises(CaptureError, match=r"3\.jpg: not a readable image"):
        read_facescape(facescape, SUBJECT)


def test_a_truncated_photo(facescape):
    photo = facescape / SUBJECT / "3.jpg"
    photo.write_bytes(photo.read_bytes()[:-40])
    capture = read_facescape(facescape, SUBJECT)
    with pytest.raises(CaptureError, match=r"3\.jpg: the photo cannot be read .*truncated"):
        prepare(capture, 16)


def test_empty_and_missing_folders(tmp_path):
    with pytest.raises(CaptureError, match=r"empty.*transforms\.json.*params\.json"):
        open_capture(tmp_path)
    with pytest.raises(CaptureError, match="no such folder"):
        open_capture(tmp_path / "nowhere")


def test_one_single_view(tmp_path, photos, cameras):
    write_facescape(tmp_path, SUBJECT, ["0"], photos[:1], cameras[:1])
    with pytest.raises(CaptureError, match="one single view"):
        open_capture(tmp_path)


FLIP = np.diag([1.0, -1.0, -1.0])

MISREADINGS = {
    "OpenGL axes": lambda c: replace(
        c, rotation=FLIP @ c.rotation, translation=FLIP @ c.translation
    ),
    "transposed rotation": lambda c: replace(c, rotation=c.rotation.T),
    "camera-to-world": lambda c: replace(c, rotation=c.rotation.T, translation=c.centre),
    "camera-to-world, OpenGL axes": lambda c: replace(
        c, rotation=c.rotation.T @ FLIP, translation=c.centre
    ),
    "negated translation": lambda c: replace(c, translation=-c.translation),
}  # fmt: skip


@pytest.mark.parametrize("name", MISREADINGS)
@pytest.mark.parametrize("seed", range(8))
def test_misread_conventions_are_caught(tmp_path, names, photos, cameras, edit, name, seed):
    write_facescape(tmp_path, SUBJECT, names, photos, cameras, seed)

    def misread(table):
        for i, camera in enumerate(cameras):
            rt = np.array(table[f"{i}_Rt"])
            camera = MISREADINGS[name](replace(camera, rotation=rt[:, :3], translation=rt[:, 3]))
            table[f"{i}_Rt"] = camera.view_matrix[:3].tolist()

    edit(tmp_path / SUBJECT / "params.json", misread)
    with pytest.raises(CaptureError, match=r"params\.json.*convention") as caught:
        read_facescape(tmp_path, SUBJECT)
    # Turned axes leave the rig as it is, but behind the cameras.
    assert "BEHIND 6 of 6" in str(caught.value) or name != "OpenGL axes"


def test_loosely_aimed_rigs_are_not_accused():
    """Aim off by 5 cm at 1.15 m, a third of the half picture: still nobody's misreading."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        turn = orbit_camera(rng.uniform(-180, 180), rng.uniform(-80, 80), 1, 20, 8).rotation
        for name in ("standard", "capture", "test"):
            rig = [
                orbit_camera(*pose, 1.15, 16.5, 64, rng.normal(0, 0.03, 3)).transformed(
                    turn, np.array([1.0, 2.0, -3.0]), 4.0
                )
                for pose in poses.POSES[name](seed)
            ]
            np.testing.assert_allclose(check_rig(rig, "rig"), [1, 2, -3], atol=0.8)


def test_cameras_that_look_the_same_way_are_refused():
    camera = orbit_camera(0, 0, 1, 20, 32)
    row = [camera.transformed(np.eye(3), np.array([x, 0.0, 0]), 1) for x in (0, 1, 2)]
    with pytest.raises(CaptureError, match="same direction"):
        check_rig(row, "row")


def test_check_camera_accepts_a_camera_and_names_the_place():
    camera = orbit_camera(10, 5, 1, 20, 32)
    check_camera(camera, "here")
    with pytest.raises(CaptureError, match=r"^here: .*NaN"):
        check_camera(replace(camera, translation=np.array([0, NAN, 0])), "here")


def _mutate(value, rng):
    """One random change somewhere inside a JSON value."""
    wild = [None, True, -1, 0, NAN, float("inf"), 1e300, 10**400, "x", "", [], [[]], {}, "\ud800"]
    if isinstance(value, dict | list) and len(value) and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = keys[rng.integers(len(keys))]
        action = rng.random()
        if action < 0.15:
            del value[key]
        elif action < 0.25 and isinstance(value, dict):
            value[str(key) + "y" * int(rng.choice([1, 400]))] = value.pop(key)
        elif action < 0.35 and isinstance(value, list):
            value.append(value[key])
        else:
            value[key] = _mutate(value[key], rng)
        return value
    if isinstance(value, float) and rng.random() < 0.5:
        return value * float(rng.choice([-1, 1e-9, 1e9, 1.01]))
    return wild[rng.integers(len(wild))]


def test_random_damage_ends_in_a_capture_or_a_capture_error(facescape, params, nerfstudio):
    transforms = nerfstudio / "transforms.json"
    alignment = facescape / "Rt_scale_dict.json"
    doors = {
        params: lambda: read_facescape(facescape, SUBJECT),
        alignment: lambda: read_facescape(facescape, SUBJECT),
        transforms: lambda: read_nerfstudio(nerfstudio),
    }
    outcomes = {True: 0, False: 0}
    for path, read in doors.items():
        text = path.read_text()
        for seed in range(120):
            rng = np.random.default_rng(seed)
            path.write_text(json.dumps(_mutate(json.loads(text), rng)))
            try:
                prepare(read(), 8)
                outcomes[True] += 1
            except CaptureError as error:
                outcomes[False] += 1
                assert str(path.parent) in str(error)
        path.write_text(text)
    assert min(outcomes.values()) > 20
