"""What experiments are given, sections of notebooks/experiments/params.yaml among it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from labelsplat.base import ParameterError
from labelsplat.base.layout import Layout
from labelsplat.experiments.methods import METHODS
from labelsplat.refine import RefineSettings
from labelsplat.splats import COUPLINGS, FitSettings

FILE = "notebooks/experiments/params.yaml"

Section = TypeVar("Section")


@dataclass(frozen=True)
class Setup:
    """What all experiments are given: where, how large, how often drawn, and what the line does.

    Attributes:
        layout: the line's tree.
        size: of the photos, in pixels.
        seed: of corruptions, fits and bootstrap.
        device: "auto", "cpu" or "cuda".
        draws: resamples of the heads for each interval.
        processes: heads (or fits) at a time; 0 = one a core.
        fit: how heads are fitted; None for experiments that fit none.
        refine: how labels are lifted; None for experiments that lift none.
    """

    layout: Layout
    size: int
    seed: int
    device: str
    draws: int
    processes: int
    fit: FitSettings | None = None
    refine: RefineSettings | None = None


@dataclass(frozen=True)
class NoiseSettings:
    """Section ``label_noise``.

    Attributes:
        heads: how many, the first ones.
        rates: of the corruption.
        labelled_views: how many views have labels: the first number at every rate, the others at
            the middle rate alone.
        methods: of :data:`labelsplat.experiments.METHODS`.
        iterations: optimiser steps of every fit.
        label_weight: of ``joint`` and ``two_models``.
        label_every: steps between those in which labels have a say.

    Raises:
        ParameterError: an unknown method, or an empty list.
    """

    heads: int
    rates: tuple[float, ...]
    labelled_views: tuple[int, ...]
    methods: tuple[str, ...]
    iterations: int
    label_weight: float
    label_every: int

    def __post_init__(self):
        _known(self.methods, METHODS, "label_noise.methods")
        for name in ("rates", "labelled_views"):
            if not getattr(self, name):
                raise ParameterError(f"label_noise.{name} is empty", where=FILE)

    @property
    def conditions(self) -> list[tuple[float, int]]:
        """All pairs (rate, labelled views)."""
        first, *others = self.labelled_views
        middle = sorted(self.rates)[len(self.rates) // 2]
        return [(rate, first) for rate in self.rates] + [(middle, count) for count in others]


@dataclass(frozen=True)
class CouplingSettings:
    """Section ``coupling``.

    Attributes:
        heads: how many, the first ones.
        couplings: of :data:`labelsplat.splats.COUPLINGS`.
        iterations: optimiser steps of every fit.
        label_weight: of the label models.
        label_every: steps between those in which labels have a say.

    Raises:
        ParameterError: an unknown coupling, or none.
    """

    heads: int
    couplings: tuple[str, ...]
    iterations: int
    label_weight: float
    label_every: int

    def __post_init__(self):
        _known(self.couplings, COUPLINGS, "coupling.couplings")


def section(kind: type[Section], values: Mapping[str, Any], name: str) -> Section:
    """Settings of parsed YAML, lists as tuples.

    Args:
        kind: the dataclass.
        values: keys and values of the section.
        name: of the section, for messages.

    Raises:
        ParameterError: an unknown or a missing key.
    """
    known = {field.name for field in fields(kind)}
    wrong = sorted(known ^ values.keys())
    if wrong:
        what = "is missing" if wrong[0] in known else "is unknown"
        raise ParameterError(
            f"{name}.{wrong[0]} {what}", where=FILE, remedy=f"Known: {', '.join(sorted(known))}"
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _known(given: tuple[str, ...], known: tuple[str, ...], name: str) -> None:
    wrong = [word for word in given if word not in known]
    if wrong or not given:
        raise ParameterError(
            f"{name} holds {wrong[0]!r}" if wrong else f"{name} is empty",
            where=FILE,
            remedy=f"Known: {', '.join(known)}",
        )
