"""Photographs of a scene: colour, exact labels, coverage and depth from one z-buffer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture.cameras import Camera
from labelsplat.capture.heads import raster
from labelsplat.capture.heads.bake import Scene
from labelsplat.capture.heads.photo import Photo, spoil
from labelsplat.capture.heads.shade import shade


@dataclass(frozen=True, eq=False)
class HeadView:
    """One photograph with its truth, all ``[height, width]``.

    Attributes:
        image: ``[height, width, 3]`` uint8 sRGB.
        labels: uint8 class in CELEBAMASK, the majority of the pixel's samples (of equal counts the
            lower index). Lashes and beard strands colour the image but have no label of their own.
        alpha: uint8, 255 times the share of the samples that are not background.
        depth: float32 metres along the camera's z axis at the pixel's centre, 0 for background.
    """

    image: np.ndarray
    labels: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray


def _to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear 0..1 to sRGB uint8 (IEC 61966-2-1)."""
    curved = 1.055 * np.power(np.maximum(linear, 0.0031308), 1 / 2.4) - 0.055
    return (np.where(linear <= 0.0031308, 12.92 * linear, curved) * 255 + 0.5).astype(np.uint8)


def render_view(
    scene: Scene, camera: Camera, supersample: int = 4, photo: Photo | None = None
) -> HeadView:
    """Photograph a scene.

    Args:
        scene: from bake.
        camera: any pinhole camera in the head frame (metres); the image may be oblong.
        supersample: samples along each side of a pixel.
        photo: how the photograph is spoilt (photo.sample_photo); None leaves it clean.

    Raises:
        ValueError: supersample is below one.
    """
    if supersample < 1:
        raise ValueError(f"supersample must be at least 1, not {supersample}")
    mesh = scene.mesh
    points = raster.project(
        mesh.vertices,
        np.ascontiguousarray(camera.rotation, float),
        np.ascontiguousarray(camera.translation, float),
        np.ascontiguousarray(camera.intrinsics, float),
        float(supersample),
    )
    size = (camera.height * supersample, camera.width * supersample)
    depth = np.full(size, raster.FAR, np.float32)
    triangle_of = np.full(size, -1, np.int32)
    weights = np.zeros((*size, 2), np.float32)
    samples = (depth, triangle_of, weights)

    raster.rasterise(points, mesh.triangles, 0, scene.labelled, *samples)
    classes = raster.label_samples(
        triangle_of, weights, mesh.triangles, mesh.part_of, scene.looks.label, mesh.uv,
        scene.textures.label,
    )  # fmt: skip
    labels, alpha = raster.vote(classes, supersample)
    centre_depth = raster.centre_depth(points, mesh.triangles, triangle_of, supersample)
    middle = supersample // 2
    # Masks and hands are background: nothing of the head is seen there, so there is no depth.
    centre_depth[classes[middle::supersample, middle::supersample] == 0] = 0

    raster.rasterise(points, mesh.triangles, scene.labelled, len(mesh.triangles), *samples)
    to_sample = np.diag((supersample, supersample, 1.0)) @ camera.intrinsics
    rays = np.ascontiguousarray(camera.rotation.T @ np.linalg.inv(to_sample))
    linear = shade(
        mesh, scene.looks, scene.textures, scene.surroundings, triangle_of, weights, rays,
        supersample, scene.exposure,
    )  # fmt: skip
    image = _to_srgb(linear)
    if photo is not None:
        image = spoil(image, photo)
    return HeadView(image, labels, alpha, centre_depth)
