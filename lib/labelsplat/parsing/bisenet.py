"""BiSeNet with a ResNet-18 backbone, in plain torch, from random weights.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation" (ECCV
2018), in the variant that the public face-parsing release uses: the backbone's own high-resolution
features stand in for the spatial path. Modules carry that release's names, and ``width=64,
stem="maxpool"`` its sizes.

At 128 pixels the release's stem is too coarse: it halves the image twice before the first residual
layer, and an eye is three pixels wide. ``stem="none"`` leaves the max-pool out, so every feature
map is twice as fine; half the width pays for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from labelsplat.base import ParameterError
from labelsplat.parsing.layers import (
    ConvBNReLU,
    cut,
    extended,
    fitted,
    per_channel,
    resized,
    upsample,
)


@dataclass(frozen=True)
class BiSeNetConfig:
    """What it takes to build the network again.

    Attributes:
        classes: number of classes.
        width: channels of the first residual layer; the others are its multiples.
        stem: "maxpool" as in the release (features at 1/8, 1/16 and 1/32 of the image), or "none"
            (1/4, 1/8 and 1/16).
        detail: channels of a branch that corrects the logits at twice the resolution of the finest
            of those features, for brows, lids and lips; 0 leaves it out, as in the release.
        mean: subtracted from each colour channel of an image in 0..1.
        std: divides each colour channel after that.
        size: longer side, in pixels, that images are resized to before all else, so that a head has
            the size that the weights know; the logits come back at the image's own size. 0 takes
            images as they are.
        align_corners: how the last enlargement places pixels; True in the release.
    """

    classes: int = 19
    width: int = 32
    stem: str = "none"
    detail: int = 16
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.27, 0.27, 0.27)
    size: int = 0
    align_corners: bool = False

    def __post_init__(self) -> None:
        if self.stem not in ("none", "maxpool"):
            raise ParameterError(
                f"stem is {self.stem!r}", where="BiSeNetConfig", remedy="Use 'none' or 'maxpool'"
            )
        if self.classes < 2 or self.width < 4 or self.detail < 0:
            raise ParameterError(
                f"classes is {self.classes}, width {self.width} and detail {self.detail}",
                where="BiSeNetConfig",
                remedy="Use at least 2 classes, a width of at least 4 and no negative number",
            )
        if self.size and self.size < self.stride:
            raise ParameterError(
                f"size is {self.size}",
                where="BiSeNetConfig",
                remedy=f"Use 0, or at least {self.stride} pixels",
            )
        if min(self.std) <= 0:
            raise ParameterError(
                f"std is {self.std}", where="BiSeNetConfig", remedy="Use positive deviations"
            )

    @property
    def stride(self) -> int:
        """Image pixels along one side of the coarsest feature."""
        return 32 if self.stem == "maxpool" else 16


class BasicBlock(nn.Module):
    """ResNet's block of two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        residual = F.relu(self.bn1(self.conv1(x)), inplace=True)
        residual = self.bn2(self.conv2(residual))
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(residual.add_(shortcut), inplace=True)


class ResNet18(nn.Module):
    """The backbone: features of its four layers, fine to coarse."""

    def __init__(self, width: int, maxpool: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if maxpool else nn.Identity()
        self.layer1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.layer2 = self._halving(width, 2 * width)
        self.layer3 = self._halving(2 * width, 4 * width)
        self.layer4 = self._halving(4 * width, 8 * width)

    @staticmethod
    def _halving(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(BasicBlock(inputs, outputs, 2), BasicBlock(outputs, outputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x)), inplace=True))
        finest = self.layer1(x)
        fine = self.layer2(finest)
        middle = self.layer3(fine)
        return finest, fine, middle, self.layer4(middle)


