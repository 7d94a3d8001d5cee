import shutil

import pytest

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture import detect_source, list_subjects, open_capture

SUBJECT = "7/1_neutral"


def test_the_reader_is_chosen_by_what_lies_in_the_folder(facescape, nerfstudio):
    assert detect_source(facescape) == "facescape"
    assert detect_source(nerfstudio) == "nerfstudio"
    assert open_capture(facescape).subject == SUBJECT
    assert open_capture(nerfstudio).subject == "phone"


def test_a_subjects_own_folder_opens_with_the_alignment_of_its_root(facescape, monkeypatch):
    own = facescape / SUBJECT
    assert open_capture(own).frame == "head"
    monkeypatch.chdir(own)
    assert open_capture(".").subject == SUBJECT


def test_one_of_several_subjects_must_be_named(facescape):
    shutil.copytree(facescape / SUBJECT, facescape / "9/2_smile")
    with pytest.raises(CaptureError, match=r"2 subjects, which one.*7/1_neutral, 9/2_smile"):
        open_capture(facescape)
    assert open_capture(facescape, "9/2_smile").subject == "9/2_smile"
    assert open_capture(facescape, SUBJECT, source="embedded").frame == "head"


def test_a_tree_of_nerfstudio_captures(nerfstudio):
    shutil.copytree(nerfstudio, nerfstudio.parent / "other")
    assert list_subjects("nerfstudio", nerfstudio.parent) == ["other", "phone"]
    capture = open_capture(nerfstudio.parent, "other")
    assert (capture.source, capture.subject) == ("nerfstudio", "other")
    assert list_subjects("auto", nerfstudio) == ["phone"]
    assert open_capture(nerfstudio, "phone").root == nerfstudio


def test_list_subjects_checks_the_wanted_ones(facescape):
    shutil.copytree(facescape / SUBJECT, facescape / "9/2_smile")
    assert list_subjects("facescape", facescape) == [SUBJECT, "9/2_smile"]
    assert list_subjects("embedded", facescape, ["9/2_smile"]) == ["9/2_smile"]
    assert list_subjects("facescape", facescape, []) == [SUBJECT, "9/2_smile"]
    with pytest.raises(CaptureError, match=r"no subject '9/3_mouth_stretch'.*There are 2"):
        list_subjects("facescape", facescape, [SUBJECT, "9/3_mouth_stretch"])


def test_unknown_sources_and_strange_folders(tmp_path, facescape):
    with pytest.raises(ParameterError, match="unknown source 'facescap'"):
        open_capture(facescape, source="facescap")
    with pytest.raises(CaptureError, match="no capture of source 'nerfstudio'"):
        open_capture(facescape, source="nerfstudio")
    model = tmp_path / "model"
    (model / "sparse/0").mkdir(parents=True)
    with pytest.raises(CaptureError, match=r"no capture found.*sparse/0 \(COLMAP\)"):
        open_capture(model)
