"""What a fit makes smaller: one view drawn and held against its photo and its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from labelsplat.capture.cameras import Camera
from labelsplat.splats.backgrounds import compose, monomials
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.losses import PhotoTarget, cross_entropy, photometric_loss
from labelsplat.splats.parameters import Parameters
from labelsplat.splats.poses import corrected
from labelsplat.splats.posteriors import label_background
from labelsplat.splats.regularisers import depth_roughness, thinness
from labelsplat.splats.rendering import Rendering, render
from labelsplat.splats.settings import FitSettings

AFFINE_WEIGHT = 0.01
"""Holds the cameras' colour maps to the identity on average: else colours could drift away."""


@dataclass(frozen=True, eq=False)
class Targets:
    """What the fit is held to, as tensors of V views' size.

    Attributes:
        photos: the photos and how much their pixels count.
        foreground: ``[V, H, W]``.
        labels: ``[V, H, W, K]`` or None. label_weights: ``[V, H, W]`` or None.
        monomials: ``[H, W, 6]`` of the backgrounds.
        cameras: as given, not corrected.
        extent: the scene's, world units.
    """

    photos: list[PhotoTarget]
    foreground: Tensor
    labels: Tensor | None
    label_weights: Tensor | None
    monomials: Tensor
    cameras: CameraBatch
    extent: float

    @staticmethod
    def of(
        images: np.ndarray,
        foreground: np.ndarray,
        weights: np.ndarray,
        cameras: list[Camera],
        labels: np.ndarray | None,
        label_weights: np.ndarray | None,
        extent: float,
        where: torch.device,
    ) -> Targets:
        """Targets of arrays: images are uint8, the others floats; see :func:`fit_gaussians`."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(where)

        photos = [
            PhotoTarget(tensor(image) / 255, tensor(weight))
            for image, weight in zip(images, weights, strict=True)
        ]
        return Targets(
            photos,
            tensor(foreground),
            None if labels is None else tensor(labels),
            None if labels is None else tensor(label_weights),
            tensor(monomials(*images.shape[1:3])),
            CameraBatch.of(cameras, torch.float32, where),
            extent,
        )


@dataclass(frozen=True, eq=False)
class Objective:
    """The loss of a fit's parameters.

    Attributes:
        parameters: what is moved.
        targets: what it is held to.
        settings: the weights of the losses.
    """

    parameters: Parameters
    targets: Targets
    settings: FitSettings

    def camera(self, view: int) -> CameraBatch:
        """A view's camera, corrected if the fit may."""
        camera = self.targets.cameras[view]
        twists = self.parameters.views.get("cameras")
        if twists is None:
            return camera
        # Translations in shares of the scene's extent, as the rate is.
        scale = twists.new_tensor([1, 1, 1] + [self.targets.extent] * 3)
        return corrected(camera, twists[view : view + 1] * scale)

    def draw(
        self, view: int, *, absgrad: bool = False, labels: bool = True
    ) -> tuple[Tensor, Rendering, Tensor | None]:
        """The picture ``[H, W, 3]``, what was drawn for it, and label logits ``[H, W, K]``.

        With ``absgrad`` drawing keeps absolute gradients, see :func:`render`; without ``labels``
        none are drawn, and None comes in their place.
        """
        p, settings = self.parameters, self.settings
        camera = self.camera(view)
        colour, label = p.colour_set(), p.label_set(settings.coupling) if labels else None
        options = {"absgrad": absgrad, "with_depth": settings.depth_weight > 0}
        logits = None
        if label is not None and settings.coupling == "joint":
            drawn, logits = self._draw_both(colour, label, camera, options)
        else:
            drawn = render(colour, camera, **options)
            if label is not None:
                behind = label_background(label.label_logits.shape[1], label.means)
                logits = render(label, camera, label.label_logits, background=behind).features[0]
        return self._composed(view, drawn), drawn, logits

    def picture(self, view: int, gaussians: Gaussians) -> Tensor:
        """The picture ``[H, W, 3]`` that a view takes of other Gaussians than the parameters'."""
        return self._composed(view, render(gaussians, self.camera(view)))

    def _composed(self, view: int, drawn: Rendering) -> Tensor:
        """What was drawn for a view before its background, through its camera's colours."""
        views = self.parameters.views
        affines = views.get("affines")
        return compose(
            drawn.features[0],
            drawn.alpha[0],
            self.targets.monomials @ views["backgrounds"][view],
            None if affines is None else affines[view],
        )

    def _draw_both(self, colour, label, camera, options) -> tuple[Rendering, Tensor]:
        """Colours and labels of one set in one pass."""
        colours = colour.colours_from(camera.centres)[0]
        behind = label_background(label.label_logits.shape[1], label.means)
        drawn = render(
            colour,
            camera,
            torch.cat([colours, label.label_logits], 1),
            background=torch.cat([behind.new_zeros(3), behind]),
            **options,
        )
        return replace(drawn, features=drawn.features[..., :3]), drawn.features[0, ..., 3:]

    def loss(
        self, view: int, step: int = 0, *, absgrad: bool = False
    ) -> tuple[Tensor, Tensor, Rendering]:
        """The loss of one view at a step, its picture, and what was drawn for it."""
        t, s, p = self.targets, self.settings, self.parameters
        due = step % s.label_every == 0
        picture, drawn, logits = self.draw(view, absgrad=absgrad, labels=due)
        photo = t.photos[view]
        total = photometric_loss(picture, photo, s.ssim_share)
        if s.squared_weight:
            squared = (photo.weights[..., None] * (picture - photo.image) ** 2).mean()
            total = total + s.squared_weight * squared
        if s.alpha_weight:
            silhouette = (photo.weights * (drawn.alpha[0] - t.foreground[view]).abs()).mean()
            total = total + s.alpha_weight * silhouette
        if logits is not None:
            found = cross_entropy(logits, t.labels[view], t.label_weights[view])
            total = total + s.label_every * s.label_weight * found
        if s.opacity_weight:
            total = total + s.opacity_weight * p.colour["opacities"].sigmoid().mean()
        if s.scale_weight:
            total = total + s.scale_weight * p.colour["scales"].exp().mean() / t.extent
        if s.thinness_weight:
            total = total + s.thinness_weight * thinness(p.colour["scales"])
        if s.depth_weight:
            rough = depth_roughness(drawn.depth[0], drawn.alpha[0], photo.image, t.extent)
            total = total + s.depth_weight * rough
        if "affines" in p.views:
            total = total + AFFINE_WEIGHT * p.views["affines"].mean(0).square().sum()
        return total, picture, drawn

    def psnr(self, view: int, picture: Tensor) -> float:
        """Of a picture against its photo, over the pixels that count."""
        photo = self.targets.photos[view]
        weight = (photo.weights > 0)[..., None]
        error = (weight * (picture - photo.image) ** 2).sum() / (3 * weight.sum()).clamp_min(1)
        return float(-10 * torch.log10(error.clamp_min(1e-12)))
