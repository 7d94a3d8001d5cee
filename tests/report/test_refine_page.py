"""``make refine`` on a made-up capture: a ball with a nose, and a parser that knows its colours."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from labelsplat.base.errors import LabelsplatError
from labelsplat.capture import View, open_capture, orbit_camera, undistort, write_facescape
from labelsplat.labels import CELEBAMASK, IGNORE, read_label_map
from labelsplat.parsing import export_onnx, load_parser
from labelsplat.report import refine_page
from labelsplat.report.html import loaded_addresses
from labelsplat.report.params import default_params
from labelsplat.report.refine_page import as_taken, evenly_spaced, refine_capture
from labelsplat.splats import read_gaussians, read_ply

RADIUS = 0.1  # metres
POSES = [(-60, 0), (-35, 15), (-12, -10), (0, 5), (15, -5), (40, 12), (65, 0), (0, 35)]
SKIN, NOSE = CELEBAMASK.index("skin"), CELEBAMASK.index("nose")
COLOURS = {0: (40, 60, 160), SKIN: (220, 170, 140), NOSE: (60, 180, 80)}


def true_labels(camera):
    """What a camera sees of the ball at the origin, ``[H, W]`` uint8; its nose points to +z."""
    y, x = np.mgrid[: camera.height, : camera.width] + 0.5
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    rays = pixels @ np.linalg.inv(camera.intrinsics).T @ camera.rotation
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ camera.centre
    inside = along**2 - camera.centre @ camera.centre + RADIUS**2
    hit = camera.centre + (-along - np.sqrt(np.maximum(inside, 0)))[..., None] * rays
    labels = np.where(hit[..., 2] > 0.8 * RADIUS, NOSE, SKIN)
    return np.where(inside > 0, labels, 0).astype(np.uint8)


def cameras(width, height):
    square = [orbit_camera(*pose, 1.15, 16.5, width) for pose in POSES]
    return [c.padded(0, (height - width) // 2, width, height) for c in square]


@pytest.fixture(scope="module")
def capture(painted, tmp_path_factory):
    """A FaceScape tree of 8 photos, 80 x 64 pixels."""
    root = tmp_path_factory.mktemp("capture")
    rig = cameras(80, 64)
    images = [painted.photo(true_labels(camera), COLOURS) for camera in rig]
    write_facescape(root, "7/1_neutral", [str(i) for i in range(len(rig))], images, rig)
    return root


@pytest.fixture(scope="module")
def parser(painted, tmp_path_factory):
    path = tmp_path_factory.mktemp("parser") / "ball.safetensors"
    return painted.parser(path, COLOURS)


@pytest.fixture(scope="module")
def params():
    params = default_params()
    params["fit"] |= {"gaussians": 1500, "iterations": 240, "hull_resolution": 40}
    params["device"] = "cpu"
    return params


def run(capture, out, parser, params, **settings):
    return refine_capture(capture, out, parser, size=64, params=params, **settings)


@pytest.fixture(scope="module")
def made(capture, parser, params, tmp_path_factory):
    """The output of a run in which six of the eight photos vote."""
    out = tmp_path_factory.mktemp("out") / "results"
    return run(capture, out, parser, params, views=6).parent


def test_masks_of_all_photos_are_right_and_of_their_size(made):
    for index, camera in enumerate(cameras(80, 64)):
        mask = read_label_map(made / "masks" / f"{index}.png", CELEBAMASK)
        truth = true_labels(camera)
        assert mask.shape == truth.shape
        for label in (SKIN, NOSE):
            if (truth == label).sum() < 60:
                continue
            both = ((mask == label) & (truth == label)).sum()
            assert both / ((mask == label) | (truth == label)).sum() > 0.75, (index, label)
        with Image.open(made / "confidence" / f"{index}.png") as image:
            assert image.size == (80, 64) and image.mode == "L"
            assert np.asarray(image)[truth == SKIN].mean() > 150


def test_what_else_lies_there(made):
    assert sorted(p.name for p in made.iterdir()) == [
        "confidence", "gaussians.ply", "gaussians.safetensors", "gaussians_labels.npz",
        "gaussians_labels.ply", "index.html", "labels.json", "masks", "overlays.png", "refine.json",
    ]  # fmt: skip
    gaussians, facts = read_gaussians(made / "gaussians.safetensors")
    plain, coloured = (read_ply(made / f"gaussians{s}.ply") for s in ("", "_labels"))
    assert len(plain) == len(coloured) == len(gaussians) and facts["psnr"] > 20
    chosen = gaussians.label_logits.argmax(-1).numpy()
    np.testing.assert_allclose(
        coloured.colours.numpy(), CELEBAMASK.colours[chosen] / 255, atol=1e-5
    )
    assert {SKIN, NOSE} <= set(chosen)
    told = json.loads((made / "refine.json").read_text(encoding="utf-8"))
    assert told["photos"] == 8 and len(told["voted"]) == 6 and told["head_frame"]
    assert told["span_degrees"] == pytest.approx(125, abs=3)


def test_page_tells_what_was_done(made):
    page = (made / "index.html").read_text(encoding="utf-8")
    assert loaded_addresses(page) == [] and "<script" not in page
    assert page.count("<figure>") == 6
    text = re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))
    assert "labelled 6 of 8 photos" in text and "−" not in text
    assert "Nothing is scored." in text
    assert "-60° to 65°" in text and "No head frame" not in text
    assert "Nothing here speaks of extreme poses" not in text
    assert "ball.safetensors" in text and "drawn heads" not in text


def test_other_parser_files_do_the_same(made, capture, parser, params, tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    export_onnx(load_parser(parser).net, tmp_path / "ball.onnx", 64)
    out = run(capture, tmp_path / "out", tmp_path / "ball.onnx", params, views=6).parent
    told = json.loads((out / "refine.json").read_text(encoding="utf-8"))
    assert told["parser"] == "ball.onnx"
    for name in ("0.png", "4.png"):
        masks = [read_label_map(folder / "masks" / name, CELEBAMASK) for folder in (out, made)]
        assert (masks[0] == masks[1]).mean() > 0.99


def page_without_own_frame(capture, parser, params, folder, **settings):
    """The page's text for the same photos without Rt_scale_dict.json."""
    (folder / "tree").mkdir()
    (folder / "tree" / "7").symlink_to(capture / "7")
    page = run(folder / "tree", folder / "out", parser, params, **settings)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


