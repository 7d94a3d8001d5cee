"""A made-up study without pictures: for checks of the analysis, never for people.

Package and key as the preparation writes them, but for the files: photos in turns of some people,
scored items of all methods, absurd and repeated items, an order a rater by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from labelsplat.labels import STRATA
from labelsplat.study.key import COLUMNS, METHODS
from labelsplat.study.package import Item, Package

MIOU = {"baseline": 0.45, "self_training": 0.5, "refined": 0.6, "oracle": 0.65, "reference": 1.0}
"""Mean mIoU of each method's items."""

_SPREAD = 0.06
"""Standard deviation of mIoU over photos."""

_CHECKS = 4
"""Absurd items, and repeated ones."""


def made_study(
    *,
    images: int,
    people: int,
    methods: Sequence[str] = METHODS,
    alike: Sequence[str] = (),
    orders: int = 60,
    seed: int,
) -> tuple[Package, pd.DataFrame]:
    """A package of design ``acr`` and its key.

    Args:
        images: photos; photo i shows person i modulo ``people``.
        people: how many.
        methods: whose label maps are rated.
        alike: methods that have the first one's mIoU on every photo.
        orders: orders of items, each by chance, checks among them.
        seed: of mIoU and orders.
    """
    rng = np.random.default_rng([*b"madeup", seed])
    ease = rng.normal(0, _SPREAD, images + _CHECKS)
    level = MIOU | {name: MIOU[alike[0]] for name in alike}
    rows = []

    def row(kind: str, image: int, method: str, **more: object) -> str:
        exact = level[method] + (0.0 if method == "reference" else ease[image])
        name = f"{kind}{len(rows):05d}"
        rows.append(
            dict.fromkeys(COLUMNS, "")
            | {
                "study": f"made{seed}", "item": name, "kind": kind, "image": f"img{image:03d}",
                "subject": f"p{image % people:03d}", "identity": f"p{image % people:03d}",
                "view": str(image), "stratum": STRATA[image % len(STRATA)], "method": method,
                "miou": float(np.clip(exact, 0, 1)), "other_miou": np.nan,
            }
            | more
        )  # fmt: skip
        return name

    scored = [row("item", image, method) for image in range(images) for method in methods]
    absurd = [row("absurd", images + i, methods[0], miou=0.05) for i in range(_CHECKS)]
    again = [rows[int(i)] for i in rng.choice(len(scored), min(_CHECKS, images), replace=False)]
    repeats = [row("repeat", int(r["image"][3:]), r["method"], repeat_of=r["item"]) for r in again]
    first = [str(name) for name in scored + absurd]
    # A repeat comes after what it repeats.
    lists = [tuple(first[i] for i in rng.permutation(len(first))) for _ in range(orders)]
    package = Package(
        root=Path("made-up"), study=f"made{seed}", title="made up", design="acr",
        items={str(r["item"]): Item(str(r["item"]), "", ("",)) for r in rows}, practice=(),
        orders=tuple((*order, *repeats) for order in lists), legend=(),
    )  # fmt: skip
    return package, pd.DataFrame(rows, columns=list(COLUMNS))
