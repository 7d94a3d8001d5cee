"""Damaged camera files, by named operators: a valid capture or a CaptureError that names the file.

Four formats, some with several files. Operators on VALUES change what a file says before it is
written; operators on FILES damage the bytes that were written.
"""

import itertools
import json
import signal
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import check_capture, open_capture, prepare

NAN, INF = float("nan"), float("inf")
SEEDS = range(7)
FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass
class Shot:
    """One view as its file says it; ``pose`` is 3x4 in the file's own convention."""

    name: str
    pose: np.ndarray
    focal: np.ndarray
    centre: np.ndarray
    size: list
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(4))


def write_facescape_files(folder, shots, made_up):
    table = {}
    for shot in shots:
        k = [[shot.focal[0], 0, shot.centre[0] - 0.5], [0, shot.focal[1], shot.centre[1] - 0.5]]
        values = {
            "K": [*k, [0, 0, 1]],
            "Rt": shot.pose.tolist(),
            "distortion": [*shot.distortion.tolist(), 0.0],
            "width": shot.size[0],
            "height": shot.size[1],
            "valid": True,
        }
        table |= {f"{shot.name}_{key}": value for key, value in values.items()}
    (folder / "params.json").write_text(json.dumps(table))


def write_nerfstudio_files(folder, shots, made_up):
    frames = []
    for shot in shots:
        numbers = (
            *shot.size,
            *shot.focal.tolist(),
            *shot.centre.tolist(),
            *shot.distortion.tolist(),
        )
        keys = ("w", "h", "fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")
        frame = {"file_path": f"images/{shot.name}.png", "transform_matrix": shot.pose.tolist()}
        frames.append(frame | dict(zip(keys, numbers, strict=True)))
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))


def write_colmap_files(binary):
    def write(folder, shots, made_up):
        cameras, images = {}, []
        for i, shot in enumerate(shots, 1):
            numbers = [*shot.focal, *shot.centre, *shot.distortion]
            cameras[i] = ("OPENCV", *shot.size, numbers)
            images.append((f"{shot.name}.png", i, shot.pose[:, :3], shot.pose[:, 3]))
        points = np.random.default_rng(0).normal(size=(5, 3))
        made_up.model(folder / "sparse/0", cameras, images, points, binary)

    return write


FORMATS = {
    "params.json": write_facescape_files,
    "transforms.json": write_nerfstudio_files,
    "text": write_colmap_files(False),
    "binary": write_colmap_files(True),
}
JSON = ("params.json", "transforms.json")


def make_shots(kind, rig):
    shots = []
    for i, camera in enumerate(rig):
        pose = camera.view_matrix[:3]
        if kind == "transforms.json":
            pose = np.column_stack([camera.rotation.T @ FLIP, camera.centre])
        k = camera.intrinsics
        shots.append(
            Shot(str(i), pose, k[[0, 1], [0, 1]], k[:2, 2].copy(), [camera.width, camera.height])
        )
    return shots


@pytest.fixture
def place(tmp_path, photos, cameras, made_up):
    """``place(kind, seed)``: folder of photos, and what its camera file is to say."""

    def make(kind, seed=0):
        if kind in ("text", "binary"):
            pytest.importorskip("pycolmap", reason="COLMAP models are read by pycolmap")
        folder = tmp_path / kind.partition(".")[0]
        inner = folder if kind == "params.json" else folder / "images"
        inner.mkdir(parents=True, exist_ok=True)
        for i, photo in enumerate(photos):
            if not (inner / f"{i}.png").exists():
                Image.fromarray(photo).save(inner / f"{i}.png")
        scale, rotation, translation = made_up.world(seed)
        rig = [camera.transformed(rotation, translation, scale) for camera in cameras]
        return folder, make_shots(kind, rig)

    return make


# Operators on values: some views, drawn at random, say something wrong.


def some(shots, rng):
    return [shots[i] for i in rng.choice(len(shots), rng.integers(1, len(shots) + 1), False)]


