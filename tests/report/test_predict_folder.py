"""``labelsplat predict`` on a made-up capture, and a parser that knows its colours."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from labelsplat.__main__ import main
from labelsplat.base import LabelsplatError
from labelsplat.capture import orbit_camera, write_facescape
from labelsplat.labels import CELEBAMASK, IGNORE, read_label_map
from labelsplat.parsing import load_parser, load_predictions
from labelsplat.report import predict_folder
from labelsplat.report.params import default_params
from labelsplat.report.predict_folder import predict_capture

HAIR, SKIN = CELEBAMASK.index("hair"), CELEBAMASK.index("skin")
COLOURS = {0: (40, 60, 160), SKIN: (220, 170, 140), HAIR: (60, 180, 80)}
DISTORTION = (-0.2, 0.05, 0.0, 0.0, 0.0)


def true_labels(index, height, width):
    """Bands that differ from view to view."""
    y, x = np.mgrid[:height, :width]
    out = np.zeros((height, width), np.uint8)
    out[(x > 20 + index) & (x < 60 + index)] = SKIN
    out[(y < 14) & (out == SKIN)] = HAIR
    return out


@pytest.fixture(scope="module")
def capture(painted, tmp_path_factory):
    """Six photos of 80 x 64 pixels, the last one distorted."""
    root = tmp_path_factory.mktemp("capture")
    rig = [orbit_camera(yaw, 0, 1.15, 16.5, 80).padded(0, -8, 80, 64) for yaw in range(-50, 60, 20)]
    images = [painted.photo(true_labels(i, 64, 80), COLOURS) for i in range(len(rig))]
    names = [str(i) for i in range(len(rig))]
    write_facescape(root, "7/1_neutral", names, images, rig)
    file = root / "7/1_neutral/params.json"
    params = json.loads(file.read_text(encoding="utf-8"))
    params["5_distortion"] = list(DISTORTION)
    file.write_text(json.dumps(params), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def parser(painted, tmp_path_factory):
    path = tmp_path_factory.mktemp("parser") / "nearest.safetensors"
    return painted.parser(path, COLOURS, size=80)


@pytest.fixture(scope="module")
def params():
    return default_params() | {"device": "cpu"}


@pytest.fixture(scope="module")
def made(capture, parser, params, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "labels"
    return predict_capture(capture, out, parser, params=params)


def test_masks_are_the_photos_labels_at_their_size(made):
    assert made.photos == 6 and made.size == 80 and made.vocabulary == "celebamask-19"
    for index in range(5):
        mask = read_label_map(made.folder / "masks" / f"{index}.png", CELEBAMASK)
        np.testing.assert_array_equal(mask, true_labels(index, 64, 80))
    with Image.open(made.folder / "masks/0.png") as image:
        assert image.mode == "P" and image.size == (80, 64)
        colours = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(colours, CELEBAMASK.colours[true_labels(0, 64, 80)])


def test_what_undistortion_left_empty_has_no_label(made):
    mask = read_label_map(made.folder / "masks/5.png", CELEBAMASK)
    assert mask.shape == (64, 80)
    assert 0.7 < (mask == true_labels(5, 64, 80))[mask != IGNORE].mean() <= 1
    assert all(
        (read_label_map(made.folder / f"masks/{i}.png", CELEBAMASK) != IGNORE).all()
        for i in range(5)
    )


def test_soft_predictions_at_working_size(made):
    found = load_predictions(made.folder / "soft/2.npz")
    assert found.names == ("2",) and found.probabilities.shape == (1, 80, 80, 19)
    inner = found.labels[0, 8:72]
    np.testing.assert_array_equal(inner, true_labels(2, 64, 80))


def test_what_else_lies_there(made):
    assert sorted(p.name for p in made.folder.iterdir()) == [
        "contact.png", "labels.json", "masks", "predict.json", "soft",
    ]  # fmt: skip
    told = json.loads((made.folder / "predict.json").read_text(encoding="utf-8"))
    assert told["parser"] == "nearest.safetensors" and told["size"] == 80
    assert told["photos"] == [str(i) for i in range(6)]
    assert set(told["shares"]) == {"background", "skin", "hair"}
    assert sum(told["shares"].values()) == pytest.approx(1, abs=1e-3)
    whole = np.concatenate([true_labels(i, 64, 80) for i in range(6)])
    assert told["shares"]["hair"] == pytest.approx((whole == HAIR).mean(), abs=0.01)
    with Image.open(made.folder / "contact.png") as image:
        assert image.width > 6 * 200 and image.height > 2 * 200
        pixels = np.array(image.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in (*COLOURS.values(), *CELEBAMASK.palette[1:3]):  # photos, and the legend
        assert (np.abs(pixels - colour).max(1) < 8).sum() > 50


def test_the_command(capture, parser, params, made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict_folder, "load_params", lambda path: params)
    out = tmp_path / "out"
    arguments = ["predict", str(capture), "--out", str(out), "--parser", str(parser)]
    assert main([*arguments, "--subject", "7/1_neutral"]) == 0
    assert "6 photos at 80 px" in capsys.readouterr().out
    for name in ("masks/3.png", "soft/3.npz", "contact.png", "predict.json"):
        assert (out / name).read_bytes() == (made.folder / name).read_bytes()
    (out / "masks/left.png").write_bytes(b"")
    assert main([*arguments, "--size", "48"]) == 0
    assert not (out / "masks/left.png").exists()
    assert load_predictions(out / "soft/0.npz").probabilities.shape == (1, 48, 48, 19)
    assert read_label_map(out / "masks/0.png", CELEBAMASK).shape == (64, 80)
    assert main([*arguments, "--subject", "8"]) == 1
    assert "8" in capsys.readouterr().err


def test_other_folders_are_left_alone_and_faults_leave_nothing(capture, parser, params, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(LabelsplatError, match=r"mine.*predict did not write.*left alone"):
        predict_capture(capture, mine, parser, params=params)
    for file in (tmp_path / "none.onnx", tmp_path / "none.pth"):
        with pytest.raises(LabelsplatError, match=rf"{file.name}.*missing"):
            predict_capture(capture, tmp_path / "out", file, params=params)
    with pytest.raises(LabelsplatError, match="size is 3"):
        predict_capture(capture, tmp_path / "out", parser, size=3, params=params)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]


def test_exported_by_the_command_it_labels_the_same(
    capture, parser, params, made, tmp_path, capsys
):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    file = tmp_path / "nearest.onnx"
    assert main(["export", str(parser), str(file)]) == 0
    assert "80 x 80" in capsys.readouterr().out
    assert load_parser(file).net.config.size == (80, 80)
    again = predict_capture(capture, tmp_path / "out", file, params=params)
    assert again.size == 80
    for index in range(6):
        name = f"masks/{index}.png"
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes()
