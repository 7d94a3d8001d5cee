"""Where Gaussians start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelsplat.base import LabelsplatError
from labelsplat.splats import (
    FitSettings,
)

SETTINGS = FitSettings(gaussians=400, iterations=150, hull_resolution=24, close_radius=0)


def test_start_from_points_and_from_a_sphere(fit, photos):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 3))
    points *= 0.09 / np.linalg.norm(points, axis=1, keepdims=True)
    short = replace(SETTINGS, iterations=1)
    from_points = fit(photos, short, points=points).gaussians.means.norm(dim=1)
    assert (from_points - 0.09).abs().max() < 0.03
    sphere = fit(photos, replace(SETTINGS, start="sphere"))
    assert sphere.psnr > 24
    with pytest.raises(LabelsplatError, match="at least four"):
        fit(photos, short, points=points[:2])


def test_points_that_are_no_good(fit, photos):
    points = np.random.default_rng(0).normal(size=(60, 3)) * 0.05
    short = replace(SETTINGS, iterations=1)
    plain = fit(photos, short, points=points).gaussians
    crowded = np.concatenate([points, np.repeat(points[:1], 600, 0), points[30:]])
    for name, tensor in fit(photos, short, points=crowded).gaussians.tensors().items():
        assert torch.equal(tensor, plain.tensors()[name]), name
    with pytest.raises(LabelsplatError, match=r"3 different points of 90.*visual hull"):
        fit(photos, short, points=np.repeat(points[:3], 30, 0))
    spoilt = points.copy()
    spoilt[4, 1], spoilt[9, 2] = np.nan, np.inf
    with pytest.raises(LabelsplatError, match=r"2 of 60 points.*not finite.*Drop"):
        fit(photos, short, points=spoilt)
    with pytest.raises(LabelsplatError, match=r"\(60, 2\)"):
        fit(photos, short, points=points[:, :2])
