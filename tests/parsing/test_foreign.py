"""Which file is opened how, and descriptions of ONNX models."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from labelsplat.base import LabelsplatError
from labelsplat.capture import crop_to_head, orbit_camera, prepare, read_facescape, write_facescape
from labelsplat.labels import (
    CELEBAMASK,
    CELEBAMASK_OFFICIAL,
    LAPA,
    VOCABULARIES,
    known_parts,
)
from labelsplat.parsing import (
    KINDS,
    Checkpoint,
    OnnxDescription,
    create,
    description_text,
    export_onnx,
    load_parser,
    predict_photos,
    read_description,
    save_checkpoint,
    working_size,
)

GOOD = """\
size: [512, 384]
range: [0, 255]
mean: [123.675, 116.28, 103.53]
std: [58.395, 57.12, 57.375]
channels: BGR
layout: NHWC
kind: probabilities
vocabulary: lapa-11
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "model.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_own_checkpoints_open_as_before(tmp_path):
    save_checkpoint(tmp_path / "p.safetensors", create("unet", width=8), training={"steps": 1})
    found = load_parser(tmp_path / "p.safetensors")
    assert found.architecture == "unet" and found.training == {"steps": 1}


def test_other_files_are_refused_with_what_is_known(tmp_path):
    odd = tmp_path / "parser.h5"
    odd.write_bytes(b"x")
    with pytest.raises(LabelsplatError, match=r"parser\.h5.*'\.h5'") as caught:
        load_parser(odd)
    assert all(kind in str(caught.value) for kind in KINDS)
    for name in ("gone.h5", "gone.onnx", "gone.pt", "gone.safetensors"):
        with pytest.raises(LabelsplatError, match=rf"{name}.*missing"):
            load_parser(tmp_path / name)


def test_working_size():
    assert working_size(create("bisenet", width=8)) is None
    assert working_size(create("bisenet", width=8, size=96)) == 96
    assert working_size(create("unet", width=8)) is None
    assert working_size(nn.Conv2d(3, 19, 1)) is None


def test_the_size_of_a_config_is_kept_by_training(make_squares):
    """A network that resizes by itself trains at the images' size, too."""
    net = create("bisenet", width=8, size=64).train()
    images = torch.rand(2, 3, 48, 32)
    main, *low = net(images)
    assert main.shape == (2, 19, 48, 32)
    assert [part.shape[-2:] for part in low] == [(16, 11), (8, 6)]


def test_description(written):
    found = read_description(written(GOOD))
    assert found == OnnxDescription(
        size=(512, 384),
        range=(0.0, 255.0),
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        channels="BGR",
        layout="NHWC",
        kind="probabilities",
        vocabulary=LAPA,
        output_layout="NHWC",
    )
    assert found.classes == 19  # of the parser that comes of it
    more = "input: x\noutput: y\noutput_layout: NCHW\nsides: image\n"
    found = read_description(written(GOOD + more))
    assert (found.input, found.output, found.output_layout, found.sides) == (
        "x", "y", "NCHW", "image",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "size"), [("size: 448", (448, 448)), ("size: null", None), ("size: [8, 9]", (8, 9))]
)
def test_sizes(written, line, size):
    assert read_description(written(GOOD.replace("size: [512, 384]", line))).size == size


def test_class_names_may_be_listed(written):
    text = GOOD.replace("lapa-11", f"[{', '.join(CELEBAMASK_OFFICIAL.classes)}]")
    found = read_description(written(text)).vocabulary
    assert found.classes == CELEBAMASK_OFFICIAL.classes
    assert found.palette == CELEBAMASK_OFFICIAL.palette


