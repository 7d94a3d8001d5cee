"""Test-time augmentation: predictions averaged over the mirrored image and over sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from labelsplat.base import ParameterError
from labelsplat.labels import CELEBAMASK, Vocabulary
from labelsplat.parsing.calibrate import Tempered
from labelsplat.parsing.predict import predict


class Rescaled(nn.Module):
    """A parser that sees images enlarged or reduced; its logits come back at the images' size.

    Args:
        net: a parser that takes images of any size.
        scale: factor on width and height.
    """

    def __init__(self, net: nn.Module, scale: float):
        super().__init__()
        self.net, self.scale = net, scale
        self.train(net.training)  # wrapping a network must not change its mode

    def forward(self, images: Tensor) -> Tensor:
        size = images.shape[-2:]
        other = [max(1, round(side * self.scale)) for side in size]
        # Without smoothing, a reduced image would show every second line and miss the others.
        seen = F.interpolate(
            images, size=other, mode="bilinear", align_corners=False, antialias=self.scale < 1
        )
        logits = self.net(seen)
        return F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)


def predict_averaged(
    net: nn.Module,
    images: np.ndarray,
    *,
    flip: bool = True,
    scales: Sequence[float] = (1.0,),
    temperature: float = 1.0,
    batch: int = 12,
    vocabulary: Vocabulary = CELEBAMASK,
    device: str = "auto",
    threads: int | None = None,
) -> np.ndarray:
    """Class probabilities of every pixel, averaged over sizes of the image.

    With one scale of 1 and a temperature of 1 it is :func:`labelsplat.parsing.predict`, bit for
    bit.

    Args:
        net: a parser; left in the mode and on the device it was in.
        images: ``[n, H, W, 3]`` uint8.
        flip: average with the mirrored image, too, at every scale.
        scales: factors on width and height, e.g. ``(0.75, 1.0, 1.25)``; each takes a pass.
        temperature: divides the logits of every pass before they become probabilities.
        batch: images at a time.
        vocabulary: the meaning of the parser's classes.
        device: "auto", "cpu" or "cuda".
        threads: CPU threads; None leaves them as they are.

    Returns:
        ``[n, H, W, classes]`` float32, each pixel summing to 1.

    Raises:
        ParameterError: no scale, or one that is not positive.
        LabelsplatError: as :func:`labelsplat.parsing.predict`, or a temperature not above 0.
    """
    wrong = [scale for scale in scales if not (scale > 0 and math.isfinite(scale))]
    if wrong or not len(scales):
        raise ParameterError(
            f"scales are {list(scales)}", where="predict", remedy="Use positive factors, e.g. [1.0]"
        )
    if temperature != 1:
        net = Tempered(net, temperature)
    total = None
    for scale in scales:
        seen = net if scale == 1 else Rescaled(net, scale)
        soft = predict(
            seen, images, flip, batch, vocabulary=vocabulary, device=device, threads=threads
        )
        total = soft if total is None else np.add(total, soft, out=total)
    return total if len(scales) == 1 else np.divide(total, len(scales), out=total)
