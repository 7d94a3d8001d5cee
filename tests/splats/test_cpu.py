"""The Numba renderer against the plain one."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from labelsplat.splats import render
from labelsplat.splats.cpu.vectors import WIDTH_VARIABLE, WIDTHS, native_width

# Largest differences from the reference in float64: image, relative gradients.
EXACT = {"image": 1e-12, "gradient": 1e-10}
SINGLE = {
    "image": 5e-6,
    "features": 5e-6,
    "opacity_logits": 1e-5,
    "means": 3e-5,
    "quaternions": 1e-4,
    "log_scales": 1e-4,
    "view_matrices": 3e-5,
    "focals": 3e-5,
    "backgrounds": 1e-5,
    "means2d": 3e-5,
}


def run(scene, engine, weights, with_depth=True):
    """Outputs and gradients of one engine, in float64."""
    leaves = scene.leaves()
    moved = scene.from_leaves(leaves)
    channels = scene.features.shape[1]
    backgrounds = torch.linspace(-1, 1, 2 * channels, dtype=scene.features.dtype)
    leaves["backgrounds"] = backgrounds.reshape(2, channels).clone().requires_grad_()
    drawn = render(
        moved.gaussians,
        moved.cameras,
        moved.features,
        engine=engine,
        background=leaves["backgrounds"],
        with_depth=with_depth,
    )
    drawn.means2d.retain_grad()
    outputs = {"image": drawn.features, "alpha": drawn.alpha}
    if with_depth:
        outputs["depth"] = drawn.depth
    sum((x * weights(x, i)).sum() for i, x in enumerate(outputs.values())).backward()
    gradients = {k: v.grad for k, v in leaves.items() if v.grad is not None}
    gradients["means2d"] = drawn.means2d.grad
    # Only the entries of the intrinsics that mean something.
    gradients["focals"] = gradients.pop("intrinsics")[:, [0, 1, 0, 1], [0, 1, 2, 2]]
    return (
        {k: v.detach().double() for k, v in outputs.items()},
        {k: v.double() for k, v in gradients.items()},
        drawn,
    )


def relative(ours, other):
    return ((ours - other).norm() / other.norm()).item()


@pytest.mark.parametrize("channels", [1, 3, 5, 19])
def test_float64_agrees_with_the_reference(make_scene, weights, channels):
    scene = make_scene(300, channels)
    image, gradients, drawn = run(scene, "cpu", weights)
    wanted_image, wanted, reference = run(scene, "reference", weights)
    assert wanted_image["alpha"].max() > 0.999  # some pixels are finished before the last Gaussian
    for name, value in wanted_image.items():
        assert (image[name] - value).abs().max() <= EXACT["image"], name
    assert set(gradients) == set(wanted)
    for name, value in wanted.items():
        assert value.abs().max() > 0, name
        assert relative(gradients[name], value) <= EXACT["gradient"], name
    assert torch.equal(drawn.radii, reference.radii)
    seen = reference.radii[..., 0] > 0
    assert 0.2 < seen.double().mean() < 1
    torch.testing.assert_close(drawn.means2d[seen], reference.means2d[seen])


@pytest.mark.parametrize(
    "width",  # kernels of another width than this CPU's are compiled for this test alone
    [pytest.param(w, marks=[pytest.mark.slow] * (w != native_width())) for w in WIDTHS],
)
def test_float32_agrees_with_the_reference_at_every_vector_width(
    make_scene, weights, width, monkeypatch
):
    monkeypatch.setenv(WIDTH_VARIABLE, str(width))
    scene = make_scene(300, 3)
    image, gradients, _ = run(scene.to(torch.float32), "cpu", weights)
    wanted_image, wanted, _ = run(scene, "reference", weights)
    assert (image["image"] - wanted_image["image"]).abs().max() <= SINGLE["image"]
    assert (image["alpha"] - wanted_image["alpha"]).abs().max() <= SINGLE["image"]
    for name in SINGLE.keys() & wanted.keys():
        assert relative(gradients[name], wanted[name]) <= SINGLE[name], name


def test_gradients_are_those_of_finite_differences(make_scene):
    scene = make_scene(4, 2, 12, 10, seed=3)
    leaves = scene.leaves()
    names = ["means", "quaternions", "log_scales", "opacity_logits", "features", "view_matrices"]

    def draw(*values):
        moved = scene.from_leaves({**leaves, **dict(zip(names, values, strict=True))})
        drawn = render(
            moved.gaussians, moved.cameras, moved.features, engine="cpu", with_depth=True
        )
        return drawn.features, drawn.alpha, drawn.depth

    assert torch.autograd.gradcheck(draw, [leaves[name] for name in names])


def test_opaque_gaussians_send_no_gradient_where_their_alpha_is_capped(make_scene, weights):
    scene = make_scene(30, 3, 24, 24)
    scene.gaussians.opacity_logits.fill_(20.0)
    _, gradients, _ = run(scene, "cpu", weights)
    _, wanted, _ = run(scene, "reference", weights)
    assert relative(gradients["means"], wanted["means"]) <= EXACT["gradient"]
    assert relative(gradients["opacity_logits"], wanted["opacity_logits"]) <= EXACT["gradient"]


def test_features_alone_get_the_same_gradient_without_the_geometry(make_scene, weights):
    scene = make_scene(200, 6)
    features = scene.features.clone().requires_grad_()
    drawn = render(scene.gaussians, scene.cameras, features, engine="cpu").features
    (drawn * weights(drawn)).sum().backward()
    leaves = scene.leaves()
    moved = scene.from_leaves(leaves)
    drawn = render(moved.gaussians, moved.cameras, moved.features, engine="cpu").features
    (drawn * weights(drawn)).sum().backward()
    torch.testing.assert_close(features.grad, leaves["features"].grad, atol=1e-13, rtol=1e-13)


def test_nearest_comes_first_and_equal_depths_keep_their_order(make_scene):
    scene = make_scene(40, 3, 24, 24)
    doubled = scene.gaussians.select(torch.arange(40).repeat_interleave(2))
    features = torch.rand(80, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = render(doubled, scene.cameras, features, engine="cpu").features
    wanted = render(doubled, scene.cameras, features, engine="reference").features
    torch.testing.assert_close(ours, wanted, atol=1e-12, rtol=0)


def test_more_views_add_their_gradients(make_scene):
    scene = make_scene(100)

    def gradient(cameras):
        leaves = scene.leaves()
        moved = scene.from_leaves(leaves)
        render(moved.gaussians, cameras, engine="cpu").features.square().sum().backward()
        return leaves["means"].grad

    apart = gradient(scene.cameras[0]) + gradient(scene.cameras[1])
    torch.testing.assert_close(gradient(scene.cameras), apart, atol=1e-12, rtol=1e-12)


def test_views_that_are_strided_or_expanded_are_read_as_they_look(make_scene):
    scene = make_scene(50)
    wide = torch.stack([scene.features, -scene.features], 1)  # [N, 2, D]
    ours = render(scene.gaussians, scene.cameras, wide[:, 0], engine="cpu").features
    same = render(scene.gaussians, scene.cameras, scene.features, engine="cpu").features
    assert torch.equal(ours, same)
    constant = torch.ones(1, 1, dtype=torch.float64).expand(50, 2).clone().requires_grad_()
    drawn = render(scene.gaussians, scene.cameras, constant, engine="cpu")
    drawn.features.sum().backward()  # an expanded gradient
    torch.testing.assert_close(constant.grad.sum(), 2 * drawn.alpha.sum(), rtol=1e-10, atol=0)


def test_an_empty_scene_shows_the_background(make_scene):
    scene = make_scene(20)
    empty = scene.gaussians.select(torch.zeros(20, dtype=torch.bool))
    drawn = render(empty, scene.cameras, engine="cpu", background=[0.1, 0.2, 0.3], with_depth=True)
    assert torch.equal(drawn.features[1, 3, 4], torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    assert drawn.alpha.abs().max() == 0 and drawn.depth.abs().max() == 0


THREADS = """
import numba, sys, torch
sys.path.insert(0, sys.argv[1])
from conftest import build_scene
from labelsplat.splats import render
results = []
for threads in (1, 2, 1):
    numba.set_num_threads(threads)
    scene = build_scene(2000, 5, 150, 130, dtype=torch.float32)
    leaves = scene.leaves()
    moved = scene.from_leaves(leaves)
    drawn = render(moved.gaussians, moved.cameras, moved.features, engine="cpu", with_depth=True)
    (drawn.features.sin().sum() + drawn.alpha.cos().sum() + drawn.depth.sum()).backward()
    gradients = [v.grad for k, v in leaves.items() if v.grad is not None]
    results.append([drawn.features, drawn.alpha, drawn.depth, *gradients])
