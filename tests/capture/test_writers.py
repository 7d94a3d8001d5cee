"""Read, written, read again: the same capture, and photos byte by byte."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from labelsplat.__main__ import main
from labelsplat.base import CaptureError
from labelsplat.capture import (
    copy_to_facescape,
    load_photo,
    open_capture,
    read_facescape,
    read_nerfstudio,
    read_points,
    write_capture,
    write_nerfstudio,
    write_points,
)

SUBJECT = "7/1_neutral"


def assert_same(read, true):
    assert (read.frame, read.names) == (true.frame, true.names)
    assert read.scale == pytest.approx(true.scale, rel=1e-9)
    for a, b in zip(read.views, true.views, strict=True):
        np.testing.assert_allclose(a.camera.view_matrix, b.camera.view_matrix, rtol=0, atol=1e-9)
        np.testing.assert_allclose(a.camera.intrinsics, b.camera.intrinsics, rtol=0, atol=1e-9)
        assert (a.camera.width, a.camera.height) == (b.camera.width, b.camera.height)
        assert (a.distortion, a.fisheye, a.turns) == (b.distortion, b.fisheye, b.turns)
        assert a.image.read_bytes() == b.image.read_bytes()
        assert a.image.suffix == b.image.suffix


@pytest.fixture
def bent(facescape, params, edit):
    """A FaceScape capture with distortion, a PNG and a camera that hung upside down."""
    photo = params.parent / "4.jpg"
    Image.open(photo).save(photo.with_suffix(".png"))
    photo.unlink()

    def change(table):
        table["1_distortion"] = [0.1, -0.02, 0.001, 0.002, 0.003]
        table["2_distortion"] = [0.05, 0, 0.002, -0.001, 0]
        k, rt = np.array(table["2_K"]), np.array(table["2_Rt"])
        k[:2, 2] = (table["2_width"] - 1, table["2_height"] - 1) - k[:2, 2]
        table["2_K"], table["2_Rt"] = k.tolist(), (np.diag([-1.0, -1, 1]) @ rt).tolist()

    edit(params, change)
    return facescape


@pytest.mark.parametrize("layout", ["facescape", "nerfstudio"])
@pytest.mark.parametrize("aligned", [True, False])
def test_a_facescape_capture_comes_back(bent, tmp_path, layout, aligned):
    if not aligned:
        (bent / "Rt_scale_dict.json").unlink()
    capture = read_facescape(bent, SUBJECT)
    assert [view.turned for view in capture.views] == [False, False, True, False, False, False]
    write_capture(capture, tmp_path / "out", layout)
    again = open_capture(tmp_path / "out")
    assert again.source == layout
    assert again.frame == ("head" if aligned else "arbitrary")
    assert_same(again, capture)
    write_capture(again, tmp_path / "back", "facescape", SUBJECT)
    assert_same(read_facescape(tmp_path / "back", SUBJECT), capture)


@pytest.mark.parametrize("layout", ["facescape", "nerfstudio"])
def test_a_nerfstudio_capture_comes_back(nerfstudio, tmp_path, edit, layout):
    edit(nerfstudio / "transforms.json", lambda t: t.update(k1=0.1, p1=0.01, k3=0.2))
    capture = read_nerfstudio(nerfstudio)
    write_capture(capture, tmp_path / "out", layout)
    again = open_capture(tmp_path / "out")
    assert_same(again, capture)
    assert again.subject == ("out" if layout == "nerfstudio" else "1/1_neutral")


def test_points_and_colmap_captures_come_back(colmap, tmp_path):
    capture = open_capture(colmap)
    again = read_nerfstudio(write_nerfstudio(capture, tmp_path / "out"))
    assert_same(again, capture)
    np.testing.assert_allclose(again.points, capture.points, rtol=0, atol=1e-9)
    (tmp_path / "out/sparse_pc.ply").unlink()  # cameras and photos are there all the same
    assert read_nerfstudio(tmp_path / "out").points is None


def test_fisheyes_come_back_from_nerfstudio_alone(nerfstudio, tmp_path, edit):
    fisheye = {"camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k2": -0.01, "k3": 0.02, "k4": 0.003}
    edit(nerfstudio / "transforms.json", lambda t: t["frames"][1].update(fisheye))
    capture = read_nerfstudio(nerfstudio)
    assert [view.fisheye for view in capture.views].count(True) == 1
    assert_same(read_nerfstudio(write_nerfstudio(capture, tmp_path / "out")), capture)
    with pytest.raises(CaptureError, match=r"frame_2\.png.*fisheye"):
        copy_to_facescape(capture, tmp_path / "tree")
    assert not (tmp_path / "tree/1").exists() or not any((tmp_path / "tree/1").iterdir())


@pytest.mark.parametrize("write", [copy_to_facescape, write_nerfstudio])
def test_rational_lenses_are_refused(facescape, tmp_path, write):
    capture = read_facescape(facescape, SUBJECT)
    rational = replace(capture.views[0], distortion=(0.1, 0, 0, 0, 0, 0.2, 0, 0))
    with pytest.raises(CaptureError, match=r"0\.jpg.*rational.*Undistort"):
        write(replace(capture, views=(rational, *capture.views[1:])), tmp_path / "out")


def test_views_left_aside(bent, tmp_path, params):
    capture = read_facescape(bent, SUBJECT)
    folder = write_capture(capture, tmp_path / "a", "facescape", invalid=["0", "5"])
    table = json.loads((folder / "params.json").read_text())
    assert [table[f"{i}_valid"] for i in range(6)] == [False, True, True, True, True, False]
    assert (folder / "5.jpg").read_bytes() == (params.parent / "5.jpg").read_bytes()
    assert read_facescape(tmp_path / "a", SUBJECT).names == ("1", "2", "3", "4")
    write_capture(capture, tmp_path / "b", "nerfstudio", invalid=["0", "5"])
    assert read_nerfstudio(tmp_path / "b").names == ("1", "2", "3", "4")
    with pytest.raises(CaptureError, match="'9'"):
        write_capture(capture, tmp_path / "c", "nerfstudio", invalid=["9"])


def test_a_tree_of_several_and_an_entry_of_another(bent, tmp_path):
    capture = read_facescape(bent, SUBJECT)
    for subject in ("7/1_neutral", "7/2_smile", "12/20_brow_lower"):
        copy_to_facescape(capture, tmp_path / "tree", subject)
        assert_same(read_facescape(tmp_path / "tree", subject), capture)
    with pytest.raises(CaptureError, match="something already"):
        copy_to_facescape(capture, tmp_path / "tree", "7/2_smile")
    # A capture without a head frame must not take the entry of what stood there before.
    shutil.rmtree(tmp_path / "tree/7/2_smile")
    (bent / "Rt_scale_dict.json").unlink()
    copy_to_facescape(read_facescape(bent, SUBJECT), tmp_path / "tree", "7/2_smile")
    assert read_facescape(tmp_path / "tree", "7/2_smile").frame == "arbitrary"
    assert read_facescape(tmp_path / "tree", "7/1_neutral").frame == "head"
    with pytest.raises(CaptureError, match="cannot name a subject"):
        copy_to_facescape(capture, tmp_path / "tree", "smile")


def test_a_written_world_lets_a_transposed_rotation_show(bent, tmp_path, edit):
    folder = copy_to_facescape(read_facescape(bent, SUBJECT), tmp_path / "tree", SUBJECT)

    def transpose(table):
        for i in range(6):
            rt = np.array(table[f"{i}_Rt"])
            rt[:, :3] = rt[:, :3].T
            table[f"{i}_Rt"] = rt.tolist()

    edit(folder / "params.json", transpose)
    with pytest.raises(CaptureError, match="convention"):
        read_facescape(tmp_path / "tree", SUBJECT)


def test_the_command(bent, tmp_path, capsys):
    out = tmp_path / "phone"
    assert main(["convert", str(bent), str(out), "--to", "nerfstudio"]) == 0
    assert "6 views" in capsys.readouterr().out
    back = ["convert", str(out), str(tmp_path / "tree"), "--to", "facescape"]
    assert main([*back, "--name", "9/2_smile", "--leave-aside", "3"]) == 0
    again = read_facescape(tmp_path / "tree", "9/2_smile")
    assert again.names == ("0", "1", "2", "4", "5")
    np.testing.assert_array_equal(
        load_photo(again.views[2]), load_photo(read_facescape(bent, SUBJECT).views[2])
    )
    assert main([*back, "--name", "9/2_smile"]) == 1
    assert "something already" in capsys.readouterr().err


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_points_of_every_format_of_ply(tmp_path, order):
    points = np.random.default_rng(0).normal(size=(5, 3))
    path, head = tmp_path / "p.ply", f"ply\nformat {order} 1.0\ncomment made up\n"
    head += "element vertex 5\nproperty uchar red\nproperty double x\nproperty float y\n"
    head += (
        "property double z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    kind = np.dtype([("red", "u1"), ("x", "f8"), ("y", "f4"), ("z", "f8")])
    rows = np.array([(7, *p) for p in points.tolist()], kind)
    if order == "ascii":
        body = "\n".join(" ".join(map(str, row)) for row in rows.tolist()).encode() + b"\n3 0 1 2\n"
    else:
        body = rows.astype(kind.newbyteorder("<" if "little" in order else ">")).tobytes()
        body += bytes(13)
    path.write_bytes(head.encode() + body)
    np.testing.assert_allclose(read_points(path), points, atol=1e-6)
    write_points(path, points)
    np.testing.assert_array_equal(read_points(path), points)


PLY = b"ply\nformat ascii 1.0\nelement vertex 2\n"
PLY += b"property float x\nproperty float y\nproperty float z\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"obj",
        PLY,
        PLY + b"end_header\n1 2 3\n",
        PLY + b"end_header\n1 2 3\n4 5\n",
        PLY + b"end_header\n1 2 3\n4 5 nan\n",
        PLY + b"end_header\n1 2 3\n4 5 \xff\n",
        PLY.replace(b"ascii", b"binary_little_endian") + b"end_header\n1234",
        PLY.replace(b"ascii", b"morse") + b"end_header\n1 2 3\n4 5 6\n",
        PLY.replace(b"vertex 2", b"vertex -2") + b"end_header\n",
        PLY.replace(b"vertex 2", b"vertex 99999999999999999999") + b"end_header\n1 2 3\n",
        PLY.replace(b"vertex 2", b"face 2") + b"end_header\n",
        PLY.replace(b"float z", b"float q") + b"end_header\n1 2 3\n4 5 6\n",
        PLY.replace(b"float z", b"list uchar int z") + b"end_header\n1 2 3\n4 5 6\n",
    ],
)
def test_broken_ply_files_are_named(tmp_path, content):
    path = tmp_path / "points.ply"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"points\.ply"):
        read_points(path)
