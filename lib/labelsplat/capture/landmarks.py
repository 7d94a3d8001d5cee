"""Parts of the face as points: seen by a parser in single views, found in space from all of them.

A predicted class (nose, a brow, the lips, an ear) is reduced to one point a view, the centre of
its largest region. In profile such points are often wrong, swapped or missing, so that the rays
through them are intersected by random sample consensus: every two views propose a point, and the
point wins that most views agree with (Fischler and Bolles, 1981; scores as in Torr and Zisserman's
MSAC, 2000).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from labelsplat.capture.cameras import Camera, common_focus, scene_extent
from labelsplat.labels import CELEBAMASK, Vocabulary

PARTS = {
    "nose": ("nose",),
    "l_brow": ("l_brow",),
    "r_brow": ("r_brow",),
    "l_eye": ("l_eye",),
    "r_eye": ("r_eye",),
    "lips": ("mouth", "u_lip", "l_lip"),
    "l_ear": ("l_ear",),
    "r_ear": ("r_ear",),
}
"""Landmarks, and the classes that each is the centre of."""

SMALLEST_AREA = 2e-4
"""Share of the picture that a region needs to count; and four pixels."""

LEAST_ANGLE = 4.0
"""Degrees between two rays that may propose a point: nearer ones meet anywhere."""

TOLERANCE = 0.1
"""A ray agrees with a point that it passes at less than this share of the scene's extent: 17 mm
where a head is framed as the embedded rig does."""

MOST_PAIRS = 400
"""Pairs of views that are tried for one landmark."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Where each view sees each landmark.

    Attributes:
        names: L landmarks, of :data:`PARTS`.
        pixels: ``[V, L, 2]`` x, y with pixel centres at +0.5; NaN where a view shows none.
        weights: ``[V, L]`` mean probability of the region, 0 where there is none.
    """

    names: tuple[str, ...]
    pixels: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Landmarks in space.

    Attributes:
        names: L landmarks that enough views agree on.
        points: ``[L, 3]`` in the cameras' world.
        support: ``[L]`` share of the views that show a landmark and agree with its point, by
            weight.
        views: ``[L]`` how many views agree.
    """

    names: tuple[str, ...]
    points: np.ndarray
    support: np.ndarray
    views: np.ndarray


def detect_parts(
    probabilities: np.ndarray,
    valid: np.ndarray | None = None,
    vocabulary: Vocabulary = CELEBAMASK,
) -> Detections:
    """Centres of the parts' largest regions in every view.

    Args:
        probabilities: ``[V, H, W, K]`` of a parser.
        valid: ``[V, H, W]`` bool, False beyond a photo's edge; None = all valid.
        vocabulary: meaning of the K classes; landmarks none of whose classes it has are left out.
    """
    parts = {
        name: [vocabulary.index(c) for c in classes if c in vocabulary.classes]
        for name, classes in PARTS.items()
    }
    parts = {name: indices for name, indices in parts.items() if indices}
    count, height, width = probabilities.shape[:3]
    pixels = np.full((count, len(parts), 2), np.nan)
    weights = np.zeros((count, len(parts)))
    smallest = max(4, SMALLEST_AREA * height * width)
    for view in range(count):
        best = probabilities[view].argmax(-1)
        if valid is not None:
            best = np.where(valid[view], best, 0)
        for place, indices in enumerate(parts.values()):
            mask = np.isin(best, indices)
            if mask.sum() < smallest:
                continue
            mass = np.where(mask, probabilities[view][..., indices].sum(-1), 0)
            regions, found = ndimage.label(mask, np.ones((3, 3)))
            numbers = np.arange(1, found + 1)
            masses = ndimage.sum_labels(mass, regions, numbers)
            winner = int(numbers[masses.argmax()])
            mine = np.where(regions == winner, mass, 0)
            area = (regions == winner).sum()
            if area < smallest:
                continue
            y, x = ndimage.center_of_mass(mine)
            pixels[view, place] = x + 0.5, y + 0.5
            weights[view, place] = mine.sum() / area
    return Detections(tuple(parts), pixels, weights)


