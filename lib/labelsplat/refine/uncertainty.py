"""How sure a rendered label is: its posterior's entropy, and how far the views agree on it.

The two say different things. A pixel on the border of two parts has a high entropy although all
views agree where the border is; a nape that one half of the views calls hair and the other half
neck is where the views contradict each other. Both are between 0 (sure) and 1.
"""

from __future__ import annotations

import numpy as np

from labelsplat.refine.lift import Lift

_TINY = 1e-12


def entropy(posteriors: np.ndarray) -> np.ndarray:
    """Entropy of posteriors ``[..., K]`` in units of its maximum, ``[...]`` float32, 0 to 1."""
    total = np.maximum(posteriors.sum(-1, keepdims=True), _TINY)
    return (_entropy(posteriors / total) / np.log(posteriors.shape[-1])).astype(np.float32)


def view_disagreement(lift: Lift, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``[N]`` how much one learns of a Gaussian's class by hearing which view speaks, 0 to 1.

    The mutual information between view and class: with the distributions ``q_v`` that the views
    ascribe to a Gaussian and their shares ``w_v`` of its votes, ``H(sum w_v q_v) - sum w_v H(q_v)``
    (the Jensen-Shannon divergence of the views), in units of log K. Gaussians that one view alone
    sees have none.

    Args:
        lift: the frozen views; its gate applies.
        probabilities: ``[V, H, W, K]`` that each view votes for.
        weights: ``[V, H, W]`` of the votes.
    """
    classes = probabilities.shape[-1]
    total, mixed, each = 0.0, 0.0, 0.0
    for view, seen, q, w in zip(lift.views, lift.visible, probabilities, weights, strict=True):
        votes = seen * view.splat_back(np.ascontiguousarray(q * w[..., None], np.float32))
        mass = votes.sum(1)
        total = total + mass
        mixed = mixed + votes
        each = each + mass * _entropy(votes / np.maximum(mass, _TINY)[:, None])
    total = np.maximum(total, _TINY)
    information = _entropy(mixed / total[:, None]) - each / total
    return np.clip(information / np.log(classes), 0, 1).astype(np.float32)


def render_disagreement(lift: Lift, disagreement: np.ndarray) -> np.ndarray:
    """``[V, H, W]`` of :func:`view_disagreement` ``[N]`` in the lift's views; 0 where uncovered."""
    column = np.ascontiguousarray(disagreement[:, None], np.float32)
    return np.stack([view.blend(column)[0][..., 0] for view in lift.views])


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.maximum(p, _TINY))).sum(-1)
