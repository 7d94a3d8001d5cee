"""What can be chosen of a fit: section ``fit`` of params.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labelsplat.base import ParameterError

COUPLINGS = ("geometry_from_rgb", "joint", "two_models", "separate")
"""How a label model hangs together with the colour model.

* ``geometry_from_rgb``: one set of Gaussians; colours move it, labels only ride on it;
* ``joint``: one set, moved by colours and labels;
* ``two_models``: two sets that share means and covariances, moved by both, each with opacities of
  its own (our reading of the paper's 3DGS_RGB and 3DGS_SEG);
* ``separate``: two sets that share nothing, the control that shows what sharing brings.
"""

STARTS = ("hull", "points", "sphere")
"""Where Gaussians start: on the visual hull of the predicted foreground, on the camera solver's
sparse points, or on a sphere."""

DENSITIES = ("fixed", "adaptive", "mcmc")
"""How the number of Gaussians changes: not at all; by gsplat's ``DefaultStrategy`` (split, copy and
prune as in 3D Gaussian Splatting); or by moving dead ones to living ones (3DGS-MCMC)."""

RANGES = {
    **dict.fromkeys(("gaussians", "iterations", "most_gaussians", "label_every"), (1, math.inf)),
    **dict.fromkeys(("ssim_share", "colour_smoothing", "hull_tolerance"), (0, 1)),
    **dict.fromkeys(
        ("means_rate", "squared_weight", "alpha_weight", "label_weight", "opacity_weight",
         "scale_weight", "thinness_weight", "depth_weight", "camera_rate", "stop_after",
         "close_radius", "processes"),
        (0, math.inf),
    ),
    "hull_resolution": (2, math.inf),
}  # fmt: skip
"""Least and largest values; infinity itself is none."""


@dataclass(frozen=True)
class FitSettings:
    """Section ``fit`` of params.yaml; weights are factors of losses that are means over pixels.

    Attributes:
        gaussians: number of Gaussians at the start.
        iterations: optimiser steps, one view each.
        means_rate: learning rate of the means, metres a step in a scene of the normal extent.
        ssim_share: s of ``(1 - s) L1 + s (1 - SSIM)``.
        squared_weight: weight of the squared colour error beside it.
        alpha_weight: weight of the loss that holds alpha to the predicted foreground.
        label_weight: weight of the labels' cross-entropy; 0 = no label model is fitted (labels are
            lifted in closed form afterwards). Above 0, the fit must be given labels.
        label_every: the labels have a say in every so many-th step, then with so much more weight:
            drawing them takes as long as drawing the colours.
        coupling: one of :data:`COUPLINGS`.
        opacity_weight: weight of the mean opacity.
        scale_weight: weight of the mean scale, in units of the scene's extent.
        thinness_weight: weight of the mean excess of the longest over the second axis beyond
            ``MAX_THINNESS`` times; against needles.
        depth_weight: weight of the depth's roughness where the photo is smooth.
        colour_smoothing: share of the way that colours move to their neighbours' mean every
            few steps; 0 = off.
        harmonics: degree of the spherical harmonics of the colours, 0 to 3.
        colour_affine: whether each view may change the colours by an affine map of its own, for
            cameras that disagree.
        camera_rate: learning rate of an SE(3) correction a camera (radians, and shares of the
            scene's extent); 0 = cameras stay as they are.
        density: one of :data:`DENSITIES`.
        most_gaussians: while there are as many or more, none is added.
        stop_after: steps without a better running loss after which the fit stops; 0 = never.
        start: one of :data:`STARTS`.
        hull_resolution: voxels along each side of the visual hull's cube.
        hull_tolerance: share of the views that must see a voxel as foreground.
        close_radius: pixels at 128 px image size; gaps of the foreground up to twice this width
            are closed, holes filled. 0 = off.
        processes: subjects fitted at a time (used by the stage, not here).

    Raises:
        ParameterError: a name or a degree that is not known, a number out of its range, or a
            coupling that the density cannot follow.
    """

    gaussians: int = 12000
    iterations: int = 1500
    means_rate: float = 9e-4
    ssim_share: float = 0.0
    squared_weight: float = 2.0
    alpha_weight: float = 0.15
    label_weight: float = 0.0
    label_every: int = 1
    coupling: str = "geometry_from_rgb"
    opacity_weight: float = 0.0
    scale_weight: float = 0.0
    thinness_weight: float = 0.0
    depth_weight: float = 0.0
    colour_smoothing: float = 0.03
    harmonics: int = 0
    colour_affine: bool = False
    camera_rate: float = 0.0
    density: str = "fixed"
    most_gaussians: int = 200000
    stop_after: int = 0
    start: str = "hull"
    hull_resolution: int = 72
    hull_tolerance: float = 0.88
    close_radius: int = 2
    processes: int = 0

    def __post_init__(self):
        for name, known in (("coupling", COUPLINGS), ("density", DENSITIES), ("start", STARTS)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"{name} {getattr(self, name)!r}", where="fit", remedy=f"One of {known}"
                )
        if self.harmonics not in (0, 1, 2, 3):
            raise ParameterError(f"harmonics of degree {self.harmonics}, at most 3", where="fit")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if not (least <= value <= most and math.isfinite(value)):
                allowed = f"At least {least}" if most == math.inf else f"From {least} to {most}"
                raise ParameterError(f"{name} {value}", where="fit", remedy=allowed)
        if not self.means_rate > 0:
            raise ParameterError(f"means_rate {self.means_rate}", where="fit", remedy="Above 0")
        # It splits and prunes by the colours' opacities: what only labels show would be lost.
        two = self.label_weight and self.coupling in ("two_models", "separate")
        if self.density == "adaptive" and two:
            raise ParameterError(
                f"adaptive density of two models, coupling {self.coupling}",
                where="fit",
                remedy="Use density fixed or mcmc, or another coupling",
            )
