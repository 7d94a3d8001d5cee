"""PSNR and SSIM after a colour affine, and the tables made of them."""

import numpy as np
import pytest

from labelsplat.evaluate import compare_head


def foreground_psnr(*pictures):
    return compare_head(*pictures).psnr


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    rendered = rng.uniform(0.2, 0.6, (20, 20, 3))
    mask = np.zeros((20, 20), bool)
    mask[3:15, 4:18] = True
    return rendered, mask, rng


def test_any_affine_change_of_colour_costs_nothing(pictures):
    rendered, mask, _ = pictures
    matrix = np.array([[0.9, 0.1, 0.0], [0.05, 0.8, 0.0], [0.0, 0.1, 1.1]])
    assert foreground_psnr(rendered, rendered @ matrix + 0.05, mask) > 100


def test_noise_of_known_size(pictures):
    """An affine can fit only a little of the noise: 4 of 168 degrees of freedom."""
    rendered, mask, rng = pictures
    noise = rng.normal(0, 0.05, rendered.shape)
    plain = -10 * np.log10(np.mean(noise[mask] ** 2))
    assert plain <= foreground_psnr(rendered, rendered + noise, mask) <= plain + 0.4


def test_pixels_outside_the_mask_do_not_matter(pictures):
    rendered, mask, rng = pictures
    photo = np.clip(rendered + rng.normal(0, 0.02, rendered.shape), 0, 1)
    changed = np.where(mask[..., None], photo, 0.9)
    assert foreground_psnr(rendered, photo, mask) == foreground_psnr(rendered, changed, mask)


def test_too_few_pixels_is_nan(pictures):
    rendered, mask, _ = pictures
    assert np.isnan(foreground_psnr(rendered, rendered, np.zeros_like(mask)))


def test_likeness_of_equal_pictures_is_one(pictures):
    rendered, mask, _ = pictures
    assert compare_head(rendered, rendered, mask).ssim == pytest.approx(1)
    blurred = (rendered + np.roll(rendered, 1, 0) + np.roll(rendered, 1, 1)) / 3
    assert compare_head(blurred, rendered, mask).ssim < 0.9
