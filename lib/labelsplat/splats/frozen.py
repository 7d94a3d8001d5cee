"""Blending with the Gaussians held still: a sparse linear map, and its transpose.

With geometry and opacities frozen, an image is ``W features``, where ``W [pixels, N]`` holds the
blending weights; ``splat_back`` multiplies by ``W^T``. With both, features can be solved for (by
voting, by iterating least squares) instead of being descended to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import Camera
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.rendering import choose_engine, render, renderable


class FrozenView(Protocol):
    """One camera's blending weights; any number of channels D, float32."""

    def blend(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features ``[N, D]`` to an image ``[H, W, D]`` over zeros, and alpha ``[H, W]``."""

    def splat_back(self, image: np.ndarray) -> np.ndarray:
        """An image ``[H, W, D]`` to ``[N, D]``: each Gaussian's sum of weight times pixel."""


def freeze(
    gaussians: Gaussians,
    cameras: Camera | Sequence[Camera] | CameraBatch,
    *,
    engine: str = "auto",
) -> list[FrozenView]:
    """One ``FrozenView`` a camera; as many arrays' rows as there are Gaussians.

    Gaussians with a number that is not finite have no weight anywhere.

    Args:
        gaussians: N Gaussians, used as they are now.
        cameras: cameras of one image size.
        engine: as in ``render``.

    Raises:
        ParameterError, LabelsplatError: as ``render``.
    """
    name = choose_engine(engine, gaussians.means.device)
    frozen = gaussians.detach().to(torch.float32)
    batch = CameraBatch.of(cameras, torch.float32, frozen.means.device)
    if name != "cpu":
        return [_TorchView(frozen, batch[i], name) for i in range(len(batch))]
    return _freeze_on_cpu(frozen, batch)


def _freeze_on_cpu(gaussians: Gaussians, batch: CameraBatch) -> list[FrozenView]:
    from labelsplat.splats.cpu.engine import Project  # late: Numba takes a second

    numbers, _ = renderable(gaussians, gaussians.colours)
    views: list = []
    Project.apply(
        *numbers[:4], batch.view_matrices, batch.intrinsics, batch.width, batch.height, views
    )
    return [_CpuView(view) for view in views]


def _check(array: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """``array`` as contiguous float32 ``[*shape, D]``."""
    array = np.ascontiguousarray(array, np.float32)
    if array.ndim != len(shape) + 1 or array.shape[:-1] != shape:
        wanted = ", ".join(map(str, shape))
        raise ParameterError(f"shape {array.shape}, wanted ({wanted}, D)", where=name)
    return array


class _CpuView:
    def __init__(self, view):
        self._view = view

    def blend(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = _check(features, (len(self._view.records),), "FrozenView.blend")
        return self._view.draw(features, np.zeros(features.shape[1], np.float32))

    def splat_back(self, image: np.ndarray) -> np.ndarray:
        view = self._view
        image = _check(image, (view.height, view.width), "FrozenView.splat_back")
        return view.transpose(image)


class _TorchView:
    """Any engine: the transpose is the gradient of blending by the features."""

    def __init__(self, gaussians: Gaussians, camera: CameraBatch, engine: str):
        self._gaussians, self._camera, self._engine = gaussians, camera, engine

    def _draw(self, features: torch.Tensor):
        return render(self._gaussians, self._camera, features, engine=self._engine)

    def blend(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = _check(features, (len(self._gaussians),), "FrozenView.blend")
        with torch.no_grad():
            drawn = self._draw(torch.from_numpy(features).to(self._gaussians.means.device))
        return drawn.features[0].cpu().numpy(), drawn.alpha[0].cpu().numpy()

    def splat_back(self, image: np.ndarray) -> np.ndarray:
        shape = (self._camera.height, self._camera.width)
        image = _check(image, shape, "FrozenView.splat_back")
        device = self._gaussians.means.device
        features = torch.zeros(len(self._gaussians), image.shape[2], device=device)
        drawn = self._draw(features.requires_grad_()).features[0]
        (gradient,) = torch.autograd.grad(drawn, features, torch.from_numpy(image).to(device))
        return gradient.cpu().numpy()
