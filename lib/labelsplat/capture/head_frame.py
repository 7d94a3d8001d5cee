"""The head frame of captures that come without one: which way does the face look?

Yaw and pitch of a view, and with them its weight in the vote, are measured against the head. A
phone's capture does not tell where that is. In the order of preference:

* the user says so, in a small JSON file beside the photos (:mod:`labelsplat.capture.given_frame`);
* a parser's predictions show it: landmarks are triangulated over the views and laid onto those of
  a mean head, whose left and right parts give the x axis;
* the cameras hint at it: they look at the head, mostly from its front, and are held upright.

The estimate says how far it can be trusted. Nothing here needs truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from labelsplat.capture.cameras import Camera, common_focus, head_angles, scene_extent
from labelsplat.capture.images import Prepared
from labelsplat.capture.landmarks import Detections, detect_parts, triangulate_parts
from labelsplat.capture.turns import on_their_side
from labelsplat.labels import CELEBAMASK, Vocabulary

MEAN_HEAD = {
    "nose": (0.0, -0.019, 0.073),
    "l_brow": (0.026, 0.031, 0.070),
    "r_brow": (-0.026, 0.031, 0.070),
    "l_eye": (0.029, 0.008, 0.064),
    "r_eye": (-0.029, 0.008, 0.064),
    "lips": (0.0, -0.060, 0.076),
    "l_ear": (0.076, -0.011, -0.019),
    "r_ear": (-0.076, -0.011, -0.019),
}
"""Metres in the head frame: medians over the 60 embedded heads of the ``standard`` pool, whose true
labels' centres were triangulated as predictions are; left and right averaged."""

FIT_TOLERANCE = 0.025
"""Metres by which a landmark may lie off the mean head's and still count: people differ."""

HEAD_EXTENTS = (0.08, 2.0)
"""Metres, least and most, that the cameras may see to either side of the head."""

HALVES = 12
"""Random halves of the views that an estimate is repeated on, to see how much it moves."""

STEADY = 15.0
"""Degrees of such a movement at which confidence has fallen to 1 / e."""

ENOUGH = 5
"""Landmarks from which their number no more lowers the confidence."""

USABLE = 0.2
"""A frame of less confidence is stated but not used: all views then count the same."""


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """The way from a capture's world to the head frame: ``x_head = rotation @ x + translation``.

    Attributes:
        rotation: ``[3, 3]``; its rows are the subject's left, up and front in the world.
        translation: ``[3]`` in world units.
        scale: metres in one world unit, None where nothing tells.
        confidence: 0 (a guess) to 1; for landmarks the product of their number (of
            :data:`ENOUGH`), of the share of views that agree with them, and of
            ``exp(-uncertainty / STEADY)``; from the cameras alone at most a half.
        method: "own" (of the capture), "given" (by the user), "landmarks" or "cameras".
        residuals: metres by which each landmark used lies off the mean head's.
        uncertainty: degrees by which the frame moves between halves of the views (a jackknife's
            standard error), None without landmarks.
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: float | None
    confidence: float
    method: str
    residuals: Mapping[str, float] = field(default_factory=dict)
    uncertainty: float | None = None

    @property
    def landmarks(self) -> tuple[str, ...]:
        """Names of the landmarks that the frame rests on."""
        return tuple(self.residuals)

    @property
    def origin(self) -> np.ndarray:
        """``[3]`` the head frame's origin in the world."""
        return -self.rotation.T @ self.translation

    @property
    def usable(self) -> bool:
        """Whether it is good enough to weigh views by."""
        return self.confidence >= USABLE

    def camera(self, camera: Camera) -> Camera:
        """A camera of the world as it stands in the head frame, lengths in world units."""
        return camera.transformed(self.rotation, self.translation, 1.0)

    def back(self, camera: Camera) -> Camera:
        """The inverse of :meth:`camera`."""
        return camera.transformed(self.rotation.T, self.origin, 1.0)

    def angles(self, cameras: list[Camera]) -> np.ndarray:
        """``[V, 2]`` (yaw, pitch) in degrees of cameras of the world."""
        return np.array([head_angles(self.camera(c)) for c in cameras]).reshape(-1, 2)

    def described(self) -> str:
        """One line for people."""
        words = {
            "own": "the capture's own head frame",
            "given": "head frame as given",
            "landmarks": f"head frame estimated from {', '.join(self.landmarks)}",
            "cameras": "head frame guessed from where the cameras stand",
        }[self.method]
        if self.uncertainty is not None:
            words += f" (give or take {self.uncertainty:.1f} degrees)"
        return f"{words}, confidence {self.confidence:.2f}"


