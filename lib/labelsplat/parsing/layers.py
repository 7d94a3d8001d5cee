"""Pieces that the architectures share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBNReLU(nn.Module):
    """Convolution, batch normalisation, ReLU; the size stays unless ``stride`` is above 1."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def per_channel(values: tuple[float, float, float]) -> Tensor:
    """Three numbers as ``[3, 1, 1]``, to meet images ``[B, 3, H, W]``."""
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def upsample(x: Tensor, height: int, width: int, align_corners: bool = False) -> Tensor:
    """Bilinear interpolation of ``[B, C, h, w]`` to ``[B, C, height, width]``.

    The same as ``F.interpolate(..., mode="bilinear", align_corners=...)``, as two products with
    interpolation matrices: on a CPU the gradient takes a third of the time.
    """
    if torch.jit.is_tracing():  # for ONNX, which has an operator of its own for it
        size = (int(height), int(width))
        return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)
    rows, columns = (
        F.interpolate(
            torch.eye(old, device=x.device)[None],
            size=new,
            mode="linear",
            align_corners=align_corners,
        )[0].T
        for old, new in ((x.shape[-2], height), (x.shape[-1], width))
    )
    b, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1)
    x = (rows @ x.reshape(b, h, w * c)).view(b * height, w, c)
    return (columns @ x).view(b, height, width, c).permute(0, 3, 1, 2)


def extended(x: Tensor, stride: int) -> Tensor:
    """Images of any size made a multiple of ``stride``: right and lower edge are repeated."""
    down, right = -x.shape[-2] % stride, -x.shape[-1] % stride
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def cut(x: Tensor, height: int, width: int) -> Tensor:
    """The upper left ``height x width`` pixels."""
    # Slicing to the same size is no change, but its gradient costs two copies of the whole tensor.
    return x if x.shape[-2:] == (height, width) else x[..., :height, :width]


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Images ``[B, C, H, W]`` resized bilinearly, averaging where they become smaller."""
    if images.shape[-2:] == (height, width):
        return images
    average = not torch.jit.is_tracing()  # for ONNX, which has no operator for it
    return F.interpolate(images, size=(height, width), mode="bilinear", antialias=average)


def fitted(images: Tensor, side: int) -> Tensor:
    """Images ``[B, C, H, W]`` resized so that their longer side is ``side``; 0 leaves them."""
    height, width = images.shape[-2:]
    if not side or max(height, width) == side:
        return images
    scale = side / max(height, width)
    return resized(images, max(round(height * scale), 1), max(round(width * scale), 1))
