"""Figures that show themselves in notebooks, and their files."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from labelsplat.base import atomic_path
from labelsplat.viz.style import DPI


class Picture(Figure):
    """A figure outside pyplot's list: shown once, when a cell ends in it or displays it.

    (A figure that pyplot made would be shown by the notebook a second time, and stay in memory.)
    """

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of ``width x height`` inches."""
    return Picture(figsize=(width, height), dpi=DPI, facecolor="white")


def png_bytes(figure: Figure, colours: int | None = None) -> bytes:
    """A figure as PNG; the same figure gives the same bytes.

    Args:
        figure: any matplotlib figure.
        colours: reduce the picture to that many colours (at most 256), for a third of the size;
            None keeps them all.
    """
    buffer = io.BytesIO()
    # Matplotlib would write its version into the file.
    figure.savefig(buffer, format="png", dpi=figure.dpi, metadata={"Software": None})
    buffer.seek(0)
    image = Image.open(buffer).convert("RGB")
    if colours is not None:
        # This method keeps the colours of small areas (ears, a legend's squares); the default one,
        # median cut, gives its colours to large areas.
        method = Image.Quantize.MAXCOVERAGE
        image = image.quantize(colours, method=method, kmeans=1, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()


def save_figure(figure: Figure, path: str | Path, colours: int | None = None) -> Figure:
    """Write a figure as PNG without date or version, whole or not at all.

    Args:
        figure: any matplotlib figure.
        path: the file, ``*.png``.
        colours: see :func:`png_bytes`.

    Returns:
        The figure, so that a cell can end in this call and show it.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(png_bytes(figure, colours))
    return figure
