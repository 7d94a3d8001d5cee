"""The Numba renderer as differentiable torch functions.

Two functions, as in gsplat: ``Project`` (Gaussians to the image planes) and ``Blend`` (drawing).
Between them lie ``means2d``, an ordinary tensor of the graph: ``retain_grad()`` on it gives the
screen-space gradients that densification goes by.

Threads: ``numba.set_num_threads`` sets how many are used; results do not depend on it. Numba's
"workqueue" threading layer must not be entered by two Python threads at once: use processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labelsplat.base import LabelsplatError
from labelsplat.splats.cpu import buffers
from labelsplat.splats.cpu.binning import TileLists, tile_lists
from labelsplat.splats.cpu.blending import blend
from labelsplat.splats.cpu.blending_gradients import GEOMETRY, blend_gradients, gather_gradients
from labelsplat.splats.cpu.projection import CHUNK, RECORD, pack_camera, project
from labelsplat.splats.cpu.projection_gradients import project_gradients
from labelsplat.splats.cpu.vectors import Lanes, chosen_lanes


@dataclass(frozen=True, eq=False)
class ProjectedView:
    """The Gaussians in one view, projected, sorted and binned: all that drawing needs.

    Attributes:
        lanes: vector width that the kernels are compiled for.
        width, height: of the image in pixels.
        records: ``[N, RECORD]``, see ``projection``.
        boxes: ``[N, 4]`` int32 tile boxes, and radii: ``[N, 2]`` int32, see ``project``.
        lists: the Gaussians of each tile.
    """

    lanes: Lanes
    width: int
    height: int
    records: np.ndarray
    boxes: np.ndarray
    radii: np.ndarray
    lists: TileLists

    def draw(
        self,
        features: np.ndarray,
        background: np.ndarray,
        image: np.ndarray | None = None,
        alpha: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image ``[H, W, D]`` and alpha ``[H, W]`` of ``features [N, D]``, written where given."""
        kind = self.records.dtype
        if image is None:
            image = buffers.empty((self.height, self.width, features.shape[1]), kind)
            alpha = buffers.empty((self.height, self.width), kind)
        lists = self.lists
        blend(
            self.lanes, lists.starts, lists.items, lists.turns, self.records, features, background,
            image, alpha,
        )  # fmt: skip
        return image, alpha

    def gradients(
        self,
        features: np.ndarray,
        background: np.ndarray,
        by_image: np.ndarray,
        by_alpha: np.ndarray,
        d_opacities: np.ndarray,
        d_features: np.ndarray,
        geometry: bool = True,
        pulls: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradients by means2d ``[N, 2]`` and conics ``[N, 3]``; adds to ``d_`` arrays.

        ``pulls [N, 2]``, if given, is set to the sums over pixels of absolute gradients by means2d.
        """
        n, kind = len(self.records), self.records.dtype
        channels = (by_image.shape[2] + 3) // 4 * 4
        stride = channels + (GEOMETRY if geometry else 0)
        lists = self.lists
        rows = buffers.empty(len(lists.items) * stride, kind)
        blend_gradients(
            self.lanes, lists.starts, lists.items, lists.turns, self.records, features, background,
            by_image, by_alpha, geometry, pulls is not None, rows,
        )  # fmt: skip
        d_means2d = buffers.zeros((n if geometry else 0, 2), kind)
        d_conics = buffers.zeros((n if geometry else 0, 3), kind)
        gather_gradients(
            lists.order, lists.gather_starts, lists.gather, rows, geometry, d_means2d, d_conics,
            d_opacities, d_features, buffers.zeros((0, 2), kind) if pulls is None else pulls,
        )  # fmt: skip
        return d_means2d, d_conics

    def transpose(self, image: np.ndarray) -> np.ndarray:
        """``[N, D]``: each Gaussian's sum of blending weight times pixel of ``image [H, W, D]``."""
        kind, channels = self.records.dtype, image.shape[2]
        sums = buffers.zeros((len(self.records), channels), kind)
        unused = buffers.zeros((0, channels), kind)
        alpha = buffers.zeros((self.height, self.width), kind)
        background = buffers.zeros(channels, kind)
        self.gradients(
            unused, background, image, alpha, buffers.zeros((0, 1), kind), sums, geometry=False
        )
        return sums


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


class Project(torch.autograd.Function):
    """Means, quaternions, scales, opacities, cameras to means2d, conics and depths of V views.

    ``views`` (a list) is filled with one ``ProjectedView`` a camera.
    """

    @staticmethod
    def forward(
        ctx, means, quaternions, scales, opacities, view_matrices, intrinsics, width, height, views
    ):
        lanes = chosen_lanes()
        m, q, s = _array(means), _array(quaternions), _array(scales)
        o = _array(opacities).reshape(-1, 1)
        kind, n, v = m.dtype, len(m), len(view_matrices)
        with np.errstate(divide="ignore"):
            levels = np.log(o * kind.type(255))
        cameras = [
            pack_camera(a, b)
            for a, b in zip(_array(view_matrices), _array(intrinsics), strict=True)
        ]
        means2d, conics = buffers.empty((v, n, 2), kind), buffers.empty((v, n, 3), kind)
        depths = buffers.empty((v, n, 1), kind)
        for i, camera in enumerate(cameras):
            records, boxes = buffers.empty((n, RECORD), kind), buffers.empty((n, 4), np.int32)
            radii = buffers.empty((n, 2), np.int32)
            project(
                lanes, m, q, s, o, levels, camera, width, height,
                means2d[i], conics[i], depths[i], records, boxes, radii,
            )  # fmt: skip
            lists = tile_lists(depths[i], boxes, width, height)
            views.append(ProjectedView(lanes, width, height, records, boxes, radii, lists))
        ctx.save_for_backward(means, quaternions, scales)
        ctx.saved = (cameras, conics, list(views))
        return tuple(map(torch.from_numpy, (means2d, conics, depths)))

    @staticmethod
    def backward(ctx, d_means2d, d_conics, d_depths):
        m, q, s = map(_array, ctx.saved_tensors)
        cameras, conics, views = ctx.saved
        by_camera = any(ctx.needs_input_grad[4:6])
        d_means, d_quaternions, d_scales = (buffers.zeros(a.shape, a.dtype) for a in (m, q, s))
        d_means2d, d_conics, d_depths = map(_array, (d_means2d, d_conics, d_depths))
        d_view, d_intrinsics = np.zeros((len(views), 4, 4)), np.zeros((len(views), 3, 3))
        for i, view in enumerate(views):
            d_camera = buffers.zeros((-(-len(m) // CHUNK) if by_camera else 0, 16), m.dtype)
            project_gradients(
                view.lanes, m, q, s, cameras[i], view.width, view.height, conics[i], view.boxes,
                d_means2d[i], d_conics[i], d_depths[i], d_means, d_quaternions, d_scales,
                by_camera, d_camera,
            )  # fmt: skip
            total = d_camera.sum(0, dtype=np.float64)
            d_view[i, :3, :3], d_view[i, :3, 3] = total[:9].reshape(3, 3), total[9:12]
            d_intrinsics[i, [0, 1, 0, 1], [0, 1, 2, 2]] = total[12:]
        by_gaussians = map(torch.from_numpy, (d_means, d_quaternions, d_scales))
        # The conics already carry the scales; opacities only decide what is drawn at all.
        cameras = (torch.from_numpy(g.astype(m.dtype)) for g in (d_view, d_intrinsics))
        return (*by_gaussians, None, *(cameras if by_camera else (None, None)), None, None, None)


class Blend(torch.autograd.Function):
    """Means2d, conics, opacities, features and backgrounds to images and alphas of V views."""

    @staticmethod
    def forward(ctx, means2d, conics, opacities, features, backgrounds, views, absgrad_of):
        """features ``[N, D]`` or ``[V, N, D]``, backgrounds ``[V, D]``.

        ``absgrad_of``: a list that holds the tensor means2d, which then gets an attribute
        ``absgrad`` in the backward pass, as with gsplat; or an empty list.
        """
        f, b = _array(features), _array(backgrounds)
        kind, (height, width) = f.dtype, (views[0].height, views[0].width)
        images = buffers.empty((len(views), height, width, f.shape[-1]), kind)
        alphas = buffers.empty((len(views), height, width), kind)
        for i, view in enumerate(views):
            view.draw(f if f.ndim == 2 else f[i], b[i], images[i], alphas[i])
        out = torch.from_numpy(images), torch.from_numpy(alphas)
        # Through torch, which then notices when features are changed before the backward pass.
        ctx.save_for_backward(features, backgrounds, out[1])
        ctx.views, ctx.opacities, ctx.absgrad_of = views, opacities.shape, absgrad_of
        ctx.set_materialize_grads(False)
        return out

    @staticmethod
    def backward(ctx, d_images, d_alphas):
        features, backgrounds, alphas = ctx.saved_tensors
        f, b, views = _array(features), _array(backgrounds), ctx.views
        kind, n, v = f.dtype, len(views[0].records), len(views)
        shape = (v, views[0].height, views[0].width)
        d_images = (
            buffers.zeros((*shape, f.shape[-1]), kind) if d_images is None else _array(d_images)
        )
        d_alphas = buffers.zeros(shape, kind) if d_alphas is None else _array(d_alphas)
        geometry = any(ctx.needs_input_grad[:3])
        d_means2d = buffers.zeros((v, n, 2), kind) if geometry else None
        d_conics = buffers.zeros((v, n, 3), kind) if geometry else None
        d_opacities = buffers.zeros((n if geometry else 0, 1), kind)
        d_features = buffers.zeros(f.shape, kind)
        pulls = buffers.zeros((v, n, 2), kind) if geometry and ctx.absgrad_of else None
        for i, view in enumerate(views):
            of_view = (f, d_features) if f.ndim == 2 else (f[i], d_features[i])
            gradients = view.gradients(
                of_view[0], b[i], d_images[i], d_alphas[i], d_opacities, of_view[1], geometry,
                None if pulls is None else pulls[i],
            )  # fmt: skip
            if geometry:
                d_means2d[i], d_conics[i] = gradients
        if pulls is not None:
            ctx.absgrad_of[0].absgrad = torch.from_numpy(pulls)
        d_backgrounds = None
        if ctx.needs_input_grad[4]:
            light = 1 - _array(alphas)
            d_backgrounds = torch.from_numpy(np.einsum("vhw,vhwd->vd", light, d_images))
        out = [None if g is None else torch.from_numpy(g) for g in (d_means2d, d_conics)]
        d_opacities = torch.from_numpy(d_opacities).reshape(ctx.opacities) if geometry else None
        return (*out, d_opacities, torch.from_numpy(d_features), d_backgrounds, None, None)


def check_tensors(*tensors: Tensor) -> None:
    """Refuse what the kernels cannot read.

    Raises:
        LabelsplatError: a tensor is not on the CPU, or not float32 or float64 like the others.
    """
    kinds = {(t.device.type, t.dtype) for t in tensors}
    if len(kinds) != 1 or kinds & {("cpu", torch.float32), ("cpu", torch.float64)} != kinds:
        found = ", ".join(sorted(f"{device} {dtype}" for device, dtype in kinds))
        raise LabelsplatError(
            f"the cpu engine got tensors of {found}",
            where="render",
            remedy="Pass CPU tensors of one type, float32 or float64.",
        )


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
        LabelsplatError: tensors that are not on the CPU or not of one floating type.
    """
    check_tensors(
        means, quaternions, scales, opacities, features, view_matrices, intrinsics, backgrounds
    )
    views: list[ProjectedView] = []
    means2d, conics, depths = Project.apply(
        means, quaternions, scales, opacities, view_matrices, intrinsics, width, height, views
    )
    if with_depth:
        features = torch.cat([features.expand(len(views), -1, -1), depths], -1)
        backgrounds = torch.cat([backgrounds, backgrounds.new_zeros(len(views), 1)], -1)
    absgrad_of = [means2d] if absgrad else []
    images, alphas = Blend.apply(
        means2d, conics, opacities, features, backgrounds, views, absgrad_of
    )
    depth = images[..., -1] if with_depth else None
    images = images[..., :-1] if with_depth else images
    radii = torch.from_numpy(np.stack([view.radii for view in views]))
    return images, alphas, depth, means2d, radii
