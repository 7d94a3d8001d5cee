"""Preparation: photos are chosen, orders made, and the item package written beside its key.

An absurd label map is scored like any other, against the reference; without a reference it stands
in the key as worthless, with 0. So of a pair the absurd one is the one that scores less, or the one
that has a score at all.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError, atomic_dir, write_json
from labelsplat.labels import confusion, scores
from labelsplat.study.design import GAP, Screen, make_orders
from labelsplat.study.judged import Judged, contents_digest, read_judged
from labelsplat.study.key import COLUMNS, SIDES, write_key
from labelsplat.study.overlay import ROOM, absurd_map, filled_up, label_picture, legend, png_bytes
from labelsplat.study.package import FORMAT
from labelsplat.study.plan import StudyPlan, StudySettings
from labelsplat.study.selection import Selection, choose_images

STRATA = ("extreme", "middle", "standard")
"""Where photos are chosen from, the most wanted first. The back of a head is no face to be judged:
``behind`` is left out."""

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
NAME_LENGTH = 10
"""Of blinded names."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """A screen with its photo, its label maps, and their scores.

    ``absurd`` numbers the label map that cannot be right, if one is; ``names`` are of its files.
    """

    screen: Screen
    row: pd.Series
    photo: np.ndarray
    maps: tuple[np.ndarray, ...]
    mious: tuple[float, ...]
    absurd: int | None = None
    names: list[str] = field(default_factory=list)


def prepare_study(
    judged: str | Path, package: str | Path, key: str | Path, settings: StudySettings, *, seed: int
) -> StudyPlan:
    """Write an item package and its key.

    Args:
        judged: folder that the evaluate stage wrote (:mod:`labelsplat.study.judged`); the only one
            that is read. Truth comes from there or not at all.
        package: folder to write; what was there is replaced.
        key: CSV file to write, outside of the package.
        settings: how the study is laid out.
        seed: of all draws. The same seed on the same folder gives the same bytes.

    Returns:
        What was prepared.

    Raises:
        LabelsplatError: the folder is not as it should be, or there are too few photos.
        ParameterError: the settings do not go together, or the key would lie in the package.
    """
    if Path(key).resolve().is_relative_to(Path(package).resolve()):
        raise ParameterError("the key would travel with the package", where=key)
    found = read_judged(judged)
    selection = choose_images(
        found.images,
        images=settings.images,
        practice=settings.practice,
        strata=STRATA,
        seed=seed,
    )
    notes = [*selection.notes]
    if not found.unseen:
        notes.append("Parsers were trained on photos of these people: nobody here is unseen.")
    if not found.reference:
        notes.append("There are no true label maps: nothing is rated as a hidden reference.")
    count, methods = len(selection.images), len(found.methods)
    limited = _limited(settings, count, methods, notes)
    orders = make_orders(
        limited.design,
        list(selection.images["stratum"]),
        methods,
        raters=limited.orders,
        images_per_rater=limited.images_per_rater,
        pairs_per_image=limited.pairs_per_image,
        absurd=_absurd_screens(limited, count, methods, seed),
        repeats=limited.repeats,
        seed=seed,
    )
    if limited.repeats and orders.gap < GAP:
        notes.append(
            f"The session is short: items come again after {orders.gap} screens, not {GAP}."
        )
    shown = _show(found, selection, orders.orders, limited.design, seed)
    digest = _digest(found, shown, settings, seed)
    names = _Names(seed, digest)
    study, photos = names.draw(), [names.draw() for _ in range(count + len(selection.practice))]
    ids = {screen: names.draw() for screen in sorted(shown)}
    used = [labels for entry in shown.values() for labels in entry.maps]
    plan = StudyPlan(
        study=study,
        seed=seed,
        settings=limited,
        methods=found.methods,
        selection=selection,
        key=_key(found, study, shown, ids, photos),
        orders=tuple(tuple(ids[screen] for screen in order) for order in orders.orders),
        practice=tuple(ids[screen] for screen in sorted(shown) if screen.kind == "practice"),
        legend=tuple(legend(used, found.vocabulary)),
        notes=tuple(notes),
    )
    pictures = _pictures(found, shown, ids, names, np.random.default_rng([*b"filler", seed]))
    with atomic_dir(package) as folder:
        _write_package(folder, plan, pictures, ids, shown)
        # Last, so that whatever fails before leaves the old package with its own key.
        write_key(key, plan.key)
    return plan


def _limited(settings: StudySettings, images: int, methods: int, notes: list[str]) -> StudySettings:
    """Settings that fit the photos and methods that there are."""
    pairs = methods * (methods - 1) // 2
    per_image = settings.pairs_per_image
    if settings.design == "pairs" and per_image > pairs:
        notes.append(f"{per_image} pairs a photo were asked for, {methods} methods make {pairs}.")
        per_image = pairs
    per_rater = settings.images_per_rater
    if per_rater > images:
        notes.append(f"Each rater sees all {images} photos, not {per_rater}.")
        per_rater = 0
    for name in ("absurd", "repeats"):
        if getattr(settings, name) > (per_rater or images):
            raise ParameterError(
                f"{getattr(settings, name)} checks, but each rater sees {per_rater or images} "
                "photos",
                where=f"study.{name}",
                remedy="Ask for fewer checks or more photos",
            )
    return dataclasses.replace(
        settings, images=images, pairs_per_image=per_image, images_per_rater=per_rater
    )


def _absurd_screens(
    settings: StudySettings, images: int, methods: int, seed: int
) -> tuple[Screen, ...]:
    """Photos of the checks are drawn; of pairs, one label map is absurd, left and right in turn."""
    rng = np.random.default_rng([*b"absurd", seed])
    # One of each stretch of the list, which is ordered by stratum.
    ends = [images * j // max(settings.absurd, 1) for j in range(settings.absurd + 1)]
    chosen = [rng.integers(low, high) for low, high in itertools.pairwise(ends)]
    out = []
    for j, image in enumerate(chosen):
        shown: tuple[int, ...] = (j % methods,)
        if settings.design == "pairs":
            # The other one is the last method's: nothing but attention is asked for.
            shown = (j % (methods - 1), methods - 1)
            shown = shown[::-1] if j % 2 else shown
        out.append(Screen("absurd", int(image), shown))
    return tuple(out)


def _practice_screens(count: int, first: int, methods: int, design: str) -> list[Screen]:
    """Good, absurd, and whatever the first method gives: practice shows how far the scale goes."""
    best, other = methods - 1, 0
    alone = [(best,), (other,), (other,)]
    two = [(other, best), (other, best), (best, other)]
    turns = alone if design == "acr" else two
    return [Screen("practice", first + j, turns[j % 3]) for j in range(count)]


def _show(
    judged: Judged,
    selection: Selection,
    orders: tuple[tuple[Screen, ...], ...],
    design: str,
    seed: int,
) -> dict[Screen, _Shown]:
    """Every screen that somebody sees, with its pictures."""
    images = pd.concat([selection.images, selection.practice], ignore_index=True)
    first = len(selection.images)
    practice = _practice_screens(len(selection.practice), first, len(judged.methods), design)
    photos = [judged.photo(row.subject, row.view) for row in images.itertuples()]

    @functools.cache
    def mask(image: int, method: str) -> np.ndarray:
        return judged.mask(method, images["subject"].iloc[image], images["view"].iloc[image])

    def absurd(image: int, method: str) -> tuple[np.ndarray, float]:
        rng = np.random.default_rng([*b"scramble", seed, image])
        labels = absurd_map(mask(_stranger(images, image, seed), method), rng)
        if not judged.reference:
            return labels, 0.0
        matrix = confusion(labels, mask(image, "reference"), len(judged.vocabulary))
        return labels, scores(matrix, judged.vocabulary).miou

    out = {}
    for screen in sorted({screen for order in orders for screen in order} | set(practice)):
        row = images.iloc[screen.image]
        names = [judged.methods[method] for method in screen.methods]
        pictures = [(mask(screen.image, m), judged.miou(row.subject, row.view, m)) for m in names]
        wrong = None
        if screen.kind == "absurd" or screen in practice[1::3]:
            wrong = 0 if design == "acr" else names.index(min(names, key=judged.methods.index))
            pictures[wrong] = absurd(screen.image, names[wrong])
        maps, mious = zip(*pictures, strict=True)
        out[screen] = _Shown(screen, row, photos[screen.image], maps, mious, wrong)
    return out


def _stranger(images: pd.DataFrame, image: int, seed: int) -> int:
    """Number of a photo of somebody else, or of another photo where there is nobody else."""
    others = np.flatnonzero(images["identity"] != images["identity"].iloc[image])
    if not len(others):
        others = np.array([i for i in range(len(images)) if i != image])
    return int(np.random.default_rng([*b"stranger", seed, image]).choice(others))


def _digest(
    judged: Judged, shown: dict[Screen, _Shown], settings: StudySettings, seed: int
) -> bytes:
    text = json.dumps([seed, dataclasses.asdict(settings), contents_digest(judged)])
    digest = hashlib.sha256(text.encode())
    for entry in shown.values():
        for pixels in (entry.photo, *entry.maps):
            digest.update(str(pixels.shape).encode() + pixels.tobytes())
    return digest.digest()


class _Names:
    """Names that say nothing: drawn from the seed and the contents, no two alike."""

    def __init__(self, seed: int, digest: bytes):
        self._rng = np.random.default_rng([*b"names", seed, *digest])
        self._drawn: set[str] = set()

    def draw(self) -> str:
        """The next one."""
        while True:
            drawn = self._rng.integers(len(LETTERS), size=NAME_LENGTH)
            name = "".join(LETTERS[i] for i in drawn)
            if name not in self._drawn:
                self._drawn.add(name)
                return name


def _key(
    judged: Judged,
    study: str,
    shown: dict[Screen, _Shown],
    ids: dict[Screen, str],
    photos: list[str],
) -> pd.DataFrame:
    rows = []
    for screen, entry in shown.items():
        subject, view = entry.row["subject"], entry.row["view"]
        names = [judged.methods[m] for m in screen.methods]
        original = Screen("item", screen.image, screen.methods)
        rows.append(
            {
                "study": study,
                "item": ids[screen],
                "kind": screen.kind,
                "image": photos[screen.image],
                "subject": subject,
                "identity": entry.row["identity"],
                "view": view,
                "stratum": entry.row["stratum"],
                "method": names[0],
                "miou": entry.mious[0],
                "other_method": names[1] if len(names) > 1 else "",
                "other_miou": entry.mious[1] if len(names) > 1 else float("nan"),
                "repeat_of": ids[original] if screen.kind == "repeat" else "",
                "absurd_side": _absurd_side(entry),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _absurd_side(entry: _Shown) -> str:
    """Which of a pair's label maps cannot be right, of checks alone."""
    if entry.screen.kind != "absurd" or entry.absurd is None or len(entry.maps) < 2:
        return ""
    return SIDES[entry.absurd]


