"""Predictions from elsewhere: a folder of masks, one a photo, as soft predictions of a capture.

The masks belong to the photos AS TAKEN. They go the way of the photos: undistorted, turned, brought
to the working square; what several pixels of a mask say is averaged, so edges come out soft.
Indices mean nothing without a vocabulary, and classes are carried over by NAME alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from labelsplat.base import LabelsplatError
from labelsplat.capture import Capture, Crop, Prepared, View, undistortion_maps
from labelsplat.labels import CELEBAMASK, IGNORE, Conversion, Vocabulary
from labelsplat.parsing.store import SoftPredictions

Kind = Literal["auto", "index", "colour"]

OfClass = Callable[[int], np.ndarray]

SUFFIXES = (".png", ".npy")

MOST_FOREIGN = 0.25
"""Share of a colour mask that may be of no colour of the palette: edges are, regions are not."""

_REACH = 2  # pixels to either side in which a blended edge pixel looks for its region


def class_map(
    source: Vocabulary, target: Vocabulary, renamed: Mapping[str, str] | None = None
) -> np.ndarray:
    """``[source classes]`` int64: the class of ``target`` that each class becomes, by name.

    Args:
        source: what the indices meant.
        target: what they are to mean.
        renamed: target's name of a source's class, e.g. ``{"face": "skin"}``.

    Raises:
        LabelsplatError: classes of the source, or new names, that the target does not have.
    """
    names = tuple(dict(renamed or {}).get(name, name) for name in source.classes)
    conversion = Conversion(replace(source, classes=names), target)
    lost = [
        own for own, name in zip(source.classes, names, strict=True) if name in conversion.dropped
    ]
    stray = [name for name in renamed or () if name not in source.classes]
    if lost or stray:
        what = (
            f"{target.name!r} has no class for {', '.join(lost)}"
            if lost
            else f"{source.name!r} has no class {stray[0]!r} to be renamed"
        )
        raise LabelsplatError(what, remedy=f"Name one of {', '.join(target.classes)}")
    return conversion.indices


def foreign_predictions(
    folder: str | Path,
    capture: Capture,
    photos: Prepared,
    vocabulary: Vocabulary,
    *,
    target: Vocabulary = CELEBAMASK,
    renamed: Mapping[str, str] | None = None,
    mirrored_sides: bool = False,
    kind: Kind = "auto",
    tolerance: float = 12.0,
    certainty: float = 0.95,
) -> SoftPredictions:
    """Soft predictions of a prepared capture out of a folder of masks.

    A mask is ``{folder}/{view}.png`` or ``.npy``, of the photo's size or of that shape in another
    size. PNGs of one channel hold indices (255: no label, the person as likely as not), others
    colours of the vocabulary's palette; arrays hold indices ``[H, W]`` or probabilities
    ``[H, W, classes]``, also with the classes first.

    Args:
        folder: of the masks.
        capture: whose photos they are of.
        photos: the same capture at working size, from :func:`labelsplat.capture.prepare`.
        vocabulary: names, order and palette of the masks.
        target: vocabulary of the result.
        renamed: target's name of a class, where the names differ.
        mirrored_sides: whether "l_" is the image's left in these masks; here it is the subject's.
        kind: of the PNGs; "auto" goes by their channels.
        tolerance: distance in RGB (0..255) up to which a pixel counts as of a palette's colour.
        certainty: share of the probability that a mask of indices or colours gives to its class;
            the rest is spread evenly, so that other views may outvote it.

    Returns:
        ``[V, size, size, classes]``, in the order of ``photos``.

    Raises:
        LabelsplatError: missing masks (all named at once), one that cannot be read, of another
            shape, with an index or a colour that has no class; names the file.
    """
    folder = Path(folder)
    files = _files(folder, photos.names)
    views = {view.name: view for view in capture.views}
    into = class_map(vocabulary, target, renamed)
    if mirrored_sides:
        into = target.flip[into]
    size = photos.crops[0].size
    out = np.zeros((len(files), size, size, len(target)), np.float32)
    for soft, name, crop, file in zip(out, photos.names, photos.crops, files, strict=True):
        shape, of_class = _read(file, vocabulary, kind, tolerance, certainty)
        carry = _way(shape, views[name], crop, file)
        for index in range(len(vocabulary)):
            soft[..., into[index]] += carry(of_class(index))
        soft /= np.maximum(soft.sum(-1, keepdims=True), 1e-12)
    return SoftPredictions(tuple(photos.names), out, target)


def nearest_classes(
    image: np.ndarray, colours: np.ndarray, tolerance: float = 12.0
) -> tuple[np.ndarray, float]:
    """Classes of a picture in a palette's colours, whose edges may be blended by anti-aliasing.

    A blend of two colours may look like a third one. So pixels that are not within ``tolerance`` of
    a colour take the nearest one of those that stand, pure, within two pixels of them; only where
    there is none, the nearest of all.

    Args:
        image: ``[H, W, 3]`` uint8.
        colours: ``[C, 3]`` of the palette, all different.
        tolerance: Euclidean distance in RGB.

    Returns:
        ``[H, W]`` uint8, and the share of pixels that were not pure.
    """
    packed = image.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    distinct, where = np.unique(packed, return_inverse=True)
    rgb = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], -1).astype(float)
    palette = colours.astype(float)
    distance = np.linalg.norm(rgb[:, None] - palette[None], axis=-1)
    where = where.reshape(packed.shape)
    nearest = distance.argmin(1).astype(np.uint8)
    labels, pure = nearest[where], (distance.min(1) <= tolerance)[where]
    rows, columns = np.nonzero(~pure)
    if rows.size:
        height, width = labels.shape
        best = np.full(rows.size, np.inf)
        found = labels[rows, columns]
        for down in range(-_REACH, _REACH + 1):
            for right in range(-_REACH, _REACH + 1):
                r, c = rows + down, columns + right
                inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
                r, c = r.clip(0, height - 1), c.clip(0, width - 1)
                candidate = labels[r, c]
                far = distance[where[rows, columns], candidate]
                better = inside & pure[r, c] & (far < best)
                best, found = np.where(better, far, best), np.where(better, candidate, found)
        labels[rows, columns] = found
    return labels, rows.size / labels.size


def _files(folder: Path, names: tuple[str, ...]) -> list[Path]:
    candidates = [[folder / f"{name}{end}" for end in SUFFIXES] for name in names]
    found = [next((file for file in files if file.is_file()), None) for files in candidates]
    missing = [name for name, file in zip(names, found, strict=True) if file is None]
    if missing:
        more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise LabelsplatError(
            f"{len(missing)} of {len(names)} masks are missing: {', '.join(missing[:8])}{more}",
            where=folder,
            remedy="They are named like the photos, and end in .png or .npy",
        )
    return found


def _read(
    file: Path, vocabulary: Vocabulary, kind: Kind, tolerance: float, certainty: float
) -> tuple[tuple[int, int], OfClass]:
    """A mask's shape, and a function from a class to its probabilities ``[H, W]`` float32.

    One class at a time: of a large photo all together would not fit.
    """
    count = len(vocabulary)
    values = _array(file) if file.suffix == ".npy" else _picture(file, vocabulary, kind, tolerance)
    if values.ndim == 2:
        return _of_indices(values, count, file, vocabulary, certainty)
    if values.ndim == 3 and values.shape[-1] != count and values.shape[0] == count:
        values = np.moveaxis(values, 0, -1)
    if values.ndim != 3 or values.shape[-1] != count or values.dtype.kind != "f":
        raise LabelsplatError(
            f"an array {values.shape} of {values.dtype}",
            where=file,
            remedy=f"Expected indices [H, W], or probabilities [H, W, {count}] of "
            f"{vocabulary.name!r}",
        )
    if not (values.min() >= -1e-3 and values.max() <= 1.001):  # NaN compares false
        raise LabelsplatError(
            f"values from {values.min():g} to {values.max():g} are no probabilities",
            where=file,
            remedy="Are they logits? Save their softmax",
        )
    sums = values.sum(-1, dtype=np.float64)
    if not (np.abs(sums - 1) < 0.02).all():
        raise LabelsplatError(
            f"probabilities sum to {sums.min():.3g} to {sums.max():.3g}, wanted 1 at each pixel",
            where=file,
            remedy="Give every pixel a class, or save indices with 255 where there is none",
        )
    return values.shape[:2], lambda i: np.ascontiguousarray(values[..., i], np.float32).clip(0, 1)


def _of_indices(
    values: np.ndarray, count: int, file: Path, vocabulary: Vocabulary, certainty: float
) -> tuple[tuple[int, int], OfClass]:
    known = ((values >= 0) & (values < count)) | (values == IGNORE)
    if not known.all():
        raise LabelsplatError(
            f"index {values[~known][0]} has no class in {vocabulary.name!r} ({count} classes)",
            where=file,
            remedy="Name the vocabulary that the masks were written in",
        )
    rest = (1 - certainty) / count

    def of(index: int) -> np.ndarray:
        sure = np.where(values == index, certainty + rest, rest)
        # Nobody knows what is there; that it is the person is as likely as not.
        unknown = 0.5 if index == 0 else 0.5 / (count - 1)
        return np.where(values == IGNORE, unknown, sure).astype(np.float32)

    return values.shape, of


def _array(file: Path) -> np.ndarray:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LabelsplatError(f"the mask cannot be read ({error})", where=file) from None
    if not isinstance(values, np.ndarray) or not values.size or values.dtype.kind not in "iufb":
        raise LabelsplatError("the mask is no array of numbers", where=file)
    if values.ndim == 2 and values.dtype.kind == "f" and not (values == np.floor(values)).all():
        raise LabelsplatError("an array [H, W] should hold whole indices", where=file)
    return values


def _picture(file: Path, vocabulary: Vocabulary, kind: Kind, tolerance: float) -> np.ndarray:
    try:
        with Image.open(file) as image:
            image.load()
            single = image.mode in ("P", "L", "1", "I", "I;16")
            if kind == "index" and not single:
                raise LabelsplatError(
                    f"a mask of indices has one channel, this one is {image.mode}", where=file
                )
            if single and kind != "colour":
                return np.array(image)
            picture = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise LabelsplatError(f"the mask cannot be read ({error})", where=file) from None
    labels, foreign = nearest_classes(picture, vocabulary.colours[: len(vocabulary)], tolerance)
    if foreign > MOST_FOREIGN:
        raise LabelsplatError(
            f"{foreign:.0%} of the mask are of no colour of {vocabulary.name!r}",
            where=file,
            remedy="Give the vocabulary the palette that the masks were painted with",
        )
    return labels


def _way(
    shape: tuple[int, int], view: View, crop: Crop, file: Path
) -> Callable[[np.ndarray], np.ndarray]:
    """How a map ``[H, W]`` float32 of the photo as taken becomes one of the working square."""
    (height, width), camera, full = shape, view.camera, view.size_as_taken
    # A smaller mask keeps the photo's shape up to a whole number of pixels.
    if abs(width * full[1] - height * full[0]) > max(full):
        raise LabelsplatError(
            f"the mask is {width} x {height}, its photo {full[0]} x {full[1]}",
            where=file,
            remedy="Predict on the whole photo, not on a crop",
        )
    if view.turns % 2:
        height, width = width, height
    maps = None
    if view.distortion is not None:
        maps = undistortion_maps(replace(view, camera=camera.resized(width, height)))[:2]
    inner = (crop.inner_width, crop.inner_height)
    # As for photos: averaging over the covered area is not defined for enlarging.
    method = cv2.INTER_AREA if inner[0] <= width and inner[1] <= height else cv2.INTER_LINEAR
    # The photo may be smaller than the square, or reach beyond it where the square is a crop.
    first = (max(-crop.left, 0), max(-crop.top, 0))
    end = (min(crop.size - crop.left, inner[0]), min(crop.size - crop.top, inner[1]))
    left, top = max(crop.left, 0), max(crop.top, 0)
    right = crop.size - left - (end[0] - first[0])
    bottom = crop.size - top - (end[1] - first[1])

    def carry(mask: np.ndarray) -> np.ndarray:
        if view.turned:
            mask = np.ascontiguousarray(np.rot90(mask, view.turns))
        if maps is not None:
            mask = cv2.remap(mask, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.resize(mask, inner, interpolation=method)
        mask = np.ascontiguousarray(mask[first[1] : end[1], first[0] : end[0]])
        return cv2.copyMakeBorder(mask, top, bottom, left, right, cv2.BORDER_REPLICATE)

    return carry
