"""Gaussian splatting in plain torch: the page to read to understand it.

A 3D Gaussian has a centre, three axes (a rotation) and a standard deviation along each. Seen by a
camera it is, near enough, a 2D Gaussian: its centre is projected as any point, its covariance
through the derivative of the perspective at the centre. A pixel is then the sum of the Gaussians'
features from front to back, each weighted by its alpha at the pixel (opacity times density) and by
the light that those in front of it let pass.

Everything here is differentiable by torch itself, in any floating type. The other engines do the
same arithmetic faster; the tests hold them against this one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labelsplat.base import LabelsplatError
from labelsplat.splats.constants import (
    BORDER,
    FAR,
    LOW_PASS,
    MAX_ALPHA,
    MIN_ALPHA,
    MIN_TRANSMITTANCE,
    NEAR,
)

TILE = 16  # pixels


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """``[N, 3, 3]`` rotations of quaternions ``[N, 4]`` (w, x, y, z) of any length."""
    w, x, y, z = (quaternions / quaternions.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def project(
    means: Tensor,
    quaternions: Tensor,
    scales: Tensor,
    view_matrix: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussians on the image plane of one camera.

    Args:
        means: ``[N, 3]``. quaternions: ``[N, 4]``. scales: ``[N, 3]``.
        view_matrix: ``[4, 4]`` world to camera. intrinsics: ``[3, 3]``.
        width, height: of the image in pixels.

    Returns:
        Centres ``[N, 2]`` in pixels, covariances ``[N, 2, 2]`` in pixels squared, depths ``[N]``
        along the optical axis.
    """
    rotation, translation = view_matrix[:3, :3], view_matrix[:3, 3]
    focal, principal = intrinsics.diagonal()[:2], intrinsics[:2, 2]
    size = intrinsics.new_tensor([width, height])

    points = means @ rotation.T + translation
    depths = points[:, 2]
    # What lies behind the camera has no image and is not drawn: any finite number will do.
    distances = torch.where(depths > 0, depths, 1)[:, None]
    slopes = points[:, :2] / distances
    centres = slopes * focal + principal

    # J, the derivative of (x, y, z) -> (f x / z, f y / z). Far outside the image it explodes, so
    # it is taken at the nearest point within the image and a border.
    border = BORDER * 0.5 * size / focal
    low, high = -principal / focal - border, (size - principal) / focal + border
    inside = torch.maximum(torch.minimum(slopes, high), low)
    jacobian = torch.diag_embed(focal / distances)
    jacobian = torch.cat([jacobian, (-focal * inside / distances)[:, :, None]], -1)

    axes = rotation_matrices(quaternions) * scales[:, None, :]  # columns: the axes, scaled
    flat = jacobian @ rotation @ axes  # [N, 2, 3]
    covariances = flat @ flat.mT + LOW_PASS * torch.eye(2, dtype=means.dtype, device=means.device)
    return centres, covariances, depths


def composite(
    centres: Tensor, conics: Tensor, opacities: Tensor, features: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor]:
    """Blend K Gaussians, front to back, at P pixels.

    Args:
        centres: ``[K, 2]``. conics: ``[K, 3]`` a, b, c of the inverse covariance
            ``[[a, b], [b, c]]``. opacities: ``[K]``. features: ``[K, D]``. pixels: ``[P, 2]``.

    Returns:
        Blended features ``[P, D]`` and alpha ``[P]``, the share of light that was stopped.
    """
    dx, dy = (pixels[:, None] - centres).unbind(-1)  # [P, K]
    a, b, c = conics.unbind(-1)
    exponent = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacities * torch.exp(-exponent)).clamp_max(MAX_ALPHA)
    alpha = torch.where((alpha >= MIN_ALPHA) & (exponent >= 0), alpha, 0)
    passed = torch.cumprod(1 - alpha, 1)  # light left behind each Gaussian
    alpha = torch.where(passed > MIN_TRANSMITTANCE, alpha, 0)  # a finished pixel takes no more
    weights = alpha * torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], 1)
    return weights @ features, weights.sum(1)


