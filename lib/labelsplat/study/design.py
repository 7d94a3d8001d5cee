"""In which order each rater sees what: Latin squares, so that time and habit favour no method.

A session goes in blocks. Each block shows each photo once; over the blocks a photo is seen once
with each method (``acr``) or pair of methods (``pairs``), and which one comes when rotates from
photo to photo and from rater to rater. Within a block photos are shuffled, and no photo is ever
shown twice in direct succession.

For ``acr`` the rotation is a Williams design: a Latin square (two for an odd number of methods) in
which each method follows each other one equally often, so that what a rater saw of a face before
bears on all methods alike. E. J. Williams, "Experimental designs balanced for the estimation of
residual effects of treatments", Australian Journal of Scientific Research A 2 (1949), 149 to 168.

Which photo and which method has which place in these squares is drawn, like the shuffles. With what
all draws start from (``secret``) a reader of this file could write every order down, and so say
what each screen shows; without it the squares alone do not tell one method from another.

Letters: N photos, M methods, P = M (M - 1) / 2 pairs. Photos and methods are numbers here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from labelsplat.base import ParameterError

FIRST_CHECK = 5
"""Checks do not stand among the first five screens, where raters still find their way."""

GAP = 20
"""Screens after which an item may be shown once more, as in chance it is not remembered."""

SHORTEST_GAP = 5
"""Below this a repeated item says nothing."""


@dataclass(frozen=True, order=True)
class Screen:
    """What one screen shows, before it has a blinded name.

    Attributes:
        kind: ``item``, ``absurd`` or ``repeat``.
        image: number of the photo.
        methods: numbers of the methods, one (``acr``), or left and right one (``pairs``).
    """

    kind: str
    image: int
    methods: tuple[int, ...]


@dataclass(frozen=True)
class Orders:
    """The orders of all raters.

    Attributes:
        orders: screens of each rater, first to last.
        gap: fewest screens from an item to its repetition.
    """

    orders: tuple[tuple[Screen, ...], ...]
    gap: int


def williams(methods: int) -> np.ndarray:
    """``[2 M, M]`` int: sequences of methods, two Latin squares one above the other.

    Each method stands once in each row, once in each column of either square, and over both
    squares directly follows each other method equally often (with an even M in each square alone).

    Raises:
        ValueError: fewer than two methods.
    """
    if methods < 2:
        raise ValueError(f"{methods} methods, a square needs at least 2")
    # 0, 1, M-1, 2, M-2, ...: neighbours differ by each number once (M even) or twice (M odd).
    first = [(k + 1) // 2 if k % 2 else -(k // 2) for k in range(methods)]
    square = (np.array(first)[None] + np.arange(methods)[:, None]) % methods
    return np.concatenate([square, square[:, ::-1]])


def method_pairs(methods: int) -> tuple[tuple[int, int], ...]:
    """All P pairs of methods, so ordered that M pairs in succession hold each method twice.

    (With an even M the last M / 2 hold each once.) Within them each method is once first, once
    second.
    """
    out = []
    for step in range(1, methods // 2 + 1):
        count = methods // 2 if 2 * step == methods else methods
        out += [(a, (a + step) % methods) for a in range(count)]
    return tuple(out)


def rater_images(
    groups: Sequence[str], raters: int, images_per_rater: int
) -> list[list[tuple[int, int]]]:
    """Which photos each rater sees, as (photo, how often it was given out before).

    Raters take turns through a list in which the groups alternate: so each photo is given out
    equally often over all raters, within one, and each rater has as many of each group as can be.

    Args:
        groups: stratum of each of the N photos.
        raters: how many.
        images_per_rater: photos each of them sees, at most N.
    """
    queues = {
        name: [i for i, g in enumerate(groups) if g == name] for name in dict.fromkeys(groups)
    }
    turns = itertools.zip_longest(*queues.values())
    around = [i for turn in turns for i in turn if i is not None]
    slots = [divmod(s, len(around)) for s in range(raters * images_per_rater)]
    given = [(around[place], turn) for turn, place in slots]
    return [given[i : i + images_per_rater] for i in range(0, len(given), images_per_rater)]


def acr_blocks(given: Sequence[tuple[int, int]], methods: int) -> list[list[Screen]]:
    """M blocks, each with every photo once; over them each photo once with each method."""
    square = williams(methods)
    rows = [
        (image, square[(turn // methods % 2) * methods + (image + turn) % methods])
        for image, turn in given
    ]
    return [
        [Screen("item", image, (int(row[block]),)) for image, row in rows]
        for block in range(methods)
    ]


def pair_blocks(
    given: Sequence[tuple[int, int]], methods: int, pairs_per_image: int
) -> list[list[Screen]]:
    """As many blocks as there are pairs a photo, each with every photo once.

    A photo goes on through the pairs from one rater to the next. After 2 P raters it was shown with
    each pair equally often, in each block, and with either method on the left.
    """
    pairs = method_pairs(methods)
    count, blocks = len(pairs), pairs_per_image
    common = gcd(count, blocks)
    out: list[list[Screen]] = [[] for _ in range(blocks)]
    for image, turn in given:
        # Neighbouring photos of one rater show neighbouring pairs.
        run = image + turn
        # Left alone a pair would come back to only every `common`-th block.
        rotation = run // (count // common) % common
        for j in range(blocks):
            time, which = divmod(run * blocks + j, count)
            left, right = pairs[which]
            # With an even number of blocks, time alone would tie the side to the block.
            if (time + (0 if blocks % 2 else time // blocks)) % 2:
                left, right = right, left
            out[(j + rotation) % blocks].append(Screen("item", image, (left, right)))
    return out


def make_orders(
    design: str,
    groups: Sequence[str],
    methods: int,
    *,
    raters: int,
    images_per_rater: int = 0,
    pairs_per_image: int = 5,
    absurd: Sequence[Screen] = (),
    repeats: int = 0,
    seed: int,
    secret: bytes = b"",
) -> Orders:
    """The orders of all raters.

    Args:
        design: ``acr`` or ``pairs``.
        groups: stratum of each of the N photos.
        methods: M.
        raters: how many orders are made.
        images_per_rater: photos each of them sees; 0 = all N.
        pairs_per_image: pairs a rater sees of a photo (``pairs``), at most P.
        absurd: checks, each shown once to everybody.
        repeats: items that each rater sees once more.
        seed: of what is shuffled.
        secret: what else the draws follow from.

    Raises:
        ParameterError: a session too short for the checks.
    """
    places = np.random.default_rng([*b"places", seed, *secret])
    photo_at = places.permutation(len(groups)).tolist()
    method_at = places.permutation(methods).tolist()
    per_rater = images_per_rater or len(groups)
    blocks_of = min(pairs_per_image, methods * (methods - 1) // 2)
    length = per_rater * (methods if design == "acr" else blocks_of)
    gap = _gap(length, per_rater, repeats)
    out = []
    often: Counter[int] = Counter()
    around = [groups[photo] for photo in photo_at]
    for rater, given in enumerate(rater_images(around, raters, per_rater)):
        rng = np.random.default_rng([*b"orders", seed, *secret, rater])
        squares = (
            acr_blocks(given, methods)
            if design == "acr"
            else pair_blocks(given, methods, pairs_per_image)
        )
        blocks = [[_named(screen, photo_at, method_at) for screen in block] for block in squares]
        order = _shuffled(blocks, rng)
        # In which part of a session a check stands rotates from rater to rater.
        turned = [absurd[(j + rater) % len(absurd)] for j in range(len(absurd))]
        for j, screen in enumerate(turned):
            _insert(order, screen, FIRST_CHECK, len(order), j, len(turned), rng)
        # Photos that came again least so far: in the end all of them did, equally often.
        own = sorted((photo_at[place] for place, _ in given), key=often.__getitem__)
        again = [own[j % len(own)] for j in range(repeats)]
        often.update(again)
        for j in range(repeats):
            _repeat(order, again[(j + rater) % repeats], per_rater + gap, j, repeats, gap, rng)
        out.append(tuple(order))
    return Orders(tuple(out), gap)


def _named(screen: Screen, photo_at: Sequence[int], method_at: Sequence[int]) -> Screen:
    """A screen of the squares, its places replaced by what stands there."""
    methods = tuple(method_at[place] for place in screen.methods)
    return Screen(screen.kind, photo_at[screen.image], methods)


def _gap(length: int, block: int, repeats: int) -> int:
    """Screens before a repetition: :data:`GAP`, or what a short session leaves room for."""
    gap = min(GAP, length - block - repeats)
    if repeats and gap < SHORTEST_GAP:
        raise ParameterError(
            f"a session of {length} screens is too short to repeat {repeats} items",
            where="study.repeats",
            remedy="Set study.repeats to 0, or show more photos or pairs",
        )
    return gap


def _shuffled(blocks: Sequence[Sequence[Screen]], rng: np.random.Generator) -> list[Screen]:
    order: list[Screen] = []
    for block in blocks:
        shuffled = [block[i] for i in rng.permutation(len(block))]
        if order and len(shuffled) > 1 and shuffled[0].image == order[-1].image:
            other = int(rng.integers(1, len(shuffled)))
            shuffled[0], shuffled[other] = shuffled[other], shuffled[0]
        order += shuffled
    return order


def _fits(order: Sequence[Screen], place: int, image: int) -> bool:
    """Whether no neighbour shows the same photo."""
    return all(screen.image != image for screen in order[max(place - 1, 0) : place + 1])


def _places(
    first: int, last: int, part: int, parts: int, rng: np.random.Generator
) -> Sequence[int]:
    """All places from ``first`` to ``last``, beginning somewhere in one part of them."""
    low, high = (first + (last + 1 - first) * p // parts for p in (part, part + 1))
    start = int(rng.integers(low, max(high, low + 1)))
    return [*range(start, last + 1), *range(start - 1, first - 1, -1)]


def _insert(
    order: list[Screen],
    screen: Screen,
    first: int,
    last: int,
    part: int,
    parts: int,
    rng: np.random.Generator,
) -> None:
    for place in _places(first, last, part, parts, rng):
        if _fits(order, place, screen.image):
            order.insert(place, screen)
            return
    raise ParameterError(
        f"a session of {len(order)} screens has no place for {parts} checks",
        where="study.absurd",
        remedy="Set study.absurd to 0, or show more photos to each rater",
    )


def _repeat(
    order: list[Screen],
    image: int,
    first: int,
    part: int,
    parts: int,
    gap: int,
    rng: np.random.Generator,
) -> None:
    """Show one of the items of a photo once more, at least ``gap`` screens later."""
    shown = {screen.methods for screen in order if (screen.kind, screen.image) == ("repeat", image)}
    for place in _places(min(max(first, FIRST_CHECK), len(order)), len(order), part, parts, rng):
        before = [
            screen
            for screen in order[: max(place - gap + 1, 0)]
            if (screen.kind, screen.image) == ("item", image) and screen.methods not in shown
        ]
        if before and _fits(order, place, image):
            methods = before[int(rng.integers(len(before)))].methods
            order.insert(place, Screen("repeat", image, methods))
            return
    raise ParameterError(
        f"a session of {len(order)} screens has no place for {parts} repeated items",
        where="study.repeats",
        remedy="Set study.repeats to 0, or show more photos to each rater",
    )
