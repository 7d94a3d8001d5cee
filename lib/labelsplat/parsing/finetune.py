"""The fine-tune stage: one parser an arm, all from the baseline's weights.

An arm is a choice of training labels and nothing else: start, steps, batch, replay share,
augmentation and seed are the same, so that arms differ by their labels alone. Half of each batch is
replay: the parser's own standard pool with true labels, or it would forget the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelsplat.base import ParameterError, atomic_dir
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.capture import capture_root, read_labels
from labelsplat.labels import IGNORE
from labelsplat.parsing.auxiliary import read_part
from labelsplat.parsing.calibrate import calibrate_parser, save_temperature
from labelsplat.parsing.checkpoint import load_checkpoint, save_checkpoint
from labelsplat.parsing.data import LabelledImages
from labelsplat.parsing.stage import (
    CHECKPOINT_EVERY,
    prepared,
    round_predictions,
    standard_set,
)
from labelsplat.parsing.train import train

ARMS = {
    "refined": "the capture's photos with refined labels",
    "refined_novel": "the same and rendered novel views with theirs",
    "self_training": "the capture's photos with the parser's own raw predictions",
    "replay_only": "the standard pool alone: more training must not pass for refinement",
    "oracle": "the capture's photos with their TRUE labels: the upper bound",
}
"""Every arm, and what it is trained on beside the replay."""


@dataclass(frozen=True)
class ArmReport:
    """What became of one fine-tune.

    Attributes:
        arm: its name.
        images: number of new images it learned from.
        steps, losses: the curve.
        seconds: wall-clock time.
    """

    arm: str
    images: int
    steps: list[int]
    losses: list[float]
    seconds: float


def arm_images(layout: Layout, arm: str, round_name: str, size: int) -> LabelledImages:
    """The new images of an arm with its labels; ``oracle`` alone reads the truth tree.

    Raises:
        ParameterError: unknown arm.
    """
    if arm == "replay_only":
        return standard_set(layout, "standard", size)
    if arm in ("refined", "refined_novel"):
        captured = read_part(layout.auxiliary(round_name), "captured")
        if arm == "refined":
            return captured
        return captured.joined(read_part(layout.auxiliary(round_name), "novel"))
    if arm not in ("self_training", "oracle"):
        raise ParameterError(f"unknown arm {arm!r}", remedy=f"One of {', '.join(ARMS)}")
    images, labels = [], []
    for subject in capture_root(layout)[2]:
        photos = prepared(layout, subject, size)
        images.append(photos.images)
        if arm == "oracle":
            maps = read_labels(layout.truth, subject, photos.names)
        else:
            maps = round_predictions(layout, round_name, arm, subject).labels
        # Beyond a photo's edge there is nothing to learn.
        labels.append(np.where(photos.valid, maps, IGNORE).astype(np.uint8))
    return LabelledImages(np.concatenate(images), np.concatenate(labels))


def finetune_arm(
    layout: Layout,
    arm: str,
    round_name: str,
    out: Path,
    finetune: dict,
    size: int,
    seed: int,
    device: str,
) -> ArmReport:
    """Fine-tune the baseline as ``arm`` and write ``out/{arm}.safetensors`` and its temperature."""
    net = load_checkpoint(layout.baseline).net
    data = arm_images(layout, arm, round_name, size)
    log = train(
        net,
        data,
        replay=standard_set(layout, "standard", size),
        steps=finetune["steps"],
        learning_rate=finetune["learning_rate"],
        batch=finetune["batch"],
        replay_batch=finetune["replay_batch"],
        seed=seed,
        device=device,
        threads=1,  # of every arm, also of one that trains alone: sums in the same order
        checkpoint=layout.checkpoints / "finetune" / round_name / f"{arm}.pt",
        every=CHECKPOINT_EVERY,
        progress=False,
        description=arm,
    )
    facts = {"arm": arm, "round": round_name, "images": len(data), "steps": finetune["steps"]}
    path = out / f"{arm}.safetensors"
    save_checkpoint(path, net, training=facts)
    found = calibrate_parser(net, standard_set(layout, "validation", size), device=device)
    save_temperature(path, found)
    return ArmReport(arm, len(data), log.steps, log.losses, log.seconds)


def finetune_round(
    layout: Layout,
    round_name: str,
    arms: list[str],
    finetune: dict,
    *,
    size: int,
    seed: int,
    device: str,
) -> list[ArmReport]:
    """Fine-tune all arms of a round, several processes at a time; writes ``models/{round}``.

    Where the capture has no truth (an empty truth tree) the arm ``oracle`` is left out.
    """
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise ParameterError(f"unknown arm {unknown[0]!r}", remedy=f"One of {', '.join(ARMS)}")
    if layout.truth.is_dir() and not any(layout.truth.iterdir()):
        arms = [arm for arm in arms if arm != "oracle"]
    with atomic_dir(layout.models(round_name)) as out:
        if not arms:
            return []
        jobs = [(layout, arm, round_name, out, finetune, size, seed, device) for arm in arms]
        return run_jobs(
            finetune_arm, jobs, processes=finetune["processes"], description="fine-tune"
        )


def arm_checkpoint(layout: Layout, rounds: dict, arm: str) -> Path:
    """The checkpoint of an arm: of the last round that trains it, or of its own stage."""
    fixed = {"baseline": "baseline", "replay_only": "control", "oracle": "oracle"}
    if arm in fixed:
        return layout.model(fixed[arm], arm)
    last = [name for name, entry in rounds.items() if arm in entry["arms"]][-1]
    return layout.model(last, arm)
