"""Answers are kept once, in order, durably, and go when their rater goes."""

import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labelsplat.base import LabelsplatError
from labelsplat.study.admin import erase_rater, issue_links, progress_text
from labelsplat.study.exchange import export_ratings, utc_text
from labelsplat.study.package import RATING_COLUMNS, read_package
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import MOST_SECONDS, OutOfOrder, Store, UnknownRater
from labelsplat.study.tokens import new_token, personal_link, token_digest, write_links

NOW = 1_700_000_000.0


def enrol(store, package, origin="human"):
    """A rater who is ready for the first item, and the order."""
    (_, token) = store.issue(1, origin, len(package.orders), NOW)[0]
    rater = store.rater(token)
    store.consent(rater.id, NOW)
    store.practised(rater.id, NOW)
    rater = store.rater(token)
    return rater, package.order(rater.slot), token


def rate(store, rater, order, ratings, start=NOW):
    for i, rating in enumerate(ratings):
        store.show(rater.id, order[i], start + 10 * i)
        store.answer(rater.id, order, order[i], rating, start + 10 * i + 4.5)


def rows(store):
    return [(a.rater, a.position, a.item, a.rating, a.seconds) for a in store.answers()]


# -- tokens --------------------------------------------------------------------------------------


def test_tokens_are_long_and_never_the_same():
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(token_digest(token) is not None and len(token) == 43 for token in tokens)


@pytest.mark.parametrize(
    "wrong", ["", "a" * 42, "a" * 44, "ä" * 43, "a" * 42 + "/", "a" * 42 + "\n"]
)
def test_what_can_be_no_token_has_no_digest(wrong):
    assert token_digest(wrong) is None


def test_only_a_digest_is_in_the_files(store, package):
    (_, token) = store.issue(1, "human", 3, NOW)[0]
    files = [path.read_bytes() for path in store.path.parent.iterdir()]
    assert any(token_digest(token) in data for data in files)
    assert not any(token.encode() in data for data in files)


def test_links_are_for_their_owner_alone_and_never_overwritten(tmp_path):
    path = tmp_path / "new" / "links.csv"
    write_links(path, [("r001", personal_link("http://x/", "t"))])
    assert path.read_text() == "rater,link\nr001,http://x/s/t\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(LabelsplatError, match="may be in use"):
        write_links(path, [])


def test_no_link_is_issued_that_could_not_be_written(store, package, tmp_path):
    taken = tmp_path / "links.csv"
    taken.write_text("of somebody")
    with pytest.raises(LabelsplatError, match=r"links\.csv"):
        issue_links(store, package, 2, "http://x", NOW, origin="human", out=taken)
    assert store.raters() == [] and taken.read_text() == "of somebody"


# -- raters --------------------------------------------------------------------------------------


def test_orders_are_used_evenly_whoever_leaves(store, package):
    store.issue(4, "human", 3, NOW)
    store.issue(2, "script", 3, NOW)
    assert [r.slot for r in store.raters()] == [0, 1, 2, 0, 0, 1]
    erase_rater(store, "r002")
    (name, _) = store.issue(1, "human", 3, NOW)[0]
    # The order that became free is the next one, the pseudonym is not used again.
    assert name == "r007" and store.raters()[-1].slot == 1


def test_an_origin_stays_what_it_was(store, package):
    rater, _, _ = enrol(store, package, "script")
    with sqlite3.connect(store.path) as db, pytest.raises(sqlite3.IntegrityError, match="fixed"):
        db.execute("UPDATE rater SET origin = 'human' WHERE id = ?", (rater.id,))
    db.close()


@pytest.mark.parametrize(("count", "origin"), [(0, "human"), (-1, "human"), (2, "robot")])
def test_links_that_cannot_be_issued(store, count, origin):
    with pytest.raises(LabelsplatError, match="origin"):
        store.issue(count, origin, 3, NOW)


def test_consent_is_dated_once(store, package):
    rater, _, token = enrol(store, package)
    store.consent(rater.id, NOW + 99, "another text")
    after = store.rater(token)
    assert (after.consented, after.seen, after.agreed) == (NOW, NOW + 99, rater.agreed)


