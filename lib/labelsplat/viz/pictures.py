"""Photos and label maps, laid over each other and side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from labelsplat.labels import CELEBAMASK, IGNORE, Vocabulary, foreground
from labelsplat.viz.figures import Picture, new_figure
from labelsplat.viz.style import DPI, INK, SOFT, styled


def colourise(labels: np.ndarray, vocabulary: Vocabulary = CELEBAMASK) -> np.ndarray:
    """Label maps ``[..., H, W]`` in the vocabulary's colours, ``[..., H, W, 3]`` uint8.

    Unlabelled pixels are white.
    """
    return vocabulary.colours[labels]


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    vocabulary: Vocabulary = CELEBAMASK,
    alpha: float = 0.55,
    background: float = 0.0,
) -> np.ndarray:
    """A photo with its label map laid over it.

    Args:
        image: ``[..., H, W, 3]`` uint8 sRGB.
        labels: ``[..., H, W]`` uint8 class indices; what is 255 (no label) stays as in the photo.
        vocabulary: colours of the classes.
        alpha: 0 (the photo alone) to 1 (the labels alone).
        background: the same for pixels of class 0.

    Returns:
        ``[..., H, W, 3]`` uint8.
    """
    weight = np.where(labels == 0, background, alpha)
    weight = np.where(labels == IGNORE, 0.0, weight)[..., None]
    mixed = image * (1 - weight) + vocabulary.colours[labels] * weight
    return np.round(mixed).astype(np.uint8)


def differences(
    labels: np.ndarray, truth: np.ndarray, vocabulary: Vocabulary = CELEBAMASK
) -> np.ndarray:
    """Where a label map is wrong, ``[..., H, W, 3]`` uint8: the wrong label's colour, else grey.

    Args:
        labels: ``[..., H, W]`` uint8.
        truth: ``[..., H, W]`` uint8; light grey where right, white where both are background
            or where it is 255 (no label).
        vocabulary: colours of the classes.
    """
    out = np.where(foreground(truth)[..., None], np.uint8(225), np.uint8(255)).repeat(3, -1)
    wrong = (labels != truth) & (labels != IGNORE) & (truth != IGNORE)
    out[wrong] = vocabulary.colours[labels][wrong]
    return out


def residuals(drawn: np.ndarray, photos: np.ndarray, gain: float = 3.0) -> np.ndarray:
    """What a drawn picture has too much or too little of, round grey: ``[..., 3]`` uint8.

    Args:
        drawn, photos: ``[..., 3]`` uint8.
        gain: how much differences are enlarged.
    """
    away = drawn.astype(np.float32) - photos
    return np.clip(128 + gain * away, 0, 255).astype(np.uint8)


def depth_pictures(depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Depth maps as ``[V, H, W, 3]`` uint8: near is light, the background white.

    Args:
        depth: ``[V, H, W]`` world units.
        alpha: ``[V, H, W]``; where it is below a half there is no depth to speak of.
    """
    out = np.full((*depth.shape, 3), 255, np.uint8)
    for picture, distance, cover in zip(out, depth, alpha, strict=True):
        solid = cover > 0.5
        if solid.any():
            near, far = np.percentile(distance[solid], (1, 99))
            share = np.clip((distance[solid] - near) / max(far - near, 1e-9), 0, 1)
            picture[solid] = (40 + 190 * (1 - share)).astype(np.uint8)[:, None]
    return out


