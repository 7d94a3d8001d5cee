"""How much each pixel's prediction counts: in the vote, and in the fits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from labelsplat.parsing import VoteSettings, vote_weights
from labelsplat.refine import RefineSettings
from labelsplat.splats import FitSettings, labels_of_fit

ANGLES = np.array([[0.0, 0.0], [60.0, 0.0], [120.0, 0.0]])


@pytest.fixture
def photos():
    valid = np.ones((3, 4, 5), bool)
    valid[:, :, 0] = False
    return SimpleNamespace(angles=ANGLES, valid=valid)


@pytest.fixture
def soft():
    return np.random.default_rng(0).dirichlet(np.ones(6), (3, 4, 5)).astype(np.float32)


def test_weights_pixel_by_pixel(photos, soft):
    found = vote_weights(photos, soft, VoteSettings(power=3, floor=0.1, confidence_power=2))
    for v, front in enumerate((1.0, 0.5**3, 0.0)):
        for y in range(4):
            assert found[v, y, 0] == 0
            for x in range(1, 5):
                wanted = (front + 0.1) * float(soft[v, y, x].max()) ** 2
                assert found[v, y, x] == pytest.approx(wanted, rel=1e-5)


def test_later_rounds_have_weights_of_their_own():
    settings = RefineSettings(power=1, floor=2, confidence_power=3, later_power=4, later_floor=5)
    assert settings.votes() == VoteSettings(1, 2, 3)
    assert settings.votes(later=True) == VoteSettings(4, 5, 3)


def test_labels_count_in_fits_as_in_votes_and_one_on_average(photos, soft):
    given = FitSettings(coupling="joint", label_weight=0.1)
    settings, weights = labels_of_fit(photos, soft, given, VoteSettings())
    votes = vote_weights(photos, soft, VoteSettings())
    assert settings == given and weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(weights * votes.mean(), votes, rtol=1e-5)


@pytest.mark.parametrize("coupling", ["joint", "two_models"])
def test_without_a_front_labels_do_not_move_the_geometry(photos, soft, coupling):
    photos.angles = None
    given = FitSettings(coupling=coupling, label_weight=0.1)
    settings, _ = labels_of_fit(photos, soft, given, VoteSettings())
    assert settings == replace(given, coupling="geometry_from_rgb", label_weight=0)
    riding = replace(given, coupling="geometry_from_rgb")
    assert labels_of_fit(photos, soft, riding, VoteSettings())[0] == riding
