"""What people are to judge: photos with every arm's label maps and the true ones, side by side.

The study (:mod:`labelsplat.study`) asks people instead of truth. It opens no truth tree, so this
stage, which does, hands it all that it needs::

    data/judged/
      judged.json                          what set this is, which methods, what the classes are
      images.csv                           subject, view, identity, yaw, pitch, stratum
      scores.csv                           subject, view, method, miou (of the one photo)
      photos/{subject}/{view}.png          at working size
      masks/{method}/{subject}/{view}.png  index PNGs; of the method "reference" the true ones

They are the test photos, with truth. Where there is no truth, the captures' own photos take their
place: every arm but the baseline has learned from them (``unseen: false``), and nobody is shown who
may not be (``capture.publishable_ids``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from labelsplat.base import atomic_dir, atomic_path, write_json
from labelsplat.base.arms import REFERENCE, STUDY_ARMS
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    Prepared,
    capture_root,
    open_capture,
    prepare,
    shown_subjects,
)
from labelsplat.capture.labelled import take_evenly
from labelsplat.evaluate.arms import predict_labels
from labelsplat.evaluate.confusions import compare_views, identity_of
from labelsplat.labels import CELEBAMASK, IGNORE, Conversion, Vocabulary, stratum_of
from labelsplat.labels.maps import write_label_map
from labelsplat.parsing import load_checkpoint

FORMAT = 1
"""Version of ``judged.json``."""

MOST_SUBJECTS = 600
"""Of a test set of more people (a labelled set of single photos) these are taken, evenly spaced."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One subject's photos with the label maps of every method.

    Attributes:
        photos: V views.
        maps: ``[V, H, W]`` uint8 by method, in the project's vocabulary.
        truth: ``[V, H, W]`` uint8 likewise, or None.
    """

    photos: Prepared
    maps: Mapping[str, np.ndarray]
    truth: np.ndarray | None


def subjects_to_judge(names: Sequence[str]) -> frozenset[str]:
    """Which subjects of a test set are handed on: all, or :data:`MOST_SUBJECTS` of them."""
    return frozenset(take_evenly(list(names), MOST_SUBJECTS))


def captures_to_judge(
    layout: Layout, files: Mapping[str, Path], size: int, device: str = "auto"
) -> Iterator[Judged]:
    """The captures' own photos, for a line without truth.

    Args:
        layout: of the project.
        files: checkpoints by arm.
        size: pixels.
        device: "auto", "cpu" or "cuda".
    """
    source, root, _ = capture_root(layout)
    nets = {arm: load_checkpoint(files[arm]).net for arm in STUDY_ARMS if arm in files}
    for subject in shown_subjects(layout):
        photos = prepare(open_capture(root, subject, source), size)
        maps = {arm: predict_labels(net, photos.images, device) for arm, net in nets.items()}
        yield Judged(photos, maps, None)


@contextmanager
def write_judged(
    root: Path, *, unseen: bool, vocabulary: Vocabulary = CELEBAMASK
) -> Iterator[Callable[[Judged], None]]:
    """Write ``data/judged``, whole or not at all, one subject at a time.

    Args:
        root: the folder.
        unseen: whether no arm has learned from these photos.
        vocabulary: of the files; coarser than the project's where the truth tells less apart.

    Yields:
        a function that adds a subject.
    """
    images: list[tuple] = []
    scores: list[tuple] = []
    methods: dict[str, None] = {}
    with atomic_dir(root) as folder:

        def add(one: Judged) -> None:
            p = one.photos
            poses = p.angles if p.angles is not None else np.full((len(p.names), 2), np.nan)
            for name, photo, (yaw, pitch) in zip(p.names, p.images, poses, strict=True):
                with atomic_path(folder / "photos" / p.subject / f"{name}.png") as temporary:
                    Image.fromarray(photo).save(temporary, format="PNG")
                stratum = "" if np.isnan(yaw) else stratum_of(yaw, pitch)
                images.append((p.subject, name, identity_of(p.subject), yaw, pitch, stratum))
            maps = _carried(one, vocabulary)
            for method, labels in maps.items():
                methods.setdefault(method)
                for name, values in zip(p.names, labels, strict=True):
                    path = folder / "masks" / method / p.subject / f"{name}.png"
                    write_label_map(path, values, vocabulary)
            scores.extend(_scores(p, maps, vocabulary))

        yield add
        _write_table(folder / "images.csv", images, "subject view identity yaw pitch stratum")
        _write_table(folder / "scores.csv", scores, "subject view method miou")
        facts = {
            "format": FORMAT,
            "set": "test" if unseen else "capture",
            "unseen": unseen,
            "reference": REFERENCE in methods,
            "methods": list(methods),
            "vocabulary": vocabulary.name,
            "classes": list(vocabulary.classes),
            "palette": [list(colour) for colour in vocabulary.palette],
        }
        write_json(folder / "judged.json", facts)


def _carried(one: Judged, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """Maps of every method that is judged, the true ones last, in another vocabulary."""
    carry = Conversion(CELEBAMASK, vocabulary)
    maps = {arm: one.maps[arm] for arm in STUDY_ARMS if arm in one.maps}
    if one.truth is not None:
        maps[REFERENCE] = one.truth
    # Beyond the photo's edge nobody is judged.
    return {
        method: carry.labels(np.where(one.photos.valid, labels, IGNORE).astype(np.uint8))
        for method, labels in maps.items()
    }


def _scores(
    p: Prepared, maps: Mapping[str, np.ndarray], vocabulary: Vocabulary
) -> list[tuple[str, str, str, float]]:
    """(subject, view, method, mean IoU of that one photo); nothing where there is no truth."""
    if REFERENCE not in maps:
        return []
    rows = []
    for method, labels in maps.items():
        counts = compare_views(p.subject, p.names, None, labels, maps[REFERENCE], vocabulary)
        values = counts.view_scores().tolist()
        rows += [(p.subject, n, method, round(v, 6)) for n, v in zip(p.names, values, strict=True)]
    return rows


def _write_table(path: Path, rows: list[tuple], columns: str) -> None:
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, index=False, lineterminator="\n")
