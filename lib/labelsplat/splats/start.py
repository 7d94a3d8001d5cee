"""Where Gaussians start: on the hull of the predicted foreground, at given points, on a sphere."""

from __future__ import annotations

import numpy as np
import torch

from labelsplat.base import LabelsplatError
from labelsplat.capture.cameras import Camera, common_focus, scene_extent
from labelsplat.splats.gaussians import BANDS, Gaussians
from labelsplat.splats.hull import surface_colours, visual_hull
from labelsplat.splats.settings import FitSettings

SPHERE = 0.6
"""Radius of the sphere to start from, in units of the scene's extent."""


def start_gaussians(
    images: np.ndarray,
    valid: np.ndarray,
    foreground: np.ndarray,
    cameras: list[Camera],
    settings: FitSettings,
    rng: np.random.Generator,
    points: np.ndarray | None = None,
) -> Gaussians:
    """Half-transparent round Gaussians, coloured by the photos.

    Args:
        images, valid, foreground, cameras: as for :func:`labelsplat.splats.fit_gaussians`.
        settings: for their number, the start and the hull.
        rng: scatters them.
        points: ``[M, 3]`` on the surface, e.g. from COLMAP; None = by ``settings.start``. One that
            is given several times counts once.

    Raises:
        LabelsplatError: the foregrounds have no common hull, or the points are missing, fewer
            than four or not finite.
    """
    if points is None and settings.start == "points":
        raise LabelsplatError("no points to start from", where="fit", remedy="Take start hull")
    n = settings.gaussians
    if points is None and settings.start == "hull":
        surface, side = visual_hull(
            foreground,
            valid,
            cameras,
            resolution=settings.hull_resolution,
            tolerance=settings.hull_tolerance,
        )
        # The area of the surface, in voxel faces, shared by n discs.
        spacing = side * np.sqrt(len(surface) / n)
    else:
        surface = _sphere(cameras, n, rng) if points is None else _distinct(points)
        side = _typical_spacing(surface)
        spacing = side * np.sqrt(len(surface) / n)
    means = surface[rng.integers(len(surface), size=n)] + rng.uniform(-0.5, 0.5, (n, 3)) * side
    arrays = {
        "means": means,
        "quaternions": rng.standard_normal((n, 4)),
        "log_scales": np.full((n, 3), np.log(0.6 * spacing)),
        "opacity_logits": np.zeros(n),
        "colours": surface_colours(means, images, valid, cameras),
    }
    if settings.harmonics:
        arrays["harmonics"] = np.zeros((n, BANDS[settings.harmonics - 1], 3))
    return Gaussians(**{k: torch.from_numpy(a.astype(np.float32)) for k, a in arrays.items()})


def _distinct(points: np.ndarray) -> np.ndarray:
    """Each of the points once, in the order given; checked."""
    points = np.asarray(points, float)
    remedy = "Leave them out: the fit then starts from the visual hull"
    if points.ndim != 2 or points.shape[1] != 3:
        raise LabelsplatError(f"points {points.shape} to start from, not (N, 3)", remedy=remedy)
    lost = int((~np.isfinite(points).all(1)).sum())
    if lost:
        raise LabelsplatError(
            f"{lost} of {len(points)} points to start from are not finite",
            remedy=f"Drop those. {remedy}",
        )
    # Many of one place would bring the typical spacing, and with it the scales, to zero.
    _, first = np.unique(points, axis=0, return_index=True)
    if len(first) < 4:
        raise LabelsplatError(
            f"{len(first)} different points of {len(points)} to start from, wanted at least four",
            remedy=remedy,
        )
    return points[np.sort(first)]


def _sphere(cameras: list[Camera], count: int, rng: np.random.Generator) -> np.ndarray:
    focus = common_focus(cameras)
    rays = rng.standard_normal((count, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return focus + SPHERE * scene_extent(cameras, focus) * rays


def _typical_spacing(points: np.ndarray) -> float:
    from scipy.spatial import KDTree

    distances, _ = KDTree(points).query(points, k=4)
    return float(np.median(distances[:, 1:]))
