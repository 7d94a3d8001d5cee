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
    vote,
)
from labelsplat.experiments.settings import NoiseSettings
from labelsplat.experiments.summary import miou_interval
from labelsplat.refine import RefineSettings
from labelsplat.splats import FitSettings

Found = dict[tuple[float, int, str], ViewConfusions]
"""Counts of one head by (rate, labelled views, method)."""


def noise_rows(
    layout: Layout,
    kind: str,
    settings: NoiseSettings,
    fit: FitSettings,
    refine: RefineSettings,
    *,
    size: int,
    seed: int,
    device: str,
    draws: int,
    processes: int,
) -> list[dict[str, Any]]:
    """One kind of corruption at all rates, by all methods.

    Args:
        layout: the line's tree.
        kind: key of :data:`labelsplat.experiments.KINDS`.
        settings: heads, rates, methods.
        fit: of the line; iterations and labels are set by ``settings``.
        refine: of the line.
        size: pixels.
        seed: of corruption, fits and bootstrap.
        device: "auto", "cpu" or "cuda".
        draws: resamples of the heads for each interval.
        processes: heads at a time; 0 = one a core.

    Returns:
        rows ``{kind, rate, labelled_views, method, miou, low, high}``: mIoU (stratum "all") in the
        photographed views against true labels. Rows of ``noisy`` count the labelled views alone.
    """
    fit = replace(fit, iterations=settings.iterations)
    jobs = [
        (layout, subject, number, kind, settings, fit, refine, size, seed, device)
        for number, subject in enumerate(head_names(layout, settings.heads))
    ]
    found: list[Found] = run_jobs(noise_head, jobs, processes=processes, description=kind)
    rows = []
    for rate, count, method in found[0]:
        views = join([one[rate, count, method] for one in found])
        score = miou_interval(views, draws, seed)
        rows.append(
            {
                "kind": kind, "rate": rate, "labelled_views": count, "method": method,
                "miou": score["mean"], "low": score["low"], "high": score["high"],
            }
        )  # fmt: skip
    return rows


def noise_head(
    layout: Layout,
    subject: str,
    number: int,
    kind: str,
    settings: NoiseSettings,
    fit: FitSettings,
    refine: RefineSettings,
    size: int,
    seed: int,
    device: str,
) -> Found:
    """One head of :func:`noise_rows`, the ``number``-th; its colour geometry is fitted once."""
    head = read_head(layout, subject, size)
    colours = None
    if set(settings.methods) & {"vote", "lift"}:
        colours = fit_colours(head.photos, head.foreground, fit, seed=seed, device=device)
    found: Found = {}
    for rate, count in settings.conditions:
        labels, given = noisy_labels(head, number, kind, rate, count, seed)
        soft = one_hot(labels)
        for method in settings.methods:
            if method == "noisy":
                maps = noisy(labels, given)
            elif method in FITTED:
                model = replace(fit, coupling=method, label_weight=settings.label_weight)
                done = fit_labels(
                    head.photos, head.foreground, soft, given, model, seed=seed, device=device
                )
                maps = model_maps(done, done.cameras)
            else:
                photos = replace(head.photos, cameras=colours.cameras)
                if method == "vote":
                    features = vote(colours.gaussians, photos, soft, given)
                else:
                    features = lifted(colours.gaussians, photos, soft, given, refine)
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
