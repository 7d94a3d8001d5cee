"""The plain torch renderer, against loops over pixels and against finite differences."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from labelsplat.splats import CameraBatch, Gaussians, render
from labelsplat.splats.reference import project, rotation_matrices


def naive_render(gaussians, camera, features, background):
    """One view, one pixel and one Gaussian at a time, straight from the definitions."""
    view, k = camera.view_matrices[0].numpy(), camera.intrinsics[0].numpy()
    splats = []
    for i in range(len(gaussians)):
        mean = view[:3, :3] @ gaussians.means[i].numpy() + view[:3, 3]
        x, y, z = mean
        if z < 0.01:
            continue
        axes = Rotation.from_quat(gaussians.quaternions[i].numpy(), scalar_first=True).as_matrix()
        spread = axes @ np.diag(gaussians.scales[i].numpy() ** 2) @ axes.T
        spread = view[:3, :3] @ spread @ view[:3, :3].T
        half = np.array([camera.width, camera.height]) / 2
        limit_low = -k[[0, 1], [2, 2]] / k[[0, 1], [0, 1]] - 0.3 * half / k[[0, 1], [0, 1]]
        limit_high = (2 * half - k[[0, 1], [2, 2]]) / k[[0, 1], [0, 1]]
        limit_high = limit_high + 0.3 * half / k[[0, 1], [0, 1]]
        slope = np.clip([x / z, y / z], limit_low, limit_high)
        jacobian = np.array(
            [[k[0, 0] / z, 0, -k[0, 0] * slope[0] / z], [0, k[1, 1] / z, -k[1, 1] * slope[1] / z]]
        )
        flat = jacobian @ spread @ jacobian.T + 0.3 * np.eye(2)
        centre = np.array([k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]])
        splats.append((z, centre, np.linalg.inv(flat), gaussians.opacities[i].item(), i))
    splats.sort(key=lambda splat: splat[0])
    image = np.zeros((camera.height, camera.width, features.shape[1]))
    alpha, depth = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    for row in range(camera.height):
        for column in range(camera.width):
            light = 1.0
            for z, centre, conic, opacity, i in splats:
                d = np.array([column + 0.5, row + 0.5]) - centre
                a = min(0.999, opacity * np.exp(-0.5 * d @ conic @ d))
                if a < 1 / 255:
                    continue
                if light * (1 - a) <= 1e-4:
                    break
                image[row, column] += light * a * features[i].numpy()
                depth[row, column] += light * a * z
                light *= 1 - a
            alpha[row, column] = 1 - light
            image[row, column] += light * background
            depth[row, column] /= max(1 - light, 1e-10)
    return image, alpha, depth


def test_draws_what_the_definitions_say(make_scene):
    scene = make_scene(60, 4, 21, 18)
    background = np.array([0.2, -0.5, 1.0, 0.0])
    image, alpha, depth = naive_render(
        scene.gaussians, scene.cameras[0], scene.features, background
    )
    drawn = render(
        scene.gaussians,
        scene.cameras[0],
        scene.features,
        engine="reference",
        background=background,
        with_depth=True,
    )
    assert alpha.max() > 0.9 and (alpha == 0).any()
    np.testing.assert_allclose(drawn.features[0], image, atol=1e-12)
    np.testing.assert_allclose(drawn.alpha[0], alpha, atol=1e-12)
    np.testing.assert_allclose(drawn.depth[0], depth, atol=1e-12)


def test_gradients_are_those_of_finite_differences(make_scene):
    scene = make_scene(4, 2, 12, 10, seed=3)
    leaves = scene.leaves()
    names = ["means", "quaternions", "log_scales", "opacity_logits", "features", "view_matrices"]

    def draw(*values):
        moved = scene.from_leaves({**leaves, **dict(zip(names, values, strict=True))})
        drawn = render(moved.gaussians, moved.cameras, moved.features, engine="reference")
        return drawn.features, drawn.alpha

    assert torch.autograd.gradcheck(draw, [leaves[name] for name in names])


def test_rotation_agrees_with_scipy():
    quaternions = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).double()
    ours = rotation_matrices(quaternions).numpy()
    scipys = Rotation.from_quat(quaternions.numpy(), scalar_first=True).as_matrix()
    np.testing.assert_allclose(ours, scipys, atol=1e-12)


def test_projection_agrees_with_gsplat(make_scene):
    implementation = pytest.importorskip("gsplat.cuda._torch_impl")
    scene = make_scene(200)
    g, cameras = scene.gaussians, scene.cameras
    covariances, _ = implementation._quat_scale_to_covar_preci(g.quaternions, g.scales, True, False)
    size = cameras.width, cameras.height
    radii, means2d, depths, conics, _ = implementation._fully_fused_projection(
        g.means, covariances, cameras.view_matrices, cameras.intrinsics, *size
    )
    centres, flat, z = project(
        g.means, g.quaternions, g.scales, cameras.view_matrices[0], cameras.intrinsics[0], *size
    )
    seen = (radii[0] > 0).all(-1)
    assert seen.sum() > 50
    inverse = torch.linalg.inv(flat)
    ours = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], -1)
    torch.testing.assert_close(centres[seen], means2d[0][seen], atol=1e-10, rtol=0)
    torch.testing.assert_close(ours[seen], conics[0][seen], atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(z[seen], depths[0][seen], atol=1e-12, rtol=0)


def test_a_single_gaussian_peaks_at_its_projection():
    camera = CameraBatch(
        torch.eye(4)[None], torch.tensor([[[20.0, 0, 8], [0, 20, 8], [0, 0, 1]]]), 16, 16
    )
    one = Gaussians(
        means=torch.tensor([[0.125, -0.175, 1.0]]),  # 2.5 px right of the centre, 3.5 px above
        quaternions=torch.tensor([[1.0, 0, 0, 0]]),
        log_scales=torch.full((1, 3), -3.0),
        opacity_logits=torch.zeros(1),
        colours=torch.ones(1, 3),
    )
    drawn = render(one, camera, engine="reference", with_depth=True)
    assert drawn.alpha[0].argmax() == 4 * 16 + 10  # pixel whose centre is (10.5, 4.5)
    assert drawn.alpha[0].max() == pytest.approx(0.5)
    assert drawn.features[0, 4, 10].tolist() == pytest.approx([0.5] * 3)
    assert drawn.depth[0, 4, 10] == pytest.approx(1.0)
    assert drawn.means2d[0, 0].tolist() == pytest.approx([10.5, 4.5])
