"""Masks from elsewhere: by name, by colour, and along the way of the photos."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from labelsplat.base import LabelsplatError
from labelsplat.capture import open_capture, orbit_camera, prepare, write_facescape
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary
from labelsplat.parsing import (
    class_map,
    foreign_predictions,
    load_predictions,
    mask_labeller,
    nearest_classes,
    save_predictions,
)

SUBJECT = "7/1_neutral"
POSES = [(-50, 0), (0, 10), (40, -10)]
NAMES = ("0", "1", "2")
SIZE = 32


def regions(height, width, seed=0):
    """Label map of a few regions, whose edges do not lie on those of every second pixel."""
    coarse = np.random.default_rng(seed).integers(0, 19, (6, 8)).astype(np.uint8)
    labels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.roll(labels, (1, 1), (0, 1))


@pytest.fixture
def scan(tmp_path):
    """Root of a FaceScape tree: two photos of 64 x 48 pixels, one of 48 x 64."""
    square = [orbit_camera(yaw, pitch, 1.15, 16.5, 64) for yaw, pitch in POSES]
    cameras = [c.padded(0, -8, 64, 48) for c in square[:2]] + [square[2].padded(-8, 0, 48, 64)]
    photos = [CELEBAMASK.colours[regions(c.height, c.width, i)] for i, c in enumerate(cameras)]
    write_facescape(tmp_path / "scan", SUBJECT, NAMES, photos, cameras)
    return tmp_path / "scan"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "masks"
    path.mkdir()
    return path


def labels_of(capture):
    return [regions(v.camera.height, v.camera.width, i) for i, v in enumerate(capture.views)]


def read(scan, folder, vocabulary=CELEBAMASK, **options):
    capture = open_capture(scan)
    photos = prepare(capture, SIZE)
    return photos, foreign_predictions(folder, capture, photos, vocabulary, **options)


def write_index(folder, capture):
    for name, labels in zip(NAMES, labels_of(capture), strict=True):
        Image.fromarray(labels).save(folder / f"{name}.png")


def test_index_masks_land_where_the_photos_do(scan, folder):
    write_index(folder, open_capture(scan))
    photos, soft = read(scan, folder)
    assert soft.probabilities.shape == (3, SIZE, SIZE, 19)
    np.testing.assert_allclose(soft.probabilities.sum(-1), 1, atol=1e-5)
    # The photos are painted in the palette: away from edges both must name the same class.
    painted, _ = nearest_classes(photos.images.reshape(-1, SIZE, 3), CELEBAMASK.colours[:19])
    painted = painted.reshape(soft.labels.shape)
    sure = soft.probabilities.max(-1) > 0.94
    assert sure.mean() > 0.4
    assert (painted == soft.labels)[sure & photos.valid].mean() > 0.995
    # Pixels on an edge belong partly to each side.
    assert ((soft.probabilities > 0.2).sum(-1) >= 2).mean() > 0.02


def test_predictions_are_stored_like_a_parsers(scan, folder, tmp_path):
    write_index(folder, open_capture(scan))
    _, soft = read(scan, folder)
    save_predictions(tmp_path / "soft.npz", soft)
    again = load_predictions(tmp_path / "soft.npz")
    np.testing.assert_allclose(again.probabilities, soft.probabilities, atol=0.01)


def test_all_forms_say_the_same(scan, folder):
    capture = open_capture(scan)
    write_index(folder, capture)
    _, index = read(scan, folder, certainty=1.0)
    for form in ("colour", "npy", "probabilities", "classes first"):
        for name, labels in zip(NAMES, labels_of(capture), strict=True):
            (folder / f"{name}.png").unlink(missing_ok=True)
            one_hot = np.eye(19, dtype=np.float32)[labels]
            if form == "colour":
                Image.fromarray(CELEBAMASK.colours[labels]).save(folder / f"{name}.png")
            elif form == "npy":
                np.save(folder / f"{name}.npy", labels.astype(np.int64))
            else:
                first = form == "classes first"
                np.save(folder / f"{name}.npy", np.moveaxis(one_hot, -1, 0) if first else one_hot)
        _, other = read(scan, folder, certainty=1.0)
        np.testing.assert_allclose(other.probabilities, index.probabilities, atol=1e-6)


@pytest.mark.parametrize(
    "order", ["celebamask-19", "celebamask-official-19", "celebamask-segface-19"]
)
def test_orders_are_undone_by_name(scan, folder, order):
    """Each order as its source prints it: the same region under three different indices."""
    capture = open_capture(scan)
    write_index(folder, capture)
    _, true = read(scan, folder)
    vocabulary = VOCABULARIES[order]
    places = {
        "celebamask-19": {"l_brow": 2, "nose": 10, "neck": 14, "hair": 17},
        "celebamask-official-19": {"nose": 2, "l_brow": 6, "hair": 13, "neck": 17, "cloth": 18},
        "celebamask-segface-19": {"neck": 1, "skin": 2, "cloth": 3, "nose": 10, "hair": 14},
    }[order]
    assert {name: vocabulary.index(name) for name in places} == places
    assert sorted(vocabulary.classes) == sorted(CELEBAMASK.classes)
    renumber = np.array([vocabulary.index(name) for name in CELEBAMASK.classes], np.uint8)
    for name, labels in zip(NAMES, labels_of(capture), strict=True):
        Image.fromarray(renumber[labels]).save(folder / f"{name}.png")
    _, soft = read(scan, folder, vocabulary)
    np.testing.assert_allclose(soft.probabilities, true.probabilities, atol=1e-6)
    if order != "celebamask-19":
        _, wrong = read(scan, folder)
        assert (wrong.labels == true.labels).mean() < 0.6


def test_sides_may_be_the_images(scan, folder):
    write_index(folder, open_capture(scan))
    _, soft = read(scan, folder)
    _, mirrored = read(scan, folder, mirrored_sides=True)
    swapped = soft.probabilities[..., CELEBAMASK.flip]
    np.testing.assert_allclose(mirrored.probabilities, swapped, atol=1e-6)
    assert (mirrored.labels != soft.labels).any()


def test_another_vocabulary_by_names(scan, folder):
    lapa = Vocabulary(
        "small", ("background", "face", "hair"), ((0, 0, 0), (0, 153, 255), (9, 9, 200))
    )
    with pytest.raises(LabelsplatError, match="no class for face"):
        class_map(lapa, CELEBAMASK)
    with pytest.raises(LabelsplatError, match="'small' has no class 'nose'"):
        class_map(lapa, CELEBAMASK, {"face": "skin", "nose": "nose"})
    into = class_map(lapa, CELEBAMASK, {"face": "skin"})
    assert [CELEBAMASK.classes[i] for i in into] == ["background", "skin", "hair"]
    for name, labels in zip(NAMES, labels_of(open_capture(scan)), strict=True):
        Image.fromarray(lapa.colours[labels % 3]).save(folder / f"{name}.png")
    _, soft = read(scan, folder, lapa, renamed={"face": "skin"})
    assert set(np.unique(soft.labels)) == set(into)


def test_undistorted_and_turned_like_the_photos(scan, folder):
    """Paint the photos with the masks' own colours: after preparing they still agree."""
    path = scan / SUBJECT / "params.json"
    table = json.loads(path.read_text())
    for name in NAMES:
        table[f"{name}_distortion"] = [6.0, -30.0, 0.05, -0.04, 0.0]
    rt, k = np.array(table["1_Rt"]), np.array(table["1_K"])
    table["1_Rt"] = (np.diag([-1.0, -1, 1]) @ rt).tolist()
    k[:2, 2] = (63, 47) - k[:2, 2]
    table["1_K"] = k.tolist()
    path.write_text(json.dumps(table))
    capture = open_capture(scan)
    assert [view.turned for view in capture.views] == [False, True, False]
    write_index(folder, capture)
    photos, soft = read(scan, folder)
    painted, _ = nearest_classes(photos.images.reshape(-1, SIZE, 3), CELEBAMASK.colours[:19])
    sure = (soft.probabilities.max(-1) > 0.94) & photos.valid
    agree = (painted.reshape(soft.labels.shape) == soft.labels)[sure].mean()
    straight = replace(capture, views=tuple(replace(v, distortion=None) for v in capture.views))
    without = foreign_predictions(folder, straight, photos, CELEBAMASK)
    assert agree > 0.99
    assert (without.labels != soft.labels)[sure].mean() > 0.02


