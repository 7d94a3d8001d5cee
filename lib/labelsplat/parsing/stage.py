"""The parser and predict stages: train the baseline, predict the captures, both as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from labelsplat.base import LabelsplatError, ParameterError, atomic_dir, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import (
    Capture,
    Prepared,
    capture_root,
    open_capture,
    pool_groups,
    prepare,
    read_labels,
    read_pool,
)
from labelsplat.labels import CELEBAMASK
from labelsplat.parsing.augment import Augmentation
from labelsplat.parsing.calibrate import calibrate_parser, load_temperature, save_temperature
from labelsplat.parsing.checkpoint import load_checkpoint, save_checkpoint
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.frames import FRAMES, choose_frame, with_frame
from labelsplat.parsing.labellers import Labeller, parser_labeller
from labelsplat.parsing.losses import Ohem
from labelsplat.parsing.registry import create, find
from labelsplat.parsing.store import SoftPredictions, load_predictions, save_predictions
from labelsplat.parsing.train import TrainLog, train
from labelsplat.parsing.tta import predict_averaged

BASELINE = "baseline"
"""Name of the checkpoint and of the predictions of the parser before any refinement."""

HARDER = ("occlusion", "low_resolution", "zoom_out")
"""Changes of training images that section ``parser`` may turn on, see :class:`Augmentation`."""

TEMPERATURES = ("off", "fitted")
"""Whether soft predictions are tempered: not at all, or by what was fitted on validation heads."""

CHECKPOINT_EVERY = 500
"""Steps between checkpoints: little more than a minute's work is lost on two cores. A file is four
times as large as the parser, five times with an average of the weights."""


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
        _must_fit(len(subjects), size)
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


def _must_fit(count: int, size: int) -> None:
    """Raise LabelsplatError unless so many photos can be trained on in this machine's memory."""
    # Bytes: photos and labels as arrays and as tensors, and once more at half the size.
    needed = count * size**2 * 4 * 2.25
    there = psutil.virtual_memory().available
    if needed > 0.8 * there:
        raise LabelsplatError(
            f"{count} photos of {size} px take {needed / 2**30:.0f} GiB of memory to train on, "
            f"{there / 2**30:.0f} GiB are free",
            where="params.yaml: capture.labelled_images",
            remedy=f"Take {int(0.8 * there / (size**2 * 9))} at most, or smaller ones",
        )


def train_baseline(
    layout: Layout, parser: Mapping[str, Any], *, size: int, seed: int, device: str = "auto"
) -> TrainLog:
    """Train a parser from random weights on ``standard``; keep the best on validation heads.

    Writes ``models/baseline/baseline.safetensors``, beside it the temperature that was fitted on
    the validation heads, and ``reports/training/baseline.json`` with what no other stage may
    depend on: seconds. A training that was interrupted goes on.

    Args:
        layout: the project's tree.
        parser: section ``parser`` of params.yaml; without ``optimiser``, ``schedule``, ``ohem``,
            ``ema`` or one of :data:`HARDER` it is AdamW on a cosine schedule, with the loss of all
            pixels, no average and the usual augmentation.
        size: pixels.
        seed: of the weights, of order and augmentation.
        device: "auto", "cpu" or "cuda".
    """
    name = parser.get("architecture", "bisenet")
    known = {field.name for field in fields(find(name).config)}
    shape = {key: parser[key] for key in ("width", "stem") if key in known}
    net = create(name, seed=seed, **shape)
    validation = standard_set(layout, "validation", size)
    threshold = parser.get("ohem", 0.0)
    log = train(
        net,
        standard_set(layout, "standard", size),
        validation=validation,
        steps=parser["steps"],
        batch=parser["batch"],
        learning_rate=parser["learning_rate"],
        weight_decay=parser["weight_decay"],
        optimiser=parser.get("optimiser", "adamw"),
        schedule=parser.get("schedule", "cosine"),
        ema=parser.get("ema", 0.0),
        ohem=Ohem(threshold) if threshold else None,
        augmentation=Augmentation(**{key: parser.get(key, 0.0) for key in HARDER}),
        coarse_share=parser["coarse_share"],
        validate_every=parser["validate_every"],
        keep="best",
        seed=seed,
        device=device,
        threads=parser["threads"] or None,
        checkpoint=layout.checkpoints / "parser" / f"{BASELINE}.pt",
        every=CHECKPOINT_EVERY,
        description="baseline",
    )
    facts = asdict(log)
    # The checkpoint must not differ between two runs.
    times = {key: facts.pop(key) for key in ("seconds", "images_per_second")}
    with atomic_dir(layout.models(BASELINE)) as folder:
        path = folder / f"{BASELINE}.safetensors"
        save_checkpoint(path, net, training=facts)
        save_temperature(path, calibrate_parser(net, validation, device=device))
    write_json(layout.training_times(BASELINE), {k: round(v, 2) for k, v in times.items()})
    return log


