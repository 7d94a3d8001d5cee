"""What the judgement hands to the study: photos, label maps of each method, and their scores.

::

    judged/
      judged.json                        set, methods, classes and their colours
      images.csv                         subject, view, identity, yaw, pitch, stratum
      scores.csv                         subject, view, method, miou; no rows where nothing is true
      photos/{subject}/{view}.png        square, RGB
      masks/{method}/{subject}/{view}.png    class indices; 255 = no label

Truth is read by the stage that writes this folder, and nowhere in the study: true label maps come
as the masks of a method called ``reference``, where there are any.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image

from labelsplat.base import LabelsplatError, read_json
from labelsplat.labels import STRATA, VOCABULARIES, Vocabulary, read_label_map
from labelsplat.study.key import METHODS

FORMAT = 1
"""Version of the folder."""

IMAGE_COLUMNS = ("subject", "view", "identity", "yaw", "pitch", "stratum")
SCORE_COLUMNS = ("subject", "view", "method", "miou")

_REMEDY = "Run `make repro`: the evaluate stage writes this folder"
_EXCLUSIVE = (*STRATA[:4], "")


@dataclass(frozen=True, eq=False)
class Judged:
    """The folder, opened and checked.

    Attributes:
        root: the folder.
        set_name: ``test`` or ``capture``: where the photos are from.
        unseen: whether no parser was trained on them.
        reference: whether true label maps are among the methods.
        vocabulary: classes and colours of the label maps.
        methods: names, in the order of :data:`labelsplat.study.key.METHODS`.
        images: one row a photo, columns :data:`IMAGE_COLUMNS`; stratum "" where it is not known.
        scores: mIoU by (subject, view, method), of those that are known.
    """

    root: Path
    set_name: str
    unseen: bool
    reference: bool
    vocabulary: Vocabulary
    methods: tuple[str, ...]
    images: pd.DataFrame
    scores: dict[tuple[str, str, str], float]

    def photo_path(self, subject: str, view: str) -> Path:
        """File of a photo."""
        return self.root / "photos" / subject / f"{view}.png"

    def mask_path(self, method: str, subject: str, view: str) -> Path:
        """File of a label map."""
        return self.root / "masks" / method / subject / f"{view}.png"

    def photo(self, subject: str, view: str) -> np.ndarray:
        """A photo, ``[S, S, 3]`` uint8.

        Raises:
            LabelsplatError: it is missing, broken, no square or no colour photo.
        """
        path = self.photo_path(subject, view)
        try:
            with Image.open(path) as image:
                image.load()
                mode, (width, height) = image.mode, image.size
                pixels = np.asarray(image)
        except FileNotFoundError:
            raise LabelsplatError("the photo is missing", where=path, remedy=_REMEDY) from None
        except (OSError, SyntaxError) as error:
            raise LabelsplatError(f"the photo cannot be read ({error})", where=path) from None
        if mode != "RGB" or width != height:
            raise LabelsplatError(
                f"a square photo in RGB was expected, this is {width} x {height} in {mode}",
                where=path,
                remedy=_REMEDY,
            )
        return pixels

    def mask(self, method: str, subject: str, view: str) -> np.ndarray:
        """A label map, ``[S, S]`` uint8.

        Raises:
            LabelsplatError: it is missing or broken, or of another size than its photo.
        """
        path = self.mask_path(method, subject, view)
        labels = read_label_map(path, self.vocabulary)
        with Image.open(self.photo_path(subject, view)) as image:
            width, height = image.size
        if labels.shape != (height, width):
            raise LabelsplatError(
                f"a label map of {labels.shape[1]} x {labels.shape[0]} pixels, its photo has "
                f"{width} x {height}",
                where=path,
                remedy=_REMEDY,
            )
        return labels

    def miou(self, subject: str, view: str, method: str) -> float:
        """The label map's mIoU on this photo, NaN where it is not known."""
        return self.scores.get((subject, view, method), float("nan"))


