"""Labelled sets of other layouts, read into the project's vocabulary at working size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture import open_labelled, read_alpha, read_pool, write_truth
from labelsplat.capture.labelled import LAPA, carry, split_validation, take_evenly
from labelsplat.capture.pools import write_pool
from labelsplat.labels import CELEBAMASK, IGNORE


def test_celebamask(made, tmp_path):
    made.write_celebamask(tmp_path)
    found = open_labelled("celebamask", tmp_path)
    assert [p.name for p in found.photos] == [f"{n:05d}" for n in range(1995, 2007)]
    assert not found.mirrored
    for entry, seed in zip(found.photos[4:7], (1999, 2000, 2001), strict=True):
        image, labels = found.read(entry, made.SIZE)
        np.testing.assert_array_equal(labels, made.face(seed))
        assert np.abs(image.astype(int) - made.photo(made.face(seed), seed)).mean() < 8


def test_celebamask_is_split_as_celeba_is(made, tmp_path):
    made.write_celebamask(tmp_path)
    # By the number of the file: 162770 is the last to train with, 182638 the first to test on.
    files = {1995: 162_770, 1996: 162_771, 1997: 182_637, 1998: 182_638, 1999: 202_599, 2000: 1}
    rows = [f"{face:<11d}{file - 1:<12d}{file:06d}.jpg" for face, file in files.items()]
    mapping = tmp_path / "CelebA-HQ-to-CelebA-mapping.txt"
    mapping.write_text("\n".join(["idx        orig_idx    orig_file", *rows]) + "\n")
    groups = {int(p.name): p.group for p in open_labelled("celebamask", tmp_path).photos}
    expected = ["train", "val", "val", "test", "test", "train"]
    assert [groups[face] for face in files] == expected
    assert {groups[face] for face in groups.keys() - files.keys()} == {""}
    mapping.write_text("0 119613 unknown.jpg\n")
    with pytest.raises(CaptureError, match=r"mapping\.txt.*'0 119613 unknown\.jpg'"):
        open_labelled("celebamask", tmp_path)


def test_sides_named_by_the_viewer_are_turned_to_the_subjects(made, tmp_path):
    made.write_celebamask(tmp_path, mirrored=True)
    found = open_labelled("celebamask", tmp_path)
    assert found.mirrored
    np.testing.assert_array_equal(found.read(found.photos[0], made.SIZE)[1], made.face(1995))


def test_faces_that_disagree_on_sides_are_an_error(made, tmp_path):
    made.write_images(tmp_path, 12)
    for seed in range(0, 12, 2):
        labels = CELEBAMASK.flip[made.face(seed)].astype(np.uint8)
        Image.fromarray(labels).save(tmp_path / f"labels/face {seed}.png")
    with pytest.raises(CaptureError, match="whose left"):
        open_labelled("images", tmp_path)


def test_lapa(made, tmp_path):
    made.write_lapa(tmp_path)
    found = open_labelled("lapa", tmp_path)
    assert [p.group for p in found.photos] == ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    image, labels = found.read(found.photos[0], made.SIZE)
    # 52 x 64 pixels in a square of 64: six columns at either side are beyond the photo.
    assert (labels[:, :6] == IGNORE).all() and (labels[:, -6:] == IGNORE).all()
    expected = np.array([CELEBAMASK.index(n) for n in LAPA])[
        made.lapa_labels(made.face(1))[:, 6:-6]
    ]
    np.testing.assert_array_equal(labels[:, 6:-6], expected)
    np.testing.assert_array_equal(image[:, 2], image[:, 6])
    standard, validation = split_validation(found.photos)
    assert {p.group for p in standard} == {"train"} and {p.group for p in validation} == {"val"}


def test_lapa_without_its_split(made, tmp_path):
    made.write_lapa(tmp_path / "all")
    found = open_labelled("lapa", tmp_path / "all/test")
    assert [p.group for p in found.photos] == [""] * 4


def test_plain_images_in_the_projects_own_order(made, tmp_path):
    made.write_images(tmp_path)
    found = open_labelled("images", tmp_path)
    assert found.photos[3].name == "face-3"
    image, labels = found.read(found.photos[3], made.SIZE)
    np.testing.assert_array_equal(labels, made.face(3))
    np.testing.assert_array_equal(image, made.photo(made.face(3), 3))


def test_plain_images_with_classes_by_name(made, tmp_path):
    classes = ["background", "hair", "skin", "r_eye", "l_eye", "nose"]
    made.write_images(tmp_path, classes=classes)
    found = open_labelled("images", tmp_path)
    _, labels = found.read(found.photos[5], made.SIZE)
    kept = np.isin(made.face(5), [CELEBAMASK.index(n) for n in classes])
    np.testing.assert_array_equal(labels, np.where(kept, made.face(5), 0))


@pytest.mark.parametrize("size", [24, 100])
def test_another_working_size_keeps_the_picture(made, tmp_path, size):
    made.write_images(tmp_path)
    found = open_labelled("images", tmp_path)
    image, labels = found.read(found.photos[0], size)
    assert image.shape == (size, size, 3) and labels.shape == (size, size)
    rows = ((np.arange(size) + 0.5) * made.SIZE / size).astype(int)
    np.testing.assert_array_equal(labels, made.face(0)[rows[:, None], rows])


def test_validation_is_a_tenth_where_a_set_has_no_split(made, tmp_path):
    made.write_images(tmp_path, 20)
    photos = open_labelled("images", tmp_path).photos
    standard, validation = split_validation(photos)
    assert len(standard) == 18 and len(validation) == 2
    assert set(standard).isdisjoint(validation)
    assert len(take_evenly(photos, 5)) == 5 and take_evenly(photos, 0) == list(photos)


def test_faults_are_named(made, tmp_path):
    with pytest.raises(ParameterError, match="unknown layout 'celeba'"):
        open_labelled("celeba", tmp_path)
    with pytest.raises(CaptureError, match="no such folder"):
        open_labelled("lapa", tmp_path / "nowhere")
    for source in ("celebamask", "lapa", "images"):
        with pytest.raises(CaptureError, match="no labelled photo"):
            open_labelled(source, tmp_path)
    made.write_images(tmp_path / "set")
    found = open_labelled("images", tmp_path / "set")
    first, second, third = found.photos[:3]
    Image.fromarray(np.full((made.SIZE, made.SIZE), 77, np.uint8)).save(first.labels)
    with pytest.raises(CaptureError, match=r"face 0\.png.*index 77"):
        found.read(first, made.SIZE)
    Image.fromarray(np.zeros((made.SIZE, made.SIZE // 2), np.uint8)).save(second.labels)
    with pytest.raises(CaptureError, match="its labels are 32 x 64"):
        found.read(second, made.SIZE)
    third.image.write_bytes(b"no image")
    with pytest.raises(CaptureError, match=r"face 2\.png.*not an image"):
        found.read(third, made.SIZE)
    with pytest.raises(CaptureError, match="'beak' is unknown"):
        carry(np.zeros((2, 2), np.uint8), ["background", "beak"], CELEBAMASK, "here")


@pytest.mark.parametrize("other", ["images/face-3.png", "images/face 3.jpg"])
def test_two_photos_of_one_name_are_refused(made, tmp_path, other):
    """One would overwrite the other."""
    made.write_images(tmp_path)
    Image.fromarray(made.photo(made.face(1), 1)).save(tmp_path / other)
    Image.fromarray(made.face(1)).save(tmp_path / "labels/face-3.png")
    with pytest.raises(CaptureError, match=r"face.3\.\w+ and face.3\.\w+ would both be 'face-3'"):
        open_labelled("images", tmp_path)


def test_photos_of_every_format_are_taken_and_what_is_left_out_is_listed(made, tmp_path):
    made.write_images(tmp_path, 8)
    suffixes = (".webp", ".tif", ".TIFF", ".bmp", ".jpeg")
    for seed, suffix in enumerate(suffixes):
        photo = tmp_path / f"images/face {seed}.png"
        Image.open(photo).save(photo.with_suffix(suffix))
        photo.unlink()
    (tmp_path / "images/face 6.png").rename(tmp_path / "images/face 6.heic")
    (tmp_path / "labels/face 7.png").unlink()
    found = open_labelled("images", tmp_path)
    assert [p.image.suffix for p in found.photos] == [*suffixes, ".png"]
    image, _ = found.read(found.photos[1], made.SIZE)
    np.testing.assert_array_equal(image, made.photo(made.face(1), 1))
    assert [file.name for file in found.skipped] == ["face 6.heic", "face 7.png"]


def test_what_is_left_out_is_told_when_a_pool_is_written(made, tmp_path, capsys):
    made.write_images(tmp_path / "set", 3)
    (tmp_path / "set/images/notes.doc").write_text("")
    found = open_labelled("images", tmp_path / "set")
    write_pool(found, {"test": list(found.photos)}, tmp_path / "a", tmp_path / "b", 32)
    assert "notes.doc" in capsys.readouterr().out


def test_sixteen_bits_become_eight(made, tmp_path):
    made.write_images(tmp_path, 1)
    grey = made.photo(made.face(0), 0)[..., 0]
    photo = tmp_path / "images/face 0.png"
    Image.fromarray(grey.astype(np.uint16) * 256 + 9).save(photo)
    found = open_labelled("images", tmp_path)
    np.testing.assert_array_equal(found.read(found.photos[0], made.SIZE)[0][..., 1], grey)


def test_masks_of_any_colour_count(made, tmp_path):
    made.write_celebamask(tmp_path, 3)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    for i, path in enumerate(sorted(tmp_path.glob("CelebAMask-HQ-mask-anno/*/*.png"))):
        mask = np.asarray(Image.open(path))[..., :1] > 127
        Image.fromarray((mask * colours[i % 4]).astype(np.uint8)).save(path)
    found = open_labelled("celebamask", tmp_path)
    for photo, seed in zip(found.photos, (1995, 1996, 1997), strict=True):
        np.testing.assert_array_equal(found.read(photo, made.SIZE)[1], made.face(seed))


def test_more_classes_than_a_byte_has_room_for(made, tmp_path):
    made.write_images(tmp_path, 2, classes=["background", *(f"class {i}" for i in range(256))])
    with pytest.raises(CaptureError, match=r"labels\.json.*257 classes"):
        open_labelled("images", tmp_path)


def test_absurdly_large_pictures_are_named(made, tmp_path, monkeypatch):
    made.write_images(tmp_path / "set", 2)
    found = open_labelled("images", tmp_path / "set")
    groups = {"test": list(found.photos)}
    write_pool(found, groups, tmp_path / "photos", tmp_path / "labels", made.SIZE)
    write_truth(tmp_path / "truth", "7", "0", made.face(0), alpha=made.face(0))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow stops at twice as many
    for read in (
        lambda: read_pool(tmp_path / "photos", tmp_path / "labels", "test", ["face-0"], made.SIZE),
        lambda: read_alpha(tmp_path / "truth", "7", ["0"]),
        lambda: found.read(found.photos[0], made.SIZE),
    ):
        with pytest.raises(CaptureError, match=r"png.*cannot be read.*exceeds limit"):
            read()