def test_smaller_masks_of_the_same_shape(scan, folder):
    capture = open_capture(scan)
    write_index(folder, capture)
    _, full = read(scan, folder)
    for name in NAMES:
        with Image.open(folder / f"{name}.png") as image:
            half = image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
        half.save(folder / f"{name}.png")
    _, soft = read(scan, folder)
    sure = full.probabilities.max(-1) > 0.94  # away from edges
    assert (soft.labels == full.labels)[sure].mean() > 0.97


def test_blended_edges_take_one_of_their_sides():
    """Skin against hair, blended: the middle looks like neck or brow, and must not become it."""
    labels = np.full((40, 40), CELEBAMASK.index("skin"), np.uint8)
    labels[:, 20:] = CELEBAMASK.index("hair")
    labels[25:, :20] = CELEBAMASK.index("background")
    large = CELEBAMASK.colours[np.kron(labels, np.ones((8, 8), np.uint8))]
    blended = cv2.resize(large, (41, 41), interpolation=cv2.INTER_AREA)
    palette = CELEBAMASK.colours[:19]
    found, share = nearest_classes(blended, palette)
    assert set(np.unique(found)) == set(np.unique(labels))
    assert 0 < share < 0.1
    naive = np.linalg.norm(blended[..., None, :] - palette.astype(float), axis=-1).argmin(-1)
    assert set(np.unique(naive)) - set(np.unique(labels))  # the trap is there
    again, none = nearest_classes(CELEBAMASK.colours[labels], palette)
    np.testing.assert_array_equal(again, labels)
    assert none == 0


