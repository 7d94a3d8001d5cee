"""Small rigid corrections of cameras, as part of a fit.

A correction is a twist ``[6]``: a rotation vector and a translation, applied to what the camera
sees (after world-to-camera): ``x' = R(w) x + t``. Real captures come with poses that are some
tenths of a degree off; pictures drawn with them are blurred, and labels of thin parts with them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from labelsplat.capture.cameras import Camera
from labelsplat.splats.camera_batch import CameraBatch


def rigid_motions(twists: Tensor) -> Tensor:
    """``[V, 4, 4]`` motions of twists ``[V, 6]``: rotation vectors (radians), then translations.

    The rotation is Rodrigues' formula, smooth at zero; the translation is applied as it is (a
    product of SO(3) and R^3, not the exponential of SE(3): as good a chart for small steps).
    """
    w, t = twists[:, :3], twists[:, 3:]
    zero = torch.zeros_like(w[:, 0])
    rows = [zero, -w[:, 2], w[:, 1], w[:, 2], zero, -w[:, 0], -w[:, 1], w[:, 0], zero]
    skew = torch.stack(rows, -1).reshape(-1, 3, 3)
    square = (w * w).sum(-1)
    # sin(a) / a and (1 - cos(a)) / a^2 by series near 0, where their quotients have no gradient.
    small = square < 1e-6
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 1 - square / 6, angle.sin() / angle)[:, None, None]
    second = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)[:, None, None]
    rotation = torch.eye(3, dtype=w.dtype, device=w.device) + first * skew + second * skew @ skew
    upper = torch.cat([rotation, t[:, :, None]], -1)
    lower = upper.new_tensor([0, 0, 0, 1]).expand(len(upper), 1, 4)
    return torch.cat([upper, lower], 1)


def corrected(cameras: CameraBatch, twists: Tensor) -> CameraBatch:
    """The cameras after corrections ``[V, 6]``; differentiable by these."""
    return CameraBatch(
        rigid_motions(twists) @ cameras.view_matrices,
        cameras.intrinsics,
        cameras.width,
        cameras.height,
    )


def corrected_cameras(cameras: list[Camera], twists: np.ndarray) -> list[Camera]:
    """As :func:`corrected`, for cameras outside of a fit: ``twists [V, 6]`` float64."""
    motions = rigid_motions(torch.from_numpy(np.asarray(twists, np.float64))).numpy()
    return [
        replace(
            c, rotation=m[:3, :3] @ c.rotation, translation=m[:3, :3] @ c.translation + m[:3, 3]
        )
        for c, m in zip(cameras, motions, strict=True)
    ]
