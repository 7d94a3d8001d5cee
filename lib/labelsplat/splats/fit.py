"""Fit coloured Gaussians to a few photos of one head. No truth enters.

The geometry is learned from colour alone: labels of a parser disagree between the views, and
gradients of wrong labels bend the surface that they are to be voted on with. Each view has its own
smooth background (a quadratic polynomial in the pixel's position, a colour), so that captures need
no masks; a weak loss holds alpha to the PREDICTED foreground.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from labelsplat.capture.cameras import Camera, common_focus, scene_extent
from labelsplat.capture.views import NORMAL_EXTENT
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.hull import solid_foreground, surface_colours, visual_hull
from labelsplat.splats.rendering import render

LEARNING_RATES = {
    "means": 3e-4,
    "quaternions": 3e-3,
    "log_scales": 1e-2,
    "opacity_logits": 4e-2,
    "colours": 1e-2,
    "backgrounds": 3e-3,
}
"""Adam's, at the start; they fall exponentially to a tenth."""

MIN_OPACITY, MAX_SCALE = 0.02, 0.9
"""Gaussians more transparent, or wider than this share of the scene extent, are dropped at the end:
they carry no surface, and one of the size of the scene would collect votes from everywhere."""


@dataclass(frozen=True)
class FitSettings:
    """Section ``fit`` of params.yaml.

    Attributes:
        gaussians: number of Gaussians.
        iterations: optimiser steps, one view each.
        alpha_weight: weight of the loss that holds alpha to the predicted foreground.
        hull_resolution: voxels along each side of the visual hull's cube.
        hull_tolerance: share of the views that must see a voxel as foreground.
        close_radius: pixels at 128 px image size; gaps of the foreground up to twice this width
            are closed, holes filled. 0 = off.
        processes: subjects fitted at a time (used by the stage, not here).
    """

    gaussians: int = 12000
    iterations: int = 1500
    alpha_weight: float = 0.15
    hull_resolution: int = 72
    hull_tolerance: float = 0.88
    close_radius: int = 2
    processes: int = 0


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted head.

    Attributes:
        gaussians: those that survived, float32 on the CPU.
        backgrounds: ``[V, 6, 3]`` coefficients of each view's background, see :func:`background`.
        psnr: mean over the views of the fit's own photos, dB.
        dropped: Gaussians left out at the end.
        seconds: wall-clock time.
        history: (step, PSNR of that step's view) now and then.
    """

    gaussians: Gaussians
    backgrounds: np.ndarray
    psnr: float
    dropped: int
    seconds: float
    history: list[tuple[int, float]] = field(default_factory=list)


def monomials(height: int, width: int) -> np.ndarray:
    """``[H, W, 6]``: 1, x, y, x^2, xy, y^2 with x and y from -1 to 1 over the image."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)


def background(coefficients: np.ndarray, height: int, width: int) -> np.ndarray:
    """``[H, W, 3]`` RGB of one view's background from its coefficients ``[6, 3]``."""
    return monomials(height, width) @ coefficients


def fit_gaussians(
    images: np.ndarray,
    valid: np.ndarray,
    foreground: np.ndarray,
    cameras: list[Camera],
    settings: FitSettings,
    *,
    seed: int = 0,
    device: str = "auto",
    weights: np.ndarray | None = None,
    progress: bool = True,
    description: str = "fit",
) -> Fit:
    """Fit Gaussians to the photos of one head.

    Args:
        images: ``[V, H, W, 3]`` uint8.
        valid: ``[V, H, W]`` bool; pixels beyond a photo's edge are False and cost nothing.
        foreground: ``[V, H, W]`` predicted probability that a pixel belongs to the person.
        cameras: one a view, of the images' size.
        settings: see :class:`FitSettings`.
        seed: of the start and of the order of the views.
        device: "auto", "cpu" or "cuda".
        weights: ``[V, H, W]`` how much each pixel's colour counts, e.g. less where something
            covers the face; None = 1.
        progress: show a bar.
        description: what the bar says.

    Raises:
        LabelsplatError: the foregrounds have no common hull.
        ValueError: arrays that do not fit each other.
    """
    start = time.perf_counter()
    shape = images.shape[:3]
    if valid.shape != shape or foreground.shape != shape or len(cameras) != shape[0]:
        raise ValueError(
            f"images {images.shape}, valid {valid.shape}, foreground {foreground.shape} and "
            f"{len(cameras)} cameras do not fit each other"
        )
    where = _device(device)
    radius = round(settings.close_radius * max(shape[1:]) / 128)
    solid = solid_foreground(foreground, radius)
    rng = np.random.default_rng(seed)
    extent = scene_extent(cameras, common_focus(cameras))
    leaves = _start(images, valid, solid, cameras, settings, rng)
    leaves = {name: t.to(where).requires_grad_() for name, t in leaves.items()}
    rates = {**LEARNING_RATES, "means": LEARNING_RATES["means"] * extent / NORMAL_EXTENT}
    optimiser = torch.optim.Adam(
        [{"params": [leaf], "lr": rates[name]} for name, leaf in leaves.items()],
        eps=1e-15,
        fused=True,
    )
    pixel_weights = valid.astype(np.float32) * (1 if weights is None else weights)
    targets = _Targets(
        torch.from_numpy(images).to(where).float() / 255,
        torch.from_numpy(solid).to(where),
        torch.from_numpy(pixel_weights.astype(np.float32)).to(where),
        torch.from_numpy(monomials(*shape[1:]).astype(np.float32)).to(where),
        CameraBatch.of(cameras, torch.float32, where),
    )
    history = _optimise(
        optimiser, leaves, targets, settings, list(rates.values()), rng, progress, description
    )
    with torch.no_grad():
        fitted = _gaussians(leaves)
        errors = [float(targets.squared_error(leaves, fitted, v)) for v in range(len(cameras))]
        good = (fitted.opacities > MIN_OPACITY) & fitted.finite()
        good &= fitted.scales.amax(1) < MAX_SCALE * extent
    return Fit(
        fitted.select(good).detach().to("cpu"),
        leaves["backgrounds"].detach().cpu().numpy().astype(np.float64),
        psnr=float(np.mean([-10 * np.log10(max(e, 1e-12)) for e in errors])),
        dropped=int((~good).sum()),
        seconds=time.perf_counter() - start,
        history=history,
    )


@dataclass(frozen=True, eq=False)
class _Targets:
    """What the fit is held to, as tensors of the views' size."""

    images: Tensor
    foreground: Tensor
    weights: Tensor
    monomials: Tensor
    cameras: CameraBatch

    def draw(self, leaves: dict[str, Tensor], gaussians: Gaussians, view: int):
        """Residual ``[H, W, 3]`` of the colours, and alpha ``[H, W]``."""
        drawn = render(gaussians, self.cameras[view])
        alpha = drawn.alpha[0]
        behind = self.monomials @ leaves["backgrounds"][view]
        return drawn.features[0] + (1 - alpha)[..., None] * behind - self.images[view], alpha

    def squared_error(self, leaves: dict[str, Tensor], gaussians: Gaussians, view: int) -> Tensor:
        """Mean squared error of one view over its valid pixels."""
        residual, _ = self.draw(leaves, gaussians, view)
        weight = (self.weights[view] > 0).float()[..., None]
        return (weight * residual**2).sum() / (3 * weight.sum()).clamp_min(1)


def _optimise(optimiser, leaves, targets, settings, rates, rng, progress, description):
    from tqdm.auto import tqdm

    views, steps = len(targets.images), settings.iterations
    # Every view once before any twice.
    order = np.concatenate([rng.permutation(views) for _ in range(steps // views + 1)])[:steps]
    history = []
    bar = tqdm(order, description, disable=not progress)
    for step, view in enumerate(bar):
        decay = 0.1 ** (step / steps)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * decay
        residual, alpha = targets.draw(leaves, _gaussians(leaves), int(view))
        weight = targets.weights[view]
        colour = (weight[..., None] * (residual.abs() + 2 * residual**2)).mean()
        silhouette = (weight * (alpha - targets.foreground[view]).abs()).mean()
        loss = colour + settings.alpha_weight * silhouette
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0 or step == steps - 1:
            with torch.no_grad():
                error = (weight[..., None] * residual**2).sum() / (3 * weight.sum()).clamp_min(1)
                history.append((step, float(-10 * torch.log10(error + 1e-12))))
            bar.set_postfix_str(f"{history[-1][1]:.1f} dB", refresh=False)
    return history


def _gaussians(leaves: dict[str, Tensor]) -> Gaussians:
    return Gaussians(**{name: leaf for name, leaf in leaves.items() if name != "backgrounds"})


def _start(images, valid, foreground, cameras, settings, rng) -> dict[str, Tensor]:
    """Gaussians scattered over the hull's surface, half transparent, and fitted backgrounds."""
    surface, side = visual_hull(
        foreground,
        valid,
        cameras,
        resolution=settings.hull_resolution,
        tolerance=settings.hull_tolerance,
    )
    n = settings.gaussians
    means = surface[rng.integers(len(surface), size=n)] + rng.uniform(-0.5, 0.5, (n, 3)) * side
    # The area of the surface, in voxel faces, shared by n discs.
    spacing = side * np.sqrt(len(surface) / n)
    basis = monomials(*images.shape[1:3]).reshape(-1, 6)
    backgrounds = np.zeros((len(images), 6, 3))
    for view, image in enumerate(images):
        weight = np.clip(1 - foreground[view], 0.01, 1) * valid[view]
        weighted = basis * weight.reshape(-1, 1)
        normal = weighted.T @ basis + 1e-3 * np.eye(6)
        backgrounds[view] = np.linalg.solve(normal, weighted.T @ (image.reshape(-1, 3) / 255))
    arrays = {
        "means": means,
        "quaternions": rng.standard_normal((n, 4)),
        "log_scales": np.full((n, 3), np.log(0.6 * spacing)),
        "opacity_logits": np.zeros(n),
        "colours": surface_colours(means, images, valid, cameras),
        "backgrounds": backgrounds,
    }
    return {name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()}


def _device(device: str) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
