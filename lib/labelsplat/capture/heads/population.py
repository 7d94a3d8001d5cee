"""Who a set of heads is: shares of ages, ancestries and everything else that should be balanced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from labelsplat.capture.heads.expressions import EXPRESSIONS
from labelsplat.capture.heads.hair_styles import STYLES
from labelsplat.capture.heads.identity import ANCESTRIES, HAIR_COLOURS, Identity

AGE_BANDS = {"18-29": (18, 30), "30-44": (30, 45), "45-59": (45, 60), "60-80": (60, 81)}
"""Years from (inclusive) and to (exclusive), by name."""


def age_band(years: float) -> str:
    """Name of the band of AGE_BANDS that an age lies in."""
    return next(name for name, (low, high) in AGE_BANDS.items() if low <= years < high)


def ancestry_group(identity: Identity) -> str:
    """The ancestry with the largest share."""
    return max(zip(identity.ancestry, ANCESTRIES, strict=True))[1]


def population(identities: Iterable[Identity]) -> dict[str, dict[str, int]]:
    """How many heads there are of each kind, ``{trait: {value: count}}``; for tables.

    Traits: gender, age band, main ancestry, hair style and colour, expression (all of FaceScape's
    twenty, zeros included), beard, make-up, and what is worn (nuisances).
    """
    people = list(identities)

    def table(values: Iterable[str], order: Iterable[str] = ()) -> dict[str, int]:
        count = Counter(values)
        names = [*order, *sorted(set(count) - set(order))]
        return {name: count[name] for name in names}

    def beard(p: Identity) -> str:
        if p.skin.beard == 0:
            return "none"
        return p.skin.beard_shape if p.skin.beard >= 0.5 else "stubble"

    return {
        "gender": table(("male" if p.male else "female" for p in people), ("female", "male")),
        "age": table((age_band(p.years) for p in people), AGE_BANDS),
        "ancestry": table((ancestry_group(p) for p in people), ANCESTRIES),
        "hair": table((p.hair.style for p in people), (*STYLES, "bald")),
        "hair colour": table((p.hair.colour for p in people), HAIR_COLOURS),
        "expression": table((p.expression for p in people), EXPRESSIONS),
        "beard": table(map(beard, people), ("none", "stubble")),
        "make-up": table(("some" if p.make_up.worn else "none" for p in people), ("none", "some")),
        "worn": table(word for p in people for word in p.nuisances.words.split(", ")),
    }
