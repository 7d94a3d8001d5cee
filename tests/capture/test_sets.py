import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError, LabelsplatError, read_json
from labelsplat.capture import read_alpha, read_depth, read_labels, write_truth


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.9, 1.4, (12, 10))
    depth[0] = np.inf
    depth[1, 0], depth[1, 1], depth[1, 2] = np.nan, 1e9, -1
    return {
        "labels": rng.integers(0, 19, (12, 10)).astype(np.uint8),
        "alpha": rng.uniform(0, 1, (12, 10)),
        "depth": depth,
    }


def test_truth_round_trip(tmp_path, truth):
    for view in ("0", "10"):
        write_truth(tmp_path, "7/1_neutral", view, **truth)
    names = ["10", "0"]
    labels = read_labels(tmp_path, "7/1_neutral", names)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.stack([truth["labels"]] * 2))
    alpha = read_alpha(tmp_path, "7/1_neutral", names)[0]
    assert np.abs(alpha - truth["alpha"]).max() <= 0.5 / 255 + 1e-6
    depth = read_depth(tmp_path, "7/1_neutral", names)[1]
    known = (truth["depth"] > 0) & (truth["depth"] < 6)
    assert np.abs(depth - truth["depth"])[known].max() <= 0.5e-4 + 1e-6
    assert (depth[~known] == 0).all()
    assert (~known).sum() == 13


def test_truth_files_are_those_of_the_layout(tmp_path, truth):
    write_truth(tmp_path, "7/1_neutral", "0", **truth)
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    folder = "7/1_neutral"
    expected = {f"{folder}/0.png", f"{folder}/0_alpha.png", f"{folder}/0_depth.png"}
    assert files == expected | {"labels.json"}
    assert len(read_json(tmp_path / "labels.json")["classes"]) == 19
    for file, mode in zip(sorted(expected), ["P", "L", "I;16"], strict=True):
        with Image.open(tmp_path / file) as image:
            assert image.mode == mode


def test_labels_alone_are_enough(tmp_path, truth):
    write_truth(tmp_path, "7/1_neutral", "0", truth["labels"])
    assert read_labels(tmp_path, "7/1_neutral", ["0"]).shape == (1, 12, 10)
    with pytest.raises(CaptureError, match=r"0_depth\.png"):
        read_depth(tmp_path, "7/1_neutral", ["0"])


def test_maps_of_two_sizes_and_missing_maps_are_refused(tmp_path, truth):
    write_truth(tmp_path, "7/1_neutral", "0", truth["labels"])
    write_truth(tmp_path, "7/1_neutral", "1", truth["labels"][:5])
    with pytest.raises(CaptureError, match="one size"):
        read_labels(tmp_path, "7/1_neutral", ["0", "1"])
    with pytest.raises(LabelsplatError, match=r"2\.png"):
        read_labels(tmp_path, "7/1_neutral", ["2"])
    (tmp_path / "7/1_neutral/0_alpha.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(CaptureError, match=r"0_alpha\.png"):
        read_alpha(tmp_path, "7/1_neutral", ["0"])
