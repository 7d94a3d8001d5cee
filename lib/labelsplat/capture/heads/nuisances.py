"""What may hide, adorn or spoil a head: levels, each with a version, and what a head draws of them.

``plain`` has no occluder, a calm room and clean photographs. ``hard`` has glasses, hats, jewellery,
masks, hands and scarves, cluttered rooms, and photographs as they come. A level's version rises
whenever what it draws changes: figures of two versions are not to be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from labelsplat.base import ParameterError
from labelsplat.capture.heads._random import stream

NUISANCE_LEVELS = {"plain": 1, "hard": 1}
"""Version of each level."""

_SHARES = {
    "glasses": {"none": 0.60, "clear": 0.27, "sun": 0.13},
    "hat": {"none": 0.70, "beanie": 0.15, "cap": 0.15},
    "jewellery": 0.45,
    "cover": {"none": 0.72, "mask": 0.14, "hand": 0.14},
    "scarf": 0.15,
}


@dataclass(frozen=True)
class Nuisances:
    """What one head wears and what is before it; the level says how it is photographed, too.

    Attributes:
        level: a key of NUISANCE_LEVELS.
        version: the level's version that this was drawn with.
        glasses: "none", "clear" or "sun"; clear lenses let the label behind them through.
        hat: "none", "beanie" or "cap".
        earrings: "none", "stud", "drop" or "hoop", on both ears.
        necklace: "none", "chain" or "pearls".
        cover: "none", "mask" or "hand"; both are labelled background.
        scarf: whether a scarf, labelled cloth, is worn.
    """

    level: str = "plain"
    version: int = NUISANCE_LEVELS["plain"]
    glasses: str = "none"
    hat: str = "none"
    earrings: str = "none"
    necklace: str = "none"
    cover: str = "none"
    scarf: bool = False

    @property
    def words(self) -> str:
        """What is worn, in words for tables; "none" if nothing is."""
        worn = [
            f"{self.glasses} glasses" if self.glasses != "none" else "",
            self.hat if self.hat != "none" else "",
            f"{self.earrings} earrings" if self.earrings != "none" else "",
            self.necklace if self.necklace != "none" else "",
            self.cover if self.cover != "none" else "",
            "scarf" if self.scarf else "",
        ]
        return ", ".join(filter(None, worn)) or "none"


def check_level(level: str) -> None:
    """Raise ParameterError unless ``level`` is a key of NUISANCE_LEVELS."""
    if level not in NUISANCE_LEVELS:
        raise ParameterError(
            f"unknown nuisance level {level!r}",
            remedy=f"Choose one of {', '.join(NUISANCE_LEVELS)}",
        )


def sample_nuisances(seed: int, level: str, male: bool, covered_neck: bool) -> Nuisances:
    """What a head of this seed wears; nothing at level ``plain``.

    Args:
        seed: the head's seed.
        level: a key of NUISANCE_LEVELS.
        male: men wear less jewellery.
        covered_neck: the clothes hide the neck, where a necklace would lie.

    Raises:
        ParameterError: an unknown level.
    """
    check_level(level)
    version = NUISANCE_LEVELS[level]
    if level == "plain":
        return Nuisances(level, version)
    rng = stream(seed, "nuisances")

    def draw(shares: dict[str, float]) -> str:
        return str(rng.choice(list(shares), p=list(shares.values())))

    glasses, hat, cover = (draw(_SHARES[name]) for name in ("glasses", "hat", "cover"))
    jewellery = _SHARES["jewellery"] * (0.4 if male else 1.0)
    earrings = draw({"stud": 0.4, "drop": 0.3, "hoop": 0.3})
    necklace = draw({"chain": 0.5, "pearls": 0.5})
    with_earrings, with_necklace, scarf = rng.random(3) < (jewellery, jewellery, _SHARES["scarf"])
    return Nuisances(
        level=level,
        version=version,
        glasses=glasses,
        hat=hat,
        earrings=earrings if with_earrings else "none",
        necklace=necklace if with_necklace and not scarf and not covered_neck else "none",
        cover=cover,
        scarf=bool(scarf),
    )
