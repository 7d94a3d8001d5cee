"""Neighbouring Gaussians should look alike: a smoothing of colours while the geometry is found.

With few views a fit can explain every photo by colours that no other view would see: dark Gaussians
below the skin that shine through cracks, one odd colour a Gaussian. Colours that are drawn to their
neighbours' every few steps take that way out, and texture has to be explained by geometry.
"""

from __future__ import annotations

import torch
from torch import Tensor

from labelsplat.splats.gaussians import finite_rows
from labelsplat.splats.parameters import Parameters

EVERY = 10
"""Steps between two smoothings."""

RENEWED = 200
"""Steps for which the list of neighbours holds."""

NEIGHBOURS = 8


class ColourSmoothing:
    """Moves each colour of the colour set a share of the way to its neighbours' mean.

    Args:
        share: of the way, every :data:`EVERY` steps; 0 = off.
    """

    def __init__(self, share: float):
        self._share = share
        self._neighbours: Tensor | None = None

    def after(self, parameters: Parameters, step: int) -> None:
        """To be called after the optimisers' step."""
        if not self._share or step % EVERY:
            return
        leaves, known = parameters.colour, self._neighbours
        if known is None or step % RENEWED == 0:
            self._neighbours = nearest(leaves["means"].detach(), NEIGHBOURS)
        smooth(leaves["colours"], leaves["opacities"], self._neighbours, self._share)

    def forget(self) -> None:
        """To be called when rows of the colour set have become other Gaussians."""
        self._neighbours = None

    def state(self) -> dict:
        """What :meth:`load_state` needs to go on."""
        return {"neighbours": self._neighbours}

    def load_state(self, state: dict, device: torch.device) -> None:
        """Put back a :meth:`state` for parameters on ``device``."""
        known = state["neighbours"]
        self._neighbours = None if known is None else known.to(device)


def nearest(points: Tensor, count: int) -> Tensor:
    """``[N, count]`` indices of the nearest other points of ``[N, 3]``, nearest first.

    Points that are not finite are as far away as can be: none is a neighbour of a finite one, as
    long as there are others.
    """
    from scipy.spatial import KDTree

    lost = ~finite_rows(points)
    places = points.masked_fill(lost[:, None], 0).cpu().double()
    places[lost.cpu()] = 1e3 * (1 + places.abs().max())
    count = min(count, len(places) - 1)
    _, found = KDTree(places.numpy()).query(places.numpy(), k=count + 1)
    return torch.from_numpy(found.reshape(len(places), -1)[:, 1:]).to(points.device)


@torch.no_grad()
def smooth(colours: Tensor, opacity_logits: Tensor, neighbours: Tensor, share: float) -> None:
    """Move colours ``[N, 3]``, in place, towards the mean of their neighbours by opacity.

    A Gaussian whose colour or opacity is not finite has no say; one without other neighbours keeps
    its colour.
    """
    usable = finite_rows(colours, opacity_logits)
    weights = torch.where(usable, opacity_logits.sigmoid(), 0)[neighbours][..., None]
    said = torch.where(usable[:, None], colours, 0)[neighbours]
    mean = (said * weights).sum(1) / weights.sum(1).clamp_min(1e-6)
    heard = usable[neighbours].any(1)[:, None]
    colours += torch.where(heard, share * (mean - colours), 0)
