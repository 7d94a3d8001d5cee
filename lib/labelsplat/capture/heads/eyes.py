"""Eyeballs: spheres with a painted iris."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from labelsplat.capture.heads._noise import noise
from labelsplat.capture.heads.identity import IRIS_COLOURS, Identity
from labelsplat.capture.heads.regions import smoothstep

TEXTURE_SIZE = 192
"""Rows of the eye's texture: polar angle 0 (the pupil) .. 180 degrees; twice as many columns."""

_IRIS = 22.5  # degrees at which the white begins: 12 mm across on these eyeballs


def paint_eye(identity: Identity) -> np.ndarray:
    """``[TEXTURE_SIZE, 2 TEXTURE_SIZE, 3]`` float32 linear RGB over (polar angle, azimuth)."""
    seed = identity.seed
    theta = np.linspace(0, 180, TEXTURE_SIZE)[:, None]
    phi = np.linspace(0, 2 * np.pi, 2 * TEXTURE_SIZE)[None]
    t = np.radians(theta)
    on_sphere = np.stack(np.broadcast_arrays(
        np.sin(t) * np.cos(phi), np.sin(t) * np.sin(phi), np.cos(t)), -1)  # fmt: skip

    veins = 0.25 + 0.5 * np.clip(noise(on_sphere, 9.0, seed, "veins", 3), 0, 1)
    redness = smoothstep(25, 75, theta) * veins
    white = np.array((0.45, 0.42, 0.395)) * (1 - redness[..., None] * (0.10, 0.42, 0.45))

    fibre_at = np.stack(np.broadcast_arrays(
        14 * np.cos(phi), 14 * np.sin(phi), theta / 20), -1)  # fmt: skip
    fibres = noise(fibre_at, 1.0, seed, "iris fibres", 2)[..., None]
    collarette = np.exp(-(((theta - 13) / 4) ** 2))[..., None]
    limbus = smoothstep(_IRIS - 4.5, _IRIS, theta)[..., None]
    iris = np.array(IRIS_COLOURS[identity.eyes.iris]) * (1 + 0.35 * fibres) * (1 + 0.5 * collarette)
    iris = np.clip(iris, 0.004, 1) * (1 - 0.75 * limbus)

    inside = smoothstep(_IRIS + 1.3, _IRIS - 0.9, theta)[..., None]
    colour = white + (iris - white) * inside
    pupil = smoothstep(identity.eyes.pupil + 1, identity.eyes.pupil - 0.8, theta)[..., None]
    return (colour + (0.003 - colour) * pupil).astype(np.float32)


def gaze_axis(identity: Identity) -> np.ndarray:
    """``[3]`` unit vector that both eyes look along."""
    yaw, pitch = np.radians(identity.eyes.gaze)
    return np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])


def sphere(
    centre: np.ndarray, radius: float, axis: np.ndarray, columns: int = 56, rows: int = 36
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A sphere about ``axis``: vertices, normals, (azimuth, polar angle) in 0..1, quads."""
    right = np.cross((0, 1.0, 0), axis)
    right /= np.linalg.norm(right)
    up = np.cross(axis, right)
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, rows + 1), np.linspace(0, 2 * np.pi, columns + 1), indexing="ij"
    )
    around = np.cos(phi)[..., None] * right + np.sin(phi)[..., None] * up
    normals = (np.sin(theta)[..., None] * around + np.cos(theta)[..., None] * axis).reshape(-1, 3)
    uv = np.stack([phi / (2 * np.pi), theta / np.pi], -1).reshape(-1, 2)
    first = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    quads = np.stack([first, first + columns + 1, first + columns + 2, first + 1], 1)
    return centre + radius * normals, normals, uv, quads


def lid_shade(vertices: np.ndarray, rim: np.ndarray, side: float) -> np.ndarray:
    """Factors ``[N, 3]`` on an eyeball's colour: shadow of the lids, pink of the inner corner.

    Shadow maps are far too coarse for the millimetres between lid and ball; without this the
    white is as bright under the lid as in the middle, and the eye stares.

    Args:
        vertices: ``[N, 3]`` of the eyeball, metres.
        rim: ``[R, 3]`` points of its lids' rims, metres.
        side: +1 for the left eye, -1 for the right one.
    """
    middle = (rim[:, 1].min() + rim[:, 1].max()) / 2
    out = np.ones((len(vertices), 1))
    upper = rim[:, 1] > middle
    for lid, reach, strength in ((upper, 0.0026, 0.68), (~upper, 0.0014, 0.40)):
        distance, _ = cKDTree(rim[lid]).query(vertices)
        out *= 1 - strength * np.exp(-((distance[:, None] / reach) ** 1.5))
    corner = rim[np.argmin(side * rim[:, 0])]
    pink = np.exp(-((np.linalg.norm(vertices - corner, axis=1)[:, None] / 0.0042) ** 2))
    # The white also darkens towards both corners, where it turns away under the lids.
    width = np.ptp(rim[:, 0])
    beside = np.abs(vertices[:, :1] - (rim[:, 0].min() + rim[:, 0].max()) / 2) / (width / 2)
    out = out * (1 - 0.30 * smoothstep(0.55, 1.0, beside))
    return out * (1 - pink * (0.05, 0.50, 0.48))
