"""How the number of Gaussians follows the picture: split, copy, prune; or move dead ones.

``adaptive`` is gsplat's own ``DefaultStrategy`` (Kerbl et al. 2023, with absolute gradients as in
AbsGS, arXiv 2404.10484): plain torch, so it runs on the CPU as well, fed by our renderer. ``mcmc``
is after Kheradmand et al. 2024 (3DGS-MCMC, arXiv 2404.09591); gsplat computes its relocation in
CUDA only, so equation 9 stands here in torch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from labelsplat.splats.parameters import Parameters
from labelsplat.splats.rendering import Rendering
from labelsplat.splats.settings import FitSettings

START, STOP = 0.1, 0.6
"""Shares of the iterations between which the number of Gaussians may change."""

EVERY = 100
"""Steps between two changes."""

DEAD = 0.005
"""Opacity below which a Gaussian counts as dead."""

GROW_GRADIENT = 0.0008
"""Absolute screen-space gradient, in half image sizes, above which a Gaussian is doubled."""

NOISE = 5e5
"""Of MCMC's random walk, times the learning rate of the means."""

MOST_COPIES = 51
"""A Gaussian is taken for at most that many in one relocation."""


class Fixed:
    """The number of Gaussians stays."""

    absgrad = False

    def before(self, drawn: Rendering) -> None:
        """To be called between drawing and the backward pass."""

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> None:
        """To be called after the optimisers' step."""

    def state(self) -> dict:
        """What :meth:`load_state` needs to go on."""
        return {}

    def load_state(self, state: dict) -> None:
        """Put back a :meth:`state`."""


class Adaptive(Fixed):
    """gsplat's ``DefaultStrategy`` on the colour set."""

    absgrad = True

    def __init__(self, settings: FitSettings, extent: float):
        from gsplat.strategy import DefaultStrategy

        self._most = settings.most_gaussians
        self._strategy = DefaultStrategy(
            prune_opa=DEAD,
            grow_grad2d=GROW_GRADIENT,
            refine_start_iter=round(START * settings.iterations),
            refine_stop_iter=round(STOP * settings.iterations),
            # A fit of a thousand steps has no time to recover from a reset of all opacities.
            reset_every=settings.iterations + 1,
            refine_every=EVERY,
            absgrad=True,
        )
        self._state = self._strategy.initialize_state(extent)

    def before(self, drawn: Rendering) -> None:
        """See :class:`Fixed`."""
        drawn.means2d.retain_grad()

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> None:
        """See :class:`Fixed`."""
        if len(parameters.colour["means"]) >= self._most:
            self._strategy.grow_grad2d = math.inf  # from now on it only prunes
        views, height, width = drawn.alpha.shape
        info = {
            "width": width, "height": height, "n_cameras": views, "radii": drawn.radii,
            "gaussian_ids": None, "means2d": drawn.means2d,
        }  # fmt: skip
        self._strategy.step_post_backward(
            parameters.colour, parameters.colour_optimisers(), self._state, step, info
        )

    def state(self) -> dict:
        """See :class:`Fixed`."""
        return dict(self._state)

    def load_state(self, state: dict) -> None:
        """See :class:`Fixed`."""
        self._state = dict(state)


class Mcmc(Fixed):
    """Dead Gaussians are moved to living ones, and all walk a little at random."""

    def __init__(self, settings: FitSettings):
        self._start = round(START * settings.iterations)
        self._stop = round(STOP * settings.iterations)

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> None:
        """See :class:`Fixed`."""
        sets = [(parameters.colour, parameters.colour_optimisers())]
        if parameters.label:
            sets.append((parameters.label, parameters.label_optimisers()))
        for leaves, optimisers in sets:
            if self._start < step < self._stop and step % EVERY == 0:
                relocate(leaves, optimisers)
            walk(leaves, NOISE * optimisers["means"].param_groups[0]["lr"])


def make_density(settings: FitSettings, extent: float) -> Fixed:
    """The rules of ``settings.density`` for a scene of ``extent`` world units."""
    if settings.density == "adaptive":
        return Adaptive(settings, extent)
    return Mcmc(settings) if settings.density == "mcmc" else Fixed()


@torch.no_grad()
def relocate(leaves: dict[str, Tensor], optimisers: dict[str, torch.optim.Adam]) -> int:
    """Move each dead Gaussian to a living one, drawn by opacity; how many were moved.

    A living one and its n - 1 new copies get opacities and scales such that together they look as
    it did alone (3DGS-MCMC, eq. 9); their optimisers' moments start anew.
    """
    opacities = leaves["opacities"].sigmoid()
    dead = opacities <= DEAD
    if not dead.any() or dead.all():
        return 0
    gone, alive = dead.nonzero()[:, 0], (~dead).nonzero()[:, 0]
    chosen = alive[torch.multinomial(opacities[alive], len(gone), replacement=True)]
    copies = torch.bincount(chosen, minlength=len(opacities))[chosen] + 1
    fresh, shrink = shared_opacity(opacities[chosen], copies)
    leaves["opacities"][chosen] = torch.logit(fresh.clamp(DEAD, 1 - 1e-6))
    leaves["scales"][chosen] += shrink.log()[:, None]
    for name, leaf in leaves.items():
        leaf[gone] = leaf[chosen]
        for moment in optimisers[name].state[leaf].values():
            if moment.shape == leaf.shape:
                moment[chosen] = 0
                moment[gone] = 0
    return len(gone)


def shared_opacity(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Opacity of each of n copies in one place, and the factor on their scales, ``[M]`` each.

    n copies of opacity ``1 - (1 - o)^(1/n)`` stop as much light at their centre as one of o; the
    factor makes the blended profile's integral along a line through the centre equal as well
    (3DGS-MCMC, arXiv 2404.09591, eq. 9).

    Args:
        opacities: ``[M]`` o, between 0 and 1.
        copies: ``[M]`` n, integers of at least 1.
    """
    n = copies.clamp(max=MOST_COPIES)
    fresh = 1 - (1 - opacities) ** (1 / n)
    total = torch.zeros_like(fresh)
    for i in range(1, int(n.max()) + 1):
        part = torch.zeros_like(fresh)
        for k in range(i):
            part += math.comb(i - 1, k) * (-1) ** k / math.sqrt(k + 1) * fresh ** (k + 1)
        total += torch.where(i <= n, part, 0)
    return fresh, opacities / total


@torch.no_grad()
def walk(leaves: dict[str, Tensor], step: float) -> None:
    """One step of the random walk: noise in the shape of each Gaussian, for faint ones only."""
    from labelsplat.splats.reference import rotation_matrices

    faint = torch.sigmoid(100 * (0.005 - leaves["opacities"].sigmoid()))[:, None]
    axes = rotation_matrices(leaves["quats"]) * leaves["scales"].exp()[:, None, :]
    noise = torch.randn_like(leaves["means"]) * faint * step
    leaves["means"] += (axes @ (axes.mT @ noise[..., None]))[..., 0]
