"""Does the primary test keep its promises? Panels that see no difference, and panels that do.

Simulated panels rate two methods with everything that disturbs a study: raters who are generous or
fond of one method, photos that are easy or suit one method, noise, and ratings that are whole
numbers from 1 to 5. Where both methods are alike, the test may find a difference in 5 % of the
panels, up to chance; where they differ, it must find the difference as often as its power says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from labelsplat.base import ParameterError
from labelsplat.study.mixed import Components, closed_form, crossed_test
from labelsplat.study.panel import PanelSettings
from labelsplat.study.power import ALPHA, PowerSettings, raters_needed, simulated_power

LEVEL = 0.99
"""Probability that a right share lies in its binomial interval."""

_AT_ONCE = 50
"""Panels in memory at a time."""

_REFERENCE = 4000
"""Further panels, whose mean tells the difference and the variances of whole ratings."""


@dataclass(frozen=True)
class Check:
    """Rejections against what was promised.

    Attributes:
        panels: that were simulated.
        raters, images: of each.
        answered: share of the differences that are there; below 1 the test is REML's.
        difference: between the methods' MOS, as rated (after rounding); 0 in the null check.
        rejected: share of the panels in which the test found a difference.
        promised: the share that was promised.
        low, high: between them the share lies with 99 % if the promise holds (binomial).
        inside: whether it does.
    """

    panels: int
    raters: int
    images: int
    answered: float
    difference: float
    rejected: float
    promised: float
    low: float
    high: float
    inside: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def null_check(
    panels: int = 1000,
    *,
    panel: PanelSettings | None = None,
    raters: int = 24,
    images: int = 24,
    answered: float = 1.0,
    seed: int = 0,
) -> Check:
    """Panels to whom both methods are alike: the test must reject in 5 % of them.

    Args:
        panels: how many.
        panel: standard deviations and f; its ``raters``, ``inattentive``, ``unfinished`` and
            ``lapse`` are not used.
        raters: of each panel.
        images: of each panel.
        answered: share of the differences that are not missing (by chance).
        seed: of everything.

    Raises:
        ParameterError: no panel, or fewer than two raters or images.
    """
    settings = _checked(panels, raters, images, answered, panel)
    rng = np.random.default_rng([*b"null", seed])
    share = _rejections(settings, 0.0, panels, raters, images, answered, rng)
    return _check(panels, raters, images, answered, 0.0, share, ALPHA)


def power_check(
    panels: int = 1000,
    *,
    worth: float = 0.3,
    panel: PanelSettings | None = None,
    raters: int | None = 24,
    images: int = 24,
    seed: int = 0,
) -> Check:
    """Panels to whom one method is worth more: the test must find it as often as promised.

    Rounding and the ends of the scale change both the difference and the variances, so these are
    measured in 4000 further panels; the promise is what
    :func:`~labelsplat.study.power.simulated_power` makes of them.

    Args:
        panels: how many.
        worth: difference before rounding, in points.
        panel: as of :func:`null_check`.
        raters: of each panel; None = as many as
            :func:`~labelsplat.study.power.raters_needed` says for a power of 80 %.
        images: of each panel.
        seed: of everything.

    Raises:
        ParameterError: as :func:`null_check`; or no number of raters has that power.
    """
    settings = _checked(panels, 24 if raters is None else raters, images, 1.0, panel)
    rng = np.random.default_rng([*b"find", seed])
    parts, difference = _as_rated(settings, worth, raters or 24, images, rng)
    if raters is None:
        asked = PowerSettings(difference=difference)
        needed = raters_needed(parts, images=images, settings=asked, seed=seed)
        if needed.raters_needed is None:
            raise ParameterError(f"a difference of {difference:.2f} is not found: {needed.reason}")
        raters = needed.raters_needed
    promised = simulated_power(
        parts, raters=raters, images=images, difference=difference, simulations=20_000, seed=seed
    )
    share = _rejections(settings, worth, panels, raters, images, 1.0, rng)
    return _check(panels, raters, images, 1.0, difference, share, promised)


def binomial_interval(share: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Shares between which ``trials`` trials end with probability ``level`` (at least)."""
    low, high = stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], trials, share)
    return float(low / trials), float(high / trials)


