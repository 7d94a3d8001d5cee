"""Cameras as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import Camera


@dataclass(frozen=True, eq=False)
class CameraBatch:
    """V pinhole cameras of one image size, OpenCV axes, pixel centres at +0.5.

    Attributes:
        view_matrices: ``[V, 4, 4]`` world to camera.
        intrinsics: ``[V, 3, 3]`` in pixels, without skew.
        width: image width in pixels.
        height: image height in pixels.
    """

    view_matrices: Tensor
    intrinsics: Tensor
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.view_matrices)

    @property
    def centres(self) -> Tensor:
        """``[V, 3]`` where the cameras stand, in the world."""
        rotations, translations = self.view_matrices[:, :3, :3], self.view_matrices[:, :3, 3]
        return -(rotations.mT @ translations[..., None])[..., 0]

    def __getitem__(self, views: int | slice | Sequence[int] | Tensor) -> CameraBatch:
        """The cameras of an index, a slice or a list of indices, always as a batch."""
        picked = [views] if isinstance(views, int) else views
        return CameraBatch(
            self.view_matrices[picked], self.intrinsics[picked], self.width, self.height
        )

    def to(self, *args, **kwargs) -> CameraBatch:
        """As ``torch.Tensor.to``: another device or type."""
        matrices = (m.to(*args, **kwargs) for m in (self.view_matrices, self.intrinsics))
        return CameraBatch(*matrices, self.width, self.height)

    @staticmethod
    def of(
        cameras: Camera | Sequence[Camera] | CameraBatch,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> CameraBatch:
        """Cameras as a batch of this type and device.

        Raises:
            ParameterError: no camera, different image sizes, or pixels that are not rectangles.
        """
        if isinstance(cameras, CameraBatch):
            return cameras.to(device, dtype)
        cameras = [cameras] if isinstance(cameras, Camera) else list(cameras)
        sizes = {(c.width, c.height) for c in cameras}
        if len(sizes) != 1:
            raise ParameterError(
                f"image sizes {sorted(sizes)}",
                where="cameras",
                remedy="Render cameras of one size at a time, at least one.",
            )
        intrinsics = np.stack([c.intrinsics for c in cameras])
        if (np.abs(intrinsics[:, 0, 1]) > 1e-6 * intrinsics[:, 0, 0]).any():
            raise ParameterError(
                f"skew {intrinsics[:, 0, 1].tolist()}",
                where="cameras",
                remedy="The renderer draws cameras without skew: set it to 0.",
            )
        views = np.stack([c.view_matrix for c in cameras])
        return CameraBatch(
            torch.as_tensor(views, dtype=dtype, device=device),
            torch.as_tensor(intrinsics, dtype=dtype, device=device),
            *sizes.pop(),
        )
