"""Random views of labelled images: geometry, light, camera and background.

A mirrored face shows its left eye where the right one was, so left and right classes are swapped
under a flip, and only then. Every image of a batch draws its own values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from labelsplat.labels import IGNORE, Vocabulary

BACKGROUND = 0
_NOISE_GRID = 5
"""Cells along one side of a random background: blobs the size of furniture, not of pixels."""
_PATCH = (0.12, 0.4)
"""Radii of a covering patch, as shares of half the image."""
_REDUCTION = (2.0, 4.0)
"""Factors by which an image of low resolution is reduced."""


@dataclass(frozen=True)
class Augmentation:
    """How far images are changed; 0 turns a change off.

    Attributes:
        roll: largest rotation in the image plane, radians.
        zoom: largest change of scale, as the logarithm of the factor.
        shift: largest shift, as a share of half the image.
        flip: probability of mirroring.
        gamma: largest exponent, as its logarithm.
        gain: largest relative change of each colour channel.
        offset: largest change of brightness.
        contrast: largest relative change of contrast.
        grey: largest loss of saturation, given to half of the images.
        gradient: largest relative change of brightness from the centre to an edge.
        blur: probability of half the resolution.
        noise: largest standard deviation of pixel noise.
        background: probability that the background is replaced by coloured blobs.
        zoom_out: how much smaller than by ``zoom`` a head may become, as the factor's logarithm.
        low_resolution: probability that an image is shown as if taken from afar: with a half to a
            quarter of its rows and columns.
        occlusion: probability that a patch of coloured blobs covers a part of the image; what is
            covered is background, as behind a hand or a mask.
    """

    roll: float = 0.35
    zoom: float = 0.25
    shift: float = 0.15
    flip: float = 0.5
    gamma: float = 0.5
    gain: float = 0.22
    offset: float = 0.15
    contrast: float = 0.4
    grey: float = 0.6
    gradient: float = 0.3
    blur: float = 0.35
    noise: float = 0.04
    background: float = 0.5
    zoom_out: float = 0.0
    low_resolution: float = 0.0
    occlusion: float = 0.0


class _Draws:
    """Random numbers of a batch, one row an image, put where the images are."""

    def __init__(self, count: int, device: torch.device, generator: torch.Generator):
        self.count, self.device, self.generator = count, device, generator

    def unit(self, *shape: int) -> Tensor:
        """``[count, *shape]`` uniform in 0..1."""
        values = torch.rand(
            self.count, *shape, generator=self.generator, device=self.generator.device
        )
        return values.to(self.device)

    def signed(self, *shape: int) -> Tensor:
        """``[count, *shape]`` uniform in -1..1."""
        return self.unit(*shape) * 2 - 1

    def normal(self, *shape: int) -> Tensor:
        """``[count, *shape]`` standard normal."""
        values = torch.randn(
            self.count, *shape, generator=self.generator, device=self.generator.device
        )
        return values.to(self.device)


def augment(
    images: Tensor,
    labels: Tensor,
    vocabulary: Vocabulary,
    generator: torch.Generator,
    settings: Augmentation | None = None,
) -> tuple[Tensor, Tensor]:
    """A random version of each image and the label map that goes with it.

    What lies beyond an image's edge is its reflection, in the labels too. Labels are sampled at the
    nearest pixel, so 255 (ignore) stays 255.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        labels: ``[B, H, W]`` uint8.
        vocabulary: tells which classes swap under a flip; its class 0 is the background.
        generator: source of all randomness; same state, same result.
        settings: how far images are changed.

    Returns:
        images ``[B, 3, H, W]`` float32, about 0..1, channels last in memory; labels ``[B, H, W]``
        int64.
    """
    settings = settings or Augmentation()
    draws = _Draws(len(images), images.device, generator)
    pictures = images.permute(0, 3, 1, 2).float() / 255
    pictures, warped = _warp(pictures, labels, vocabulary, draws, settings)
    pictures = _relight(pictures, draws, settings)
    pictures = _degrade(pictures, draws, settings)
    pictures = _replace_background(pictures, warped == BACKGROUND, draws, settings.background)
    # What is off draws no random number: without these, all is as it was before they existed.
    if settings.occlusion:
        pictures, warped = _occlude(pictures, warped, draws, settings.occlusion)
    if settings.low_resolution:
        pictures = _coarsen(pictures, draws, settings.low_resolution)
    return pictures.contiguous(memory_format=torch.channels_last), warped


def _warp(
    images: Tensor, labels: Tensor, vocabulary: Vocabulary, draws: _Draws, settings: Augmentation
) -> tuple[Tensor, Tensor]:
    """Roll, zoom, shift and flip; one affine map from output to input coordinates an image."""
    angle = draws.signed() * settings.roll
    scale = torch.exp(draws.signed() * settings.zoom)
    mirrored = draws.unit() < settings.flip
    shift = draws.signed(2) * settings.shift
    if settings.zoom_out:
        scale = scale * torch.exp(-draws.unit() * settings.zoom_out)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    side = torch.where(mirrored, -1.0, 1.0)
    matrix = torch.stack(
        [
            torch.stack([cosine * side, -sine, shift[:, 0]], 1),
            torch.stack([sine * side, cosine, shift[:, 1]], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    warped = F.grid_sample(
        labels[:, None].float(),
        grid,
        mode="nearest",
        padding_mode="reflection",
        align_corners=False,
    )[:, 0].long()
    swap = torch.arange(256, device=labels.device)
    swap[: len(vocabulary)] = torch.from_numpy(vocabulary.flip).to(labels.device)
    return images, torch.where(mirrored[:, None, None], swap[warped], warped)


def _relight(images: Tensor, draws: _Draws, settings: Augmentation) -> Tensor:
    """Gamma, channel gains, brightness, contrast, saturation and a gradient of light."""
    images = images.clamp(0, 1) ** torch.exp(draws.signed(1, 1, 1) * settings.gamma)
    images = images * (1 + draws.signed(3, 1, 1) * settings.gain)
    images = images + draws.signed(1, 1, 1) * settings.offset
    mean = images.mean((2, 3), keepdim=True)
    images = (images - mean) * (1 + draws.signed(1, 1, 1) * settings.contrast) + mean
    grey = draws.unit(1, 1, 1) * settings.grey * (draws.unit(1, 1, 1) < 0.5)
    images = images * (1 - grey) + images.mean(1, keepdim=True) * grey
    height, width = images.shape[-2:]
    across = torch.linspace(-1, 1, width, device=images.device)
    down = torch.linspace(-1, 1, height, device=images.device)[:, None]
    light = 1 + settings.gradient * (draws.signed(1, 1, 1) * across + draws.signed(1, 1, 1) * down)
    return images * light


def _degrade(images: Tensor, draws: _Draws, settings: Augmentation) -> Tensor:
    """Half the resolution for some images, pixel noise for all."""
    blurred = draws.unit() < settings.blur
    if blurred.any():
        small = F.avg_pool2d(images[blurred], 2, ceil_mode=True)
        images[blurred] = F.interpolate(
            small, size=images.shape[-2:], mode="bilinear", align_corners=False
        )
    noise = draws.normal(*images.shape[1:])
    return images + noise * (settings.noise * draws.unit(1, 1, 1))


def _replace_background(
    images: Tensor, background: Tensor, draws: _Draws, probability: float
) -> Tensor:
    """Coloured blobs in place of the pixels ``background [B, H, W]``, for some of the images."""
    chosen = draws.unit(1, 1, 1) < probability
    return torch.where(chosen & background[:, None], _blobs(images, draws), images)


def _blobs(images: Tensor, draws: _Draws) -> Tensor:
    """Coloured blobs of the size of ``images``, 0..1."""
    blobs = draws.unit(3, _NOISE_GRID, _NOISE_GRID)
    blobs = F.interpolate(blobs, size=images.shape[-2:], mode="bicubic", align_corners=False)
    return blobs.clamp(0, 1)


def _occlude(
    images: Tensor, labels: Tensor, draws: _Draws, probability: float
) -> tuple[Tensor, Tensor]:
    """An ellipse or a rectangle of coloured blobs, turned at random, over some of the images."""
    height, width = images.shape[-2:]
    chosen = draws.unit(1, 1) < probability
    round_ = draws.unit(1, 1) < 0.5
    centre, angle = draws.signed(2) * 0.8, draws.signed(1, 1) * math.pi
    low, high = _PATCH
    radii = low + (high - low) * draws.unit(2)
    x = torch.linspace(-1, 1, width, device=images.device) - centre[:, :1, None]
    y = torch.linspace(-1, 1, height, device=images.device)[:, None] - centre[:, 1:, None]
    cosine, sine = torch.cos(angle), torch.sin(angle)
    along = ((cosine * x + sine * y) / radii[:, :1, None]).abs()
    across = ((cosine * y - sine * x) / radii[:, 1:, None]).abs()
    inside = torch.where(round_, along**2 + across**2, torch.maximum(along, across)) < 1
    covered = chosen & inside
    images = torch.where(covered[:, None], _blobs(images, draws), images)
    # A pixel that has no label gets none from what covers it.
    return images, torch.where(covered & (labels != IGNORE), BACKGROUND, labels)


def _coarsen(images: Tensor, draws: _Draws, probability: float) -> Tensor:
    """Some of the images reduced, each by a factor of its own, and enlarged again."""
    chosen = (draws.unit() < probability).tolist()
    least, most = _REDUCTION
    factors = (least + (most - least) * draws.unit()).tolist()
    size = images.shape[-2:]
    images = images.clone()
    for i, factor in enumerate(factors):
        if not chosen[i]:
            continue
        small = [max(1, round(side / factor)) for side in size]
        # Averaged, not picked, as a camera does.
        coarse = F.interpolate(images[i : i + 1], size=small, mode="area")
        images[i : i + 1] = F.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return images
