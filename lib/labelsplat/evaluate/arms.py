"""The arms: which parsers are compared, where they lie, and how they do on unseen heads.

All arms predict in the same way, a plain forward pass: averaging with the mirrored image would
help each of them by an amount of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labelsplat.base import LabelsplatError
from labelsplat.base.arms import ARM_TITLES
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    Prepared,
    list_subjects,
    open_capture,
    pool_groups,
    pool_vocabulary,
    prepare,
    read_labels,
    read_pool,
)
from labelsplat.evaluate.confusions import ViewConfusions, compare_views, join
from labelsplat.labels import IGNORE
from labelsplat.parsing import arm_checkpoint, load_checkpoint, predict

ARMS = tuple(ARM_TITLES)
"""All arms, in the order of the tables."""

CONTROLS = ("baseline", "replay_only")
"""Gains are taken against the better of these."""

_OWN_STAGE = ("baseline", "replay_only", "oracle")


@dataclass(frozen=True, eq=False)
class TrueHead:
    """Photos of one head with their true labels.

    Attributes:
        photos: V views.
        labels: ``[V, H, W]`` uint8.
    """

    photos: Prepared
    labels: np.ndarray


def has_truth(root: str | Path) -> bool:
    """Whether a truth tree holds anything; for captures of real people it does not."""
    return (Path(root) / "labels.json").is_file()


def arm_files(layout: Layout, rounds: Mapping[str, Mapping[str, Any]]) -> dict[str, Path]:
    """Checkpoint of each arm, in the order of :data:`ARMS`; untrained arms are left out.

    Args:
        layout: of the project.
        rounds: section ``rounds`` of params.yaml.

    Raises:
        LabelsplatError: a round lists an arm whose checkpoint is missing, or the baseline is.
    """
    listed = {arm for content in rounds.values() for arm in content["arms"]}
    files = {}
    for arm in ARMS:
        if arm not in listed and arm not in _OWN_STAGE:
            continue
        path = arm_checkpoint(layout, dict(rounds), arm)
        if path.is_file():
            files[arm] = path
        elif arm == "baseline" or arm in listed:
            raise LabelsplatError(
                f"the checkpoint of arm {arm!r} is missing",
                where=layout.relative(path),
                remedy="Run the stages before this one: make repro",
            )
    return files


def true_subjects(photos: str | Path) -> list[str]:
    """The subjects of a set with true labels: heads, or single photos of a labelled set."""
    groups = pool_groups(photos)
    return groups["test"] if groups is not None else list_subjects("auto", photos)


def true_heads(photos: str | Path, truth: str | Path, size: int) -> Iterator[TrueHead]:
    """All heads of a set with true labels, one at a time, at ``size`` pixels.

    Raises:
        LabelsplatError: photos or labels cannot be read, or the labels are of another size.
    """
    for subject in true_subjects(photos):
        yield true_head(photos, truth, subject, size)


def true_head(photos: str | Path, truth: str | Path, subject: str, size: int) -> TrueHead:
    """One head of such a set; errors as :func:`true_heads`."""
    if pool_groups(photos) is not None:  # photos of many people, without cameras
        images, maps = read_pool(photos, truth, "test", [subject], size)
        shot = Prepared(subject, (subject,), images, maps != IGNORE, [], None, ())
        return TrueHead(shot, maps)
    prepared = prepare(open_capture(photos, subject), size)
    labels = read_labels(truth, subject, prepared.names)
    if labels.shape != prepared.images.shape[:3]:
        raise LabelsplatError(
            f"true labels {labels.shape} do not fit the photos {prepared.images.shape[:3]}",
            where=Path(truth) / subject,
            remedy="capture.size must be the size that the set was made at",
        )
    return TrueHead(prepared, labels)


def predict_labels(
    net: Any, images: np.ndarray, device: str = "auto", *, flip: bool = False
) -> np.ndarray:
    """Most probable class of every pixel, ``[n, H, W, 3]`` uint8 -> ``[n, H, W]`` uint8.

    Args:
        net: a parser.
        images: n photos.
        device: "auto", "cpu" or "cuda".
        flip: average with the mirrored image; False wherever arms are compared.
    """
    parts = [
        predict(net, images[i : i + 12], flip=flip, device=device).argmax(-1)
        for i in range(0, len(images), 12)
    ]
    return np.concatenate(parts).astype(np.uint8)


def score_arms(
    files: Mapping[str, Path],
    photos: str | Path,
    truth: str | Path,
    size: int,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
    keep: Callable[[TrueHead, dict[str, np.ndarray]], None] | None = None,
) -> dict[str, ViewConfusions]:
    """Confusion counts of each arm on every view of a set with true labels.

    Args:
        files: checkpoints by arm.
        photos: root of the photos.
        truth: root of their truth.
        size: of the photos, in pixels.
        device: "auto", "cpu" or "cuda".
        progress: called with each subject's name once it is done.
        keep: called with each head and its label maps by arm.
    """
    nets = {arm: load_checkpoint(path).net for arm, path in files.items()}
    parts: dict[str, list[ViewConfusions]] = {arm: [] for arm in nets}
    for head in true_heads(photos, truth, size):
        p = head.photos
        maps = {arm: predict_labels(net, p.images, device) for arm, net in nets.items()}
        for arm, labels in maps.items():
            parts[arm].append(compare_views(p.subject, p.names, p.angles, labels, head.labels))
        if keep:
            keep(head, maps)
        if progress:
            progress(p.subject)
    # Of a set that tells less apart than the project, parser and truth are compared as it does.
    coarse = pool_vocabulary(photos)
    return {arm: join(list(views)).carried(coarse) for arm, views in parts.items()}
