"""What a fit is held to: colours (L1 and SSIM) and labels (cross-entropy), pixel by pixel.

Each loss stands here twice: fused, which a fit on the CPU calls (value and gradient in one go, the
parts that depend on the photo alone computed once), and as its plain twin, a few lines of torch
that say what it means and that work on any device. They are equal but for rounding.

Losses are means over ALL pixels of an image, those of weight zero included: a view in which half
the pixels count pulls half as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import ParameterError
from labelsplat.splats.backgrounds import compose


class PhotoTarget:
    """A photo to be matched, with how much each of its pixels counts.

    Args:
        image: ``[H, W, 3]`` RGB, 0 to 1.
        weights: ``[H, W]`` at least 0, or None for 1 everywhere. Where it is 0 nothing is known:
            the photo and what is drawn count as black there, so that the windows of pixels nearby
            find them alike, as they do beyond the image's edge.

    Raises:
        ParameterError: shapes that do not fit together.
    """

    def __init__(self, image: Tensor, weights: Tensor | None = None):
        if image.ndim != 3 or image.shape[2] != 3:
            raise ParameterError(f"shape {tuple(image.shape)}, wanted (H, W, 3)", where="photo")
        if weights is None:
            weights = torch.ones_like(image[..., 0])
        if weights.shape != image.shape[:2]:
            raise ParameterError(
                f"weights {tuple(weights.shape)} do not fit the photo {tuple(image.shape)}",
                where="photo",
            )
        self.weights = weights.to(image)
        self.image = torch.where(self.weights[..., None] > 0, image, 0)
        self._planes: tuple | None = None

    def planes(self) -> tuple:
        """What the fused loss needs of the photo: made at the first call."""
        if self._planes is None:
            from labelsplat.splats.cpu import ssim
            from labelsplat.splats.cpu.vectors import chosen_lanes

            photo, given = self.image.numpy(), self.weights.numpy()
            shape = ssim.plane_shape(*given.shape)
            y, weights = np.zeros((3, *shape), photo.dtype), np.zeros(shape, photo.dtype)
            inside = (slice(ssim.REACH, -ssim.REACH), slice(ssim.PAD, ssim.PAD + given.shape[1]))
            weights[inside] = given / photo.size
            ssim.to_planes(np.ascontiguousarray(photo), weights, y)
            mean, square = np.zeros_like(y), np.zeros_like(y)
            ssim.statistics(chosen_lanes(), y, mean, square)
            self._planes = (y, mean, square, weights)
        return self._planes


def photometric_loss(image: Tensor, target: PhotoTarget, ssim_share: float = 0.2) -> Tensor:
    """``(1 - s) L1 + s (1 - SSIM)`` of an image, each pixel by its weight.

    The loss of 3D Gaussian Splatting (Kerbl et al. 2023, eq. 7), with pixel weights.

    Args:
        image: ``[H, W, 3]`` RGB, what was drawn.
        target: the photo.
        ssim_share: s, 0 to 1.

    Returns:
        A number; it has a gradient by ``image`` alone.
    """
    if not ssim_share or not _fusable(image):  # L1 alone is cheap as it is
        return plain_photometric_loss(image, target, ssim_share)
    return _Photometric.apply(image, target, float(ssim_share))


def plain_photometric_loss(image: Tensor, target: PhotoTarget, ssim_share: float = 0.2) -> Tensor:
    """The twin of :func:`photometric_loss` in torch's own functions."""
    weights = target.weights[..., None]
    image = torch.where(weights > 0, image, 0)
    l1 = (weights * (image - target.image).abs()).mean()
    if not ssim_share:
        return l1
    unlike = (weights * (1 - ssim_map(image, target.image))).mean()
    return (1 - ssim_share) * l1 + ssim_share * unlike


@dataclass(frozen=True)
class ColourShares:
    """Weights of the terms of :func:`composed_loss`.

    Attributes:
        absolute, squared: of the mean absolute and squared differences of colours.
        silhouette: of the mean absolute difference of alpha and foreground.
    """

    absolute: float = 1.0
    squared: float = 0.0
    silhouette: float = 0.0


