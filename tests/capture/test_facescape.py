import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from labelsplat.base import CaptureError
from labelsplat.capture import (
    EXPRESSIONS,
    NORMAL_EXTENT,
    angles,
    common_focus,
    head_angles,
    list_facescape,
    prepare,
    read_facescape,
    scene_extent,
    write_facescape,
)

SUBJECT = "7/1_neutral"


def assert_same_camera(a, b, tolerance=1e-9):
    np.testing.assert_allclose(a.view_matrix, b.view_matrix, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.intrinsics, b.intrinsics, rtol=0, atol=tolerance)
    assert (a.width, a.height) == (b.width, b.height)


def files_of(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("seed", range(5))
def test_cameras_come_back_in_the_head_frame(tmp_path, names, photos, cameras, seed):
    write_facescape(tmp_path, SUBJECT, names, photos, cameras, seed)
    capture = read_facescape(tmp_path, SUBJECT)
    assert (capture.frame, capture.source, capture.subject) == ("head", "facescape", SUBJECT)
    assert list(capture.names) == names
    for read, written in zip(capture.cameras, cameras, strict=True):
        assert_same_camera(read, written)
    np.testing.assert_allclose(angles(capture), [head_angles(c) for c in cameras], atol=1e-7)


def test_photos_come_back_nearly_unchanged(facescape, photos):
    landscape = prepare(read_facescape(facescape, SUBJECT), 24).images[0, 4:20].astype(int)
    assert np.abs(landscape - photos[0]).max() <= 4  # JPEG at quality 98


def test_the_files_mean_what_facescape_says(facescape, cameras):
    """Head points, through the two files by FaceScape's own formulas, land where ours say."""
    table = json.loads((facescape / SUBJECT / "params.json").read_text())
    scale, alignment = json.loads((facescape / "Rt_scale_dict.json").read_text())["7"]["1"]
    rotation, translation = np.array(alignment)[:, :3], np.array(alignment)[:, 3]
    for i, camera in enumerate(cameras):
        for point in np.random.default_rng(i).normal(0, 0.05, (5, 3)):
            world = np.linalg.inv(rotation) @ (1000 * point - translation) / scale
            rt = np.array(table[f"{i}_Rt"])
            u, v, w = np.array(table[f"{i}_K"]) @ (rt[:, :3] @ world + rt[:, 3])
            # Integer pixel centres in the file, +0.5 in the library.
            np.testing.assert_allclose(camera.project(point), [u / w + 0.5, v / w + 0.5], atol=1e-7)


def test_the_written_world_is_arbitrary(tmp_path, names, photos, cameras):
    for subject in (SUBJECT, "8/1_neutral"):
        write_facescape(tmp_path, subject, names, photos, cameras)
    write_facescape(tmp_path / "other", SUBJECT, names, photos, cameras, seed=1)
    worlds = [
        np.array(json.loads((root / "params.json").read_text())["0_Rt"])
        for root in (tmp_path / SUBJECT, tmp_path / "8/1_neutral", tmp_path / "other" / SUBJECT)
    ]
    worlds.append(cameras[0].view_matrix[:3])
    for i, a in enumerate(worlds):
        for b in worlds[:i]:
            assert np.abs(a[:, :3] - b[:, :3]).max() > 0.05
            assert np.linalg.norm(a[:, 3] - b[:, 3]) > 0.05


def test_same_arguments_same_bytes_in_any_order(tmp_path, names, photos, cameras):
    subjects = ["10/1_neutral", "9/1_neutral", "9/2_smile", "9/12_lip_puckerer"]
    for root, order in (("a", subjects), ("b", subjects[::-1])):
        for subject in order:
            write_facescape(tmp_path / root, subject, names, photos, cameras)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    table = json.loads((tmp_path / "a/Rt_scale_dict.json").read_text())
    assert {k: list(v) for k, v in table.items()} == {"9": ["1", "2", "12"], "10": ["1"]}


def test_subjects_may_be_written_at_the_same_time(tmp_path, names, photos, cameras):
    subjects = [f"{i}/1_neutral" for i in range(1, 13)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda s: write_facescape(tmp_path, s, names, photos, cameras), subjects))
    assert list_facescape(tmp_path) == subjects
    assert all(read_facescape(tmp_path, s).frame == "head" for s in subjects)


