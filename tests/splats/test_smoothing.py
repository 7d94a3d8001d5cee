"""Colours that are drawn to their neighbours'."""

from __future__ import annotations

from dataclasses import replace

import torch

from labelsplat.splats import (
    FitSettings,
    smoothing,
)
from labelsplat.splats.density import Fixed
from labelsplat.splats.smoothing import nearest, smooth

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)


def test_nearest_are_those_of_all_distances():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(points, points).fill_diagonal_(9)
    assert torch.equal(nearest(points, 5), distances.argsort(1)[:, :5])
    assert nearest(points[:3], 8).shape == (3, 2)


def test_a_broken_gaussian_is_no_neighbour_and_has_no_say():
    points = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    colours = torch.rand(60, 3, generator=torch.Generator().manual_seed(1))
    logits = torch.randn(60, generator=torch.Generator().manual_seed(2))
    points[0], points[1, 2] = 0, float("nan")  # which is not to be mistaken for the origin
    points[2, 0] = float("inf")
    found = nearest(points, 8)
    whole = [i for i in range(60) if i not in (1, 2)]
    assert not torch.isin(found[whole], torch.tensor([1, 2])).any()
    assert torch.equal(found[whole], torch.tensor(whole)[nearest(points[whole], 8)])
    # Those of which only the colour or the opacity is broken are neighbours without a say.
    colours[5, 1], logits[6], logits[7] = float("nan"), float("nan"), float("inf")
    without = colours.clone(), logits.clone()
    without[0][5], without[1][5:8] = 0, -100
    before = colours.clone()
    smooth(colours, logits, found, 0.3)
    smooth(*without, found, 0.3)
    rows = [i for i in whole if i != 5]
    assert colours[rows].isfinite().all()
    torch.testing.assert_close(colours[rows], without[0][rows])
    # None that has a say: the colour stays.
    colours = before.clone()
    smooth(colours, logits, torch.full((60, 2), 5), 0.3)
    assert torch.equal(colours[rows], before[rows])


def test_colours_move_towards_those_of_their_neighbours():
    colours = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    logits = torch.tensor([0.0, 2.0, -2.0])
    o = logits.sigmoid()
    smooth(colours, logits, torch.tensor([[1, 2], [0, 2], [0, 1]]), 0.25)
    wanted = 0.25 * torch.tensor([o[1] / (o[1] + o[2]), o[2] / (o[1] + o[2]), 0])
    torch.testing.assert_close(colours[0], wanted)


def test_smoothing_makes_neighbours_alike_and_colours_stay_colours(fit, photos):
    def roughness(done):
        near = nearest(done.gaussians.means, 4)
        c = done.gaussians.colours
        return (c[near] - c[:, None]).abs().mean()

    plain = fit(photos, replace(SETTINGS, colour_smoothing=0.0))
    smoothed = fit(photos, replace(SETTINGS, colour_smoothing=0.3))
    assert roughness(smoothed) < 0.8 * roughness(plain)
    for done in (plain, smoothed):
        assert done.gaussians.colours.min() >= 0 and done.gaussians.colours.max() <= 1


def test_neighbours_are_found_anew_when_the_gaussians_changed(fit, photos, monkeypatch):
    found = []

    def counted(points, count):
        found.append(len(points))
        return nearest(points, count)

    monkeypatch.setattr(smoothing, "nearest", counted)
    short = replace(SETTINGS, iterations=40)
    fit(photos, short)
    assert len(found) == 1
    monkeypatch.setattr(Fixed, "after", lambda self, parameters, drawn, step: step == 15)
    fit(photos, short)
    assert len(found) == 3  # at step 0, and once more at 20, not at 10 nor at 30
