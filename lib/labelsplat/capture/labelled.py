"""Labelled face sets as pools of this project: CelebAMask-HQ's and LaPa's layouts, plain folders.

* ``celebamask``: ``CelebA-HQ-img/{id}.jpg`` (1024 px) and one mask a part,
  ``CelebAMask-HQ-mask-anno/{id // 2000}/{id:05d}_{part}.png`` (512 px); parts that a face does not
  show have no file (github.com/switchablenorms/CelebAMask-HQ). With
  ``CelebA-HQ-to-CelebA-mapping.txt`` beside them, faces are split as CelebA's are.
* ``lapa``: ``images/*.jpg`` and ``labels/*.png`` of indices, perhaps below ``train``, ``val`` and
  ``test``; ``landmarks`` are not used (github.com/jd-opensource/lapa-dataset).
* ``images``: ``images/*`` and ``labels/*.png`` of indices; a ``labels.json`` there names the
  classes, as this project's own label folders do; without it they are CelebAMask-HQ's.

Classes are carried to this project's vocabulary by NAME. Sets disagree on whose left "left" is; a
pool of faces tells by itself, since eyes and brows stand on known sides of a face that looks at
the camera, and is turned to the subject's left where it means the viewer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError, ParameterError
from labelsplat.capture import _fields as fields
from labelsplat.capture.images import nearest, pixels_of, read_photo, square_crop, to_square
from labelsplat.labels import CELEBAMASK, IGNORE, Conversion, Vocabulary
from labelsplat.labels import LAPA as LAPA_11

LABELLED = ("celebamask", "lapa", "images")
"""Layouts of labelled sets."""

LAPA = LAPA_11.classes
"""LaPa's eleven classes in index order. What it does not tell apart (ears, neck, cloth) is
background there."""

PARTS = tuple(name for name in CELEBAMASK.classes if name != "background")
"""CelebAMask-HQ's parts in the order in which its masks are laid over one another."""

PER_FOLDER = 2000
"""Faces in each of CelebAMask-HQ's mask folders."""

CELEBA_PARTITION = {"train": 1, "val": 162_771, "test": 182_638}
"""First file of each group in CelebA's ``list_eval_partition.txt``; CelebAMask-HQ keeps that split
for its faces, by ``CelebA-HQ-to-CelebA-mapping.txt``."""

SIDES = (("l_brow", "r_brow"), ("l_eye", "r_eye"))
"""Pairs of classes that tell whose left is meant."""

FACES_ASKED, AGREEMENT = 200, 0.8
"""Faces that are asked for it at most, and the share of them that must agree."""


@dataclass(frozen=True)
class LabelledPhoto:
    """One photo of a labelled set, not yet read.

    Attributes:
        name: unique in its set, of letters, digits, ``-`` and ``_``.
        image: its file.
        labels: its index PNG; of CelebAMask-HQ the folder of its parts.
        group: "train", "val" or "test" where the set says so, else "".
    """

    name: str
    image: Path
    labels: Path
    group: str = ""


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """A labelled set, opened: its photos are read one at a time.

    Attributes:
        root: its folder.
        photos: what it holds, in natural order.
        classes: its class names in index order, of this project's.
        read_indices: reads the indices of one photo, ``[h, w]`` uint8.
        mirrored: whether its left is the viewer's, see :func:`sides_mirrored`.
        skipped: files beside the photos that are none, or have no labels.
    """

    root: Path
    photos: tuple[LabelledPhoto, ...]
    classes: tuple[str, ...]
    read_indices: Callable[[LabelledPhoto], np.ndarray]
    mirrored: bool = False
    skipped: tuple[Path, ...] = ()

    def read(
        self, photo: LabelledPhoto, size: int, vocabulary: Vocabulary = CELEBAMASK
    ) -> tuple[np.ndarray, np.ndarray]:
        """One photo at working size with its labels in the project's vocabulary.

        As :func:`labelsplat.capture.prepare` does, the photo's longer side becomes ``size``, and
        the square is filled up by its edge; there the labels are 255.

        Returns:
            ``[size, size, 3]`` uint8 sRGB and ``[size, size]`` uint8.

        Raises:
            CaptureError: a file is missing or broken, an index has no class, or photo and labels
                differ in their proportions.
        """
        image = read_photo(photo.image)
        labels = carry(self.read_indices(photo), self.classes, vocabulary, photo.labels)
        if self.mirrored:
            labels = np.where(labels == IGNORE, IGNORE, vocabulary.flip[labels % len(vocabulary)])
        proportions = image.shape[0] * labels.shape[1] / (image.shape[1] * labels.shape[0])
        if abs(proportions - 1) > 0.02:
            raise CaptureError(
                f"the photo is {image.shape[1]} x {image.shape[0]}, its labels are "
                f"{labels.shape[1]} x {labels.shape[0]}",
                where=photo.image,
                remedy="Labels must show the same picture; another size is fine",
            )
        return _to_square(image, labels.astype(np.uint8), size)


