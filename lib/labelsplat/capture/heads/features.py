"""Local features of a face (nose, ears, chin, ...) as weights of shape targets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labelsplat.capture.heads._random import stream

_HEAD_SHAPES = (
    "oval", "round", "rectangular", "square", "triangular", "invertedtriangular", "diamond",
)  # fmt: skip

# Opposed pairs: (spread of the weight, lower end, upper end, stems of the targets' names).
_PAIRS = (
    (0.35, "decr", "incr", ("head/head-fat",)),
    # Some targets reshape the whole skull: little of them is much.
    (0.13, "decr", "incr", ("forehead/forehead-nubian", "forehead/forehead-scale-vert")),
    (0.18, "decr", "incr", (
        "head/head-scale-depth", "head/head-scale-horiz", "head/head-scale-vert",
    )),
    (0.25, "decr", "incr", ("neck/neck-scale-vert",)),
    (0.30, "decr", "incr", ("forehead/forehead-temple", "neck/neck-scale-horiz")),
    (0.40, "decr", "incr", (
        "chin/chin-bones", "chin/chin-height", "chin/chin-jaw-drop", "chin/chin-prominent",
        "chin/chin-prognathism", "chin/chin-width", "chin/chin-cleft", "neck/neck-double",
        "mouth/mouth-scale-horiz", "mouth/mouth-scale-vert", "mouth/mouth-lowerlip-height",
        "mouth/mouth-lowerlip-volume", "mouth/mouth-upperlip-height",
        "mouth/mouth-upperlip-volume", "mouth/mouth-cupidsbow", "mouth/mouth-philtrum-volume",
    )),
    (0.38, "decr", "incr", (
        "nose/nose-flaring", "nose/nose-greek", "nose/nose-hump", "nose/nose-point-width",
        "nose/nose-scale-depth", "nose/nose-scale-horiz", "nose/nose-scale-vert",
        "nose/nose-volume", "nose/nose-width1", "nose/nose-width2", "nose/nose-width3",
        "nose/nose-nostrils-width", "nose/nose-septumangle",
    )),
    (0.40, "concave", "convex", ("nose/nose-curve",)),
    (0.45, "down", "up", ("nose/nose-point",)),
    (0.35, "down", "up", ("nose/nose-base",)),
    (0.25, "down", "up", ("mouth/mouth-trans", "eyebrows/eyebrows-angle")),
    (0.30, "down", "up", ("mouth/mouth-angles", "eyebrows/eyebrows-trans")),
)  # fmt: skip

# The same for parts that come in twos; left and right differ a little.
_TWINS = (
    (0.40, "decr", "incr", "cheek", ("cheek-bones", "cheek-inner", "cheek-volume")),
    (0.45, "decr", "incr", "ears", (
        "ear-scale", "ear-scale-vert", "ear-scale-depth", "ear-wing", "ear-lobe", "ear-flap",
    )),
    (0.35, "backward", "forward", "ears", ("ear-rot",)),
    (0.35, "decr", "incr", "eyes", (
        "eye-scale", "eye-height1", "eye-height2", "eye-height3", "eye-bag",
    )),
    (0.30, "down", "up", "eyes", ("eye-corner1", "eye-eyefold")),
    (0.35, "down", "up", "eyes", ("eye-corner2",)),
    (0.30, "in", "out", "eyes", ("eye-trans",)),
)  # fmt: skip

_EAR_SHAPES = ("pointed", "round", "square", "triangle")
_ASYMMETRIES = (
    "brown-1", "cheek-1", "cheek-2", "ear-1", "eye-3", "eye-5", "jaw-1", "mouth-1", "nose-1",
    "nose-2", "temple-1", "top-1",
)  # fmt: skip

_ASIAN = 1
_LARGER_EYES = 0.25  # the base mesh's eyes are small
_HIGHER_BROWS = 0.15  # and its brows scowl


def sample_features(seed: int, ancestry: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Weights of about 130 local targets, by name, for one head.

    Args:
        seed: the head's seed.
        ancestry: shares of (african, asian, caucasian); the epicanthic fold follows the second.
    """
    rng = stream(seed, "features")
    weights: dict[str, float] = {}

    def add(name: str, weight: float) -> None:
        if weight:
            weights[name] = weights.get(name, 0.0) + float(weight)

    def add_pair(name: Callable[[str], str], low: str, high: str, weight: float) -> None:
        add(name(low if weight < 0 else high), abs(weight))

    for shape in _HEAD_SHAPES:
        add(f"head/head-{shape}", max(0, 0.3 * rng.standard_normal() - 0.1))
    for spread, low, high, stems in _PAIRS:
        for stem in stems:
            weight = spread * np.clip(rng.standard_normal(), -2.3, 2.3)
            add_pair(lambda end, stem=stem: f"{stem}-{end}", low, high, weight)
    for spread, low, high, family, parts in _TWINS:
        for part in parts:
            common = np.clip(spread * rng.standard_normal(), -0.9, 0.9)
            for side in "lr":
                weight = np.clip(common + 0.06 * rng.standard_normal(), -1, 1)
                add_pair(lambda end, at=f"{family}/{side}-{part}": f"{at}-{end}", low, high, weight)
    for shape in _EAR_SHAPES:
        weight = max(0, 0.35 * rng.standard_normal())
        for side in "lr":
            add(f"ears/{side}-ear-shape-{shape}", weight)
    epicanthus = max(0, 0.8 * ancestry[_ASIAN] + 0.15 * rng.standard_normal())
    for side in "lr":
        add(f"eyes/{side}-eye-epicanthus-in", epicanthus)
        add(f"eyes/{side}-eye-scale-incr", _LARGER_EYES)
    add("eyebrows/eyebrows-angle-up", _HIGHER_BROWS)
    for part in _ASYMMETRIES:
        add(f"asym/asym-{part}-{rng.choice(['l', 'r'])}", 0.18 * abs(rng.standard_normal()))
    return tuple(weights.items())
