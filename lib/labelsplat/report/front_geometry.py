"""What the front page says of the geometry: fits, couplings, speed; all from the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labelsplat.base.layout import Layout
from labelsplat.report.front_numbers import number, read_optional, score, table_at

LABELLING_WORDS = {
    "raw": "as predicted by the baseline",
    "vote": "plain vote of all views",
    "lift": "weighted and sharpened, as here",
    "ceiling": "true labels lifted",
}

COUPLING_WORDS = {
    "geometry_from_rgb": "labels ride on the colours' geometry",
    "joint": "one geometry, moved by both",
    "two_models": "two models, shared geometry",
    "separate": "two models, nothing shared",
}


@dataclass(frozen=True)
class Geometry:
    """Rows of the section; empty, or None, where a metrics file is missing.

    Attributes:
        psnr: mean over heads, dB: own photos, held-out views, and the latter with the settings of
            an earlier trial.
        labels: (name, mIoU in views that voted, mIoU in held-out views).
        couplings: of labels as predicted and of weighted ones, a title and rows: name, then mIoU of
            the model's own labels and of lifted ones, each in views that were fitted and in
            held-out ones, then held-out PSNR in dB.
        speed: a sentence on the rasterizer.
        cuda: a sentence on the GPU.
        frames: a sentence on the line with estimated head frames, None before it was run.
        pages: (title, link) of the pages of experiments that were run. Pages are not kept in git:
            ``make experiments`` brings them back.
    """

    psnr: tuple[float | None, float | None, float | None]
    labels: list[tuple[str, float | None, float | None]]
    couplings: list[tuple[str, list[tuple[str, *tuple[float | None, ...]]]]]
    speed: str | None
    cuda: str
    frames: str | None
    pages: list[tuple[str, str]]

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.labels or self.couplings or self.speed or self.frames)


def read_geometry(layout: Layout) -> Geometry:
    """Read fit.json, coupling.json and the benchmarks, as far as they are there."""
    fit = read_optional(layout.metrics / "fit.json")
    mean = table_at(fit, "mean")
    heldout = table_at(mean, "heldout")
    labels = table_at(mean, "label_miou")
    return Geometry(
        psnr=(
            number(mean.get("psnr")),
            number(heldout.get("psnr")),
            number(heldout.get("psnr_trial_setting")),
        ),
        labels=[
            (words, *(number(table_at(labels, name).get(pool)) for pool in ("train", "heldout")))
            for name, words in LABELLING_WORDS.items()
            if name in labels
        ],
        couplings=_couplings(layout.metrics / "experiments"),
        speed=_speed(read_optional(layout.metrics / "bench_splats.json")),
        cuda=_cuda(read_optional(layout.metrics / "bench_cuda.json")),
        frames=_frames(read_optional(layout.metrics / "experiments" / "estimated_line.json")),
        pages=_pages(layout.metrics / "experiments"),
    )


def _couplings(metrics: Path) -> list[tuple[str, list[tuple[str, *tuple[float | None, ...]]]]]:
    keys = (
        "label_miou_train", "label_miou_heldout", "lift_miou_train", "lift_miou_heldout",
        "psnr_heldout",
    )  # fmt: skip
    titles = {
        "coupling": "labels as predicted",
        "coupling_weighted": "labels weighted as votes are",
    }
    out = []
    for name, title in titles.items():
        report = read_optional(metrics / f"{name}.json")
        rows = [
            (words, *(number(table_at(report, coupling, key).get("mean")) for key in keys))
            for coupling, words in COUPLING_WORDS.items()
            if coupling in report
        ]
        if rows:
            out.append((title, rows))
    return out


def _speed(bench: dict) -> str | None:
    ratios = []
    for row in bench.get("rows", []):
        if row["engine"] != "cpu" or row["threads"] != 1:
            continue
        size = tuple(row[key] for key in ("n", "size", "channels"))
        plain = [
            other["total_ms"]
            for other in bench["rows"]
            if other["engine"] == "reference"
            and tuple(other[key] for key in ("n", "size", "channels")) == size
        ]
        ratios += [total / row["total_ms"] for total in plain]
    if not ratios:
        return None
    return (
        f"On one CPU thread the rasterizer draws, gradients included, {min(ratios):.0f} to "
        f"{max(ratios):.0f} times as fast as tiled splatting in plain torch."
    )


def _frames(report: dict) -> str | None:
    told = []
    for key, words in (("labels_all", "labels"), ("parser_extreme", "parser at extreme poses")):
        own, estimated = (
            number(table_at(report, name, key).get("mean")) for name in ("own", "estimate")
        )
        if own is None or estimated is None:
            return None
        told.append(f"{words} {score(estimated)} (own frames: {score(own)})")
    return f"With head frames estimated from predictions, refined mIoU: {', '.join(told)}."


def _cuda(bench: dict) -> str:
    if not bench:
        return "On a GPU: not run."
    apart = (number(table_at(bench, "agreement").get(key)) for key in ("image", "gradients"))
    image, gradients = ("unknown" if value is None else f"{value:.1e}" for value in apart)
    seconds = number(table_at(bench, "fit").get("seconds"))
    took = "an unknown number of" if seconds is None else f"{seconds:.0f}"
    return (
        f"On a GPU ({bench.get('gpu', 'unknown')}): gsplat and the CPU engine differ by at most "
        f"{image} in the image and {gradients} in the gradients; a fit of 200,000 "
        f"Gaussians at 512 px takes {took} s."
    )


def _pages(metrics: Path) -> list[tuple[str, str]]:
    titles = {
        "coupling": "couplings", "coupling_weighted": "couplings of weighted labels",
        "label_noise": "label noise", "trial_setting": "the earlier trial",
        "head_frames": "head frames", "estimated_line": "the line with estimated frames",
        "paper_setting": "the paper's setting, on stand-ins",
        "study_checks": "the study's test, checked",
    }  # fmt: skip
    done = [name for name in titles if (metrics / f"{name}.json").is_file()]
    return [(titles[name], f"html/experiments/{name}.html") for name in done]
