import shutil

import pytest

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture import detect_source, inspect_capture, list_subjects, open_capture

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


@pytest.mark.parametrize("inner", ["", "images"])
def test_every_part_of_a_tree_opens_with_its_name_and_alignment(facescape, inner):
    identity = facescape / "7"
    if inner:
        (identity / inner).mkdir()
        shutil.move(identity / "1_neutral", identity / inner)
    own = identity / inner / "1_neutral"
    for part in (facescape, identity, identity / inner, own):
        capture = open_capture(part)
        assert (capture.subject, capture.frame) == (SUBJECT, "head"), part
        assert list_subjects("auto", part) == [SUBJECT]
        assert open_capture(part, SUBJECT).frame == "head"
    params = own / "params.json"
    params.write_text(params.read_text().replace('"1_width": 24', '"1_width": "wide"'))
    found = inspect_capture(own)
    assert len(found.views) == 5 and (found.capture.subject, found.capture.frame) == (
        SUBJECT,
        "head",
    )
    (facescape / "Rt_scale_dict.json").rename(own / "Rt_scale_dict.json")
    params.write_text(params.read_text().replace('"1_width": "wide"', '"1_width": 24'))
    assert (open_capture(own).subject, open_capture(own).frame) == (SUBJECT, "head")
    (own / "Rt_scale_dict.json").unlink()
    for part in (facescape, identity, identity / inner, own):
        capture = open_capture(part)
        assert (capture.subject, capture.frame) == (SUBJECT, "arbitrary"), part


def test_an_identity_of_several_expressions(facescape):
    shutil.copytree(facescape / SUBJECT, facescape / "7/2_smile")
    shutil.copytree(facescape / SUBJECT, facescape / "77/2_smile")
    assert list_subjects("auto", facescape / "7") == [SUBJECT, "7/2_smile"]
    for name in ("2_smile", "7/2_smile"):
        assert open_capture(facescape / "7", name).subject == "7/2_smile"
    with pytest.raises(CaptureError, match="2 subjects, which one"):
        open_capture(facescape / "7")


@pytest.mark.parametrize(("folder", "key"), [("007", "7"), ("7", "007"), ("007", "007")])
def test_zeros_before_a_number_mean_nothing(facescape, edit, folder, key):
    edit(facescape / "Rt_scale_dict.json", lambda table: table.update({key: table.pop("7")}))
    if folder != "7":
        (facescape / "7").rename(facescape / folder)
    assert open_capture(facescape).subject == f"{folder}/1_neutral"
    assert open_capture(facescape).frame == open_capture(facescape / folder).frame == "head"