def test_photos_without_a_head_frame_get_an_estimated_one(
    capture, parser, params, tmp_path, capsys
):
    """This parser knows no landmark but the nose, so that the cameras must tell."""
    text = page_without_own_frame(capture, parser, params, tmp_path)
    words = "head frame guessed from where the cameras stand, confidence 0.39"
    assert words in text and "Where the face looks is an estimate" in text
    assert "No head frame." not in text
    assert words in capsys.readouterr().out
    told = json.loads((tmp_path / "out/refine.json").read_text(encoding="utf-8"))
    assert told["head_frame"]["method"] == "cameras" and told["cropped_from"] is None


def test_photos_without_any_head_frame(capture, parser, params, tmp_path):
    text = page_without_own_frame(capture, parser, params, tmp_path, head_frame="none")
    assert "No head frame." in text and "frontalness is 1 for every view" in text
    assert "Nothing here speaks of extreme poses." in text


def test_a_frame_of_ones_own_is_used(capture, parser, params, tmp_path):
    frame = tmp_path / "mine.json"
    frame.write_text('{"axes": {"left": [1, 0, 0], "up": [0, 1, 0], "front": [0, 0, 1]}}')
    page_without_own_frame(capture, parser, params, tmp_path, head_frame=frame)
    told = json.loads((tmp_path / "out/refine.json").read_text(encoding="utf-8"))
    assert told["head_frame"]["method"] == "given"


