"""A made-up item package with its key: pictures of a few pixels, all else as the real thing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from labelsplat.base import write_json
from labelsplat.study import key as keys
from labelsplat.study import package as packages

MIOU = {"baseline": 0.44, "self_training": 0.48, "refined": 0.61, "oracle": 0.65, "reference": 1.0}
"""Mean mIoU of each method's items."""

STRATA = ("standard", "middle", "extreme", "behind")


@dataclass(frozen=True)
class Made:
    """What was made: the folder, the key's file, and both as read back."""

    root: Path
    key_path: Path
    package: packages.Package
    key: pd.DataFrame


def make_study(
    folder: Path,
    *,
    design: str = "acr",
    images: int = 24,
    methods: tuple[str, ...] = tuple(MIOU),
    orders: int = 12,
    truth: bool = True,
    images_per_rater: int = 0,
    people: int = 0,
    seed: int = 0,
) -> Made:
    """Write a package and its key below ``folder`` and read both.

    ``truth``: whether mIoU is known. ``images_per_rater``: 0 = all. ``people``: on the images, in
    turns; 0 = another one on each.
    """
    rng = np.random.default_rng([*b"made", seed])
    rows: list[dict[str, object]] = []
    study = f"made{seed}"

    def name() -> str:
        return "".join(rng.choice(list("abcdefghijkmnpqrstuvwxyz23456789"), 10))

    def row(kind: str, image: int, method: str, other: str = "") -> str:
        person = 301 + _person(image, images, people)
        found = {
            "study": study, "item": name(), "kind": kind, "image": f"img{image:03d}",
            "subject": f"{person}/1_neutral", "view": f"{image % 26:02d}",
            "stratum": STRATA[image % 4], "method": method,
            "identity": str(person),
            "absurd_side": "left" if kind == "absurd" and other else "",
            "miou": 0.05 if kind == "absurd" else worth(image, method),
            "other_method": other, "repeat_of": "",
            "other_miou": worth(image, other) if other else np.nan,
        }  # fmt: skip
        rows.append(found)
        return str(found["item"])

    ease = rng.normal(0, 0.06, images + 9)

    def worth(image: int, method: str) -> float:
        if not truth:
            return np.nan
        return 1.0 if method == "reference" else float(np.clip(MIOU[method] + ease[image], 0, 0.99))

    pairs = [(m, "") for m in methods]
    if design == "pairs":
        pairs = list(combinations(methods, 2))
    items = {
        (i, pair): row("item", i, *(pair if (i + n) % 2 else _swapped(pair)))
        for i in range(images)
        for n, pair in enumerate(pairs)
    }
    absurd = [row("absurd", images + i, *pairs[i % len(pairs)]) for i in range(4)]
    by_item = {r["item"]: r for r in rows}
    for i in range(4):
        first = items[(i, pairs[i % len(pairs)])]
        rows.append(by_item[first] | {"item": name(), "kind": "repeat", "repeat_of": first})
    practice = [row("practice", images + 5 + i, *pairs[0]) for i in range(3)]

    shown = images_per_rater or images
    lists = []
    for k in range(orders):
        own = [
            item for (i, _), item in items.items() if (i - k * images // orders) % images < shown
        ]
        order = [str(v) for v in rng.permutation([*own, *absurd])]
        # A repeat comes after what it repeats.
        order += [r["item"] for r in rows if r["kind"] == "repeat" and r["repeat_of"] in own]
        lists.append(order)
    root, key_path = folder / "package", folder / "key.csv"
    _write(root, study, design, rows, practice, lists)
    keys.write_key(key_path, pd.DataFrame(rows))
    return Made(root, key_path, packages.read_package(root), keys.read_key(key_path))


def _person(image: int, images: int, people: int) -> int:
    return image % (people or images) if image < images else image


def _swapped(pair: tuple[str, str]) -> tuple[str, str]:
    return (pair[1], pair[0]) if pair[1] else pair


def _write(
    root: Path, study: str, design: str, rows: list[dict], practice: list[str], orders: list
) -> None:
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (4, 4), "grey").save(root / "images/photo.png")
    Image.new("RGBA", (4, 4), "red").save(root / "images/mask.png")
    names = ["images/photo.png", "images/mask.png"]
    masks = [names[1]] * packages.MASKS[design]
    write_json(
        root / "manifest.json",
        {
            "format": packages.FORMAT,
            "study": study,
            "title": "Faces",
            "design": design,
            "items": [{"id": r["item"], "photo": names[0], "masks": masks} for r in rows],
            "practice": practice,
            "orders": orders,
            "legend": [["skin", "#cc8866"]],
            "files": {n: hashlib.sha256((root / n).read_bytes()).hexdigest() for n in names},
        },
    )
