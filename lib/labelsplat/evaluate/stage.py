"""The judgement: the one stage of the line that reads the truth of test and held-out views."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labelsplat.base import atomic_path, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture import Prepared, capture_root, open_capture, pool_vocabulary
from labelsplat.evaluate import summary
from labelsplat.evaluate.arms import (
    TrueHead,
    arm_files,
    has_truth,
    score_arms,
    true_head,
    true_subjects,
)
from labelsplat.evaluate.calibration import (
    Calibration,
    join_calibrations,
    summarise_calibration,
)
from labelsplat.evaluate.confusions import ViewConfusions, join
from labelsplat.evaluate.examples import Example, before_after, profile_example
from labelsplat.evaluate.fit_quality import FitQuality, fit_quality, summarise_fit
from labelsplat.evaluate.judged import (
    Judged,
    captures_to_judge,
    subjects_to_judge,
    write_judged,
)
from labelsplat.evaluate.labels_quality import (
    agreement,
    compare_labels,
    label_calibration,
    read_capture_labels,
)
from labelsplat.evaluate.pretrain import pretrain_quality
from labelsplat.labels import CELEBAMASK, Conversion
from labelsplat.parsing import capture_labeller
from labelsplat.parsing.device import choose_device

SHOWN = ("baseline", "refined")
"""Arms in the before/after pictures."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the stage found.

    Attributes:
        report: the content of ``evaluate.json``.
        truth: whether there was truth to judge by.
        arms: counts of each arm on the test views; empty without truth.
        labels: counts of ``raw``, ``ceiling`` and each round on the capture views, likewise.
        before_after: test photos at extreme poses; empty without truth.
        profiles: one capture photo a head, seen from the side.
    """

    report: dict[str, Any]
    truth: bool
    arms: dict[str, ViewConfusions]
    labels: dict[str, ViewConfusions]
    before_after: list[Example]
    profiles: list[Example]


def evaluate_line(
    layout: Layout,
    *,
    rounds: Mapping[str, Mapping[str, Any]],
    size: int,
    em_epochs: int = 6,
    blend_power: float = 4.0,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
    temperature: str = "off",
    parser: str = "",
    bootstrap: int = 2000,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Score every arm on the test heads and the labels of every round on the capture views.

    Writes ``reports/metrics/evaluate.json``, ``reports/tables/confusion.csv``, and ``data/judged``
    for people to judge (:mod:`labelsplat.evaluate.judged`). A capture
    without truth (a truth tree without ``labels.json``) is no error: its scores are null, and
    what remains is the agreement between views and pictures.

    Args:
        layout: of the project.
        rounds: section ``rounds`` of params.yaml.
        size: of the photos, in pixels.
        em_epochs: sharpening steps where this stage lifts labels itself (held-out views,
            agreement).
        blend_power: by which later rounds blend with the first one's predictions.
        flip: whether the baseline's labels of held-out views are averaged with the mirrored image,
            as the predict stage (``predict.flip``) did with those of the fitted views. Arms are
            compared without.
        scales: likewise, see ``predict.scales``.
        temperature: likewise, see ``predict.temperature``.
        parser: likewise, see ``predict.parser``.
        bootstrap: resamples of the identities.
        seed: of the resamples.
        device: "auto", "cpu" or "cuda".
        progress: called with a line of text now and then.

    Raises:
        LabelsplatError: a file of an earlier stage is missing or broken.
    """
    say = progress or (lambda text: None)
    files = arm_files(layout, rounds)
    arms: dict[str, ViewConfusions] = {}
    if has_truth(layout.test_truth):
        shown = subjects_to_judge(true_subjects(layout.test_photos))
        coarse = pool_vocabulary(layout.test_photos)
        with write_judged(layout.judged, unseen=True, vocabulary=coarse) as add:

            def keep(head: TrueHead, maps: dict[str, np.ndarray]) -> None:
                if head.photos.subject in shown:
                    add(Judged(head.photos, maps, head.labels))

            arms = score_arms(
                files,
                layout.test_photos,
                layout.test_truth,
                size,
                device,
                lambda subject: say(f"test head {subject}: {len(files)} arms"),
                keep,
            )
    else:
        with write_judged(layout.judged, unseen=False) as add:
            for one in captures_to_judge(layout, files, size, device):
                add(one)
    pretrain = None
    if arms:
        pretrain = pretrain_quality(
            files["baseline"],
            arms["baseline"],
            layout.test_photos,
            layout.test_truth,
            size,
            device,
            lambda subject: say(f"test head {subject}: calibration of the baseline"),
        )
    hard: dict[str, ViewConfusions] = {}
    if arms and has_truth(layout.hard_truth):
        hard = score_arms(
            files,
            layout.hard_photos,
            layout.hard_truth,
            size,
            device,
            lambda subject: say(f"hard test head {subject}: {len(files)} arms"),
        )
    label = capture_labeller(
        layout, files["baseline"], flip=flip, scales=scales, temperature=temperature,
        parser=parser, device=device,
    )  # fmt: skip

    def as_predicted(photos: Prepared) -> np.ndarray:
        capture = open_capture(layout.heldout_photos, photos.subject)
        return label(capture, photos).argmax(-1).astype(np.uint8)

    captures = _captures(
        layout,
        rounds,
        size,
        em_epochs,
        blend_power,
        as_predicted,
        say,
    )
    labels = _join_by_name(captures.counts)
    names = list(rounds)
    report = {
        "truth": bool(arms) and bool(labels),
        **_told_apart(arms),
        "device": choose_device(device).type,
        "bootstrap": bootstrap,
        "test": summary.count_views(arms.get("baseline")),
        "capture": summary.count_views(labels.get("raw")),
        **summary.summarise_arms(arms, list(files), bootstrap, seed),
        "hard": {
            "test": summary.count_views(hard.get("baseline")),
            **summary.summarise_arms(hard, list(files), bootstrap, seed),
        },
        "pretrain": pretrain,
        "labels": summary.summarise_labels(labels, names, bootstrap, seed),
        "agreement": summary.summarise_agreement(_join_by_name(captures.agreeing)),
        "calibration": summarise_calibration(
            join_calibrations(captures.calibrations) if captures.calibrations else None
        ),
        "fit": summarise_fit(captures.fits),
    }
    write_json(layout.metrics / "evaluate.json", report)
    shown = arms.get("refined", arms.get("baseline"))
    pairs = (
        summary.sample_confusion(shown.total("extreme"), vocabulary=shown.vocabulary)
        if shown
        else []
    )
    write_pairs(layout.tables / "confusion.csv", pairs)
    examples = []
    if arms:
        chosen = {arm: files[arm] for arm in SHOWN if arm in files}
        examples = before_after(arms, chosen, layout.test_photos, layout.test_truth, size, device)
    return Evaluation(report, report["truth"], arms, labels, examples, captures.profiles)


