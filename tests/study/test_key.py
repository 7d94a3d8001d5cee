"""The key: what it must say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from labelsplat.base import LabelsplatError
from labelsplat.study.key import COLUMNS, read_key, write_key


def row(item: str, **values) -> dict:
    plain = dict.fromkeys(COLUMNS, "") | {
        "study": "made", "item": item, "kind": "item", "image": "p", "subject": "301/1_neutral",
        "identity": "301", "view": "0", "method": "refined", "miou": 0.5,
    }  # fmt: skip
    return plain | values


PAIR = {"kind": "absurd", "other_method": "oracle", "other_miou": 0.1}


def written(folder: Path, *rows: dict) -> Path:
    write_key(folder / "key.csv", pd.DataFrame(rows))
    return folder / "key.csv"


def test_what_is_written_comes_back(tmp_path: Path):
    rows = [row("aaaa"), row("bbbb", kind="absurd"), row("cccc", **PAIR, absurd_side="right")]
    found = read_key(written(tmp_path, *rows))
    assert tuple(found.columns) == COLUMNS
    assert found["identity"].tolist() == ["301"] * 3  # texts: a number would lose its zeros
    assert found["absurd_side"].tolist() == ["", "", "right"]
    assert found["other_miou"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["identity", "absurd_side", "stratum"])
def test_a_key_of_an_older_version_is_named(tmp_path: Path, name: str):
    path = written(tmp_path, row("aaaa"))
    pd.read_csv(path).drop(columns=name).to_csv(path, index=False)
    with pytest.raises(LabelsplatError, match=rf"key\.csv.*no column '{name}'.*anew"):
        read_key(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("aaaa", identity="")], "'aaaa' shows no person"),
        ([row("aaaa", **PAIR)], "'aaaa' has absurd_side ''"),
        ([row("aaaa", **PAIR, absurd_side="top")], "absurd_side 'top'"),
        ([row("aaaa", kind="absurd", absurd_side="left")], "absurd_side 'left'"),
        ([row("aaaa", absurd_side="left")], "absurd_side 'left'"),
        ([row("aaaa"), row("aaaa")], "'aaaa' stands there twice"),
        ([row("aaaa"), row("bbbb", study="other")], "exactly one study"),
        ([row("aaaa", kind="odd")], "unknown kind 'odd'"),
        ([row("aaaa", other_method="best")], "unknown method 'best'"),
    ],
)
def test_a_spoilt_key_is_named(tmp_path: Path, rows: list[dict], message: str):
    with pytest.raises(LabelsplatError, match=rf"key\.csv.*{message}"):
        read_key(written(tmp_path, *rows))
