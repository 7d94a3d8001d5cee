"""3D Gaussians: their files, drawing them, and drawing's transpose."""

from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.drawing import Drawn, draw_views
from labelsplat.splats.fit import Fit, fit_gaussians
from labelsplat.splats.frozen import FrozenView, freeze
from labelsplat.splats.gaussians import Gaussians, read_gaussians, write_gaussians
from labelsplat.splats.hull import solid_foreground, visual_hull
from labelsplat.splats.losses import (
    ColourShares,
    PhotoTarget,
    composed_loss,
    cross_entropy,
    photometric_loss,
    plain_composed_loss,
    plain_cross_entropy,
    plain_photometric_loss,
    ssim_map,
)
from labelsplat.splats.paths import novel_cameras, turntable
from labelsplat.splats.ply import read_label_sidecar, read_ply, write_label_sidecar, write_ply
from labelsplat.splats.posteriors import model_posteriors
from labelsplat.splats.rendering import ENGINES, Rendering, render
from labelsplat.splats.settings import COUPLINGS, FitSettings
from labelsplat.splats.stage import labels_of_fit, points_of_fit

__all__ = [
    "COUPLINGS",
    "ENGINES",
    "CameraBatch",
    "ColourShares",
    "Drawn",
    "Fit",
    "FitSettings",
    "FrozenView",
    "Gaussians",
    "PhotoTarget",
    "Rendering",
    "composed_loss",
    "cross_entropy",
    "draw_views",
    "fit_gaussians",
    "freeze",
    "labels_of_fit",
    "model_posteriors",
    "novel_cameras",
    "photometric_loss",
    "plain_composed_loss",
    "plain_cross_entropy",
    "plain_photometric_loss",
    "points_of_fit",
    "read_gaussians",
    "read_label_sidecar",
    "read_ply",
    "render",
    "solid_foreground",
    "ssim_map",
    "turntable",
    "visual_hull",
    "write_gaussians",
    "write_label_sidecar",
    "write_ply",
]
