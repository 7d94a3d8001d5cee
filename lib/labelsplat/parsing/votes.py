"""How much each pixel's prediction counts where views of one head are brought together.

A parser that was trained near the front errs SYSTEMATICALLY in profile: views from the front count
more, and so do pixels that it is sure of. Both the lift and the fit's label loss go by these
weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelsplat.capture import Prepared


@dataclass(frozen=True)
class VoteSettings:
    """How predictions are weighted; from section ``refine`` of params.yaml.

    Attributes:
        power: a view counts ``(cos yaw cos pitch) ^ power``.
        floor: added to that weight.
        confidence_power: exponent of a pixel's confidence.
    """

    power: float = 4.0
    floor: float = 0.02
    confidence_power: float = 2.0


def frontalness(angles: np.ndarray | None, views: int, power: float, floor: float) -> np.ndarray:
    """``[V]`` weight of each view: ``(cos yaw cos pitch) ^ power + floor``, floor behind the head.

    Args:
        angles: ``[V, 2]`` yaw and pitch in degrees against the head's front; None where a capture
            has no head frame: then every view weighs 1.
        views: V.
        power: how fast the weight falls with the angle.
        floor: what remains from the side and from behind.
    """
    if angles is None:
        return np.ones(views, np.float32)
    cosines = np.cos(np.radians(angles))
    cosine = np.where(np.abs(angles[:, 0]) < 90, cosines[:, 0] * cosines[:, 1], 0)
    return (np.clip(cosine, 0, 1) ** power + floor).astype(np.float32)


def confidence(probabilities: np.ndarray, power: float) -> np.ndarray:
    """``[V, H, W]``: the largest probability of each pixel, raised to ``power``."""
    return probabilities.max(-1) ** np.float32(power)


def vote_weights(photos: Prepared, probabilities: np.ndarray, settings: VoteSettings) -> np.ndarray:
    """``[V, H, W]`` float32: how much each pixel's prediction counts; 0 beyond a photo's edge.

    Args:
        photos: V photos, for angles and valid pixels.
        probabilities: ``[V, H, W, K]`` soft predictions.
        settings: see :class:`VoteSettings`.
    """
    front = frontalness(photos.angles, len(probabilities), settings.power, settings.floor)
    weights = front[:, None, None] * confidence(probabilities, settings.confidence_power)
    return (weights * photos.valid).astype(np.float32)
