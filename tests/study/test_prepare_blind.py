"""Attacks on the blinding by somebody who has the package, this code, and the judged pictures."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from labelsplat.base import ParameterError
from labelsplat.study.key import read_key
from labelsplat.study.prepare import StudySettings

from .prepare_fixtures import contents, prepare, write_judged

SETTINGS = StudySettings(images=12, orders=10, absurd=3, repeats=2, salt="what nobody knows")
DESIGNS = ("acr", "pairs")


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    return write_judged(tmp_path_factory.mktemp("judged"))


def rebuilt(package: Path, judged: Path, folder: Path, settings: StudySettings) -> dict[str, tuple]:
    """(kind, method, other method) of each id, by preparing anew and laying the orders over."""
    plan = prepare(judged, folder, settings)
    facts = plan.key.set_index("item")[["kind", "method", "other_method"]]
    votes: dict[str, Counter] = {}
    value = json.loads((package / "manifest.json").read_text(encoding="utf-8"))
    for shown, own in zip(value["orders"], plan.orders, strict=True):
        for blinded, item in zip(shown, own, strict=True):
            votes.setdefault(blinded, Counter())[tuple(facts.loc[item])] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in votes.items()}


def share_right(key: pd.DataFrame, guesses: dict[str, tuple]) -> tuple[float, float]:
    """(what all ids are, what method the scored items show), as shares that were guessed."""
    facts = key.set_index("item")[["kind", "method", "other_method"]]
    right = [tuple(facts.loc[name]) == guess for name, guess in guesses.items()]
    items = {n: g for n, g in guesses.items() if facts.at[n, "kind"] == "item"}
    methods = [facts.at[n, "method"] == g[1] for n, g in items.items()]
    return float(np.mean(right)), float(np.mean(methods))


@pytest.mark.parametrize("design", DESIGNS)
def test_the_key_cannot_be_rebuilt_without_the_salt(judged: Path, tmp_path: Path, design: str):
    settings = dataclasses.replace(SETTINGS, design=design)
    prepare(judged, tmp_path / "own", settings)
    key = read_key(tmp_path / "own/key.csv")
    package = tmp_path / "own/package"
    known = rebuilt(package, judged, tmp_path / "known", settings)
    assert share_right(key, known) == (1, 1)  # with the salt it is no attack but the key
    shares = []
    for salt in ("", "guess", "what nobody knew"):
        other = dataclasses.replace(settings, salt=salt)
        shares.append(share_right(key, rebuilt(package, judged, tmp_path / "guess", other)))
    everything, methods = np.mean(shares, axis=0)
    # Chance: one of five methods; of 20 ordered pairs of them.
    assert methods < 0.3
    assert everything < (0.3 if design == "acr" else 0.12)


def test_nor_with_other_pictures(judged: Path, tmp_path: Path):
    """Without a salt, one changed pixel of one rated label map changes all draws."""
    settings = dataclasses.replace(SETTINGS, salt="")
    plan = prepare(judged, tmp_path / "own", settings)
    other = write_judged(tmp_path / "judged")
    row = plan.selection.images.iloc[0]
    path = other / "masks/refined" / row["subject"] / f"{row['view']}.png"
    with Image.open(path) as image:
        image.load()
    image.putpixel((0, 0), 3)
    image.save(path)
    guesses = rebuilt(tmp_path / "own/package", other, tmp_path / "guess", settings)
    assert share_right(read_key(tmp_path / "own/key.csv"), guesses)[1] < 0.45


@pytest.mark.parametrize("design", DESIGNS)
def test_same_salt_same_bytes(judged: Path, tmp_path: Path, design: str):
    settings = dataclasses.replace(SETTINGS, design=design)
    for name in "ab":
        prepare(judged, tmp_path / name, settings)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_salt_stays_with_the_analyst(judged: Path, tmp_path: Path):
    plan = prepare(judged, tmp_path, SETTINGS)
    assert not any(SETTINGS.salt.encode() in found for found in contents(tmp_path).values())
    plan.write(tmp_path / "plan.json", {})
    value = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert value["settings"]["salt"] == SETTINGS.salt
    assert not any("salt" in note for note in plan.notes)


def test_without_a_salt_the_plan_says_what_that_means(judged: Path, tmp_path: Path):
    plan = prepare(judged, tmp_path, dataclasses.replace(SETTINGS, salt=""))
    assert any("study.salt" in note and "rebuild the key" in note for note in plan.notes)


def test_a_salt_is_a_text():
    with pytest.raises(ParameterError, match=r"study\.salt: 17.*quotes"):
        StudySettings(salt=17)
