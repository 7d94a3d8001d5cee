"""Small scenes of Gaussians before a camera or two, and photos of a ball to fit."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from labelsplat.capture.cameras import orbit_camera
from labelsplat.splats import CameraBatch, FitSettings, Gaussians, fit_gaussians, render
from labelsplat.splats.backgrounds import background

WIDTH, HEIGHT = 70, 45  # more than one tile, neither whole tiles nor whole blocks

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)
BEHIND = np.array([[0.3, 0.4, 0.5], [0.1, 0, 0], [0, 0.1, 0], *[[0.0, 0, 0]] * 3])


@dataclass
class Scene:
    gaussians: Gaussians
    features: torch.Tensor
    cameras: CameraBatch

    def to(self, dtype):
        return Scene(
            self.gaussians.to(dtype), self.features.to(dtype), self.cameras.to(dtype=dtype)
        )

    def leaves(self):
        """The same numbers as leaves that want gradients, by name."""
        copies = {k: v.detach().clone() for k, v in self.gaussians.tensors().items()}
        copies["features"] = self.features.detach().clone()
        copies["view_matrices"] = self.cameras.view_matrices.detach().clone()
        copies["intrinsics"] = self.cameras.intrinsics.detach().clone()
        return {k: v.requires_grad_() for k, v in copies.items()}

    def from_leaves(self, leaves):
        fields = {k: leaves[k] for k in self.gaussians.tensors()}
        matrices = leaves["view_matrices"], leaves["intrinsics"]
        cameras = CameraBatch(*matrices, self.cameras.width, self.cameras.height)
        return Scene(Gaussians(**fields), leaves["features"], cameras)


def build_scene(count=300, channels=3, width=WIDTH, height=HEIGHT, seed=0, dtype=torch.float64):
    """A cloud of all sizes and opacities, some of them beyond the image's border, two views."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    gaussians = Gaussians(
        means=0.12 * normal(count, 3),
        quaternions=normal(count, 4),
        log_scales=-4.2 + 0.7 * normal(count, 3),
        opacity_logits=1 + 2.5 * normal(count),
        colours=torch.rand(count, 3, generator=draw, dtype=torch.float64),
    )
    features = torch.rand(count, channels, generator=draw, dtype=torch.float64)
    # A principal point off the centre, so that a mix-up of the two axes shows.
    views = [
        orbit_camera(yaw, pitch, 0.6, 30, 60).padded(7, -9, width, height)
        for yaw, pitch in ((20, -10), (-65, 25))
    ]
    return Scene(gaussians, features, CameraBatch.of(views, torch.float64)).to(dtype)


@pytest.fixture
def make_scene():
    return build_scene


@pytest.fixture
def weights():
    """Fixed random weights that turn an output of any shape into a loss."""

    def of(tensor, seed=0):
        draw = np.random.default_rng(seed)
        return torch.as_tensor(draw.uniform(-1, 1, tuple(tensor.shape)), dtype=tensor.dtype)

    return of


@pytest.fixture(scope="session")
def photos():
    """Images, alphas and cameras: a ball of coloured Gaussians over a smooth background."""
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


@pytest.fixture(scope="session")
def fit():
    """A fit of such photos: ``fit(photos, settings, **more)``."""

    def of(photos, settings=SETTINGS, **changes):
        images, alpha, cameras = photos
        valid = changes.pop("valid", np.ones(alpha.shape, bool))
        return fit_gaussians(images, valid, alpha, cameras, settings, progress=False, **changes)

    return of


@pytest.fixture
def soft_labels(photos):
    """``[V, H, W, 3]``: left half of the ball class 1, right half class 2, background 0."""
    images, alpha, _ = photos
    red = images[..., 0] > images[..., 2]
    classes = np.where(alpha > 0.5, np.where(red, 1, 2), 0)
    return np.eye(3, dtype=np.float32)[classes]
