"""A look at a capture: all its faults at once, each with a remedy, and a picture of the rig."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from labelsplat.__main__ import main
from labelsplat.capture import inspect_capture, inspection_text
from labelsplat.viz import plot_inspection, png_bytes
from labelsplat.viz.rig import short_names

SUBJECT = "7/1_neutral"


def errors(found):
    return [p for p in found.problems if p.level == "error"]


def test_a_good_capture(facescape):
    found = inspect_capture(facescape)
    assert found.ok and not errors(found)
    assert [v.name for v in found.views] == list("012345")
    assert found.views[0].yaw == pytest.approx(-80, abs=3)
    assert found.views[4].pitch == pytest.approx(-30, abs=3)
    assert all(v.distance == pytest.approx(1.15, abs=0.05) for v in found.views)
    assert all(abs(v.roll) < 3 and v.aside < 10 for v in found.views)
    assert found.span == pytest.approx(163, abs=5)
    text = inspection_text(found)
    assert "6 views" in text and "knows its head frame" in text
    assert len([line for line in text.splitlines() if "24x16" in line]) == 4


def test_a_capture_without_head_frame_says_so(nerfstudio):
    found = inspect_capture(nerfstudio)
    assert found.ok
    (note,) = [p for p in found.problems if "where the face looks" in p.what]
    assert note.level == "note" and "head_frame.json" in note.remedy
    assert "cameras' mean" in inspection_text(found)


def test_all_faults_of_a_facescape_capture_are_found(facescape, params, edit):
    def spoil(table):
        table["1_K"][0][0] = -500.0  # a negative focal length
        table["3_Rt"][0] = [-x for x in table["3_Rt"][0]]  # a mirrored axis

    edit(params, spoil)
    photos = params.parent
    (photos / "5.jpg").unlink()
    photo = photos / "2.jpg"
    photo.write_bytes(photo.read_bytes()[: -photo.stat().st_size // 4])
    found = inspect_capture(facescape)
    assert not found.ok
    told = {word: [p for p in errors(found) if word in f"{p.where} {p.what}"] for word in
            ("focal", "reflection", "missing", "2.jpg")}  # fmt: skip
    assert all(len(problems) == 1 for problems in told.values()), errors(found)
    assert {v.name for v in found.views} == {"0", "2", "4"}
    assert str(facescape) in told["reflection"][0].where  # not the copy's folder
    text = inspection_text(found)
    assert "3 views are left out" in text
    assert all(p.remedy in text for p in found.problems)


def test_all_faults_of_a_nerfstudio_capture_are_found(nerfstudio, edit):
    def spoil(table):
        table["frames"][0]["fl_x"] = "wide"
        table["frames"][2]["transform_matrix"][1][1] = float("nan")
        table["frames"][4]["w"], table["frames"][4]["h"] = 99, 16

    edit(nerfstudio / "transforms.json", spoil)
    shutil.copy(nerfstudio / "images/frame_2.png", nerfstudio / "images/frame_4.png")
    found = inspect_capture(nerfstudio)
    assert len(errors(found)) == 3
    assert [v.name for v in found.views] == ["frame_2", "frame_4", "frame_6"]
    assert any("same photo as frame_2" in p.what for p in found.problems)


def test_what_names_no_view_is_told_alone(nerfstudio):
    (nerfstudio / "transforms.json").write_text("{")
    found = inspect_capture(nerfstudio)
    assert found.capture is None and not found.ok
    (problem,) = found.problems
    assert "JSON" in problem.what and "transforms.json" in problem.where
    with pytest.raises(ValueError, match="did not open"):
        plot_inspection(found)


def test_no_capture_at_all(tmp_path):
    found = inspect_capture(tmp_path / "nowhere")
    assert not found.ok and "no such folder" in found.problems[0].what


def test_photos_that_cost_quality_are_told(nerfstudio):
    folder = nerfstudio / "images"
    rng = np.random.default_rng(0)
    for number in range(1, 6):  # all but the sixth have fine structure
        path = folder / f"frame_{number}.png"
        photo = np.asarray(Image.open(path)) * 0.7 + rng.uniform(0, 70, (1, 1, 3))
        photo = photo + rng.normal(0, 25, photo.shape)
        photo = photo / 6 if number == 1 else photo
        Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(path)
    found = inspect_capture(nerfstudio)
    warnings = {p.where: p for p in found.problems if p.level == "warning"}
    assert "stops" in warnings["frame_1"].what and "colour_affine" in warnings["frame_1"].remedy
    assert "sharpness" in warnings["frame_6"].what


def test_a_view_that_looks_past_the_head_is_told(nerfstudio, edit):
    def turn(table):
        matrix = np.array(table["frames"][1]["transform_matrix"])
        angle = np.radians(40)
        spin = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        matrix[:3, :3] = matrix[:3, :3] @ spin
        table["frames"][1]["transform_matrix"] = matrix.tolist()

    edit(nerfstudio / "transforms.json", turn)
    found = inspect_capture(nerfstudio)
    assert any(p.where == "frame_2" and "what the others look at" in p.what for p in found.problems)


def test_a_frame_given_beside_the_photos_is_used(nerfstudio):
    axes = '{"axes": {"left": [0, 0, -1], "up": [0, 1, 0], "front": [1, 0, 0]}}'
    (nerfstudio / "head_frame.json").write_text(axes)
    plain = inspect_capture(nerfstudio)
    assert "given in head_frame.json" in inspection_text(plain)
    assert plain.views[2].yaw == pytest.approx(-90, abs=5)  # it stands where the face looked to +z
    (nerfstudio / "head_frame.json").write_text("{}")
    assert any("head_frame.json" in p.where for p in errors(inspect_capture(nerfstudio)))


def test_the_picture_is_the_same_every_time_and_shows_the_cameras(facescape, nerfstudio):
    found = inspect_capture(facescape)
    picture = plot_inspection(found)
    above, side = picture.axes[:2]
    for axes in (above, side):
        assert {t.get_text() for t in axes.texts} >= {"front"}
        numbers = [t.get_text() for t in axes.texts if t.get_text().isdigit()]
        assert set(numbers) <= set("012345") and len(numbers) >= 4
    # From above the frontal camera stands below the head, where the face looks.
    place = {t.get_text(): t.get_position() for t in above.texts}
    assert place["2"][1] < -1 and abs(place["2"][0]) < 0.2
    assert png_bytes(plot_inspection(found)) == png_bytes(picture)
    words = {t.get_text() for t in plot_inspection(inspect_capture(nerfstudio)).axes[0].texts}
    assert "front" not in words and "cameras' mean" in words


def test_short_names():
    assert short_names(["frame_00012", "frame_00003"]) == ["12", "3"]
    assert short_names(["a", "b"]) == ["a", "b"]
    assert short_names(["left_camera", "right_camera"]) == ["1", "2"]


def test_command(facescape, params, tmp_path, capsys, edit):
    out = tmp_path / "rig.png"
    assert main(["inspect", str(facescape), "--out", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size[0] > 500
    assert "6 views" in capsys.readouterr().out
    edit(params, lambda table: table.update({"1_K": "none"}))
    with pytest.raises(SystemExit) as caught:
        main(["inspect", str(facescape), "--subject", SUBJECT])
    assert caught.value.code == 1
    assert "1_K" in capsys.readouterr().out
