"""A light U-Net: a second architecture, to show that the method does not care which one it is.

Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation" (MICCAI 2015),
with batch normalisation, padded convolutions and bilinear enlargement. Unlike BiSeNet it works at
the image's full resolution, and sees less of what surrounds a pixel.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labelsplat.base import ParameterError
from labelsplat.parsing.layers import ConvBNReLU, cut, extended, per_channel, upsample


@dataclass(frozen=True)
class UNetConfig:
    """What it takes to build the network again.

    Attributes:
        classes: number of classes.
        width: channels at full resolution; each halving of the image doubles them, up to 8 times.
        depth: how often the image is halved.
        mean: subtracted from each colour channel of an image in 0..1.
        std: divides each colour channel after that.
    """

    classes: int = 19
    width: int = 16
    depth: int = 4
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.27, 0.27, 0.27)

    def __post_init__(self) -> None:
        if self.classes < 2 or self.width < 4 or not 1 <= self.depth <= 6:
            raise ParameterError(
                f"classes is {self.classes}, width {self.width} and depth {self.depth}",
                where="UNetConfig",
                remedy="Use at least 2 classes, a width of at least 4 and a depth of 1 to 6",
            )
        if min(self.std) <= 0:
            raise ParameterError(
                f"std is {self.std}", where="UNetConfig", remedy="Use positive deviations"
            )

    @property
    def stride(self) -> int:
        """Image pixels along one side of the coarsest feature."""
        return 2**self.depth


class UNet(nn.Module):
    """The parser: images ``[B, 3, H, W]`` float in 0..1 to logits ``[B, classes, H, W]``.

    H and W may be anything; sizes that are no multiple of ``config.stride`` are extended at the
    right and lower edge by repeating the last pixels, and the logits cut back.
    """

    def __init__(self, config: UNetConfig | None = None):
        super().__init__()
        self.config = config or UNetConfig()
        widths = [self.config.width * min(2**i, 8) for i in range(self.config.depth + 1)]
        self.down = nn.ModuleList(
            _twice(before, after) for before, after in zip([3, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _twice(coarse + fine, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], self.config.classes, 1)
        self.register_buffer("mean", per_channel(self.config.mean), persistent=False)
        self.register_buffer("std", per_channel(self.config.std), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        x = extended((images - self.mean) / self.std, self.config.stride)
        passed = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            passed.append(x)
        for level in reversed(range(len(self.up))):
            fine = passed[level]
            x = self.up[level](torch.cat([upsample(x, *fine.shape[-2:]), fine], 1))
        return cut(self.head(x).float(), *images.shape[-2:])


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(ConvBNReLU(inputs, outputs), ConvBNReLU(outputs, outputs))