def test_the_tree_holds_photos_nine_keys_and_the_alignment_only(facescape, names):
    files = set(files_of(facescape))
    expected = {f"{SUBJECT}/{name}.jpg" for name in names}
    assert files == expected | {f"{SUBJECT}/params.json", "Rt_scale_dict.json"}
    for file in expected:
        with Image.open(facescape / file) as image:
            assert (image.mode, image.format) == ("RGB", "JPEG")
            assert all(horizontal == vertical == 1 for _, horizontal, vertical, _ in image.layer)
    keys = ("K", "Rt", "distortion", "width", "height", "matches", "valid", "sn", "ori")
    table = json.loads((facescape / SUBJECT / "params.json").read_text())
    assert set(table) == {f"{name}_{key}" for name in names for key in keys}
    assert table["0_distortion"] == [0] * 5
    assert np.shape(table["0_K"]) == (3, 3)
    assert np.shape(table["0_Rt"]) == (3, 4)


def test_writing_refuses_what_it_could_not_read(tmp_path, names, photos, cameras):
    with pytest.raises(ValueError, match="subject"):
        write_facescape(tmp_path, "seven", names, photos, cameras)
    with pytest.raises(ValueError, match="unique"):
        write_facescape(tmp_path, SUBJECT, ["0"] * len(names), photos, cameras)
    with pytest.raises(ValueError, match="view 0"):
        write_facescape(tmp_path, SUBJECT, names, photos[::-1], cameras)
    assert not (tmp_path / SUBJECT).exists()
    assert not list(tmp_path.rglob("*.jpg"))


def test_four_by_four_matrices_mean_the_same(facescape, params, edit, cameras):
    def widen(table):
        for key, value in table.items():
            if key.endswith("_K"):
                wide = np.eye(4)
                wide[:3, :3] = value
                table[key] = wide.tolist()
            elif key.endswith("_Rt"):
                table[key] = [*value, [0, 0, 0, 1]]

    edit(params, widen)
    for read, written in zip(read_facescape(facescape, SUBJECT).cameras, cameras, strict=True):
        assert_same_camera(read, written)


def test_invalid_views_are_skipped_whatever_they_hold(facescape, params, edit, names):
    (facescape / SUBJECT / "2.jpg").unlink()
    edit(params, lambda t: t.update({"2_valid": False, "2_K": [[float("nan")]], "2_Rt": None}))
    assert list(read_facescape(facescape, SUBJECT).names) == [n for n in names if n != "2"]


def test_views_come_in_natural_order(tmp_path, photos, cameras):
    names = ["10", "9", "0", "100", "1", "20"]
    write_facescape(tmp_path, SUBJECT, names, photos, cameras)
    capture = read_facescape(tmp_path, SUBJECT)
    assert list(capture.names) == ["0", "1", "9", "10", "20", "100"]
    assert_same_camera(capture.cameras[3], cameras[0])


def test_distortion_is_kept_for_the_photo(facescape, params, edit):
    k = [0.1, -0.02, 0.001, 0.002, 0.003]
    edit(params, lambda t: t.update({"1_distortion": k, "3_distortion": k[:4]}))
    views = read_facescape(facescape, SUBJECT).views
    assert views[0].distortion is None
    assert views[1].distortion == tuple(k)
    assert views[3].distortion == (*k[:4], 0.0)


def test_without_alignment_origin_and_scale_are_normalised(facescape, cameras):
    (facescape / "Rt_scale_dict.json").unlink()
    capture = read_facescape(facescape, SUBJECT)
    assert capture.frame == "arbitrary"
    assert angles(capture) is None
    np.testing.assert_allclose(common_focus(capture.cameras), 0, atol=1e-9)
    assert scene_extent(capture.cameras, np.zeros(3)) == pytest.approx(NORMAL_EXTENT)
    # Still the same rig: all distances between cameras in one proportion, that of the scales.
    ours, true = (np.array([c.centre for c in rig]) for rig in (capture.cameras, cameras))
    ratio = np.linalg.norm(ours[1:] - ours[:-1], axis=1) / np.linalg.norm(
        true[1:] - true[:-1], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0])


