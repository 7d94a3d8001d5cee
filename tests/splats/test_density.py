"""Splitting, pruning and moving Gaussians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from labelsplat.capture import NORMAL_EXTENT
from labelsplat.splats import FitSettings, Gaussians, Rendering
from labelsplat.splats.density import (
    DEAD,
    NOISE,
    Adaptive,
    Fixed,
    Mcmc,
    make_density,
    relocate,
    shared_opacity,
    walk,
)
from labelsplat.splats.parameters import Parameters

HERE = torch.device("cpu")


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


# -- Gaussians that are not finite ----------------------------------------------------------------
def test_relocation_takes_what_is_not_finite_for_dead():
    made = parameters(classes=4, coupling="joint")
    leaves, optimisers = made.colour, made.colour_optimisers()
    broken = ("means", "quats", "scales", "opacities", "colours", "labels")
    with torch.no_grad():
        for row, name in enumerate(broken):
            leaves[name][row] = math.nan if row % 2 else math.inf
            optimisers[name].state[leaves[name]]["exp_avg"][row] = math.nan
    living = {k: v.detach()[len(broken) :].clone() for k, v in leaves.items()}
    torch.manual_seed(0)
    assert relocate(leaves, optimisers) == len(broken)
    for name, leaf in leaves.items():
        assert leaf.isfinite().all(), name
        for moment in optimisers[name].state[leaf].values():
            assert moment.isfinite().all(), name
            assert moment.ndim == 0 or not moment[: len(broken)].any()
    for row in range(len(broken)):
        assert (living["means"] == leaves["means"][row]).all(1).any()


def test_many_copies_of_an_opaque_one_stay_finite():
    made = parameters()
    leaves, optimisers = made.colour, made.colour_optimisers()
    with torch.no_grad():
        leaves["opacities"][:] = -9
        leaves["opacities"][7] = 40  # a sigmoid of 1 in float32
        leaves["scales"][:] = -3
    assert relocate(leaves, optimisers) == 49
    assert leaves["opacities"].isfinite().all() and leaves["scales"].isfinite().all()
    assert (leaves["scales"] <= -3).all()


# -- two models -----------------------------------------------------------------------------------
def two_models():
    """Rows 0-4 dead in both models, 5-9 in that of the colours, 10-14 in that of the labels."""
    made = parameters(classes=4, coupling="two_models")
    with torch.no_grad():
        for rows, name in (
            (slice(0, 10), "opacities"),
            (slice(0, 5), "label_opacities"),
            (slice(10, 15), "label_opacities"),
        ):
            made.colour[name][rows] = -30
    return made


def test_of_two_models_only_those_dead_in_both_are_moved():
    made = two_models()
    before = made.colour["means"].detach().clone()
    torch.manual_seed(0)
    assert relocate(made.colour, made.colour_optimisers()) == 5
    moved = (made.colour["means"] != before).any(1)
    assert moved[:5].all() and not moved[5:].any()


@pytest.mark.parametrize("source", [7, 12, 20])  # alive in the labels, in the colours, in both
def test_each_of_two_models_shares_out_its_own_opacity(source):
    made = two_models()
    leaves = made.colour
    with torch.no_grad():
        for name in ("opacities", "label_opacities"):
            leaves[name][[i for i in range(50) if i != source]] = -30
    before = {k: v.detach()[source].clone() for k, v in leaves.items()}
    assert relocate(leaves, made.colour_optimisers()) == 49
    assert (leaves["means"] == before["means"]).all()
    for name in ("opacities", "label_opacities"):
        each, alone = leaves[name].detach().double().sigmoid(), before[name].double().sigmoid()
        assert torch.equal(each, each[:1].expand(50))
        if each[0] > 1.01 * DEAD or alone < DEAD:  # copies of living ones start no fainter
            together = 1 - (1 - each[0]) ** 50
            assert together.item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-6)
    assert leaves["scales"].isfinite().all()
    if before["opacities"] < -20:  # the scales follow the colours, of which nothing shows
        torch.testing.assert_close(leaves["scales"][0], before["scales"])


def test_what_one_of_two_models_shows_does_not_walk():
    made = two_models()
    with torch.no_grad():
        for name in ("opacities", "label_opacities"):
            made.colour[name][15:] = 3
            made.colour[name][made.colour[name] > -20] = 3
    before = made.colour["means"].detach().clone()
    torch.manual_seed(0)
    walk(made.colour, 10.0)
    moved = (made.colour["means"] - before).norm(dim=1)
    assert (moved[:5] > 1e-6).all() and (moved[5:] < 1e-12).all()


# -- the rules within a fit -----------------------------------------------------------------------
def drawing(count, pull=0.0):
    """What a fit's step hands to the rules: every Gaussian shows, and is pulled at like that."""
    means2d = torch.zeros(1, count, 2)
    means2d.absgrad = torch.full_like(means2d, pull)
    radii = torch.ones(1, count, 2, dtype=torch.int32)
    plane = torch.zeros(1, 8, 8)
    return Rendering(plane[..., None], plane, None, means2d, radii, 0, "cpu")


