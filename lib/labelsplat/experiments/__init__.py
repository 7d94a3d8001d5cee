"""Experiments: questions beside the line, none of which `make repro` runs.

They run on heads of the tune set, but for ``trial_setting``: that one fits the line's own captures,
and opens the truth of their held-out views to measure the fits by.
"""

from labelsplat.experiments.corrupt import (
    FLIPS,
    KINDS,
    corrupt,
    flips,
    growth,
    labelled_views,
    off_front,
    patches,
    pixels,
    systematic,
)
from labelsplat.experiments.coupling import Coupled, compare_couplings
from labelsplat.experiments.heads import Head, head_names, make_heads, read_head
from labelsplat.experiments.label_noise import (
    gather_rows,
    noise_examples,
    noise_rows,
    noisy_labels,
)
from labelsplat.experiments.methods import (
    METHODS,
    fit_colours,
    fit_labels,
    lifted,
    lifted_maps,
    model_maps,
    noisy,
    one_hot,
)
from labelsplat.experiments.settings import CouplingSettings, NoiseSettings, Setup, section
from labelsplat.experiments.stage import EXPERIMENTS, report_path, run_experiment
from labelsplat.experiments.summary import header, mean_interval, miou_interval
from labelsplat.experiments.tables import best_table, experiment_table, noise_findings
from labelsplat.experiments.trial_setting import run_trial_setting

__all__ = [
    "EXPERIMENTS",
    "FLIPS",
    "KINDS",
    "METHODS",
    "Coupled",
    "CouplingSettings",
    "Head",
    "NoiseSettings",
    "Setup",
    "best_table",
    "compare_couplings",
    "corrupt",
    "experiment_table",
    "fit_colours",
    "fit_labels",
    "flips",
    "gather_rows",
    "growth",
    "head_names",
    "header",
    "labelled_views",
    "lifted",
    "lifted_maps",
    "make_heads",
    "mean_interval",
    "miou_interval",
    "model_maps",
    "noise_examples",
    "noise_findings",
    "noise_rows",
    "noisy",
    "noisy_labels",
    "off_front",
    "one_hot",
    "patches",
    "pixels",
    "read_head",
    "report_path",
    "run_experiment",
    "run_trial_setting",
    "section",
    "systematic",
]
