"""Pictures that raters see: colours where a label is, files that tell nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsplat.labels import CELEBAMASK, IGNORE
from labelsplat.study import overlay

from .prepare_fixtures import made_up_map


def test_label_picture_shows_classes_alone():
    labels = np.array([[0, 1], [IGNORE, 17]], np.uint8)
    found = overlay.label_picture(labels)
    assert found[..., 3].tolist() == [[0, 255], [0, 255]]
    assert tuple(found[0, 1, :3]) == overlay.COLOURS["skin"]
    assert not found[0, 0].any() and not found[1, 0].any()


def test_raters_colours_differ_from_one_another_and_from_skin():
    assert set(overlay.COLOURS) == set(CELEBAMASK.classes) - {"background"}
    colours = np.array(list(overlay.COLOURS.values()), float)
    apart = np.linalg.norm(colours[:, None] - colours, axis=-1) + 1e3 * np.eye(len(colours))
    assert apart.min() > 55
    # The library's own colours are natural ones: none of these may look like the skin below it.
    natural = np.array(CELEBAMASK.palette[CELEBAMASK.index("skin")], float)
    assert np.linalg.norm(colours - natural, axis=-1).min() > 55


def test_absurd_map_is_upside_down_with_no_class_in_its_place():
    labels = made_up_map(0, 0, 0.0)
    for seed in range(20):
        found = overlay.absurd_map(labels, np.random.default_rng(seed))
        person = labels[::-1] != 0
        assert ((found != 0) == person).all()
        assert (found[person] != labels[::-1][person]).all()
        assert set(np.unique(found)) == set(np.unique(labels))


def test_a_filled_file_shows_the_same_and_is_a_valid_png(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 4), np.uint8)
    plain = overlay.png_bytes(pixels)
    length = len(plain) + overlay.ROOM + 500
    filled = overlay.filled_up(plain, length, np.random.default_rng(1))
    assert len(filled) == length
    assert filled != overlay.filled_up(plain, length, np.random.default_rng(2))
    path = tmp_path / "p.png"
    path.write_bytes(filled)
    with Image.open(path) as image:
        image.verify()  # checksums of all chunks
    with Image.open(path) as image:
        assert (np.asarray(image) == pixels).all()
    with pytest.raises(ValueError, match="filled up"):
        overlay.filled_up(plain, len(plain), np.random.default_rng(0))


def test_every_class_has_a_title():
    assert set(overlay.TITLES) == set(CELEBAMASK.classes) - {"background"}
