"""A made-up item package: drawn shapes in place of faces, to try the app and to load it.

It shows nobody, judges no method, and has no key: nothing can be concluded from ratings of it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from labelsplat.base import LabelsplatError, atomic_dir, write_json
from labelsplat.study.package import DESIGNS, FORMAT, MASKS

LEGEND = (("skin", "#ecbca0"), ("hair", "#553728"), ("nose", "#3cbe64"), ("lips", "#ff4646"))


def write_sample_package(
    folder: str | Path,
    *,
    study: str = "sample",
    title: str = "A made-up study",
    design: str = "acr",
    items: int = 20,
    orders: int = 3,
    practice: int = 2,
    examples: bool = False,
    size: int = 16,
    seed: int = 0,
) -> Path:
    """Write a package of drawn shapes; same arguments, same bytes.

    Args:
        folder: to write; a folder that is there is replaced if it is a package or empty.
        study, title, design: as of :class:`~labelsplat.study.package.Package`.
        items: that every rater sees.
        orders: in which they are shown.
        practice: items before those.
        examples: name the first two of those as a good and a bad example.
        size: pixels of the square pictures.
        seed: of names, shapes and orders.

    Returns:
        the folder.

    Raises:
        LabelsplatError: an unknown design, examples without practice items, or the folder holds
            something else.
    """
    folder = Path(folder)
    if examples and practice < 2:
        raise LabelsplatError(f"two examples of {practice} practice items")
    if design not in DESIGNS:
        raise LabelsplatError(f"unknown design {design!r}", remedy=f"One of {', '.join(DESIGNS)}")
    held = folder.is_dir() and any(folder.iterdir()) and not (folder / "manifest.json").is_file()
    if held or folder.is_file():
        raise LabelsplatError("holds something that is no item package", where=folder)
    rng = np.random.default_rng([*b"sample", seed])
    rows, files = [], {}
    with atomic_dir(folder) as temporary:
        (temporary / "images").mkdir()

        def save(pixels: np.ndarray) -> str:
            name = f"images/{rng.bytes(8).hex()}.png"
            files[name] = _save(temporary / name, pixels)
            return name

        for _ in range(items + practice):
            centre = rng.uniform(0.42, 0.58, 2)
            photo, masks = _face(size, centre), range(MASKS[design])
            places = [centre + rng.normal(0, 0.04, 2) for _ in masks]
            if examples and len(rows) < 2:  # the good one fits, the bad one cannot be right
                places[0] = centre + np.array([0.3, 0.2]) if rows else centre
            masks = [_areas(size, place) for place in places]
            name = rng.bytes(6).hex()
            rows.append({"id": name, "photo": save(photo), "masks": [save(m) for m in masks]})
        rated = [row["id"] for row in rows[practice:]]
        value = {
            "format": FORMAT,
            "study": study,
            "title": title,
            "design": design,
            "items": rows,
            "practice": [row["id"] for row in rows[:practice]],
            "orders": [[rated[i] for i in rng.permutation(items)] for _ in range(orders)],
            "legend": LEGEND,
            "files": files,
        }
        if examples:
            value["examples"] = {"good": rows[0]["id"], "bad": rows[1]["id"]}
        write_json(temporary / "manifest.json", value)
    return folder


def _parts(size: int, centre: np.ndarray) -> list[np.ndarray]:
    """Where skin, hair, nose and lips are, each ``[size, size]`` bool."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    x, y = x - centre[0], y - centre[1]
    skin = (x / 0.26) ** 2 + (y / 0.36) ** 2 < 1
    hair = ((x / 0.33) ** 2 + ((y + 0.05) / 0.42) ** 2 < 1) & (y < -0.12)
    nose = (abs(x) < 0.05) & (abs(y) < 0.09)
    lips = (x / 0.11) ** 2 + ((y - 0.2) / 0.04) ** 2 < 1
    return [skin, hair, nose, lips]


def _face(size: int, centre: np.ndarray) -> np.ndarray:
    tones = ((224, 180, 150), (70, 50, 40), (205, 155, 125), (180, 90, 85))
    pixels = np.full((size, size, 3), 190, np.uint8)
    for where, tone in zip(_parts(size, centre), tones, strict=True):
        pixels[where] = tone
    return pixels


def _areas(size: int, centre: np.ndarray) -> np.ndarray:
    pixels = np.zeros((size, size, 4), np.uint8)
    for where, (_, colour) in zip(_parts(size, centre), LEGEND, strict=True):
        pixels[where] = (*bytes.fromhex(colour[1:]), 255)
    return pixels


def _save(path: Path, pixels: np.ndarray) -> str:
    from PIL import Image

    Image.fromarray(pixels).save(path, format="PNG")
    return hashlib.sha256(path.read_bytes()).hexdigest()
