import json
import shutil

import pytest

from labelsplat.base import CaptureError
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    capture_root,
    gather,
    is_publishable,
    publishable_ids,
    shown_subjects,
)


def test_ids_as_a_list_and_out_of_a_file(tmp_path):
    (tmp_path / "list.txt").write_text("122, 212\n340;344\n 0395\n")
    ids = publishable_ids(["list.txt", "007"], tmp_path)
    assert ids == {"122", "212", "340", "344", "395", "7"}
    assert publishable_ids([str(tmp_path / "list.txt")]) == ids - {"7"}
    assert publishable_ids([]) is None
    for subject, shown in {"122/1_neutral": True, "12/1_neutral": False, "7": True}.items():
        assert is_publishable(subject, ids) is shown
        assert is_publishable(subject, None)
    assert is_publishable("030/EXP-1-head@3", {"30"})


def test_a_list_that_cannot_be_read_or_is_empty_is_named(tmp_path):
    with pytest.raises(CaptureError, match=r"nobody\.txt"):
        publishable_ids(["nobody.txt"], tmp_path)
    (tmp_path / "empty.txt").write_text(" ,\n")
    with pytest.raises(CaptureError, match=r"empty\.txt: lists no identity"):
        publishable_ids(["empty.txt"], tmp_path)


@pytest.mark.parametrize(("entries", "shown"), [([], 3), (["7"], 2), (["99"], 0)])
def test_the_capture_stage_notes_who_may_be_shown(facescape, tmp_path, entries, shown):
    for subject in ("7/2_smile", "12/1_neutral"):
        shutil.copytree(facescape / "7/1_neutral", facescape / subject)
    layout = Layout(tmp_path / "project")
    settings = {
        "source": "facescape",
        "root": str(facescape),
        "subjects": [],
        "publishable_ids": entries,
        "size": 16,
        "supersample": 1,
        "standard_identities": 0,
        "validation_identities": 0,
        "capture_identities": 0,
        "heldout_views": 0,
        "test_identities": 0,
        "standard_first": 1,
        "capture_first": 201,
        "test_first": 301,
        "nuisance": "plain",
        "rig": "few",
        "hard_identities": 0,
        "hard_first": 401,
        "checked_pairs": 0,
        "processes": 1,
    }
    gather(layout, settings, seed=0)
    subjects = ["7/1_neutral", "7/2_smile", "12/1_neutral"]
    assert capture_root(layout)[2] == subjects  # everybody is worked with
    assert shown_subjects(layout) == subjects[:shown]
    note = json.loads((layout.capture / "capture.json").read_text())
    assert note["shown"] == subjects[:shown]
