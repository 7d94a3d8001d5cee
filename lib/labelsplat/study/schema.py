"""The tables of the answers' database, and how it is opened.

======================  ===========================================================================
``study``               the one study that the file belongs to, and how long its orders are
``rater``               pseudonym, digest of the token, origin, slot (which order), when what began,
                        and to which text he or she agreed
``consent``             every text that somebody agreed to, as the page said it
``shown``               items on screen that wait for an answer, with the time they were shown
``answer``              one row a (rater, item), unique, the rating within the design's scale
``change``              what a rater took back: the answer before, and when
``withdrawal``          how many raters had their data erased, without saying who
======================  ===========================================================================

Times are seconds since 1970 (UTC). Rows of a rater go with the rater.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import tempfile
from pathlib import Path

from labelsplat.base import LabelsplatError
from labelsplat.study.package import ORIGINS, Package

VERSION = 2
"""Of the schema; kept in the file's ``user_version``."""

_APPLICATION = 0x6C737374  # "lsst": tells such a file from any other SQLite database

_TABLES = """
CREATE TABLE study (
  one INTEGER PRIMARY KEY CHECK (one = 1), study TEXT NOT NULL, design TEXT NOT NULL,
  orders TEXT NOT NULL, lengths TEXT NOT NULL);
CREATE TABLE consent (digest TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE rater (
  id INTEGER PRIMARY KEY AUTOINCREMENT, pseudonym TEXT NOT NULL UNIQUE,
  digest BLOB NOT NULL UNIQUE, origin TEXT NOT NULL CHECK (origin IN ({origins})),
  slot INTEGER NOT NULL CHECK (slot >= 0), issued REAL NOT NULL, consented REAL, practised REAL,
  seen REAL, agreed TEXT REFERENCES consent (digest),
  CHECK ((consented IS NULL) = (agreed IS NULL)));
CREATE TABLE shown (
  rater INTEGER NOT NULL REFERENCES rater (id) ON DELETE CASCADE, item TEXT NOT NULL,
  at REAL NOT NULL, PRIMARY KEY (rater, item));
CREATE TABLE answer (
  rater INTEGER NOT NULL REFERENCES rater (id) ON DELETE CASCADE, item TEXT NOT NULL,
  position INTEGER NOT NULL CHECK (position >= 0),
  rating INTEGER NOT NULL CHECK (typeof(rating) = 'integer' AND rating BETWEEN {low} AND {high}),
  seconds REAL NOT NULL CHECK (seconds >= 0), answered REAL NOT NULL,
  UNIQUE (rater, item), UNIQUE (rater, position));
CREATE TABLE change (
  id INTEGER PRIMARY KEY, rater INTEGER NOT NULL, item TEXT NOT NULL, rating INTEGER NOT NULL,
  seconds REAL NOT NULL, answered REAL NOT NULL, changed REAL NOT NULL,
  FOREIGN KEY (rater, item) REFERENCES answer (rater, item) ON DELETE CASCADE);
CREATE INDEX change_of ON change (rater, item);
CREATE TABLE withdrawal (
  origin TEXT PRIMARY KEY CHECK (origin IN ({origins})), raters INTEGER NOT NULL);
CREATE TRIGGER origin_is_fixed BEFORE UPDATE OF origin ON rater
BEGIN SELECT RAISE(ABORT, 'the origin of a rater is fixed'); END;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits durably, keeps foreign keys and overwrites what it deletes."""
    # autocommit: transactions are begun and ended by name alone.
    db = sqlite3.connect(path, timeout=15, isolation_level=None, check_same_thread=False)
    for setting in (
        "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "secure_delete = ON",
        "trusted_schema = OFF",
    ):  # fmt: skip
        db.execute(f"PRAGMA {setting}")
    return db


def orders_digest(package: Package) -> str:
    """What must not change under a running study: the design and who sees what when."""
    text = json.dumps([package.design, package.practice, package.orders])
    return hashlib.sha256(text.encode()).hexdigest()


def open_database(path: str | Path, package: Package | None) -> tuple[sqlite3.Connection, str]:
    """Open the answers of a package's study, made anew where there are none.

    Args:
        path: of the database.
        package: whose answers they are; None takes what is there.

    Returns:
        the connection, and the study's id.

    Raises:
        LabelsplatError: no such database (without a package), one of another study, version or
            kind, or one that cannot be opened.
    """
    path = Path(path)
    fresh = not path.exists()
    if fresh and package is None:
        raise LabelsplatError(
            "no answers yet, the database is missing",
            where=path,
            remedy="Start the study first (`make study`), or name its database by --database",
        )
    try:
        if fresh:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Owner-only before anything is in it; SQLite gives its side files the same mode.
            path.touch(mode=0o600)
        db = connect(path)
        try:
            return db, _bind(db, path, package)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise LabelsplatError(f"the database cannot be opened ({error})", where=path) from None


def copy_database(db: sqlite3.Connection, path: str | Path) -> int:
    """Copy a database that may be in use, with what still stands in its write-ahead log.

    Copying the file itself would leave that out: while the study runs, confirmed answers may be in
    the log alone. The copy is one file without a log, checked and on disk.

    Args:
        db: open, without a transaction.
        path: a file that is not there yet.

    Returns:
        how many answers are in the copy.

    Raises:
        LabelsplatError: the file is there already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise LabelsplatError(
            "the file exists, and may be the only copy of something",
            where=path,
            remedy="Name another file",
        )
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Owner-only from the first byte on, and never seen half-written under its name.
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        temporary = Path(name)
        os.close(handle)
        with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
            answers = copy.execute("SELECT count(*) FROM answer").fetchone()[0]
        if found != "ok":
            raise LabelsplatError(f"the copy is damaged ({found})", where=path)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        return answers
    except (sqlite3.Error, OSError) as error:
        raise LabelsplatError(f"the backup cannot be written ({error})", where=path) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _bind(db: sqlite3.Connection, path: Path, package: Package | None) -> str:
    db.execute("BEGIN IMMEDIATE")  # two that start at once must not both make the tables
    empty = not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if empty and package is not None:
        scale = package.scale
        origins = ", ".join(f"'{name}'" for name in ORIGINS)
        script = _TABLES.format(low=min(scale), high=max(scale), origins=origins)
        for statement in _statements(script):
            db.execute(statement)
        db.execute(
            "INSERT INTO study VALUES (1, ?, ?, ?, ?)",
            (
                package.study,
                package.design,
                orders_digest(package),
                json.dumps([len(order) for order in package.orders]),
            ),
        )
        db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
    kind = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if kind != _APPLICATION:
        raise LabelsplatError("this is no database of a study", where=path)
    if version != VERSION:
        raise LabelsplatError(
            f"a database of version {version}, this program reads {VERSION}",
            where=path,
            remedy="Use the version of this program that the study was begun with",
        )
    study, orders = db.execute("SELECT study, orders FROM study").fetchone()
    db.execute("COMMIT")
    remedy = "Name another database by --database, or the package that it was begun with"
    if package is not None and study != package.study:
        raise LabelsplatError(
            f"holds answers of study {study!r}, the package is study {package.study!r}",
            where=path,
            remedy=remedy,
        )
    if package is not None and orders != orders_digest(package):
        raise LabelsplatError(
            f"the package calls itself {study!r} too, but shows other items or orders than the "
            "one that this study was begun with",
            where=path,
            remedy=remedy,
        )
    return str(study)


def _statements(script: str) -> list[str]:
    """Single statements: ``executescript`` would commit the transaction that it runs in."""
    found, text = [], ""
    for line in script.splitlines():
        text += line + "\n"
        if text.strip() and sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
