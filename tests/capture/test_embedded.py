"""Embedded sets: rigs, nuisance levels, and what is checked of the heads."""

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.base.layout import Layout
from labelsplat.capture import open_capture
from labelsplat.capture.embedded import Job, ViewSet, default_jobs, photograph
from labelsplat.capture.head_checks import PAIRS_A_HEAD, check_heads
from labelsplat.capture.heads import rig
from labelsplat.report.params import default_params

SIZE = 24


def job(root, poses, level, count=2):
    view_set = ViewSet(poses, root / "photos", root / "truth", count)
    return Job(3, "capture", (view_set,), level)


@pytest.mark.parametrize("poses", ["ring", "phone", "sparse"])
def test_rigs_are_written_as_they_are_reported(tmp_path, poses):
    done = photograph(job(tmp_path, poses, "plain", 3), SIZE, 1, seed=0)
    assert done.images == (3,)
    shots = rig(poses, 3, SIZE)[:3]
    found = open_capture(tmp_path / "photos", done.subject, "facescape")
    for view, shot in zip(found.views, shots, strict=True):
        np.testing.assert_allclose(view.camera.rotation, shot.reported.rotation, atol=1e-6)
        np.testing.assert_allclose(view.camera.centre, shot.reported.centre, atol=1e-6)
    moved = [np.abs(s.camera.centre - s.reported.centre).max() for s in shots]
    assert (max(moved) > 0) == (poses == "phone")


def test_levels_change_photos_and_lenses_not_the_person(tmp_path):
    plain = photograph(job(tmp_path / "plain", "test", "plain"), SIZE, 1, seed=0)
    hard = photograph(job(tmp_path / "hard", "test", "hard"), SIZE, 1, seed=0)
    again = photograph(job(tmp_path / "again", "test", "hard"), SIZE, 1, seed=0)
    assert plain.subject == hard.subject and hard.facts == again.facts
    assert {k for k, v in plain.facts.items() if v != hard.facts[k]} <= {"nuisances"}

    def lens(name):
        views = open_capture(tmp_path / name / "photos", plain.subject, "facescape").views
        return [view.camera.intrinsics[0, 0] for view in views]

    assert len(set(np.round(lens("plain"), 3))) == 1 and len(set(np.round(lens("hard"), 3))) == 2
    files = sorted(p.relative_to(tmp_path / "hard") for p in (tmp_path / "hard").rglob("*.*"))
    for file in files:
        assert (tmp_path / "hard" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_hard_test_heads_are_a_set_of_their_own(tmp_path):
    layout, capture = Layout(tmp_path), default_params()["capture"]
    jobs = default_jobs(layout, capture)
    hard = [one for one in jobs if one.group == "hard"]
    assert len(hard) == capture["hard_identities"] and {one.level for one in hard} == {"hard"}
    assert {one.level for one in jobs if one.group != "hard"} == {"plain"}
    assert {s.photos for one in hard for s in one.sets} == {layout.hard_photos}
    phone = default_jobs(layout, {**capture, "nuisance": "hard", "rig": "phone"})
    captured = [one for one in phone if one.group == "capture"]
    assert {one.level for one in captured} == {"hard"}
    assert {one.sets[0].poses for one in captured} == {"phone"}
    with pytest.raises(ParameterError, match="two sets"):
        default_jobs(layout, {**capture, "hard_first": capture["test_first"]})


def test_heads_are_timed_and_their_labels_held_against_each_other():
    found = check_heads(301, 3, supersample=2, seed=0, processes=1)
    assert found["checked_pairs"] == PAIRS_A_HEAD
    assert 0.9 < found["label_reprojection_agreement"] <= 1
    assert found["seconds_per_identity"] > 0 and found["seconds_per_view_128"] > 0
    nothing = check_heads(301, 0, supersample=2, seed=0, processes=1)
    assert nothing.keys() == found.keys() and not any(nothing.values())
