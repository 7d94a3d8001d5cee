"""The arms of the study by name, and how they are called in every table, figure and page."""

from __future__ import annotations

ARM_TITLES = {
    "baseline": "baseline",
    "replay_only": "replay only",
    "self_training": "self-training",
    "refined": "refined",
    "refined_novel": "refined + novel views",
    "oracle": "oracle",
}
"""In the order of the tables: nothing added; more steps on the old pool; raw predictions; refined
labels; with novel views; true labels."""

STUDY_ARMS = ("baseline", "self_training", "refined", "oracle")
"""Those that people rate, see :mod:`labelsplat.study`."""

REFERENCE = "reference"
"""What the true label maps are called among them."""
