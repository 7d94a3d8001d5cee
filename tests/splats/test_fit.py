"""Fitting coloured Gaussians to rendered photos of a known scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.splats import (
    COUPLINGS,
    FitSettings,
    draw_views,
    fit_gaussians,
    model_posteriors,
    render,
)
from labelsplat.splats import fit as fit_module
from labelsplat.splats.backgrounds import background, monomials, solve_affine
from labelsplat.splats.objective import Objective, Targets
from labelsplat.splats.parameters import Parameters
from labelsplat.splats.poses import corrected_cameras
from labelsplat.splats.regularisers import depth_roughness, thinness
from labelsplat.splats.settings import DENSITIES
from labelsplat.splats.start import start_gaussians

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)


def test_fit_explains_its_photos(fit, photos):
    start, done = (fit(photos, replace(SETTINGS, iterations=i)) for i in (1, 150))
    assert done.psnr > 27 > start.psnr + 3
    assert len(done.gaussians) + done.dropped == SETTINGS.gaussians
    assert done.gaussians.finite().all()
    with torch.no_grad():
        alpha = render(done.gaussians, photos[2]).alpha.numpy()
    assert np.abs(alpha - photos[1]).mean() < 0.05


def test_same_seed_same_gaussians_another_seed_others(fit, photos):
    short = replace(SETTINGS, iterations=5)
    a, b, c = (fit(photos, short, seed=s) for s in (1, 1, 2))
    assert torch.equal(a.gaussians.means, b.gaussians.means) and a.psnr == b.psnr
    assert not torch.equal(a.gaussians.means, c.gaussians.means)


@pytest.mark.parametrize("density", DENSITIES)
def test_scale_of_the_world_does_not_matter(fit, photos, density):
    images, alpha, cameras = photos
    large = [c.transformed(np.eye(3), np.zeros(3), 100.0) for c in cameras]
    short = replace(SETTINGS, iterations=40 if density == "fixed" else 240, density=density)
    small_fit, large_fit = fit(photos, short), fit((images, alpha, large), short)
    assert large_fit.psnr == pytest.approx(small_fit.psnr, abs=0.3)


def test_pixels_without_weight_have_no_say(fit, photos):
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
    behind = np.array([[0.3, 0.4, 0.5], [0.1, 0, 0], [0, 0.1, 0], *[[0.0, 0, 0]] * 3])
    value = background(behind, 3, 5)
    assert monomials(3, 5).shape == (3, 5, 6)
    np.testing.assert_allclose(value[1, 2], behind[0])
    np.testing.assert_allclose(value[1, 4], behind[0] + behind[1])
    np.testing.assert_allclose(value[2, 2], behind[0] + behind[2])


def test_psnr_is_that_of_the_gaussians_returned(fit, photos, monkeypatch):
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 0.5)  # so that what is dropped was seen
    settings = replace(SETTINGS, iterations=60, colour_affine=True)
    done = fit(photos, settings)
    assert done.dropped > 20
    drawn = draw_views(done.gaussians, done.cameras, done.backgrounds, done.affines)
    errors = ((drawn.pictures / 255 - photos[0] / 255) ** 2).mean((1, 2, 3))
    assert done.psnr == pytest.approx(np.mean(-10 * np.log10(errors)), abs=0.05)
    assert done.psnr < done.history[-1][1] - 0.5


def test_a_fit_that_leaves_nothing_says_so(fit, photos, monkeypatch):
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 1.0)
    with pytest.raises(LabelsplatError, match=r"none of the 400 Gaussians of the colours.*weights"):
        fit(photos, replace(SETTINGS, iterations=3))


@pytest.mark.parametrize("density", ["fixed", "mcmc"])
def test_one_broken_gaussian_spoils_no_other(fit, photos, density, monkeypatch):
    start = fit_module.start_gaussians

    def broken(*args):
        begin = start(*args)
        begin.colours[0] = begin.means[1] = begin.opacity_logits[2] = float("nan")
        return begin

    settings = replace(SETTINGS, density=density, iterations=240)
    whole = fit(photos, settings)
    monkeypatch.setattr(fit_module, "start_gaussians", broken)
    done = fit(photos, settings)
    assert done.gaussians.finite().all()
    assert done.dropped == (3 if density == "fixed" else 0)
    assert done.psnr > whole.psnr - 1


def test_arrays_that_do_not_fit_are_named(photos):
    with pytest.raises(ValueError, match="do not fit each other"):
        fit_gaussians(photos[0], np.ones((4, 3, 3), bool), photos[1], photos[2], SETTINGS)


def test_a_label_weight_wants_labels(fit, photos):
    with pytest.raises(ParameterError, match=r"label_weight 0.3, but no labels.*set label_weight"):
        fit(photos, replace(SETTINGS, label_weight=0.3))


# -- label models ---------------------------------------------------------------------------------
LABELS = {"label_weight": 0.3, "iterations": 60}


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_label_models_learn_their_labels(fit, photos, soft_labels, coupling):
    given = soft_labels
    done = fit(photos, replace(SETTINGS, coupling=coupling, **LABELS), labels=given)
    found = model_posteriors(done.labels, photos[2])
    assert found.shape == given.shape
    assert (found.argmax(-1) == given.argmax(-1)).mean() > 0.9
    shared = done.labels is done.gaussians
    assert shared == (coupling in ("joint", "geometry_from_rgb"))
    if coupling == "two_models":
        both, here, there = np.intersect1d(done.rows, done.label_rows, return_indices=True)
        assert len(both) > 0.5 * SETTINGS.gaussians
        colours, carriers = done.gaussians.select(here), done.labels.select(there)
        assert torch.equal(carriers.means, colours.means)
        assert torch.equal(carriers.log_scales, colours.log_scales)
        assert not torch.equal(carriers.opacity_logits, colours.opacity_logits)


def test_each_of_two_models_drops_what_it_does_not_show(fit, photos, soft_labels, monkeypatch):
    """By its own opacities: the other model's transparent Gaussians are no holes in this one."""
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 0.6)
    settings = replace(SETTINGS, coupling="two_models", **LABELS)
    done = fit(photos, settings, labels=soft_labels)
    assert (done.gaussians.opacities > 0.6).all() and (done.labels.opacities > 0.6).all()
    assert len(np.setdiff1d(done.label_rows, done.rows)) > 0
    assert len(np.setdiff1d(done.rows, done.label_rows)) > 0
    assert len(done.rows) == len(done.gaussians) == SETTINGS.gaussians - done.dropped
    assert len(done.label_rows) == len(done.labels)


