"""Fitting coloured Gaussians to rendered photos of a known scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelsplat.capture import orbit_camera
from labelsplat.splats import FitSettings, Gaussians, fit_gaussians, render
from labelsplat.splats.fit import background, monomials

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)
BEHIND = np.array([[0.3, 0.4, 0.5], [0.1, 0, 0], [0, 0.1, 0], *[[0.0, 0, 0]] * 3])


@pytest.fixture(scope="module")
def photos():
    """A ball of coloured Gaussians over a smooth background."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(800, 3))
    points *= 0.09 / np.linalg.norm(points, axis=1, keepdims=True)
    truth = Gaussians(
        torch.from_numpy(points.astype(np.float32)),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(800, 1),
        torch.full((800, 3), float(np.log(0.008))),
        torch.full((800,), 3.0),
        torch.from_numpy((0.5 + 4 * points).clip(0, 1).astype(np.float32)),
    )
    cameras = [
        orbit_camera(yaw, p, 1.15, 16.5, 32) for yaw, p in ((-60, 0), (0, 5), (60, 0), (0, 50))
    ]
    drawn = render(truth, cameras)
    alpha = drawn.alpha.numpy()
    image = drawn.features.numpy() + (1 - alpha)[..., None] * background(BEHIND, 32, 32)
    return (image.clip(0, 1) * 255).round().astype(np.uint8), alpha, cameras


def fit(photos, settings=SETTINGS, **changes):
    images, alpha, cameras = photos
    valid = changes.pop("valid", np.ones(alpha.shape, bool))
    return fit_gaussians(images, valid, alpha, cameras, settings, progress=False, **changes)


def test_fit_explains_its_photos(photos):
    start, done = (fit(photos, replace(SETTINGS, iterations=i)) for i in (1, 150))
    assert done.psnr > 27 > start.psnr + 3
    assert len(done.gaussians) + done.dropped == SETTINGS.gaussians
    assert done.gaussians.finite().all()
    with torch.no_grad():
        alpha = render(done.gaussians, photos[2]).alpha.numpy()
    assert np.abs(alpha - photos[1]).mean() < 0.05


def test_same_seed_same_gaussians_another_seed_others(photos):
    short = replace(SETTINGS, iterations=5)
    a, b, c = (fit(photos, short, seed=s) for s in (1, 1, 2))
    assert torch.equal(a.gaussians.means, b.gaussians.means) and a.psnr == b.psnr
    assert not torch.equal(a.gaussians.means, c.gaussians.means)


def test_scale_of_the_world_does_not_matter(photos):
    images, alpha, cameras = photos
    large = [c.transformed(np.eye(3), np.zeros(3), 100.0) for c in cameras]
    short = replace(SETTINGS, iterations=40)
    small_fit, large_fit = fit(photos, short), fit((images, alpha, large), short)
    assert large_fit.psnr == pytest.approx(small_fit.psnr, abs=0.3)


def test_pixels_without_weight_have_no_say(photos):
    images, alpha, cameras = photos
    spoilt = images.copy()
    spoilt[:, :8, :8] = (255, 0, 255)
    valid = np.ones(alpha.shape, bool)
    valid[:, :8, :8] = False
    short = replace(SETTINGS, iterations=20)
    a, b = fit(photos, short, valid=valid), fit((spoilt, alpha, cameras), short, valid=valid)
    assert torch.equal(a.gaussians.means, b.gaussians.means)
    assert torch.equal(a.gaussians.colours, b.gaussians.colours)


def test_background_is_the_quadratic_that_its_coefficients_say():
    value = background(BEHIND, 3, 5)
    assert monomials(3, 5).shape == (3, 5, 6)
    np.testing.assert_allclose(value[1, 2], BEHIND[0])
    np.testing.assert_allclose(value[1, 4], BEHIND[0] + BEHIND[1])
    np.testing.assert_allclose(value[2, 2], BEHIND[0] + BEHIND[2])


def test_arrays_that_do_not_fit_are_named(photos):
    with pytest.raises(ValueError, match="do not fit each other"):
        fit_gaussians(photos[0], np.ones((4, 3, 3), bool), photos[1], photos[2], SETTINGS)
