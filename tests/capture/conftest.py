"""Tiny made-up captures: a few photos of 24 x 16 pixels, in each of the layouts."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from labelsplat.capture import orbit_camera, write_facescape

POSES = [(-80, -8), (-40, 20), (0, -8), (35, 10), (60, -30), (100, -8)]
SUBJECT = "7/1_neutral"
TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def make_camera(yaw, pitch, portrait=False, target=(0.0, 0.0, 0.0)):
    """A camera of 24 x 16 pixels, or 16 x 24, as a crop of a square one."""
    square = orbit_camera(yaw, pitch, 1.15, 16.5, 24, target)
    return square.padded(-4, 0, 16, 24) if portrait else square.padded(0, -4, 24, 16)


def make_photo(camera, seed=0):
    """Smooth random colours, so that JPEG and interpolation change them little."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: camera.height, : camera.width] / 24.0
    waves = [128 + 90 * np.sin(3 * (a * x + b * y) + c) for a, b, c in rng.uniform(0.2, 2, (3, 3))]
    return np.stack(waves, -1).astype(np.uint8)


@pytest.fixture
def cameras():
    """Six cameras in the head frame, landscape and portrait mixed."""
    aims = np.random.default_rng(5).normal(0, 0.01, (len(POSES), 3))
    return [make_camera(*p, portrait=i % 3 == 2, target=aims[i]) for i, p in enumerate(POSES)]


@pytest.fixture
def photos(cameras):
    return [make_photo(camera, i) for i, camera in enumerate(cameras)]


@pytest.fixture
def names(cameras):
    return [str(i) for i in range(len(cameras))]


@pytest.fixture
def facescape(tmp_path, names, photos, cameras):
    """Root of a FaceScape tree with one subject, :data:`SUBJECT`."""
    root = tmp_path / "facescape"
    write_facescape(root, SUBJECT, names, photos, cameras)
    return root


def edit_json(path, change):
    """Load a JSON file, let ``change`` edit it in place, write it back (NaN allowed)."""
    table = json.loads(Path(path).read_text())
    change(table)
    Path(path).write_text(json.dumps(table))


@pytest.fixture
def edit():
    """``edit(path, change)`` edits a JSON file."""
    return edit_json


@pytest.fixture
def params(facescape):
    """The ``params.json`` of :func:`facescape`."""
    return facescape / SUBJECT / "params.json"


@pytest.fixture
def nerfstudio(tmp_path, photos, cameras):
    """Folder of a nerfstudio capture with intrinsics in every frame."""
    folder = tmp_path / "phone"
    (folder / "images").mkdir(parents=True)
    frames = []
    for i, (photo, camera) in enumerate(zip(photos, cameras, strict=True)):
        Image.fromarray(photo).save(folder / f"images/frame_{i + 1}.png")
        k = camera.intrinsics
        frames.append(
            {
                "file_path": f"./images/frame_{i + 1}.png",
                "transform_matrix": (np.linalg.inv(camera.view_matrix) @ TO_OPENGL).tolist(),
                "w": camera.width,
                "h": camera.height,
                "fl_x": k[0, 0],
                "fl_y": k[1, 1],
                "cx": k[0, 2],
                "cy": k[1, 2],
            }
        )
    table = {"camera_model": "OPENCV", "k1": 0.0, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(table))
    return folder


def quaternion_of(rotation):
    """(w, x, y, z) of a rotation, with w of zero or more."""
    if not np.isfinite(rotation).all():
        return np.full(4, np.nan)
    _, vectors = np.linalg.eigh(_quaternion_form(rotation))
    q = vectors[:, -1]
    return q if q[0] >= 0 else -q


