"""Stand-ins for FaceScape and CelebAMask-HQ; the line on them is run by `make experiments`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelsplat.capture import list_subjects
from labelsplat.capture.labelled import open_labelled
from labelsplat.experiments.copied_line import copy_project
from labelsplat.experiments.paper_setting import write_stand_ins
from labelsplat.labels import CELEBAMASK

REPO = Path(__file__).resolve().parents[2]
SETTINGS = {"subjects": 1, "faces": 3, "size": 48}


def test_stand_ins_have_the_layouts_of_the_sets(tmp_path):
    write_stand_ins(tmp_path, SETTINGS, seed=0, processes=1)
    assert len(list_subjects("facescape", tmp_path / "facescape")) == 1
    assert not (tmp_path / "facescape/Rt_scale_dict.json").exists()
    faces = open_labelled("celebamask", tmp_path / "celebamask")
    assert len(faces.photos) == 10
    assert len(open_labelled("celebamask", tmp_path / "celebamask_test").photos) == 5
    assert (
        len({photo.labels.parent for photo in faces.photos} | {p.labels for p in faces.photos}) > 1
    )
    image, labels = faces.read(faces.photos[0], 48)
    assert image.shape == (48, 48, 3)
    assert {CELEBAMASK.index(n) for n in ("skin", "nose", "cloth")} <= set(np.unique(labels))


def test_a_copy_holds_nothing_that_a_run_makes(tmp_path):
    project = copy_project(REPO, tmp_path / "project")
    assert (project / "lib/labelsplat/__main__.py").is_file() and (project / "dvc.yaml").is_file()
    assert not any((project / name).exists() for name in ("data", "models", "work", "dvc.lock"))
    assert not list((project / "reports").iterdir())
