"""Answers in SQLite: what is acknowledged is on disk, what a rater takes back is gone.

Every answer is one row a (rater, item). It is taken for the item that is next in the rater's order,
or changes the one before; everything else is :class:`OutOfOrder`. The same answer once more is the
same row, so that a browser may send it again until it hears that it arrived.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labelsplat.base import LabelsplatError
from labelsplat.study.package import ORIGINS, Package
from labelsplat.study.schema import copy_database, open_database
from labelsplat.study.tokens import new_token, token_digest

MOST_SECONDS = 600.0
"""Longer times on an item are kept as this, and who looks again later begins anew: the rater was
away."""


def text_digest(text: str) -> str:
    """What a consent text is known by."""
    return hashlib.sha256(text.encode()).hexdigest()


class OutOfOrder(Exception):
    """An answer to an item that is neither next nor the last one, or that was not shown."""


class UnknownRater(Exception):
    """The rater's data are erased."""


@dataclass(frozen=True)
class Rater:
    """One rater.

    Attributes:
        id: within the database.
        pseudonym: what ratings are stored under, e.g. ``r001``.
        origin: one of :data:`~labelsplat.study.package.ORIGINS`.
        slot: which order the rater sees, for ``Package.order``.
        answers: given so far.
        issued, consented, practised, seen: seconds since 1970; None if it did not happen yet.
        agreed: digest of the text that the rater agreed to, see :meth:`Store.consents`.
    """

    id: int
    pseudonym: str
    origin: str
    slot: int
    answers: int
    issued: float
    consented: float | None
    practised: float | None
    seen: float | None
    agreed: str | None


@dataclass(frozen=True)
class Answer:
    """One rating: the rater's pseudonym, where it stands in the rater's order, and when it came."""

    rater: str
    origin: str
    position: int
    item: str
    rating: int
    seconds: float
    answered: float


_RATER = (
    "SELECT r.id, r.pseudonym, r.origin, r.slot, "
    "(SELECT count(*) FROM answer a WHERE a.rater = r.id), "
    "r.issued, r.consented, r.practised, r.seen, r.agreed FROM rater r"
)


