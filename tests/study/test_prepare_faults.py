"""What cannot be used is named, and nothing is written then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from labelsplat.base import LabelsplatError, ParameterError
from labelsplat.study.package import read_package
from labelsplat.study.prepare import StudySettings, prepare_study

from .prepare_fixtures import SMALL, contents, prepare, write_judged


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    return write_judged(tmp_path_factory.mktemp("judged"))


@pytest.fixture
def spoilt(judged: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(judged, tmp_path / "spoilt"))


def rewrite(path: Path, **changes) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(value | changes), encoding="utf-8")


def cell(path: Path, column: str, value: str) -> None:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.loc[0, column] = value
    table.to_csv(path, index=False)


PICTURE = "301/1_neutral/0.png"
SPOIL = {
    "no folder": (lambda r: shutil.rmtree(r), "folder is missing.*make repro"),
    "no list": (lambda r: (r / "images.csv").unlink(), "images.csv.*cannot be read"),
    "no json": (lambda r: (r / "judged.json").write_text("{"), "judged.json.*not valid JSON"),
    "version": (lambda r: rewrite(r / "judged.json", format=2), "format 2, this version reads 1"),
    "keys": (lambda r: (r / "judged.json").write_text('{"format": 1}'), "not complete"),
    "method": (lambda r: rewrite(r / "judged.json", methods=["best"]), "unknown method 'best'"),
    "alone": (
        lambda r: rewrite(r / "judged.json", methods=["refined"], reference=False),
        "compares at least two",
    ),
    "reference": (lambda r: rewrite(r / "judged.json", reference=False), '"reference" is false'),
    "palette": (lambda r: rewrite(r / "judged.json", palette=[[0, 0, 0]]), "19 classes and 1 col"),
    "photo": (lambda r: (r / "photos" / PICTURE).unlink(), "photos/301/.*no such picture"),
    "mask": (lambda r: (r / "masks/refined" / PICTURE).unlink(), "masks/refined/.*no such picture"),
    "stratum": (lambda r: cell(r / "images.csv", "stratum", "odd"), "unknown stratum 'odd'"),
    "twice": (lambda r: cell(r / "images.csv", "view", "1"), "stands there twice"),
    "outside": (lambda r: cell(r / "images.csv", "subject", "../x"), "no picture below"),
    "nobody": (lambda r: cell(r / "images.csv", "identity", ""), "without subject, view or ident"),
    "score": (lambda r: cell(r / "scores.csv", "miou", "1.2"), "is '1.2', expected 0 to 1"),
    "text": (lambda r: cell(r / "scores.csv", "miou", "x"), "is 'x', expected 0 to 1"),
    "scores": (lambda r: cell(r / "scores.csv", "method", "best"), "score of 'best'"),
    "column": (
        lambda r: (r / "scores.csv").write_text("subject,view,method\n"),
        "scores.csv.*no column 'miou'",
    ),
}


@pytest.mark.parametrize("what", SPOIL)
def test_a_spoilt_folder_is_named_and_nothing_is_written(spoilt: Path, tmp_path: Path, what: str):
    spoil, message = SPOIL[what]
    spoil(spoilt)
    with pytest.raises(LabelsplatError, match=f"(?s){message}") as caught:
        prepare(spoilt, tmp_path / "out")
    assert "spoilt" in str(caught.value)
    assert not (tmp_path / "out").exists()


def every(root: Path, folder: str, picture: Image.Image) -> None:
    for path in (root / folder).rglob("*.png"):
        picture.save(path)


@pytest.mark.parametrize(
    ("folder", "picture", "message"),
    [
        ("masks/refined", Image.new("L", (20, 20)), "20 x 20 pixels, its photo has 24 x 24"),
        ("masks/refined", Image.new("RGB", (24, 24)), "label map has one channel"),
        ("masks/refined", Image.new("L", (24, 24), 40), "index 40 has no class"),
        ("photos", Image.new("RGB", (24, 20)), "square photo in RGB.*24 x 20"),
        ("photos", Image.new("L", (24, 24)), "square photo in RGB.*in L"),
    ],
)
def test_a_wrong_picture_is_named_and_the_old_package_stays(
    judged: Path, spoilt: Path, tmp_path: Path, folder: str, picture, message: str
):
    prepare(judged, tmp_path / "out")
    before = contents(tmp_path / "out")
    every(spoilt, folder, picture)
    with pytest.raises(LabelsplatError, match=f"{folder}.*{message}"):
        prepare(spoilt, tmp_path / "out", seed=1)
    assert contents(tmp_path / "out") == before


def test_a_broken_photo_is_named(spoilt: Path, tmp_path: Path):
    for path in (spoilt / "photos").rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(LabelsplatError, match=r"photos/.*cannot be read"):
        prepare(spoilt, tmp_path)


def test_the_key_may_not_lie_in_the_package(judged: Path, tmp_path: Path):
    with pytest.raises(ParameterError, match="travel with the package"):
        prepare_study(judged, tmp_path, tmp_path / "key.csv", SMALL, seed=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"design": "abx"}, r"study\.design: unknown design 'abx'.*acr, pairs"),
        ({"images": 1}, r"study\.images: 1"),
        ({"images": 2.5}, r"study\.images: 2\.5"),
        ({"orders": 0}, r"study\.orders: 0"),
        ({"absurd": -1}, r"study\.absurd: -1"),
        ({"repeats": True}, r"study\.repeats: True"),
        ({"pairs_per_image": 0}, r"study\.pairs_per_image: 0"),
        ({"images_per_rater": 30}, r"study\.images_per_rater: 30.*2 to 24"),
        ({"images_per_rater": 1}, r"study\.images_per_rater: 1"),
    ],
)
def test_settings_check_themselves(values: dict, message: str):
    with pytest.raises(ParameterError, match=message):
        StudySettings(**values)


def test_more_checks_than_photos_are_refused(judged: Path, tmp_path: Path):
    with pytest.raises(ParameterError, match=r"study\.absurd: 9 checks.*sees 6 photos"):
        prepare(judged, tmp_path, StudySettings(images=12, images_per_rater=6, absurd=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, items: {"good": e["good"]}, "not complete .KeyError: 'bad'"),
        (lambda e, items: {"good": e["good"], "bad": e["good"]}, "two different practice items"),
        (lambda e, items: {"good": e["good"], "bad": items[0]}, "two different practice items"),
        (lambda e, items: [e["good"], e["bad"]], "not complete .TypeError"),
    ],
)
def test_examples_that_are_none_are_refused(judged: Path, tmp_path: Path, change, message: str):
    plan = prepare(judged, tmp_path)
    path = tmp_path / "package/manifest.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    rewrite(path, examples=change(value["examples"], plan.orders[0]))
    with pytest.raises(LabelsplatError, match=f"manifest.json.*{message}"):
        read_package(tmp_path / "package")
    value.pop("examples")  # which every package may go without
    path.write_text(json.dumps(value), encoding="utf-8")
    assert read_package(tmp_path / "package").examples is None
