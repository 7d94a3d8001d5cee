"""The heads that experiments run on: those of the tune set, never the test set's.

``data/experiments`` is a small project of its own, like ``data/tune``: photos, truth, held-out
views and the baseline's predictions of the tune set's capture heads, made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labelsplat.base import LabelsplatError, ParameterError, atomic_dir
from labelsplat.base.layout import Layout
from labelsplat.capture import Prepared, capture_root
from labelsplat.capture.embedded import Photographed, default_jobs, make_sets
from labelsplat.evaluate import TrueHead, true_head
from labelsplat.evaluate.tune import tune_capture
from labelsplat.parsing import predict_round, round_predictions

ROUND = "r1"
"""Under this round's name the baseline's predictions lie."""


@dataclass(frozen=True, eq=False)
class Head:
    """One head of the experiments.

    Attributes:
        train: V photos with true labels.
        heldout: further views of it.
        soft: ``[V, H, W, K]`` the baseline's prediction of the V photos.
    """

    train: TrueHead
    heldout: TrueHead
    soft: np.ndarray

    @property
    def photos(self) -> Prepared:
        """The V photos."""
        return self.train.photos

    @property
    def foreground(self) -> np.ndarray:
        """``[V, H, W]`` predicted probability of the person, from which every fit starts."""
        return 1 - self.soft[..., 0]


def make_heads(
    layout: Layout,
    capture: Mapping[str, Any],
    *,
    seed: int,
    predict: Mapping[str, Any],
    device: str = "auto",
) -> list[Photographed]:
    """Photograph the heads and let the line's baseline predict them; writes ``data/experiments``.

    Args:
        layout: the line's tree.
        capture: section ``capture`` of params.yaml.
        seed: of the run: the same people as the tune set's.
        predict: section ``predict`` of params.yaml.
        device: "auto", "cpu" or "cuda".

    Raises:
        LabelsplatError: the baseline has not been trained.
    """
    if not layout.baseline.is_file():
        raise LabelsplatError(
            "the baseline is missing", where=layout.baseline, remedy="Run `make repro` first"
        )
    with atomic_dir(layout.experiments) as folder:
        own = Layout(Path(folder).resolve())
        done = make_sets(
            default_jobs(own, {**tune_capture(capture), "test_identities": 0}),
            size=capture["size"],
            supersample=capture["supersample"],
            seed=seed,
            processes=capture["processes"],
        )
        parsers = str(layout.models("baseline"))
        parser = layout.outside_text(predict.get("parser", ""))
        settings = {**predict, "parser": parser, "size": capture["size"], "device": device}
        predict_round(own, ROUND, parsers, **settings)
    return done


def head_names(layout: Layout, count: int) -> list[str]:
    """The first ``count`` subjects of the experiments.

    Raises:
        LabelsplatError: the heads have not been made, or there are fewer.
    """
    if not layout.experiments.is_dir():
        raise LabelsplatError(
            "the heads of the experiments are missing",
            where=layout.experiments,
            remedy="Run: make experiments",
        )
    *_, subjects = capture_root(Layout(layout.experiments))
    if not 1 <= count <= len(subjects):
        raise ParameterError(
            f"an experiment on {count} heads of {len(subjects)}",
            where="notebooks/experiments/params.yaml",
            remedy="There are capture.capture_identities of them",
        )
    return subjects[:count]


def read_head(layout: Layout, subject: str, size: int) -> Head:
    """One head of the experiments at ``size`` pixels.

    Raises:
        LabelsplatError: a file is missing or broken.
    """
    own = Layout(layout.experiments)
    return Head(
        true_head(own.capture, own.truth, subject, size),
        true_head(own.heldout_photos, own.heldout_truth, subject, size),
        round_predictions(own, ROUND, "baseline", subject).probabilities,
    )
