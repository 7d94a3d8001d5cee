"""How long a whole lift and a whole fit take, on the benchmark's scene."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numba
import numpy as np
import torch

from labelsplat.refine import Lift
from labelsplat.report.bench_scene import camera, scene
from labelsplat.splats import FitSettings, fit_gaussians, render

CLASSES = 12
"""Patches of the scene's surface; the background is one more class."""


def measure_lift(
    n: int, views: int, size: int, classes: int, epochs: int, threads: tuple[int, ...] = (1, 2)
) -> list[dict]:
    """Times of the closed-form lift over a ring of views, one row for each number of threads.

    ``freeze_ms`` is spent on the blending weights of all views and the visibility gate, before any
    label is known; ``vote_ms`` and ``sharpen_ms`` on the labels.
    """
    gaussians, _ = scene(n, 3)
    turns = [2 * math.pi * v / views for v in range(views)]
    cameras = [camera(size, turn, 0.35 * math.sin(3 * turn)) for turn in turns]
    draw = np.random.default_rng(0)
    targets = draw.dirichlet(np.ones(classes), (views, size, size)).astype(np.float32)
    weights = np.ones((views, size, size), np.float32)
    Lift(gaussians, cameras[:1]).run(targets[:1], weights[:1], 1)  # compiles
    before, rows = numba.get_num_threads(), []
    try:
        for number in threads:
            if number > numba.config.NUMBA_NUM_THREADS:
                continue
            numba.set_num_threads(number)
            times = [time.perf_counter()]
            lift = Lift(gaussians, cameras, gate=0.1)
            times.append(time.perf_counter())
            features = lift.vote(targets, weights)
            times.append(time.perf_counter())
            lift.sharpen(features, targets, weights, epochs)
            times.append(time.perf_counter())
            names = ("freeze_ms", "vote_ms", "sharpen_ms")
            parts = dict(zip(names, (1e3 * np.diff(times)).round(1).tolist(), strict=True))
            rows.append({"n": n, "views": views, "size": size, "classes": classes}
                        | {"epochs": epochs, "threads": number} | parts)  # fmt: skip
    finally:
        numba.set_num_threads(before)
    return rows


def timed_fit(
    count: int, size: int, iterations: int, *, labels: bool, views: int = 24, device: str = "cpu"
) -> dict[str, float]:
    """Fit a head-sized scene, drawn from all sides, and time it.

    The scene has four times as many Gaussians as are fitted, a wavy texture, and is divided into
    patches by the nearest of some random directions.

    Args:
        count: Gaussians to be fitted.
        size: pixels of a view's side.
        iterations: steps.
        labels: fit the patches as labels, too, that move the geometry with the colours (``joint``).
        views: in a ring that rises and falls.
        device: "cpu" or "cuda".

    Returns:
        ``seconds``, ``psnr`` in dB, and what was fitted.
    """
    gaussians, _ = scene(4 * count, 3, seed=9)
    gaussians = replace(gaussians, opacity_logits=gaussians.opacity_logits + 2)
    directions = torch.nn.functional.normalize(gaussians.means, dim=-1)
    draw = torch.Generator().manual_seed(0)
    middles = torch.nn.functional.normalize(torch.randn(CLASSES, 3, generator=draw), dim=-1)
    patch = (directions @ middles.T).argmax(1)
    phases = torch.stack([3 * patch, patch, 0 * patch], -1)
    colours = 0.5 + 0.4 * torch.sin(directions * torch.tensor([25, 31, 19]) + phases)
    features = torch.cat([colours, torch.nn.functional.one_hot(patch, CLASSES).float()], -1)
    cameras = [camera(size, 2 * math.pi * v / views, 0.35 * math.sin(v)) for v in range(views)]
    with torch.no_grad():
        drawn = render(gaussians.to(device), cameras, features.to(device))
    alpha = drawn.alpha.cpu().numpy()
    images = (drawn.features[..., :3].clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()
    shown = drawn.features[..., 3:].cpu().numpy()
    classes = np.concatenate([1 - alpha[..., None], shown], -1).argmax(-1)
    settings = FitSettings(
        gaussians=count, iterations=iterations, ssim_share=0.2, squared_weight=0, close_radius=0,
        **({"coupling": "joint", "label_weight": 0.1} if labels else {}),
    )  # fmt: skip
    start = time.perf_counter()
    done = fit_gaussians(
        images, np.ones(alpha.shape, bool), alpha, cameras, settings, device=device,
        labels=np.eye(CLASSES + 1, dtype=np.float32)[classes] if labels else None,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return {
        "gaussians": count, "size": size, "iterations": iterations, "views": views,
        "labels": CLASSES + 1 if labels else 0, "threads": numba.get_num_threads(),
        "seconds": round(seconds, 1), "psnr": round(done.psnr, 2),
    }  # fmt: skip
