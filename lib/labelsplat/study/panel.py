"""A simulated panel: it exercises the whole study where nobody has rated yet.

Every simulated rater would say

    f(mIoU) + rater + rater x method + image + image x method + noise

rounded and clipped to the scale; all terms but the first are normal with mean zero. What is the
photo's is in part the person's on it: other photos of that person share it. f rises with
mIoU, so **the order of the methods in a simulated study follows from f**: it says nothing about
people. Its answers are of origin ``simulation`` and dated to 1970.

Where there is no truth, mIoU is unknown and f a constant: such a panel is blind to the methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from labelsplat.base import ParameterError
from labelsplat.study.package import RATING_COLUMNS, Package

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""When simulated sessions begin, so that nobody takes them for real ones."""

ORIGIN = "simulation"


@dataclass(frozen=True)
class PanelSettings:
    """How simulated raters rate; sd = standard deviation, in points of the scale.

    Attributes:
        raters: how many.
        midpoint: mIoU at which f is 3, the middle of the scale.
        slope: mIoU over which f rises from 3 to 3.92 (the logistic's unit).
        rater_sd: how generous a rater is.
        rater_method_sd: how fond a rater is of one method's look.
        image_sd: how easy a photo looks.
        item_sd: what one method makes of one photo, beyond its mIoU.
        person_share: share of these two variances that is the person's, alike on all photos of one.
        noise_sd: of every single answer.
        inattentive: share of raters who do not look; half of them answer at random, half always
            the same.
        unfinished: share of raters who stop at the half.
        lapse: probability that an attentive rater answers at random.
        indifference: pairs: difference of the two values under which raters say "no difference".
        seconds: median time on an item.
    """

    raters: int = 24
    midpoint: float = 0.5
    slope: float = 0.12
    rater_sd: float = 0.4
    rater_method_sd: float = 0.15
    image_sd: float = 0.3
    item_sd: float = 0.3
    person_share: float = 0.5
    noise_sd: float = 0.6
    inattentive: float = 0.1
    unfinished: float = 0.05
    lapse: float = 0.02
    indifference: float = 0.5
    seconds: float = 6.0

    def __post_init__(self) -> None:
        if self.raters < 1 or self.slope <= 0 or self.seconds <= 0:
            raise ParameterError(
                f"a panel of {self.raters} raters, slope {self.slope}, {self.seconds} seconds: "
                "all three must be above zero",
                where="study.panel",
            )
        shares = ("inattentive", "unfinished", "lapse", "person_share")
        for name in shares:
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(
                    f"{name} is {getattr(self, name)}, expected 0 to 1", where="study.panel"
                )
        if self.inattentive + self.unfinished > 1:
            raise ParameterError("inattentive and unfinished exceed 1", where="study.panel")

    def value(self, miou: np.ndarray) -> np.ndarray:
        """f: what a label map of this mIoU is worth, 1 to 5; any shape."""
        return 1 + 4 / (1 + np.exp(-(np.asarray(miou, float) - self.midpoint) / self.slope))

    def shared(self, person: np.ndarray, rng: np.random.Generator, *more: int) -> np.ndarray:
        """``[I, ...]`` standard normal effects of photos, alike by ``person_share`` on photos of
        one person.

        Args:
            person: ``[I]`` number of the person on each photo.
            rng: draws them.
            more: further axes.
        """
        own = rng.standard_normal((len(person), *more))
        of_person = rng.standard_normal((int(person.max(initial=-1)) + 1, *more))[person]
        return np.sqrt(self.person_share) * of_person + np.sqrt(1 - self.person_share) * own

    def describe(self, *, known: bool = True) -> str:
        """f as a formula with its numbers.

        Args:
            known: whether mIoU is; without truth f is a constant.
        """
        if not known:
            return "f = 3 for every item: mIoU is unknown, so the panel is blind to the methods"
        return f"f(mIoU) = 1 + 4 / (1 + exp(-(mIoU - {self.midpoint:g}) / {self.slope:g}))"


def miou_known(key: pd.DataFrame) -> bool:
    """Whether the panel has anything to follow: every scored item has a mIoU."""
    items = key[key["kind"] == "item"]
    sides = [items["miou"]]
    if (items["other_method"] != "").any():
        sides.append(items["other_miou"])
    return bool(len(items)) and all(side.notna().all() for side in sides)