def test_what_was_agreed_to_is_kept(store, package):
    """Once a text, also when those who agreed to it have left."""
    tokens = [token for _, token in store.issue(4, "human", 3, NOW)]
    for token, text in zip(tokens, ["First.", "Second.", "First."], strict=False):
        store.consent(store.rater(token).id, NOW, text)
    assert [(text, many) for _, text, many in store.consents()] == [("First.", 2), ("Second.", 1)]
    named = {digest: text for digest, text, _ in store.consents()}
    assert [named.get(store.rater(token).agreed) for token in tokens] == [
        "First.", "Second.", "First.", None,
    ]  # fmt: skip
    store.erase("r002")
    assert [many for *_, many in store.consents()] == [2, 0]
    assert re.search("consent text [0-9a-f]{8}: 2 of", progress_text(store))


# -- answers -------------------------------------------------------------------------------------


def test_answers_are_kept_with_place_and_time(store, package):
    rater, order, token = enrol(store, package)
    rate(store, rater, order, [5, 1, 3])
    assert rows(store) == [("r001", i, order[i], r, 4.5) for i, r in enumerate([5, 1, 3])]
    assert store.rater(token).answers == 3


def test_the_same_answer_again_is_the_same_row(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [4])
    before = store.answers()
    assert store.answer(rater.id, order, order[0], 4, NOW + 50) == "same"
    assert store.answers() == before and store.changes() == []


def test_the_last_answer_can_be_changed_and_the_change_is_recorded(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [4, 2])
    store.show(rater.id, order[1], NOW + 100)
    assert store.answer(rater.id, order, order[1], 5, NOW + 103) == "changed"
    assert rows(store)[1] == ("r001", 1, order[1], 5, 7.5)  # both looks
    assert store.changes() == [("r001", order[1], 2, NOW + 103)]
    assert len(store.answers()) == 2


def test_only_the_next_and_the_last_item_are_taken(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [4, 2])
    before = store.answers()
    for item in (order[0], order[3], package.practice[0], "", "no such item"):
        with pytest.raises(OutOfOrder):
            store.answer(rater.id, order, item, 3, NOW)
    with pytest.raises(OutOfOrder):  # next, but nobody has seen it
        store.answer(rater.id, order, order[2], 3, NOW)
    assert store.answers() == before


def test_nothing_comes_after_the_last_item(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [3] * len(order))
    with pytest.raises(OutOfOrder):
        store.answer(rater.id, order, order[0], 3, NOW)
    assert store.answer(rater.id, order, order[-1], 3, NOW) == "same"


@pytest.mark.parametrize("rating", [0, 6, -1, 2.5, "bad", None])
def test_the_database_itself_refuses_what_is_no_rating(store, package, rating):
    rater, order, _ = enrol(store, package)
    store.show(rater.id, order[0], NOW)
    with pytest.raises(sqlite3.IntegrityError):
        store.answer(rater.id, order, order[0], rating, NOW)
    assert store.answers() == []


def test_pairs_have_their_own_scale(tmp_path):
    package = read_package(write_sample_package(tmp_path / "p", design="pairs", items=4))
    store = Store(tmp_path / "s.sqlite", package)
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [-1, 0, 1])
    assert [a.rating for a in store.answers()] == [-1, 0, 1]
    store.show(rater.id, order[3], NOW)
    with pytest.raises(sqlite3.IntegrityError):
        store.answer(rater.id, order, order[3], 2, NOW)
    store.close()


@pytest.mark.parametrize(("spent", "kept"), [(3.25, 3.25), (-40.0, 0.0), (1e6, MOST_SECONDS)])
def test_seconds_are_bounded(store, package, spent, kept):
    """A clock that was set back, and a rater who went for lunch."""
    rater, order, _ = enrol(store, package)
    store.show(rater.id, order[0], NOW)
    store.answer(rater.id, order, order[0], 3, NOW + spent)
    assert store.answers()[0].seconds == kept


def test_time_runs_from_the_first_look(store, package):
    """A page that is loaded again, or a look at the instructions, is no fresh start."""
    rater, order, _ = enrol(store, package)
    for later in (0, 20, 35):
        store.show(rater.id, order[0], NOW + later)
    store.answer(rater.id, order, order[0], 3, NOW + 40)
    assert store.answers()[0].seconds == 40.0


@pytest.mark.parametrize("away", [MOST_SECONDS + 1, 80_000, -40])
def test_who_was_away_begins_anew(store, package, away):
    """Who comes back the next day has not looked for a night; a clock may be set back."""
    rater, order, _ = enrol(store, package)
    store.show(rater.id, order[0], NOW)
    store.show(rater.id, order[0], NOW + away)
    store.answer(rater.id, order, order[0], 3, NOW + away + 2)
    assert store.answers()[0].seconds == 2.0


