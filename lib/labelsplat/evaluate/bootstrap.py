"""Percentile bootstrap over identities.

Views of one head are no independent samples, heads are; so heads are drawn with replacement, and
every draw's scores are taken of the summed counts of the heads in it, as the reported scores are.
Two parsers are compared on the SAME draws: what makes a head hard drops out of the difference.

Letters: I identities, B draws, C classes.
"""

from __future__ import annotations

import numpy as np

from labelsplat.labels import CELEBAMASK, Vocabulary, iou, mean_score

LEVEL = 0.95
"""Probability that an interval is meant to hold."""


def draw_identities(identities: int, draws: int, seed: int) -> np.ndarray:
    """How often each identity is in each resample, ``[B, I]`` float64; rows sum to I.

    Raises:
        ValueError: no identity or no draw.
    """
    if identities < 1 or draws < 1:
        raise ValueError(f"{identities} identities and {draws} draws, both must be at least 1")
    rng = np.random.default_rng([*b"bootstrap", seed])
    # The counts of I drawings with replacement are multinomial.
    return rng.multinomial(identities, np.full(identities, 1 / identities), draws).astype(float)


def resampled_miou(
    confusions: np.ndarray, counts: np.ndarray, vocabulary: Vocabulary = CELEBAMASK
) -> np.ndarray:
    """Mean IoU over the scored classes in each resample.

    Args:
        confusions: ``[I, C, C]`` counts of each identity.
        counts: ``[B, I]`` from :func:`draw_identities`.
        vocabulary: of the counts.

    Returns:
        ``[B]`` float64, NaN where a resample has no pixel.
    """
    flat = confusions.reshape(len(confusions), -1).astype(float)
    sums = (counts @ flat).reshape(-1, *confusions.shape[1:])
    return mean_score(iou(sums), vocabulary.scored)


def interval(samples: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """The middle ``level`` of the samples, NaN left out; (NaN, NaN) where there is none."""
    samples = samples[np.isfinite(samples)]
    if not samples.size:
        return float("nan"), float("nan")
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(samples, [tail, 100 - tail])
    return float(low), float(high)
