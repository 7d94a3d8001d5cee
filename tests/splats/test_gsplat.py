"""The CUDA engine against the CPU's, where there is CUDA; clear words where there is none."""

import numpy as np
import pytest
import torch

from labelsplat.base import LabelsplatError
from labelsplat.splats import freeze, render
from labelsplat.splats.gsplat_engine import load_gsplat, rasterize

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_the_engine_itself_refuses_tensors_on_the_cpu(make_scene):
    scene = make_scene(5, dtype=torch.float32)
    g = scene.gaussians
    with pytest.raises(LabelsplatError, match=r"needs CUDA, the Gaussians are on cpu"):
        rasterize(
            g.means, g.quaternions, g.scales, g.opacities, scene.features,
            scene.cameras.view_matrices, scene.cameras.intrinsics, 8, 8, torch.zeros(2, 3), False,
        )  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_missing_kernels_are_named_with_a_remedy():
    with pytest.raises(LabelsplatError, match=r"gsplat.*(nvcc|device: cpu)"):
        load_gsplat()


@needs_cuda
def test_agrees_with_the_cpu(make_scene, weights):
    scene = make_scene(300, 5, dtype=torch.float32)
    results = []
    for device in ("cuda", "cpu"):
        leaves = {k: v.detach().to(device).requires_grad_() for k, v in scene.leaves().items()}
        moved = scene.from_leaves(leaves)
        drawn = render(moved.gaussians, moved.cameras, moved.features, with_depth=True)
        assert drawn.engine == ("gsplat" if device == "cuda" else "cpu")
        w = weights(drawn.features.cpu()).to(device)
        ((drawn.features * w).sum() + drawn.alpha.sum()).backward()
        results.append((drawn, leaves))
    (ours, ours_leaves), (other, other_leaves) = results
    assert (ours.features.cpu() - other.features).abs().max() <= 1e-3
    assert (ours.alpha.cpu() - other.alpha).abs().max() <= 1e-3
    for name in ("means", "quaternions", "log_scales", "opacity_logits", "features"):
        a, b = ours_leaves[name].grad.cpu(), other_leaves[name].grad
        assert ((a - b).norm() / b.norm()).item() <= 1e-2, name


@needs_cuda
def test_frozen_views_are_transposes(make_scene):
    scene = make_scene(100, dtype=torch.float32)
    view = freeze(scene.gaussians.to("cuda"), scene.cameras)[0]
    draw = np.random.default_rng(0)
    x = draw.random((100, 4), np.float32)
    y = draw.random((45, 70, 4), np.float32)
    image, _ = view.blend(x)
    assert (image * y).sum() == pytest.approx((x * view.splat_back(y)).sum(), rel=1e-4)
