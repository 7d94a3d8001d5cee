"""Label-map files."""

import json

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import LabelsplatError
from labelsplat.labels import (
    CELEBAMASK,
    IGNORE,
    foreground,
    read_label_map,
    write_label_map,
    write_vocabulary,
)


@pytest.fixture
def labels():
    out = np.random.default_rng(0).integers(0, 19, (13, 17)).astype(np.uint8)
    out[0] = IGNORE
    return out


def test_foreground_is_neither_background_nor_unlabelled():
    labels = np.array([[0, 1, 18], [IGNORE, 0, 7]], np.uint8)
    assert foreground(labels).tolist() == [[False, True, True], [False, False, True]]
    assert np.array_equal(foreground(labels[None])[0], foreground(labels))


def test_round_trip(tmp_path, labels):
    path = tmp_path / "new" / "map.png"
    write_label_map(path, labels, CELEBAMASK)
    np.testing.assert_array_equal(read_label_map(path, CELEBAMASK), labels)


def test_viewers_show_the_palettes_colours(tmp_path, labels):
    write_label_map(tmp_path / "map.png", labels, CELEBAMASK)
    with Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image.convert("RGB")), CELEBAMASK.colours[labels])


def test_same_map_same_bytes(tmp_path, labels):
    for name in ("a.png", "b.png"):
        write_label_map(tmp_path / name, labels, CELEBAMASK)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_grey_index_images_are_read(tmp_path, labels):
    Image.fromarray(labels).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "grey.png", CELEBAMASK), labels)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(LabelsplatError, match=r"gone\.png"):
        read_label_map(tmp_path / "gone.png", CELEBAMASK)


def test_colour_image_is_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "rgb.png")
    with pytest.raises(LabelsplatError, match="RGB"):
        read_label_map(tmp_path / "rgb.png", CELEBAMASK)


def test_index_without_a_class_is_named(tmp_path):
    Image.fromarray(np.full((4, 4), 19, np.uint8)).save(tmp_path / "odd.png")
    with pytest.raises(LabelsplatError, match=r"(?s)odd\.png.*index 19|index 19.*odd\.png"):
        read_label_map(tmp_path / "odd.png", CELEBAMASK)


@pytest.mark.parametrize("content", [b"", b"no image", b"truncated"])
def test_broken_file_is_named(tmp_path, labels, content):
    path = tmp_path / "broken.png"
    write_label_map(path, labels, CELEBAMASK)
    path.write_bytes(path.read_bytes()[:-60] if content == b"truncated" else content)
    with pytest.raises(LabelsplatError, match=r"broken\.png"):
        read_label_map(path, CELEBAMASK)


def test_labels_json_says_what_indices_mean(tmp_path):
    write_vocabulary(tmp_path / "labels.json", CELEBAMASK)
    content = json.loads((tmp_path / "labels.json").read_text())
    assert content["vocabulary"] == CELEBAMASK.name and content["ignore"] == IGNORE
    assert [c["name"] for c in content["classes"]] == list(CELEBAMASK.classes)
    assert [c["index"] for c in content["classes"]] == list(range(19))
