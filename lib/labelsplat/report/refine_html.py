"""The page of ``make refine``: what was done to a user's photos, shown and said plainly."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from labelsplat.report.refine_page import described, evenly_spaced
from labelsplat.report.templates import templates
from labelsplat.viz import label_sheet, overlay, save_figure

if TYPE_CHECKING:
    from labelsplat.report.refine_page import RefinedPhotos

SHOWN = 12
"""Photos at most that the page and the sheet show, evenly spaced."""

EXTREME = 60.0
"""Degrees of yaw from which a pose is called extreme."""

SHRUNK = 0.6
"""A class that keeps a smaller share of its pixels than this is named on the page."""

_HERE = Path(__file__).parent


def refine_html(done: RefinedPhotos) -> str:
    """The page, self-contained."""
    from markupsafe import Markup

    environment = templates()
    strips = [
        {"name": done.photos.names[done.chosen[i]], "address": _webp(np.concatenate(row, 1))}
        for i, row in zip(_shown(done), _rows(done), strict=True)
    ]
    classes = _classes(done)
    return environment.get_template("refine.html.j2").render(
        css=Markup((_HERE / "front.css").read_text(encoding="utf-8")),
        subject=done.capture.subject,
        photos=len(done.photos.names),
        voted=len(done.chosen),
        size=done.photos.images.shape[1],
        span=done.span,
        yaws=done.yaws,
        psnr=done.psnr,
        frame=described(done.frame),
        estimated=done.frame["method"] in ("landmarks", "cameras"),
        loose=done.loose,
        relabelled=done.relabelled,
        gaussians=len(done.gaussians),
        parser=done.parser.parent.name + "/" + done.parser.name,
        trained_here=done.trained_here,
        distorted=any(view.distortion is not None for view in done.capture.views),
        reaches_extreme=done.yaws is not None and max(map(abs, done.yaws)) >= EXTREME,
        strips=strips,
        classes=classes,
        shrunk=[row["name"] for row in classes if row["refined"] < SHRUNK * row["raw"]],
    )


def write_sheet(path: Path, done: RefinedPhotos) -> None:
    """Write the overlays of raw and refined labels as one picture with a legend."""
    names = [done.photos.names[done.chosen[i]] for i in _shown(done)]
    columns = ["photo", "Gaussians", "raw", "refined"]
    sheet = label_sheet(_rows(done), names, columns, vocabulary=done.vocabulary)
    save_figure(sheet, path)


def _shown(done: RefinedPhotos) -> np.ndarray:
    return evenly_spaced(len(done.chosen), SHOWN)


def _rows(done: RefinedPhotos) -> list[list[np.ndarray]]:
    """For each shown photo: itself, the Gaussians, raw labels, refined labels."""
    rows = []
    for i in _shown(done):
        index = done.chosen[i]
        image = done.photos.images[index]
        raw = overlay(image, done.raw[i], done.vocabulary)
        refined = overlay(image, done.labels[index], done.vocabulary)
        rows.append([image, done.drawn[i], raw, refined])
    return rows


def _classes(done: RefinedPhotos) -> list[dict]:
    """Share of the head's pixels that each class takes, before and after."""
    valid = done.photos.valid[done.chosen]
    raw, refined = done.raw[valid], done.labels[done.chosen][valid]
    count = len(done.vocabulary)
    before, after = (np.bincount(x[x < count], minlength=count)[1:] for x in (raw, refined))
    before, after = before / max(before.sum(), 1), after / max(after.sum(), 1)
    rows = []
    for index, name in enumerate(done.vocabulary.classes[1:]):
        if before[index] or after[index]:
            red, green, blue = done.vocabulary.palette[index + 1]
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            rows.append(
                {"name": name, "colour": colour, "raw": before[index], "refined": after[index]}
            )
    return sorted(rows, key=lambda row: -row["refined"])


def _webp(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=90, method=4)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
