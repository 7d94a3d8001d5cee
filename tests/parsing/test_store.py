import zipfile

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

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


def regions(count, size, seed):
    """Label maps of 19 classes with areas as uneven as a face's, ``[n, size, size]`` uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    out = np.zeros((count, size, size), np.uint8)
    for labels in out:
        for index, radius in enumerate(np.geomspace(size / 2.2, size / 30, 18), 1):
            row, column = random.uniform(0.2, 0.8, 2) * size
            squeeze = random.uniform(0.6, 1.6)
            labels[(y - row) ** 2 * squeeze + (x - column) ** 2 / squeeze < radius**2] = index
    return out


def like_a_parser(truth, seed):
    """Soft predictions with soft edges, wrong regions and hesitation, as a parser's."""
    random = np.random.default_rng(seed)
    hot = np.eye(19, dtype=np.float32)[truth]
    soft = gaussian_filter(hot, (0, 1.6, 1.6, 0))
    doubt = gaussian_filter(random.normal(size=soft.shape), (0, 6, 6, 0))
    logits = 2.2 * np.log(soft + 2e-3) + 1.2 * doubt / doubt.std()
    out = np.exp(logits - logits.max(-1, keepdims=True))
    return (out / out.sum(-1, keepdims=True)).astype(np.float32)


def miou(soft, truth):
    return float(np.nanmean(iou(confusion(soft.argmax(-1), truth, 19))))


def test_codes_cost_no_mean_iou(tmp_path):
    """One view's labels, and many views' mean, which is what a lift decides by."""
    truth = regions(3, 96, seed=1)
    views = [like_a_parser(truth, seed) for seed in range(4)]
    stored = []
    for i, soft in enumerate(views):
        save_predictions(tmp_path / f"{i}.npz", SoftPredictions(("a", "b", "c"), soft))
        stored.append(load_predictions(tmp_path / f"{i}.npz").probabilities)
    for exact, coded in [*zip(views, stored, strict=True), (np.mean(views, 0), np.mean(stored, 0))]:
        level = miou(exact, truth)
        assert 0.3 < level < 0.95  # neither nothing nor everything is right
        assert abs(miou(coded, truth) - level) <= 0.001
    floats = sum(soft.nbytes for soft in views)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < floats / 5
