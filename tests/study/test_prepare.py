"""From judged pictures to a blinded package: nothing in it tells a method, all of it can be told
by the key."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from labelsplat.base.layout import Layout
from labelsplat.study import overlay
from labelsplat.study.fixed import fixed_beforehand
from labelsplat.study.judged import read_judged
from labelsplat.study.key import METHODS, read_key
from labelsplat.study.package import read_package
from labelsplat.study.plan import people_table, selection_table, session_table
from labelsplat.study.prepare import StudySettings
from labelsplat.viz import study_prepare

from .prepare_fixtures import SIZE, contents, prepare, write_judged

LIB = Path(__file__).resolve().parents[2] / "lib"


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    return write_judged(tmp_path_factory.mktemp("judged"))


@pytest.fixture
def spoilt(judged: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(judged, tmp_path / "spoilt"))


@pytest.fixture(scope="module", params=["acr", "pairs"])
def made(request, judged: Path, tmp_path_factory):
    """(plan, package, key, folder) of a small study."""
    folder = tmp_path_factory.mktemp(request.param)
    settings = StudySettings(
        design=request.param, images=12, orders=20, absurd=3, repeats=2, pairs_per_image=5
    )
    plan = prepare(judged, folder, settings)
    return plan, read_package(folder / "package"), read_key(folder / "key.csv"), folder


# -- the package and its key ---------------------------------------------------------------------


def test_package_and_key_name_the_same_items_and_nothing_is_left_over(made):
    plan, package, key, folder = made
    assert set(package.items) == set(key["item"]) and len(key) == len(package.items)
    assert set(key["study"]) == {package.study} == {plan.study}
    assert set().union(*package.orders, package.practice) == set(package.items)
    used = {name for item in package.items.values() for name in (item.photo, *item.masks)}
    assert used == {f"images/{p.name}" for p in (folder / "package" / "images").iterdir()}
    assert sum(1 + len(item.masks) for item in package.items.values()) == len(used)  # own files


def test_pictures_are_those_that_the_key_says(made, judged: Path):
    _, package, key, _ = made
    source = read_judged(judged)
    for row in key[key["kind"].isin(["item", "repeat"])].itertuples():
        photo, masks = overlay.screen_pictures(package, row.item)
        assert (photo == source.photo(row.subject, row.view)).all()
        for method, shown in zip((row.method, row.other_method), masks, strict=False):
            labels = source.mask(method, row.subject, row.view)
            assert (shown == overlay.label_picture(labels)).all()
        assert row.miou == source.miou(row.subject, row.view, row.method)


def test_nothing_in_the_package_tells_a_method(made):
    _, package, key, folder = made
    text = (folder / "package" / "manifest.json").read_text(encoding="utf-8")
    words = {*METHODS, "absurd", "repeat", "neutral", "stratum", "extreme", "miou", "seed"}
    assert not [word for word in words if word in text]
    masks = [name for item in package.items.values() for name in item.masks]
    assert len({(package.root / name).stat().st_size for name in masks}) == 1
    digests = {hashlib.sha256((package.root / name).read_bytes()).hexdigest() for name in masks}
    assert len(digests) == len(masks)  # not even that two show the same
    for name in {n for item in package.items.values() for n in (item.photo, *item.masks)}:
        with Image.open(package.root / name) as image:
            image.load()
            assert image.info == {} and not getattr(image, "text", {}), name
    names = {*package.items, *key["image"], *(Path(n).stem for n in masks), package.study}
    assert all(len(name) == 10 and name.isalnum() and name == name.lower() for name in names)
    assert list(package.items) == sorted(package.items)


def test_names_do_not_follow_the_methods(made):
    """Sorted by name, methods come in no order: neither in runs nor at one end."""
    _, _, key, _ = made
    rows = key[key["kind"] == "item"].sort_values("item")
    half = len(rows) // 2
    for method in METHODS:
        share = (rows["method"][:half] == method).mean()
        assert 0.05 < share < 0.4, method


def test_each_rater_sees_each_photo_with_each_method_once(made):
    plan, package, key, _ = made
    facts = key.set_index("item")
    for order in package.orders:
        rows = facts.loc[list(order)]
        scored = rows[rows["kind"] == "item"]
        if package.design == "acr":
            assert len(scored) == 12 * 5
            assert not scored.duplicated(["image", "method"]).any()
        else:
            pairs = [(r.image, frozenset((r.method, r.other_method))) for r in scored.itertuples()]
            assert len(pairs) == 12 * 5 == len(set(pairs))
        assert len(scored) == plan.ratings and len(order) == plan.screens
        assert (rows["kind"] == "absurd").sum() == 3 and (rows["kind"] == "repeat").sum() == 2
        for row in rows[rows["kind"] == "repeat"].itertuples():
            first = facts.loc[row.repeat_of]
            assert (first["image"], first["method"]) == (row.image, row.method)
            assert first["other_method"] == row.other_method
            assert order.index(row.Index) - order.index(row.repeat_of) >= 20


def test_absurd_maps_are_somebody_elses_and_score_next_to_nothing(made):
    _, package, key, _ = made
    absurd = key[key["kind"] == "absurd"]
    assert len(absurd) == 3
    for row in absurd.itertuples():
        scores = [row.miou, row.other_miou][: len(package.items[row.item].masks)]
        assert min(scores) < 0.25  # the worst method has 0.7
        if package.design == "pairs":
            assert max(scores) == 1.0 and "reference" in (row.method, row.other_method)
    if package.design == "pairs":  # on either side
        assert 0 < (absurd["miou"] < absurd["other_miou"]).sum() < 3


def test_the_key_says_who_is_shown_and_which_side_is_absurd(made, judged: Path):
    _, package, key, _ = made
    people = pd.read_csv(judged / "images.csv", dtype=str).set_index(["subject", "view"])
    for row in key.itertuples():
        assert row.identity == people.at[(row.subject, row.view), "identity"]
    absurd = key["kind"] == "absurd"
    assert (key["absurd_side"][~absurd] == "").all()
    if package.design == "acr":
        assert (key["absurd_side"] == "").all()
        return
    assert set(key["absurd_side"][absurd]) == {"left", "right"}
    for row in key[absurd].itertuples():  # the scrambled one is the one with the low score
        scores = {"left": row.miou, "right": row.other_miou}
        assert row.absurd_side == min(scores, key=scores.get)


def test_practice_is_of_somebody_else_and_spans_the_scale(made):
    _, package, key, _ = made
    rows = key.set_index("item").loc[list(package.practice)]
    assert len(rows) == 3 and set(rows["kind"]) == {"practice"}
    assert not set(rows["subject"]) & set(key[key["kind"] != "practice"]["subject"])
    scores = rows[["miou", "other_miou"]].to_numpy().ravel()
    assert np.nanmax(scores) == 1 and np.nanmin(scores) < 0.25


def test_examples_are_a_true_map_and_a_scrambled_one(made):
    plan, package, key, _ = made
    assert package.examples == plan.examples
    if package.design == "pairs":  # one screen shows both
        assert package.examples is None
        return
    good, bad = (key.set_index("item").loc[name] for name in package.examples)
    assert {good["kind"], bad["kind"]} == {"practice"}
    assert good["method"] == "reference" and good["miou"] == 1 and bad["miou"] < 0.25


def test_legend_names_the_classes_that_occur_in_words(made):
    _, package, _, _ = made
    names = dict(package.legend)
    assert {"skin", "hair", "nose", "clothes", "left eye"} <= set(names)
    assert not any("_" in name for name in names)
    assert names["skin"] == "#ffd166"


def test_tables_count_what_was_prepared(made):
    plan, package, _, _ = made
    table = selection_table(plan)
    assert table.loc["all", "photos"] == 12 and list(table["photos"][:3]) == [4, 4, 4]
    assert people_table(plan)["all"].sum() == 12
    blocks = session_table(plan)
    assert blocks.to_numpy().sum() == 20 * 60 * (1 if package.design == "acr" else 2)
    assert np.ptp(blocks.to_numpy()) == 0  # 20 raters: whole squares


# -- seeds ---------------------------------------------------------------------------------------


def test_same_seed_same_bytes_and_another_seed_another_study(judged: Path, tmp_path: Path):
    prepare(judged, tmp_path / "a")
    prepare(judged, tmp_path / "b")
    prepare(judged, tmp_path / "c", seed=1)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    keys = [read_key(tmp_path / name / "key.csv") for name in "ac"]
    assert not set(keys[0]["item"]) & set(keys[1]["item"])
    assert set(keys[0]["study"]) != set(keys[1]["study"])


def test_other_pictures_give_other_names(judged: Path, spoilt: Path, tmp_path: Path):
    a = prepare(judged, tmp_path / "a")
    row = a.selection.images.iloc[0]
    path = spoilt / "photos" / row["subject"] / f"{row['view']}.png"
    Image.fromarray(np.zeros((SIZE, SIZE, 3), np.uint8)).save(path)
    b = prepare(spoilt, tmp_path / "b")
    assert a.study != b.study and not set(a.key["item"]) & set(b.key["item"])


def test_scores_choose_nothing(judged: Path, spoilt: Path, tmp_path: Path):
    """With every score turned round the same pictures are shown, in the same files."""
    scores = pd.read_csv(spoilt / "scores.csv")
    scores.assign(miou=1 - scores["miou"]).to_csv(spoilt / "scores.csv", index=False)
    prepare(judged, tmp_path / "a")
    prepare(spoilt, tmp_path / "b")
    assert contents(tmp_path / "a" / "package") == contents(tmp_path / "b" / "package")


def test_plan_is_written_with_its_seed(judged: Path, tmp_path: Path):
    plan = prepare(judged, tmp_path, seed=7)
    rules = {"absurd_allowed": 1, "answered": 0.8}
    plan.write(tmp_path / "plan.json", fixed_beforehand(500, rules))
    value = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert value["seed"] == 7 and value["study"] == plan.study
    assert value["items"].pop("repeat") == len({i for o in plan.orders for i in o}) - 62
    assert value["items"] == {"absurd": 2, "item": 60, "practice": 3}
    assert (value["screens"], value["ratings"]) == (64, 60)
    assert value["fixed"] == {
        "primary": "refined-self_training", "alpha": 0.05, "bootstrap": 500, "exclusion": rules,
    }  # fmt: skip


# -- other captures ------------------------------------------------------------------------------


@pytest.mark.parametrize("design", ["acr", "pairs"])
def test_a_capture_without_truth_makes_the_same_study_without_reference(tmp_path: Path, design):
    judged = write_judged(tmp_path / "judged", truth=False, poses=False)
    settings = StudySettings(design=design, images=12, orders=6, absurd=2, repeats=2)
    plan = prepare(judged, tmp_path, settings)
    key = read_key(tmp_path / "key.csv")
    read_package(tmp_path / "package")
    assert plan.methods == ("baseline", "self_training", "refined")
    assert plan.examples is None  # nobody knows which label map fits
    items = key[key["kind"] == "item"]
    assert items["miou"].isna().all() and items["other_miou"].isna().all()
    absurd = key[key["kind"] == "absurd"]
    known = absurd[["miou", "other_miou"]].to_numpy()
    assert (np.nansum(known, axis=1) == 0).all() and (np.isfinite(known).sum(1) == 1).all()
    assert any("no true label maps" in note for note in plan.notes)
    assert any("nobody here is unseen" in note for note in plan.notes)
    assert selection_table(plan).index.tolist() == ["pose not known", "all"]


def test_fewer_photos_than_asked_for_are_used_and_said(tmp_path: Path):
    judged = write_judged(tmp_path / "judged", people=2)
    plan = prepare(judged, tmp_path, StudySettings(images=24, images_per_rater=16, orders=5))
    assert len(plan.selection.images) == 12 and not len(plan.selection.practice)
    assert "24 photos were asked for, there are 12." in plan.notes
    assert "12 photos show 2 people." in plan.notes
    assert "Each rater sees all 12 photos, not 16." in plan.notes
    assert read_package(tmp_path / "package").practice == ()


def test_fewer_photos_a_rater(judged: Path, tmp_path: Path):
    settings = StudySettings(images=12, images_per_rater=6, orders=10, absurd=1, repeats=1)
    plan = prepare(judged, tmp_path, settings)
    assert {len(order) for order in plan.orders} == {6 * 5 + 2}
    items = plan.key[plan.key["kind"] == "item"]["item"]
    often = Counter(name for order in plan.orders for name in order)
    assert {often[name] for name in items} == {5}


# -- what is read --------------------------------------------------------------------------------

READS = """\
import sys
from pathlib import Path
root = Path(sys.argv[1]).resolve()
opened = []
def hear(event, arguments):
    if event in ("open", "os.listdir", "os.scandir"):
        opened.append(str(arguments[0]))
