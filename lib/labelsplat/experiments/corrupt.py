"""Wrong labels on purpose: TRUE label maps, corrupted by a known share in four ways.

Two of them are noise that averages out over views (``pixels``, ``patches``), one hits whole regions
of single views (``flips``), and one is what a parser trained on frontal faces really does
(``systematic``): the farther from the front, the more, and in all similar views the same. A vote of
the views corrects the former; it confirms the latter.

All are functions of (labels, angles, rate, seed) alone: same arguments, same bytes. Unlabelled
pixels stay unlabelled. Letters: V views, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import distance_transform_edt

from labelsplat.base import ParameterError
from labelsplat.labels import CELEBAMASK, IGNORE, foreground

FLIPS = {
    "skin": "hair",
    "hair": "hat",
    "nose": "skin",
    "neck": "cloth",
    "cloth": "neck",
    "l_ear": "hair",
    "r_ear": "hair",
    "l_eye": "l_brow",
    "r_eye": "r_brow",
    "u_lip": "skin",
    "l_lip": "skin",
}
"""What a whole region may be taken for by mistake."""

LEAST_REGION = 0.01
"""Share of the foreground that a region must have to be flipped: less would not be seen."""

SIDES = (0.08, 0.25)
"""Shortest and longest side of a patch, in shares of the image's."""

SHRINKING = ("l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth", "u_lip", "l_lip")
"""Parts that a parser loses to the skin around them."""

REACH = {"features": 1.0, "ears": 0.5, "neck": 0.5, "face": 1.0, "cloth": 1.0, "silhouette": 2.0}
"""Of :func:`systematic`: how dear each error is a pixel that it reaches into a region."""


def corrupt(
    kind: str, labels: np.ndarray, angles: np.ndarray, rate: float, seed: int
) -> np.ndarray:
    """Corrupt label maps in one of the ways of :data:`KINDS`.

    Args:
        kind: key of :data:`KINDS`.
        labels: ``[V, H, W]`` uint8 true classes of CELEBAMASK.
        angles: ``[V, 2]`` (yaw, pitch) of the cameras in degrees.
        rate: 0 to 1; what it is a share of, each kind says.
        seed: of all random choices.

    Returns:
        ``[V, H, W]`` uint8.

    Raises:
        ParameterError: an unknown kind, or a rate outside of [0, 1].
    """
    if kind not in KINDS:
        raise ParameterError(f"corruption {kind!r}", remedy=f"One of {tuple(KINDS)}")
    if not 0 <= rate <= 1:
        raise ParameterError(f"corruption at rate {rate}", remedy="A share between 0 and 1")
    return KINDS[kind](labels, angles, rate, seed)


