"""Preparation: photos are chosen, orders made, and the item package written beside its key.

**Blinded, from people who have this file, too.** All that is drawn after the choice of photos
(orders, checks, which photo and method has which place in the squares, names) follows from a digest
of every picture that may be shown and of ``study.salt``. Who has the pictures could repeat the
draws; a salt that only the analyst knows stops them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError, atomic_dir, write_json
from labelsplat.study.design import GAP, Screen, make_orders
from labelsplat.study.judged import Judged, contents_text, read_judged
from labelsplat.study.key import COLUMNS, SIDES, write_key
from labelsplat.study.overlay import ROOM, filled_up, label_picture, legend, png_bytes
from labelsplat.study.package import FORMAT
from labelsplat.study.plan import StudyPlan, StudySettings
from labelsplat.study.screens import (
    Photo,
    Shown,
    absurd_screens,
    example_screens,
    read_photos,
    show_screens,
)
from labelsplat.study.selection import choose_images

STRATA = ("extreme", "middle", "standard")
"""Where photos are chosen from, the most wanted first. The back of a head is no face to be judged:
``behind`` is left out."""

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
LENGTH = 10
"""Of blinded names."""

_FACTS = ("subject", "identity", "view", "stratum")
"""Columns of ``images.csv`` that the key takes over."""


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
        seed: of all draws. The same seed and salt on the same folder give the same bytes.

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
    people = selection.images["identity"].nunique()
    if people < len(selection.images):
        notes.append(f"{len(selection.images)} photos show {people} people.")
    if not found.unseen:
        notes.append("Parsers were trained on photos of these people: nobody here is unseen.")
    if not found.reference:
        notes.append("There are no true label maps: nothing is rated as a hidden reference.")
    if not settings.salt:
        notes.append("No salt (study.salt): who has the judged pictures can rebuild the key.")
    count, methods = len(selection.images), len(found.methods)
    limited = _limited(settings, count, methods, notes)
    photos = read_photos(found, selection)
    secret = _secret(found, photos, settings, seed)
    orders = make_orders(
        limited.design,
        list(selection.images["stratum"]),
        methods,
        raters=limited.orders,
        images_per_rater=limited.images_per_rater,
        pairs_per_image=limited.pairs_per_image,
        absurd=absurd_screens(limited, count, methods, secret),
        repeats=limited.repeats,
        seed=seed,
        secret=secret,
    )
    if limited.repeats and orders.gap < GAP:
        notes.append(
            f"The session is short: items come again after {orders.gap} screens, not {GAP}."
        )
    shown = show_screens(found, photos, orders.orders, limited.design, secret)
    names = _Names(secret)
    study, images = names.draw(), [names.draw() for _ in photos]
    ids = {screen: names.draw() for screen in sorted(shown)}
    examples = example_screens(found, shown.values())
    used = [labels for entry in shown.values() for labels in entry.maps]
    plan = StudyPlan(
        study=study,
        seed=seed,
        settings=limited,
        methods=found.methods,
        selection=selection,
        key=_key(found, study, shown, ids, images),
        orders=tuple(tuple(ids[screen] for screen in order) for order in orders.orders),
        practice=tuple(ids[screen] for screen in sorted(shown) if screen.kind == "practice"),
        examples=examples and (ids[examples[0]], ids[examples[1]]),
        legend=tuple(legend(used, found.vocabulary)),
        notes=tuple(notes),
    )
    pictures, files = _pictures(found, shown, names, secret)
    with atomic_dir(package) as folder:
        _write_package(folder, plan, pictures, files, ids)
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


def _secret(judged: Judged, photos: Sequence[Photo], settings: StudySettings, seed: int) -> bytes:
    """What all draws follow from: seed, settings with their salt, and all that may be shown.

    Scores are left out: they choose nothing.
    """
    text = json.dumps([seed, dataclasses.asdict(settings), contents_text(judged)])
    digest = hashlib.sha256(text.encode())
    for photo in photos:
        for pixels in (photo.pixels, *photo.maps):
            digest.update(str(pixels.shape).encode() + pixels.tobytes())
    return digest.digest()


class _Names:
    """Names that say nothing, no two alike.

    Keyed digests, not random numbers: those could be traced back from the names that all can see.
    """

    def __init__(self, secret: bytes):
        self._secret = secret
        self._count = 0
        self._drawn: set[str] = set()

    def draw(self) -> str:
        """The next one."""
        while True:
            self._count += 1
            digest = hmac.digest(self._secret, b"name %d" % self._count, "sha256")
            number = int.from_bytes(digest)
            letters = [LETTERS[number // len(LETTERS) ** i % len(LETTERS)] for i in range(LENGTH)]
            name = "".join(letters)
            if name not in self._drawn:
                self._drawn.add(name)
                return name


def _key(
    judged: Judged,
    study: str,
    shown: Mapping[Screen, Shown],
    ids: Mapping[Screen, str],
    images: Sequence[str],
) -> pd.DataFrame:
    rows = []
    for screen, entry in shown.items():
        names = [judged.methods[m] for m in screen.methods]
        original = Screen("item", screen.image, screen.methods)
        check = screen.kind == "absurd" and len(names) > 1
        rows.append(
            {
                "study": study,
                "item": ids[screen],
                "kind": screen.kind,
                "image": images[screen.image],
                **{name: entry.photo.row[name] for name in _FACTS},
                "method": names[0],
                "miou": entry.mious[0],
                "other_method": names[1] if len(names) > 1 else "",
                "other_miou": entry.mious[1] if len(names) > 1 else float("nan"),
                "repeat_of": ids[original] if screen.kind == "repeat" else "",
                "absurd_side": SIDES[entry.absurd] if check else "",
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pictures(
    judged: Judged, shown: Mapping[Screen, Shown], names: _Names, secret: bytes
) -> tuple[dict[str, bytes], dict[Screen, list[str]]]:
    """Files of the package by name, and which of them a screen shows, its photo first.

    Each screen has its own, and all label maps are of one length.
    """
    photos = {entry.screen.image: png_bytes(entry.photo.pixels) for entry in shown.values()}
    drawn: dict[bytes, bytes] = {}
    plain: dict[str, tuple[bytes, bool]] = {}
    files: dict[Screen, list[str]] = {}
    for screen, entry in shown.items():
        masks = [_mask_png(labels, judged, drawn) for labels in entry.maps]
        files[screen] = []
        for png, is_mask in ((photos[screen.image], False), *((mask, True) for mask in masks)):
            name = f"images/{names.draw()}.png"
            files[screen].append(name)
            plain[name] = (png, is_mask)
    # Photos are as long as they are: which photo it is, everybody sees.
    longest = max(len(png) for png, is_mask in plain.values() if is_mask)
    # Some room for the longest, too: no two files are alike then.
    length, rng = longest + ROOM + 16, np.random.default_rng([*b"filler", *secret])
    out = {
        name: filled_up(png, length, rng) if is_mask else png
        for name, (png, is_mask) in plain.items()
    }
    return out, files


def _mask_png(labels: np.ndarray, judged: Judged, drawn: dict[bytes, bytes]) -> bytes:
    """A label map as a file; the same ones come again and again, as repeats and in other pairs."""
    content = labels.tobytes()
    if content not in drawn:
        drawn[content] = png_bytes(label_picture(labels, judged.vocabulary))
    return drawn[content]


def _write_package(
    folder: Path,
    plan: StudyPlan,
    pictures: Mapping[str, bytes],
    files: Mapping[Screen, Sequence[str]],
    ids: Mapping[Screen, str],
) -> None:
    (folder / "images").mkdir()
    for name in sorted(pictures):
        (folder / name).write_bytes(pictures[name])
    items = [
        {"id": ids[screen], "photo": names[0], "masks": names[1:]}
        for screen, names in files.items()
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
            **_named_examples(plan),
            "orders": [list(order) for order in plan.orders],
            "legend": [list(entry) for entry in plan.legend],
            "files": {
                name: hashlib.sha256(pictures[name]).hexdigest() for name in sorted(pictures)
            },
        },
    )


def _named_examples(plan: StudyPlan) -> dict[str, dict[str, str]]:
    if plan.examples is None:
        return {}
    good, bad = plan.examples
    return {"examples": {"good": good, "bad": bad}}
