"""Splitting, pruning and moving Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from labelsplat.splats import FitSettings, Gaussians
from labelsplat.splats.density import relocate, shared_opacity, walk
from labelsplat.splats.parameters import Parameters

SETTINGS = FitSettings()


def parameters(count=50, classes=0, **changes):
    draw = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=draw)

    start = Gaussians(
        normal(count, 3), normal(count, 4), normal(count, 3) - 3, normal(count), normal(count, 3)
    )
    made = Parameters.of(start, {}, FitSettings(**changes), classes, 1.0)
    for leaf in made.colour.values():
        leaf.grad = normal(*leaf.shape)
    made.step()
    return made


@pytest.mark.parametrize("opacity", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_together_look_like_the_one(opacity, copies):
    """Blended alpha at the centre is equal, and so is its integral along a line through it."""
    opacities = torch.tensor([opacity], dtype=torch.float64)
    fresh, shrink = shared_opacity(opacities, torch.tensor([copies]))
    assert 1 - (1 - fresh.item()) ** copies == pytest.approx(opacity)
    x = np.linspace(-12, 12, 20001)
    alone = opacity * np.exp(-0.5 * x**2)
    each = fresh.item() * np.exp(-0.5 * (x / shrink.item()) ** 2)
    together = 1 - (1 - each) ** copies
    assert np.trapezoid(together, x) == pytest.approx(np.trapezoid(alone, x), rel=1e-5)


def test_relocation_moves_the_dead_to_the_living():
    torch.manual_seed(0)
    made = parameters()
    leaves = made.colour
    with torch.no_grad():
        leaves["opacities"][:20] = -9
    before = {k: v.detach().clone() for k, v in leaves.items()}
    assert relocate(leaves, made.colour_optimisers()) == 20
    assert (leaves["opacities"].sigmoid() >= 0.005).all()
    for i in range(20):
        at = (before["means"][20:] == leaves["means"][i]).all(1).nonzero()
        assert len(at) == 1  # where a living one is
        assert torch.equal(leaves["colours"][i], before["colours"][20 + at[0, 0]])
    untouched = (leaves["opacities"] == before["opacities"])[20:]
    assert untouched.any() and not untouched.all()
    state = made.optimisers["means"].state[leaves["means"]]
    assert not state["exp_avg"][:20].any() and state["exp_avg"][20:][untouched].all()
    assert relocate(leaves, made.colour_optimisers()) == 0


def test_only_faint_gaussians_walk():
    torch.manual_seed(0)
    leaves = parameters().colour
    with torch.no_grad():
        leaves["opacities"][:10] = -9
        leaves["opacities"][10:] = 3
    before = leaves["means"].detach().clone()
    walk(leaves, 10.0)
    moved = (leaves["means"] - before).norm(dim=1)
    assert (moved[:10] > 1e-6).all() and (moved[10:] < 1e-12).all()
    assert math.isfinite(moved.sum().item())


@pytest.mark.parametrize("coupling", ["joint", "two_models"])
def test_labels_follow_their_gaussians(coupling):
    made = parameters(classes=4, coupling=coupling)
    assert made.colour["labels"].shape == (50, 4)
    with torch.no_grad():
        made.colour["labels"] += torch.arange(50.0)[:, None]
        made.colour["opacities"][:5] = -9
    numbers = made.colour["labels"].detach()[:, 0].clone()
    places = made.colour["means"].detach().clone()
    torch.manual_seed(1)
    relocate(made.colour, made.colour_optimisers())
    for i in range(5):
        source = (places == made.colour["means"][i]).all(1).nonzero()[0, 0]
        assert made.colour["labels"][i, 0] == numbers[source]
