"""One calm look for every figure, with colours that colour-blind readers can tell apart."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

INK, SOFT, LINE, WASH = "#1f2430", "#667085", "#e4e7ec", "#f7f8fa"
"""Text, secondary text, rules and pale surfaces: the colours of the HTML pages."""

ARM_COLOURS = {
    "baseline": "#98a1ae",
    "replay_only": "#5f6b7a",
    "self_training": "#e69f00",
    "refined": "#0072b2",
    "refined_novel": "#009e73",
    "oracle": "#cc79a7",
}
"""After Okabe and Ito's palette; what is no method of ours is grey."""

LABEL_COLOURS = {"raw": "#98a1ae", "refined": "#0072b2", "ceiling": "#cc79a7"}
LABEL_TITLES = {"raw": "raw predictions", "refined": "refined", "ceiling": "lifted truth (ceiling)"}

DPI = 110
"""Pixels an inch: of all saved figures, and of figures on the pages."""

STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlepad": 9,
    "axes.edgecolor": "#c9ced6",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": "#c9ced6",
    "ytick.color": "#c9ced6",
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "none",
}
"""What :func:`use_style` sets; matplotlib's own font, so that a figure is the same everywhere."""

_Draw = TypeVar("_Draw", bound=Callable[..., Any])


def use_style() -> None:
    """Make :data:`STYLE` the look of all figures that are drawn from here on."""
    import matplotlib as mpl

    mpl.rcParams.update(STYLE)


def styled(draw: _Draw) -> _Draw:
    """Let a function draw in :data:`STYLE`, whatever the caller's settings are."""

    @functools.wraps(draw)
    def inner(*args: Any, **kwargs: Any) -> Any:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return inner  # type: ignore[return-value]