def read_judged(root: str | Path) -> Judged:
    """Open what the evaluate stage wrote for the study.

    Raises:
        LabelsplatError: no such folder, one of another version, an unknown method or stratum, a
            photo or label map that is missing, a photo listed twice, an mIoU outside 0 to 1; names
            the file.
    """
    root = Path(root)
    if not root.is_dir():
        raise LabelsplatError("the folder is missing", where=root, remedy=_REMEDY)
    path = root / "judged.json"
    value = read_json(path)
    try:
        if value["format"] != FORMAT:
            raise LabelsplatError(
                f"format {value['format']!r}, this version reads {FORMAT}",
                where=path,
                remedy=_REMEDY,
            )
        found = Judged(
            root=root,
            set_name=str(value["set"]),
            unseen=bool(value["unseen"]),
            reference=bool(value["reference"]),
            vocabulary=_vocabulary(value),
            methods=_methods(value, path),
            images=_images(root / "images.csv"),
            scores={},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LabelsplatError(
            f"not complete ({type(error).__name__}: {error})", where=path, remedy=_REMEDY
        ) from None
    found.scores.update(_scores(root / "scores.csv", found))
    for row in found.images.itertuples():
        files = [found.mask_path(method, row.subject, row.view) for method in found.methods]
        for file in (found.photo_path(row.subject, row.view), *files):
            if not file.is_file():
                raise LabelsplatError(
                    f"images.csv lists {row.subject!r} {row.view!r}, but there is no such picture",
                    where=file,
                    remedy=_REMEDY,
                )
    return found


def _vocabulary(value: dict) -> Vocabulary:
    classes = tuple(map(str, value["classes"]))
    palette = tuple((int(r), int(g), int(b)) for r, g, b in value["palette"])
    if len(classes) != len(palette) or len(classes) < 2:
        raise ValueError(f"{len(classes)} classes and {len(palette)} colours")
    if not all(0 <= level <= 255 for colour in palette for level in colour):
        raise ValueError("a colour outside 0 to 255")
    known = VOCABULARIES.get(str(value["vocabulary"]))
    if known is not None and known.classes == classes:
        return dataclasses.replace(known, palette=palette)
    return Vocabulary(str(value["vocabulary"]), classes, palette)


def _methods(value: dict, path: Path) -> tuple[str, ...]:
    names = {str(name) for name in value["methods"]}
    unknown = sorted(names - set(METHODS))
    if unknown:
        raise LabelsplatError(
            f"unknown method {unknown[0]!r}, known are {', '.join(METHODS)}", where=path
        )
    if value["reference"]:
        names.add("reference")
    elif "reference" in names:
        raise LabelsplatError(
            'method "reference" is listed, but "reference" is false', where=path, remedy=_REMEDY
        )
    if len(names) < 2:
        raise LabelsplatError(
            f"{len(names)} methods, a study compares at least two", where=path, remedy=_REMEDY
        )
    return tuple(name for name in METHODS if name in names)


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise LabelsplatError(
            f"the table cannot be read ({error})", where=path, remedy=_REMEDY
        ) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise LabelsplatError(f"no column {missing[0]!r}", where=path, remedy=_REMEDY)
    return table[list(columns)]


def _images(path: Path) -> pd.DataFrame:
    table = _read_table(path, IMAGE_COLUMNS)
    if table.empty:
        raise LabelsplatError("lists no photo", where=path, remedy=_REMEDY)
    for subject, view, identity in zip(
        table["subject"], table["view"], table["identity"], strict=True
    ):
        if not (subject and view and identity):
            raise LabelsplatError("a row without subject, view or identity", where=path)
        name = PurePosixPath(subject, view)
        if name.is_absolute() or ".." in name.parts or "/" in view or "\\" in subject + view:
            raise LabelsplatError(f"{str(name)!r} names no picture below the folder", where=path)
    wrong = sorted(set(table["stratum"]) - set(_EXCLUSIVE))
    if wrong:
        raise LabelsplatError(f"unknown stratum {wrong[0]!r}", where=path)
    twice = table.duplicated(["subject", "view"])
    if twice.any():
        row = table[twice].iloc[0]
        raise LabelsplatError(f"{row['subject']!r} {row['view']!r} stands there twice", where=path)
    # The order of rows must not decide what is drawn by a seed.
    return table.sort_values(["subject", "view"], ignore_index=True)


def _scores(path: Path, judged: Judged) -> dict[tuple[str, str, str], float]:
    table = _read_table(path, SCORE_COLUMNS)
    unknown = sorted(set(table["method"]) - set(judged.methods))
    if unknown:
        raise LabelsplatError(f"a score of {unknown[0]!r}, which is not judged", where=path)
    out: dict[tuple[str, str, str], float] = {}
    for subject, view, method, text in table.itertuples(index=False):
        try:
            value = float(text) if text else float("nan")
        except ValueError:
            value = -1.0
        if value < 0 or value > 1:
            raise LabelsplatError(
                f"the mIoU of {method} on {subject} {view} is {text!r}, expected 0 to 1", where=path
            )
        if (subject, view, method) in out:
            raise LabelsplatError(f"two scores of {method} on {subject} {view}", where=path)
        out[subject, view, method] = value
    return out


def contents_text(judged: Judged) -> str:
    """What was judged, as text to be hashed: set, methods, classes, photos listed; no scores.

    Pictures are hashed where they are read, so that only those of the study need be.
    """
    return json.dumps(
        {
            "set": judged.set_name,
            "methods": judged.methods,
            "classes": judged.vocabulary.classes,
            "palette": judged.vocabulary.palette,
            "images": judged.images.to_numpy().tolist(),
        }
    )
