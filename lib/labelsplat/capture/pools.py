"""Pools of labelled photos within the project: ``standard`` and ``test`` from a user's own sets.

They have no cameras, so they are no captures: a pool is a folder of photos at working size,
``{photos}/{group}/{name}.png``, beside a folder of label maps of the same names, and a mark that
lists them. (Copies at working size: thousands of photos are read again in every epoch.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from labelsplat.base import CaptureError, atomic_path, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture._fields import some
from labelsplat.capture.doors import open_capture
from labelsplat.capture.embedded import Photographed
from labelsplat.capture.images import prepare, read_photo
from labelsplat.capture.labelled import (
    LabelledPhoto,
    LabelledSet,
    open_labelled,
    split_validation,
    take_evenly,
)
from labelsplat.capture.sets import read_labels, write_truth
from labelsplat.labels import CELEBAMASK, VOCABULARIES, Vocabulary

MARK = "labelled.json"
"""In a pool's folder of photos: ``{vocabulary: name, groups: {group: [name, ...]}}``."""

EMBEDDED = "embedded"


def pool_sources(layout: Layout, capture: dict) -> dict[str, tuple[str, Path]]:
    """(layout, folder) of the pools that come from labelled sets: of ``standard`` and ``test``.

    Args:
        layout: the project's tree; relative roots start there.
        capture: section ``capture`` of params.yaml.

    Raises:
        CaptureError: a root is no folder.
    """
    found = {}
    for pool in ("standard", "test"):
        source, named = capture.get(f"{pool}_source", EMBEDDED), capture.get(f"{pool}_root", "")
        if source == EMBEDDED:
            continue
        root = layout.outside(named)
        if not named or not root.is_dir():
            raise CaptureError(
                f"capture.{pool}_root is {named!r}, which is no folder",
                where="params.yaml",
                remedy=f"Set capture.{pool}_root to the folder of your {source} set",
            )
        found[pool] = (source, root.resolve())
    return found


def open_pools(
    layout: Layout, capture: dict
) -> dict[str, tuple[LabelledSet, dict[str, list[LabelledPhoto]]]]:
    """The labelled sets of :func:`pool_sources`, and which of their photos go to which group.

    One set may serve both pools: its test photos are then in neither of the others. Without groups
    of its own every tenth photo is the test's.
    """
    opened = {}
    most = capture.get("labelled_images", 0)
    sources = pool_sources(layout, capture)
    for pool, (source, root) in sources.items():
        found = open_labelled(source, root)
        photos = list(found.photos)
        shared = len(set(sources.values())) < len(sources)
        tested = [p for p in photos if p.group == "test"]
        if shared and not tested:
            tested = photos[4::10] or photos[-1:]
        if pool == "test":
            groups = {"test": take_evenly(tested or photos, most)}
        else:
            kept = set(photos) - set(tested)
            rest = [p for p in photos if p in kept]
            if not rest:
                raise CaptureError(
                    f"all {len(photos)} photos are test photos, none is left to learn from",
                    where=root,
                    remedy=f"Name another set in capture.{pool}_root",
                )
            standard, validation = split_validation(rest)
            groups = {
                "standard": take_evenly(standard, most),
                "validation": take_evenly(validation, most),
            }
        opened[pool] = (found, groups)
    return opened


def write_pool(
    found: LabelledSet,
    groups: dict[str, list[LabelledPhoto]],
    photos: Path,
    labels: Path,
    size: int,
) -> list[Photographed]:
    """Write a pool's photos and label maps at working size; what was written, for tables.

    Args:
        found: the set that they are of.
        groups: photos by the name of their group.
        photos: folder of the photos.
        labels: folder of the label maps.
        size: pixels.
    """
    if found.skipped:
        names = some([file.name for file in found.skipped])
        print(f"capture: left out as no labelled photos of {found.root}: {names}")
    done = []
    for group, chosen in groups.items():
        for photo in chosen:
            image, maps = found.read(photo, size)
            with atomic_path(photos / group / f"{photo.name}.png") as temporary:
                Image.fromarray(image).save(temporary, format="PNG")
            write_truth(labels, group, photo.name, maps)
            done.append(Photographed(photo.name, group, (1,), {}))
    names = {group: [p.name for p in chosen] for group, chosen in groups.items()}
    write_json(photos / MARK, {"vocabulary": told_apart(found.classes).name, "groups": names})
    return done


