"""Does the study's primary test keep what it promises? Many simulated studies, full size.

With raters and people that differ, a test may find a difference where there is none in 5 % of the
studies, and must find a real one as often as its power says: for complete tables, for tables with
gaps, for several photos of one person, and with as many raters as the power calculation asks for;
and once through the whole study, from orders to exclusion and test. No human rates in any of them,
and each row says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelsplat.study.nullcheck import Check, null_check, power_check, study_null_check
from labelsplat.study.panel import PanelSettings

GAPS = 0.8
"""Share of the differences that are there in the check with gaps."""

FEW_PEOPLE = (0.625, 0.3)
"""People a photo in the checks with several photos of one: 15 and 7 of 24."""

WHOLE_STUDIES = 5
"""One whole study is simulated for so many panels of the other checks; it takes much longer."""

MARK = " (SIMULATED)"
"""At the end of each row's name."""


def run_study_checks(settings: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Run all checks.

    Args:
        settings: ``panels``, ``raters``, ``images`` and ``worth``, the difference that is there in
            points of the simulated raters' own scale.
        seed: of the panels.

    Returns:
        by check ``rejected`` (the share of studies that found a difference) and ``promised`` with
        the 99 % interval that the share lies in if the promise holds, each ``{mean, low, high}``;
        and ``checks`` with all that is known of each.
    """
    size = {name: settings[name] for name in ("panels", "raters", "images")}
    worth = {"worth": settings["worth"], "seed": seed}
    images = settings["images"]
    some, few = (max(2, round(share * images)) for share in FEW_PEOPLE)
    whole = {**size, "panels": max(1, settings["panels"] // WHOLE_STUDIES)}
    # What suits a method is all the person's: the hardest case.
    theirs = {"panel": PanelSettings(person_share=1.0), "seed": seed}
    checks = {
        "no difference": null_check(**size, seed=seed),
        "no difference, a fifth not answered": null_check(**size, answered=GAPS, seed=seed),
        f"no difference, {images} photos of {some} people": null_check(
            **size, people=some, **theirs
        ),
        f"no difference, {images} photos of {few} people": null_check(**size, people=few, **theirs),
        f"no difference, {images} photos of {some} people, the whole study": study_null_check(
            **whole, people=some, **theirs
        ),
        "a difference": power_check(**size, **worth),
        f"a difference, {images} photos of {some} people": power_check(
            **size, people=some, **worth
        ),
        "a difference, raters as calculated": power_check(**size | {"raters": None}, **worth),
    }
    checks = {name + MARK: check for name, check in checks.items()}
    return {
        **{name: _row(check) for name, check in checks.items()},
        "checks": [{"check": name, **check.as_dict()} for name, check in checks.items()],
    }


def _row(check: Check) -> dict[str, dict[str, float | None]]:
    return {
        "rejected": {"mean": check.rejected, "low": None, "high": None},
        "promised": {"mean": check.promised, "low": check.low, "high": check.high},
    }
