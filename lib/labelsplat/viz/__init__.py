"""Drawing: pictures and charts for notebooks and pages. Nothing here computes a stage's output."""

from labelsplat.base.arms import ARM_TITLES
from labelsplat.viz.charts import (
    as_interval,
    dumbbells,
    plot_reliability,
    plot_rig,
    plot_scores,
    plot_training,
    strata_bars,
)
from labelsplat.viz.experiments import plot_experiment, plot_label_noise
from labelsplat.viz.figures import Picture, new_figure, png_bytes, save_figure
from labelsplat.viz.pictures import (
    class_legend,
    colourise,
    depth_pictures,
    differences,
    label_sheet,
    overlay,
    residuals,
)
from labelsplat.viz.results import (
    example_sheet,
    plot_arms,
    plot_classes,
    plot_gains,
    plot_labels,
)
from labelsplat.viz.rig import plot_inspection
from labelsplat.viz.style import (
    ARM_COLOURS,
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
    "depth_pictures",
    "differences",
    "dumbbells",
    "example_sheet",
    "label_sheet",
    "new_figure",
    "overlay",
    "plot_arms",
    "plot_classes",
    "plot_experiment",
    "plot_gains",
    "plot_inspection",
    "plot_label_noise",
    "plot_labels",
    "plot_reliability",
    "plot_rig",
    "plot_scores",
    "plot_training",
    "png_bytes",
    "residuals",
    "save_figure",
    "strata_bars",
    "use_style",
]
