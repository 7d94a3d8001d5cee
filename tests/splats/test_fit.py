"""Fitting coloured Gaussians to rendered photos of a known scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.capture import orbit_camera
from labelsplat.splats import (
    COUPLINGS,
    FitSettings,
    Gaussians,
    fit_gaussians,
    model_posteriors,
    render,
)
from labelsplat.splats.backgrounds import background, monomials, solve_affine
from labelsplat.splats.loop import Loop
from labelsplat.splats.poses import corrected_cameras
from labelsplat.splats.regularisers import depth_roughness, thinness
from labelsplat.splats.settings import DENSITIES
from labelsplat.splats.smoothing import nearest, smooth

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


# -- label models ---------------------------------------------------------------------------------
LABELS = {"label_weight": 0.3, "iterations": 60}


def soft_labels(photos):
    """Left half of the ball class 1, right half class 2, background 0."""
    images, alpha, _ = photos
    red = images[..., 0] > images[..., 2]
    classes = np.where(alpha > 0.5, np.where(red, 1, 2), 0)
    return np.eye(3, dtype=np.float32)[classes]


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_label_models_learn_their_labels(photos, coupling):
    given = soft_labels(photos)
    done = fit(photos, replace(SETTINGS, coupling=coupling, **LABELS), labels=given)
    found = model_posteriors(done.labels, photos[2])
    assert found.shape == given.shape
    assert (found.argmax(-1) == given.argmax(-1)).mean() > 0.9
    shared = done.labels is done.gaussians
    assert shared == (coupling in ("joint", "geometry_from_rgb"))
    if coupling == "two_models":
        assert torch.equal(done.labels.means, done.gaussians.means)
        assert not torch.equal(done.labels.opacity_logits, done.gaussians.opacity_logits)


def test_what_labels_may_move(photos):
    """In one set they move the geometry if they may; the colours' own model they never touch."""
    given = soft_labels(photos)
    short = replace(SETTINGS, iterations=10)
    plain = fit(photos, short)
    for coupling in COUPLINGS:
        settings = replace(short, coupling=coupling, label_weight=0.3)
        means = fit(photos, settings, labels=given).gaussians.means
        moved = means.shape != plain.gaussians.means.shape or not torch.equal(
            means, plain.gaussians.means
        )
        assert moved == (coupling in ("joint", "two_models"))


def test_labels_without_weight_have_no_say(photos):
    given = soft_labels(photos)
    weights = np.ones(given.shape[:3], np.float32)
    weights[:, :, :16] = 0
    spoilt = given.copy()
    spoilt[:, :, :16] = [0, 0, 1]
    settings = replace(SETTINGS, coupling="joint", label_weight=0.3, iterations=10)
    a, b = (fit(photos, settings, labels=x, label_weights=weights) for x in (given, spoilt))
    assert torch.equal(a.gaussians.means, b.gaussians.means)
    assert torch.equal(a.labels.label_logits, b.labels.label_logits)


# -- regularisers, cameras, colours ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("opacity_weight", lambda g: g.opacities.mean()),
        ("scale_weight", lambda g: g.scales.mean()),
    ],
)
def test_regularisers_pull_their_way(photos, name, measure):
    short = replace(SETTINGS, iterations=60)
    plain, held = fit(photos, short), fit(photos, replace(short, **{name: 3.0}))
    assert measure(held.gaussians) < measure(plain.gaussians)


def test_thinness_minds_needles_and_leaves_discs_alone():
    scales = torch.tensor([[1.0, 1, 0.01], [1.0, 0.3, 0.2], [8.0, 1, 1]]).log().requires_grad_()
    thinness(scales).backward()
    assert thinness(scales[:2]) == 0 and thinness(scales).item() == pytest.approx(np.log(2) / 3)
    assert not scales.grad[:2].any() and scales.grad[2, 0] > 0


