"""The lift against naive float64 loops over the blending weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from labelsplat.capture import Crop, Prepared, orbit_camera
from labelsplat.labels import IGNORE
from labelsplat.parsing import confidence, frontalness
from labelsplat.refine import (
    Lift,
    ceiling,
    render_posteriors,
    vote_equally,
)
from labelsplat.splats import Gaussians

CLASSES = 4


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(3)
    n = 40
    means = torch.from_numpy(rng.normal(0, 0.05, (n, 3)).astype(np.float32))
    gaussians = Gaussians(
        means,
        torch.from_numpy(rng.normal(size=(n, 4)).astype(np.float32)),
        torch.full((n, 3), float(np.log(0.02))),
        torch.zeros(n),
        torch.from_numpy(rng.uniform(size=(n, 3)).astype(np.float32)),
    )
    cameras = [orbit_camera(yaw, 5, 1.0, 20, 16) for yaw in (-60, 0, 70)]
    soft = rng.dirichlet(np.ones(CLASSES), (3, 16, 16)).astype(np.float32)
    weights = rng.uniform(0.1, 1, (3, 16, 16)).astype(np.float32)
    return gaussians, cameras, soft, weights


def dense_weights(lift: Lift, n: int) -> np.ndarray:
    """``[V, H, W, N]`` float64: what each Gaussian contributes to each pixel."""
    return np.stack([view.blend(np.eye(n, dtype=np.float32))[0] for view in lift.views]).astype(
        float
    )


def test_vote_is_the_weighted_mean_of_what_each_gaussian_sees(scene):
    gaussians, cameras, soft, weights = scene
    lift = Lift(gaussians, cameras)
    blending = dense_weights(lift, len(gaussians))
    total = np.zeros((len(gaussians), CLASSES)) + 1e-7
    for v in range(3):
        for y in range(16):
            for x in range(16):
                total += np.outer(blending[v, y, x], weights[v, y, x] * soft[v, y, x].astype(float))
    expected = total / total.sum(1, keepdims=True)
    np.testing.assert_allclose(lift.vote(soft, weights), expected, atol=2e-5)


def test_gate_silences_views_that_see_too_little(scene):
    gaussians, cameras, soft, weights = scene
    lift = Lift(gaussians, cameras, gate=0.5)
    mass = dense_weights(lift, len(gaussians)).sum((1, 2))
    expected = mass >= 0.5 * mass.max(0)
    np.testing.assert_array_equal(lift.visible[..., 0] > 0, expected)
    assert not expected.all() and expected.any(0).all()
    # A silent view's pixels do not matter to that Gaussian.
    g = int(np.argmax(~expected[0]))
    other = soft.copy()
    other[0] = np.roll(other[0], 1, -1)
    changed = lift.vote(other, weights) - lift.vote(soft, weights)
    assert np.abs(changed[g]).max() < 1e-6 < np.abs(changed).max()


def test_one_epoch_of_em_by_hand(scene):
    gaussians, cameras, soft, weights = scene
    lift = Lift(gaussians, cameras)
    blending = dense_weights(lift, len(gaussians))
    start = lift.vote(soft, weights)
    f = start.astype(float)
    shown = blending @ f
    shown[..., 0] += 1 - blending.sum(-1)
    ratio = weights[..., None] * soft / np.maximum(shown, 1e-3)
    new = 1e-7 + f * np.einsum("vyxn,vyxk->nk", blending, ratio)
    expected = new / new.sum(1, keepdims=True)
    np.testing.assert_allclose(lift.sharpen(start, soft, weights, 1), expected, atol=3e-5)


def test_em_never_lowers_the_likelihood(scene):
    gaussians, cameras, soft, weights = scene
    lift = Lift(gaussians, cameras)

    def likelihood(features: np.ndarray) -> float:
        return float((weights[..., None] * soft * np.log(lift.render(features) + 1e-9)).sum())

    features = lift.vote(soft, weights)
    values = [likelihood(features)]
    for _ in range(5):
        features = lift.sharpen(features, soft, weights, 1)
        values.append(likelihood(features))
    assert all(b >= a - 1e-3 for a, b in itertools.pairwise(values))
    assert values[-1] > values[0]


def test_posteriors_sum_to_one_and_agree_with_rendering_anew(scene):
    gaussians, cameras, soft, weights = scene
    lift = Lift(gaussians, cameras)
    features = lift.run(soft, weights, epochs=2)
    np.testing.assert_allclose(features.sum(1), 1, atol=1e-5)
    posterior = lift.render(features)
    np.testing.assert_allclose(posterior.sum(-1), 1, atol=1e-4)
    np.testing.assert_array_equal(posterior, render_posteriors(gaussians, features, cameras))


def test_ceiling_returns_labels_that_a_splat_scene_can_show(scene):
    gaussians, cameras, _, _ = scene
    rng = np.random.default_rng(0)
    features = np.eye(CLASSES, dtype=np.float32)[rng.integers(1, CLASSES, len(gaussians))]
    labels = render_posteriors(gaussians, features, cameras).argmax(-1)
    again = ceiling(gaussians, cameras, labels, CLASSES)
    assert (again == labels).mean() > 0.93


def test_frontalness_falls_with_the_angle_and_has_a_floor_behind():
    angles = np.array([[0, 0], [30, 0], [0, 40], [90, 0], [-120, 0], [170, 10]], float)
    weight = frontalness(angles, 6, power=8, floor=0.01)
    assert weight[0] == pytest.approx(1.01)
    assert weight[1] == pytest.approx(np.cos(np.radians(30)) ** 8 + 0.01, rel=1e-5)
    np.testing.assert_allclose(weight[3:], 0.01, atol=1e-6)
    np.testing.assert_array_equal(frontalness(None, 4, 8, 0.01), 1)


def test_confidence_is_the_best_class_to_a_power(scene):
    soft = scene[2]
    np.testing.assert_allclose(confidence(soft, 2), soft.max(-1) ** 2, rtol=1e-6)


def test_the_plain_vote_leaves_out_what_lies_beyond_a_photo(scene):
    """All views count the same; a pixel that no photo has seen has no vote, whatever it says."""
    gaussians, cameras, soft, _ = scene
    valid = np.ones(soft.shape[:3], bool)
    valid[0, :, 9:] = valid[2, :5] = False
    photos = Prepared(
        "a", ("0", "1", "2"), np.zeros((*valid.shape, 3), np.uint8), valid, cameras, None,
        (Crop(16, 16, 0, 0, 16, 16, 16),) * 3,
    )  # fmt: skip
    found = vote_equally(gaussians, photos, soft)
    blending = dense_weights(Lift(gaussians, cameras), len(gaussians))
    total = np.einsum("vhwn,vhwk->nk", blending * valid[..., None], soft.astype(float)) + 1e-7
    np.testing.assert_allclose(found, total / total.sum(1, keepdims=True), atol=2e-5)
    nonsense = np.where(valid[..., None], soft, np.eye(CLASSES)[0]).astype(np.float32)
    np.testing.assert_array_equal(vote_equally(gaussians, photos, nonsense), found)


def test_unlabelled_pixels_of_the_truth_have_no_vote(scene):
    gaussians, cameras, soft, _ = scene
    truth = soft.argmax(-1).astype(np.uint8)
    truth[:, :6] = IGNORE
    lift = Lift(gaussians, cameras)
    one_hot = np.eye(CLASSES, dtype=np.float32)[np.where(truth == IGNORE, 3, truth)]
    known = (truth != IGNORE).astype(np.float32)
    features = lift.run(one_hot, known, 2, damping=1)
    np.testing.assert_array_equal(lift.run_labels(truth, CLASSES, 2), features)
    found = ceiling(gaussians, cameras, truth, CLASSES, 2)
    np.testing.assert_array_equal(found, lift.render(features).argmax(-1))
