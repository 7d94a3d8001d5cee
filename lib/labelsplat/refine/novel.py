"""New views of a fitted head: cameras where nobody stood, an image and its labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from labelsplat.capture import Camera, common_focus, orbit_camera
from labelsplat.splats import Gaussians, render
from labelsplat.splats.fit import background

YAW, PITCH = (-110.0, 110.0), (-45.0, 50.0)
"""Degrees: where new cameras stand round a head whose frame is known."""

SWING = (20.0, 10.0)
"""Degrees sideways and up or down: how far a new camera moves from an old one where it is not."""


def novel_cameras(
    cameras: list[Camera], angles: np.ndarray | None, count: int, seed: int
) -> list[Camera]:
    """``count`` new cameras that look at the focus of the given ones.

    Args:
        cameras: of the capture, all of one size.
        angles: ``[V, 2]`` of the capture in degrees, or None without a head frame.
        count: number of new cameras.
        seed: of their places.
    """
    rng = np.random.default_rng([seed, count])
    focus = common_focus(cameras)
    if angles is None:
        return [_swung(cameras[rng.integers(len(cameras))], focus, rng) for _ in range(count)]
    first = cameras[0]
    distance = float(np.median([np.linalg.norm(c.centre - focus) for c in cameras]))
    out = []
    for _ in range(count):
        camera = orbit_camera(rng.uniform(*YAW), rng.uniform(*PITCH), distance, 20, 1, focus)
        out.append(replace(first, rotation=camera.rotation, translation=camera.translation))
    return out


def _swung(camera: Camera, focus: np.ndarray, rng: np.random.Generator) -> Camera:
    yaw, pitch = rng.uniform(-1, 1, 2) * SWING
    turn = Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix()
    # Turn the world about the focus, as seen by the camera.
    at = camera.to_camera(focus)
    rotation = turn @ camera.rotation
    return replace(camera, rotation=rotation, translation=at - rotation @ focus)


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