def identity_frame() -> HeadFrame:
    """The frame of a capture whose world is the head frame, in metres."""
    return HeadFrame(np.eye(3), np.zeros(3), 1.0, 1.0, "own")


def apply_frame(photos: Prepared, frame: HeadFrame | None) -> Prepared:
    """The same photos with yaw and pitch against ``frame``; their cameras stay where they are.

    Without a frame, or with one that is not :attr:`HeadFrame.usable`, they have no angles.
    """
    if frame is None or not frame.usable:
        return replace(photos, angles=None)
    return replace(photos, angles=frame.angles(photos.cameras))


def frame_difference(one: HeadFrame, other: HeadFrame) -> float:
    """Degrees of the rotation between two frames of one world."""
    return _angle(one.rotation, other.rotation)


def estimate_frame(
    probabilities: np.ndarray,
    cameras: list[Camera],
    valid: np.ndarray | None = None,
    vocabulary: Vocabulary = CELEBAMASK,
    *,
    seed: int = 0,
) -> HeadFrame:
    """The head frame of a capture: from predicted classes, else from its cameras.

    Args:
        probabilities: ``[V, H, W, K]`` of a parser.
        cameras: V cameras of ``W x H`` pixels.
        valid: ``[V, H, W]`` bool, False beyond a photo's edge.
        vocabulary: meaning of the K classes.
        seed: of the random samples.

    Raises:
        ValueError: the cameras look in parallel (readers let no such capture pass).
    """
    detections = detect_parts(probabilities, valid, vocabulary)
    found = frame_from_detections(detections, cameras, seed=seed)
    hint = frame_from_cameras(cameras)
    # Landmarks that hardly hold together are worth less than what the cameras say.
    return found if found is not None and found.confidence >= hint.confidence / 2 else hint


def scaled_by_landmarks(
    frame: HeadFrame,
    probabilities: np.ndarray,
    cameras: list[Camera],
    valid: np.ndarray | None = None,
    vocabulary: Vocabulary = CELEBAMASK,
) -> HeadFrame:
    """A frame that does not know its scale, with the one that landmarks tell, where they do.

    Without it nobody knows how large the head is in the photos. Arguments as of
    :func:`estimate_frame`.
    """
    if frame.scale is not None:
        return frame
    found = frame_from_detections(detect_parts(probabilities, valid, vocabulary), cameras)
    return replace(frame, scale=found.scale) if found is not None and found.usable else frame