def poison(value):
    """Put ``value`` into one number of some views."""

    def change(shots, rng):
        for shot in some(shots, rng):
            target = [shot.pose, shot.focal, shot.centre, shot.distortion, shot.size][
                rng.integers(5)
            ]
            if isinstance(target, list):
                target[rng.integers(2)] = value
            else:
                target.flat[rng.integers(target.size)] = value

    return change


def each(change):
    def apply(shots, rng):
        for shot in some(shots, rng):
            change(shot, rng)

    return apply


def transpose(shot, rng=None):
    shot.pose[:, :3] = shot.pose[:, :3].T.copy()


def reflect(shot, rng=None):
    shot.pose[:, 2 if rng is None else rng.integers(3)] *= -1


def negative_focal(shot, rng=None):
    shot.focal[...] = -shot.focal


def swap_sizes(shot, rng=None):
    shot.size.reverse()


def other_axes(shot, rng=None):
    """A file of OpenCV's camera axes that holds OpenGL's, or the other way round."""
    shot.pose[...] = FLIP @ shot.pose


def other_axes_behind(shot, rng=None):
    shot.pose[:, :3] = shot.pose[:, :3] @ FLIP


def inverse(shot, rng=None):
    rotation = shot.pose[:, :3].T.copy()
    shot.pose[...] = np.column_stack([rotation, -rotation @ shot.pose[:, 3]])


def bend(shot, rng):
    shot.distortion[...] = rng.normal(0, 10.0 ** rng.integers(-1, 7), 4)


def same_name(shots, rng):
    shots[rng.integers(len(shots))].name = shots[rng.integers(len(shots))].name


VALUES = {
    "NaN": poison(NAN),
    "infinity": poison(-INF),
    "absurd number": poison(1e300),
    "zero": poison(0.0),
    "negative number": poison(-7.0),
    "transposed R": each(transpose),
    "det -1": each(reflect),
    "scaled rotation": each(lambda shot, rng: shot.pose.__imul__(rng.choice([0.5, 1.01, 30]))),
    "negative focal": each(negative_focal),
    "swapped sizes": each(swap_sizes),
    "wild distortion": each(bend),
    "duplicate names": same_name,
    "unknown photo": each(lambda shot, rng: setattr(shot, "name", "x" * rng.integers(1, 400))),
    "few views": lambda shots, rng: shots.__delitem__(slice(rng.integers(0, 4), None)),
}


# Operators on files.


def leaves(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*path, key))


def inside(data, rng, act):
    """Act on a random place of a JSON value."""
    table = json.loads(data)
    places = list(leaves(table))
    *path, last = places[rng.integers(len(places))]
    target = table
    for key in path:
        target = target[key]
    act(target, last)
    return json.dumps(table).encode()


def wrong_type(data, rng, kind):
    wild = [None, True, "x", "", [], [[]], {}, 10**400, "\ud800", -1]
    value = wild[rng.integers(len(wild))]
    if kind in JSON:
        return inside(data, rng, lambda target, key: target.__setitem__(key, value))
    if kind == "text":
        words = data.split(b" ")
        words[rng.integers(len(words))] = rng.choice([b"x", b"", b"\0", b"1e999", b"-1"])
        return b" ".join(words)
    at = rng.integers(len(data) - 8)
    return data[:at] + struct.pack("<d", NAN) + data[at + 8 :]


def missing_part(data, rng, kind):
    if kind in JSON:
        return inside(data, rng, lambda target, key: target.pop(key))
    if kind == "text":
        lines = data.split(b"\n")
        del lines[rng.integers(len(lines))]
        return b"\n".join(lines)
    at, length = rng.integers(len(data)), rng.integers(1, 40)
    return data[:at] + data[at + length :]


def doubled_part(data, rng, kind):
    if kind in JSON:
        at = data.index(b"{") + 1
        end = data.index(b",", at)  # a key twice, of which readers keep the last
        return data[:at] + data[at : end + 1] + data[at:] if kind == "params.json" else data + data
    if kind == "text":
        lines = data.split(b"\n")
        at = rng.integers(len(lines))
        return b"\n".join([*lines[: at + 1], *lines[at:]])
    at, length = rng.integers(len(data)), rng.integers(1, 40)
    return data[: at + length] + data[at:]