def composed_loss(
    colours: Tensor,
    alpha: Tensor,
    behind: Tensor,
    target: PhotoTarget,
    foreground: Tensor,
    shares: ColourShares,
) -> Tensor:
    """How far a drawn view, put before its background, is from its photo and its foreground.

    Args:
        colours: ``[H, W, 3]`` RGB drawn over black.
        alpha: ``[H, W]``.
        behind: ``[H, W, 3]`` the background.
        target: the photo.
        foreground: ``[H, W]`` what alpha is held to.
        shares: weights of the terms.

    Returns:
        A number; it has gradients by ``colours``, ``alpha`` and ``behind``.

    Raises:
        ParameterError: shapes that do not fit together.
    """
    wanted = tuple(target.image.shape)
    flat = [tuple(t.shape) for t in (alpha, foreground)]
    if {tuple(colours.shape), tuple(behind.shape)} != {wanted} or set(flat) != {wanted[:2]}:
        raise ParameterError(
            f"colours {tuple(colours.shape)}, alpha {flat[0]}, background {tuple(behind.shape)} "
            f"and foreground {flat[1]} do not fit the photo {wanted}",
            where="composed_loss",
        )
    if not _fusable(colours, alpha, behind, target.image, target.weights, foreground):
        return plain_composed_loss(colours, alpha, behind, target, foreground, shares)
    return _Composed.apply(colours, alpha, behind, target, foreground, shares)


def plain_composed_loss(
    colours: Tensor,
    alpha: Tensor,
    behind: Tensor,
    target: PhotoTarget,
    foreground: Tensor,
    shares: ColourShares,
) -> Tensor:
    """The twin of :func:`composed_loss` in torch's own functions."""
    known = target.weights > 0
    picture = torch.where(known[..., None], compose(colours, alpha, behind), 0)
    away = picture - target.image
    beyond = torch.where(known, alpha - foreground, 0)
    each = shares.absolute * away.abs() + shares.squared * away.square()
    silhouette = shares.silhouette * (target.weights * beyond.abs()).mean()
    return (target.weights[..., None] * each).mean() + silhouette


