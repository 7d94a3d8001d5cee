"""Does the primary test keep its promises? Panels that see no difference, and panels that do.

Simulated panels rate two methods with everything that disturbs a study: raters who are generous or
fond of one method, photos that are easy or suit one method, noise, and ratings that are whole
numbers from 1 to 5. Where both methods are alike, the test may find a difference in 5 % of the
panels, up to chance; where they differ, it must find the difference as often as its power says.

Several photos may show one person, and share what suits a method about that face. Two kinds of
checks: of the test alone, many panels at a time (:func:`null_check`, :func:`power_check`), and of
the whole way from orders over answers and exclusion to the test (:func:`study_null_check`).

Letters: T panels, R raters, I photos, P people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from labelsplat.base import ParameterError
from labelsplat.study.exclusion import ExclusionRules, apply_rules
from labelsplat.study.fixed import ALPHA, PRIMARY
from labelsplat.study.made import made_study
from labelsplat.study.mixed import Components, closed_form, crossed_test, sums_of_squares
from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.power import PowerSettings, raters_needed, simulated_power
from labelsplat.study.rated_tables import person_means, rated_tables
from labelsplat.study.ratings import ratings_from_frame

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
        raters, images, people: of each; people are those on the images.
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
    people: int
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
    people: int | None = None,
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
        people: on the images, in turns; None = another one on each.
        answered: share of the differences that are not missing (by chance).
        seed: of everything.

    Raises:
        ParameterError: no panel, or fewer than two raters or people.
    """
    size = _Size(raters, images, images if people is None else people)
    settings = _checked(panels, size, answered, panel)
    rng = np.random.default_rng([*b"null", seed])
    share = _rejections(settings, 0.0, panels, size, answered, rng)
    return _check(panels, size, answered, 0.0, share, ALPHA)


def study_null_check(
    panels: int = 200,
    *,
    panel: PanelSettings | None = None,
    raters: int = 24,
    images: int = 24,
    people: int | None = None,
    seed: int = 0,
) -> Check:
    """The whole way of a study in which two methods are alike: its primary test must reject in 5 %.

    A made-up package with mIoU that is the same for both is rated by simulated panels, careless
    raters and all; their answers are checked, raters excluded, tables made, and the primary test
    done, by the functions that the analysis calls.

    Args:
        panels: how many.
        panel: how raters rate; its number of raters is not used.
        raters: of each panel, before the exclusion.
        images: of each panel.
        people: on the images, in turns; None = another one on each.
        seed: of everything.

    Raises:
        ParameterError: as :func:`null_check`.
    """
    size = _Size(raters, images, images if people is None else people)
    settings = replace(_checked(panels, size, 1.0, panel), raters=raters)
    # Other methods would take time, and no part in the test.
    package, key = made_study(
        images=images, people=size.people, methods=PRIMARY, alike=PRIMARY, seed=seed
    )
    rejected = 0
    for i in range(panels):
        answers = simulate_panel(package, key, settings, 1000 * seed + i)
        ratings = ratings_from_frame(answers, package, key)
        left_out = apply_rules(ratings, package, ExclusionRules()).reasons
        test = crossed_test(rated_tables(ratings.without(left_out)).differences(*PRIMARY))
        rejected += test is not None and test.p < ALPHA
    return _check(panels, size, 1.0, 0.0, rejected / panels, ALPHA)


