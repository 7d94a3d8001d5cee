"""The one public function: engines, shapes, backgrounds, and Gaussians that cannot be drawn."""

import logging

import pytest
import torch

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.capture.cameras import orbit_camera
from labelsplat.splats import CameraBatch, Gaussians, render
from labelsplat.splats import rendering as module

ENGINES = ["cpu", "reference"]


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_and_types(make_scene, engine):
    scene = make_scene(30, 7, 20, 10, dtype=torch.float32)
    drawn = render(scene.gaussians, scene.cameras, scene.features, engine=engine)
    assert drawn.features.shape == (2, 10, 20, 7) and drawn.features.dtype == torch.float32
    assert drawn.alpha.shape == (2, 10, 20)
    assert drawn.depth is None
    assert drawn.means2d.shape == (2, 30, 2)
    assert drawn.radii.shape == (2, 30, 2) and drawn.radii.dtype == torch.int32
    assert drawn.dropped == 0 and drawn.engine == engine
    assert render(scene.gaussians, scene.cameras, engine=engine).features.shape == (2, 10, 20, 3)


def test_cameras_come_one_by_one_as_a_list_or_as_a_batch(make_scene):
    scene = make_scene(30, dtype=torch.float32)
    cameras = [orbit_camera(yaw, 5, 0.6, 25, 24) for yaw in (-30, 40)]
    listed = render(scene.gaussians, cameras).features
    assert torch.equal(render(scene.gaussians, cameras[1]).features[0], listed[1])
    batch = CameraBatch.of(cameras)
    assert len(batch) == 2
    assert torch.equal(render(scene.gaussians, batch).features, listed)
    assert torch.equal(render(scene.gaussians, batch[1]).features[0], listed[1])
    assert torch.equal(render(scene.gaussians, batch[[1, 0]]).features[1], listed[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_background_shows_through_what_is_left(make_scene, engine):
    scene = make_scene(60)
    plain = render(scene.gaussians, scene.cameras, engine=engine)
    per_view = torch.tensor([[1.0, 0.5, -2.0], [0.0, 3.0, 1.0]], dtype=torch.float64)
    for background in (per_view[0], per_view):
        over = render(scene.gaussians, scene.cameras, engine=engine, background=background)
        left = (1 - plain.alpha)[..., None] * background.expand(2, 3)[:, None, None]
        torch.testing.assert_close(over.features, plain.features + left)


def test_channels_are_drawn_independently(make_scene):
    scene = make_scene(100, 9)
    together = render(scene.gaussians, scene.cameras, scene.features).features
    apart = [
        render(scene.gaussians, scene.cameras, scene.features[:, [d]]).features for d in range(9)
    ]
    torch.testing.assert_close(together, torch.cat(apart, -1), atol=1e-14, rtol=0)


def broken(gaussians):
    """Seven Gaussians that cannot be drawn, and how many of those are not finite."""
    odd = gaussians.select(torch.arange(7)).apply(torch.clone)
    odd.means[0, 1] = float("nan")
    odd.log_scales[1, 0] = float("inf")
    odd.opacity_logits[2] = float("nan")
    odd.quaternions[3] = 0
    odd.means[4] = torch.tensor([0.0, 0.0, 1e4], dtype=odd.means.dtype)  # behind the camera
    odd.opacity_logits[5] = -50.0  # opacity zero
    odd.log_scales[6] = 800.0  # overflows
    return odd, 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_what_cannot_be_drawn_is_left_out_and_poisons_nothing(make_scene, engine, dtype):
    scene = make_scene(80, dtype=dtype)
    odd, dropped = broken(scene.gaussians)
    cameras = scene.cameras[0]
    mixed = {
        name: torch.cat([odd.tensors()[name], tensor]).requires_grad_()
        for name, tensor in scene.gaussians.tensors().items()
    }
    clean = {
        name: tensor.clone().requires_grad_() for name, tensor in scene.gaussians.tensors().items()
    }
    drawn = render(Gaussians(**mixed), cameras, engine=engine, with_depth=True)
    alone = render(Gaussians(**clean), cameras, engine=engine, with_depth=True)
    assert drawn.dropped == dropped and alone.dropped == 0
    torch.testing.assert_close(drawn.features, alone.features, rtol=0, atol=1e-12)
    assert (drawn.radii[:, :7] == 0).all()
    for result in (drawn, alone):
        (result.features.sum() + result.depth.sum()).backward()
    for name, tensor in mixed.items():
        assert torch.isfinite(tensor.grad[7:]).all(), name
        torch.testing.assert_close(tensor.grad[7:], clean[name].grad, rtol=1e-5, atol=1e-10)
        assert not tensor.grad[:7].isnan().any(), name
        assert tensor.grad[:6].abs().max() == 0, name


@pytest.mark.parametrize("engine", ENGINES)
def test_features_that_are_not_finite_drop_their_gaussian(make_scene, engine):
    scene = make_scene(50)
    features = scene.features.clone()
    features[10, 1] = float("nan")
    drawn = render(scene.gaussians, scene.cameras, features, engine=engine)
    others = torch.arange(50) != 10
    alone = render(
        scene.gaussians.select(others), scene.cameras, scene.features[others], engine=engine
    )
    assert drawn.dropped == 1
    torch.testing.assert_close(drawn.features, alone.features, rtol=0, atol=1e-12)


def test_huge_and_needle_thin_gaussians_are_drawn_like_the_reference(make_scene):
    scene = make_scene(40)
    scene.gaussians.log_scales[:10] = torch.tensor([2.0, -12.0, -12.0])  # needles of metres
    scene.gaussians.log_scales[10:15] = 6.0  # larger than the scene, the camera within
    wanted = render(scene.gaussians, scene.cameras, engine="reference").features
    exact = render(scene.gaussians, scene.cameras, engine="cpu").features
    torch.testing.assert_close(exact, wanted, rtol=0, atol=1e-9)
    single = scene.to(torch.float32)
    leaves = single.leaves()
    moved = single.from_leaves(leaves)
    drawn = render(moved.gaussians, moved.cameras, engine="cpu").features
    drawn.sum().backward()
    assert torch.isfinite(drawn).all() and drawn.min() >= 0 and drawn.max() <= 1.001
    grads = [leaf.grad for leaf in leaves.values() if leaf.grad is not None]
    assert len(grads) == 5 + 2 and all(torch.isfinite(g).all() for g in grads)


def test_engines_are_chosen_by_device_and_named_once(make_scene, caplog):
    scene = make_scene(5, 3, 8, 8)
    module._announce.cache_clear()
    with caplog.at_level(logging.INFO, logger=module.__name__):
        assert render(scene.gaussians, scene.cameras).engine == "cpu"
        render(scene.gaussians, scene.cameras)
    assert [r.message for r in caplog.records] == ["rendering with the cpu engine"]
    assert module.choose_engine("auto", torch.device("cuda")) == "gsplat"


def test_impossible_engines_are_refused_in_clear_words(make_scene):
    scene = make_scene(5, 3, 8, 8)
    with pytest.raises(LabelsplatError, match=r"gsplat engine cannot draw Gaussians on cpu.*cpu"):
        render(scene.gaussians, scene.cameras, engine="gsplat")
    with pytest.raises(LabelsplatError, match=r"cpu engine cannot draw Gaussians on cuda"):
        module.choose_engine("cpu", torch.device("cuda"))
    with pytest.raises(ParameterError, match=r"no engine 'opengl'.*auto, cpu, gsplat, reference"):
        render(scene.gaussians, scene.cameras, engine="opengl")


def test_shapes_that_do_not_fit_are_refused(make_scene):
    scene = make_scene(5, 3, 8, 8)
    with pytest.raises(ParameterError, match=r"features: shape \(4, 3\), wanted \(5, D\)"):
        render(scene.gaussians, scene.cameras, scene.features[:4])
    with pytest.raises(ParameterError, match=r"background: shape \(2,\), wanted \(3,\) or"):
        render(scene.gaussians, scene.cameras, background=[1.0, 2.0])
    cameras = [orbit_camera(0, 0, 1, 20, size) for size in (8, 9)]
    with pytest.raises(ParameterError, match=r"image sizes \[\(8, 8\), \(9, 9\)\]"):
        render(scene.gaussians, cameras)
    with pytest.raises(ParameterError, match="image sizes"):
        render(scene.gaussians, [])
    cameras[0].intrinsics[0, 1] = 3.0
    with pytest.raises(ParameterError, match="skew"):
        render(scene.gaussians, cameras[0])


def test_types_that_the_kernels_cannot_read_are_refused(make_scene):
    scene = make_scene(5, 3, 8, 8)
    with pytest.raises(LabelsplatError, match=r"float64.*one type"):
        render(scene.gaussians, scene.cameras, scene.features.float(), engine="cpu")
    with pytest.raises(LabelsplatError, match="bfloat16"):
        half = scene.to(torch.bfloat16)
        render(half.gaussians, half.cameras, engine="cpu")


# -- features that differ from view to view, colours with harmonics --------------------------------
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("with_depth", [False, True])
def test_features_of_each_view(make_scene, engine, with_depth):
    scene = make_scene(60, 4)
    other = scene.features.flip(0)
    both = torch.stack([scene.features, other])
    drawn = render(
        scene.gaussians, scene.cameras, both, engine=engine, with_depth=with_depth
    ).features
    for i, features in enumerate(both):
        alone = render(scene.gaussians, scene.cameras[i], features, engine=engine).features[0]
        torch.testing.assert_close(drawn[i], alone)


def test_features_of_each_view_get_their_own_gradient(make_scene, weights):
    scene = make_scene(60, 4)
    both = torch.stack([scene.features, scene.features.flip(0)]).requires_grad_()
    found = []
    for engine in ENGINES:
        drawn = render(scene.gaussians, scene.cameras, both, engine=engine).features
        found += torch.autograd.grad((drawn * weights(drawn)).sum(), both)
    torch.testing.assert_close(*found)
    assert not torch.equal(found[0][0], found[0][1])


def test_features_of_another_number_of_views_are_refused(make_scene):
    scene = make_scene(5)
    with pytest.raises(ParameterError, match=r"wanted \(5, D\) or \(2, 5, D\)"):
        render(scene.gaussians, scene.cameras, scene.features.expand(3, -1, -1))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_feature_of_one_view_drops_the_gaussian_from_all(make_scene, engine):
    scene = make_scene(40, 2)
    both = torch.stack([scene.features, scene.features])
    both[1, 7, 1] = float("nan")
    drawn = render(scene.gaussians, scene.cameras, both, engine=engine)
    rest = torch.arange(40) != 7
    without = render(
        scene.gaussians.select(rest), scene.cameras, scene.features[rest], engine=engine
    )
    assert drawn.dropped == 1
    torch.testing.assert_close(drawn.features, without.features)


def test_colours_with_harmonics_are_drawn_as_each_camera_sees_them(make_scene):
    scene = make_scene(60)
    draw = torch.Generator().manual_seed(3)
    harmonics = 0.2 * torch.randn(60, 8, 3, generator=draw, dtype=torch.float64)
    turning = Gaussians(**{**scene.gaussians.tensors(), "harmonics": harmonics})
    centres = torch.linalg.inv(scene.cameras.view_matrices)[:, :3, 3]
    torch.testing.assert_close(scene.cameras.centres, centres)
    drawn = render(turning, scene.cameras).features
    by_hand = render(turning, scene.cameras, turning.colours_from(centres)).features
    torch.testing.assert_close(drawn, by_hand)
    assert (drawn - render(scene.gaussians, scene.cameras).features).abs().max() > 0.01


# -- absolute gradients ---------------------------------------------------------------------------
def test_absolute_gradients_are_sums_of_each_pixels(make_scene, weights, monkeypatch):
    """Against the reference, asked pixel by pixel."""
    scene = make_scene(25, width=13, height=9)
    ours = scene.gaussians.apply(lambda t: t.clone().requires_grad_())
    drawn = render(ours, scene.cameras, scene.features, absgrad=True)
    drawn.means2d.retain_grad()
    outer = weights(drawn.features)
    (drawn.features * outer).sum().backward()
    signed = drawn.means2d.grad

    plain = render(ours, scene.cameras, scene.features, engine="reference")
    total = torch.zeros_like(plain.means2d)
    for view in range(2):
        for y in range(9):
            for x in range(13):
                pixel = (plain.features[view, y, x] * outer[view, y, x]).sum()
                (one,) = torch.autograd.grad(pixel, plain.means2d, retain_graph=True)
                total += one.abs()
    torch.testing.assert_close(drawn.means2d.absgrad, total, rtol=1e-9, atol=1e-13)
    assert (drawn.means2d.absgrad >= signed.abs() - 1e-12).all()
    assert (drawn.means2d.absgrad > 1.5 * signed.abs()).any()


def test_absolute_gradients_change_no_other(make_scene, weights):
    found = []
    for absgrad in (False, True):
        scene = make_scene(80)
        leaves = scene.leaves()
        copy = scene.from_leaves(leaves)
        drawn = render(copy.gaussians, copy.cameras, copy.features, absgrad=absgrad)
        (drawn.features * weights(drawn.features)).sum().backward()
        found.append({name: leaf.grad for name, leaf in leaves.items()})
    for name, gradient in found[0].items():
        assert gradient is found[1][name] is None or torch.equal(gradient, found[1][name])


def test_the_reference_has_no_absolute_gradients(make_scene):
    scene = make_scene(5)
    with pytest.raises(LabelsplatError, match="absolute gradients"):
        render(scene.gaussians, scene.cameras, engine="reference", absgrad=True)
