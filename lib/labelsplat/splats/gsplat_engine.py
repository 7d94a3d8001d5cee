"""The engine for CUDA: gsplat's kernels behind the interface of the others."""

from __future__ import annotations

from torch import Tensor

from labelsplat.base import LabelsplatError
from labelsplat.splats.constants import FAR, LOW_PASS, NEAR


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
) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """Engine interface, see ``labelsplat.splats.rendering``.

    Raises:
        LabelsplatError: tensors that are not on a CUDA device, or gsplat is not installed.
    """
    if means.device.type != "cuda":
        raise LabelsplatError(
            f"the gsplat engine needs CUDA, the Gaussians are on {means.device}",
            where="render",
            remedy='Move them to "cuda", or use engine="cpu".',
        )
    try:
        from gsplat import rasterization
    except ImportError as error:
        raise LabelsplatError(
            f"the gsplat engine cannot be loaded ({error})",
            where="render",
            remedy="Install gsplat 1.5.3, or move the Gaussians to the CPU.",
        ) from error
    image, alpha, info = rasterization(
        means,
        quaternions,
        scales,
        opacities,
        features.expand(len(view_matrices), -1, -1),
        view_matrices,
        intrinsics,
        width,
        height,
        near_plane=NEAR,
        far_plane=FAR,
        eps2d=LOW_PASS,
        packed=False,
        backgrounds=backgrounds,
        render_mode="RGB+D" if with_depth else "RGB",
    )
    depth = image[..., -1] if with_depth else None
    image = image[..., :-1] if with_depth else image
    return image, alpha[..., 0], depth, info["means2d"], info["radii"]
