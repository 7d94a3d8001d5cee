"""What is fixed before anybody rates, in one place: written down by 08, held to by 09.

A primary test or an exclusion rule that is chosen after looking at ratings proves nothing. So the
preparation writes all of it into ``plan.json``, beside the key, and the analysis names whatever it
was run with otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRIMARY = ("refined", "self_training")
"""The one difference that is tested without a correction for many tests: first minus second."""

ALPHA = 0.05
"""Level of that test, two-sided; of all other tests together (Holm)."""


def fixed_beforehand(bootstrap: int, exclusion: Mapping[str, float]) -> dict[str, Any]:
    """What ``plan.json`` says under ``fixed``.

    Args:
        bootstrap: resamples for each interval.
        exclusion: which answers exclude a rater, rule by rule.
    """
    return {
        "primary": "-".join(PRIMARY),
        "alpha": ALPHA,
        "bootstrap": bootstrap,
        "exclusion": dict(exclusion),
    }
