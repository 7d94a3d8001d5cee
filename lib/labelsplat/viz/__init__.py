"""Drawing: pictures and charts for notebooks and pages. Nothing here computes a stage's output."""

from labelsplat.viz.charts import (
    as_interval,
    dumbbells,
    plot_rig,
    plot_scores,
    plot_training,
    strata_bars,
)
from labelsplat.viz.figures import Picture, new_figure, png_bytes, save_figure
from labelsplat.viz.pictures import (
    class_legend,
    colourise,
    differences,
    enlarge,
    image_grid,
    label_sheet,
    overlay,
)
from labelsplat.viz.results import (
    example_sheet,
    plot_arms,
    plot_classes,
    plot_gains,
    plot_labels,
)
from labelsplat.viz.style import (
    ARM_COLOURS,
    ARM_TITLES,
    LABEL_COLOURS,
    LABEL_TITLES,
    STYLE,
    use_style,
)

__all__ = [
    "ARM_COLOURS",
    "ARM_TITLES",
    "LABEL_COLOURS",
    "LABEL_TITLES",
    "STYLE",
    "Picture",
    "as_interval",
    "class_legend",
    "colourise",
    "differences",
    "dumbbells",
    "enlarge",
    "example_sheet",
    "image_grid",
    "label_sheet",
    "new_figure",
    "overlay",
    "plot_arms",
    "plot_classes",
    "plot_gains",
    "plot_labels",
    "plot_rig",
    "plot_scores",
    "plot_training",
    "png_bytes",
    "save_figure",
    "strata_bars",
    "use_style",
]
