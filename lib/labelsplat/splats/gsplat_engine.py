"""The engine for CUDA: gsplat's kernels behind the interface of the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from torch import Tensor

from labelsplat.base import LabelsplatError
from labelsplat.splats.constants import FAR, LOW_PASS, NEAR


@cache
def load_gsplat() -> Callable:
    """gsplat's ``rasterization``, once it is sure that its CUDA kernels are there.

    gsplat itself goes on without them, to fail later with "NoneType has no attribute".

    Raises:
        LabelsplatError: gsplat, or its kernels, cannot be loaded.
    """
    try:
        from gsplat import rasterization
        from gsplat.cuda._backend import _C as kernels
    except (ImportError, RuntimeError) as error:  # a failed compilation is a RuntimeError
        raise LabelsplatError(
            f"the gsplat engine cannot be loaded ({error})",
            where="render",
            remedy="Install gsplat 1.5.3, or move the Gaussians to the CPU (device: cpu).",
        ) from error
    if kernels is None:
        raise LabelsplatError(
            "gsplat found no CUDA toolkit to compile its kernels with",
            where="render",
            remedy="Install nvcc of the CUDA version that torch was built for, or a gsplat wheel "
            "with compiled kernels; or move the Gaussians to the CPU (device: cpu).",
        )
    return rasterization


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
        LabelsplatError: tensors that are not on a CUDA device, or gsplat is not installed.
    """
    if means.device.type != "cuda":
        raise LabelsplatError(
            f"the gsplat engine needs CUDA, the Gaussians are on {means.device}",
            where="render",
            remedy='Move them to "cuda", or use engine="cpu".',
        )
    rasterization = load_gsplat()
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
        absgrad=absgrad,
    )
    depth = image[..., -1] if with_depth else None
    image = image[..., :-1] if with_depth else image
    return image, alpha[..., 0], depth, info["means2d"], info["radii"]
