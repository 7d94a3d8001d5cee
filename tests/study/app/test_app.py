"""The app as a browser without scripts sees it."""

import re

import pytest

from labelsplat.study.app import Study, create_app
from labelsplat.study.package import SCALES, read_package
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import Store

SCRIPT = {"Accept": "application/json"}

# -- the way through -----------------------------------------------------------------------------


def test_the_whole_way_without_scripts(ask, link, store, package, clock):
    token = link.rsplit("/", 1)[1]
    order = package.order(store.rater(token).slot)
    assert ask.get(link).headers["location"] == f"{token}/welcome"
    assert ask.get(f"{link}/").headers["location"] == "welcome"
    assert "I agree" in ask.get(f"{link}/welcome").text
    assert ask.post(f"{link}/welcome", {"agree": "yes"}).headers["location"] == "instructions"
    assert 'href="practice?n=0"' in ask.get(f"{link}/instructions").text
    for n, name in enumerate(package.practice):
        page = ask.get(f"{link}/practice?n={n}")
        assert page.item == name and "Practice" in page.text
        gone = ask.post(f"{link}/practice?n={n}", {"rating": "3", "item": name})
        assert gone.headers["location"] == ("practice?n=1" if n == 0 else "start")
    assert store.answers() == []
    assert ask.post(f"{link}/start").headers["location"] == "rate"
    for n, name in enumerate(order):
        page = ask.get(f"{link}/rate")
        assert page.item == name and f"{n + 1} of 6" in page.text
        clock.now += 3.5
        reply = ask.post(f"{link}/rate", {"item": name, "rating": str(1 + n % 5)})
        assert (reply.status, reply.headers["location"]) == (303, "rate")
    assert ask.get(f"{link}/rate").headers["location"] == "done"
    assert "Thank you" in ask.get(f"{link}/done").text
    kept = [(a.position, a.item, a.rating, a.seconds) for a in store.answers()]
    assert kept == [(n, name, 1 + n % 5, 3.5) for n, name in enumerate(order)]


def test_pairs_show_two_label_maps_over_one_photo(tmp_path, asker):
    package = read_package(write_sample_package(tmp_path / "p", design="pairs", items=3))
    store = Store(tmp_path / "s.sqlite", package)
    ask = asker(create_app(Study(package, store)))
    link = f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"
    ask.post(f"{link}/welcome", {"agree": "yes"})
    ask.post(f"{link}/start")
    page = ask.get(f"{link}/rate")
    item = package.items[page.item]
    names = [item.photo, item.masks[0], item.photo, item.masks[1]]
    assert page.pictures == [f"picture/{name}" for name in names]
    assert page.text.index(">A<") < page.text.index(item.masks[0])
    assert ask.post(f"{link}/rate", {"item": item.id, "rating": "-1"}).status == 303
    assert [a.rating for a in store.answers()] == [-1]
    store.close()


@pytest.mark.parametrize("design", list(SCALES))
def test_words_and_keys_of_the_answers(tmp_path, asker, design):
    """The scale is the package's, and every answer has a key of its own."""
    package = read_package(write_sample_package(tmp_path / "p", design=design, items=3))
    store = Store(tmp_path / "s.sqlite", package)
    ask = asker(create_app(Study(package, store)))
    link = f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"
    ask.post(f"{link}/welcome", {"agree": "yes"})
    page = ask.get(f"{link}/practice?n=0").text
    found = re.findall(
        r'<button name="rating" value="(-?\d)" data-keys="([^"]+)".*?<span>(.*?)</span>', page
    )
    assert {int(value): word for value, _, word in found} == SCALES[design]
    keys = [key for _, names, _ in found for key in names.split()]
    expected = {"acr": list("54321"), "pairs": ["ArrowLeft", "0", "ArrowDown", "ArrowRight"]}
    assert keys == expected[design]
    store.close()


def test_nobody_passes_without_agreeing(ask, link, store, package):
    for page in ("instructions", "practice?n=0", "start", "rate", "done"):
        assert ask.get(f"{link}/{page}").headers["location"] == "welcome"
    for form in ({}, {"agree": "no"}, {"agree": ""}):
        reply = ask.post(f"{link}/welcome", form)
        assert reply.status == 400 and 'role="alert"' in reply.text
    photo = next(iter(package.items.values())).photo
    assert ask.get(f"{link}/picture/{photo}").status == 404
    ask.post(f"{link}/start")
    ask.post(f"{link}/rate", {"item": package.orders[0][0], "rating": "3"})
    rater = store.raters()[0]
    assert (rater.consented, rater.practised, rater.answers) == (None, None, 0)


def test_what_was_agreed_to_is_what_the_page_said(asker, store, package, link):
    """The board's sheet, whom to ask, and the app's own words; nobody agrees to a later text."""
    old = asker(create_app(Study(package, store, "Dr. Ada", ("Our own sheet.",))))
    new = asker(create_app(Study(package, store, "Dr. Ada", ("Our second sheet.",))))
    page = old.get(f"{link}/welcome").text
    form = {"agree": "yes", "text": re.search(r'name="text" value="(\w+)"', page)[1]}
    reply = new.post(f"{link}/welcome", form)  # the study was started anew meanwhile
    assert reply.status == 400 and "has changed" in reply.text and "second" in reply.text
    assert store.raters()[0].consented is None and store.consents() == []
    form["text"] = re.search(r'name="text" value="(\w+)"', reply.text)[1]
    assert new.post(f"{link}/welcome", form).headers["location"] == "instructions"
    ((digest, text, many),) = store.consents()
    assert (digest, many) == (store.raters()[0].agreed, 1)
    lines = text.splitlines()
    assert lines[0] == package.title and "Our second sheet." in lines
    assert "I have read this page, and I agree to take part." in lines
    assert "Dr. Ada" in text and "<" not in text and store.raters()[0].pseudonym not in text
    # Another rater reads and agrees to the same.
    other = f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"
    assert digest in new.get(f"{other}/welcome").text


