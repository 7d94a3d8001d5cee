"""The CUDA engine, checked and timed: ``python -m labelsplat.report.bench_cuda``.

Writes ``reports/metrics/bench_cuda.json``: the GPU's name, how far gsplat and the CPU engine differ
on the same Gaussians, and the time of a long fit. Where there is no CUDA device it says so and
writes nothing; the front page then says "not run".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from labelsplat.base import write_json
from labelsplat.report.bench_fit import timed_fit
from labelsplat.report.bench_scene import camera, scene
from labelsplat.splats import CameraBatch, Gaussians, render

SIZES = ((10_000, 256, 3), (50_000, 512, 15))  # Gaussians, pixels, channels
LEAVES = ("means", "quaternions", "log_scales", "opacity_logits")


def agreement(
    count: int, size: int, channels: int, device: str = "cuda", engine: str = "gsplat"
) -> dict[str, float]:
    """How far an engine is from the CPU's on the benchmark's scene.

    Returns:
        ``image``: the largest difference of a channel or of alpha. ``gradients``: the largest
        relative difference (2-norm) of the gradients by means, quaternions, scales, opacities and
        features.
    """
    gaussians, features = scene(count, channels)
    outer = torch.randn(1, size, size, channels, generator=torch.Generator().manual_seed(1))
    found = []
    for where, name in ((device, engine), ("cpu", "cpu")):
        leaves = {k: v.to(where).requires_grad_() for k, v in _fresh(gaussians, features).items()}
        moved = Gaussians(**{k: leaves[k] for k in (*LEAVES, "colours")})
        views = CameraBatch.of(camera(size), device=where)
        drawn = render(moved, views, leaves["features"], engine=name)
        ((drawn.features * outer.to(where)).sum() + drawn.alpha.sum()).backward()
        pictures = torch.cat([drawn.features, drawn.alpha[..., None]], -1).detach().cpu()
        found.append((pictures, {k: leaves[k].grad.cpu() for k in (*LEAVES, "features")}))
    (image, gradients), (wanted, exact) = found
    apart = [(gradients[k] - exact[k]).norm() / exact[k].norm() for k in exact]
    return {
        "image": float((image - wanted).abs().max()),
        "gradients": float(max(apart)),
    }


def _fresh(gaussians: Gaussians, features: torch.Tensor) -> dict[str, torch.Tensor]:
    tensors = {**gaussians.tensors(), "features": features}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def main(arguments: list[str] | None = None) -> int:
    """Check, time and write, where there is CUDA."""
    parser = argparse.ArgumentParser(prog="labelsplat.report.bench_cuda", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("reports/metrics/bench_cuda.json"))
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("CUDA: not run, there is no device here")
        return 0
    found = [agreement(*size) for size in SIZES]
    worst = {key: max(one[key] for one in found) for key in found[0]}
    fit = timed_fit(200_000, 512, 7_000, labels=False, device="cuda")
    gpu = torch.cuda.get_device_name()
    write_json(options.output, {"gpu": gpu, "agreement": worst, "fit": fit})
    print(f"CUDA, {gpu}: image {worst['image']:.1e}, gradients {worst['gradients']:.1e}")
    print(f"fit of 200,000 Gaussians at 512 px: {fit['seconds']} s, {fit['psnr']} dB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
