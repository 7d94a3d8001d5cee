"""What a fit makes of its photos, as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from labelsplat.capture.cameras import Camera
from labelsplat.splats.backgrounds import compose, monomials
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.rendering import render


@dataclass(frozen=True, eq=False)
class Drawn:
    """A fit drawn into V of its views.

    Attributes:
        pictures: ``[V, H, W, 3]`` uint8, over each view's background.
        alpha: ``[V, H, W]`` 0 to 1.
        depth: ``[V, H, W]`` world units along the optical axis, 0 where nothing is drawn.
    """

    pictures: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray


def draw_views(
    gaussians: Gaussians,
    cameras: list[Camera],
    backgrounds: np.ndarray,
    affines: np.ndarray | None = None,
) -> Drawn:
    """Draw Gaussians as a fit does.

    Args:
        gaussians: with colours.
        cameras: V cameras of one image size.
        backgrounds: ``[V, 6, 3]`` coefficients.
        affines: ``[V, 3, 4]`` deviations of the cameras' colours from the identity, or None.
    """
    with torch.no_grad():
        drawn = render(gaussians, cameras, with_depth=True)
        basis = torch.from_numpy(monomials(*drawn.alpha.shape[1:])).to(drawn.alpha)
        pictures = []
        for i, (colours, alpha) in enumerate(zip(drawn.features, drawn.alpha, strict=True)):
            behind = basis @ torch.from_numpy(backgrounds[i]).to(basis)
            affine = None if affines is None else torch.from_numpy(affines[i]).to(basis)
            pictures.append(compose(colours, alpha, behind, affine))
        pictures = (torch.stack(pictures).clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    return Drawn(pictures.cpu().numpy(), drawn.alpha.cpu().numpy(), drawn.depth.cpu().numpy())
