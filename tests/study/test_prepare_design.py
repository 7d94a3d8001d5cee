"""Orders: what a rater sees, when, beside what; counted, not looked up."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from labelsplat.base import ParameterError
from labelsplat.study.design import (
    FIRST_CHECK,
    GAP,
    Screen,
    acr_blocks,
    make_orders,
    method_pairs,
    rater_images,
    williams,
)

STRATA = ["standard"] * 8 + ["middle"] * 8 + ["extreme"] * 8


def checks(count: int, images: int, design: str = "acr") -> list[Screen]:
    methods = (0,) if design == "acr" else (0, 1)
    return [Screen("absurd", images * j // count, methods) for j in range(count)]


def items(order) -> list[Screen]:
    return [screen for screen in order if screen.kind == "item"]


def spread(counts: Counter, possible: int) -> int:
    """Largest minus smallest count, of what never came, too."""
    return max(counts.values()) - (min(counts.values()) if len(counts) == possible else 0)


# -- squares -------------------------------------------------------------------------------------


@pytest.mark.parametrize("methods", range(2, 9))
def test_williams_rows_and_columns_hold_each_method_once(methods: int):
    for square in np.split(williams(methods), 2):
        for line in (*square, *square.T):
            assert sorted(line) == list(range(methods))


@pytest.mark.parametrize("methods", range(2, 9))
def test_williams_lets_each_method_follow_each_other_one_equally_often(methods: int):
    square = williams(methods)
    if methods % 2 == 0:
        square = square[:methods]  # one square is enough
    follows = Counter(pair for row in square for pair in itertools.pairwise(map(int, row)))
    assert set(follows) == set(itertools.permutations(range(methods), 2))
    assert len(set(follows.values())) == 1


def test_williams_of_four_is_the_square_of_the_textbooks():
    published = ["ABDC", "BCAD", "CDBA", "DACB"]
    found = {"".join("ABCD"[m] for m in row) for row in williams(4)[:4]}
    assert found == set(published)


def test_a_square_of_one_method_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        williams(1)


@pytest.mark.parametrize("methods", range(2, 8))
def test_pairs_are_all_pairs_and_every_run_is_fair(methods: int):
    pairs = method_pairs(methods)
    assert {frozenset(pair) for pair in pairs} == {
        frozenset(pair) for pair in itertools.combinations(range(methods), 2)
    }
    assert len(pairs) == methods * (methods - 1) // 2
    for start in range(0, len(pairs) - methods + 1, methods):
        run = pairs[start : start + methods]
        assert set(Counter(m for pair in run for m in pair).values()) == {2}
        assert sorted(left for left, _ in run) == list(range(methods))


# -- photos of a rater ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 9, 12, 23, 24])
def test_photos_are_given_out_equally_often(count: int):
    given = rater_images(STRATA, 37, count)
    assert all(len({image for image, _ in own}) == count for own in given)
    often = Counter(image for own in given for image, _ in own)
    assert spread(often, 24) <= 1
    for image in range(24):  # the second number counts the times before
        turns = [turn for own in given for i, turn in own if i == image]
        assert turns == list(range(len(turns)))
    for own in given:
        assert spread(Counter(STRATA[image] for image, _ in own), 3) <= 1


# -- acr -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def acr():
    return make_orders(
        "acr", STRATA, 5, raters=60, absurd=checks(4, 24), repeats=4, seed=3
    )  # fmt: skip


def test_each_rater_sees_each_photo_once_with_each_method(acr):
    everything = Counter(itertools.product(range(24), range(5)))
    for order in acr.orders:
        assert Counter((s.image, *s.methods) for s in items(order)) == everything
        assert len(order) == 24 * 5 + 8


def test_each_block_shows_each_photo_once_and_methods_alike(acr):
    for order in acr.orders:
        for block in np.split(np.array([(s.image, *s.methods) for s in items(order)]), 5):
            assert sorted(block[:, 0]) == list(range(24))
            assert spread(Counter(block[:, 1].tolist()), 5) <= 1
            for stratum in set(STRATA):  # no method gets the hard poses of a block
                own = [m for i, m in block.tolist() if STRATA[i] == stratum]
                assert spread(Counter(own), 5) <= 1


def test_over_the_raters_each_method_stands_in_each_block_of_each_photo_alike(acr):
    seen = Counter(
        (place // 24, s.image, s.methods)
        for order in acr.orders
        for place, s in enumerate(items(order))
    )
    assert len(seen) == 5 * 24 * 5
    assert set(seen.values()) == {60 // 5}


def test_on_a_photo_each_method_follows_each_other_one_equally_often(acr):
    follows: Counter = Counter()
    for order in acr.orders:
        for image in range(24):
            methods = [s.methods[0] for s in items(order) if s.image == image]
            follows.update((image, *pair) for pair in itertools.pairwise(methods))
    assert len(follows) == 24 * 20 and len(set(follows.values())) == 1


@pytest.mark.parametrize(("raters", "methods"), [(7, 5), (13, 3), (5, 4)])
def test_any_number_of_raters_is_balanced_within_one(raters: int, methods: int):
    found = make_orders("acr", STRATA, methods, raters=raters, seed=0)
    seen = Counter(
        (place // 24, s.image, s.methods)
        for order in found.orders
        for place, s in enumerate(items(order))
    )
    assert spread(seen, methods * 24 * methods) <= 1


@pytest.mark.parametrize("count", [4, 9, 12])
def test_fewer_photos_a_rater_stay_balanced(count: int):
    found = make_orders("acr", STRATA, 5, raters=60, images_per_rater=count, seed=0)
    for order in found.orders:
        assert len({s.image for s in order}) == count
        assert all(Counter(s.image for s in order)[i] == 5 for i in {s.image for s in order})
    often = Counter((s.image, s.methods) for order in found.orders for s in order)
    assert spread(often, 24 * 5) <= 1
    blocks = Counter(
        (place // count, s.image, s.methods)
        for order in found.orders
        for place, s in enumerate(order)
    )
    by_image = {i: [v for (_, image, _), v in blocks.items() if image == i] for i in range(24)}
    for values in by_image.values():
        assert max(values) - (min(values) if len(values) == 25 else 0) <= 1


# -- pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [1, 3, 4, 5, 6, 10])
def test_pairs_come_equally_often_in_each_block_and_either_way_round(shown: int):
    found = make_orders("pairs", STRATA, 5, raters=20, pairs_per_image=shown, seed=0)
    seen = Counter(
        (place // 24, s.image, s.methods) for order in found.orders for place, s in enumerate(order)
    )
    # 20 raters = two for each pair: each block once with one side, once with the other.
    assert len(seen) == shown * 24 * 20 and set(seen.values()) == {1}


def test_a_rater_sees_different_pairs_of_a_photo_and_methods_alike():
    found = make_orders("pairs", STRATA, 5, raters=60, pairs_per_image=5, seed=0)
    for order in found.orders:
        pairs = Counter((s.image, frozenset(s.methods)) for s in order)
        assert set(pairs.values()) == {1} and len(pairs) == 120
        assert set(Counter(m for s in order for m in s.methods).values()) == {48}
        assert set(Counter(s.methods[0] for s in order).values()) == {24}
    sides = Counter((s.image, s.methods) for order in found.orders for s in order)
    assert len(sides) == 24 * 20 and set(sides.values()) == {15}


# -- neighbours and checks -----------------------------------------------------------------------


@pytest.mark.parametrize("design", ["acr", "pairs"])
@pytest.mark.parametrize(("images", "own", "methods"), [(24, 0, 5), (24, 8, 5), (8, 0, 3)])
def test_no_photo_comes_twice_in_succession(design, images, own, methods):
    groups = ["a", "b"] * (images // 2)
    found = make_orders(
        design, groups, methods, raters=60, images_per_rater=own, pairs_per_image=3,
        absurd=checks(3, images, design), repeats=2, seed=1,
    )  # fmt: skip
    for order in found.orders:
        assert all(a.image != b.image for a, b in itertools.pairwise(order))
        assert all(s.kind == "item" for s in order[:FIRST_CHECK])
        assert Counter(s.kind for s in order)["absurd"] == 3
        assert Counter(s.kind for s in order)["repeat"] == 2
        assert len(set(order)) == len(order)
        for place, screen in enumerate(order):
            if screen.kind == "repeat":
                before = order.index(Screen("item", screen.image, screen.methods))
                assert place - before >= found.gap


def test_a_repeat_comes_at_least_twenty_screens_later(acr):
    assert acr.gap == GAP
    for order in acr.orders:
        for place, screen in enumerate(order):
            if screen.kind == "repeat":
                before = order.index(Screen("item", screen.image, screen.methods))
                assert place - before >= GAP


def test_checks_are_spread_over_the_session_and_over_methods(acr):
    for order in acr.orders:
        absurd = [place for place, s in enumerate(order) if s.kind == "absurd"]
        assert absurd[0] < 64 < absurd[-1] and absurd[-1] - absurd[0] >= 40
        repeats = [place for place, s in enumerate(order) if s.kind == "repeat"]
        assert repeats[-1] - repeats[0] >= 30
    # Which absurd screen comes first is another one for each rater in turn.
    first = Counter(next(s for s in o if s.kind == "absurd") for o in acr.orders)
    assert len(first) == 4
    # All methods come again, so that a repeat does not tell which one it is.
    assert len({s.methods for o in acr.orders for s in o if s.kind == "repeat"}) == 5


@pytest.mark.parametrize("design", ["acr", "pairs"])
@pytest.mark.parametrize(("own", "again"), [(0, 4), (12, 3), (9, 2)])
def test_all_photos_come_again_equally_often(design: str, own: int, again: int):
    found = make_orders(
        design, STRATA, 5, raters=60, images_per_rater=own, repeats=again, seed=0
    )  # fmt: skip
    repeated = [[s.image for s in order if s.kind == "repeat"] for order in found.orders]
    assert all(len(set(images)) == again for images in repeated)
    often = Counter(image for images in repeated for image in images)
    assert spread(often, 24) <= (1 if not own else 2)
    assert len({tuple(sorted(images)) for images in repeated[:6]}) > 1


def test_a_short_session_repeats_sooner_and_one_too_short_says_so():
    short = make_orders("acr", ["a"] * 6, 3, raters=4, repeats=2, seed=0)
    assert 5 <= short.gap < GAP
    with pytest.raises(ParameterError, match=r"study\.repeats.*too short"):
        make_orders("acr", ["a"] * 4, 2, raters=4, repeats=2, seed=0)


def test_no_place_for_a_check_is_an_error():
    with pytest.raises(ParameterError, match=r"study\.absurd.*no place"):
        make_orders("acr", ["a", "a"], 5, raters=1, absurd=checks(1, 2), seed=0)


# -- secrets -------------------------------------------------------------------------------------


def guessed_right(orders, photo_at, method_at) -> float:
    """Share of screens whose method follows from the squares alone.

    The guesser knows the photos and the rater's number, and counts how often a photo came.
    """
    place_of = {photo: place for place, photo in enumerate(photo_at)}
    groups = [STRATA[photo] for photo in photo_at]
    right, all_of = 0, 0
    for order, given in zip(orders, rater_images(groups, len(orders), 24), strict=True):
        blocks = [{s.image: s.methods[0] for s in block} for block in acr_blocks(given, 5)]
        seen: Counter[int] = Counter()
        for screen in order:
            guess = method_at[blocks[seen[screen.image]][place_of[screen.image]]]
            seen[screen.image] += 1
            right += guess == screen.methods[0]
            all_of += 1
    return right / all_of


def test_the_squares_tell_no_method_without_the_secret():
    shares = []
    for secret in (b"one", b"two", b"three", b"four", b"five"):
        orders = make_orders("acr", STRATA, 5, raters=20, seed=0, secret=secret).orders
        places = np.random.default_rng([*b"places", 0, *secret])
        photo_at, method_at = places.permutation(24).tolist(), places.permutation(5).tolist()
        assert guessed_right(orders, photo_at, method_at) == 1  # the guess is a good one
        shares.append(guessed_right(orders, range(24), range(5)))
    assert np.mean(shares) < 0.3  # chance: 0.2


def test_another_secret_gives_other_orders():
    a, b, c = (
        make_orders("acr", STRATA, 5, raters=6, seed=0, secret=s) for s in (b"a", b"a", b"c")
    )
    assert a == b != c


def test_orders_follow_from_the_seed():
    a, b, c = (make_orders("acr", STRATA, 5, raters=6, seed=seed).orders for seed in (1, 1, 2))
    assert a == b != c
    assert len(set(a)) == 6  # no two raters alike