def open_labelled(source: str, root: str | Path, *, sides: bool = True) -> LabelledSet:
    """Open a labelled set; photos without labels are left out.

    Photos are taken in the formats of a capture's; what is left out is listed in ``skipped``.

    Args:
        source: one of :data:`LABELLED`.
        root: its folder.
        sides: find out whose left is meant; some hundred label maps are read for that.

    Raises:
        ParameterError: an unknown layout.
        CaptureError: no such folder, or no labelled photo in it.
    """
    root = Path(root)
    readers = {"celebamask": _open_celebamask, "lapa": _open_lapa, "images": _open_images}
    if source not in readers:
        raise ParameterError(f"unknown layout {source!r}", remedy=f"One of {LABELLED}")
    if not root.is_dir():
        raise CaptureError("no such folder", where=root)
    found = readers[source](root)
    if not found.photos:
        expected = {
            "celebamask": "CelebA-HQ-img/{id}.jpg and CelebAMask-HQ-mask-anno/{n}/{id}_{part}.png",
            "lapa": "images/*.jpg and labels/*.png, perhaps below train, val and test",
            "images": "images/* and labels/*.png of the same names",
        }
        raise CaptureError(
            f"no labelled photo of layout {source!r}", where=root,
            remedy=f"Expected {expected[source]}",
        )  # fmt: skip
    _check_names(found.photos)
    mirrored = sides and sides_mirrored(found)
    return replace(found, mirrored=mirrored, skipped=_skipped(found.photos))


def _check_names(photos: Sequence[LabelledPhoto]) -> None:
    """Raise a CaptureError where two photos would be written under one name."""
    first: dict[str, Path] = {}
    for photo in photos:
        other = first.setdefault(photo.name, photo.image)
        if other != photo.image:
            raise CaptureError(
                f"{other.name} and {photo.image.name} would both be {photo.name!r}",
                where=photo.image.parent,
                remedy="Rename one of them; only letters, digits and - tell names apart",
            )


def take_evenly(photos: Sequence[LabelledPhoto], most: int) -> list[LabelledPhoto]:
    """At most ``most`` of the photos, evenly spaced; all where ``most`` is 0."""
    if not most or len(photos) <= most:
        return list(photos)
    return [photos[i] for i in np.unique(np.linspace(0, len(photos) - 1, most).round().astype(int))]


def split_validation(
    photos: Sequence[LabelledPhoto], share: float = 0.1
) -> tuple[list[LabelledPhoto], list[LabelledPhoto]]:
    """(standard, validation): the set's own ``train`` and ``val``, else every tenth is validation.

    Photos of a ``test`` group are in neither.
    """
    groups = {photo.group for photo in photos}
    if {"train", "val"} <= groups:
        return (
            [p for p in photos if p.group == "train"],
            [p for p in photos if p.group == "val"],
        )
    rest = [p for p in photos if p.group != "test"] or list(photos)
    step = max(2, round(1 / share))
    return (
        [p for i, p in enumerate(rest) if i % step != step - 1 or len(rest) < 2],
        [p for i, p in enumerate(rest) if i % step == step - 1] or rest[-1:],
    )