sys.addaudithook(hear)
from labelsplat.study.prepare import StudySettings, prepare_study
prepare_study(root / "data/judged", root / "data/study/package", root / "data/study/key.csv",
    StudySettings(images=6, orders=2, absurd=1, repeats=1), seed=0)
paths = [Path(p).resolve() for p in opened if Path(p).is_absolute()]
inside = {p.relative_to(root).as_posix() for p in paths if p.is_relative_to(root)}
print("\\n".join(sorted(inside)))
print("torch" in sys.modules)
"""  # fmt: skip


def test_no_truth_tree_is_opened(judged: Path, tmp_path: Path):
    """A project with truth in all its places: nothing outside of data/judged is read there."""
    layout = Layout(tmp_path)
    shutil.copytree(judged, layout.judged)
    for folder in (layout.truth, layout.test_truth, layout.heldout_truth, layout.hard_truth):
        folder.mkdir(parents=True)
        (folder / "labels.json").write_text("no JSON", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", READS, str(tmp_path)],
        capture_output=True, text=True, check=True, env={"PYTHONPATH": str(LIB)},
    )  # fmt: skip
    *files, torch = done.stdout.splitlines()
    assert any(name.startswith("data/judged/masks/reference") for name in files)
    for name in files:
        assert name.startswith(("data/judged", "data/study")), name
    assert torch == "False"  # and it needs no network to be loaded


@pytest.mark.parametrize(
    "module",
    ["judged", "selection", "design", "screens", "overlay", "plan", "prepare", "key", "package"],
)
def test_modules_know_nothing_of_truth_or_captures(module: str):
    tree = ast.parse((LIB / "labelsplat/study" / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("labelsplat"):
            assert node.module.split(".")[1] in ("base", "labels", "study"), node.module
            assert node.module != "labelsplat.base.layout"
        if isinstance(node, ast.Attribute):
            assert "truth" not in node.attr


def test_figures_draw_what_the_package_holds(made):
    plan, package, key, _ = made
    assert len(study_prepare.plot_orders(plan.orders, key, plan.methods, 7)._repr_png_()) > 5000
    photo, masks = overlay.screen_pictures(package, plan.orders[0][0])
    assert (study_prepare.laid_over(photo, masks[0], 0.0) == photo).all()
    clear = masks[0][..., 3] == 0
    covered = study_prepare.laid_over(photo, masks[0], 1.0)
    assert (covered[clear] == photo[clear]).all()
    assert (covered[~clear] == masks[0][~clear][:, :3]).all()
    assert study_prepare.screens_sheet([(photo, masks)], ["one"])._repr_png_()