def flipped_bits(data, rng, kind):
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def huge_count(data, rng, kind):
    if kind == "binary":
        return struct.pack("<Q", 2 ** int(rng.integers(20, 64))) + data[8:]
    return data.replace(b"1", b"1" * int(rng.integers(2, 5000)), int(rng.integers(1, 4)))


FILES = {
    "empty file": lambda data, rng, kind: b"",
    "truncated file": lambda data, rng, kind: data[: rng.integers(1, len(data))],
    "bad encoding": lambda data, rng, kind: data[:9] + b"\xff\xfe\x80" + data[9:],
    "flipped bits": flipped_bits,
    "wrong types": wrong_type,
    "missing part": missing_part,
    "doubled part": doubled_part,
    "huge count": huge_count,
    "another file": lambda data, rng, kind: rng.bytes(int(rng.integers(1, 600))),
    "deep nesting": lambda data, rng, kind: b"[" * 100_000,
}

OPERATORS = VALUES | FILES
CASES = list(itertools.product(OPERATORS, FORMATS, SEEDS))


def camera_files(folder, kind):
    if kind in JSON:
        return [folder / kind]
    end = {"text": ".txt", "binary": ".bin"}[kind]
    return [folder / f"sparse/0/{part}{end}" for part in ("cameras", "images", "points3D")]


@pytest.fixture
def no_hang():
    def late(*_):
        raise TimeoutError("a damaged file keeps its reader busy")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_there_are_many():
    assert len(CASES) >= 500
    assert len(OPERATORS) >= 12


@pytest.mark.parametrize("kind", FORMATS)
def test_the_undamaged_files_open(place, made_up, kind):
    folder, shots = place(kind)
    FORMATS[kind](folder, shots, made_up)
    assert len(open_capture(folder).views) == 6


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_damage_ends_in_a_capture_or_an_error_that_names_a_file(
    place, made_up, no_hang, operator, kind
):
    for seed in SEEDS:
        rng = np.random.default_rng([seed, *operator.encode()])
        folder, shots = place(kind)
        if operator in VALUES:
            VALUES[operator](shots, rng)
        FORMATS[kind](folder, shots, made_up)
        files = camera_files(folder, kind)
        if operator in FILES:
            file = files[rng.integers(len(files))]
            file.write_bytes(FILES[operator](file.read_bytes(), rng, kind))
        try:
            capture = open_capture(folder)
            prepare(capture, 8)
            check_capture(capture)
        except CaptureError as error:
            words = str(error)
            named = [*files, *(folder / "images").glob("*.png"), *folder.glob("*.png")]
            assert str(folder) in words, (seed, words)
            assert any(path.name in words for path in named), (seed, words)
        else:
            assert 2 <= len(capture.views) <= 7


EVERY_VIEW = {
    "transposed R": transpose,
    "det -1": reflect,
    "negative focal": negative_focal,
    "swapped sizes": swap_sizes,
    "axes of another convention": other_axes,
    "the other way round": inverse,
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("operator", EVERY_VIEW)
def test_every_view_wrong_must_raise(place, made_up, operator, kind):
    if operator == "det -1" and kind not in JSON:
        pytest.skip("quaternions cannot say a reflection")
    change = EVERY_VIEW[operator]
    if operator.startswith("axes") and kind == "transforms.json":
        change = other_axes_behind  # camera-to-world: the axes stand in the columns
    for seed in range(8):
        folder, shots = place(kind, seed)
        assert all(shot.size[0] != shot.size[1] for shot in shots)
        for shot in shots:
            change(shot)
        FORMATS[kind](folder, shots, made_up)
        with pytest.raises(CaptureError) as caught:
            open_capture(folder)
        assert str(folder) in str(caught.value)