def power_check(
    panels: int = 1000,
    *,
    worth: float = 0.3,
    panel: PanelSettings | None = None,
    raters: int | None = 24,
    images: int = 24,
    people: int | None = None,
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
        people: on the images, in turns; None = another one on each.
        seed: of everything.

    Raises:
        ParameterError: as :func:`null_check`; or no number of raters has that power.
    """
    known = 24 if raters is None else raters
    size = _Size(known, images, images if people is None else people)
    settings = _checked(panels, size, 1.0, panel)
    rng = np.random.default_rng([*b"find", seed])
    parts, difference = _as_rated(settings, worth, size, rng)
    if raters is None:
        asked = PowerSettings(difference=difference)
        needed = raters_needed(parts, people=size.people, settings=asked, seed=seed)
        if needed.raters_needed is None:
            raise ParameterError(f"a difference of {difference:.2f} is not found: {needed.reason}")
        size = replace(size, raters=needed.raters_needed)
    promised = simulated_power(
        parts, raters=size.raters, people=size.people, difference=difference,
        simulations=20_000, seed=seed,
    )  # fmt: skip
    share = _rejections(settings, worth, panels, size, 1.0, rng)
    return _check(panels, size, 1.0, difference, share, promised)


def binomial_interval(share: float, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Shares between which ``trials`` trials end with probability ``level`` (at least)."""
    low, high = stats.binom.ppf([(1 - level) / 2, (1 + level) / 2], trials, share)
    return float(low / trials), float(high / trials)


@dataclass(frozen=True)
class _Size:
    """Of a study: raters, photos, and people on the photos."""

    raters: int
    images: int
    people: int

    @property
    def person(self) -> np.ndarray:
        """``[I]`` who is on each photo: people take turns, so numbers of photos differ by one."""
        return np.arange(self.images) % self.people


def panel_differences(
    settings: PanelSettings,
    worth: float,
    panels: int,
    raters: int,
    images: int,
    rng: np.random.Generator,
    *,
    people: int | None = None,
) -> np.ndarray:
    """Differences of whole ratings of two methods, ``[T, R, I]``.

    Every panel has raters, people and photos of its own. The first method is worth ``worth`` more;
    beside that both are f of the same mIoU, which differs from photo to photo. Photo i shows person
    i modulo ``people`` (None: each photo another one).
    """
    person = _Size(raters, images, people or images).person
    value = settings.value(rng.uniform(0.35, 0.85, (panels, 1, images)))
    value = value + settings.image_sd * _of_photos(settings, person, panels, rng)
    value = value + rng.normal(0, settings.rater_sd, (panels, raters, 1))

    def rated(shift: float) -> np.ndarray:
        exact = value + shift + settings.item_sd * _of_photos(settings, person, panels, rng)
        exact = exact + rng.normal(0, settings.rater_method_sd, (panels, raters, 1))
        exact = exact + rng.normal(0, settings.noise_sd, (panels, raters, images))
        return np.clip(np.rint(exact), 1, 5)

    return rated(worth / 2) - rated(-worth / 2)


def _of_photos(
    settings: PanelSettings, person: np.ndarray, panels: int, rng: np.random.Generator
) -> np.ndarray:
    return settings.shared(person, rng, panels).T[:, None]


def _checked(
    panels: int, size: _Size, answered: float, panel: PanelSettings | None
) -> PanelSettings:
    fits = 2 <= size.people <= size.images and size.raters >= 2
    if panels < 1 or not fits or not 0.3 <= answered <= 1:
        raise ParameterError(
            f"{panels} panels of {size.raters} raters and {size.images} images of {size.people} "
            f"people, {answered:g} of the answers: expected at least 1, 2, 2 and 2, no more people "
            "than images, and a share from 0.3 to 1"
        )
    return panel or PanelSettings()


def _rejections(
    settings: PanelSettings,
    worth: float,
    panels: int,
    size: _Size,
    answered: float,
    rng: np.random.Generator,
) -> float:
    """Share of the panels in which the primary test finds a difference."""
    rejected = 0
    for tables in _batches(settings, worth, panels, size, rng):
        if answered == 1:
            rejected += int((closed_form(_by_person(tables, size)).p < ALPHA).sum())
            continue
        tables[rng.random(tables.shape) >= answered] = np.nan
        found = [crossed_test(table) for table in _by_person(tables, size)]
        rejected += sum(test is not None and test.p < ALPHA for test in found)
    return rejected / panels


def _batches(
    settings: PanelSettings, worth: float, panels: int, size: _Size, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Tables of differences, ``[at most 50, R, I]``."""
    for start in range(0, panels, _AT_ONCE):
        count = min(_AT_ONCE, panels - start)
        yield panel_differences(
            settings, worth, count, size.raters, size.images, rng, people=size.people
        )


def _by_person(tables: np.ndarray, size: _Size) -> np.ndarray:
    """``[T, R, P]`` of ``[T, R, I]``."""
    rows = person_means(tables.reshape(-1, size.images), size.person, size.people)
    return rows.reshape(*tables.shape[:2], size.people)


def _as_rated(
    settings: PanelSettings, worth: float, size: _Size, rng: np.random.Generator
) -> tuple[Components, float]:
    """Variances and mean difference of whole ratings, over many panels.

    Mean squares are averaged before anything is cut off at zero, so nothing is biased.
    """
    found = [
        sums_of_squares(_by_person(tables, size))
        for tables in _batches(settings, worth, _REFERENCE, size, rng)
    ]
    mean, rater, person, rest = (float(np.concatenate(v).mean()) for v in zip(*found, strict=True))
    rater, person = rater / (size.raters - 1), person / (size.people - 1)
    rest /= (size.raters - 1) * (size.people - 1)
    parts = ((rater - rest) / size.people, (person - rest) / size.raters, rest)
    return Components(*(max(v, 0.0) for v in parts)), mean


def _check(
    panels: int, size: _Size, answered: float, difference: float, share: float, promised: float
) -> Check:
    low, high = binomial_interval(promised, panels)
    return Check(
        panels, size.raters, size.images, size.people, answered, difference, share, promised,
        low, high, bool(low <= share <= high),
    )  # fmt: skip