def test_a_look_back_without_another_answer_counts_for_the_open_item(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [4])
    store.show(rater.id, order[1], NOW + 10)
    store.show(rater.id, order[0], NOW + 12)  # back
    store.show(rater.id, order[1], NOW + 15)  # kept
    store.show(rater.id, order[0], NOW + 20)
    store.answer(rater.id, order, order[0], 5, NOW + 21)
    store.show(rater.id, order[1], NOW + 21)
    store.answer(rater.id, order, order[1], 3, NOW + 23)
    # The first look back is no part of the second one.
    assert [a.seconds for a in store.answers()] == [4.5 + 1, 13.0]


def test_one_answer_of_many_sent_at_once(store, package):
    """Impatient clicks, two windows: one row, and every sender hears of success."""
    rater, order, _ = enrol(store, package)
    store.show(rater.id, order[0], NOW)
    heard = []

    def send():
        heard.append(store.answer(rater.id, order, order[0], 3, NOW + 1))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heard) == ["same"] * 7 + ["saved"] and len(store.answers()) == 1


KILLED = """
import os, signal, sys
from labelsplat.study.package import read_package
from labelsplat.study.store import Store
package = read_package(sys.argv[1])
store = Store(sys.argv[2], package)
rater = store.raters()[0]
order = package.order(rater.slot)
for i in range(4):
    store.show(rater.id, order[i], 100.0 + i)
    print(store.answer(rater.id, order, order[i], 2, 100.5 + i), flush=True)
store.show(rater.id, order[4], 110.0)
store._db.execute("BEGIN IMMEDIATE")
store._db.execute("INSERT INTO answer VALUES (?, ?, 4, 1, 1.0, 111.0)", (rater.id, order[4]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_confirmed_outlives_a_kill_and_nothing_else_does(store, package):
    rater, order, token = enrol(store, package)
    library = str(Path(read_package.__code__.co_filename).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(package.root), str(store.path)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": library},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == ["saved"] * 4
    assert [a.item for a in store.answers()] == list(order[:4])
    # Also when the item was shown is known, so that the time on it is right.
    assert store.answer(rater.id, order, order[4], 5, 112.0) == "saved"
    assert store.answers()[4].seconds == 2.0 and store.rater(token).answers == 5


def test_settings_of_the_database(store):
    values = {
        name: store._db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
    }
    assert values == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1,
    }  # fmt: skip
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_stamps_leave_commits_durable(store, package):
    """Showing an item is written lightly; the answers after it must not be."""
    rater, order, _ = enrol(store, package)
    store.show(rater.id, order[0], NOW)
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] == 2


# -- withdrawal ----------------------------------------------------------------------------------


def test_an_erased_rater_leaves_no_trace(store, package):
    """Not in the tables, nor in the bytes of the files; others stay as they were."""
    rater, order, token = enrol(store, package)
    other, theirs, _ = enrol(store, package)
    rate(store, rater, order, [4, 2, 5], start=1_234_567_890.0)
    store.show(rater.id, order[2], NOW)
    store.answer(rater.id, order, order[2], 1, NOW)
    rate(store, other, theirs, [1, 3])
    marks = [token_digest(token), rater.pseudonym.encode()]
    assert all(any(m in p.read_bytes() for p in store.path.parent.iterdir()) for m in marks)

    assert erase_rater(store, rater.pseudonym) == 3

    assert [a.rater for a in store.answers()] == [other.pseudonym] * 2
    assert store.changes() == [] and store.rater(token) is None
    for table in ("shown", "change", "answer"):
        query = f"SELECT count(*) FROM {table} WHERE rater = ?"
        assert store._db.execute(query, (rater.id,)).fetchone() == (0,)
    for path in store.path.parent.iterdir():
        assert not any(m in path.read_bytes() for m in marks), path
    assert store.withdrawals() == {"human": 1}


def test_the_erased_can_do_nothing_more(store, package):
    rater, order, _ = enrol(store, package)
    store.erase(rater.pseudonym)
    for attempt in (
        lambda: store.show(rater.id, order[0], NOW),
        lambda: store.answer(rater.id, order, order[0], 3, NOW),
        lambda: store.consent(rater.id, NOW),
        lambda: store.erase(rater.pseudonym),
    ):
        with pytest.raises(UnknownRater):
            attempt()
    with pytest.raises(LabelsplatError, match="r001"):
        erase_rater(store, "r001")


def test_an_unused_link_is_no_withdrawal(store):
    store.issue(1, "human", 3, NOW)
    store.erase("r001")
    assert store.withdrawals() == {}


# -- files ---------------------------------------------------------------------------------------


def test_answers_are_there_when_opened_again(store, package):
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [3, 4])
    for again in (Store(store.path, package), Store(store.path)):
        assert again.answers() == store.answers() and again.study == package.study
        again.close()


def test_a_database_belongs_to_one_study(store, tmp_path):
    other = read_package(write_sample_package(tmp_path / "other", study="other", items=6))
    with pytest.raises(LabelsplatError, match=r"sample.*other.*--database"):
        Store(store.path, other)


def test_a_package_of_the_same_name_must_show_the_same(store, tmp_path):
    other = read_package(write_sample_package(tmp_path / "other", items=6, seed=1))
    with pytest.raises(LabelsplatError, match="other items or orders"):
        Store(store.path, other)


def test_databases_that_cannot_be_opened(tmp_path, package, store):
    with pytest.raises(LabelsplatError, match="missing"):
        Store(tmp_path / "none.sqlite")
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be read as one")
    with pytest.raises(LabelsplatError, match=r"text\.sqlite"):
        Store(tmp_path / "text.sqlite", package)
    with sqlite3.connect(tmp_path / "foreign.sqlite") as db:
        db.execute("CREATE TABLE somebody (x)")
    db.close()
    with pytest.raises(LabelsplatError, match="no database of a study"):
        Store(tmp_path / "foreign.sqlite", package)
    store._db.execute("PRAGMA user_version = 99")
    with pytest.raises(LabelsplatError, match="version 99"):
        Store(store.path, package)


# -- export and progress -------------------------------------------------------------------------


def test_export_is_the_contract_and_the_same_bytes_every_time(store, package, tmp_path):
    first, order, _ = enrol(store, package)
    second, theirs, _ = enrol(store, package)
    rate(store, second, theirs, [1, 2])  # who answers first does not stand first
    rate(store, first, order, [5])
    assert export_ratings(store, tmp_path / "a.csv") == 3
    assert export_ratings(store, tmp_path / "b.csv", "human") == 3
    text = (tmp_path / "a.csv").read_bytes()
    assert text == (tmp_path / "b.csv").read_bytes()
    lines = text.decode().splitlines()
    assert lines[0].split(",") == list(RATING_COLUMNS)
    assert lines[0] == "study,rater,origin,position,item,rating,seconds,answered_at"
    when = "2023-11-14T22:13:24.500Z"
    assert lines[1] == f"sample,r001,human,0,{order[0]},5,4.500,{when}"
    assert [line.split(",")[1:4] for line in lines[2:]] == [
        ["r002", "human", "0"], ["r002", "human", "1"],
    ]  # fmt: skip


def test_no_table_mixes_origins(store, package, tmp_path):
    for origin in ("human", "script"):
        rater, order, _ = enrol(store, package, origin)
        rate(store, rater, order, [3, 3])
    with pytest.raises(LabelsplatError, match=r"human, script.*--origin"):
        export_ratings(store, tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()
    assert export_ratings(store, tmp_path / "script.csv", "script") == 2
    assert "human" not in (tmp_path / "script.csv").read_text()


def test_nothing_to_export(store, tmp_path):
    with pytest.raises(LabelsplatError, match="no ratings"):
        export_ratings(store, tmp_path / "none.csv")


def test_times_are_utc():
    assert utc_text(0.0) == "1970-01-01T00:00:00.000Z"


def test_progress_tells_who_is_where(store, package):
    assert "no links yet" in progress_text(store)
    rater, order, _ = enrol(store, package)
    rate(store, rater, order, [3] * 6)
    under_way, theirs, _ = enrol(store, package)
    rate(store, under_way, theirs, [1, 2])
    enrol(store, package, "script")
    store.issue(1, "human", 3, NOW)
    enrol(store, package)
    store.erase("r005")
    lines = progress_text(store).splitlines()
    states = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line[:1] == "r"}
    assert states["r001"].startswith("human 6/6 done 2023-11-14 22:14")
    assert states["r002"].startswith("human 2/6 under way")
    assert states["r004"].startswith("human 0/6 link not used")
    assert "human: 3 links, 2 raters with answers, 1 done, 8 answers, 1 withdrawn" in lines
    assert "script: 1 links, 0 raters with answers, 0 done, 0 answers, 0 withdrawn" in lines
