"""What a fit of few views prefers where photos do not say: small, round, smooth."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_THINNESS = 4.0
"""The longest axis of a Gaussian may be this many times the second before it costs."""

EDGE = 10.0
"""How fast the photo's contrast (differences of RGB, 0 to 1) takes weight off the smoothness."""


def thinness(log_scales: Tensor) -> Tensor:
    """Mean excess of the longest axis over MAX_THINNESS times the second, in logarithms.

    Discs are left alone: heads are surfaces.
    """
    ordered = log_scales.sort(-1).values
    excess = ordered[:, 2] - ordered[:, 1] - torch.log(log_scales.new_tensor(MAX_THINNESS))
    return excess.clamp_min(0).mean()


def depth_roughness(depth: Tensor, alpha: Tensor, photo: Tensor, extent: float) -> Tensor:
    """Mean second difference of the depth, less where the photo has an edge.

    Second differences, so that slopes cost nothing; in units of the scene's extent.

    Args:
        depth: ``[H, W]`` world units.
        alpha: ``[H, W]``; half-covered pixels have no depth to speak of.
        photo: ``[H, W, 3]`` RGB, 0 to 1.
        extent: world units.
    """
    total = depth.new_zeros(())
    solid = (alpha > 0.5).to(depth)
    for axis in (0, 1):
        d, s, p = (t.movedim(axis, 0) for t in (depth, solid, photo))
        bend = (d[2:] - 2 * d[1:-1] + d[:-2]).abs() / extent
        contrast = (p[2:] - p[1:-1]).abs().mean(-1) + (p[1:-1] - p[:-2]).abs().mean(-1)
        weight = s[2:] * s[1:-1] * s[:-2] * torch.exp(-EDGE * contrast)
        total = total + (weight * bend).mean()
    return total
