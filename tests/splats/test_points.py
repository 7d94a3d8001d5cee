"""A fit that starts from the sparse points of a camera solver."""

from dataclasses import replace

import numpy as np
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.capture import Prepared
from labelsplat.splats import FitSettings, points_of_fit
from labelsplat.splats.hull import points_on_person

POINTS = FitSettings(start="points")


@pytest.fixture
def prepared(photos):
    """The ball's photos, with points on it (the first 200) and round about."""
    images, alpha, cameras = photos
    rng = np.random.default_rng(1)
    rays = rng.normal(size=(400, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    points = rays * np.repeat([0.08, 0.17], 200)[:, None]
    names = tuple(map(str, range(len(images))))
    return Prepared("ball", names, images, alpha > -1, cameras, None, (), points)


def test_points_of_the_room_are_left_out(photos, prepared):
    _, alpha, cameras = photos
    kept = points_on_person(prepared.points, alpha, prepared.valid, cameras, tolerance=1.0)
    np.testing.assert_array_equal(kept[:200], prepared.points[:200])
    # Far ones pass only where every camera has them before or behind the ball.
    assert len(kept) < 230


def test_a_fit_starts_there(fit, photos, prepared):
    start = points_of_fit(prepared, photos[1], POINTS)
    found = fit(photos, replace(POINTS, gaussians=300, iterations=1), points=start)
    means = found.gaussians.means.numpy()
    distance = np.linalg.norm(means[:, None] - start[None], axis=-1).min(1)
    assert np.median(distance) < 0.02
    assert points_of_fit(prepared, photos[1], FitSettings()) is None


@pytest.mark.parametrize("given", [None, "few"])
def test_too_few_points(photos, prepared, given):
    few = replace(prepared, points=None if given is None else prepared.points[:9])
    with pytest.raises(LabelsplatError, match=r"ball.*sparse points.*fit\.start to hull"):
        points_of_fit(few, photos[1], POINTS)


def test_points_must_be_given(fit, photos):
    with pytest.raises(LabelsplatError, match="no points to start from"):
        fit(photos, replace(POINTS, gaussians=50, iterations=1))