def carry(
    indices: np.ndarray, classes: Sequence[str], vocabulary: Vocabulary, where: object
) -> np.ndarray:
    """Indices of one list of classes as those of a vocabulary, by name; 255 stays 255.

    Raises:
        CaptureError: an index without a class, or a class that the vocabulary does not have.
    """
    conversion = Conversion(Vocabulary("this set", tuple(classes), ()), vocabulary)
    if conversion.dropped:
        raise CaptureError(
            f"class {conversion.dropped[0]!r} is unknown in vocabulary {vocabulary.name!r}",
            where=where,
            remedy=f"Its classes are {', '.join(vocabulary.classes)}",
        )
    try:
        return conversion.labels(indices)
    except ValueError:
        wrong = indices[(indices >= len(classes)) & (indices != IGNORE)].min()
        raise CaptureError(
            f"index {wrong} has no class, there are {len(classes)}", where=where,
            remedy="Name the classes in a labels.json beside the label maps",
        ) from None  # fmt: skip


def sides_mirrored(found: LabelledSet) -> bool:
    """Whether a set's left is the viewer's: most left eyes and brows lie on the image's left.

    Raises:
        CaptureError: faces disagree, so that there must be something else wrong.
    """
    left = []
    for photo in take_evenly(found.photos, FACES_ASKED):
        indices = found.read_indices(photo)
        for one, other in SIDES:
            if one in found.classes and other in found.classes:
                columns = [
                    np.flatnonzero((indices == found.classes.index(name)).any(0))
                    for name in (one, other)
                ]
                if all(c.size for c in columns):
                    left.append(columns[0].mean() < columns[1].mean())
    if not left:
        return False
    share = float(np.mean(left))
    if 1 - AGREEMENT < share < AGREEMENT and len(left) >= 10:
        raise CaptureError(
            f"left eyes and brows lie on the image's left in {share:.0%} of the faces: it is not "
            "clear whose left is meant",
            where=found.root,
            remedy="Are the class indices in another order than this layout's?",
        )
    return share > 0.5


def _open_celebamask(root: Path) -> LabelledSet:
    base = root / "CelebAMask-HQ" if (root / "CelebAMask-HQ").is_dir() else root
    masks = base / "CelebAMask-HQ-mask-anno"
    groups = _partition(base / "CelebA-HQ-to-CelebA-mapping.txt")
    photos = []
    for image in _listed(base / "CelebA-HQ-img"):
        if not re.fullmatch(r"\d+", image.stem):
            continue
        number = int(image.stem)
        folder = masks / str(number // PER_FOLDER)
        if (folder / f"{number:05d}_skin.png").is_file():
            group = groups.get(number, "")
            photos.append(LabelledPhoto(f"{number:05d}", image, folder, group))

    def indices(photo: LabelledPhoto) -> np.ndarray:
        out = None
        for index, part in enumerate(PARTS, 1):
            path = photo.labels / f"{photo.name}_{part}.png"
            if path.is_file():
                mask = _read_grey(path, colour=True) > 127
                out = np.zeros(mask.shape, np.uint8) if out is None else out
                if mask.shape != out.shape:
                    raise CaptureError(
                        f"{mask.shape[1]} x {mask.shape[0]}, the face's other masks are "
                        f"{out.shape[1]} x {out.shape[0]}",
                        where=path,
                    )
                out[mask] = index
        assert out is not None  # the skin's mask was there when the set was listed
        return out

    return LabelledSet(root, tuple(photos), ("background", *PARTS), indices)


def _partition(path: Path) -> dict[int, str]:
    """CelebA's own split of CelebAMask-HQ's faces by number; empty without the mapping file.

    Its lines are ``idx orig_idx orig_file`` below a head line; the number of ``orig_file`` decides.
    """
    groups: dict[int, str] = {}
    if not path.is_file():
        return groups
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) != 3 or not words[0].isdigit():
            continue
        face = re.match(r"\d+", words[2])
        if face is None:
            raise CaptureError(
                f"the line {line!r} names no file of CelebA",
                where=path,
                remedy="Copy it anew, or remove it: every tenth face is then kept for tests",
            )
        number = int(face.group())
        later = [name for name, first in CELEBA_PARTITION.items() if number >= first]
        groups[int(words[0])] = later[-1]
    return groups