def test_scale_is_remembered(facescape, params, cameras):
    table = json.loads(params.read_text())
    world = [np.array(table[f"{i}_Rt"]) for i in (0, 1)]
    gap = np.linalg.norm(np.subtract(*[-rt[:, :3].T @ rt[:, 3] for rt in world]))
    capture = read_facescape(facescape, SUBJECT)
    own = np.linalg.norm(capture.cameras[0].centre - capture.cameras[1].centre)
    assert capture.scale == pytest.approx(own / gap)


def test_the_alignment_may_lie_elsewhere_or_lack_the_subject(facescape, tmp_path, edit, cameras):
    moved = tmp_path / "predef.json"
    shutil.move(facescape / "Rt_scale_dict.json", moved)
    capture = read_facescape(facescape, SUBJECT, alignment=moved)
    assert_same_camera(capture.cameras[0], cameras[0])
    edit(moved, lambda t: t["7"].pop("1"))
    assert read_facescape(facescape, SUBJECT, alignment=moved).frame == "arbitrary"
    with pytest.raises(CaptureError, match=r"nowhere\.json"):
        read_facescape(facescape, SUBJECT, alignment=tmp_path / "nowhere.json")


def test_another_captures_alignment_is_caught(facescape, edit):
    def shift(table):
        for row in table["7"]["1"][1]:
            row[3] += 2000  # millimetres

    edit(facescape / "Rt_scale_dict.json", shift)
    with pytest.raises(CaptureError, match="another capture"):
        read_facescape(facescape, SUBJECT)


@pytest.mark.parametrize("entry", [[1.0], [0.0, None], [-3.0, None], [2.0, [[1, 2], [3, 4]]], {}])
def test_a_broken_alignment_is_named(facescape, edit, entry):
    edit(facescape / "Rt_scale_dict.json", lambda t: t["7"].update({"1": entry}))
    with pytest.raises(CaptureError, match=r"Rt_scale_dict\.json"):
        read_facescape(facescape, SUBJECT)


def test_gaps_and_both_layouts(facescape, tmp_path):
    own = facescape / SUBJECT
    shutil.copytree(own, facescape / "12/3_mouth_stretch")
    shutil.copytree(own, facescape / "12/20_brow_lower")
    # The other layout: meshes and registered models in the same folder; photos under images.
    (facescape / "12/dpmap").mkdir()
    (facescape / "12/models_reg").mkdir()
    (facescape / "12/models_reg/1_neutral.obj").write_text("v 0 0 0")
    (facescape / "12/3_mouth_stretch.ply").write_text("ply")
    shutil.copytree(own, facescape / "122/images/2_smile")
    shutil.copytree(own, facescape / "359")
    shutil.copytree(own, facescape / "360/images")
    # The parameters beside the photo folder, as FaceScape's own example has it.
    shutil.copytree(own, facescape / "40/1_neutral")
    shutil.move(facescape / "40/1_neutral/params.json", facescape / "40/1_neutral.json")
    (facescape / "5").mkdir()
    assert list_facescape(facescape) == [
        "7/1_neutral",
        "12/3_mouth_stretch",
        "12/20_brow_lower",
        "40/1_neutral",
        "122/2_smile",
        "359",
        "360",
    ]
    for subject in list_facescape(facescape):
        capture = read_facescape(facescape, subject)
        assert len(capture.views) == 6
        assert capture.frame == ("head" if subject == SUBJECT else "arbitrary")
    assert list_facescape(tmp_path / "nowhere") == []


def test_an_unknown_subject_lists_the_known(facescape):
    with pytest.raises(CaptureError, match="7/1_neutral"):
        read_facescape(facescape, "7/2_smile")


HALF = np.diag([-1.0, -1.0, 1.0])


def hang(table, name):
    """Let a camera hang upside down: its photo and its pixels from the other corner."""
    k, rt = np.array(table[f"{name}_K"]), np.array(table[f"{name}_Rt"])
    k[:2, 2] = (table[f"{name}_width"] - 1, table[f"{name}_height"] - 1) - k[:2, 2]
    d = table[f"{name}_distortion"]
    table[f"{name}_distortion"] = [d[0], d[1], -d[2], -d[3], d[4]]
    table[f"{name}_K"], table[f"{name}_Rt"] = k.tolist(), (HALF @ rt).tolist()


def hang_photo(folder, name):
    """The same photo upside down, without loss."""
    with Image.open(folder / f"{name}.jpg") as image:
        turned = image.transpose(Image.Transpose.ROTATE_180)
    (folder / f"{name}.jpg").unlink()
    turned.save(folder / f"{name}.png")


