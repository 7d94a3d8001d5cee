"""3D Gaussians: their files, drawing them, and drawing's transpose."""

from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.fit import Fit, FitSettings, fit_gaussians
from labelsplat.splats.frozen import FrozenView, freeze
from labelsplat.splats.gaussians import Gaussians, read_gaussians, write_gaussians
from labelsplat.splats.hull import solid_foreground, visual_hull
from labelsplat.splats.paths import novel_cameras, turntable
from labelsplat.splats.ply import read_ply, write_ply
from labelsplat.splats.rendering import ENGINES, Rendering, render

__all__ = [
    "ENGINES",
    "CameraBatch",
    "Fit",
    "FitSettings",
    "FrozenView",
    "Gaussians",
    "Rendering",
    "fit_gaussians",
    "freeze",
    "novel_cameras",
    "read_gaussians",
    "read_ply",
    "render",
    "solid_foreground",
    "turntable",
    "visual_hull",
    "write_gaussians",
    "write_ply",
]
