"""Photos are streamed: what preparing holds does not grow with their number."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

PREPARE = """
import pathlib, re, sys
import cv2, numpy  # what is loaded in any case does not count
from labelsplat.capture import open_capture, prepare

def memory(key):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(key + r":\\s+([0-9]+) kB", status)[1])

capture = open_capture(sys.argv[1])
before = memory("VmRSS")
prepared = prepare(capture, 64)
print(len(prepared.names), (memory("VmHWM") - before) / 1024)
"""

WIDTH, HEIGHT = 4000, 3000
PHOTO = WIDTH * HEIGHT * 3 / 2**20  # MiB of one decoded photo


@pytest.fixture
def capture(tmp_path, nerfstudio):
    """12-megapixel photos with distortion, ``capture(count)``: the first ``count`` cameras."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint16)
    photo = Image.fromarray(np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8))
    photo.save(tmp_path / "photo.jpg")
    table = json.loads((nerfstudio / "transforms.json").read_text())

    def make(count):
        folder = tmp_path / f"scan{count}"
        (folder / "images").mkdir(parents=True)
        frames = []
        for i in range(count):
            (folder / f"images/{i}.jpg").symlink_to(tmp_path / "photo.jpg")
            frames.append(
                {
                    "file_path": f"images/{i}.jpg",
                    "transform_matrix": table["frames"][i]["transform_matrix"],
                    "w": WIDTH,
                    "h": HEIGHT,
                    "fl_x": 13000.0,
                    "k1": 0.1,
                }
            )
        (folder / "transforms.json").write_text(json.dumps({"frames": frames}))
        return folder

    return make


def peak(folder):
    """Photos prepared, and MiB that it took at most."""
    run = [sys.executable, "-c", PREPARE, str(folder)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    count, mebibytes = done.stdout.split()
    return int(count), float(mebibytes)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak in /proc")
def test_more_photos_take_no_more_memory(capture):
    (two, least), (six, most) = peak(capture(2)), peak(capture(6))
    assert (two, six) == (2, 6)
    assert least > PHOTO  # the measure sees what one photo takes
    assert most - least < 1.5 * PHOTO  # four photos more, had they been kept, would be 4
    # Photo, undistorted photo, two maps, masks: far below the 2 GB that 60 such photos may take.
    assert most < 700
