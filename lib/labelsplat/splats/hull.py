"""The visual hull of the predicted foreground: where Gaussians may start, without any truth."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from labelsplat.base import LabelsplatError
from labelsplat.capture.cameras import Camera, common_focus, scene_extent

MARGIN = 1.15
"""The carved cube is this much wider than what the cameras see at their common focus."""


def solid_foreground(foreground: np.ndarray, radius: int) -> np.ndarray:
    """Close gaps and fill holes of predicted foregrounds.

    Parsers put holes of background into cheeks, jaws and necks; each would carve a tunnel through
    the hull and erase the part in every other view.

    Args:
        foreground: ``[V, H, W]`` probability that a pixel belongs to the person.
        radius: pixels; gaps up to twice this width are closed. 0 returns the input.

    Returns:
        ``[V, H, W]`` float32, nowhere below the input.
    """
    if radius <= 0:
        return np.asarray(foreground, np.float32)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = x * x + y * y <= radius * radius
    out = np.array(foreground, np.float32)
    for view in out:
        # Padded by repetition: the bust runs out of the picture and must not be opened there.
        padded = np.pad(view > 0.5, 2 * radius, mode="edge")
        closed = ndimage.binary_fill_holes(ndimage.binary_closing(padded, disc))
        inner = closed[2 * radius : -2 * radius, 2 * radius : -2 * radius]
        np.maximum(view, inner, out=view)
    return out


def visual_hull(
    foreground: np.ndarray,
    valid: np.ndarray,
    cameras: list[Camera],
    *,
    resolution: int,
    tolerance: float,
) -> tuple[np.ndarray, float]:
    """Centres of the hull's surface voxels.

    A voxel is inside where at least ``tolerance`` of the views that see it call it foreground; it
    must be seen by half of the views. On the surface one of its six neighbours is outside.

    Args:
        foreground: ``[V, H, W]`` probabilities.
        valid: ``[V, H, W]`` bool, False beyond a photo's edge: such a pixel does not see.
        cameras: one a view.
        resolution: voxels along each side of the cube.
        tolerance: 0..1.

    Returns:
        ``[M, 3]`` centres in the world, and the side of a voxel in world units.

    Raises:
        LabelsplatError: nothing is left, so the predictions show no person in enough views.
    """
    focus = common_focus(cameras)
    half = MARGIN * scene_extent(cameras, focus)
    axis = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points = grid * half + focus
    seen, inside = _votes(points, foreground, valid, cameras)
    full = (inside >= tolerance * seen) & (seen >= 0.5 * len(cameras))
    full = full.reshape((resolution,) * 3)
    surface = full & ~ndimage.binary_erosion(full)
    if not surface.any():
        raise LabelsplatError(
            "the views share no foreground, so there is no hull to start from",
            remedy="Look at the predictions (notebook 03): do they find the person? Then check "
            "the cameras, or lower fit.hull_tolerance",
        )
    return points[surface.ravel()], 2 * half / resolution


def points_on_person(
    points: np.ndarray,
    foreground: np.ndarray,
    valid: np.ndarray,
    cameras: list[Camera],
    *,
    tolerance: float,
) -> np.ndarray:
    """Those of some points that a voxel of :func:`visual_hull` could hold, ``[K, 3]``.

    Sparse points of a camera solver show the room as well.

    Args:
        points: ``[M, 3]`` in the cameras' world.
        foreground, valid, cameras, tolerance: as for :func:`visual_hull`.
    """
    points = np.asarray(points, float)
    seen, inside = _votes(points, foreground, valid, cameras)
    return points[(inside >= tolerance * seen) & (seen >= 0.5 * len(cameras))]


def _votes(
    points: np.ndarray, foreground: np.ndarray, valid: np.ndarray, cameras: list[Camera]
) -> tuple[np.ndarray, np.ndarray]:
    """In how many views each point is seen, and in how many of these on the person."""
    seen = np.zeros(len(points), np.int32)
    inside = np.zeros(len(points), np.int32)
    for view, known, camera in zip(foreground, valid, cameras, strict=True):
        column, row, hits = pixels_of(points, camera)
        hits[hits] &= known[row[hits], column[hits]]
        seen += hits
        inside[hits] += view[row[hits], column[hits]] > 0.5
    return seen, inside


def pixels_of(points: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, rows (int, 0 where invalid) and a mask of the points that fall into the image."""
    xy = camera.project(points)
    with np.errstate(invalid="ignore"):
        hits = (xy >= 0).all(-1) & (xy[..., 0] < camera.width) & (xy[..., 1] < camera.height)
    xy = np.where(hits[..., None], xy, 0).astype(int)
    return xy[..., 0], xy[..., 1], hits


def surface_colours(
    points: np.ndarray, images: np.ndarray, valid: np.ndarray, cameras: list[Camera]
) -> np.ndarray:
    """A first colour for each point: the photos' mean, weighted by how squarely a view faces it.

    Args:
        points: ``[M, 3]`` on a roughly star-shaped surface around the cameras' focus.
        images: ``[V, H, W, 3]`` uint8.
        valid: ``[V, H, W]`` bool; other pixels show nothing.
        cameras: one a view.

    Returns:
        ``[M, 3]`` RGB, 0..1; grey where no view shows a point.
    """
    outward = points - common_focus(cameras)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True).clip(1e-12)
    total, weights = np.full((len(points), 3), 0.5e-9), np.full((len(points), 1), 1e-9)
    for image, known, camera in zip(images, valid, cameras, strict=True):
        column, row, hits = pixels_of(points, camera)
        facing = np.clip(-outward @ camera.rotation[2], 0, 1) ** 2
        # The small constant gives a colour to points that views show but none faces.
        weight = (hits * known[row, column] * (facing + 1e-6))[:, None]
        total += weight * image[row, column] / 255
        weights += weight
    return total / weights
