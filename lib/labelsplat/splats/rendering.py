"""One function that draws Gaussians, whichever engine does the work.

An engine is a function ``rasterize(means [N, 3], quaternions [N, 4], scales [N, 3], opacities [N],
features [N, D] or [V, N, D], view_matrices [V, 4, 4], intrinsics [V, 3, 3], width, height,
backgrounds [V, D], with_depth, absgrad)`` that returns images ``[V, H, W, D]``, alphas
``[V, H, W]``, the sum of weight times depth ``[V, H, W]`` or None, centres ``[V, N, 2]`` in pixels,
and radii ``[V, N, 2]``. It is given finite numbers only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.capture.cameras import Camera
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.gaussians import Gaussians, finite_rows

logger = logging.getLogger(__name__)

ENGINES = ("auto", "cpu", "gsplat", "reference")


@dataclass(frozen=True, eq=False)
class Rendering:
    """What V cameras see.

    Attributes:
        features: ``[V, H, W, D]`` blended features over the background.
        alpha: ``[V, H, W]`` 0 (nothing drawn) to 1.
        depth: ``[V, H, W]`` mean depth of what was drawn, weighted as the features are: world
            units along the optical axis, 0 where nothing was drawn; None if not asked for.
        means2d: ``[V, N, 2]`` centres in pixels, part of the graph: call ``retain_grad()`` on it
            for the gradients by which Gaussians are split. Meaningless where ``radii`` is 0. With
            ``absgrad`` the backward pass gives it an attribute ``absgrad`` of its shape: sums over
            pixels of absolute gradients, in which pulls to opposite sides do not cancel out.
        radii: ``[V, N, 2]`` int32, how many pixels each Gaussian reaches sideways and up and down;
            0 for those that a view does not show.
        dropped: number of Gaussians left out because a number of theirs is not finite, or because
            their quaternion is zero.
        engine: name of the engine that drew.
    """

    features: Tensor
    alpha: Tensor
    depth: Tensor | None
    means2d: Tensor
    radii: Tensor
    dropped: int
    engine: str


def render(
    gaussians: Gaussians,
    cameras: Camera | Sequence[Camera] | CameraBatch,
    features: Tensor | None = None,
    *,
    engine: str = "auto",
    background: Tensor | Sequence[float] | None = None,
    with_depth: bool = False,
    absgrad: bool = False,
) -> Rendering:
    """Draw Gaussians into V cameras; differentiable.

    Gradients flow to means, quaternions, log-scales, opacity logits, features and background, and
    to the matrices of a ``CameraBatch`` that requires them.

    Args:
        gaussians: N Gaussians.
        cameras: V cameras of one image size, H x W.
        features: ``[N, D]`` what to draw, any D; ``[V, N, D]`` where it differs from view to view.
            None = the Gaussians' colours, seen from each camera if they have harmonics.
        engine: "auto" (gsplat for Gaussians on CUDA, else cpu), "cpu", "gsplat" or "reference"
            (plain torch, slow).
        background: ``[D]`` or ``[V, D]`` what shows where nothing covers it; None = zeros.
        with_depth: whether to draw the depth as well.
        absgrad: whether the backward pass sets ``means2d.absgrad`` (not by the reference).

    Raises:
        ParameterError: unknown engine, or shapes that do not fit together.
        LabelsplatError: an engine that cannot draw these tensors.
    """
    name = choose_engine(engine, gaussians.means.device)
    means = gaussians.means
    batch = CameraBatch.of(cameras, means.dtype, means.device)
    if features is None:
        features = gaussians.colours
        if gaussians.harmonics is not None:
            features = gaussians.colours_from(batch.centres)
    n, views = len(gaussians), len(batch)
    if features.ndim not in (2, 3) or features.shape[:-1] not in {(n,), (views, n)}:
        raise ParameterError(
            f"shape {tuple(features.shape)}, wanted ({n}, D) or ({views}, {n}, D)",
            where="render: features",
        )
    backgrounds = _backgrounds(background, len(batch), features)
    numbers, dropped = renderable(gaussians, features)
    image, alpha, depth, means2d, radii = _rasterizer(name)(
        *numbers,
        batch.view_matrices,
        batch.intrinsics,
        batch.width,
        batch.height,
        backgrounds,
        with_depth,
        absgrad,
    )
    if depth is not None:
        depth = depth / alpha.clamp_min(1e-10)
    return Rendering(image, alpha, depth, means2d, radii, dropped, name)


def choose_engine(engine: str, device: torch.device) -> str:
    """The engine that "auto" stands for on ``device``; others as they are. Logged once.

    Raises:
        ParameterError: unknown engine.
        LabelsplatError: the engine cannot work on this device.
    """
    if engine not in ENGINES:
        raise ParameterError(
            f"no engine {engine!r}", where="render", remedy=f"Use one of {', '.join(ENGINES)}."
        )
    cuda = device.type == "cuda"
    name = ("gsplat" if cuda else "cpu") if engine == "auto" else engine
    if (name == "gsplat") != cuda and name != "reference":
        other = "cpu" if name == "gsplat" else "gsplat"
        raise LabelsplatError(
            f"the {name} engine cannot draw Gaussians on {device}",
            where="render",
            remedy=f'Use engine="{other}", "reference" or "auto", or move the Gaussians.',
        )
    _announce(name)
    return name


@cache
def _announce(name: str) -> None:
    logger.info("rendering with the %s engine", name)


def _rasterizer(name: str) -> Callable:
    # Imported late: Numba alone takes a second, and gsplat need not be installed.
    if name == "cpu":
        from labelsplat.splats.cpu.engine import rasterize
    elif name == "gsplat":
        from labelsplat.splats.gsplat_engine import rasterize
    else:
        from labelsplat.splats.reference import rasterize
    return rasterize


def _backgrounds(background, views: int, features: Tensor) -> Tensor:
    """``[V, D]`` of the features' type and device."""
    channels = features.shape[-1]
    if background is None:
        return features.new_zeros(views, channels)
    given = torch.as_tensor(background, dtype=features.dtype, device=features.device)
    if tuple(given.shape) not in {(channels,), (views, channels)}:
        raise ParameterError(
            f"shape {tuple(given.shape)}, wanted ({channels},) or ({views}, {channels})",
            where="render: background",
        )
    return given.expand(views, channels)