@styled
def label_sheet(
    rows: Sequence[Sequence[np.ndarray | None]],
    row_titles: Sequence[str] | None = None,
    col_titles: Sequence[str] | None = None,
    *,
    cell: int | None = None,
    title: str | None = None,
    vocabulary: Vocabulary | None = None,
    gap: int = 3,
) -> Picture:
    """Pictures in a table, one pixel of theirs one pixel of the figure.

    Args:
        rows: pictures ``[H, W, 3]`` uint8 (make them with :func:`overlay` or :func:`colourise`);
            None leaves a place empty.
        row_titles: one a row, written to its left; may hold line breaks.
        col_titles: one a column, written above it.
        cell: side of a place in pixels; None = the largest picture's own size. Others are fitted.
        title: above all.
        vocabulary: adds a legend of its classes below.
        gap: pixels between places.
    """
    rows = [list(row) for row in rows]
    columns = max((len(row) for row in rows), default=0)
    pictures = [p for row in rows for p in row if p is not None]
    if not pictures:
        raise ValueError("a sheet needs at least one picture")
    side = cell or max(max(p.shape[:2]) for p in pictures)
    canvas = np.full(
        (len(rows) * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            if picture is not None:
                _paste(canvas, picture, i * (side + gap), j * (side + gap), side)

    height, width = canvas.shape[:2]
    left = 8 + _text_width(row_titles) if row_titles else 0
    top = (24 if col_titles else 0) + (28 if title else 0)
    # Titles longer than the pictures are wide need room, too.
    right = max(0, _text_width([title], 10, "bold") - left - width) if title else 0
    legend = _legend_rows(vocabulary, left + width + right) if vocabulary else []
    bottom = 18 * len(legend) + 10 if legend else 0
    total = (left + width + right, top + height + bottom)
    figure = new_figure(total[0] / DPI, total[1] / DPI)

    place = [left / total[0], bottom / total[1], width / total[0], height / total[1]]
    axes = figure.add_axes(place)
    axes.imshow(canvas, interpolation="nearest", aspect="auto", extent=(0, width, height, 0))
    axes.set_axis_off()
    for j, text in enumerate(col_titles or ()):
        x = j * (side + gap) + side / 2
        axes.text(x, -6, text, ha="center", va="bottom", fontsize=8.5, color=INK, clip_on=False)
    for i, text in enumerate(row_titles or ()):
        y = i * (side + gap) + side / 2
        axes.text(-8, y, text, ha="right", va="center", fontsize=8, color=SOFT, linespacing=1.35)
    if title:
        figure.text(0, 1 - 4 / total[1], title, ha="left", va="top", fontsize=10, weight="bold")
    if legend:
        _draw_legend(figure, legend, total, bottom - 16)
    return figure


@styled
def class_legend(
    vocabulary: Vocabulary = CELEBAMASK,
    present: np.ndarray | None = None,
    width: int = 760,
) -> Picture:
    """The classes and their colours.

    Args:
        vocabulary: what to show.
        present: label maps; if given, only classes in them are listed.
        width: of the figure, in pixels.
    """
    rows = _legend_rows(vocabulary, width, present)
    total = (width, 18 * len(rows) + 4)
    figure = new_figure(total[0] / DPI, total[1] / DPI)
    _draw_legend(figure, rows, total, total[1] - 12)
    return figure


_Entry = tuple[float, str, tuple[float, float, float]]


def _legend_rows(
    vocabulary: Vocabulary, width: float, present: np.ndarray | None = None
) -> list[list[_Entry]]:
    """Rows of (x in pixels, name, colour)."""
    wanted = range(len(vocabulary)) if present is None else np.unique(present)
    rows: list[list[_Entry]] = [[]]
    x = 0.0
    for index in wanted:
        if index >= len(vocabulary):
            continue
        name = vocabulary.classes[index]
        step = 26 + 6.9 * len(name)
        if x + step > width and rows[-1]:
            rows.append([])
            x = 0.0
        red, green, blue = vocabulary.palette[index]
        rows[-1].append((x, name, (red / 255, green / 255, blue / 255)))
        x += step
    return rows


def _draw_legend(
    figure: Picture, rows: list[list[_Entry]], total: tuple[float, float], y: float
) -> None:
    from matplotlib.patches import Rectangle

    for row in rows:
        for x, name, colour in row:
            corner = (x / total[0], (y - 5) / total[1])
            size = (11 / total[0], 11 / total[1])
            figure.add_artist(
                Rectangle(corner, *size, facecolor=colour, edgecolor="#b6bcc6", linewidth=0.5)
            )
            figure.text(
                (x + 16) / total[0], y / total[1], name, va="center", fontsize=7.5, color=INK
            )
        y -= 18


def _paste(canvas: np.ndarray, picture: np.ndarray, top: int, left: int, side: int) -> None:
    if max(picture.shape[:2]) != side:
        scale = side / max(picture.shape[:2])
        height, width = (max(1, round(s * scale)) for s in picture.shape[:2])
        # Whole factors keep label maps crisp; photos reduced in size are averaged.
        method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
        picture = np.asarray(Image.fromarray(picture).resize((width, height), method))
    height, width = picture.shape[:2]
    top, left = top + (side - height) // 2, left + (side - width) // 2
    canvas[top : top + height, left : left + width] = picture


def _text_width(texts: Sequence[str], size: float = 8, weight: str = "normal") -> int:
    """Pixels that the longest line takes, by the font's own measures."""
    font = FontProperties(size=size, weight=weight)
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    widths = [TextPath((0, 0), line, prop=font).get_extents().x1 for line in lines]
    return math.ceil(max(widths, default=0) * DPI / 72) + 4