def test_an_earlier_result_is_replaced_as_a_whole(made, capture, parser, params, tmp_path):
    out = tmp_path / "again"
    out.mkdir()
    assert run(capture, out, parser, params, views=6) == out / "index.html"
    for name in ("index.html", "gaussians.ply", "masks/3.png", "refine.json"):
        assert (out / name).read_bytes() == (made / name).read_bytes(), name  # same seed
    (out / "masks/left.png").write_bytes(b"")
    run(capture, out, parser, params, views=4)
    assert not (out / "masks/left.png").exists()


def test_other_folders_are_left_alone(capture, parser, params, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(LabelsplatError, match=r"mine.*left alone.*OUT="):
        run(capture, mine, parser, params)
    (mine / "refine.json").write_text("[]", encoding="utf-8")
    with pytest.raises(LabelsplatError, match="left alone"):
        run(capture, mine, parser, params)
    with pytest.raises(LabelsplatError, match="left alone"):
        run(capture, capture, parser, params)
    with pytest.raises(LabelsplatError, match="this is a file"):
        run(capture, mine / "thesis.txt", parser, params)
    assert (mine / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_a_fault_on_the_way_leaves_nothing(capture, parser, params, tmp_path):
    with pytest.raises(LabelsplatError, match=r"none\.safetensors.*missing"):
        run(capture, tmp_path / "out", tmp_path / "none.safetensors", params)
    with pytest.raises(LabelsplatError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "out", parser, params)
    with pytest.raises(RuntimeError, match="interrupted"), pytest.MonkeyPatch.context() as patch:

        def broken(*arguments):
            raise RuntimeError("interrupted")

        patch.setattr(refine_page, "write_folder", broken)
        run(capture, tmp_path / "out", parser, params)
    assert list(tmp_path.iterdir()) == []


def test_which_parser_is_taken(layout):
    params = default_params()
    with pytest.raises(LabelsplatError, match=r"no parser has been trained.*make repro.*PARSER="):
        refine_page.default_parser(layout, params)
    for group, arm in (("baseline", "baseline"), ("r1", "refined"), ("r2", "refined")):
        path = layout.model(group, arm)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
        assert refine_page.default_parser(layout, params) == path


def test_masks_are_bent_back_to_the_photo_as_taken():
    camera = orbit_camera(0, 0, 1.15, 70, 120).padded(0, -10, 120, 100)
    view = View("0", "0.png", camera, (-0.25, 0.06, 0.002, -0.001, 0.0))
    y, x = np.mgrid[:100, :120]
    taken = ((x // 12 + y // 10) % 5).astype(np.uint8)
    # Nearest pixels: a large picture keeps each square's colour through undistortion.
    straight, valid = undistort(np.repeat(taken[..., None] * 40, 3, -1), view)
    straight = np.round(straight[..., 0] / 40).astype(np.uint8)
    back = as_taken(np.where(valid, straight, IGNORE).astype(np.uint8), view, IGNORE)
    known = back != IGNORE
    assert 0.6 < known.mean() < 1
    edges = (taken != np.roll(taken, 1, 0)) | (taken != np.roll(taken, 1, 1))
    inner = known & ~edges & ~np.roll(edges, -1, 0) & ~np.roll(edges, -1, 1)
    assert (back == taken)[inner].mean() > 0.97
    assert (straight == taken)[inner].mean() < 0.9  # so the bending did something
    plain = dataclasses.replace(view, distortion=None)
    assert as_taken(taken, plain, IGNORE) is taken


def test_evenly_spaced():
    np.testing.assert_array_equal(evenly_spaced(5, 24), np.arange(5))
    chosen = evenly_spaced(100, 24)
    assert len(chosen) == 24 and chosen[0] == 0 and chosen[-1] == 99
    assert set(np.diff(chosen)) <= {4, 5}


def test_capture_is_what_it_should_be(capture):
    assert open_capture(capture).frame == "head"
