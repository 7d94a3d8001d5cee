"""Copies of the answers while people answer."""

import shutil
import sqlite3
import stat
import threading

import pytest

from labelsplat.__main__ import main
from labelsplat.base import LabelsplatError
from labelsplat.study.store import Store

NOW = 1_700_000_000.0


def enrol(store, package, count=1):
    """Raters who are ready for the first item."""
    store.issue(count, "script", len(package.orders), NOW)
    for rater in store.raters():
        store.consent(rater.id, NOW)
        store.practised(rater.id, NOW)
    return store.raters()


def rate(store, package, rater):
    order = package.order(rater.slot)
    for item in order:
        store.show(rater.id, item, NOW)
        store.answer(rater.id, order, item, 4, NOW + 2)


def test_a_backup_holds_what_a_copy_of_the_file_does_not(store, package, tmp_path):
    """While the study runs, confirmed answers stand in the log beside the database."""
    rate(store, package, enrol(store, package)[0])
    shutil.copy(store.path, tmp_path / "copied.sqlite")
    with sqlite3.connect(tmp_path / "copied.sqlite") as db:
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        copied = db.execute("SELECT count(*) FROM answer").fetchone()[0] if tables else 0
    db.close()
    assert copied < len(store.answers())

    path = tmp_path / "new" / "backup.sqlite"
    assert store.backup(path) == len(store.answers()) == 6
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # it needs no log
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Store(path, package)
    assert again.answers() == store.answers() and again.raters() == store.raters()
    rater = again.raters()[0]
    again.erase(rater.pseudonym)  # all of a study works on it
    assert again.answers() == [] and len(store.answers()) == 6
    again.close()


def test_backups_while_answers_come_in_are_whole(store, package, tmp_path):
    raters = enrol(store, package, 3)
    writers = [threading.Thread(target=rate, args=(store, package, rater)) for rater in raters]
    other = Store(store.path)  # as of another process
    for writer in writers:
        writer.start()
    counts = [other.backup(tmp_path / f"{i}.sqlite") for i in range(5)]
    for writer in writers:
        writer.join()
    counts.append(other.backup(tmp_path / "5.sqlite"))
    other.close()
    assert counts == sorted(counts) and counts[-1] == 3 * 6
    final = {(a.rater, a.item): a for a in store.answers()}
    for i, count in enumerate(counts):
        copy = Store(tmp_path / f"{i}.sqlite", package)
        assert len(copy.answers()) == count
        assert all(final[a.rater, a.item] == a for a in copy.answers())
        copy.close()


def test_a_backup_replaces_nothing(store, package, tmp_path):
    enrol(store, package)
    taken = tmp_path / "taken"
    taken.write_text("years of work")
    for path in (taken, store.path, tmp_path):
        with pytest.raises(LabelsplatError, match="Name another file"):
            store.backup(path)
    with pytest.raises(LabelsplatError, match="cannot be written"):
        store.backup(taken / "inside.sqlite")
    assert taken.read_text() == "years of work" and len(store.raters()) == 1
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_the_command(store, package, tmp_path, capsys):
    rate(store, package, enrol(store, package)[0])
    at = ["--database", str(store.path)]
    assert main(["study", "backup", str(tmp_path / "b.sqlite"), *at]) == 0
    assert "6 answers are copied" in capsys.readouterr().out
    assert main(["study", "backup", *at]) == 0  # by a name of its own
    assert len(list(store.path.parent.glob("backup-*.sqlite"))) == 1
    assert main(["study", "backup", str(tmp_path / "b.sqlite"), *at]) == 1
    assert main(["study", "backup", "--database", str(tmp_path / "none.sqlite")]) == 1
    assert "no answers yet" in capsys.readouterr().err
