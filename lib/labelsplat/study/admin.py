"""What whoever runs the study sees and does: links, progress, copies, erasure."""

from __future__ import annotations

from pathlib import Path

from labelsplat.base import LabelsplatError
from labelsplat.study.exchange import utc_text
from labelsplat.study.package import ORIGINS, Package
from labelsplat.study.store import Rater, Store, UnknownRater
from labelsplat.study.tokens import personal_link, write_links


def issue_links(
    store: Store,
    package: Package,
    count: int,
    base: str,
    now: float,
    *,
    origin: str,
    out: Path | None = None,
) -> list[tuple[str, str]]:
    """Issue personal links, and write them to a file that its owner alone may read.

    Args:
        store: of the package's study.
        package: its number of orders decides who sees which.
        count: how many.
        base: where raters reach the app.
        now: seconds since 1970.
        origin: who will answer; cannot be changed later.
        out: file to write; None writes none.

    Returns:
        (pseudonym, link) a rater.

    Raises:
        LabelsplatError: see :meth:`Store.issue` and :func:`write_links`; no link is issued then.
    """
    links: list[tuple[str, str]] = []

    def hand_out(rows: list[tuple[str, str]]) -> None:
        links.extend((name, personal_link(base, token)) for name, token in rows)
        if out is not None:
            write_links(out, links)

    store.issue(count, origin, len(package.orders), now, hand_out)
    return links


def erase_rater(store: Store, pseudonym: str) -> int:
    """Erase a rater by pseudonym; how many answers are gone.

    Raises:
        LabelsplatError: no such rater.
    """
    try:
        return store.erase(pseudonym)
    except UnknownRater:
        raise LabelsplatError(
            f"no rater is called {pseudonym!r}",
            where=store.path,
            remedy="`make study-admin` lists them",
        ) from None


def _state(rater: Rater, items: int) -> str:
    if rater.consented is None:
        return "link not used"
    if rater.practised is None:
        return "before the first item"
    return "done" if rater.answers >= items else "under way"


def progress_text(store: Store) -> str:
    """How far the raters are, as a table; sums by origin below it."""
    raters, lengths = store.raters(), store.lengths()
    lines = [f"study {store.study}, {store.path}"]
    if raters:
        lines.append(f"\n{'rater':8} {'origin':11} {'answers':>9}  {'state':22} last seen (UTC)")
    done = dict.fromkeys(ORIGINS, 0)
    for rater in raters:
        items = lengths[rater.slot % len(lengths)]
        state = _state(rater, items)
        done[rater.origin] += state == "done"
        answers = f"{rater.answers}/{items}"
        seen = utc_text(rater.seen)[:16].replace("T", " ") if rater.seen else "–"
        lines.append(f"{rater.pseudonym:8} {rater.origin:11} {answers:>9}  {state:22} {seen}")
    gone = store.withdrawals()
    lines.append("")
    for origin in ORIGINS:
        mine = [rater for rater in raters if rater.origin == origin]
        if not mine and origin not in gone:
            continue
        lines.append(
            f"{origin}: {len(mine)} links, {sum(r.answers > 0 for r in mine)} raters with answers, "
            f"{done[origin]} done, {sum(r.answers for r in mine)} answers, "
            f"{gone.get(origin, 0)} withdrawn"
        )
    if not raters:
        lines.append('no links yet: make study-tokens STUDY="--count 3 --origin script" to try it')
    changes = len(store.changes())
    lines.append(f"answers taken back and given anew: {changes}")
    for digest, _, agreed in store.consents():
        lines.append(f"agreed to the consent text {digest[:8]}: {agreed} of the raters above")
    return "\n".join(lines)