def simulate_panel(
    package: Package, key: pd.DataFrame, settings: PanelSettings, seed: int
) -> pd.DataFrame:
    """Let a simulated panel rate a package, in the package's orders.

    Returns:
        Answers as the app exports them, columns ``study, rater, origin, position, item, rating,
        seconds, answered_at``; origin ``simulation``. The same seed gives the same bytes.
    """
    rng = np.random.default_rng([*b"panel", seed])
    values = _Values(key, settings, rng)
    habits = _habits(settings, rng)
    low, high = min(package.scale), max(package.scale)
    parts = []
    for rater in range(settings.raters):
        order = list(package.order(rater))
        own = _Rater(values.methods, settings, rng)
        exact = values.answers(order, own, package.design, rng)
        answers = np.clip(np.rint(exact), low, high).astype(int)
        anything = rng.integers(low, high + 1, len(order))
        lapses = rng.random(len(order)) < settings.lapse
        answers = np.where(lapses, anything, answers)
        if habits[rater] == "random":
            answers = anything
        elif habits[rater] == "same":
            answers = np.full(len(order), anything[0])
        seconds = np.round(settings.seconds * np.exp(rng.normal(0, 0.45, len(order))), 1)
        if habits[rater] in ("random", "same"):
            seconds = np.round(seconds / 4, 1)
        # One after the other: a day each.
        moments = [
            EPOCH + timedelta(days=rater, seconds=float(s)) for s in np.cumsum(seconds).round(1)
        ]
        frame = pd.DataFrame(
            {
                "study": package.study,
                "rater": f"sim{rater + 1:03d}",
                "origin": ORIGIN,
                "position": np.arange(len(order)),
                "item": order,
                "rating": answers,
                "seconds": seconds,
                "answered_at": [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments],
            }
        )
        parts.append(frame[: len(order) // 2] if habits[rater] == "unfinished" else frame)
    return pd.concat(parts, ignore_index=True)[list(RATING_COLUMNS)]


def _habits(settings: PanelSettings, rng: np.random.Generator) -> list[str]:
    """What each rater does wrong, "" if nothing; the shares hold exactly, who it is, is chance."""
    careless = round(settings.inattentive * settings.raters)
    quit_early = min(round(settings.unfinished * settings.raters), settings.raters - careless)
    habits = ["random" if i % 2 == 0 else "same" for i in range(careless)]
    habits += ["unfinished"] * quit_early + [""] * (settings.raters - careless - quit_early)
    return [habits[i] for i in rng.permutation(settings.raters)]


class _Rater:
    """One rater's constants."""

    def __init__(self, methods: int, settings: PanelSettings, rng: np.random.Generator):
        self.bias = rng.normal(0, settings.rater_sd)
        self.taste = rng.normal(0, settings.rater_method_sd, methods)


class _Values:
    """What every label map of the key is worth to the panel as a whole."""

    def __init__(self, key: pd.DataFrame, settings: PanelSettings, rng: np.random.Generator):
        self.settings = settings
        self.rows = {name: i for i, name in enumerate(key["item"])}
        self.key = key.reset_index(drop=True)
        known = miou_known(key)
        names = sorted((set(key["method"]) | set(key["other_method"])) - {""})
        places = {name: i for i, name in enumerate(names)}
        self.methods = len(names)
        images = {name: i for i, name in enumerate(sorted(set(key["image"])))}
        image = np.array([images[name] for name in self.key["image"]])
        faces = self.key.groupby("image")["identity"].first().sort_index()
        person = np.unique(faces.to_numpy(), return_inverse=True)[1]
        ease = settings.image_sd * settings.shared(person, rng)
        made = settings.item_sd * settings.shared(person, rng, max(len(names), 1))
        absurd = self.key["kind"].to_numpy() == "absurd"
        wrong = absurd_side(self.key)
        self.method, self.worth = [], []
        for side, (method, miou) in enumerate((("method", "miou"), ("other_method", "other_miou"))):
            place = np.array([places.get(name, -1) for name in self.key[method]])
            mious = self.key[miou].to_numpy(float)
            worth = settings.value(mious) if known else np.full(len(self.key), 3.0)
            worth = np.where(np.isnan(worth), 3.0, worth)
            worth = worth + ease[image] + np.where(place < 0, 0, made[image, place])
            # An absurd map owes nothing to the look of a method, and is bad even where nothing is
            # known of the others.
            nonsense = absurd & (wrong == side)
            bottom = settings.value(np.nan_to_num(mious, nan=0.0))
            self.method.append(np.where(nonsense, -1, place))
            self.worth.append(np.where(nonsense, bottom, worth))

    def answers(
        self, order: list[str], rater: _Rater, design: str, rng: np.random.Generator
    ) -> np.ndarray:
        """Unrounded answers in that order, fresh noise each: a repeat has the item's own worth."""
        rows = np.array([self.rows[name] for name in order])
        seen = []
        for place, worth in zip(self.method, self.worth, strict=True):
            taste = np.where(place[rows] < 0, 0.0, rater.taste[place[rows]])
            seen.append(worth[rows] + taste + rng.normal(0, self.settings.noise_sd, len(rows)))
        if design == "acr":
            return seen[0] + rater.bias
        difference = seen[1] - seen[0]
        return np.sign(difference) * (np.abs(difference) > self.settings.indifference)


def absurd_side(key: pd.DataFrame) -> np.ndarray:
    """``[N]`` which label map of an absurd item is the absurd one: 0 the left (or only) one, 1 the
    right one, -1 of pairs that are no absurd items."""
    sides = key["absurd_side"].map({"left": 0, "right": 1}).fillna(-1).to_numpy(int)
    return np.where(key["other_method"].to_numpy() == "", 0, sides)
