"""Labels agree between views, and the check can tell when they do not."""

from dataclasses import replace

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.capture.cameras import orbit_camera
from labelsplat.capture.heads import (
    compare_views,
    random_pairs,
    render_view,
    reprojection_agreement,
)

from .conftest import camera


def test_pairs_are_as_far_apart_as_they_say():
    pairs = random_pairs(100, seed=1, size=32)
    assert len(pairs) == 100
    for a, b in pairs:
        apart = np.degrees(np.arccos(a.rotation[2] @ b.rotation[2]))
        assert 15 <= apart <= 45
        assert a.width == b.height == 32
    again = random_pairs(100, seed=1, size=32)
    np.testing.assert_array_equal(pairs[7][1].translation, again[7][1].translation)
    yaws = np.array([np.arctan2(*a.centre[[0, 2]]) for a, _ in pairs])
    assert np.histogram(yaws, 4, (-np.pi, np.pi))[0].min() >= 10


def test_a_view_agrees_with_itself_and_every_wrong_label_counts(scene, front):
    cam = camera(0, 0)
    equal, compared = compare_views(front, cam, front, cam)
    assert equal == compared == (front.depth > 0).sum()
    row, column = (index[::7] for index in np.nonzero(front.depth > 0))
    labels = front.labels.copy()
    labels[row, column] += 1
    equal, compared = compare_views(front, cam, replace(front, labels=labels), cam)
    assert compared - equal == len(row)


def test_points_at_another_depth_are_not_compared(front):
    cam = camera(0, 0)
    depth = front.depth.copy()
    depth[:64] += 0.0025 * (depth[:64] > 0)
    _, compared = compare_views(front, cam, replace(front, depth=depth), cam)
    assert compared == (front.depth[64:] > 0).sum()


def test_labels_of_views_apart_agree(scene):
    agreement = reprojection_agreement(scene, random_pairs(3, seed=2))
    assert len(agreement.shares) == len(agreement.samples) == 6
    assert agreement.mean == pytest.approx(np.mean(agreement.shares))
    assert agreement.mean >= 0.97
    assert min(agreement.shares) >= 0.94
    assert min(agreement.samples) > 3000


def test_views_without_a_common_point_are_named(scene):
    front, back = (orbit_camera(yaw, 0, 1.15, 2, 16) for yaw in (0, 180))
    with pytest.raises(ParameterError, match="pair 0 has no point"):
        reprojection_agreement(scene, [(front, back)], 1)
    with pytest.raises(ParameterError, match="no pairs"):
        reprojection_agreement(scene, [])
    with pytest.raises(ParameterError, match="at least 1"):
        random_pairs(0, 1)


def test_supersampling_one_compares_too(scene):
    agreement = reprojection_agreement(scene, [(camera(0, 0, 64), camera(20, 0, 64))], 1)
    assert 0.8 < agreement.mean < 1
    assert render_view(scene, camera(0, 0, 64), 1).labels.any()
