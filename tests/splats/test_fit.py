"""Fitting coloured Gaussians to rendered photos of a known scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

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
    draw_views,
    fit_gaussians,
    identity,
    model_posteriors,
    render,
    smoothing,
)
from labelsplat.splats import fit as fit_module
from labelsplat.splats.backgrounds import background, monomials, solve_affine
from labelsplat.splats.density import Fixed
from labelsplat.splats.loop import Loop
from labelsplat.splats.poses import corrected_cameras
from labelsplat.splats.regularisers import depth_roughness, thinness
from labelsplat.splats.settings import DENSITIES
from labelsplat.splats.smoothing import nearest, smooth
from labelsplat.splats.stage import CHECKPOINT_EVERY

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


@pytest.mark.parametrize("density", DENSITIES)
def test_scale_of_the_world_does_not_matter(photos, density):
    images, alpha, cameras = photos
    large = [c.transformed(np.eye(3), np.zeros(3), 100.0) for c in cameras]
    short = replace(SETTINGS, iterations=40 if density == "fixed" else 240, density=density)
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


def test_psnr_is_that_of_the_gaussians_returned(photos, monkeypatch):
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 0.5)  # so that what is dropped was seen
    settings = replace(SETTINGS, iterations=60, colour_affine=True)
    done = fit(photos, settings)
    assert done.dropped > 20
    drawn = draw_views(done.gaussians, done.cameras, done.backgrounds, done.affines)
    errors = ((drawn.pictures / 255 - photos[0] / 255) ** 2).mean((1, 2, 3))
    assert done.psnr == pytest.approx(np.mean(-10 * np.log10(errors)), abs=0.05)
    assert done.psnr < done.history[-1][1] - 0.5


def test_a_fit_that_leaves_nothing_says_so(photos, monkeypatch):
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 1.0)
    with pytest.raises(LabelsplatError, match=r"none of the 400 Gaussians of the colours.*weights"):
        fit(photos, replace(SETTINGS, iterations=3))


@pytest.mark.parametrize("density", ["fixed", "mcmc"])
def test_one_broken_gaussian_spoils_no_other(photos, density, monkeypatch):
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


def test_a_label_weight_wants_labels(photos):
    with pytest.raises(ParameterError, match=r"label_weight 0.3, but no labels.*set label_weight"):
        fit(photos, replace(SETTINGS, label_weight=0.3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussians", 0), ("iterations", 0), ("iterations", -1), ("most_gaussians", 0),
        ("means_rate", 0.0), ("means_rate", -1e-3), ("means_rate", float("nan")),
        ("ssim_share", 2.0), ("ssim_share", -0.1), ("squared_weight", -1.0),
        ("alpha_weight", float("inf")), ("label_weight", -0.1), ("depth_weight", float("nan")),
        ("opacity_weight", -1.0), ("scale_weight", -1.0), ("thinness_weight", -1.0),
        ("colour_smoothing", 1.5), ("hull_tolerance", 1.2), ("hull_resolution", 1),
        ("camera_rate", -1.0), ("stop_after", -1), ("close_radius", -1), ("processes", -1),
        ("harmonics", 4), ("density", "none"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ParameterError, match=f"fit: {name}.*{value}"):
        FitSettings(**{name: value})


@pytest.mark.parametrize("coupling", ["two_models", "separate"])
def test_adaptive_density_follows_one_model_alone(coupling):
    FitSettings(density="adaptive", coupling=coupling)  # no label model is fitted
    with pytest.raises(ParameterError, match=f"adaptive density of two models.*{coupling}"):
        FitSettings(density="adaptive", coupling=coupling, label_weight=0.1)


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
        both, here, there = np.intersect1d(done.rows, done.label_rows, return_indices=True)
        assert len(both) > 0.5 * SETTINGS.gaussians
        colours, carriers = done.gaussians.select(here), done.labels.select(there)
        assert torch.equal(carriers.means, colours.means)
        assert torch.equal(carriers.log_scales, colours.log_scales)
        assert not torch.equal(carriers.opacity_logits, colours.opacity_logits)


def test_each_of_two_models_drops_what_it_does_not_show(photos, monkeypatch):
    """By its own opacities: the other model's transparent Gaussians are no holes in this one."""
    monkeypatch.setattr(fit_module, "MIN_OPACITY", 0.6)
    settings = replace(SETTINGS, coupling="two_models", **LABELS)
    done = fit(photos, settings, labels=soft_labels(photos))
    assert (done.gaussians.opacities > 0.6).all() and (done.labels.opacities > 0.6).all()
    assert len(np.setdiff1d(done.label_rows, done.rows)) > 0
    assert len(np.setdiff1d(done.rows, done.label_rows)) > 0
    assert len(done.rows) == len(done.gaussians) == SETTINGS.gaussians - done.dropped
    assert len(done.label_rows) == len(done.labels)


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