def predict_round(
    layout: Layout,
    round_name: str,
    parsers: str,
    *,
    size: int,
    flip: bool,
    scales: Sequence[float] = (1.0,),
    temperature: str = "off",
    head_frame: str = "auto",
    parser: str = "",
    device: str = "auto",
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
        scales: sizes of the image to average over, as factors.
        temperature: "off" or "fitted": divide the logits by what was fitted on validation heads.
        device: "auto", "cpu" or "cuda".
        head_frame: one of :data:`labelsplat.parsing.frames.MODES`.
        parser: a file that :func:`labelsplat.parsing.load_parser` opens and that predicts in the
            baseline's place, as it is: at one scale, untempered. The baseline is fine-tuned still.

    Returns:
        names of the checkpoints used.

    Raises:
        LabelsplatError: no checkpoint there, or one without the temperature that it shall have;
            a parser of other classes.
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
            path = folder / f"{name}.safetensors"
            own = parser if name == BASELINE else ""
            label = capture_labeller(
                layout, path, flip=flip, scales=scales, temperature=temperature, parser=own,
                device=device,
            )  # fmt: skip
            for subject in tqdm(subjects, f"predict {name}"):
                capture = open_capture(root, subject, source)
                photos = prepare(capture, size)
                soft = label(capture, photos)
                save_predictions(
                    out / name / f"{subject}.npz", SoftPredictions(tuple(photos.names), soft)
                )
                # The first of them: the baseline, or what refinement has made of it.
                if subject not in frames:
                    frames[subject] = choose_frame(capture, photos, soft, head_frame)
        write_json(out / FRAMES, frames)
    return found


def own_settings(checkpoint: str | Path, predict: Mapping[str, Any]) -> dict[str, Any]:
    """``scales`` and ``temperature`` by which a checkpoint of this project is to predict.

    Args:
        checkpoint: its file.
        predict: section ``predict`` of params.yaml.
    """
    return {
        "scales": predict["scales"],
        "temperature": chosen_temperature(checkpoint, predict["temperature"]),
    }


def own_parser(path: Path, *, flip: bool, device: str) -> Labeller:
    """A user's parser that predicts in the baseline's place.

    Raises:
        LabelsplatError: a missing or broken file, or one whose classes are not the project's.
    """
    labeller = parser_labeller(path, flip=flip, device=device)
    if labeller.vocabulary.classes != CELEBAMASK.classes:
        raise LabelsplatError(
            f"its classes are those of {labeller.vocabulary.name!r}",
            where=path,
            remedy=f"Predict in the line's own vocabulary, {CELEBAMASK.name!r}; `labelsplat "
            "refine` takes any",
        )
    return labeller


def capture_labeller(
    layout: Layout,
    checkpoint: Path,
    *,
    flip: bool,
    scales: Sequence[float] = (1.0,),
    temperature: str = "off",
    parser: str = "",
    device: str = "auto",
) -> Callable[[Capture, Prepared], np.ndarray]:
    """What predicts a capture: a checkpoint of the project, or a parser in its place.

    Args:
        layout: the project's tree.
        checkpoint: e.g. the baseline.
        flip, scales, temperature, parser: section ``predict`` of params.yaml.
        device: "auto", "cpu" or "cuda".

    Returns:
        a function from a capture and some of its photos to ``[V, size, size, classes]``.

    Raises:
        LabelsplatError: a missing checkpoint, no temperature of it, or a parser of other classes.
    """
    if parser:
        return own_parser(layout.outside(parser), flip=flip, device=device).label
    net, divisor = load_checkpoint(checkpoint).net, chosen_temperature(checkpoint, temperature)

    def label(capture: Capture, photos: Prepared) -> np.ndarray:
        return predict_averaged(
            net, photos.images, flip=flip, scales=scales, temperature=divisor, device=device
        )

    return label


def chosen_temperature(checkpoint: str | Path, temperature: str) -> float:
    """What divides a checkpoint's logits: 1 for "off", for "fitted" what was fitted for it.

    Raises:
        ParameterError: another word.
        LabelsplatError: no temperature was fitted for it.
    """
    if temperature not in TEMPERATURES:
        raise ParameterError(
            f"temperature is {temperature!r}",
            where="predict",
            remedy=f"Use one of {', '.join(TEMPERATURES)}",
        )
    return load_temperature(checkpoint).temperature if temperature == "fitted" else 1.0


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