class AttentionRefinement(nn.Module):
    """Features, each channel scaled by a gate that sees the whole image."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv = ConvBNReLU(inputs, outputs)
        self.conv_atten = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.bn_atten(self.conv_atten(_image_mean(x))))


class ContextPath(nn.Module):
    """Backbone, global context and two refinements: what surrounds a pixel."""

    def __init__(self, width: int, maxpool: bool):
        super().__init__()
        context = 2 * width
        self.resnet = ResNet18(width, maxpool)
        self.arm16 = AttentionRefinement(4 * width, context)
        self.arm32 = AttentionRefinement(8 * width, context)
        self.conv_head32 = ConvBNReLU(context, context)
        self.conv_head16 = ConvBNReLU(context, context)
        self.conv_avg = ConvBNReLU(8 * width, context, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Backbone features at 2 r and r, and context at r and r / 2 of the resolution r."""
        finest, fine, middle, coarse = self.resnet(x)
        context = self.arm32(coarse) + self.conv_avg(_image_mean(coarse))
        context_middle = self.conv_head32(_enlarge(context, middle))
        context = self.arm16(middle) + context_middle
        return finest, fine, self.conv_head16(_enlarge(context, fine)), context_middle


class FeatureFusion(nn.Module):
    """Joins fine features and context, then strengthens channels by a gate."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.convblk = ConvBNReLU(inputs, outputs, 1)
        self.conv1 = nn.Conv2d(outputs, outputs // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs // 4, outputs, 1, bias=False)

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        x = self.convblk(torch.cat([fine, context], 1))
        gate = torch.sigmoid(self.conv2(F.relu(self.conv1(_image_mean(x)))))
        return x * (1 + gate)


class OutputHead(nn.Module):
    """Features to logits of the same size."""

    def __init__(self, inputs: int, middle: int, classes: int):
        super().__init__()
        self.conv = ConvBNReLU(inputs, middle)
        self.conv_out = nn.Conv2d(middle, classes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
    """The parser: images ``[B, 3, H, W]`` float in 0..1 to logits ``[B, classes, H, W]``.

    In training mode it returns ``[main, auxiliary, auxiliary]``: the main logits at full size, the
    auxiliary ones at the size of the features they come from, because enlarging them costs a
    fifth of a training step and teaches nothing more.

    H and W may be anything; sizes that are no multiple of ``config.stride`` are extended at the
    right and lower edge by repeating the last pixels, and the logits cut back.
    """

    def __init__(self, config: BiSeNetConfig | None = None):
        super().__init__()
        self.config = config or BiSeNetConfig()
        width, classes = self.config.width, self.config.classes
        self.cp = ContextPath(width, self.config.stem == "maxpool")
        self.ffm = FeatureFusion(4 * width, 4 * width)
        self.conv_out = OutputHead(4 * width, 4 * width, classes)
        self.conv_out16 = OutputHead(2 * width, width, classes)
        self.conv_out32 = OutputHead(2 * width, width, classes)
        detail = self.config.detail
        self.conv_detail = OutputHead(width, detail, classes) if detail else None
        # The configuration stores them, so files keep exactly the release's keys.
        self.register_buffer("mean", per_channel(self.config.mean), persistent=False)
        self.register_buffer("std", per_channel(self.config.std), persistent=False)

    def forward(self, images: Tensor) -> Tensor | list[Tensor]:
        seen = fitted(images, self.config.size)
        height, width = seen.shape[-2:]
        x = extended((seen - self.mean) / self.std, self.config.stride)
        finest, fine, context, context_coarse = self.cp(x)
        logits = self.conv_out(self.ffm(fine, context))
        if self.conv_detail is not None:
            correction = self.conv_detail(finest)
            logits = upsample(logits.float(), *finest.shape[-2:]) + correction
        full = upsample(logits.float(), *x.shape[-2:], self.config.align_corners)
        logits = resized(cut(full, height, width), *images.shape[-2:])
        if not self.training:
            return logits
        auxiliary = [self.conv_out16(context), self.conv_out32(context_coarse)]
        return [logits, *(_without_extension(a, x, seen) for a in auxiliary)]


def _image_mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _enlarge(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


def _without_extension(logits: Tensor, padded: Tensor, images: Tensor) -> Tensor:
    """Cut low-resolution logits of the extended image back to the cells the image covers."""
    step = padded.shape[-1] // logits.shape[-1]
    height, width = (-(-size // step) for size in images.shape[-2:])
    return cut(logits, height, width)