class Store:
    """The answers of one study. May be used by several threads and several processes at once.

    Args:
        path: of the database, made anew where there is none.
        package: whose answers they are; None opens what is there, for reading and erasing.

    Raises:
        LabelsplatError: see :func:`labelsplat.study.schema.open_database`.
    """

    def __init__(self, path: str | Path, package: Package | None = None):
        self.path = Path(path)
        self._db, self.study = open_database(path, package)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def _write(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that is on disk when this ends without an error."""
        with self._lock:
            if not durable:
                # Outlives a killed process all the same; only a power cut may take it back.
                self._db.execute("PRAGMA synchronous = NORMAL")
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            finally:
                if not durable:
                    self._db.execute("PRAGMA synchronous = FULL")

    def _all(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # -- raters ------------------------------------------------------------------------------

    def issue(
        self,
        count: int,
        origin: str,
        orders: int,
        now: float,
        hand_out: Callable[[list[tuple[str, str]]], object] = lambda rows: None,
    ) -> list[tuple[str, str]]:
        """Add raters, each with the order that fewest of the same origin have so far.

        Args:
            count: how many.
            origin: who will answer.
            orders: how many orders the package has.
            now: seconds since 1970.
            hand_out: gets the rows before they are kept; if it fails, no rater is added.

        Returns:
            (pseudonym, token) a rater. The tokens are nowhere else.

        Raises:
            LabelsplatError: no rater, or an unknown origin.
        """
        if count < 1 or origin not in ORIGINS:
            raise LabelsplatError(
                f"{count} raters of origin {origin!r}: at least one, of {ORIGINS}"
            )
        with self._write() as db:
            used = dict.fromkeys(range(orders), 0)
            taken = "SELECT slot, count(*) FROM rater WHERE origin = ? GROUP BY slot"
            used |= {slot: times for slot, times in db.execute(taken, (origin,)) if slot in used}
            rows = []
            for _ in range(count):
                slot = min(used, key=lambda name: (used[name], name))
                used[slot] += 1
                token = new_token()
                row = ("", token_digest(token), origin, slot, now)
                found = db.execute(
                    "INSERT INTO rater (pseudonym, digest, origin, slot, issued) "
                    "VALUES (?, ?, ?, ?, ?)", row,
                )  # fmt: skip
                # Numbers are never used again, so that an erased rater stays the only one of it.
                name = f"r{found.lastrowid:03d}"
                db.execute("UPDATE rater SET pseudonym = ? WHERE id = ?", (name, found.lastrowid))
                rows.append((name, token))
            hand_out(rows)
        return rows

    def rater(self, token: str) -> Rater | None:
        """Whose token it is, None if nobody's."""
        digest = token_digest(token)
        found = self._all(f"{_RATER} WHERE r.digest = ?", (digest,)) if digest else []
        return Rater(*found[0]) if found else None

    def raters(self) -> list[Rater]:
        """All of them in the order in which their links were issued."""
        return [Rater(*row) for row in self._all(f"{_RATER} ORDER BY r.id")]

    def consent(self, rater: int, now: float, text: str = "") -> None:
        """Note that the rater agreed, and to what; the first time counts.

        Args:
            rater: id.
            now: seconds since 1970.
            text: as the rater has read it, "" for a script that reads nothing; kept once, however
                many agree to it.
        """
        digest = text_digest(text)
        with self._write() as db:
            db.execute("INSERT INTO consent VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, text))
            query = (
                "UPDATE rater SET agreed = coalesce(agreed, ?), "
                "consented = coalesce(consented, ?), seen = ? WHERE id = ?"
            )
            if not db.execute(query, (digest, now, now, rater)).rowcount:
                raise UnknownRater

    def consents(self) -> list[tuple[str, str, int]]:
        """(digest, text, how many raters who are there now agreed to it), the oldest first."""
        return self._all(
            "SELECT c.digest, c.text, (SELECT count(*) FROM rater r WHERE r.agreed = c.digest) "
            "FROM consent c ORDER BY c.rowid"
        )

    def practised(self, rater: int, now: float) -> None:
        """Note that the rater has seen the practice items; the first time counts."""
        with self._write() as db:
            query = "UPDATE rater SET practised = coalesce(practised, ?), seen = ? WHERE id = ?"
            if not db.execute(query, (now, now, rater)).rowcount:
                raise UnknownRater

    def lengths(self) -> list[int]:
        """How many items each order has, for ``Rater.slot``."""
        return json.loads(self._all("SELECT lengths FROM study")[0][0])

    # -- answers -----------------------------------------------------------------------------

    def show(self, rater: int, item: str, now: float) -> None:
        """Note that an item is on the rater's screen from now on.

        Time on it runs from the first look until the answer: a page that is loaded again does not
        set it back, and a look at the instructions, or back at the last item, counts. Who was away
        for longer than :data:`MOST_SECONDS` begins anew.
        """
        with self._write(durable=False) as db:
            if not db.execute("UPDATE rater SET seen = ? WHERE id = ?", (now, rater)).rowcount:
                raise UnknownRater
            # A look back that ended without another answer.
            db.execute(
                "DELETE FROM shown WHERE rater = ?1 AND item <> ?2 AND item IN "
                "(SELECT item FROM answer WHERE rater = ?1)", (rater, item),
            )  # fmt: skip
            db.execute(
                "INSERT INTO shown VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at "
                "WHERE excluded.at NOT BETWEEN at AND at + ?", (rater, item, now, MOST_SECONDS),
            )  # fmt: skip

    def answer(self, rater: int, order: Sequence[str], item: str, rating: int, now: float) -> str:
        """Take an answer; when this returns it is on disk.

        Args:
            rater: id.
            order: the rater's items.
            item: must be the one after those that are answered (and have been shown), or the last
                answered one, whose rating it then changes.
            rating: within the scale, else the database refuses it.
            now: seconds since 1970.

        Returns:
            ``saved``, ``changed``, or ``same`` if it stood there before.

        Raises:
            OutOfOrder: any other item.
            UnknownRater: no such rater (any more).
        """
        with self._write() as db:
            if not db.execute("UPDATE rater SET seen = ? WHERE id = ?", (now, rater)).rowcount:
                raise UnknownRater
            query = "SELECT count(*) FROM answer WHERE rater = ?"
            done = db.execute(query, (rater,)).fetchone()[0]
            query = "SELECT at FROM shown WHERE rater = ? AND item = ?"
            shown = db.execute(query, (rater, item)).fetchone()
            spent = min(max(now - shown[0], 0.0), MOST_SECONDS) if shown else 0.0
            if done < len(order) and item == order[done] and shown:
                row = (rater, item, done, rating, round(spent, 3), round(now, 3))
                db.execute("INSERT INTO answer VALUES (?, ?, ?, ?, ?, ?)", row)
                outcome = "saved"
            elif done and item == order[done - 1]:
                outcome = self._change(db, rater, item, rating, spent, now)
            else:
                raise OutOfOrder(item)
            db.execute("DELETE FROM shown WHERE rater = ? AND item = ?", (rater, item))
        return outcome

    @staticmethod
    def _change(
        db: sqlite3.Connection, rater: int, item: str, rating: int, spent: float, now: float
    ) -> str:
        of = (rater, item)
        query = "SELECT rating, seconds FROM answer WHERE rater = ? AND item = ?"
        before, seconds = db.execute(query, of).fetchone()
        if before == rating:
            return "same"
        db.execute(
            "INSERT INTO change (rater, item, rating, seconds, answered, changed) "
            "SELECT rater, item, rating, seconds, answered, ? FROM answer "
            "WHERE rater = ? AND item = ?", (round(now, 3), *of),
        )  # fmt: skip
        # Time on the item is the time of both looks.
        total = round(min(seconds + spent, MOST_SECONDS), 3)
        db.execute(
            "UPDATE answer SET rating = ?, seconds = ?, answered = ? "
            "WHERE rater = ? AND item = ?", (rating, total, round(now, 3), *of),
        )  # fmt: skip
        return "changed"

    def rating(self, rater: int, item: str) -> int | None:
        """What the rater said of an item, None if nothing."""
        query = "SELECT rating FROM answer WHERE rater = ? AND item = ?"
        found = self._all(query, (rater, item))
        return found[0][0] if found else None

    def answers(self, origin: str | None = None) -> list[Answer]:
        """All ratings by rater (in the order of issue) and position; of one origin if named."""
        query = (
            "SELECT r.pseudonym, r.origin, a.position, a.item, a.rating, a.seconds, a.answered "
            "FROM answer a JOIN rater r ON r.id = a.rater WHERE ?1 IS NULL OR r.origin = ?1 "
            "ORDER BY r.id, a.position"
        )
        return [Answer(*row) for row in self._all(query, (origin,))]

    def changes(self) -> list[tuple[str, str, int, float]]:
        """(pseudonym, item, the rating before, when it was changed), the oldest first."""
        return self._all(
            "SELECT r.pseudonym, c.item, c.rating, c.changed FROM change c "
            "JOIN rater r ON r.id = c.rater ORDER BY c.id"
        )

    def backup(self, path: str | Path) -> int:
        """Copy everything that was confirmed so far to a new file, which its owner alone may read.

        Returns:
            how many answers are in the copy.

        Raises:
            LabelsplatError: see :func:`labelsplat.study.schema.copy_database`.
        """
        with self._lock:
            return copy_database(self._db, path)

    # -- withdrawal --------------------------------------------------------------------------

    def erase(self, pseudonym: str) -> int:
        """Erase a rater: answers, changes, times and the link; only a count stays.

        Deleted rows are overwritten, and the write-ahead log is emptied, so that the files hold
        nothing of them either.

        Returns:
            how many answers are gone.

        Raises:
            UnknownRater: no such rater (any more).
            LabelsplatError: the rows are deleted, but another program reads the database, so that
                its log could not be emptied.
        """
        with self._write() as db:
            query = f"{_RATER} WHERE r.pseudonym = ?"
            row = db.execute(query, (pseudonym,)).fetchone()
            if row is None:
                raise UnknownRater(pseudonym)
            rater = Rater(*row)
            db.execute("DELETE FROM rater WHERE id = ?", (rater.id,))
            if rater.consented is not None:
                db.execute(
                    "INSERT INTO withdrawal VALUES (?, 1) "
                    "ON CONFLICT DO UPDATE SET raters = raters + 1", (rater.origin,),
                )  # fmt: skip
        busy = self._all("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        if busy:
            raise LabelsplatError(
                f"the answers of {pseudonym} are deleted, but traces stay in the log while another "
                "program reads the database",
                where=self.path,
                remedy="Close that program; the log is emptied when the study is stopped",
            )
        return rater.answers

    def withdrawals(self) -> dict[str, int]:
        """Raters who had agreed and were erased, by origin."""
        return dict(self._all("SELECT origin, raters FROM withdrawal ORDER BY origin"))
