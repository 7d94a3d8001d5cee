"""What can be chosen of a fit, and what not."""

from __future__ import annotations

import pytest

from labelsplat.base import ParameterError
from labelsplat.splats import (
    FitSettings,
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussians", 0), ("iterations", 0), ("iterations", -1), ("most_gaussians", 0),
        ("means_rate", 0.0), ("means_rate", -1e-3), ("means_rate", float("nan")),
        ("ssim_share", 2.0), ("ssim_share", -0.1), ("squared_weight", -1.0),
        ("alpha_weight", float("inf")), ("label_weight", -0.1), ("depth_weight", float("nan")),
        ("opacity_weight", -1.0), ("scale_weight", -1.0), ("thinness_weight", -1.0),
        ("colour_smoothing", 1.5), ("hull_tolerance", 1.2), ("hull_resolution", 1),
        ("camera_rate", -1.0), ("stop_after", -1), ("close_radius", -1), ("processes", -1),
        ("harmonics", 4), ("density", "none"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ParameterError, match=f"fit: {name}.*{value}"):
        FitSettings(**{name: value})


@pytest.mark.parametrize("coupling", ["two_models", "separate"])
def test_adaptive_density_follows_one_model_alone(coupling):
    FitSettings(density="adaptive", coupling=coupling)  # no label model is fitted
    with pytest.raises(ParameterError, match=f"adaptive density of two models.*{coupling}"):
        FitSettings(density="adaptive", coupling=coupling, label_weight=0.1)