class _Composed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, colours, alpha, behind, target, foreground, shares) -> Tensor:
        from labelsplat.splats.cpu import buffers
        from labelsplat.splats.cpu.composed import composed_loss as fused

        drawn = [t.detach().contiguous().numpy() for t in (colours, alpha, behind)]
        held = [t.contiguous().numpy() for t in (target.image, target.weights, foreground)]
        each = np.array([shares.absolute / 3, shares.squared / 3, shares.silhouette])
        factors = (each / alpha.numel()).astype(drawn[1].dtype)
        sums, gradients = np.empty(len(drawn[1])), [buffers.empty(a.shape, a.dtype) for a in drawn]
        fused(*drawn, *held, factors, sums, *gradients)
        ctx.gradients = [torch.from_numpy(g) for g in gradients]
        return alpha.new_tensor(sums.sum())

    @staticmethod
    def backward(ctx, by_loss: Tensor):
        return (*(g * by_loss for g in ctx.gradients), None, None, None)


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity ``[H, W, 3]`` of two images (Wang et al. 2004, eq. 13).

    11 x 11 Gaussian window of sigma 1.5, zeros beyond the edge, constants of a range of 1.
    """
    from labelsplat.splats.cpu.ssim import C1, C2, REACH, WINDOW

    row = torch.tensor(WINDOW, dtype=x.dtype, device=x.device)
    window = (row[:, None] * row).expand(15, 1, -1, -1)
    a, b = x.permute(2, 0, 1), y.permute(2, 0, 1)
    stack = torch.cat([a, b, a * a, b * b, a * b])[None]
    blurred = torch.nn.functional.conv2d(stack, window, padding=REACH, groups=15)[0]
    mx, my, xx, yy, xy = blurred.split(3)
    top = (2 * mx * my + C1) * (2 * (xy - mx * my) + C2)
    bottom = (mx * mx + my * my + C1) * (xx - mx * mx + yy - my * my + C2)
    return (top / bottom).permute(1, 2, 0)


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image: Tensor, target: PhotoTarget, ssim_share: float) -> Tensor:
        from labelsplat.splats.cpu import ssim
        from labelsplat.splats.cpu.vectors import chosen_lanes

        lanes, drawn = chosen_lanes(), image.detach().contiguous().numpy()
        y, mean, square, weights = target.planes()
        if y.dtype != drawn.dtype or drawn.shape != tuple(target.image.shape):
            raise ParameterError(
                f"an image {drawn.shape} of {drawn.dtype} for a photo "
                f"{tuple(target.image.shape)} of {y.dtype}",
                where="photometric_loss",
            )
        x = np.zeros_like(y)
        ssim.to_planes(drawn, weights, x)
        derivatives = [np.zeros_like(y) for _ in range(3)]
        sums = np.empty((3, len(drawn)))
        ssim.ssim_derivatives(lanes, x, y, mean, square, weights, sums, *derivatives)
        differences, gradient = np.empty(len(drawn)), np.empty_like(drawn)
        l1, s = drawn.dtype.type(1 - ssim_share), drawn.dtype.type(ssim_share)
        ssim.photometric_gradient(
            lanes, drawn, x, y, weights, *derivatives, l1, s, differences, gradient
        )
        ctx.gradient = torch.from_numpy(gradient)
        mass = 3 * weights.sum(dtype=np.float64)
        loss = (1 - ssim_share) * differences.sum() + ssim_share * (mass - sums.sum())
        return image.new_tensor(loss)

    @staticmethod
    def backward(ctx, by_loss: Tensor):
        return ctx.gradient * by_loss, None, None


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of label logits against soft targets, each pixel by its weight.

    Args:
        logits: ``[H, W, K]``; their softmax over K is compared.
        targets: ``[H, W, K]`` probabilities.
        weights: ``[H, W]`` at least 0, or None for 1 everywhere.

    Returns:
        A number; it has a gradient by ``logits`` alone.

    Raises:
        ParameterError: shapes that do not fit together.
    """
    if weights is None:
        weights = torch.ones_like(targets[..., 0])
    if logits.ndim != 3 or targets.shape != logits.shape or weights.shape != logits.shape[:2]:
        raise ParameterError(
            f"logits {tuple(logits.shape)}, targets {tuple(targets.shape)} and weights "
            f"{tuple(weights.shape)} do not fit each other",
            where="cross_entropy",
        )
    if not _fusable(logits, targets, weights):
        return plain_cross_entropy(logits, targets, weights)
    return _CrossEntropy.apply(logits, targets, weights)


def plain_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The twin of :func:`cross_entropy` in torch's own functions."""
    each = -(targets * logits.log_softmax(-1)).sum(-1)
    return (weights * each).mean()


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        from labelsplat.splats.cpu import cross_entropy as kernels
        from labelsplat.splats.cpu.vectors import chosen_lanes

        arrays = [t.detach().contiguous().numpy() for t in (logits, targets, weights)]
        sums, gradient = np.empty(len(arrays[0])), np.empty_like(arrays[0])
        scale = gradient.dtype.type(1 / weights.numel())
        kernels.cross_entropy(chosen_lanes(), *arrays, scale, sums, gradient)
        ctx.gradient = torch.from_numpy(gradient)
        return logits.new_tensor(sums.sum() / weights.numel())

    @staticmethod
    def backward(ctx, by_loss: Tensor):
        return ctx.gradient * by_loss, None, None


def _fusable(*tensors: Tensor) -> bool:
    """Whether the kernels can read these: all on the CPU and of one type that they know."""
    kinds = {(t.device.type, t.dtype) for t in tensors}
    return len(kinds) == 1 and kinds <= {("cpu", torch.float32), ("cpu", torch.float64)}