def _told_apart(arms: Mapping[str, ViewConfusions]) -> dict[str, Any]:
    """The arms' vocabulary, and its classes that stand for several of the project's."""
    used = next(iter(arms.values())).vocabulary if arms else CELEBAMASK
    merged = Conversion(CELEBAMASK, used).merged if used != CELEBAMASK else {}
    return {"vocabulary": used.name, "merged": {k: list(v) for k, v in merged.items()}}


@dataclass(frozen=True, eq=False)
class _Captures:
    """What is gathered of the captures, one at a time."""

    counts: list[dict[str, ViewConfusions]] = field(default_factory=list)
    agreeing: list[dict[str, ViewConfusions]] = field(default_factory=list)
    calibrations: list[Calibration] = field(default_factory=list)
    fits: list[FitQuality] = field(default_factory=list)
    profiles: list[Example] = field(default_factory=list)


def _captures(
    layout: Layout,
    rounds: Mapping[str, Mapping[str, Any]],
    size: int,
    em_epochs: int,
    blend_power: float,
    predict: Callable[[Prepared], np.ndarray],
    say: Callable[[str], None],
) -> _Captures:
    out = _Captures()
    for subject in capture_root(layout)[2]:
        found = read_capture_labels(layout, subject, rounds, size, blend_power)
        out.counts.append(compare_labels(found, em_epochs))
        out.agreeing.append(agreement(found, em_epochs))
        out.profiles.append(profile_example(found))
        calibration = label_calibration(found)
        if calibration is not None:
            out.calibrations.append(calibration)
        if found.truth is not None and has_truth(layout.heldout_truth):
            head = true_head(layout.heldout_photos, layout.heldout_truth, subject, size)
            out.fits.append(fit_quality(found, head, em_epochs, predict))
        say(f"capture {subject}: labels of {len(found.photos.names)} views")
    return out


def _join_by_name(
    parts: Sequence[Mapping[str, ViewConfusions]],
) -> dict[str, ViewConfusions]:
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {name: join([part[name] for part in parts if name in part]) for name in names}


def write_pairs(path: str | Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Write (actual, predicted) pairs as CSV, whole or not at all; without pairs, the header."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("actual", "predicted"))
        writer.writerows(pairs)