@torch.no_grad()
def _half_extents(
    centres: Tensor,
    xx: Tensor,
    yy: Tensor,
    depths: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
) -> Tensor:
    """``[N, 2]`` pixels that each Gaussian reaches sideways and up and down.

    Alpha is MIN_ALPHA on an ellipse, where the exponent is ln(opacity / MIN_ALPHA). 0 where its box
    holds no pixel centre of the image.
    """
    level = torch.log(opacities / MIN_ALPHA).clamp_min(0)
    half = torch.sqrt(2 * level[:, None] * torch.stack([xx, yy], -1))
    size = half.new_tensor([width, height])
    seen = (depths >= NEAR) & (depths <= FAR) & (opacities >= MIN_ALPHA)
    seen &= torch.isfinite(xx * yy)
    first = torch.ceil(centres - half - 0.5).clamp_min(0)
    last = torch.minimum(torch.floor(centres + half - 0.5), size - 1)
    seen &= (first <= last).all(-1)
    return torch.where(seen[:, None], half, 0)


def _rasterize_view(
    centres: Tensor,
    conics: Tensor,
    opacities: Tensor,
    features: Tensor,
    depths: Tensor,
    half: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """Image ``[H, W, D]`` and alpha ``[H, W]``; ``half [N, 2]`` is 0 where nothing is drawn."""
    shown = (half > 0).all(-1).nonzero()[:, 0]
    order = shown[torch.argsort(depths[shown].detach(), stable=True)]
    low, high = (centres - half)[order].detach(), (centres + half)[order].detach()
    starts = [(x, y) for y in range(0, height, TILE) for x in range(0, width, TILE)]
    lists = []
    for x, y in starts:
        reaches = (high[:, 0] > x) & (low[:, 0] < x + TILE)
        lists.append(order[reaches & (high[:, 1] > y) & (low[:, 1] < y + TILE)])

    # One gather for all tiles: its backward is one addition instead of one a tile.
    table = torch.cat([centres, conics, opacities[:, None], features], 1)
    rows = table[torch.cat(lists)].split([len(items) for items in lists])
    step = torch.arange(TILE, device=centres.device)
    strips: list[list[Tensor]] = []
    for (x, y), items in zip(starts, rows, strict=True):
        xs, ys = step[: width - x] + x, step[: height - y] + y
        grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)
        pixels = grid.to(table.dtype) + 0.5
        blended, alpha = composite(items[:, :2], items[:, 2:5], items[:, 5], items[:, 6:], pixels)
        tile = torch.cat([blended, alpha[:, None]], 1).reshape(len(ys), len(xs), -1)
        if x == 0:
            strips.append([])
        strips[-1].append(tile)
    image = torch.cat([torch.cat(strip, 1) for strip in strips])
    return image[..., :-1], image[..., -1]


def rasterize(
    means: Tensor,
    quaternions: Tensor,
    scales: Tensor,
    opacities: Tensor,
    features: Tensor,
    view_matrices: Tensor,
    intrinsics: Tensor,
    width: int,
    height: int,
    backgrounds: Tensor,
    with_depth: bool,
    absgrad: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Engine interface, see ``labelsplat.splats.rendering``.

    Raises:
        LabelsplatError: absolute gradients are asked for.
    """
    if absgrad:
        raise LabelsplatError(
            "the reference engine has no absolute gradients",
            where="render",
            remedy='Use engine="cpu" or "gsplat"',
        )
    images, alphas, radii = [], [], []
    projected = [
        project(means, quaternions, scales, view_matrix, k, width, height)
        for view_matrix, k in zip(view_matrices, intrinsics, strict=True)
    ]
    means2d = torch.stack([centres for centres, _, _ in projected])  # drawn from: has gradients
    for i, (_, covariances, depths) in enumerate(projected):
        centres, background = means2d[i], backgrounds[i]
        xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
        determinants = xx * yy - xy * xy
        half = _half_extents(centres, xx, yy, depths, opacities, width, height)
        half = torch.where((determinants > 0)[:, None], half, 0)
        # Invisible Gaussians may have no inverse: keep their NaN out of the gradients.
        safe = torch.where((half > 0).all(-1), determinants, 1)
        conics = torch.stack([yy, -xy, xx], -1) / safe[:, None]
        drawn = features if features.ndim == 2 else features[i]
        if with_depth:
            drawn = torch.cat([drawn, depths[:, None]], 1)
        if with_depth:
            background = torch.cat([background, background.new_zeros(1)])
        image, alpha = _rasterize_view(
            centres, conics, opacities, drawn, depths, half, width, height
        )
        images.append(image + (1 - alpha)[..., None] * background)
        alphas.append(alpha)
        radii.append(torch.ceil(half.clamp_max(2**30)).to(torch.int32))
    stacked = torch.stack(images)
    depth = stacked[..., -1] if with_depth else None
    stacked = stacked[..., :-1] if with_depth else stacked
    return stacked, torch.stack(alphas), depth, means2d, torch.stack(radii)
