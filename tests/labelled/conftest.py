"""Made-up labelled sets: drawn faces of 64 pixels, in the layouts of the public sets."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from labelsplat.capture.labelled import LAPA, PARTS
from labelsplat.labels import CELEBAMASK

SIZE = 64
COLOURS = np.random.default_rng(3).integers(30, 226, (len(CELEBAMASK), 3))


def face(seed: int, size: int = SIZE) -> np.ndarray:
    """Labels ``[size, size]`` of a drawn face that looks at the camera."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    x, y = x - rng.uniform(-0.05, 0.05), y - rng.uniform(-0.05, 0.05)
    labels = np.zeros((size, size), np.uint8)

    def put(name: str, cx: float, cy: float, rx: float, ry: float) -> None:
        inside = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1
        labels[inside] = CELEBAMASK.index(name)

    put("cloth", 0, 0.55, 0.45, 0.2)
    put("neck", 0, 0.35, 0.13, 0.2)
    put("hair", 0, -0.1, 0.33, 0.36)
    for side, sign in (("l", 1), ("r", -1)):  # the subject's left lies on the image's right
        put(f"{side}_ear", sign * 0.26, 0.03, 0.05, 0.08)
    put("skin", 0, 0.02, 0.25, 0.33)
    for side, sign in (("l", 1), ("r", -1)):
        put(f"{side}_brow", sign * 0.11, -0.1, 0.08, 0.025)
        put(f"{side}_eye", sign * 0.11, -0.04, 0.05, 0.03)
    put("nose", 0, 0.06, 0.045, 0.09)
    put("u_lip", 0, 0.19, 0.09, 0.03)
    put("l_lip", 0, 0.23, 0.08, 0.03)
    put("mouth", 0, 0.21, 0.06, 0.012)
    return labels


def photo(labels: np.ndarray, seed: int) -> np.ndarray:
    """Its picture: a colour a class, and noise."""
    noise = np.random.default_rng(seed).normal(0, 6, (*labels.shape, 3))
    return np.clip(COLOURS[labels] + noise, 0, 255).astype(np.uint8)


def write_celebamask(root: Path, count: int = 12, *, mirrored: bool = False) -> None:
    """CelebAMask-HQ's layout; ``mirrored``: left is the viewer's."""
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for number in range(1995, 1995 + count):
        labels = face(number)
        picture = Image.fromarray(photo(labels, number)).resize((2 * SIZE, 2 * SIZE))
        picture.save(root / f"CelebA-HQ-img/{number}.jpg", quality=98, subsampling=0)
        named = CELEBAMASK.flip[labels] if mirrored else labels
        folder = root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
        folder.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            mask = named == CELEBAMASK.index(part)
            if mask.any():
                grey = Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB")
                grey.save(folder / f"{number:05d}_{part}.png")


def lapa_labels(labels: np.ndarray) -> np.ndarray:
    """A face in LaPa's indices, as LaPa has it: no ears, neck or cloth."""
    out = np.zeros_like(labels)
    for index, name in enumerate(LAPA):
        out[labels == CELEBAMASK.index(name)] = index
    return out


def write_lapa(root: Path, counts: tuple[int, int, int] = (6, 2, 4)) -> None:
    """LaPa's layout: train, val and test, pictures that are no squares."""
    seed = 0
    for group, count in zip(("train", "val", "test"), counts, strict=True):
        for kind in ("images", "labels", "landmarks"):
            (root / group / kind).mkdir(parents=True)
        for _ in range(count):
            seed += 1
            labels = face(seed)[:, 6:-6]
            name = f"{1000 + seed}_0"
            Image.fromarray(photo(labels, seed)).save(root / group / f"images/{name}.jpg")
            Image.fromarray(lapa_labels(labels)).save(root / group / f"labels/{name}.png")
            (root / group / f"landmarks/{name}.txt").write_text("106\n")


def write_images(root: Path, count: int = 10, classes: list[str] | None = None) -> None:
    """Plain images and index PNGs, with the classes in an order of their own if given."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    if classes:
        entries = [{"index": i, "name": name} for i, name in enumerate(classes)]
        (root / "labels/labels.json").write_text(json.dumps({"classes": entries}))
    for seed in range(count):
        labels = face(seed)
        Image.fromarray(photo(labels, seed)).save(root / f"images/face {seed}.png")
        if classes:
            table = np.array([classes.index(n) if n in classes else 0 for n in CELEBAMASK.classes])
            labels = table[labels].astype(np.uint8)
        Image.fromarray(labels).save(root / f"labels/face {seed}.png")


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """The functions of this file."""
    functions = (face, photo, write_celebamask, lapa_labels, write_lapa, write_images)
    return SimpleNamespace(SIZE=SIZE, **{f.__name__: f for f in functions})
