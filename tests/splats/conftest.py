"""Small scenes of Gaussians before a camera or two."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from labelsplat.capture.cameras import orbit_camera
from labelsplat.splats import CameraBatch, Gaussians

WIDTH, HEIGHT = 70, 45  # more than one tile, neither whole tiles nor whole blocks


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