def test_depth_roughness_likes_slopes_and_forgives_edges():
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    one, grey = torch.ones(12, 12), torch.full((12, 12, 3), 0.5)
    slope = 1 + 0.1 * x + 0.2 * y
    assert depth_roughness(slope, one, grey, 1.0) < 1e-6
    step = torch.where(x > 5, 2.0, 1.0)
    edged = torch.where(x > 5, 1.0, 0.0)[..., None].expand(-1, -1, 3)
    rough = depth_roughness(step, one, grey, 1.0)
    assert rough > 0.1 and depth_roughness(step, one, edged, 1.0) < 0.1 * rough
    assert depth_roughness(step, 0 * one, grey, 1.0) == 0


def test_cameras_that_disagree_in_colour(photos):
    images, alpha, cameras = photos
    tinted = images.copy()
    head = alpha > 0.5
    tinted[1][head[1]] = (0.6 * images[1][head[1]] + 20).astype(np.uint8)
    longer = replace(SETTINGS, iterations=600)
    plain = fit((tinted, alpha, cameras), longer)
    mapped = fit((tinted, alpha, cameras), replace(longer, colour_affine=True))
    assert mapped.psnr > plain.psnr + 3
    shades = np.trace(mapped.affines[:, :, :3], axis1=1, axis2=2)
    assert shades[1] < shades[[0, 2, 3]].min() - 0.1


def test_solve_affine_finds_the_map():
    rng = np.random.default_rng(0)
    drawn = rng.random((8, 9, 3))
    matrix, offset = rng.random((3, 3)), rng.random(3)
    photo = drawn @ matrix.T + offset
    weights = rng.random((8, 9))
    photo[weights < 0.3] = 7
    found = solve_affine(drawn, photo, np.where(weights < 0.3, 0, weights))
    np.testing.assert_allclose(found[:, :3], matrix, atol=1e-9)
    np.testing.assert_allclose(found[:, 3], offset, atol=1e-9)


@pytest.mark.parametrize("density", DENSITIES)
def test_densities_end_in_a_fit_that_explains(photos, density):
    settings = replace(SETTINGS, density=density, iterations=300, gaussians=150)
    done = fit(photos, settings)
    assert done.psnr > 24 and done.gaussians.finite().all()
    grown = len(done.gaussians) + done.dropped > 150
    assert grown == (density == "adaptive")


def test_growth_ends_at_the_most(photos):
    settings = replace(SETTINGS, density="adaptive", iterations=300, gaussians=150)
    free = fit(photos, settings)
    held = fit(photos, replace(settings, most_gaussians=150))
    assert len(free.gaussians) + free.dropped > 150 >= len(held.gaussians) + held.dropped


@pytest.mark.parametrize("density", DENSITIES)
def test_a_resumed_fit_ends_as_an_uninterrupted_one(photos, density, tmp_path, monkeypatch):
    settings = replace(
        SETTINGS, density=density, iterations=240, gaussians=150, coupling="joint",
        label_weight=0.1, colour_affine=True, harmonics=1,
    )  # fmt: skip
    given = soft_labels(photos)
    whole = fit(photos, settings, labels=given)
    path = tmp_path / "fit.pt"

    class Killed(Exception):
        pass

    real = Loop._stalled

    def killed(self, loss):
        if self.steps == 190:
            raise Killed
        return real(self, loss)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Loop, "_stalled", killed)
        fit(photos, settings, labels=given, checkpoint=path, every=70)
    assert path.is_file()
    resumed = fit(photos, settings, labels=given, checkpoint=path, every=70)
    assert not path.exists()
    assert resumed.psnr == whole.psnr and resumed.history == whole.history
    for name, tensor in whole.gaussians.tensors().items():
        assert torch.equal(tensor, resumed.gaussians.tensors()[name]), name


def test_checkpoints_of_other_fits_are_not_gone_on_from(photos, tmp_path, caplog, monkeypatch):
    short = replace(SETTINGS, iterations=6)
    plain = fit(photos, short)
    path = tmp_path / "fit.pt"
    # One of another seed, left by a fit that was killed after its fourth step; and a broken one.
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        fit(photos, short, seed=1, checkpoint=path, every=4)
    assert path.is_file()
    again = fit(photos, short, checkpoint=path)
    assert "starts anew" in caplog.text
    assert torch.equal(plain.gaussians.means, again.gaussians.means)
    path.write_bytes(b"nothing")
    again = fit(photos, short, checkpoint=path)
    assert torch.equal(plain.gaussians.means, again.gaussians.means)