@pytest.mark.parametrize("aligned", [True, False])
def test_photos_of_upside_down_cameras_are_turned(facescape, params, edit, aligned):
    """Two of six cameras hang upside down: all that comes out is as if they had not."""
    bent = [0.2, -0.1, 0.02, -0.03, 0.05]
    edit(params, lambda t: t.update({f"{i}_distortion": bent for i in range(6)}))
    if not aligned:
        (facescape / "Rt_scale_dict.json").unlink()
    before = read_facescape(facescape, SUBJECT)
    straight = prepare(before, 24)
    for name in ("1", "2"):  # one landscape, one portrait
        edit(params, lambda table, name=name: hang(table, name))
        hang_photo(params.parent, name)
    after = read_facescape(facescape, SUBJECT)
    assert [view.turned for view in after.views] == [False, True, True, False, False, False]
    turned = prepare(after, 24)
    for a, b in zip(after.views, before.views, strict=True):
        assert_same_camera(a.camera, b.camera)
        np.testing.assert_allclose(a.distortion, b.distortion)
    np.testing.assert_array_equal(turned.images, straight.images)
    np.testing.assert_array_equal(turned.valid, straight.valid)


def test_a_mask_goes_back_to_the_photo_as_it_hung(facescape, params, edit):
    from labelsplat.report.refine_page import as_taken

    edit(params, lambda t: t.update({"1_distortion": [0.2, -0.1, 0.02, -0.03, 0.05]}))
    mask = np.random.default_rng(0).integers(0, 19, (16, 24)).astype(np.uint8)
    upright = as_taken(mask, read_facescape(facescape, SUBJECT).views[1], 255)
    edit(params, lambda t: hang(t, "1"))
    hanging = as_taken(mask, read_facescape(facescape, SUBJECT).views[1], 255)
    np.testing.assert_array_equal(hanging[::-1, ::-1], upright)


def test_a_whole_rig_upside_down(tmp_path, names, photos, cameras):
    """With a head frame its photos are turned; without one nobody can tell."""
    hung = [
        replace(c, rotation=HALF @ c.rotation, translation=HALF @ c.translation) for c in cameras
    ]
    write_facescape(tmp_path, SUBJECT, names, photos, hung)
    assert all(view.turned for view in read_facescape(tmp_path, SUBJECT).views)
    (tmp_path / "Rt_scale_dict.json").unlink()
    assert not any(view.turned for view in read_facescape(tmp_path, SUBJECT).views)


def test_all_twenty_expressions_in_their_own_order(facescape):
    assert len(EXPRESSIONS) == 20
    for expression in EXPRESSIONS[1:]:
        shutil.copytree(facescape / SUBJECT, facescape / "7" / expression)
    assert list_facescape(facescape) == [f"7/{expression}" for expression in EXPRESSIONS]
    for expression in EXPRESSIONS[1:]:
        # Each expression was aligned by itself: another's entry is not taken.
        assert read_facescape(facescape, f"7/{expression}").frame == "arbitrary"


def test_digits_without_end_are_a_name_too(facescape, params, edit):
    name = "9" * 5000
    edit(params, lambda t: t.update({k.replace("1_", f"{name}_"): v for k, v in [*t.items()]
                                     if k.startswith("1_")}))  # fmt: skip
    with pytest.raises(CaptureError, match="1 of 7 photos are missing"):
        read_facescape(facescape, SUBJECT)


def test_a_broken_entry_of_the_alignment_is_named_on_writing_too(facescape, edit, photos, cameras):
    edit(facescape / "Rt_scale_dict.json", lambda table: table.update({"7": [1]}))
    with pytest.raises(CaptureError, match=r"Rt_scale_dict\.json.*'7' should be an object"):
        write_facescape(facescape, "7/2_smile", ["0", "1"], photos[:2], cameras[:2])


def test_views_that_are_not_valid_are_told(facescape, params, edit):
    assert read_facescape(facescape, SUBJECT).notes == ()
    edit(params, lambda table: table.update({"1_valid": False, "4_valid": 0}))
    (note,) = read_facescape(facescape, SUBJECT).notes
    assert "2 views" in note and note.endswith(": 1, 4")
