"""Frozen views: blending is linear, and splatting back is its transpose."""

import numpy as np
import pytest
import torch

from labelsplat.base import ParameterError
from labelsplat.splats import freeze, render

ENGINES = ["cpu", "reference"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("channels", [1, 12, 19])
def test_splatting_back_is_the_transpose_of_blending(make_scene, engine, channels):
    scene = make_scene(300, dtype=torch.float32)
    draw = np.random.default_rng(0)
    for view in freeze(scene.gaussians, scene.cameras, engine=engine):
        x = draw.normal(size=(300, channels)).astype(np.float32)
        y = draw.normal(size=(45, 70, channels)).astype(np.float32)
        image, alpha = view.blend(x)
        back = view.splat_back(y)
        assert image.shape == y.shape and alpha.shape == (45, 70) and back.shape == x.shape
        assert image.dtype == back.dtype == np.float32
        left = (image.astype(float) * y).sum()
        right = (x.astype(float) * back).sum()
        size = np.linalg.norm(image.astype(float)) * np.linalg.norm(y)
        assert abs(left - right) <= 1e-6 * size and abs(left) > 1e-4 * size


@pytest.mark.parametrize("engine", ENGINES)
def test_blending_is_rendering(make_scene, engine):
    scene = make_scene(200, 5, dtype=torch.float32)
    views = freeze(scene.gaussians, scene.cameras, engine=engine)
    drawn = render(scene.gaussians, scene.cameras, scene.features, engine=engine)
    assert len(views) == 2
    for i, view in enumerate(views):
        image, alpha = view.blend(scene.features.numpy())
        np.testing.assert_array_equal(image, drawn.features[i])
        np.testing.assert_array_equal(alpha, drawn.alpha[i])


def test_ones_come_back_as_the_sum_of_the_weights(make_scene):
    scene = make_scene(200, dtype=torch.float32)
    view = freeze(scene.gaussians, scene.cameras)[0]
    weights = view.splat_back(np.ones((45, 70, 1), np.float32))
    _, alpha = view.blend(np.ones((200, 1), np.float32))
    assert weights.min() >= 0
    assert weights.sum(dtype=float) == pytest.approx(alpha.sum(dtype=float), rel=1e-5)


def test_geometry_stays_as_it_was(make_scene):
    scene = make_scene(50, dtype=torch.float32)
    view = freeze(scene.gaussians, scene.cameras)[0]
    before, _ = view.blend(scene.features.numpy())
    scene.gaussians.means.add_(0.1)
    after, _ = view.blend(scene.features.numpy())
    np.testing.assert_array_equal(before, after)


def test_broken_gaussians_weigh_nothing(make_scene):
    scene = make_scene(50, dtype=torch.float32)
    scene.gaussians.means[7] = float("nan")
    for view in freeze(scene.gaussians, scene.cameras):
        back = view.splat_back(np.ones((45, 70, 2), np.float32))
        assert np.isfinite(back).all() and (back[7] == 0).all() and back.max() > 0


def test_graphs_and_other_types_are_taken_as_they_are(make_scene):
    scene = make_scene(20)
    tracked = scene.gaussians.apply(lambda t: t.requires_grad_())
    image, _ = freeze(tracked, scene.cameras)[0].blend(np.ones((20, 2)))
    assert image.dtype == np.float32 and np.isfinite(image).all()


def test_shapes_that_do_not_fit_are_refused(make_scene):
    scene = make_scene(20, dtype=torch.float32)
    view = freeze(scene.gaussians, scene.cameras)[0]
    with pytest.raises(ParameterError, match=r"blend: shape \(19, 2\), wanted \(20, D\)"):
        view.blend(np.ones((19, 2), np.float32))
    with pytest.raises(ParameterError, match=r"splat_back: shape \(70, 45, 1\), wanted \(45, 70"):
        view.splat_back(np.ones((70, 45, 1), np.float32))