def viewing_rays(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """Unit directions ``[..., 3]`` in the world of pixels ``[..., 2]``; NaN stays NaN."""
    k = camera.intrinsics
    y = (pixels[..., 1] - k[1, 2]) / k[1, 1]
    x = (pixels[..., 0] - k[0, 2] - k[0, 1] * y) / k[0, 0]
    rays = np.stack([x, y, np.ones_like(x)], -1) @ camera.rotation
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def triangulate_parts(
    detections: Detections, cameras: list[Camera], *, seed: int = 0, least: int = 3
) -> Landmarks:
    """Landmarks in space that at least ``least`` views agree on.

    Args:
        detections: of V views.
        cameras: V cameras.
        seed: draws pairs of views where there are more than :data:`MOST_PAIRS`.
        least: views that must agree.
    """
    rng = np.random.default_rng(seed)
    focus = common_focus(cameras)
    extent = scene_extent(cameras, focus)
    centres = np.array([camera.centre for camera in cameras])
    names, points, support, views = [], [], [], []
    for place, name in enumerate(detections.names):
        shown = np.flatnonzero(detections.weights[:, place] > 0)
        if len(shown) < least:
            continue
        rays = np.array([viewing_rays(detections.pixels[v, place], cameras[v]) for v in shown])
        weights = detections.weights[shown, place]
        point, agree = _intersect(centres[shown], rays, weights, TOLERANCE * extent, rng)
        if point is None or agree.sum() < least:
            continue
        if np.linalg.norm(point - focus) > 1.5 * extent:
            continue
        names.append(name)
        points.append(point)
        support.append(weights[agree].sum() / weights.sum())
        views.append(int(agree.sum()))
    return Landmarks(
        tuple(names), np.reshape(points, (-1, 3)), np.array(support), np.array(views, int)
    )


def robust_focus(cameras: list[Camera], steps: int = 20) -> np.ndarray:
    """``[3]`` what most cameras look at: the point of the least SUM of distances from the axes.

    Unlike :func:`labelsplat.capture.common_focus`, of which this is the reweighted version, a
    camera that looks elsewhere does not pull it along.
    """
    centres = np.array([camera.centre for camera in cameras])
    rays = np.array([camera.rotation[2] for camera in cameras])
    point = common_focus(cameras)
    for _ in range(steps):
        misses = _misses(point[None], centres, rays)[0]
        reach = float(np.median(np.linalg.norm(centres - point, axis=1)))
        point = _nearest_point(centres, rays, 1 / np.maximum(misses, 1e-3 * reach))
    return point


def _intersect(
    centres: np.ndarray,
    rays: np.ndarray,
    weights: np.ndarray,
    tolerance: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray | None, np.ndarray]:
    """The point that most rays ``[n, 3]`` pass, and ``[n]`` bool: which do; None if none meet."""
    first, second = np.array(list(itertools.combinations(range(len(rays)), 2))).T
    cosine = (rays[first] * rays[second]).sum(1)
    wide = np.abs(cosine) < np.cos(np.radians(LEAST_ANGLE))
    first, second, cosine = first[wide], second[wide], cosine[wide]
    nobody = np.zeros(len(rays), bool)
    if not len(first):
        return None, nobody
    if len(first) > MOST_PAIRS:
        chosen = np.sort(rng.choice(len(first), MOST_PAIRS, replace=False))
        first, second, cosine = first[chosen], second[chosen], cosine[chosen]
    # Where two lines come nearest to each other, half way between them.
    base = centres[second] - centres[first]
    a, b = (base * rays[first]).sum(1), (base * rays[second]).sum(1)
    slope = 1 - cosine**2
    along = ((a - b * cosine) / slope)[:, None]
    beyond = ((a * cosine - b) / slope)[:, None]
    ahead = (along[:, 0] > 0) & (beyond[:, 0] > 0)
    proposals = (centres[first] + along * rays[first] + centres[second] + beyond * rays[second]) / 2
    proposals = proposals[ahead]
    if not len(proposals):
        return None, nobody
    gain = 1 - (_misses(proposals, centres, rays) / tolerance) ** 2
    scores = (np.maximum(gain, 0) * weights).sum(1)
    point = proposals[scores.argmax()]
    for _ in range(4):
        agree = _misses(point[None], centres, rays)[0] < tolerance
        if agree.sum() < 2:
            return None, nobody
        point = _nearest_point(centres[agree], rays[agree], weights[agree])
    return point, _misses(point[None], centres, rays)[0] < tolerance


def _misses(points: np.ndarray, centres: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """``[P, n]`` distances of points ``[P, 3]`` from rays; infinite behind a camera."""
    towards = points[:, None] - centres
    along = (towards * rays).sum(-1)
    away = np.linalg.norm(towards - along[..., None] * rays, axis=-1)
    return np.where(along > 0, away, np.inf)


def _nearest_point(centres: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``[3]`` point nearest to lines in weighted least squares."""
    across = (np.eye(3) - rays[:, :, None] * rays[:, None, :]) * weights[:, None, None]
    right = np.einsum("nij,nj->i", across, centres)
    return np.linalg.lstsq(across.sum(0), right, rcond=None)[0]