@pytest.mark.parametrize("size", [(512, 384), None])
def test_what_is_written_is_read_as_it_was(written, size):
    listed = GOOD.replace("lapa-11", "[background, hair]") + "sides: image\noutput: y\n"
    for text in (GOOD, listed):
        text = text.replace("[512, 384]", str(list(size)) if size else "null")
        found = read_description(written(text))
        assert read_description(written(description_text(found))) == found


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("mean: [123.675, 116.28, 103.53]\n", "", "mean are missing"),
        ("std:", "sdt:", "'sdt'.*Did you mean 'std'"),
        ("[0, 255]", "[255, 0]", "range is"),
        ("[0, 255]", "255", "range is 255, no list of 2 numbers"),
        ("116.28, ", "", "mean is .*3 numbers"),
        ("57.12", "yes", "std is"),
        ("57.12", ".nan", "std is"),
        ("57.12", "0", "std is"),
        ("BGR", "GBR", "channels is 'GBR'.*RGB"),
        ("NHWC", "HWC", "layout is 'HWC'.*NCHW"),
        ("probabilities", "labels", "kind is 'labels'"),
        ("lapa-11", "lapa", "vocabulary 'lapa' is unknown.*lapa-11"),
        ("lapa-11", "[background, noze]", "did you mean 'nose'"),
        ("[512, 384]", "[512]", "size is"),
        ("[512, 384]", "big", "size is 'big'"),
        ("[512, 384]", "-1", "size is -1"),
        ("size: [512, 384]", "size: [512, 384", "not valid YAML"),
        ("lapa-11\n", "lapa-11\noutput: 3\n", "output is 3"),
    ],
)
def test_what_is_wrong_in_a_description_is_named(written, old, new, told):
    assert old in GOOD
    with pytest.raises(LabelsplatError, match=rf"(?s)model\.yaml.*{told}"):
        read_description(written(GOOD.replace(old, new)))


def test_missing_or_empty_description(written, tmp_path):
    with pytest.raises(LabelsplatError, match=r"none\.yaml.*missing.*size, range"):
        read_description(tmp_path / "none.yaml")
    with pytest.raises(LabelsplatError, match="no keys"):
        read_description(written("- a\n"))


def test_the_readme_s_example_is_read(written):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "range:" in b)
    assert read_description(written(block)).vocabulary == CELEBAMASK
    section = readme.partition("## Parsers in and out")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in section for name in (*VOCABULARIES, *KINDS))


class Checkered(nn.Module):
    """Tells bright pixels from dark ones, at whatever size it says that it wants."""

    def __init__(self, size):
        super().__init__()
        self.config = SimpleNamespace(size=size)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.shape[-1])
        bright = (images.mean(1, keepdim=True) > 0.5).float()
        return torch.cat([10 - 20 * bright, 20 * bright - 10], 1)


def test_a_parser_that_wants_more_pixels_sees_the_photo_itself(tmp_path):
    """Stripes of one photo pixel: gone at working size, but not for a parser at the photo's."""
    rig = [orbit_camera(yaw, 0, 1.15, 16.5, 64) for yaw in (-20, 20)]
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = stripes[:, 1::4] = stripes[:, 2::4] = 255
    write_facescape(tmp_path, "1/1_neutral", ["a", "b"], [stripes, stripes], rig)
    capture = read_facescape(tmp_path, "1/1_neutral")
    photos = prepare(capture, 16).only([1])
    two = known_parts("two", "background skin")
    small, large = Checkered(0), Checkered(64)
    soft = {
        net: predict_photos(Checkpoint(net, "x", two, {}), capture, photos, device="cpu")
        for net in (small, large)
    }
    assert set(small.seen) == {16} and set(large.seen) == {64}
    assert all(s.shape == (1, 16, 16, 2) for s in soft.values())
    np.testing.assert_allclose(soft[small][..., 1], 1, atol=1e-3)
    np.testing.assert_allclose(soft[large][..., 1], 0.75, atol=1e-3)
    np.testing.assert_allclose(soft[large].sum(-1), 1, atol=1e-5)


def test_a_parser_that_wants_more_pixels_sees_the_crop(tmp_path):
    """A bright square in the middle of a dark photo fills the crop round it, at any size."""
    rig = [orbit_camera(yaw, 0, 1.15, 40, 96) for yaw in (-20, 20)]
    photo = np.zeros((96, 96, 3), np.uint8)
    photo[32:64, 32:64] = 255
    write_facescape(tmp_path, "1/1_neutral", ["a", "b"], [photo, photo], rig)
    capture = read_facescape(tmp_path, "1/1_neutral")
    half = 1.15 * np.tan(np.radians(20)) / 3
    photos, _ = crop_to_head(capture, np.zeros(3), half * 0.9, 16)
    assert (photos.images > 128).all()
    two = known_parts("two", "background skin")
    for size in (16, 64):
        parser = Checkpoint(Checkered(size), "x", two, {})
        soft = predict_photos(parser, capture, photos, device="cpu")
        np.testing.assert_allclose(soft[..., 1], 1, atol=1e-3)


def test_packages_that_are_not_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    file = tmp_path / "model.onnx"
    with pytest.raises(LabelsplatError, match=r"model\.onnx.*pip install onnx$"):
        export_onnx(create("unet", width=8), file, 32)
    assert not list(tmp_path.iterdir())
    file.write_bytes(b"x")
    with pytest.raises(LabelsplatError, match=r"model\.onnx.*pip install onnxruntime"):
        load_parser(file)