for other in results[1:]:
    assert len(other) == 10 and all(map(torch.equal, results[0], other))
print("equal")
"""


def test_one_and_two_threads_give_the_same_bits():
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS, os.path.dirname(__file__)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_sorting_is_right_for_both_types():
    from labelsplat.splats.cpu.binning import tile_lists

    draw = torch.Generator().manual_seed(0)
    for dtype in (torch.float32, torch.float64):
        depths = torch.rand(5000, 1, generator=draw, dtype=dtype) ** 4 * 100 + 1e-3
        depths[::7] = depths[0]
        boxes = torch.zeros(5000, 4, dtype=torch.int32)
        boxes[::5, 0] = 1  # nothing to draw
        lists = tile_lists(depths.numpy(), boxes.numpy(), 32, 32)
        drawn = torch.tensor([i for i in range(5000) if i % 5])
        wanted = drawn[torch.argsort(depths[drawn, 0], stable=True)]
        assert lists.order.tolist() == wanted.tolist()
        assert lists.items.tolist() == wanted.tolist()  # one tile


def test_tile_lists_hold_each_gaussian_in_each_tile_of_its_box():
    from labelsplat.splats.cpu.binning import tile_lists

    draw = torch.Generator().manual_seed(0)
    columns, rows = 5, 4
    corners = torch.rand(2, 300, 2, generator=draw).sort(0).values
    lows, highs = (corners * torch.tensor([columns, rows])).floor().int()
    boxes = torch.stack([lows[:, 0], highs[:, 0], lows[:, 1], highs[:, 1]], -1)
    depths = torch.rand(300, 1, generator=draw)
    lists = tile_lists(depths.numpy(), boxes.numpy(), columns * 32 - 5, rows * 32 - 9)
    for tile, (start, end) in enumerate(pairwise(lists.starts.tolist())):
        inside = lists.items[start:end].tolist()
        row, column = divmod(tile, columns)
        left, right, top, bottom = boxes.T
        reaches = (left <= column) & (column <= right) & (top <= row) & (row <= bottom)
        assert sorted(inside) == reaches.nonzero()[:, 0].tolist()
        assert inside == sorted(inside, key=lambda g: depths[g].item())
    for k, g in enumerate(lists.order):
        entries = lists.gather[lists.gather_starts[k] : lists.gather_starts[k + 1]]
        assert (lists.items[entries] == g).all()
