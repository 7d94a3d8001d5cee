"""Tiny made-up captures: a few photos of 24 x 16 pixels, in each of the layouts."""

import json
from pathlib import Path

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
