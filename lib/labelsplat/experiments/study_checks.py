"""Does the study's primary test keep what it promises? Many simulated studies, full size.

With raters and photos that differ, a test may find a difference where there is none in 5 % of the
studies, and must find a real one as often as its power says: for complete tables, for tables with
gaps, and with as many raters as the power calculation asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labelsplat.study.nullcheck import Check, null_check, power_check

GAPS = 0.8
"""Share of the differences that are there in the check with gaps."""


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
    checks = {
        "no difference": null_check(**size, seed=seed),
        "no difference, a fifth not answered": null_check(**size, answered=GAPS, seed=seed),
        "a difference": power_check(**size, **worth),
        "a difference, raters as calculated": power_check(**size | {"raters": None}, **worth),
    }
    return {
        **{name: _row(check) for name, check in checks.items()},
        "checks": [{"check": name, **check.as_dict()} for name, check in checks.items()],
    }


def _row(check: Check) -> dict[str, dict[str, float | None]]:
    return {
        "rejected": {"mean": check.rejected, "low": None, "high": None},
        "promised": {"mean": check.promised, "low": check.low, "high": check.high},
    }
