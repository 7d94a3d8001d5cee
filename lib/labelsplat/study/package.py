"""The item package: a folder with all that people see, under blinded names alone.

::

    package/
      manifest.json            what is shown, in which orders, with a digest of every picture
      images/{name}.png        photos, and label maps as colours on a transparent ground

It moves to any machine that runs the rating app. What its names stand for is written in the key
(:mod:`labelsplat.study.key`), which never travels with it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labelsplat.base import LabelsplatError, read_json

FORMAT = 1
"""Version of the manifest."""

DESIGNS = ("acr", "pairs")
"""Absolute category rating of one label map, or a choice between two."""

SCALES = {
    "acr": {5: "Excellent", 4: "Good", 3: "Fair", 2: "Poor", 1: "Bad"},
    "pairs": {-1: "A is better", 0: "No difference", 1: "B is better"},
}
"""Answers by design; the five words are those of ITU-T P.910 (ACR). A stands left of B, on a narrow
screen above it."""

MASKS = {"acr": 1, "pairs": 2}
"""Label maps that an item of a design shows over its photo."""

ORIGINS = ("human", "script", "simulation")
"""Who answers; fixed when a rater's link is issued. Only ``human`` ratings are people's."""

RATING_COLUMNS = (
    "study", "rater", "origin", "position", "item", "rating", "seconds", "answered_at",
)  # fmt: skip
"""Ratings as CSV, from the app to the analysis, one row a rating: ``rater`` is a pseudonym,
``position`` counts from 0 in the rater's order, ``seconds`` is the time on the item,
``answered_at`` is UTC, ISO 8601."""

_NAME = re.compile(r"[a-z0-9]{4,64}")


@dataclass(frozen=True)
class Item:
    """One screen.

    Attributes:
        id: blinded.
        photo: of the face, relative to the package.
        masks: its label maps as RGBA, one (``acr``) or two, the left one first (``pairs``).
    """

    id: str
    photo: str
    masks: tuple[str, ...]


@dataclass(frozen=True)
class Package:
    """An item package, opened and checked.

    Attributes:
        root: its folder.
        study: identifies the study, also in its key and its ratings.
        title: what raters read at the top.
        design: one of :data:`DESIGNS`.
        items: all of them by id, practice included.
        practice: ids that everybody sees first; their answers are not kept.
        orders: ids in the order in which one rater sees them; the n-th rater takes the n-th,
            from the first again after the last.
        legend: (class, "#rrggbb") of what the colours mean.
        examples: practice items for the instructions, one whose colours fit and one whose colours
            do not; None where the package names none (manifest key ``examples``, with ``good`` and
            ``bad``).
    """

    root: Path
    study: str
    title: str
    design: str
    items: dict[str, Item]
    practice: tuple[str, ...]
    orders: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[str, str], ...]
    examples: tuple[str, str] | None = None

    @property
    def scale(self) -> dict[int, str]:
        """Answers that raters may give, with their words."""
        return SCALES[self.design]

    def order(self, rater: int) -> tuple[str, ...]:
        """Ids in the order in which the ``rater``-th person (from 0) sees them."""
        return self.orders[rater % len(self.orders)]


def read_package(root: str | Path, *, digests: bool = True) -> Package:
    """Open an item package.

    Args:
        root: the folder with ``manifest.json``.
        digests: read every picture and hold it against its digest.

    Raises:
        LabelsplatError: no package, one of another version, a picture that is missing or not the
            one that was packed, an id without an item; names the file.
    """
    root = Path(root)
    path = root / "manifest.json"
    value = read_json(path)
    try:
        if value["format"] != FORMAT:
            raise LabelsplatError(
                f"a manifest of format {value['format']!r}, this version reads {FORMAT}",
                where=path,
                remedy="Prepare the package anew",
            )
        found = Package(
            root=root,
            study=str(value["study"]),
            title=str(value["title"]),
            design=str(value["design"]),
            items={
                str(i["id"]): Item(str(i["id"]), str(i["photo"]), tuple(map(str, i["masks"])))
                for i in value["items"]
            },
            practice=tuple(map(str, value["practice"])),
            orders=tuple(tuple(map(str, order)) for order in value["orders"]),
            legend=tuple((str(name), str(colour)) for name, colour in value["legend"]),
            examples=_examples(value.get("examples")),
        )
        files = {str(name): str(digest) for name, digest in value["files"].items()}
        count = len(value["items"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise LabelsplatError(
            f"the manifest is not complete ({type(error).__name__}: {error})",
            where=path,
            remedy="Copy the package anew, as a whole",
        ) from None
    _check_ids(found, count, path)
    _check_files(found, files, path, digests)
    return found


def _examples(value: dict | None) -> tuple[str, str] | None:
    return None if value is None else (str(value["good"]), str(value["bad"]))


def _check_ids(found: Package, count: int, path: Path) -> None:
    if found.design not in DESIGNS:
        raise LabelsplatError(f"unknown design {found.design!r}", where=path)
    if len(found.items) < count:
        raise LabelsplatError("two items have the same id", where=path)
    if not found.orders or not all(found.orders):
        raise LabelsplatError("no order of items to show", where=path)
    for item in found.items.values():
        if not _NAME.fullmatch(item.id):
            raise LabelsplatError(
                f"item id {item.id!r} is no name of 4 to 64 small letters and digits", where=path
            )
        if len(item.masks) != MASKS[found.design]:
            raise LabelsplatError(
                f"item {item.id!r} has {len(item.masks)} label maps, design {found.design!r} "
                f"shows {MASKS[found.design]}",
                where=path,
            )
    for order in (found.practice, *found.orders):
        unknown = [name for name in order if name not in found.items]
        if unknown:
            raise LabelsplatError(f"an order names {unknown[0]!r}, which is no item", where=path)
        if len(set(order)) < len(order):
            raise LabelsplatError("an order names an item twice", where=path)
    named = found.examples or ()
    if len(set(named)) < len(named) or set(named) - set(found.practice):
        raise LabelsplatError(
            f"examples {' and '.join(map(repr, named))}: expected two different practice items",
            where=path,
        )
    both = set(found.practice) & set().union(*found.orders)
    if both:
        raise LabelsplatError(f"item {sorted(both)[0]!r} is practice and rated", where=path)


def _check_files(found: Package, files: dict[str, str], path: Path, digests: bool) -> None:
    for item in found.items.values():
        for name in (item.photo, *item.masks):
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or "\\" in name:
                raise LabelsplatError(f"{name!r} lies outside the package", where=path)
            if name not in files:
                raise LabelsplatError(f"item {item.id!r} shows {name!r}, not listed", where=path)
    for name, digest in files.items():
        file = found.root / name
        if not file.is_file():
            raise LabelsplatError(
                f"the manifest names a picture that is missing: {name}",
                where=path,
                remedy="Copy the package anew, as a whole",
            )
        if digests and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            raise LabelsplatError(
                "the picture is not the one that was packed",
                where=file,
                remedy="Copy the package anew, as a whole",
            )