def _pictures(
    judged: Judged,
    shown: dict[Screen, _Shown],
    ids: dict[Screen, str],
    names: _Names,
    rng: np.random.Generator,
) -> dict[str, bytes]:
    """Files of the package by name; each screen has its own, and no label map is longer."""
    photos: dict[tuple[str, str], bytes] = {}
    plain: dict[str, tuple[bytes, bool]] = {}
    for entry in shown.values():
        who = (entry.row["subject"], entry.row["view"])
        if who not in photos:
            photos[who] = png_bytes(entry.photo)
        masks = [png_bytes(label_picture(labels, judged.vocabulary)) for labels in entry.maps]
        for png, is_mask in ((photos[who], False), *((mask, True) for mask in masks)):
            name = f"images/{names.draw()}.png"
            entry.names.append(name)
            plain[name] = (png, is_mask)
    # Photos are as long as they are: which photo it is, everybody sees.
    longest = max(len(png) for png, is_mask in plain.values() if is_mask)
    # Some room for the longest, too: no two files are alike then.
    length = longest + ROOM + 16
    return {
        name: filled_up(png, length, rng) if is_mask else png
        for name, (png, is_mask) in plain.items()
    }


def _write_package(
    folder: Path,
    plan: StudyPlan,
    pictures: dict[str, bytes],
    ids: dict[Screen, str],
    shown: dict[Screen, _Shown],
) -> None:
    (folder / "images").mkdir()
    for name in sorted(pictures):
        (folder / name).write_bytes(pictures[name])
    items = [
        {"id": ids[screen], "photo": entry.names[0], "masks": entry.names[1:]}
        for screen, entry in shown.items()
    ]
    write_json(
        folder / "manifest.json",
        {
            "format": FORMAT,
            "study": plan.study,
            "title": plan.settings.title,
            "design": plan.settings.design,
            # By name: the order in which they were made would tell what they are.
            "items": sorted(items, key=lambda item: item["id"]),
            "practice": list(plan.practice),
            "orders": [list(order) for order in plan.orders],
            "legend": [list(entry) for entry in plan.legend],
            "files": {
                name: hashlib.sha256(pictures[name]).hexdigest() for name in sorted(pictures)
            },
        },
    )