def panel_differences(
    settings: PanelSettings,
    worth: float,
    panels: int,
    raters: int,
    images: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Differences of whole ratings of two methods, ``[panels, raters, images]``.

    Every panel has people and photos of its own. The first method is worth ``worth`` more; beside
    that both are f of the same mIoU, which differs from photo to photo.
    """
    value = settings.value(rng.uniform(0.35, 0.85, (panels, 1, images)))
    value = value + rng.normal(0, settings.image_sd, (panels, 1, images))
    value = value + rng.normal(0, settings.rater_sd, (panels, raters, 1))

    def rated(shift: float) -> np.ndarray:
        exact = value + shift + rng.normal(0, settings.item_sd, (panels, 1, images))
        exact = exact + rng.normal(0, settings.rater_method_sd, (panels, raters, 1))
        exact = exact + rng.normal(0, settings.noise_sd, (panels, raters, images))
        return np.clip(np.rint(exact), 1, 5)

    return rated(worth / 2) - rated(-worth / 2)


def _checked(
    panels: int, raters: int, images: int, answered: float, panel: PanelSettings | None
) -> PanelSettings:
    if panels < 1 or min(raters, images) < 2 or not 0.3 <= answered <= 1:
        raise ParameterError(
            f"{panels} panels of {raters} raters and {images} images with {answered:g} of the "
            "answers: expected at least 1, 2, 2 and 0.3"
        )
    return panel or PanelSettings()


def _rejections(
    settings: PanelSettings,
    worth: float,
    panels: int,
    raters: int,
    images: int,
    answered: float,
    rng: np.random.Generator,
) -> float:
    rejected = 0
    for first in range(0, panels, _AT_ONCE):
        count = min(_AT_ONCE, panels - first)
        tables = panel_differences(settings, worth, count, raters, images, rng)
        if answered == 1:
            rejected += int((closed_form(tables).p < ALPHA).sum())
            continue
        tables[rng.random(tables.shape) >= answered] = np.nan
        found = [crossed_test(table) for table in tables]
        rejected += sum(test is not None and test.p < ALPHA for test in found)
    return rejected / panels


def _as_rated(
    settings: PanelSettings, worth: float, raters: int, images: int, rng: np.random.Generator
) -> tuple[Components, float]:
    """Variances and mean difference of whole ratings, over many panels.

    Mean squares are averaged before anything is cut off at zero, so nothing is biased.
    """
    squares, means = np.zeros(3), []
    for _ in range(_REFERENCE // _AT_ONCE):
        tables = panel_differences(settings, worth, _AT_ONCE, raters, images, rng)
        mean = tables.mean((1, 2))
        of_raters = tables.mean(2) - mean[:, None]
        of_images = tables.mean(1) - mean[:, None]
        rest = tables - mean[:, None, None] - of_raters[..., None] - of_images[:, None]
        squares += [(of_raters**2).sum(), (of_images**2).sum(), (rest**2).sum()]
        means.extend(mean)
    squares /= len(means)
    rest = squares[2] / ((raters - 1) * (images - 1))
    rater = squares[0] / (raters - 1) - rest / images
    image = squares[1] / (images - 1) - rest / raters
    return Components(*(float(max(v, 0)) for v in (rater, image, rest))), float(np.mean(means))


def _check(
    panels: int,
    raters: int,
    images: int,
    answered: float,
    difference: float,
    share: float,
    promised: float,
) -> Check:
    low, high = binomial_interval(promised, panels)
    return Check(
        panels, raters, images, answered, difference, share, promised, low, high,
        bool(low <= share <= high),
    )  # fmt: skip
