"""Numbers that may not be known: NaN while one computes with them, None in JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np


def number(value: float | None) -> float | None:
    """A float as JSON can hold it: None in place of NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def known_mean(values: Iterable[float]) -> float:
    """Mean of those values that are finite, NaN where none is."""
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
