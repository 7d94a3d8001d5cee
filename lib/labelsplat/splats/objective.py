"""What a fit makes smaller: one view drawn and held against its photo and its labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from labelsplat.capture.cameras import Camera
from labelsplat.splats.backgrounds import compose, monomials
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.losses import (
    ColourShares,
    PhotoTarget,
    composed_loss,
    cross_entropy,
    photometric_loss,
)
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
    ) -> tuple[Rendering, Tensor | None]:
        """Colours over black, drawn for a view, and label logits ``[H, W, K]``.

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
                alone = render(label, camera, label.label_logits, background=behind)
                logits = alone.features.squeeze(0)
        return drawn, logits

    def picture(self, view: int, drawn: Rendering) -> Tensor:
        """``[H, W, 3]``: what was drawn for a view, before its background, in its own colours."""
        affines = self.parameters.views.get("affines")
        return compose(
            drawn.features.squeeze(0),
            drawn.alpha.squeeze(0),
            self._behind(view),
            None if affines is None else affines[view],
        )

    def _behind(self, view: int) -> Tensor:
        """The background ``[H, W, 3]`` of a view."""
        return self.targets.monomials @ self.parameters.views["backgrounds"][view]

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
        # Split, not sliced: each slice's gradient would be a picture of zeros with the slice in it.
        seen, logits = drawn.features.split([3, len(behind)], -1)
        return replace(drawn, features=seen), logits.squeeze(0)

    def loss(self, view: int, step: int = 0, *, absgrad: bool = False) -> tuple[Tensor, Rendering]:
        """The loss of one view at a step, and what was drawn for it."""
        t, s, p = self.targets, self.settings, self.parameters
        due = step % s.label_every == 0
        drawn, logits = self.draw(view, absgrad=absgrad, labels=due)
        total = self._colour_loss(view, drawn)
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
            photo = t.photos[view].image
            rough = depth_roughness(drawn.depth[0], drawn.alpha[0], photo, t.extent)
            total = total + s.depth_weight * rough
        if "affines" in p.views:
            total = total + AFFINE_WEIGHT * p.views["affines"].mean(0).square().sum()
        return total, drawn

    def _colour_loss(self, view: int, drawn: Rendering) -> Tensor:
        """Of the colours and the silhouette of what was drawn for a view."""
        s, photo, foreground = self.settings, self.targets.photos[view], self.targets.foreground
        shares = ColourShares(1 - s.ssim_share, s.squared_weight, s.alpha_weight)
        alpha = drawn.alpha.squeeze(0)
        if not s.ssim_share and "affines" not in self.parameters.views:
            colours, behind = drawn.features.squeeze(0), self._behind(view)
            return composed_loss(colours, alpha, behind, photo, foreground[view], shares)
        picture = self.picture(view, drawn)
        # Nothing is behind a whole picture; its absolute differences are in the photometric loss.
        others = replace(shares, absolute=0.0)
        nothing = torch.zeros_like(picture)
        return photometric_loss(picture, photo, s.ssim_share) + composed_loss(
            picture, alpha, nothing, photo, foreground[view], others
        )

    @torch.no_grad()
    def psnr(self, view: int, drawn: Rendering) -> float:
        """Of what was drawn for a view against its photo, over the pixels that count."""
        photo, picture = self.targets.photos[view], self.picture(view, drawn)
        weight = (photo.weights > 0)[..., None]
        error = (weight * (picture - photo.image) ** 2).sum() / (3 * weight.sum()).clamp_min(1)
        return float(-10 * torch.log10(error.clamp_min(1e-12)))
