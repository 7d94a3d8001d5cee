"""Lift soft label maps onto frozen Gaussians in closed form, sharpen, and render them back.

With geometry and opacities held still, a label image is linear in the Gaussians' labels: pixel i
shows ``sum_g w_ig f_g`` with the blending weights ``w`` (FlashSplat, arXiv 2409.08270, and LUDVIG,
2410.14462, lift that way). A parser's errors are SYSTEMATIC in pose, not random, so a vote in which
all views count the same is worse than no refinement. Three things make the vote work:

* a weight: views from the front, where the parser was trained, and confident pixels count more;
* a gate: a view votes only for Gaussians of which it sees enough, or the weak tail of the frontal
  views' blending weights would paint the back of the head with the face;
* sharpening: a few steps of expectation-maximisation for the mixture
  ``p(class | pixel i) = sum_g w_ig f_g(class)``, since soft votes erase small classes.

Letters: V views, H x W pixels, K classes (the first is the background), N Gaussians.
"""

from __future__ import annotations

import numpy as np

from labelsplat.capture import Prepared
from labelsplat.capture.cameras import Camera
from labelsplat.labels import IGNORE
from labelsplat.splats import Gaussians, freeze

TINY = np.float32(1e-7)
"""Added to each class of each Gaussian: Gaussians that nobody sees get a flat distribution."""

OPAQUE = 0.5
"""Alpha above which the fitted head covers a pixel."""


class Lift:
    """The views of one head with its Gaussians frozen.

    Args:
        gaussians: N Gaussians.
        cameras: V cameras of one image size.
        gate: a view may vote for a Gaussian only if it sees at least this share of the blending
            mass that the best view sees. 0 = all views vote for all.
    """

    def __init__(self, gaussians: Gaussians, cameras: list[Camera], gate: float = 0.0):
        self.views = freeze(gaussians, cameras)
        shape = (cameras[0].height, cameras[0].width, 1)
        one = np.ones((len(gaussians), 1), np.float32)
        self.alphas = np.stack([view.blend(one)[1] for view in self.views])
        mass = np.stack([v.splat_back(np.ones(shape, np.float32))[:, 0] for v in self.views])
        best = np.maximum(mass.max(0), 1e-12)
        self.visible = (mass >= gate * best).astype(np.float32)[..., None]

    def targets(self, probabilities: np.ndarray, damping: float) -> np.ndarray:
        """``[V, H, W, K]``: background votes scaled by ``damping`` where the head is opaque."""
        out = np.array(probabilities, np.float32)
        out[..., 0] *= np.where(self.alphas > OPAQUE, np.float32(damping), 1)
        return out

    def vote(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """``[N, K]`` that sum to 1: blending weight x weight x target, over views and pixels.

        Args:
            targets: ``[V, H, W, K]``, need not sum to 1.
            weights: ``[V, H, W]``, 0 where a pixel has no vote.
        """
        total = TINY
        for view, seen, q, w in zip(self.views, self.visible, targets, weights, strict=True):
            total = total + seen * view.splat_back(q * w[..., None])
        return total / total.sum(1, keepdims=True)

    def sharpen(
        self, features: np.ndarray, targets: np.ndarray, weights: np.ndarray, epochs: int
    ) -> np.ndarray:
        """``[N, K]`` after ``epochs`` of EM: ``f <- f x sum(w target / rendered)``, normalised.

        The uncovered part of a pixel counts as background.
        """
        for _ in range(epochs):
            total = np.full_like(features, TINY)
            for i, view in enumerate(self.views):
                rendered, alpha = view.blend(features)
                rendered[..., 0] += 1 - alpha
                ratio = weights[i][..., None] * targets[i] / np.maximum(rendered, 1e-3)
                total += self.visible[i] * features * view.splat_back(ratio)
            features = total / total.sum(1, keepdims=True)
        return features

    def run(
        self,
        probabilities: np.ndarray,
        weights: np.ndarray,
        epochs: int = 6,
        damping: float = 0.2,
    ) -> np.ndarray:
        """Vote, then sharpen: ``[N, K]`` class probabilities of the Gaussians."""
        targets = self.targets(probabilities, damping)
        return self.sharpen(self.vote(targets, weights), targets, weights, epochs)

    def run_labels(self, labels: np.ndarray, classes: int, epochs: int) -> np.ndarray:
        """``[N, K]`` of label maps ``[V, H, W]``: all votes equal, none damped; 255 has none."""
        known = labels != IGNORE
        one_hot = np.eye(classes, dtype=np.float32)[np.where(known, labels, 0)]
        return self.run(one_hot, known.astype(np.float32), epochs, damping=1)

    def render(self, features: np.ndarray) -> np.ndarray:
        """Posterior label maps ``[V, H, W, K]`` in this lift's own views."""
        return _posteriors(self.views, features)


def render_posteriors(
    gaussians: Gaussians, features: np.ndarray, cameras: list[Camera]
) -> np.ndarray:
    """Posterior label maps ``[V, H, W, K]`` in any cameras of one size, float32.

    Args:
        gaussians: N Gaussians.
        features: ``[N, K]`` class probabilities; the uncovered part of a pixel is background.
        cameras: V cameras.
    """
    return _posteriors(freeze(gaussians, cameras), features)


def _posteriors(views, features: np.ndarray) -> np.ndarray:
    out = []
    for view in views:
        rendered, alpha = view.blend(features)
        rendered[..., 0] += 1 - alpha
        out.append(rendered)
    return np.stack(out)


def vote_equally(gaussians: Gaussians, photos: Prepared, soft: np.ndarray) -> np.ndarray:
    """``[N, K]`` of the plain vote: all views count the same, nothing is damped or sharpened.

    Args:
        gaussians: the fitted head.
        photos: its V photos; pixels beyond their edges have no vote.
        soft: ``[V, H, W, K]`` soft labels; all zeros where a pixel has none.
    """
    lift = Lift(gaussians, photos.cameras)
    return lift.vote(np.asarray(soft, np.float32), photos.valid.astype(np.float32))


def ceiling(
    gaussians: Gaussians,
    cameras: list[Camera],
    labels: np.ndarray,
    classes: int,
    epochs: int = 6,
) -> np.ndarray:
    """What the geometry allows: TRUE label maps, lifted with equal weights and rendered.

    For evaluation alone. No votes are damped: true background is background.

    Args:
        gaussians: the fitted head.
        cameras: V cameras.
        labels: ``[V, H, W]`` true class indices; 255 (no label) has no vote.
        classes: K.
        epochs: sharpening steps.

    Returns:
        ``[V, H, W]`` uint8.
    """
    lift = Lift(gaussians, cameras)
    features = lift.run_labels(labels, classes, epochs)
    return lift.render(features).argmax(-1).astype(np.uint8)