def test_ignored_pixels_say_nothing(scan, folder):
    for name, labels in zip(NAMES, labels_of(open_capture(scan)), strict=True):
        Image.fromarray(np.full_like(labels, 255)).save(folder / f"{name}.png")
    _, soft = read(scan, folder)
    # Neither that it is the person, nor which part of it.
    np.testing.assert_allclose(soft.probabilities[..., 0], 0.5, atol=1e-6)
    np.testing.assert_allclose(soft.probabilities[..., 1:], 0.5 / 18, atol=1e-6)


def broken(folder, capture, what):
    path = folder / "1.png"
    labels = labels_of(capture)[1]
    if what == "missing":
        path.unlink()
        (folder / "2.png").unlink()
    elif what == "no image":
        path.write_bytes(b"no image")
    elif what == "index":
        Image.fromarray(labels + 30).save(path)
    elif what == "shape":
        Image.fromarray(labels[:, :20]).save(path)
    elif what == "colours":
        Image.fromarray(np.full((*labels.shape, 3), (1, 254, 3), np.uint8)).save(path)
    else:
        path.unlink()
        arrays = {
            "logits": np.random.default_rng(0).normal(0, 5, (*labels.shape, 19)),
            "classes": np.zeros((*labels.shape, 7)),
            "halves": labels + 0.5,
            "words": labels.astype(str),
            "NaN": np.full((*labels.shape, 19), np.nan),
            "sums": np.full((*labels.shape, 19), 0.01),
        }
        if what in arrays:
            np.save(path.with_suffix(".npy"), arrays[what])
        else:
            path.with_suffix(".npy").write_bytes(b"no array")


FAULTS = {
    "missing": "2 of 3 masks are missing: 1, 2",
    "no image": r"1\.png: the mask cannot be read",
    "index": r"1\.png: index \d+ has no class in 'celebamask-19'",
    "shape": r"1\.png: the mask is 20 x 48, its photo 64 x 48",
    "colours": r"1\.png: 100% of the mask are of no colour",
    "logits": r"1\.npy: .* are no probabilities.*softmax",
    "classes": r"1\.npy: an array \(48, 64, 7\)",
    "halves": r"1\.npy: .*whole indices",
    "words": r"1\.npy: the mask is no array of numbers",
    "sums": r"1\.npy: probabilities sum to 0\.19 to 0\.19, wanted 1",
    "NaN": r"1\.npy: .* are no probabilities",
    "no array": r"1\.npy: the mask cannot be read",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(scan, folder, fault):
    capture = open_capture(scan)
    write_index(folder, capture)
    broken(folder, capture, fault)
    with pytest.raises(LabelsplatError, match=FAULTS[fault]):
        read(scan, folder)


def test_masks_label_like_a_parser(scan, folder):
    capture = open_capture(scan)
    write_index(folder, capture)
    photos, soft = read(scan, folder)
    labeller = mask_labeller(folder, "celebamask-19")
    assert labeller.path == folder and labeller.vocabulary is CELEBAMASK
    np.testing.assert_array_equal(labeller.label(capture, photos), soft.probabilities)


def test_unknown_orders_and_missing_folders(folder):
    with pytest.raises(LabelsplatError, match="celebamask-official-19"):
        mask_labeller(folder, "celebamask")
    with pytest.raises(LabelsplatError, match="nowhere"):
        mask_labeller(folder / "nowhere", "celebamask-19")


def test_colours_for_indices(scan, folder):
    for name, labels in zip(NAMES, labels_of(open_capture(scan)), strict=True):
        Image.fromarray(CELEBAMASK.colours[labels]).save(folder / f"{name}.png")
    with pytest.raises(LabelsplatError, match=r"0\.png: a mask of indices has one channel"):
        read(scan, folder, kind="index")


def test_a_crop_shows_a_part_of_the_mask(scan, folder):
    """A square that lies within the photo: the photo reaches beyond it on all sides."""
    capture = open_capture(scan)
    write_index(folder, capture)
    photos = prepare(capture, SIZE)
    crops = tuple(
        replace(c, left=-16, top=-8, inner_width=c.width, inner_height=c.height)
        for c in photos.crops
    )
    soft = foreign_predictions(folder, capture, replace(photos, crops=crops), CELEBAMASK)
    for found, labels in zip(soft.labels, labels_of(capture), strict=True):
        np.testing.assert_array_equal(found, labels[8 : 8 + SIZE, 16 : 16 + SIZE])
