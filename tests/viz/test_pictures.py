"""Overlays and sheets: what is drawn is what was given."""

import io

import numpy as np
import pytest
from PIL import Image

from labelsplat import viz
from labelsplat.labels import CELEBAMASK, IGNORE


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (16, 20, 3)).astype(np.uint8)


@pytest.fixture
def labels():
    out = np.random.default_rng(1).integers(0, 19, (16, 20)).astype(np.uint8)
    out[:4] = 0
    out[4:6] = IGNORE
    return out


def pixels(figure):
    return np.array(Image.open(io.BytesIO(viz.png_bytes(figure))).convert("RGB"))


def contains(picture, part):
    """Whether a part lies in a picture, pixel by pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, part.shape)
    return bool((windows == part).all((-3, -2, -1)).any())


def test_overlay_of_no_weight_is_the_photo(photo, labels):
    np.testing.assert_array_equal(viz.overlay(photo, labels, alpha=0), photo)


def test_overlay_of_full_weight_is_the_labels(photo, labels):
    found = viz.overlay(photo, labels, alpha=1)
    drawn = (labels != 0) & (labels != IGNORE)
    np.testing.assert_array_equal(found[drawn], CELEBAMASK.colours[labels][drawn])


def test_overlay_leaves_background_and_unlabelled_pixels(photo, labels):
    found = viz.overlay(photo, labels)
    untouched = (labels == 0) | (labels == IGNORE)
    np.testing.assert_array_equal(found[untouched], photo[untouched])
    assert (viz.overlay(photo, labels, background=1.0)[labels == 0] == 0).all()


def test_overlay_lies_between(photo, labels):
    found = viz.overlay(photo, labels, alpha=0.3).astype(float)
    mixed = 0.7 * photo + 0.3 * CELEBAMASK.colours[labels]
    drawn = (labels != 0) & (labels != IGNORE)
    assert np.abs(found - mixed)[drawn].max() <= 0.5


def test_stacks_are_drawn_at_once(photo, labels):
    both = viz.overlay(np.stack([photo, photo]), np.stack([labels, labels]))
    np.testing.assert_array_equal(both[1], viz.overlay(photo, labels))


def test_colourise_and_differences(labels):
    np.testing.assert_array_equal(viz.colourise(labels), CELEBAMASK.colours[labels])
    wrong = labels.copy()
    wrong[10, 10] = (labels[10, 10] + 1) % 19
    found = viz.differences(wrong, labels)
    assert tuple(found[10, 10]) == CELEBAMASK.palette[wrong[10, 10]]
    right = labels == wrong
    assert set(np.unique(found[right])) == {225, 255}
    assert (found[right & (labels == 0)] == 255).all()


def test_what_has_no_label_is_not_tinted():
    truth = np.array([[0, 1, IGNORE]], np.uint8)
    assert viz.differences(truth, truth)[0, :, 0].tolist() == [255, 225, 255]


def test_sheet_shows_each_pixel_once(photo):
    photo = photo[:, :16]
    figure = viz.label_sheet([[photo, None], [None, photo[::-1]]], ["a\nb", "c"], ["x", "y"])
    drawn = pixels(figure)
    assert contains(drawn, photo) and contains(drawn, photo[::-1])


@pytest.mark.parametrize("title", ["frame_00001", "WWWWWWWWWW", "iiiiiiii", "two\nlines, MMMM"])
def test_row_titles_are_not_cut_off(photo, title):
    drawn = pixels(viz.label_sheet([[photo]], [title]))
    left = drawn.shape[1] - photo.shape[1]
    margin = drawn[:, :left]
    assert (margin < 200).any(), "the title is there"
    assert (margin[:, :2] > 250).all(), "and ends before the edge"


def test_sheet_fits_pictures_of_other_sizes(photo):
    figure = viz.label_sheet([[photo, photo.repeat(4, 0).repeat(4, 1)]], cell=64, title="title")
    assert pixels(figure).shape[0] >= 64


def test_legend_lists_what_is_present():
    few = pixels(viz.class_legend(present=np.array([0, 1, IGNORE])))
    every = pixels(viz.class_legend())
    assert few.shape[0] < every.shape[0]
    skin = np.array(CELEBAMASK.palette[1])
    nose = np.array(CELEBAMASK.palette[10])
    assert (few == skin).all(-1).any() and not (few == nose).all(-1).any()
    assert (every == nose).all(-1).any()


def test_nothing_to_show_is_an_error():
    with pytest.raises(ValueError):
        viz.label_sheet([[None]])


def test_residuals_are_differences_round_grey(photo):
    assert (viz.residuals(photo, photo) == 128).all()
    brighter = np.minimum(photo, 200) + 10
    assert (viz.residuals(brighter, np.minimum(photo, 200), gain=2) == 148).all()


def test_depth_is_light_where_it_is_near():
    depth = np.tile(np.linspace(1, 2, 50), (2, 40, 1))
    alpha = np.ones((2, 40, 50))
    alpha[:, :5] = 0.2
    alpha[1] = 0
    drawn = viz.depth_pictures(depth, alpha)
    assert (drawn[1] == 255).all() and (drawn[0, :5] == 255).all()
    assert (np.diff(drawn[0, 20, :, 0].astype(int)) <= 0).all()
    assert drawn[0, 20, 0, 0] > drawn[0, 20, -1, 0] + 150
