"""Pose strata: how far a camera stands from the head's front.

Yaw and pitch are the CAMERA's, in degrees, seen from the head: yaw 0, pitch 0 looks straight at the
face; positive yaw stands to the subject's left (+x), positive pitch stands above (+y).
"""

from __future__ import annotations

STRATA = ("standard", "middle", "extreme", "behind", "yaw60", "pitch30", "all")
"""Exclusive: the first four. Beside them: yaw60, pitch30, and all (without behind)."""

STRATUM_TITLES = {
    "standard": "standard",
    "middle": "middle",
    "extreme": "extreme",
    "behind": "behind",
    "yaw60": "yaw 60 to 110°",
    "pitch30": "pitch from 30°",
    "all": "all but behind",
}
"""Names of the strata in tables and figures."""


def stratum_of(yaw: float, pitch: float) -> str:
    """The one exclusive stratum of a camera at (yaw, pitch) degrees."""
    yaw, pitch = abs(yaw), abs(pitch)
    if yaw > 110:
        return "behind"
    if yaw >= 60 or pitch >= 30:
        return "extreme"
    return "standard" if yaw <= 30 and pitch <= 20 else "middle"


def in_stratum(stratum: str, yaw: float, pitch: float) -> bool:
    """Whether a camera at (yaw, pitch) degrees belongs to ``stratum``, one of :data:`STRATA`."""
    if stratum == "all":
        return abs(yaw) <= 110
    if stratum == "yaw60":
        return 60 <= abs(yaw) <= 110
    if stratum == "pitch30":
        return abs(pitch) >= 30 and abs(yaw) < 60
    if stratum not in STRATA:
        raise ValueError(f"unknown stratum {stratum!r}, expected one of {STRATA}")
    return stratum_of(yaw, pitch) == stratum