def pixels(labels: np.ndarray, angles: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """In each view a share ``rate`` of all pixels gets a random other class of this head's."""
    rng = np.random.default_rng([*b"pixels", seed])
    out, classes = labels.copy(), present(labels)
    if len(classes) < 2:
        return out
    for view in out:
        known = np.flatnonzero(view != IGNORE)
        chosen = rng.choice(known, round(rate * len(known)), replace=False)
        own = np.searchsorted(classes, view.flat[chosen])
        drawn = rng.integers(len(classes) - 1, size=len(chosen))
        view.flat[chosen] = classes[drawn + (drawn >= own)]
    return out


def patches(labels: np.ndarray, angles: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Random rectangles about the head get a random class of this head's each, in each view as many
    as change a share ``rate`` of its foreground (of the last one, a part); what they cover of the
    background is wrong as well, and not counted."""
    rng = np.random.default_rng([*b"patches", seed])
    out, classes = labels.copy(), present(labels)
    if len(classes) < 2:
        return out
    for view, true in zip(out, labels, strict=True):
        solid = foreground(true)
        wanted = round(rate * int(solid.sum()))
        while (lacking := wanted - int((view != true)[solid].sum())) > 0:
            right = np.argwhere(solid & (view == true))
            place = _rectangle(right[rng.integers(len(right))], view.shape, rng)
            drawn, old = rng.choice(classes), view[place]
            # What is unlabelled stays so, and no patch repairs what an earlier one has spoilt.
            hit = (old != IGNORE) & (true[place] != drawn)
            gained = hit & solid[place] & (old == true[place])
            # Only as much of it as is lacking, row by row.
            hit &= np.cumsum(gained).reshape(gained.shape) <= lacking
            old[hit] = drawn
    return out


def _rectangle(centre: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator):
    sides = np.maximum(np.round(rng.uniform(*SIDES, 2) * shape), 1).astype(int)
    low = np.clip(centre - sides // 2, 0, None)
    return tuple(slice(a, a + side) for a, side in zip(low, sides, strict=True))


def flips(labels: np.ndarray, angles: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """In a share ``rate`` of the views one whole region becomes what :data:`FLIPS` says of it.

    A region is drawn with a chance that grows with its size, of those that :data:`LEAST_REGION`
    leaves; a view that shows none stays as it is.
    """
    rng = np.random.default_rng([*b"flips", seed])
    out = labels.copy()
    for v in rng.choice(len(labels), round(rate * len(labels)), replace=False):
        share = {name: np.mean(labels[v] == CELEBAMASK.index(name)) for name in FLIPS}
        least = LEAST_REGION * foreground(labels[v]).mean()
        names = [name for name in FLIPS if share[name] > 0 and share[name] >= least]
        if not names:
            continue
        sizes = np.array([share[name] for name in names])
        name = names[rng.choice(len(names), p=sizes / sizes.sum())]
        out[v][labels[v] == CELEBAMASK.index(name)] = CELEBAMASK.index(FLIPS[name])
    return out


def systematic(labels: np.ndarray, angles: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """What a parser of frontal faces does to profiles: the same in all similar views.

    Ears and neck become hair and skin; brows, eyes, nose and lips shrink into the skin; hair eats
    the side of the face; the neck grows into the clothes; background eats the silhouette. A view
    changes a share ``rate * growth(angle)`` of its foreground: none from the front, ``rate`` at
    90 degrees. Which pixels, follows from distances in the map alone: each error starts at a
    region's border and reaches in as far as the share asks for. No chance enters a view; the seed
    draws how far the errors reach in comparison with each other, once for all views.
    """
    rng = np.random.default_rng([*b"systematic", seed])
    reach = {name: dear * rng.uniform(0.7, 1.3) for name, dear in REACH.items()}
    out = labels.copy()
    for view, true, strength in zip(out, labels, growth(off_front(angles)), strict=True):
        wanted = round(rate * strength * int(foreground(true).sum()))
        if wanted:
            cost, wrong = _errors(true, reach)
            cheapest = np.argsort(cost, axis=None, kind="stable")[:wanted]
            cheapest = cheapest[np.isfinite(cost.flat[cheapest])]
            view.flat[cheapest] = wrong.flat[cheapest]
    return out


def _errors(true: np.ndarray, reach: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of a map: how dear its error is (inf: none), and the class it then gets."""
    index = CELEBAMASK.index
    cost, wrong = np.full(true.shape, np.inf), np.zeros_like(true)

    def add(inside: np.ndarray, eater: np.ndarray, dear: float, classes: np.ndarray | int) -> None:
        """``eater`` reaches into ``inside``."""
        if not inside.any() or not eater.any():
            return
        price = np.where(inside, dear * distance_transform_edt(~eater), np.inf)
        better = price < cost
        cost[better] = price[better]
        wrong[better] = np.broadcast_to(classes, true.shape)[better]

    skin, hair, neck = (true == index(name) for name in ("skin", "hair", "neck"))
    ears = np.isin(true, [index("l_ear"), index("r_ear")])
    nearest = np.where(_nearer(hair, skin), index("hair"), index("skin"))
    for name in SHRINKING:
        part = true == index(name)
        add(part, ~part, reach["features"], index("skin"))
    add(ears, hair | skin, reach["ears"], nearest)
    add(neck, hair | skin, reach["neck"], nearest)
    add(skin, hair, reach["face"], index("hair"))
    add(true == index("cloth"), neck, reach["cloth"], index("neck"))
    add(foreground(true), true == 0, reach["silhouette"], 0)
    return cost, wrong


def _nearer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether a pixel lies nearer to the region ``a`` than to ``b``; an empty one is far away."""
    far = np.full(a.shape, np.inf)
    to_a = distance_transform_edt(~a) if a.any() else far
    return to_a < (distance_transform_edt(~b) if b.any() else far)


KINDS: dict[str, Callable[[np.ndarray, np.ndarray, float, int], np.ndarray]] = {
    "pixels": pixels,
    "patches": patches,
    "flips": flips,
    "systematic": systematic,
}
"""The ways to corrupt labels, by name."""


def labelled_views(angles: np.ndarray, count: int) -> np.ndarray:
    """``[V]`` bool: which ``count`` of V views keep their labels, spread over the poses.

    The most frontal one first, then always the one whose camera stands farthest from all that are
    chosen: what somebody would do who labels a few views by hand.

    Args:
        angles: ``[V, 2]`` degrees.
        count: of views to keep.

    Raises:
        ParameterError: there are not so many views.
    """
    if not 1 <= count <= len(angles):
        raise ParameterError(f"{count} labelled views of {len(angles)}")
    directions = _directions(angles)
    chosen = [int(np.argmax(directions[:, 2]))]
    while len(chosen) < count:
        nearest = (directions @ directions[chosen].T).max(1)
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
    out = np.zeros(len(angles), bool)
    out[chosen] = True
    return out


def growth(angle: np.ndarray) -> np.ndarray:
    """``(angle / 90)^2``, at most 1: a parser's errors begin late and then grow fast."""
    return np.minimum(np.asarray(angle) / 90, 1) ** 2


def off_front(angles: np.ndarray) -> np.ndarray:
    """Degrees between cameras at ``angles`` (``[V, 2]`` yaw and pitch, degrees) and the front."""
    return np.degrees(np.arccos(np.clip(_directions(angles)[:, 2], -1, 1)))


def present(labels: np.ndarray) -> np.ndarray:
    """Classes that occur in label maps, in order."""
    found = np.unique(labels)
    return found[found != IGNORE]


def _directions(angles: np.ndarray) -> np.ndarray:
    """``[V, 3]`` unit vectors towards the cameras: x the subject's left, y up, z the front."""
    yaw, pitch = np.radians(np.asarray(angles, float)).T
    return np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], 1)
