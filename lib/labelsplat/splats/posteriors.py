"""Label maps of a fitted label model: blended logits, then their softmax.

Closed-form lifts (``labelsplat.refine``) blend probabilities instead; their Gaussians' softmax IS
what is blended. A fitted model's logits mean something only after blending.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import Camera
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.parameters import LABEL_BACKGROUND
from labelsplat.splats.rendering import render


def label_background(classes: int, like: Tensor) -> Tensor:
    """``[K]`` logits where no Gaussian is drawn: background."""
    logits = like.new_zeros(classes)
    logits[0] = LABEL_BACKGROUND
    return logits


def model_posteriors(gaussians: Gaussians, cameras: Sequence[Camera]) -> np.ndarray:
    """``[V, H, W, K]`` float32, what a fitted label model says of every pixel.

    Args:
        gaussians: with label logits that a fit has learned.
        cameras: V cameras of one image size.

    Raises:
        ParameterError: Gaussians without labels.
    """
    logits = gaussians.label_logits
    if logits is None:
        raise ParameterError("Gaussians without labels", where="model_posteriors")
    behind = label_background(logits.shape[1], logits)
    with torch.no_grad():
        drawn = render(gaussians, list(cameras), logits, background=behind)
        return drawn.features.softmax(-1).cpu().numpy()