def _open_lapa(root: Path) -> LabelledSet:
    photos: list[LabelledPhoto] = []
    for group in ("train", "val", "test", ""):
        if group and not (root / group / "images").is_dir():
            continue
        photos += _pairs(root / group, group)
    return LabelledSet(root, tuple(photos), LAPA, lambda photo: _read_grey(photo.labels))


def _open_images(root: Path) -> LabelledSet:
    classes = CELEBAMASK.classes
    for path in (root / "labels" / "labels.json", root / "labels.json"):
        if path.is_file():
            table = fields.read_object(path)
            entries = fields.pick(table, "classes", path)
            names = [e.get("name") if isinstance(e, dict) else e for e in _as_list(entries)]
            if not names or not all(isinstance(name, str) for name in names):
                raise CaptureError("'classes' should list the classes' names", where=path)
            if len(names) > IGNORE:
                raise CaptureError(
                    f"{len(names)} classes, a label map has room for {IGNORE}", where=path
                )
            classes = tuple(names)
            break
    photos = tuple(_pairs(root, ""))
    return LabelledSet(root, photos, classes, lambda photo: _read_grey(photo.labels))


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else []


def _pairs(root: Path, group: str) -> Iterator[LabelledPhoto]:
    """Photos of ``images`` with an index PNG of the same name in ``labels``."""
    for image in _listed(root / "images"):
        labels = root / "labels" / f"{image.stem}.png"
        if labels.is_file():
            name = re.sub(r"[^A-Za-z0-9-]+", "-", image.stem)
            yield LabelledPhoto(f"{group}-{name}" if group else name, image, labels, group)


def _skipped(photos: Sequence[LabelledPhoto]) -> tuple[Path, ...]:
    taken = {photo.image for photo in photos}
    folders = sorted({photo.image.parent for photo in photos})
    others = [f for folder in folders for f in sorted(folder.iterdir()) if f not in taken]
    return tuple(f for f in others if f.is_file() and not f.name.startswith("."))


def _listed(folder: Path) -> list[Path]:
    files = [f for f in folder.iterdir() if f.suffix in fields.SUFFIXES] if folder.is_dir() else []
    return sorted(files, key=lambda f: fields.natural(f.name))


def _read_grey(path: Path, *, colour: bool = False) -> np.ndarray:
    """``[h, w]`` uint8 of class indices; or of a mask, in whatever colour it is (``colour``)."""
    try:
        with Image.open(path) as image:
            image.load()
            if colour:
                return pixels_of(image).max(-1)
            if image.mode not in ("P", "L"):
                raise CaptureError(
                    f"a label map has one channel of class indices, this image is {image.mode}",
                    where=path,
                    remedy="Save class indices (modes P or L), not colours",
                )
            return np.array(image, np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CaptureError(
            f"the labels cannot be read ({error})", where=path, remedy="Copy them anew"
        ) from None


def _to_square(image: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at working size; the labels may be of another size, beyond the photo they are IGNORE."""
    height, width = image.shape[:2]
    crop = square_crop(width, height, size)
    image, _ = to_square(image, np.ones((height, width), bool), crop)
    out = np.full((size, size), IGNORE, np.uint8)
    rows = nearest(crop.inner_height, labels.shape[0])
    columns = nearest(crop.inner_width, labels.shape[1])
    inner = labels[rows[:, None], columns]
    out[crop.top : crop.top + len(rows), crop.left : crop.left + len(columns)] = inner
    return image, out
