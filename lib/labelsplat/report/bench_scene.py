"""The scene of all benchmarks: a head-sized shell of discs, and cameras round it."""

from __future__ import annotations

import math

import numpy as np
import torch

from labelsplat.capture.cameras import Camera
from labelsplat.splats.gaussians import Gaussians

RADII = (0.085, 0.12, 0.10)  # metres, about a head


def scene(count: int, channels: int, seed: int = 0) -> tuple[Gaussians, torch.Tensor]:
    """A head-sized ellipsoid shell of disc-like Gaussians, and features ``[N, channels]``."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    radii = torch.tensor(RADII, dtype=torch.float64)
    means = torch.nn.functional.normalize(normal(count, 3), dim=-1) * radii
    means = means * (1 + 0.03 * normal(count, 1))
    # Thomsen's approximation of the ellipsoid's area gives the mean distance of neighbours.
    a, b, c = RADII
    mean_power = ((a * b) ** 1.6 + (a * c) ** 1.6 + (b * c) ** 1.6) / 3
    spacing = math.sqrt(4 * math.pi * mean_power ** (1 / 1.6) / count)
    log_scales = math.log(0.7 * spacing) + 0.45 * normal(count, 3)
    log_scales[:, 2] += math.log(0.3)
    quaternions = normal(count, 4)
    opacity_logits = 1.5 * normal(count)
    features = torch.rand(count, channels, generator=draw, dtype=torch.float64)
    colours = features[:, :3].clone()
    gaussians = Gaussians(means, quaternions, log_scales, opacity_logits, colours)
    return gaussians.to(torch.float32), features.to(torch.float32)


def camera(
    size: int, azimuth: float = 0.3, elevation: float = 0.1, distance: float = 0.6
) -> Camera:
    """A camera that sees the scene fill 80 % of the image's height; angles in radians."""
    ca, sa, ce, se = *_cos_sin(azimuth), *_cos_sin(elevation)
    eye = distance * np.array([ce * sa, se, ce * ca])
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    focal = 0.8 * size * distance / (2 * RADII[1])
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(rotation, -rotation @ eye, intrinsics, size, size)


def _cos_sin(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)