@pytest.mark.parametrize(
    ("density", "most"), [*((name, 200000) for name in DENSITIES), ("adaptive", 155)]
)
def test_a_resumed_fit_ends_as_an_uninterrupted_one(photos, density, most, tmp_path, monkeypatch):
    settings = replace(
        SETTINGS, density=density, iterations=240, gaussians=150, coupling="joint",
        label_weight=0.1, colour_affine=True, harmonics=1, most_gaussians=most,
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
    assert again.seconds < 1e5
    # One of other code.
    caplog.clear()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "code_digest", lambda: "of yesterday")
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        fit(photos, short, checkpoint=path, every=4)
    assert "starts anew" not in caplog.text and path.is_file()
    fit(photos, short, checkpoint=path)
    assert "starts anew" in caplog.text
    path.write_bytes(b"nothing")
    again = fit(photos, short, checkpoint=path)
    assert torch.equal(plain.gaussians.means, again.gaussians.means)


def test_seconds_are_those_of_all_calls(photos, tmp_path, monkeypatch):
    short = replace(SETTINGS, iterations=6)
    path = tmp_path / "fit.pt"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *args, **more: None)
        first = fit(photos, short, checkpoint=path, every=4)
    state = torch.load(path, weights_only=True)
    assert 0 < state["seconds"] <= first.seconds
    state["seconds"] = 1e6
    torch.save(state, path)
    assert 1e6 < fit(photos, short, checkpoint=path).seconds < 1.01e6


def test_the_digest_of_code_minds_names_and_text(tmp_path):
    def digest(**files):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        (tmp_path / "notes.txt").write_text(str(files))
        return identity.code_digest(tmp_path)

    known = digest(a="x = 1", b="y = 2")
    assert known == digest(b="y = 2", a="x = 1")
    others = digest(a="x = 1", b="y = 3"), digest(a="x = 1", c="y = 2"), digest(a="x = 1y = 2")
    assert len({known, *others}) == 4


def test_only_long_fits_write_checkpoints():
    assert FitSettings().iterations < CHECKPOINT_EVERY < 7000  # those of the paper's profile


def test_neighbours_are_found_anew_when_the_gaussians_changed(photos, monkeypatch):
    found = []

    def counted(points, count):
        found.append(len(points))
        return nearest(points, count)

    monkeypatch.setattr(smoothing, "nearest", counted)
    short = replace(SETTINGS, iterations=40)
    fit(photos, short)
    assert len(found) == 1
    monkeypatch.setattr(Fixed, "after", lambda self, parameters, drawn, step: step == 15)
    fit(photos, short)
    assert len(found) == 3  # at step 0, and once more at 20, not at 10 nor at 30


def test_a_step_that_is_not_finite_stops_nothing():
    loop = Loop(SimpleNamespace(settings=replace(SETTINGS, stop_after=3)), Fixed(), None)
    for loss in (float("nan"), 3.0, 2.0, float("nan"), 1.0, 0.5):
        loop.steps += 1
        assert not loop._stalled(loss)


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


def test_points_that_are_no_good(photos):
    points = np.random.default_rng(0).normal(size=(60, 3)) * 0.05
    short = replace(SETTINGS, iterations=1)
    plain = fit(photos, short, points=points).gaussians
    crowded = np.concatenate([points, np.repeat(points[:1], 600, 0), points[30:]])
    for name, tensor in fit(photos, short, points=crowded).gaussians.tensors().items():
        assert torch.equal(tensor, plain.tensors()[name]), name
    with pytest.raises(LabelsplatError, match=r"3 different points of 90.*visual hull"):
        fit(photos, short, points=np.repeat(points[:3], 30, 0))
    spoilt = points.copy()
    spoilt[4, 1], spoilt[9, 2] = np.nan, np.inf
    with pytest.raises(LabelsplatError, match=r"2 of 60 points.*not finite.*Drop"):
        fit(photos, short, points=spoilt)
    with pytest.raises(LabelsplatError, match=r"\(60, 2\)"):
        fit(photos, short, points=points[:, :2])


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


def test_a_broken_gaussian_is_no_neighbour_and_has_no_say():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    colours = torch.rand(60, 3, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(60, generator=torch.Generator().manual_seed(2))
    points[0], points[1, 2] = 0, float("nan")  # which is not to be mistaken for the origin
    points[2, 0] = float("inf")
    found = nearest(points, 8)
    whole = [i for i in range(60) if i not in (1, 2)]
    assert not torch.isin(found[whole], torch.tensor([1, 2])).any()
    assert torch.equal(found[whole], torch.tensor(whole)[nearest(points[whole], 8)])
    # Those of which only the colour or the opacity is broken are neighbours without a say.
    colours[5, 1], logits[6], logits[7] = float("nan"), float("nan"), float("inf")
    without = colours.clone(), logits.clone()
    without[0][5], without[1][5:8] = 0, -100
    before = colours.clone()
    smooth(colours, logits, found, 0.3)
    smooth(*without, found, 0.3)
    rows = [i for i in whole if i != 5]
    assert colours[rows].isfinite().all()
    torch.testing.assert_close(colours[rows], without[0][rows])
    # None that has a say: the colour stays.
    colours = before.clone()
    smooth(colours, logits, torch.full((60, 2), 5), 0.3)
    assert torch.equal(colours[rows], before[rows])


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