def frame_from_detections(
    detections: Detections, cameras: list[Camera], *, seed: int = 0
) -> HeadFrame | None:
    """The head frame by landmarks, None where fewer than three hold together.

    Args:
        detections: of V views.
        cameras: V cameras.
        seed: of the random samples.
    """
    whole = _fit(detections, cameras, seed)
    if whole is None:
        return None
    rng = np.random.default_rng([seed, len(cameras)])
    moved = []
    for number in range(HALVES):
        chosen = np.sort(rng.permutation(len(cameras))[: max(2, (len(cameras) + 1) // 2)])
        some = Detections(detections.names, detections.pixels[chosen], detections.weights[chosen])
        half = _fit(some, [cameras[i] for i in chosen], seed + 1 + number, least=2)
        moved.append(90.0 if half is None else _angle(half.rotation, whole.rotation))
    uncertainty = float(np.median(moved))
    confidence = whole.confidence * float(np.exp(-uncertainty / STEADY))
    return replace(whole, confidence=confidence, uncertainty=uncertainty)


def frame_from_cameras(cameras: list[Camera]) -> HeadFrame:
    """A guess: the head is what all cameras look at, and they are held upright before its face.

    Up is the direction that all cameras' x axes lie across, or their mean up where they look from
    nearly one side; front is their mean direction seen from the focus. Its confidence is at most a
    half, and 0 for a full ring of cameras, which says nothing of the front, and for photos that
    seem to lie on their side (:func:`labelsplat.capture.on_their_side`): their up is no up.
    """
    focus = common_focus(cameras)
    right = np.array([c.rotation[0] for c in cameras])
    mean_up = -np.mean([c.rotation[1] for c in cameras], axis=0)
    sizes, axes = np.linalg.eigh(right.T @ right / len(cameras))
    up = mean_up
    if sizes[1] > 0.05:
        up = axes[:, 0] * (np.sign(axes[:, 0] @ mean_up) or 1.0)
    upright = float(np.clip(mean_up @ up / max(np.linalg.norm(up), 1e-12), 0, 1))
    if on_their_side(cameras):
        upright = 0.0
    up = up / max(np.linalg.norm(up), 1e-12)
    outward = np.array([c.centre - focus for c in cameras])
    outward /= np.linalg.norm(outward, axis=1, keepdims=True).clip(1e-12)
    level = outward - (outward @ up)[:, None] * up
    level /= np.linalg.norm(level, axis=1, keepdims=True).clip(1e-12)
    front = level.mean(0)
    steady = float(np.linalg.norm(front))
    if steady < 1e-9:
        front = np.cross(right[0], up)
    front = front / max(np.linalg.norm(front), 1e-12)
    rotation = np.stack([np.cross(up, front), up, front])
    return HeadFrame(rotation, -rotation @ focus, None, 0.5 * steady * upright, "cameras")


def _angle(one: np.ndarray, other: np.ndarray) -> float:
    cosine = (np.trace(one @ other.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _fit(
    detections: Detections, cameras: list[Camera], seed: int, least: int = 3
) -> HeadFrame | None:
    """The mean head laid onto triangulated landmarks; its confidence without the steadiness."""
    try:
        extent = scene_extent(cameras, common_focus(cameras))
    except (ValueError, np.linalg.LinAlgError):
        return None
    found = triangulate_parts(detections, cameras, seed=seed, least=least)
    model = np.array([MEAN_HEAD[name] for name in found.names]).reshape(-1, 3)
    best, agreeing = 0.0, None
    for three in itertools.combinations(range(len(model)), 3):
        chosen = list(three)
        scale, rotation, shift = similarity(
            found.points[chosen], model[chosen], found.support[chosen]
        )
        if not HEAD_EXTENTS[0] < scale * extent < HEAD_EXTENTS[1]:
            continue
        off = np.linalg.norm(scale * found.points @ rotation.T + shift - model, axis=1)
        score = (found.support * np.maximum(1 - (off / FIT_TOLERANCE) ** 2, 0)).sum()
        if score > best:
            best, agreeing = score, off < FIT_TOLERANCE
    if agreeing is None or agreeing.sum() < 3:
        return None
    weights = found.support[agreeing]
    scale, rotation, shift = similarity(found.points[agreeing], model[agreeing], weights)
    off = np.linalg.norm(scale * found.points @ rotation.T + shift - model, axis=1)
    names = np.array(found.names)[agreeing]
    confidence = min(1.0, len(names) / ENOUGH) * float(weights.mean())
    residuals = {str(n): float(r) for n, r in zip(names, off[agreeing], strict=True)}
    return HeadFrame(rotation, shift / scale, float(scale), confidence, "landmarks", residuals)


def similarity(
    points: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """(s, R, t) of ``targets ~ s R points + t`` in weighted least squares, never a reflection.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns"
    (1991).

    Args:
        points: ``[n, 3]``.
        targets: ``[n, 3]``.
        weights: ``[n]``.
    """
    w = (weights / max(weights.sum(), 1e-12))[:, None]
    mean, aim = (w * points).sum(0), (w * targets).sum(0)
    away, wanted = points - mean, targets - aim
    u, sizes, v = np.linalg.svd(wanted.T @ (w * away))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v)) or 1.0])
    rotation = (u * sign) @ v
    scale = float((sizes * sign).sum() / max((w * away**2).sum(), 1e-12))
    return scale, rotation, aim - scale * rotation @ mean