def test_early_stop(photos):
    settings = replace(SETTINGS, iterations=2000, stop_after=12)
    done = fit(photos, settings)
    assert 12 < done.steps < 2000 and done.psnr > 25


def test_start_from_points_and_from_a_sphere(photos):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3))
    points *= 0.09 / np.linalg.norm(points, axis=1, keepdims=True)
    short = replace(SETTINGS, iterations=1)
    from_points = fit(photos, short, points=points).gaussians.means.norm(dim=1)
    assert (from_points - 0.09).abs().max() < 0.03
    sphere = fit(photos, replace(SETTINGS, start="sphere"))
    assert sphere.psnr > 24
    with pytest.raises(LabelsplatError, match="at least four"):
        fit(photos, short, points=points[:2])


def test_disturbed_cameras_are_found_again(photos):
    """0.5 degrees and 2 % of the distance; what is left is free: the world may move as a whole."""
    images, alpha, cameras = photos
    rng = np.random.default_rng(1)
    turns = np.radians(0.5) * unit(rng.normal(size=(4, 3)))
    shifts = 0.02 * 0.167 * unit(rng.normal(size=(4, 3)))
    wrong = corrected_cameras(cameras, np.concatenate([turns, shifts], 1))
    settings = replace(SETTINGS, iterations=600, gaussians=800)
    held = fit((images, alpha, wrong), settings)
    free = fit((images, alpha, wrong), replace(settings, camera_rate=1e-3))
    assert held.cameras[0] is wrong[0]
    assert free.psnr > held.psnr + 1
    assert relative_error(free.cameras, cameras) < 0.5 * relative_error(wrong, cameras)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def relative_error(found, wanted):
    """Pixels by which points of the ball are off, after the best rigid motion and scale."""
    rng = np.random.default_rng(3)
    points = 0.09 * unit(rng.normal(size=(200, 3)))

    def misses(x):
        moved = np.exp(x[6]) * points @ Rotation.from_rotvec(x[:3]).as_matrix().T + x[3:6]
        pairs = zip(found, wanted, strict=True)
        return np.concatenate([(a.project(moved) - b.project(points)).ravel() for a, b in pairs])

    best = least_squares(misses, np.zeros(7))
    return np.sqrt(2 * best.cost / (len(points) * len(found)))


# -- smoothing ------------------------------------------------------------------------------------
def test_nearest_are_those_of_all_distances():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points).fill_diagonal_(9)
    assert torch.equal(nearest(points, 5), distances.argsort(1)[:, :5])
    assert nearest(points[:3], 8).shape == (3, 2)


def test_colours_move_towards_those_of_their_neighbours():
    colours = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    logits = torch.tensor([0.0, 2.0, -2.0])
    o = logits.sigmoid()
    smooth(colours, logits, torch.tensor([[1, 2], [0, 2], [0, 1]]), 0.25)
    wanted = 0.25 * torch.tensor([o[1] / (o[1] + o[2]), o[2] / (o[1] + o[2]), 0])
    torch.testing.assert_close(colours[0], wanted)


def test_smoothing_makes_neighbours_alike_and_colours_stay_colours(photos):
    def roughness(done):
        near = nearest(done.gaussians.means, 4)
        c = done.gaussians.colours
        return (c[near] - c[:, None]).abs().mean()

    plain = fit(photos, replace(SETTINGS, colour_smoothing=0.0))
    smoothed = fit(photos, replace(SETTINGS, colour_smoothing=0.3))
    assert roughness(smoothed) < 0.8 * roughness(plain)
    for done in (plain, smoothed):
        assert done.gaussians.colours.min() >= 0 and done.gaussians.colours.max() <= 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(photos):
    with pytest.raises(ParameterError, match="CUDA is not available"):
        fit(photos, device="cuda")