def _quaternion_form(r):
    # Largest eigenvector = quaternion (Bar-Itzhack 2000), stable at any angle.
    return np.array(
        [
            [np.trace(r), r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [0, r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [0, 0, r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [0, 0, 0, r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    ).T


CAMERA_NUMBERS = {"PINHOLE": 1, "SIMPLE_PINHOLE": 0, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4,
                  "OPENCV_FISHEYE": 5, "FULL_OPENCV": 6, "FOV": 7, "SIMPLE_RADIAL_FISHEYE": 8,
                  "RADIAL_FISHEYE": 9}  # fmt: skip


def write_model(folder, cameras, shots, points, binary):
    """A COLMAP model as its format's page says, written without COLMAP.

    ``cameras``: {number: (model, width, height, parameters)}; ``shots``: [(name, camera number,
    rotation, translation)]; ``points``: [M, 3].
    """
    folder.mkdir(parents=True, exist_ok=True)
    shots = [(n, c, quaternion_of(r), t) for n, c, r, t in shots]
    if binary:
        blob = [struct.pack("<Q", len(cameras))]
        for number, (model, width, height, values) in cameras.items():
            sizes = [int(s) % 2**64 if np.isfinite(s) else 0 for s in (width, height)]
            blob.append(struct.pack("<IiQQ", number, CAMERA_NUMBERS[model], *sizes))
            blob.append(struct.pack(f"<{len(values)}d", *values))
        (folder / "cameras.bin").write_bytes(b"".join(blob))
        blob = [struct.pack("<Q", len(shots))]
        for i, (name, camera, q, t) in enumerate(shots, 1):
            blob.append(struct.pack("<I7dI", i, *q, *t, camera) + name.encode() + b"\0")
            blob.append(struct.pack("<QddQ", 1, 3.5, 4.5, 2**64 - 1))
        (folder / "images.bin").write_bytes(b"".join(blob))
        blob = [struct.pack("<Q", len(points))]
        for i, point in enumerate(points, 1):
            blob.append(struct.pack("<Q3d3Bd", i, *point, 9, 9, 9, 0.5) + struct.pack("<Q", 0))
        (folder / "points3D.bin").write_bytes(b"".join(blob))
        return
    lines = ["# Camera list with one line of data per camera:"]
    for number, (model, width, height, values) in cameras.items():
        lines.append(f"{number} {model} {width} {height} {' '.join(map(repr, map(float, values)))}")
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:"]
    for i, (name, camera, q, t) in enumerate(shots, 1):
        numbers = " ".join(map(repr, map(float, (*q, *t))))
        lines += [f"{i} {numbers} {camera} {name}", "3.5 4.5 -1"]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    lines = ["# 3D point list"]
    for i, point in enumerate(points, 1):
        lines.append(f"{i} {' '.join(map(repr, map(float, point)))} 9 9 9 0.5")
    (folder / "points3D.txt").write_text("\n".join(lines) + "\n")


def strange_world(seed=0):
    """(scale, rotation, translation) of a world with its origin beside the head."""
    rng = np.random.default_rng(seed)
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return 3.7, q * np.linalg.det(q), np.array([2.0, -3.0, 4.0])


SPARSE = np.random.default_rng(8).normal(0, 0.05, (12, 3))


@pytest.fixture
def solved(cameras):
    """The cameras and :data:`SPARSE` points in the world of a camera solver."""
    scale, rotation, translation = strange_world()
    moved = [camera.transformed(rotation, translation, scale) for camera in cameras]
    return moved, scale * SPARSE @ rotation.T + translation


def make_colmap(folder, photos, solved, binary):
    """Folder of a COLMAP capture, a camera a photo; its order is not that of the names."""
    rig, points = solved
    (folder / "images").mkdir(parents=True)
    cameras, shots = {}, []
    for i in (3, 0, 5, 1, 4, 2):
        name, k = f"frame_{i + 1}.png", rig[i].intrinsics
        Image.fromarray(photos[i]).save(folder / "images" / name)
        values = [k[0, 0], k[1, 1], k[0, 2], k[1, 2]]
        cameras[10 + i] = ("PINHOLE", rig[i].width, rig[i].height, values)
        shots.append((name, 10 + i, rig[i].rotation, rig[i].translation))
    write_model(folder / "sparse/0", cameras, shots, points, binary)
    return folder


@pytest.fixture(params=["text", "binary"])
def colmap(request, tmp_path, photos, solved):
    """Folder of a COLMAP capture, in both of its formats."""
    pytest.importorskip("pycolmap", reason="COLMAP models are read by pycolmap")
    return make_colmap(tmp_path / "scan", photos, solved, request.param == "binary")


@pytest.fixture
def made_up():
    """The functions above, for tests that make captures of their own."""
    return SimpleNamespace(
        camera=make_camera,
        photo=make_photo,
        colmap=make_colmap,
        model=write_model,
        world=strange_world,
        sparse=SPARSE,
    )
