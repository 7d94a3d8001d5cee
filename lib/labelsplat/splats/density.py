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

from labelsplat.capture.views import NORMAL_EXTENT
from labelsplat.splats.gaussians import finite_rows
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
"""Of MCMC's random walk in a scene of the normal extent, times the learning rate of the means."""

MOST_COPIES = 51
"""A Gaussian is taken for at most that many in one relocation."""

OPACITIES = ("opacities", "label_opacities")
"""Parameters that are opacities: two models in one set of means have one of each."""


class Fixed:
    """The number of Gaussians stays."""

    def absgrad(self, step: int) -> bool:
        """Whether :meth:`after` wants the absolute gradients of this step: they cost time."""
        return False

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> bool:
        """To be called after the optimisers' step.

        Returns:
            Whether a row of the colour set may now be another Gaussian than before, or one at
            another place: what was known by the rows' numbers no longer holds.
        """
        return False

    def state(self) -> dict:
        """What :meth:`load_state` needs to go on."""
        return {}

    def load_state(self, state: dict, device: torch.device) -> None:
        """Put back a :meth:`state` for parameters on ``device``."""


class Adaptive(Fixed):
    """gsplat's ``DefaultStrategy`` on the colour set."""

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

    def absgrad(self, step: int) -> bool:
        """See :class:`Fixed`."""
        return step < self._strategy.refine_stop_iter

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> bool:
        """See :class:`Fixed`."""
        if not self.absgrad(step):
            return False
        before = parameters.colour["means"]
        # Asked anew at each step: a fit that goes on from a checkpoint has no memory of it.
        full = len(before) >= self._most
        self._strategy.grow_grad2d = math.inf if full else GROW_GRADIENT
        views, height, width = drawn.alpha.shape
        info = {
            "width": width, "height": height, "n_cameras": views, "radii": drawn.radii,
            "gaussian_ids": None, "means2d": drawn.means2d,
        }  # fmt: skip
        self._strategy.step_post_backward(
            parameters.colour, parameters.colour_optimisers(), self._state, step, info
        )
        # gsplat puts new parameters in the place of those that it changes.
        return parameters.colour["means"] is not before

    def state(self) -> dict:
        """See :class:`Fixed`."""
        return dict(self._state)

    def load_state(self, state: dict, device: torch.device) -> None:
        """See :class:`Fixed`."""
        self._state = {k: v.to(device) if torch.is_tensor(v) else v for k, v in state.items()}


class Mcmc(Fixed):
    """Dead Gaussians are moved to living ones, and all walk a little at random."""

    def __init__(self, settings: FitSettings, extent: float):
        self._start = round(START * settings.iterations)
        self._stop = round(STOP * settings.iterations)
        # The walk is a covariance times a learning rate, which grows with the extent: a cube, of
        # which a length is wanted.
        self._noise = NOISE / (extent / NORMAL_EXTENT) ** 2

    def after(self, parameters: Parameters, drawn: Rendering, step: int) -> bool:
        """See :class:`Fixed`."""
        sets = [(parameters.colour, parameters.colour_optimisers())]
        if parameters.label:
            sets.append((parameters.label, parameters.label_optimisers()))
        moved = []
        for leaves, optimisers in sets:
            due = self._start < step < self._stop and step % EVERY == 0
            moved.append(relocate(leaves, optimisers) if due else 0)
            walk(leaves, self._noise * optimisers["means"].param_groups[0]["lr"])
        return moved[0] > 0


def make_density(settings: FitSettings, extent: float) -> Fixed:
    """The rules of ``settings.density`` for a scene of ``extent`` world units."""
    if settings.density == "adaptive":
        return Adaptive(settings, extent)
    return Mcmc(settings, extent) if settings.density == "mcmc" else Fixed()


@torch.no_grad()
def relocate(leaves: dict[str, Tensor], optimisers: dict[str, torch.optim.Adam]) -> int:
    """Move each dead Gaussian to a living one, drawn by opacity; how many were moved.

    A living one and its n - 1 new copies get opacities and scales such that together they look as
    it did alone (3DGS-MCMC, eq. 9); their optimisers' moments start anew. One with a number that is
    not finite is dead. Of two models that share their means, a Gaussian lives if it does in either,
    and each model's opacity is shared out by itself; the scales can follow but one of them, and
    follow the colours': labels look as before at the copies' centre, not quite so around it.
    """
    opacities = visible(leaves)
    dead = ~((opacities > DEAD) & finite_rows(*leaves.values()))
    if not dead.any() or dead.all():
        return 0
    gone, alive = dead.nonzero()[:, 0], (~dead).nonzero()[:, 0]
    chosen = alive[torch.multinomial(opacities[alive], len(gone), replacement=True)]
    copies = torch.bincount(chosen, minlength=len(opacities))[chosen] + 1
    for name in OPACITIES:
        if name not in leaves:
            continue
        # In double: the sum of eq. 9 alternates, and its terms are large for many opaque copies.
        alone = leaves[name][chosen].double().sigmoid().clamp(1e-9, 1 - 1e-6)
        fresh, shrink = shared_opacity(alone, copies)
        # Copies start alive, but for those of one that is dead in this model: it stays as it is.
        fresh = torch.where(alone > DEAD, fresh.clamp_min(DEAD), fresh)
        leaves[name][chosen] = torch.logit(fresh).to(leaves[name].dtype)
        if name == "opacities":
            leaves["scales"][chosen] += shrink.log()[:, None].to(leaves["scales"].dtype)
    for name, leaf in leaves.items():
        leaf[gone] = leaf[chosen]
        for moment in optimisers[name].state[leaf].values():
            if moment.shape == leaf.shape:
                moment[chosen] = 0
                moment[gone] = 0
    return len(gone)


def visible(leaves: dict[str, Tensor]) -> Tensor:
    """``[N]`` opacities, of two models that share their means the larger one."""
    return torch.stack([leaves[name].sigmoid() for name in OPACITIES if name in leaves]).amax(0)


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

    faint = torch.sigmoid(100 * (0.005 - visible(leaves)))[:, None]
    axes = rotation_matrices(leaves["quats"]) * leaves["scales"].exp()[:, None, :]
    noise = torch.randn_like(leaves["means"]) * faint * step
    leaves["means"] += (axes @ (axes.mT @ noise[..., None]))[..., 0]
