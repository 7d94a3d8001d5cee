"""How many raters does it take? Power of the primary test, by simulation.

In a complete table the test sees a mean and three sums of squares, which are independent: the mean
is normal, the sums are chi-squares times what they estimate. So a study is simulated by four random
numbers instead of all its ratings, and thousands of studies of each size take milliseconds.

The people on the photos, and how many photos each of them has, stay as they are: their variance is
that of means over their photos. More raters help only so far: this variance stays, so with
unlimited raters the power ends at a limit that only more people lift. The test is two-sided at
:data:`~labelsplat.study.fixed.ALPHA`; variances are taken as known, effects as normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from labelsplat.base import ParameterError
from labelsplat.study.fixed import ALPHA
from labelsplat.study.mixed import Components, from_squares

_CERTAIN = 30.0  # standard errors: beyond, the noncentral t has no figures left in float64


@dataclass(frozen=True)
class PowerSettings:
    """What is asked for.

    Attributes:
        difference: MOS difference that shall be found.
        power: probability of finding it.
        simulations: studies simulated of each size.
        most_raters: where the search ends.
    """

    difference: float = 0.3
    power: float = 0.8
    simulations: int = 4000
    most_raters: int = 200

    def __post_init__(self) -> None:
        if not (self.difference > 0 and 0 < self.power < 1):
            raise ParameterError(
                f"power {self.power} for a difference of {self.difference}: expected a share "
                "between 0 and 1, and a difference above 0",
                where="study.power",
            )
        if self.simulations < 100 or self.most_raters < 2:
            raise ParameterError(
                f"{self.simulations} simulations of up to {self.most_raters} raters, expected at "
                "least 100 and 2",
                where="study.power",
            )


@dataclass(frozen=True)
class Power:
    """What was found.

    Attributes:
        raters_needed: the fewest raters with the power asked for; None if ``reason`` says why not.
        reason: why there is none.
        reached: power with ``raters_needed``; None without.
        limit: power with unlimited raters.
        curve: (raters, power) of the sizes that were simulated.
        people: on the photos of the study.
        components: that were assumed.
        settings: what was asked for.
    """

    raters_needed: int | None
    reason: str | None
    reached: float | None
    limit: float
    curve: tuple[tuple[int, float], ...]
    people: int
    components: Components
    settings: PowerSettings

    def as_dict(self) -> dict[str, Any]:
        """For JSON. ``error``: standard error of a simulated power near the one asked for."""
        share = self.settings.power
        return {
            "difference": self.settings.difference,
            "power": share,
            "raters_needed": self.raters_needed,
            "reason": self.reason,
            "reached": self.reached,
            "limit": self.limit,
            "people": self.people,
            "alpha": ALPHA,
            "simulations": self.settings.simulations,
            "error": float(np.sqrt(share * (1 - share) / self.settings.simulations)),
            "components": {
                "rater": self.components.rater,
                "person": self.components.person,
                "rest": self.components.rest,
            },
            "curve": [{"raters": raters, "power": power} for raters, power in self.curve],
        }


class _Studies:
    """Random numbers of ``simulations`` studies; every size uses the same ones, so that the curve
    over sizes is smooth."""

    def __init__(self, parts: Components, people: int, simulations: int, seed: int):
        rng = np.random.default_rng([*b"power", seed])
        self.parts, self.people = parts, people
        self.normal = rng.standard_normal(simulations)
        self.uniform = rng.random((3, simulations))

    def power(self, raters: int, difference: float) -> float:
        """Share of the studies of ``raters`` raters that find the difference."""
        parts, people = self.parts, self.people
        dfs = (raters - 1, people - 1, (raters - 1) * (people - 1))
        expected = (
            parts.rest + people * parts.rater, parts.rest + raters * parts.person, parts.rest,
        )  # fmt: skip
        sums = [
            value * 2 * special.gammaincinv(df / 2, uniform)  # chi-square by its inverse
            for value, df, uniform in zip(expected, dfs, self.uniform, strict=True)
        ]
        error = (expected[0] + expected[1] - expected[2]) / (raters * people)
        mean = difference + np.sqrt(error) * self.normal
        return float((from_squares(mean, *sums, raters, people).p < ALPHA).mean())


def simulated_power(
    parts: Components, *, raters: int, people: int, difference: float, simulations: int, seed: int
) -> float:
    """Power of the primary test in a study of this size, each rater seeing everybody.

    Raises:
        ValueError: fewer than two raters or people.
    """
    if min(raters, people) < 2:
        raise ValueError(f"{raters} raters and {people} people, expected at least 2 of each")
    return _Studies(parts, people, simulations, seed).power(raters, difference)


def limit_power(parts: Components, *, people: int, difference: float) -> float:
    """Power with unlimited raters: a t test over people whose means are known exactly."""
    if parts.person <= 0:
        return 1.0
    shift = difference / np.sqrt(parts.person / people)
    if shift > _CERTAIN:
        return 1.0
    edge = stats.t.ppf(1 - ALPHA / 2, people - 1)
    # Far from the edge scipy's lower tail is now and then NaN; there it is far below 1e-9.
    wrong_side = np.nan_to_num(stats.nct.cdf(-edge, people - 1, shift))
    return float(min(1.0, stats.nct.sf(edge, people - 1, shift) + wrong_side))


def raters_needed(parts: Components, *, people: int, settings: PowerSettings, seed: int) -> Power:
    """The fewest raters with which the difference is found often enough.

    Args:
        parts: variances of the differences, as :func:`~labelsplat.study.mixed.crossed_test`
            estimates them; the answer is as sure as they are.
        people: on the photos of the study; each rater sees all of them.
        settings: what is asked for.
        seed: of the simulation.
    """
    limit = limit_power(parts, people=people, difference=settings.difference)
    studies = _Studies(parts, people, settings.simulations, seed)
    known: dict[int, float] = {}

    def power(raters: int) -> float:
        if raters not in known:
            known[raters] = studies.power(raters, settings.difference)
        return known[raters]

    enough, before = None, 1
    for raters in _sizes(settings.most_raters):
        if power(raters) >= settings.power:
            enough = raters
            break
        before = raters
    while enough is not None and enough - before > 1:
        middle = (enough + before) // 2
        enough, before = (middle, before) if power(middle) >= settings.power else (enough, middle)
    if enough is not None:
        for raters in (2, enough // 2, 2 * enough, 3 * enough):  # a curve to look at
            if raters >= 2:
                power(raters)
    reason = None
    if enough is None:
        reason = f"more than {settings.most_raters} raters"
        if limit < settings.power:
            reason = (
                f"not with any number of raters: with {people} people on the photos the power "
                f"ends at {limit:.2f}; photos of more people are needed"
            )
    return Power(
        raters_needed=enough,
        reason=reason,
        reached=None if enough is None else known[enough],
        limit=limit,
        curve=tuple(sorted(known.items())),
        people=people,
        components=parts,
        settings=settings,
    )


def _sizes(most: int) -> list[int]:
    """Numbers of raters to try, ever wider apart, up to and with ``most``."""
    sizes = {2, most}
    size = 2.0
    while size < most:
        size = max(size + 1, size * 1.25)
        sizes.add(min(int(size), most))
    return sorted(sizes)