@pytest.mark.parametrize("design", list(SCALES))
def test_instructions_show_what_fits_and_what_does_not(tmp_path, asker, design):
    where = write_sample_package(tmp_path / "p", design=design, items=3, examples=True)
    package = read_package(where)
    store = Store(tmp_path / "s.sqlite", package)
    ask = asker(create_app(Study(package, store)))
    link = f"/s/{store.issue(1, 'script', 3, 0.0)[0][1]}"
    ask.post(f"{link}/welcome", {"agree": "yes"})
    page = ask.get(f"{link}/instructions")
    good, bad = page.text.split('class="example good"')[1].split('class="example bad"')
    for text, name in zip((good, bad), package.examples, strict=True):
        item = package.items[name]
        assert item.photo in text and all(mask in text for mask in item.masks)
    captions = {"acr": ("fit well", "do not fit"), "pairs": ("can be right", "cannot be right")}
    assert captions[design][0] in good and captions[design][1] in bad
    assert "not of a good or a bad answer" not in page.text
    store.close()


def test_a_package_without_examples_shows_what_screens_look_like(ask, link, package):
    ask.post(f"{link}/welcome", {"agree": "yes"})
    page = ask.get(f"{link}/instructions").text
    assert package.examples is None and "not of a good or a bad answer" in page
    assert package.items[package.practice[0]].masks[0] in page and "example good" not in page


def test_the_link_leads_back_to_where_one_was(ask, ready, store, clock):
    for _ in range(3):
        page = ask.get(f"{ready}/rate")
        ask.post(f"{ready}/rate", {"item": page.item, "rating": "2"})
        assert ask.get(f"{ready}/").headers["location"] == "rate"
    order = ask.get(f"{ready}/rate")
    assert "4 of 6" in order.text and order.item == ask.get(f"{ready}/rate").item


def test_back_shows_the_last_answer_and_changes_it(ask, ready, store):
    first = ask.get(f"{ready}/rate").item
    assert "Back" not in ask.get(f"{ready}/rate").text
    ask.post(f"{ready}/rate", {"item": first, "rating": "2"})
    second = ask.get(f"{ready}/rate").item
    page = ask.get(f"{ready}/rate?back=1")
    assert page.item == first and "Your answer was <strong>Poor</strong>" in page.text
    reply = ask.post(f"{ready}/rate", {"item": first, "rating": "5"}, headers=SCRIPT)
    assert reply.json == {"next": "rate", "outcome": "changed"}
    assert [(a.item, a.rating) for a in store.answers()] == [(first, 5)]
    assert [change[2] for change in store.changes()] == [2]
    assert ask.get(f"{ready}/rate").item == second


def test_an_answer_sent_again_is_acknowledged_and_not_doubled(ask, ready, store):
    form = {"item": ask.get(f"{ready}/rate").item, "rating": "4"}
    heard = [ask.post(f"{ready}/rate", form, headers=SCRIPT).json["outcome"] for _ in range(3)]
    assert heard == ["saved", "same", "same"] and len(store.answers()) == 1


def test_other_items_are_refused_with_the_way_on(ask, ready, store, package):
    ask.get(f"{ready}/rate")
    order = package.order(store.raters()[0].slot)
    for item in (order[1], order[-1], package.practice[0], "nothing", ""):
        reply = ask.post(f"{ready}/rate", {"item": item, "rating": "4"})
        assert reply.status == 409 and 'href="rate"' in reply.text
        reply = ask.post(f"{ready}/rate", {"item": item, "rating": "4"}, headers=SCRIPT)
        assert (reply.status, reply.json) == (409, {"next": "rate"})
    assert store.answers() == []


@pytest.mark.parametrize("rating", ["0", "6", "-1", "3.0", " 3", "\uff13", "", "four", "1e0", None])
def test_ratings_off_the_scale_are_refused(ask, ready, store, rating):
    form = {"item": ask.get(f"{ready}/rate").item} | ({"rating": rating} if rating else {})
    assert ask.post(f"{ready}/rate", form).status == 400
    assert ask.post(f"{ready}/practice?n=0", form).status == 400
    assert store.answers() == []


def test_a_package_without_practice_goes_straight_on(tmp_path, asker):
    package = read_package(write_sample_package(tmp_path / "p", items=3, practice=0))
    store = Store(tmp_path / "s.sqlite", package)
    ask = asker(create_app(Study(package, store)))
    link = f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"
    ask.post(f"{link}/welcome", {"agree": "yes"})
    assert 'href="start"' in ask.get(f"{link}/instructions").text
    assert ask.get(f"{link}/practice?n=0").headers["location"] == "start"
    store.close()


def test_withdrawal_asks_and_then_erases(ask, ready, store):
    ask.post(f"{ready}/rate", {"item": ask.get(f"{ready}/rate").item, "rating": "4"})
    assert "r001" in ask.get(f"{ready}/withdraw").text
    assert ask.post(f"{ready}/withdraw", {}).status == 400
    assert len(store.answers()) == 1
    assert "deleted" in ask.post(f"{ready}/withdraw", {"erase": "yes"}).text
    assert store.raters() == [] and store.answers() == []
    assert store.withdrawals() == {"human": 1}
    assert ask.get(ready).status == 404 and ask.get(f"{ready}/withdraw").status == 404
