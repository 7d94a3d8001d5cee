"""Entropy of posteriors and disagreement of views."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from labelsplat.capture import orbit_camera
from labelsplat.labels import IGNORE
from labelsplat.refine import (
    Lift,
    RefineSettings,
    decide,
    entropy,
    render_disagreement,
    view_disagreement,
)
from labelsplat.splats import Gaussians

CAMERAS = [orbit_camera(yaw, 0, 1.15, 16.5, 24) for yaw in (-20, 0, 20)]


@pytest.fixture
def lift():
    """A disc of Gaussians that all three cameras see."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-0.06, 0.06, (300, 2)), np.zeros((300, 1))], 1)
    gaussians = Gaussians(
        torch.from_numpy(points.astype(np.float32)),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(300, 1),
        torch.full((300, 3), -4.8),
        torch.full((300,), 2.0),
        torch.zeros(300, 3),
    )
    return Lift(gaussians, CAMERAS)


def one_hot(classes, count=3):
    votes = np.zeros((len(classes), 24, 24, count), np.float32)
    for view, value in enumerate(classes):
        votes[view, ..., value] = 1
    return votes


def test_entropy_is_that_of_scipy_and_lies_between_0_and_1():
    p = np.random.default_rng(0).dirichlet(np.ones(5), (4, 6))
    np.testing.assert_allclose(entropy(7 * p), scipy_entropy(p, axis=-1, base=5), rtol=1e-6)
    assert entropy(np.eye(5)).max() < 1e-6
    assert entropy(np.ones((2, 5))) == pytest.approx([1, 1])


def test_views_that_agree_do_not_disagree(lift):
    rng = np.random.default_rng(1)
    same = np.broadcast_to(rng.dirichlet(np.ones(3)), (3, 24, 24, 3)).astype(np.float32)
    weights = rng.random((3, 24, 24)).astype(np.float32)
    # However unsure they are.
    assert view_disagreement(lift, same, weights).max() < 1e-4


def test_views_that_contradict_each_other(lift):
    """Three sure views with three opinions and equal votes: all there is to know is who speaks."""
    weights = np.ones((3, 24, 24), np.float32)
    apart = view_disagreement(lift, one_hot([0, 1, 2]), weights)
    seen = np.array([v.splat_back(weights[0][..., None])[:, 0] for v in lift.views])
    shares = seen / seen.sum(0)
    np.testing.assert_allclose(apart, scipy_entropy(shares, base=3), atol=1e-4)
    assert np.median(apart) > 0.6
    two = view_disagreement(lift, one_hot([0, 0, 2]), weights)
    assert (two <= apart + 1e-4).all() and (two > 0.1).all()
    alone = np.zeros_like(weights)
    alone[1] = 1
    assert view_disagreement(lift, one_hot([0, 1, 2]), alone).max() < 1e-6
    drawn = render_disagreement(lift, apart)
    assert drawn.shape == (3, 24, 24) and drawn[1, 12, 12] > 0.4 and drawn[1, 0, 0] == 0


def test_pixels_of_high_entropy_can_be_left_without_a_label():
    posteriors = np.zeros((1, 8, 8, 3), np.float32)
    posteriors[..., 1] = 1
    posteriors[0, 2:6, 2:6] = [0.3, 0.36, 0.34]
    factors = np.ones(3, np.float32)
    labels, _ = decide(posteriors, factors, RefineSettings(clean_up=False))
    assert (labels == 1).all()
    strict = RefineSettings(clean_up=False, ignore_entropy=0.8)
    labels, _ = decide(posteriors, factors, strict)
    assert (labels[0, 2:6, 2:6] == IGNORE).all() and (labels == IGNORE).sum() == 16