def test_what_labels_may_move(fit, photos, soft_labels):
    """In one set they move the geometry if they may; the colours' own model they never touch."""
    given = soft_labels
    short = replace(SETTINGS, iterations=10)
    plain = fit(photos, short)
    for coupling in COUPLINGS:
        settings = replace(short, coupling=coupling, label_weight=0.3)
        means = fit(photos, settings, labels=given).gaussians.means
        moved = means.shape != plain.gaussians.means.shape or not torch.equal(
            means, plain.gaussians.means
        )
        assert moved == (coupling in ("joint", "two_models"))


def test_labels_now_and_then_are_learned_as_well(fit, photos, soft_labels):
    settings = replace(SETTINGS, coupling="joint", **LABELS)
    found = [
        model_posteriors(
            fit(photos, replace(settings, label_every=n), labels=soft_labels).labels, photos[2]
        )
        for n in (1, 3)
    ]
    assert not np.array_equal(*found)
    for posteriors in found:
        assert (posteriors.argmax(-1) == soft_labels.argmax(-1)).mean() > 0.9


def first_objective(photos, settings, labels=None):
    """The objective of a fit at its start, with black backgrounds and all weights one."""
    images, alpha, cameras = photos
    start = start_gaussians(
        images, alpha > -1, alpha, cameras, settings, np.random.default_rng(0), None
    )
    views = {"backgrounds": torch.zeros(len(images), 6, 3)}
    classes = 0 if labels is None else labels.shape[-1]
    parameters = Parameters.of(start, views, settings, classes, 1.0)
    ones = np.ones(alpha.shape, np.float32)
    targets = Targets.of(images, alpha, ones, cameras, labels, ones, 0.167, torch.device("cpu"))
    return Objective(parameters, targets, settings)


def test_a_step_without_labels_draws_none(photos, soft_labels):
    settings = replace(SETTINGS, coupling="joint", label_every=2, **LABELS)
    every = replace(settings, label_every=1)
    objective = first_objective(photos, settings, soft_labels)
    with torch.no_grad():
        colours = objective.loss(0, 1)[0]
        both = objective.loss(0, 0)[0]
        once = replace(objective, settings=every).loss(0, 1)[0]
    torch.testing.assert_close(both - colours, 2 * (once - colours))
    assert (once - colours) > 0


@pytest.mark.parametrize("path", ["fused", "whole picture"])
def test_the_colour_loss_is_that_of_the_picture(photos, path):
    settings = replace(SETTINGS, ssim_share=0.0, squared_weight=2.0, alpha_weight=0.15)
    objective = first_objective(photos, settings)
    p = objective.parameters
    p.views["backgrounds"] = torch.rand(len(photos[0]), 6, 3).requires_grad_()
    if path == "whole picture":  # affine maps of zero change no colour
        p.views["affines"] = torch.zeros(len(photos[0]), 3, 4)
    loss, drawn = objective.loss(1)
    picture, t = objective.picture(1, drawn), objective.targets
    away, beyond = picture - t.photos[1].image, drawn.alpha[0] - t.foreground[1]
    wanted = (away.abs() + 2 * away**2).mean() + 0.15 * beyond.abs().mean()
    leaves = [p.colour["means"], p.colour["colours"], p.views["backgrounds"]]
    found, expected = (torch.autograd.grad(x, leaves, retain_graph=True) for x in (loss, wanted))
    torch.testing.assert_close(loss, wanted)
    for a, b in zip(found, expected, strict=True):
        assert (a - b).norm() < 1e-3 * b.norm()


def test_labels_without_weight_have_no_say(fit, photos, soft_labels):
    given = soft_labels
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
def test_regularisers_pull_their_way(fit, photos, name, measure):
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


def test_cameras_that_disagree_in_colour(fit, photos):
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
def test_densities_end_in_a_fit_that_explains(fit, photos, density):
    settings = replace(SETTINGS, density=density, iterations=300, gaussians=150)
    done = fit(photos, settings)
    assert done.psnr > 24 and done.gaussians.finite().all()
    grown = len(done.gaussians) + done.dropped > 150
    assert grown == (density == "adaptive")


def test_growth_ends_at_the_most(fit, photos):
    settings = replace(SETTINGS, density="adaptive", iterations=300, gaussians=150)
    free = fit(photos, settings)
    held = fit(photos, replace(settings, most_gaussians=150))
    assert len(free.gaussians) + free.dropped > 150 >= len(held.gaussians) + held.dropped


def test_disturbed_cameras_are_found_again(fit, photos):
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_named(fit, photos):
    with pytest.raises(ParameterError, match="CUDA is not available"):
        fit(photos, device="cuda")