def pool_groups(photos: str | Path) -> dict[str, list[str]] | None:
    """Names by group of a pool; None where a folder holds captures instead."""
    mark = Path(photos) / MARK
    return read_json(mark)["groups"] if mark.is_file() else None


def told_apart(classes: Sequence[str]) -> Vocabulary:
    """The vocabulary in which a set of these classes can be scored: its own, if that is coarser
    than the project's and known; else the project's."""
    known = (v for v in VOCABULARIES.values() if v.classes == tuple(classes))
    found = next(known, CELEBAMASK)
    return CELEBAMASK if set(found.classes) == set(CELEBAMASK.classes) else found


def pool_vocabulary(photos: str | Path) -> Vocabulary:
    """What a pool's labels tell apart: a set's labels are carried to the project's classes by name,
    and what the set does not tell apart stays together.

    Captures' truth is in the project's own vocabulary.
    """
    mark = Path(photos) / MARK
    return VOCABULARIES[read_json(mark)["vocabulary"]] if mark.is_file() else CELEBAMASK


def read_pool(
    photos: str | Path, labels: str | Path, group: str, names: Sequence[str], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Photos ``[n, size, size, 3]`` uint8 of a pool and their labels ``[n, size, size]`` uint8.

    Raises:
        CaptureError: a file is missing or of another size.
        LabelsplatError: a label map is broken.
    """
    images = np.empty((len(names), size, size, 3), np.uint8)
    for i, name in enumerate(names):
        path = Path(photos) / group / f"{name}.png"
        pixels = read_photo(path)
        if pixels.shape != images.shape[1:]:
            raise CaptureError(
                f"the photo is {pixels.shape[1]} x {pixels.shape[0]}, capture.size is {size}",
                where=path,
                remedy="Run: make repro",
            )
        images[i] = pixels
    return images, read_labels(labels, group, names)


def sample_standard(
    layout: Layout, size: int, count: int = 8, views: int = 2
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Some of the ``standard`` pool to look at: ``views`` rows of ``count`` photos and labels."""
    pool = pool_groups(layout.standard_photos)
    if pool is not None:
        names = pool["standard"][: count * views]
        images, labels = read_pool(
            layout.standard_photos, layout.standard_labels, "standard", names, size
        )
        steps = range(0, len(names), count)
        return [(images[i : i + count], labels[i : i + count]) for i in steps]
    subjects = read_json(layout.standard / "groups.json")["standard"][:count]
    shots = [
        prepare(open_capture(layout.standard_photos, subject, "facescape"), size)
        for subject in subjects
    ]
    truths = [read_labels(layout.standard_labels, s.subject, s.names) for s in shots]
    return [
        (np.stack([s.images[view] for s in shots]), np.stack([t[view] for t in truths]))
        for view in range(min(views, *(len(s.names) for s in shots)))
    ]


def pool_state(layout: Layout, capture: dict) -> dict[str, dict]:
    """Digest of each labelled set's file names, sizes and times; photos are not opened."""
    state = {}
    for pool, (source, root) in pool_sources(layout, capture).items():
        digest = hashlib.sha256()
        photos = open_labelled(source, root, sides=False).photos
        labels = {photo.labels for photo in photos}
        # CelebAMask-HQ's labels are files in a folder; plain images may have a list of classes.
        inside = (file for folder in labels if folder.is_dir() for file in folder.iterdir())
        lists = {folder.parent / "labels.json" for folder in labels}
        files = {*(p.image for p in photos), *labels, *inside, *filter(Path.is_file, lists)}
        for file in sorted(files):
            stat = file.stat()
            digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        state[pool] = {"source": source, "root": str(root), "digest": digest.hexdigest()}
    return state
