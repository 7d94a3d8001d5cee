"""Which method bears which errors of the labels: corrupted truth in, mIoU of its own views out.

The parser's part is played by TRUE labels that are corrupted by a known share; so it is known what
a method was given, and nothing but the method differs. Geometry starts from the baseline's
predicted foreground in all views, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from labelsplat.base import LabelsplatError
from labelsplat.base.layout import Layout
from labelsplat.base.parallel import run_jobs
from labelsplat.evaluate import ViewConfusions, compare_views, join
from labelsplat.experiments.corrupt import corrupt, labelled_views
from labelsplat.experiments.heads import Head, head_names, read_head
from labelsplat.experiments.methods import (
    FITTED,
    fit_colours,
    fit_labels,
    lifted,
    lifted_maps,
    model_maps,
    noisy,
    one_hot,
)
from labelsplat.experiments.settings import NoiseSettings, Setup
from labelsplat.experiments.summary import miou_interval
from labelsplat.refine import vote_equally

Found = dict[tuple[float, int, str], ViewConfusions]
"""Counts of one head by (rate, labelled views, method)."""


def noise_rows(setup: Setup, kind: str, settings: NoiseSettings) -> list[dict[str, Any]]:
    """One kind of corruption at all rates, by all methods.

    Args:
        setup: of the experiment, its fit and lift the line's.
        kind: key of :data:`labelsplat.experiments.KINDS`.
        settings: heads, rates, methods, and the iterations and label weight of every fit.

    Returns:
        rows ``{kind, rate, labelled_views, method, miou, low, high}``: mIoU (stratum "all") in the
        photographed views against true labels. Rows of ``noisy`` count the labelled views alone.
    """
    own = replace(setup, fit=replace(setup.fit, iterations=settings.iterations))
    subjects = head_names(setup.layout, settings.heads)
    jobs = [(own, kind, settings, number, subject) for number, subject in enumerate(subjects)]
    found: list[Found] = run_jobs(noise_head, jobs, processes=setup.processes, description=kind)
    rows = []
    for rate, count, method in found[0]:
        views = join([one[rate, count, method] for one in found])
        score = miou_interval(views, setup.draws, setup.seed)
        rows.append(
            {
                "kind": kind, "rate": rate, "labelled_views": count, "method": method,
                "miou": score["mean"], "low": score["low"], "high": score["high"],
            }
        )  # fmt: skip
    return rows


def noise_head(
    setup: Setup, kind: str, settings: NoiseSettings, number: int, subject: str
) -> Found:
    """One head of :func:`noise_rows`, the ``number``-th; its colour geometry is fitted once."""
    by = {"seed": setup.seed, "device": setup.device}
    head = read_head(setup.layout, subject, setup.size)
    colours = None
    if set(settings.methods) & {"vote", "lift"}:
        colours = fit_colours(head.photos, head.foreground, setup.fit, **by)
    found: Found = {}
    for rate, count in settings.conditions:
        labels, given = noisy_labels(head, number, kind, rate, count, setup.seed)
        soft = one_hot(labels)
        for method in settings.methods:
            if method == "noisy":
                maps = noisy(labels, given)
            elif method in FITTED:
                model = replace(
                    setup.fit,
                    coupling=method,
                    label_weight=settings.label_weight,
                    label_every=settings.label_every,
                )
                done = fit_labels(head.photos, head.foreground, soft, given, model, **by)
                maps = model_maps(done, done.cameras)
            else:
                photos = replace(head.photos, cameras=colours.cameras)
                if method == "vote":
                    features = vote_equally(colours.gaussians, photos.only(given), soft[given])
                else:
                    features = lifted(colours.gaussians, photos, soft, given, setup.refine)
                maps = lifted_maps(colours.gaussians, features, photos.cameras)
            found[rate, count, method] = compare_views(
                subject, head.photos.names, head.photos.angles, maps, head.train.labels
            )
    return found


def noisy_labels(
    head: Head, number: int, kind: str, rate: float, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A head's corrupted labels ``[V, H, W]``, and which of its views have any, ``[V]`` bool.

    Rates are of the labelled views; labels of the others are the true ones, for no one to use.
    Random errors differ from head to head; a parser's habits are the same on all.
    """
    truth, angles = head.train.labels, head.photos.angles
    given = labelled_views(angles, count)
    own = seed if kind == "systematic" else 1000 * seed + number
    labels = truth.copy()
    labels[given] = corrupt(kind, truth[given], angles[given], rate, own)
    return labels, given


def gather_rows(reports: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of all kinds' reports, in their order.

    Args:
        reports: by kind, each with its ``seed`` and ``rows``.

    Raises:
        LabelsplatError: reports of different seeds, or one that holds another kind's rows.
    """
    seeds = {report["seed"] for report in reports.values()}
    if len(seeds) > 1:
        raise LabelsplatError(
            f"reports of different seeds {sorted(seeds)}", remedy="Run: make experiments"
        )
    for kind, report in reports.items():
        strangers = {row["kind"] for row in report["rows"]} - {kind}
        if strangers:
            raise LabelsplatError(
                f"rows of {sorted(strangers)} in the report of {kind}",
                remedy="Run: make experiments",
            )
    return [row for report in reports.values() for row in report["rows"]]


def noise_examples(
    layout: Layout, kind: str, rates: Sequence[float], *, size: int, seed: int
) -> tuple[Head, dict[str, np.ndarray]]:
    """The first head, and its true labels beside those corrupted at each rate: for pictures."""
    head = read_head(layout, head_names(layout, 1)[0], size)
    views = len(head.train.labels)
    maps = {"truth": head.train.labels}
    for rate in rates:
        maps[f"rate {rate:g}"], _ = noisy_labels(head, 0, kind, rate, views, seed)
    return head, maps