def test_the_walk_is_as_long_as_the_world_is_large():
    """Lengths and learning rate in another unit: the same steps in that unit."""
    steps = []
    for unit in (1.0, 100.0):
        made = parameters(density="mcmc")
        with torch.no_grad():
            made.colour["opacities"][:] = -9
            made.colour["scales"] += math.log(unit)
            made.colour["means"] *= unit
        made.optimisers["means"].param_groups[0]["lr"] = 1e-6 * unit
        before = made.colour["means"].detach().clone()
        torch.manual_seed(0)
        rules = make_density(FitSettings(density="mcmc"), NORMAL_EXTENT * unit)
        assert not rules.after(made, drawing(50), 1)
        steps.append((made.colour["means"] - before).detach() / unit)
    assert steps[0].abs().max() > 1e-4
    torch.testing.assert_close(steps[0], steps[1], rtol=1e-3, atol=1e-6)
    # In the normal extent it is the paper's.
    made = parameters()
    with torch.no_grad():
        made.colour["opacities"][:] = -9
    before = made.colour["means"].detach().clone()
    torch.manual_seed(0)
    walk(made.colour, NOISE * 1e-6)
    torch.testing.assert_close(made.colour["means"] - before, steps[0], rtol=1e-3, atol=1e-6)


def test_rules_say_whether_anything_changed():
    made = parameters()
    assert not Fixed().after(made, drawing(50), 100) and not Fixed().absgrad(100)
    rules = Mcmc(FitSettings(density="mcmc"), NORMAL_EXTENT)
    assert not rules.absgrad(300)
    assert not rules.after(made, drawing(50), 300)  # none is dead
    with torch.no_grad():
        made.colour["opacities"][3] = -9
    assert not rules.after(made, drawing(50), 301)  # not yet
    assert rules.after(made, drawing(50), 400)


def test_adaptive_grows_prunes_and_ends():
    rules, made = Adaptive(FitSettings(density="adaptive"), 1.0), parameters()
    assert not rules.after(made, drawing(50, 1.0), 299)
    assert rules.after(made, drawing(50, 1.0), 300)
    grown = len(made.colour["means"])
    assert grown > 50
    assert not rules.after(made, drawing(grown), 400)  # nothing pulls
    with torch.no_grad():
        made.colour["opacities"][:4] = -9
    assert rules.after(made, drawing(grown), 500)
    assert len(made.colour["means"]) == grown - 4
    # Beyond the share of the fit in which it acts, it asks for no gradients and needs none.
    assert rules.absgrad(899) and not rules.absgrad(900)
    bare = Rendering(*([None] * 5), 0, "cpu")
    assert not rules.after(made, bare, 900)


def test_what_was_full_before_does_not_count_after():
    """Only the number of now does: a fit that goes on from a checkpoint knows no other."""
    settings = FitSettings(density="adaptive", most_gaussians=50)
    rules = Adaptive(settings, 1.0)
    rules.after(parameters(50), drawing(50, 1.0), 200)
    anew = Adaptive(settings, 1.0)
    rules.load_state(anew.state(), HERE)
    numbers = []
    for one in (rules, anew):
        made = parameters(30)
        torch.manual_seed(0)
        one.after(made, drawing(30, 1.0), 300)
        numbers.append(len(made.colour["means"]))
    assert numbers[0] == numbers[1] > 30


def test_the_state_goes_where_the_parameters_are():
    rules = Adaptive(FitSettings(density="adaptive"), 1.0)
    rules.after(parameters(), drawing(50, 1.0), 1)
    state = rules.state()
    assert state["grad2d"].device == HERE and state["scene_scale"] == 1.0
    rules.load_state(state, torch.device("meta"))
    moved = rules.state()
    assert moved["grad2d"].device.type == moved["count"].device.type == "meta"
    assert moved["scene_scale"] == 1.0
