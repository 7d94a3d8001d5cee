"""From where each set looks at its heads: lists of (yaw, pitch) in degrees, drawn from a seed.

Yaw and pitch are the camera's, as in :mod:`labelsplat.labels.pose`: positive yaw stands to the
subject's left, positive pitch above. Same seed, same list.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Pose = tuple[float, float]

STANDARD = (30.0, 15.0)
"""Largest absolute yaw and pitch of the ``standard`` set."""

RING = (
    *((yaw, -8) for yaw in (-105, -80, -55, -30, 0, 30, 55, 80, 105)),
    *((yaw, 25) for yaw in (-90, -45, 0, 45, 90)),
    *((yaw, -35) for yaw in (-70, -25, 25, 70)),
    (-50, 52), (0, 55), (50, 52), (-40, -55), (40, -55), (-15, 8),
)  # fmt: skip
"""Places of a capture rig's cameras: a ring at about the height of the chin, a higher and a lower
one, and a few from far above and below."""

FRONTAL = 4
RIGHT = (0, 1, 2, 9, 10)
LEFT = (6, 7, 8, 12, 13)
HIGH_OR_LOW = tuple(range(14, 23))
"""Indices into :data:`RING`; sides are the subject's."""

YAW_JITTER, PITCH_JITTER = 5.0, 4.0
_MARGIN = 2.0
"""Degrees between a pose and the border of its stratum. A camera that looks at a point of the head
4 cm off the head frame's origin is measured up to 2 degrees away from the pose it was given."""

LARGEST_YAW = 110 - _MARGIN
"""Capture views must not get behind the head, whose border is at 110 degrees."""


def standard_views(seed: int, count: int = 5) -> list[Pose]:
    """``count`` near-frontal poses, yaw and pitch uniform within :data:`STANDARD`."""
    rng = _stream("standard", seed)
    limit = np.array(STANDARD)
    return _poses(rng.uniform(-limit, limit, (count, 2)))


def capture_views(seed: int) -> list[Pose]:
    """11 poses: 1 frontal, 3 on each side, 4 high or low, abs(yaw) <= 110, in RING's order."""
    return _ring_split(seed)[0]


def heldout_views(seed: int) -> list[Pose]:
    """8 poses at places of the same rig that :func:`capture_views` of this seed left free."""
    return _ring_split(seed)[1]


def test_views(seed: int) -> list[Pose]:
    """26 poses that cover every stratum, as many on the left as on the right.

    In this order: 6 ``standard``; 6 ``middle`` (4 by their yaw, 2 by their pitch); 12 ``extreme``:
    6 with abs(yaw) 60 to 110, 3 with pitch >= 30 and 3 with pitch <= -30 (these six with
    abs(yaw) < 60); 2 ``behind``.
    """
    rng = _stream("test", seed)
    e = _MARGIN

    def spread(low: float, high: float, places: int) -> np.ndarray:
        """One number in each of ``places`` equal parts of [low, high], so that all are covered."""
        return low + (high - low) * (np.arange(places) + rng.uniform(size=places)) / places

    def both(low: float, high: float, places: int) -> np.ndarray:
        """The same for either sign: ``2 * places`` numbers."""
        return np.concatenate([spread(low, high, places), -spread(low, high, places)])

    def pitches(low: float, high: float, count: int) -> np.ndarray:
        return rng.permutation(spread(low, high, count))

    def steep(sign: int) -> tuple[np.ndarray, np.ndarray]:
        """Three poses from far above or below: left, about the middle, right."""
        return rng.permutation(spread(-60 + 2 * e, 60 - 2 * e, 3)), sign * spread(30 + e, 57, 3)

    groups = [
        (both(0, 30 - e, 3), pitches(-20 + e, 20 - e, 6)),
        (both(30 + e, 60 - e, 2), pitches(-28, 28, 4)),
        (both(0, 28, 1), rng.permutation(both(20 + e, 30 - e, 1))),
        (both(60 + e, LARGEST_YAW, 3), pitches(-28, 28, 6)),
        steep(1),
        steep(-1),
        (both(110 + e, 175, 1), pitches(-20, 20, 2)),
    ]
    return _poses(np.concatenate([np.stack(group, 1) for group in groups]))


POSES: dict[str, Callable[[int], list[Pose]]] = {
    "standard": standard_views,
    "capture": capture_views,
    "heldout": heldout_views,
    "test": test_views,
}
"""Pose lists by the name of the set."""


def _ring_split(seed: int) -> tuple[list[Pose], list[Pose]]:
    rng = _stream("ring", seed)
    groups = ((LEFT, 3), (RIGHT, 3), (HIGH_OR_LOW, 4))
    chosen = [FRONTAL, *(int(i) for g, n in groups for i in rng.choice(g, n, replace=False))]
    free = rng.permutation([i for i in range(len(RING)) if i not in chosen])[:8]
    jitter = np.array([YAW_JITTER, PITCH_JITTER])
    rig = np.array(RING, float) + rng.uniform(-jitter, jitter, (len(RING), 2))
    rig[:, 0] = rig[:, 0].clip(-LARGEST_YAW, LARGEST_YAW)
    return _poses(rig[sorted(chosen)]), _poses(rig[np.sort(free)])


def _poses(values: np.ndarray) -> list[Pose]:
    return [(float(yaw), float(pitch)) for yaw, pitch in values]


def _stream(name: str, seed: int) -> np.random.Generator:
    """Random numbers of their own for each set, so that equal seeds do not give equal poses."""
    return np.random.default_rng([*name.encode(), seed])
