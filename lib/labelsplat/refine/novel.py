"""Images of a fitted head from cameras where nobody stood."""

from __future__ import annotations

import numpy as np
import torch

from labelsplat.capture import Camera
from labelsplat.splats import Gaussians, render
from labelsplat.splats.backgrounds import background


def draw_images(
    gaussians: Gaussians, backgrounds: np.ndarray, cameras: list[Camera], seed: int
) -> np.ndarray:
    """``[V, H, W, 3]`` uint8: the head over one of the fit's backgrounds, chosen by ``seed``."""
    rng = np.random.default_rng([seed, 1])
    with torch.no_grad():
        drawn = render(gaussians, cameras)
    images = []
    for colour, alpha in zip(drawn.features.cpu().numpy(), drawn.alpha.cpu().numpy(), strict=True):
        behind = background(backgrounds[rng.integers(len(backgrounds))], *alpha.shape)
        images.append(colour + (1 - alpha)[..., None] * behind)
    return (np.clip(np.stack(images), 0, 1) * 255 + 0.5).astype(np.uint8)
