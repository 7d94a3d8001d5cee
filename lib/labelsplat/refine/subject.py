"""Refine the labels of one head: its photos' predictions and its Gaussians in, posteriors out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture import Prepared
from labelsplat.parsing.votes import VoteSettings, frontalness, vote_weights
from labelsplat.refine.lift import Lift
from labelsplat.splats import Gaussians
from labelsplat.splats.hull import solid_foreground


@dataclass(frozen=True)
class RefineSettings:
    """Section ``refine`` of params.yaml; see the comments there.

    Attributes:
        power: a view votes with ``(cos yaw cos pitch) ^ power``.
        floor: added to that weight.
        confidence_power: exponent of a pixel's confidence in its vote.
        background_damping: factor on background votes where the Gaussians are opaque.
        gate: share of the best view's mass that a view must see to vote.
        em_epochs: sharpening steps after the vote.
        blend_power: later rounds: frontalness exponent of the first round's prediction.
        later_power: later rounds: in place of power.
        later_floor: later rounds: in place of floor.
        close_radius: pixels at 128 px; holes of the predicted foreground are filled that much.
        class_factors: "ears" or "none".
        ignore_below: posterior under which a pixel gets no label.
        ignore_entropy: entropy of the posterior (0 to 1) over which it gets none; 1 = off.
        novel_views: sampled views a subject.
        clean_up: remove specks.
    """

    power: float = 4.0
    floor: float = 0.02
    confidence_power: float = 2.0
    background_damping: float = 0.2
    gate: float = 0.1
    em_epochs: int = 6
    blend_power: float = 4.0
    later_power: float = 4.0
    later_floor: float = 0.02
    close_radius: int = 2
    class_factors: str = "none"
    ignore_below: float = 0.0
    ignore_entropy: float = 1.0
    novel_views: int = 24
    clean_up: bool = True

    def votes(self, *, later: bool = False) -> VoteSettings:
        """How predictions of the first round, or of a later one, are weighted."""
        if later:
            return VoteSettings(self.later_power, self.later_floor, self.confidence_power)
        return VoteSettings(self.power, self.floor, self.confidence_power)


def blend_rounds(
    first: np.ndarray, later: np.ndarray, angles: np.ndarray | None, power: float
) -> np.ndarray:
    """The first round's prediction near the front, the fine-tuned parser's elsewhere.

    Args:
        first: ``[V, H, W, K]`` of the baseline, which knows the front best.
        later: ``[V, H, W, K]`` of the parser fine-tuned on refined labels.
        angles: ``[V, 2]`` degrees, or None: then both count the same.
        power: of the frontalness that mixes them.
    """
    share = np.full(len(first), 0.5, np.float32)
    if angles is not None:
        share = frontalness(angles, len(first), power, 0.0)
    share = share[:, None, None, None]
    return share * first + (1 - share) * later


def without_holes(probabilities: np.ndarray, radius: int) -> np.ndarray:
    """Predictions in which background inside the filled foreground does not vote.

    Such a pixel keeps the probabilities of its other classes, which do not sum to 1 any more: its
    confidence is that of the best of them.
    """
    foreground = 1 - probabilities[..., 0]
    filled = (solid_foreground(foreground, radius) > 0.5) & (foreground <= 0.5)
    out = np.array(probabilities, np.float32)
    out[filled, 0] = 0
    return out


def lift_subject(
    gaussians: Gaussians,
    photos: Prepared,
    probabilities: np.ndarray,
    settings: RefineSettings,
    *,
    later: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Lift one head's soft predictions and render them back.

    Args:
        gaussians: the fitted head, N Gaussians.
        photos: its V photos, for cameras, angles and valid pixels.
        probabilities: ``[V, H, W, K]`` soft predictions.
        settings: see :class:`RefineSettings`.
        later: whether this is the second round or a later one.

    Returns:
        features ``[N, K]``, class probabilities of the Gaussians; posteriors ``[V, H, W, K]``.
    """
    radius = round(settings.close_radius * probabilities.shape[1] / 128)
    votes = without_holes(probabilities, radius)
    weights = vote_weights(photos, votes, settings.votes(later=later))
    lift = Lift(gaussians, photos.cameras, settings.gate)
    features = lift.run(votes, weights, settings.em_epochs, settings.background_damping)
    return features, lift.render(features)
