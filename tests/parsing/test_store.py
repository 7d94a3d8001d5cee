import zipfile

import numpy as np
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.labels import confusion, iou
from labelsplat.parsing import SoftPredictions, load_predictions, save_predictions


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (3, 24, 20, 19)).astype(np.float32)
    soft = np.exp(logits)
    soft /= soft.sum(-1, keepdims=True)
    return SoftPredictions(("left", "front", "right"), soft)


def test_round_trip(tmp_path, predictions):
    path = tmp_path / "soft.npz"
    save_predictions(path, predictions)
    loaded = load_predictions(path)
    assert loaded.names == predictions.names
    assert loaded.vocabulary == predictions.vocabulary
    assert loaded.probabilities.dtype == np.float32
    np.testing.assert_allclose(loaded.probabilities.sum(-1), 1, atol=1e-6)
    assert np.abs(loaded.probabilities - predictions.probabilities).max() < 0.006
    small = predictions.probabilities < 0.01
    assert np.abs(loaded.probabilities - predictions.probabilities)[small].max() < 6e-4
    truth = predictions.labels
    assert np.nanmin(iou(confusion(loaded.labels, truth, 19))) > 0.97
    disputed = loaded.labels != truth
    top = np.sort(predictions.probabilities, -1)
    assert (top[..., -1] - top[..., -2])[disputed].max(initial=0) < 0.01


def test_same_predictions_same_bytes(tmp_path, predictions):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    save_predictions(one, predictions)
    save_predictions(two, predictions)
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        # No clock in the file: a second run on another day gives the same bytes.
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_missing_truncated_and_foreign_files(tmp_path, predictions):
    path = tmp_path / "soft.npz"
    with pytest.raises(LabelsplatError, match=r"soft\.npz.*missing"):
        load_predictions(path)
    save_predictions(path, predictions)
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    for broken in (b"", content[:100], content[: len(content) // 2], bytes(damaged)):
        path.write_bytes(broken)
        with pytest.raises(LabelsplatError, match=r"soft\.npz.*cannot be read"):
            load_predictions(path)
    np.savez_compressed(path, other=np.zeros(3))
    with pytest.raises(LabelsplatError, match="codes"):
        load_predictions(path)


def test_shapes_must_fit(predictions):
    with pytest.raises(LabelsplatError, match="do not fit"):
        SoftPredictions(("one",), predictions.probabilities)
    with pytest.raises(LabelsplatError, match="do not fit"):
        SoftPredictions(predictions.names, predictions.probabilities[..., :11])