def renderable(gaussians: Gaussians, features: Tensor) -> tuple[list[Tensor], int]:
    """Means, quaternions, scales, opacities and features, all finite, and how many were not.

    A Gaussian with a number that is not finite, or a quaternion of zeros, becomes one of opacity
    zero, which is not drawn and gets no gradient; the others keep their places.
    """
    raw = (
        gaussians.means,
        gaussians.quaternions,
        gaussians.log_scales,
        gaussians.opacity_logits,
        features,
    )
    scales, dropped = gaussians.scales, 0
    with torch.no_grad():
        inverse_lengths = gaussians.quaternions.square().sum(1).rsqrt()
        checked = (*raw, scales, inverse_lengths)
        # A sum is finite only if all its terms are: cheaper than to look at every row.
        all_good = torch.isfinite(torch.stack([t.sum() for t in checked])).all()
    if not all_good:
        rows = features if features.ndim == 2 else features.movedim(1, 0)
        good = finite_rows(*raw[:4], rows, *checked[5:])
        stand_ins = (0.0, 1.0, 0.0, -200.0)
        raw = (
            *(
                torch.where(good.reshape(-1, *[1] * (t.ndim - 1)), t, value)
                for t, value in zip(raw, stand_ins, strict=False)
            ),
            torch.where(good[:, None], features, 0.0),
        )
        scales, dropped = raw[2].exp(), int((~good).sum())
    return [raw[0], raw[1], scales, raw[3].sigmoid(), raw[4]], dropped
