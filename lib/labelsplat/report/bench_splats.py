"""How fast the engines are: ``python -m labelsplat.report.bench_splats``.

Prints a table and writes ``reports/metrics/bench_splats.json``. All engines draw the same scene in
turn, round after round, so that a busy machine slows them alike: trust the ratios.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import torch

from labelsplat.base import write_json
from labelsplat.report.bench_fit import measure_lift, timed_fit
from labelsplat.report.bench_scene import camera, scene
from labelsplat.splats.camera_batch import CameraBatch
from labelsplat.splats.cpu.blending import blend
from labelsplat.splats.cpu.blending_gradients import GEOMETRY, blend_gradients
from labelsplat.splats.cpu.engine import Project
from labelsplat.splats.gaussians import Gaussians
from labelsplat.splats.losses import (
    PhotoTarget,
    cross_entropy,
    photometric_loss,
    plain_cross_entropy,
    plain_photometric_loss,
)
from labelsplat.splats.rendering import render

OUTPUT = Path("reports/metrics/bench_splats.json")

SIZES = (  # Gaussians, pixels, channels
    (10_000, 256, 3),
    (10_000, 256, 15),
    (50_000, 256, 3),
    (50_000, 512, 3),
    (50_000, 512, 15),
)
LIFT = {"n": 20_000, "views": 24, "size": 256, "classes": 12, "epochs": 6}
FIT = {"count": 20_000, "size": 256, "iterations": 600, "labels": True}


@dataclass(frozen=True)
class Lap:
    """Milliseconds of one forward pass, and of forward and backward together."""

    forward: float
    total: float


def _lap(gaussians: Gaussians, cameras: CameraBatch, features: torch.Tensor, engine: str) -> Lap:
    """Draw once and send a gradient of ones back."""
    leaves = gaussians.apply(lambda t: t.detach().requires_grad_())
    features = features.detach().requires_grad_()
    shape = (len(cameras), cameras.height, cameras.width)
    ones = [torch.ones(*shape, features.shape[1]), torch.ones(shape)]
    start = time.perf_counter()
    drawn = render(leaves, cameras, features, engine=engine)
    middle = time.perf_counter()
    torch.autograd.backward([drawn.features, drawn.alpha], ones)
    end = time.perf_counter()
    return Lap(1e3 * (middle - start), 1e3 * (end - start))


def measure(
    count: int, size: int, channels: int, rounds: int, threads: tuple[int, ...] = (1, 2)
) -> list[dict]:
    """Median times of one size: cpu at each number of threads, and the reference at one."""
    gaussians, features = scene(count, channels)
    cameras = CameraBatch.of(camera(size))
    available = numba.config.NUMBA_NUM_THREADS
    contests = [("cpu", t) for t in threads if t <= available] + [("reference", 1)]
    laps: dict[tuple[str, int], list[Lap]] = {contest: [] for contest in contests}
    speeds: dict[tuple[str, int], list[float]] = {contest: [] for contest in contests}
    before = torch.get_num_threads(), numba.get_num_threads()
    try:
        for turn in range(rounds + 1):  # the first warms caches and compiles
            for engine, number in contests:
                if engine == "reference" and turn > max(1, rounds // 4):
                    continue  # slow, and its times scatter less
                torch.set_num_threads(number)
                numba.set_num_threads(number)
                if engine == "cpu":  # threads whose number has changed have to wake up first
                    _lap(gaussians, cameras, features, engine)
                lap = _lap(gaussians, cameras, features, engine)
                if turn > 0:
                    laps[engine, number].append(lap)
                if turn > 0 and engine == "cpu":
                    speeds[engine, number].append(kernel_gflops(gaussians, cameras, features))
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
    rows = []
    for (engine, number), times in laps.items():
        row = {"engine": engine, "n": count, "size": size, "channels": channels, "threads": number}
        row["forward_ms"] = round(float(np.median([lap.forward for lap in times])), 3)
        row["total_ms"] = round(float(np.median([lap.total for lap in times])), 3)
        if engine == "cpu":
            row["gflops"] = round(float(np.median(speeds[engine, number])), 2)
        rows.append(row)
    return rows


def kernel_gflops(gaussians: Gaussians, cameras: CameraBatch, features: torch.Tensor) -> float:
    """Billions of operations a second of the two blending kernels alone, on one view.

    Counted as 32 + 2 D (forward) and 59 + 4 D (backward) for every lane of every block that a
    Gaussian touches, lanes that it does not reach included.
    """
    views: list = []
    numbers = (gaussians.means, gaussians.quaternions, gaussians.scales, gaussians.opacities)
    matrices = (cameras.view_matrices, cameras.intrinsics)
    Project.apply(*numbers, *matrices, cameras.width, cameras.height, views)
    view, colours = views[0], features.numpy()
    channels = colours.shape[1]
    image = np.empty((view.height, view.width, channels), np.float32)
    alpha, background = np.empty(image.shape[:2], np.float32), np.zeros(channels, np.float32)
    stride = GEOMETRY + (channels + 3) // 4 * 4
    rows = np.zeros(len(view.lists.items) * stride, np.float32)
    lists = (view.lists.starts, view.lists.items, view.lists.turns)
    given = (view.lanes, *lists, view.records, colours, background)
    start = time.perf_counter()
    hits = blend(*given, image, alpha)
    blend_gradients(*given, image, alpha, True, False, rows)
    seconds = time.perf_counter() - start
    return hits * view.lanes.width * (32 + 59 + 6 * channels) / seconds / 1e9


def measure_losses(size: int = 256, classes: int = 12, rounds: int = 12) -> list[dict]:
    """Median times of the fused losses and of their plain twins, forward and backward, one thread.

    Rows ``{loss, size, fused_ms, plain_ms}``; the twins take turns. The plain SSIM is a grouped
    11 x 11 convolution.
    """
    draw = torch.Generator().manual_seed(0)
    image, photo = (torch.rand(size, size, 3, generator=draw) for _ in range(2))
    logits = torch.randn(size, size, classes, generator=draw)
    soft = torch.rand(size, size, classes, generator=draw)
    weights = torch.rand(size, size, generator=draw)
    target = PhotoTarget(photo, weights)
    twins = {
        "ssim_l1": (image, lambda x: photometric_loss(x, target),
                    lambda x: plain_photometric_loss(x, target)),
        "cross_entropy": (logits, lambda x: cross_entropy(x, soft, weights),
                          lambda x: plain_cross_entropy(x, soft, weights)),
    }  # fmt: skip
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    rows = []
    try:
        for name, (given, *both) in twins.items():
            laps: list[list[float]] = [[], []]
            for turn in range(rounds + 1):  # the first warms caches and compiles
                for loss, times in zip(both, laps, strict=True):
                    leaf = given.clone().requires_grad_()
                    seconds = _seconds(lambda loss=loss, leaf=leaf: loss(leaf).backward())
                    if turn > 0:
                        times.append(1e3 * seconds)
            fused, plain = (round(float(np.median(times)), 3) for times in laps)
            rows.append({"loss": name, "size": size, "fused_ms": fused, "plain_ms": plain})
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
    return rows


def sgemm_gflops(size: int = 1024, rounds: int = 10) -> float:
    """What one thread reaches at best: billions of operations a second of a float32 product."""
    a = torch.rand(size, size)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = min(_seconds(lambda: a @ a) for _ in range(rounds))
    finally:
        torch.set_num_threads(before)
    return 2 * size**3 / seconds / 1e9


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def table(rows: list[dict]) -> str:
    """The rows as text, with each one's speed against the reference of its size."""
    head = "     n  size   D  engine     threads  forward ms    total ms   x reference  GFLOP/s"
    lines = [head]
    for row in rows:
        same = [r for r in rows if all(r[k] == row[k] for k in ("n", "size", "channels"))]
        slow = next(r["total_ms"] for r in same if r["engine"] == "reference")
        lines.append(
            f"{row['n']:6d}  {row['size']:4d}  {row['channels']:2d}  {row['engine']:9s}"
            f"  {row['threads']:7d}  {row['forward_ms']:10.2f}  {row['total_ms']:10.2f}"
            f"  {slow / row['total_ms']:12.1f}  {row.get('gflops', ''):>7}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="labelsplat.report.bench_splats")
    parser.add_argument("--output", type=Path, help=f"default: {OUTPUT}; with --quick: no file")
    parser.add_argument("--rounds", type=int, default=12, help="times each engine draws a size")
    parser.add_argument("--quick", action="store_true", help="the smallest size, four rounds")
    options = parser.parse_args(arguments)
    sizes, rounds = (SIZES[:1], 4) if options.quick else (SIZES, options.rounds)
    rows = [row for size in sizes for row in measure(*size, rounds)]
    losses = measure_losses(rounds=rounds)
    lifts = measure_lift(**LIFT)
    fit = timed_fit(**FIT)
    gflops = sgemm_gflops()
    print(table(rows))
    for row in losses:
        ratio = row["plain_ms"] / row["fused_ms"]
        print(
            f"{row['loss']} at {row['size']} px: {row['fused_ms']:.2f} ms fused, "
            f"{row['plain_ms']:.2f} ms plain ({ratio:.1f} x)"
        )
    for row in lifts:
        print(
            f"lift of {row['n']} Gaussians, {row['views']} views, {row['threads']} threads: "
            f"weights {row['freeze_ms']:.0f} ms, vote {row['vote_ms']:.0f} ms, "
            f"{row['epochs']} steps of sharpening {row['sharpen_ms']:.0f} ms"
        )
    print(
        f"joint fit of {fit['gaussians']} Gaussians, {fit['views']} views, {fit['iterations']} "
        f"steps, {fit['threads']} threads: {fit['seconds']:.1f} s, {fit['psnr']:.1f} dB"
    )
    print(f"sgemm, one thread: {gflops:.1f} GFLOP/s")
    output = options.output or (None if options.quick else OUTPUT)
    if output is not None:
        found = {"sgemm_gflops": round(gflops, 2), "rows": rows}
        found |= {"losses": losses, "lift": lifts, "fit": fit}
        write_json(output, found)


if __name__ == "__main__":
    main()
