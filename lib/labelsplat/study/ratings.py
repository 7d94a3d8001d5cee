"""Ratings: read from CSV, held against package and key, joined to one tidy table.

A rating says where it comes from: ``human``, ``script`` (a load test) or ``simulation``. A table of
several origins is refused, for a mean over people and machines would look like one over people.

The origin is what the file says. The app fixes it when a link is issued; that a file comes from the
app is taken on trust, and only what cannot be people's (a simulated panel's names and dates) is
refused as such.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from labelsplat.base import LabelsplatError, atomic_path
from labelsplat.study.package import ORIGINS, RATING_COLUMNS, Package

_FROM_KEY = (
    "kind", "image", "subject", "identity", "view", "stratum", "method", "miou", "other_method",
    "other_miou", "repeat_of", "absurd_side",
)  # fmt: skip

_WHOLE = re.compile(r"-?[0-9]{1,9}")
_AGAIN = "Export the ratings anew"

FIRST_YEAR = 2020
"""Before it no person rated; simulated panels are dated to 1970."""


@dataclass(frozen=True, eq=False)
class Ratings:
    """The checked ratings of one study.

    Attributes:
        table: one row a rating, sorted by rater and position: ``rater, position, item, rating,
            seconds, answered_at`` and from the key ``kind, image, subject, identity, view,
            stratum, method, miou, other_method, other_miou, repeat_of, absurd_side``; and
            ``unit``, what was judged, whichever side it stood on (``acr``: the item), with the
            ``answer`` to it: the rating, of pairs turned to the side that comes first in the
            alphabet on the left.
        origin: one of :data:`~labelsplat.study.package.ORIGINS`, of all rows.
        design: of the package.
        study: of the package.
        key: of the package.
    """

    table: pd.DataFrame
    origin: str
    design: str
    study: str
    key: pd.DataFrame

    @property
    def simulated(self) -> bool:
        """Whether results must carry the mark SIMULATED: unless people rated."""
        return self.origin != "human"

    @property
    def raters(self) -> list[str]:
        """Pseudonyms, sorted."""
        return sorted(self.table["rater"].unique())

    @property
    def scored(self) -> pd.DataFrame:
        """The rows that scores are made of: no attention checks."""
        return self.table[self.table["kind"] == "item"]

    def without(self, raters: Iterable[str]) -> Ratings:
        """The same without some raters."""
        kept = ~self.table["rater"].isin(list(raters))
        return replace(self, table=self.table[kept].reset_index(drop=True))


def read_ratings(path: str | Path, package: Package, key: pd.DataFrame) -> Ratings:
    """Read exported ratings: UTF-8 CSV with the columns of the contract (``RATING_COLUMNS``).

    Args:
        path: the file.
        package: that was rated.
        key: of the package, from :func:`labelsplat.study.key.read_key`.

    Raises:
        LabelsplatError: as :func:`check_ratings`; the file cannot be read, or lacks a column.
    """
    path = Path(path)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in RATING_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise LabelsplatError(f"no column {missing[0]!r}", where=path, remedy=_AGAIN)
            for row in reader:
                if None in row or None in row.values():
                    raise LabelsplatError(
                        f"expected {len(reader.fieldnames)} values",
                        where=f"{path}, line {reader.line_num}",
                        remedy=_AGAIN,
                    )
                rows.append((reader.line_num, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsplatError(
            f"the ratings cannot be read ({error})",
            where=path,
            remedy="Name a CSV file that the rating app exported",
        ) from None
    return check_ratings(rows, package, key, where=path)


def write_ratings(path: str | Path, answers: pd.DataFrame) -> None:
    """Write answers as the app exports them, whole or not at all."""
    with atomic_path(path) as temporary:
        answers[list(RATING_COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")


def ratings_from_frame(answers: pd.DataFrame, package: Package, key: pd.DataFrame) -> Ratings:
    """Answers that were never a file (the simulated panel's), under the same checks.

    Raises:
        LabelsplatError: as :func:`check_ratings`; "line" then counts from 1.
    """
    texts = answers[list(RATING_COLUMNS)].astype(str).to_dict("records")
    return check_ratings(enumerate(texts, 1), package, key, where="answers")


def check_ratings(
    rows: Iterable[tuple[int, Mapping[str, str]]],
    package: Package,
    key: pd.DataFrame,
    *,
    where: object,
) -> Ratings:
    """Hold ratings against package and key, and join them.

    Args:
        rows: line number and texts by column.
        package: that was rated.
        key: of the package.
        where: the file, for messages.

    Raises:
        LabelsplatError: no rating; another study's id; an unknown origin, or several; an unknown
            or practice item; an item, or a position, that a rater rated twice; items at positions
            where no one order of the package has them; a rating that is no whole number or not
            on the scale; a position, a time or a date that cannot be; a rating by people with
            the name or the date of a simulated panel. Names file, line and value.
    """
    check_key(package, key)
    known = key.set_index("item")
    practice = {*package.practice, *key["item"][key["kind"] == "practice"]}
    found: list[dict[str, object]] = []
    lines: list[int] = []
    seen: dict[tuple[str, str], int] = {}
    origin = ""
    for line, row in rows:
        place = f"{where}, line {line}"
        if row["study"] != package.study:
            raise LabelsplatError(
                f"study {row['study']!r}, the package is of {package.study!r}",
                where=place,
                remedy="Analyse ratings with the package and the key that they were given with",
            )
        if not row["rater"].strip():
            raise LabelsplatError("no rater", where=place, remedy=_AGAIN)
        origin = _check_origin(row["origin"], origin, place)
        moment = _moment(row["answered_at"], place)
        if origin == "human":
            _check_human(row["rater"], moment, place)
        item = row["item"]
        if item not in package.items:
            raise LabelsplatError(f"unknown item {item!r}", where=place, remedy=_AGAIN)
        if item in practice:
            raise LabelsplatError(
                f"item {item!r} is for practice, its ratings do not count",
                where=place,
                remedy="Take the line out",
            )
        pair = (row["rater"], item)
        if pair in seen:
            raise LabelsplatError(
                f"rater {pair[0]!r} rated item {item!r} twice (first in line {seen[pair]})",
                where=place,
                remedy="Keep one of the two lines",
            )
        seen[pair] = line
        lines.append(line)
        found.append(
            {
                "rater": row["rater"],
                "position": _whole("position", row["position"], place, low=0),
                "item": item,
                "rating": _rating(row["rating"], package, place),
                "seconds": _seconds(row["seconds"], place),
                "answered_at": row["answered_at"],
            }
        )
    if not found:
        raise LabelsplatError(
            "no rating",
            where=where,
            remedy='Wait for raters, or set study.ratings to "" for a simulated panel',
        )
    _check_orders(pd.DataFrame(found).assign(line=lines), package, where)
    table = pd.DataFrame(found).join(known[list(_FROM_KEY)], on="item")
    table = table.sort_values(["rater", "position", "item"]).reset_index(drop=True)
    table = table.assign(unit=table["item"], answer=table["rating"])
    if package.design == "pairs":
        turned = table["method"] > table["other_method"]
        first, second = (
            table[one].where(~turned, table[other])
            for one, other in (("method", "other_method"), ("other_method", "method"))
        )
        table["unit"] = table["image"] + ":" + first + ":" + second
        table["answer"] = table["rating"].where(~turned, -table["rating"])
    return Ratings(table, origin, package.design, package.study, key)


def grid(
    rows: pd.DataFrame, values: str, *, raters: list[str], columns: list[str], by: str
) -> np.ndarray:
    """``[R, C]`` float64 of a tidy table: raters x columns, NaN where there is no value.

    Several values of a cell are averaged.

    Args:
        rows: of :attr:`Ratings.table`.
        values: column with the values.
        raters: of the rows, R.
        columns: of the columns, C.
        by: column of the table whose values ``columns`` lists.
    """
    wide = rows.pivot_table(index="rater", columns=by, values=values, aggfunc="mean")
    return wide.reindex(index=raters, columns=columns).to_numpy(float)


def check_key(package: Package, key: pd.DataFrame) -> None:
    """Hold a key against the package it is said to be of.

    Raises:
        LabelsplatError: it is of another study, or lacks an item.
    """
    where = package.root / "manifest.json"
    other = set(key["study"]) - {package.study}
    if other:
        raise LabelsplatError(
            f"the key is of study {sorted(other)[0]!r}, the package of {package.study!r}",
            where=where,
            remedy="Take the key that was written with this package",
        )
    lacking = set(package.items) - set(key["item"])
    if lacking:
        raise LabelsplatError(
            f"item {sorted(lacking)[0]!r} is not in the key",
            where=where,
            remedy="Take the key that was written with this package",
        )


def _check_origin(value: str, before: str, place: str) -> str:
    if value not in ORIGINS:
        raise LabelsplatError(
            f"unknown origin {value!r}, expected one of {', '.join(ORIGINS)}",
            where=place,
            remedy=_AGAIN,
        )
    if before and value != before:
        raise LabelsplatError(
            f"origin {value!r} in a table of origin {before!r}: they are never analysed together",
            where=place,
            remedy="Put ratings of each origin in a file of their own",
        )
    return value


def _check_human(rater: str, moment: datetime, place: str) -> None:
    if rater.startswith("sim") or moment.year < FIRST_YEAR:
        raise LabelsplatError(
            f"rater {rater!r} of {moment:%Y-%m-%d} is said to be human, but is named or dated as "
            "a simulated panel's",
            where=place,
            remedy="Export people's ratings from the app; a simulation's origin is simulation",
        )


def _check_orders(found: pd.DataFrame, package: Package, where: object) -> None:
    """Every rater followed one of the package's orders: the files of two labs, where the same
    pseudonym means two people, do not pass as one study of one rater."""
    twice = found[found.duplicated(["rater", "position"])]
    if len(twice):
        row = twice.iloc[0]
        raise LabelsplatError(
            f"rater {row['rater']!r} rated two items at position {row['position']}",
            where=f"{where}, line {row['line']}",
            remedy="Give raters of several exports names of their own before joining the files",
        )
    places = [{item: i for i, item in enumerate(order)} for order in package.orders]
    for rater, rows in found.groupby("rater", sort=True):
        shown = list(zip(rows["item"], rows["position"], strict=True))
        best: list[bool] = []
        for order in places:
            fits = [order.get(item) == position for item, position in shown]
            if all(fits):
                break
            if sum(fits) >= sum(best):
                best = fits
        else:
            row = rows.iloc[best.index(False)]
            raise LabelsplatError(
                f"rater {rater!r} rated item {row['item']!r} at position {row['position']}: no "
                "order of the package has it there, and the rater's other items at theirs",
                where=f"{where}, line {row['line']}",
                remedy="Give raters of several exports names of their own before joining the "
                "files; keep item and position as exported",
            )


def _whole(name: str, text: str, place: str, low: int | None = None) -> int:
    if not _WHOLE.fullmatch(text) or (low is not None and int(text) < low):
        kind = "a whole number" if low is None else f"a whole number from {low}"
        raise LabelsplatError(f"{name} {text!r}, expected {kind}", where=place, remedy=_AGAIN)
    return int(text)


def _rating(text: str, package: Package, place: str) -> int:
    value = _whole("rating", text, place)
    if value not in package.scale:
        raise LabelsplatError(
            f"rating {value}, expected one of {', '.join(map(str, sorted(package.scale)))}",
            where=place,
            remedy=_AGAIN,
        )
    return value


def _seconds(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise LabelsplatError(
            f"seconds {text!r}, expected a number from 0", where=place, remedy=_AGAIN
        )
    return value


def _moment(text: str, place: str) -> datetime:
    try:
        if not text.endswith("Z"):
            raise ValueError
        return datetime.fromisoformat(text)
    except ValueError:
        raise LabelsplatError(
            f"answered_at {text!r}, expected UTC such as 2026-01-31T09:30:00Z",
            where=place,
            remedy=_AGAIN,
        ) from None
