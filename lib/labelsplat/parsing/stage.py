"""The parser and predict stages: train the baseline, predict the captures, both as files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from labelsplat.base import LabelsplatError, atomic_dir, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    Prepared,
    capture_root,
    open_capture,
    pool_groups,
    prepare,
    read_labels,
    read_pool,
)
from labelsplat.parsing.checkpoint import load_checkpoint, save_checkpoint
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.frames import FRAMES, choose_frame, with_frame
from labelsplat.parsing.predict import predict
from labelsplat.parsing.registry import create
from labelsplat.parsing.store import SoftPredictions, load_predictions, save_predictions
from labelsplat.parsing.train import TrainLog, train

BASELINE = "baseline"
"""Name of the checkpoint and of the predictions of the parser before any refinement."""


def prepared(layout: Layout, subject: str, size: int) -> Prepared:
    """The photos of one capture subject at the working size."""
    source, root, _ = capture_root(layout)
    return prepare(open_capture(root, subject, source), size)


def standard_set(layout: Layout, group: str, size: int) -> LabelledImages:
    """All images of ``standard`` or ``validation`` with their true labels.

    Raises:
        LabelsplatError: the set is missing.
    """
    subjects = read_json(layout.standard / "groups.json")[group]
    if not subjects:
        raise LabelsplatError(
            f"the set {group!r} is empty",
            where=layout.standard,
            remedy=f"Raise capture.{group}_identities in params.yaml, or take a larger set",
        )
    pool = pool_groups(layout.standard_photos)
    if pool is not None:
        photos, maps = read_pool(
            layout.standard_photos, layout.standard_labels, group, subjects, size
        )
        return LabelledImages(photos, maps)
    images, labels = [], []
    for subject in subjects:
        photos = prepare(open_capture(layout.standard_photos, subject, "facescape"), size)
        images.append(photos.images)
        labels.append(read_labels(layout.standard_labels, subject, photos.names))
    return LabelledImages(np.concatenate(images), np.concatenate(labels))


def train_baseline(
    layout: Layout, parser: dict, *, size: int, seed: int, device: str = "auto"
) -> TrainLog:
    """Train a parser from random weights on ``standard``; keep the best on validation heads.

    Writes ``models/baseline/baseline.safetensors``.

    Args:
        layout: the project's tree.
        parser: section ``parser`` of params.yaml.
        size: pixels.
        seed: of the weights, of order and augmentation.
        device: "auto", "cpu" or "cuda".
    """
    net = create("bisenet", seed=seed, width=parser["width"], stem=parser["stem"])
    log = train(
        net,
        standard_set(layout, "standard", size),
        validation=standard_set(layout, "validation", size),
        steps=parser["steps"],
        batch=parser["batch"],
        learning_rate=parser["learning_rate"],
        weight_decay=parser["weight_decay"],
        coarse_share=parser["coarse_share"],
        validate_every=parser["validate_every"],
        keep="best",
        seed=seed,
        device=device,
        threads=parser["threads"] or None,
        description="baseline",
    )
    facts = asdict(log)
    # The checkpoint must not differ between two runs.
    for key in ("seconds", "images_per_second"):
        del facts[key]
    with atomic_dir(layout.models(BASELINE)) as folder:
        save_checkpoint(folder / f"{BASELINE}.safetensors", net, training=facts)
    return log


def predict_round(
    layout: Layout,
    round_name: str,
    parsers: str,
    *,
    size: int,
    flip: bool,
    device: str = "auto",
    head_frame: str = "auto",
) -> list[str]:
    """Predict every capture view with the checkpoints of a folder.

    The baseline serves all arms; of a round's checkpoints those are used that a further round
    starts from: ``refined`` and ``self_training``. Then say for every subject which head frame its
    angles are measured in (:mod:`labelsplat.parsing.frames`). Writes
    ``work/{round}/predictions/{checkpoint}/{subject}.npz`` and ``frames.json`` beside them.

    Args:
        layout: the project's tree.
        round_name: e.g. "r1".
        parsers: folder of the checkpoints, relative to the root, e.g. "models/baseline".
        size: pixels.
        flip: average with the mirrored image.
        device: "auto", "cpu" or "cuda".
        head_frame: one of :data:`labelsplat.parsing.frames.MODES`.

    Returns:
        names of the checkpoints used.

    Raises:
        LabelsplatError: no checkpoint there.
    """
    from tqdm.auto import tqdm

    folder = layout.root / parsers
    found = [
        n for n in (BASELINE, "refined", "self_training") if (folder / f"{n}.safetensors").is_file()
    ]
    if not found:
        raise LabelsplatError("no checkpoint to predict with", where=folder)
    source, root, subjects = capture_root(layout)
    frames: dict[str, dict] = {}
    with atomic_dir(layout.predictions(round_name)) as out:
        for name in found:
            net = load_checkpoint(folder / f"{name}.safetensors").net
            for subject in tqdm(subjects, f"predict {name}"):
                capture = open_capture(root, subject, source)
                photos = prepare(capture, size)
                soft = predict(net, photos.images, flip=flip, device=device)
                save_predictions(
                    out / name / f"{subject}.npz", SoftPredictions(tuple(photos.names), soft)
                )
                # The first of them: the baseline, or what refinement has made of it.
                if subject not in frames:
                    frames[subject] = choose_frame(capture, photos, soft, head_frame)
        write_json(out / FRAMES, frames)
    return found


def posed(layout: Layout, round_name: str, subject: str, size: int) -> Prepared:
    """As :func:`prepared`, with yaw and pitch against the head frame of a round's predictions."""
    return with_frame(layout, round_name, prepared(layout, subject, size))


def round_predictions(layout: Layout, round_name: str, arm: str, subject: str) -> SoftPredictions:
    """What ``arm`` predicted in a round: its own predictions, else the baseline's."""
    root = layout.predictions(round_name)
    own = root / arm / f"{subject}.npz"
    return load_predictions(own if own.is_file() else _baseline(root, subject))


def _baseline(root: Path, subject: str) -> Path:
    return root / BASELINE / f"{subject}.npz"
