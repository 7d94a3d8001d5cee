"""Independent random streams: one for each part of a head, all from its one seed."""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """A generator that depends on ``(seed, name)`` only.

    Each part of a head draws from its own stream, so that a part that is added or that draws more
    numbers leaves every other part of the same seed as it was.
    """
    return np.random.default_rng([zlib.crc32(name.encode()), seed])
