"""How the app bears many raters at once: ``python -m labelsplat.study.load``.

Starts the app as a process of its own on this machine with a made-up package and a database that is
deleted afterwards, and lets scripted raters (origin ``script``) answer for a while as browsers do:
page, pictures, answer. Timed is the acknowledgement: from sending an answer until the word that it
is on disk. At the end the database must hold what was acknowledged, no more and no less.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np

from labelsplat.base import LabelsplatError, write_json
from labelsplat.base.parallel import cores
from labelsplat.study.admin import issue_links
from labelsplat.study.package import Package, read_package
from labelsplat.study.process import AppProcess
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import Store

_ITEM = re.compile(r'name="item" value="([a-z0-9]+)"')
_PICTURE = re.compile(r'src="(picture/[^"]+)"')
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass
class _Tally:
    """What one scripted rater lived through."""

    seconds: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    given: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def _get(connection: http.client.HTTPConnection, path: str, tally: _Tally) -> str:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        tally.errors.append(f"GET: status {response.status}")
    return body.decode(errors="replace")


def _rater(
    connection: http.client.HTTPConnection,
    path: str,
    end: float,
    pause: float,
    seed: int,
    tally: _Tally,
) -> None:
    rng = random.Random(seed)
    time.sleep(rng.uniform(0, pause))  # people do not begin in step
    while time.monotonic() < end:
        begun = time.monotonic()
        page = _get(connection, f"{path}/rate", tally)
        tally.pages.append(time.monotonic() - begun)
        item = _ITEM.search(page)
        if not item:
            return
        for picture in _PICTURE.findall(page):
            _get(connection, f"{path}/{picture}", tally)
        time.sleep(rng.uniform(0.5, 1.5) * pause)
        rating = rng.randint(1, 5)
        body = urlencode({"item": item[1], "rating": rating})
        begun = time.monotonic()
        connection.request("POST", f"{path}/rate", body, _FORM)
        response = connection.getresponse()
        answer = response.read()
        if response.status == 200 and b'"saved"' in answer:
            tally.seconds.append(time.monotonic() - begun)
            tally.given[item[1]] = rating
        else:
            tally.errors.append(f"POST: status {response.status}")


def _guarded(link: str, end: float, pause: float, seed: int, tally: _Tally) -> None:
    at = urlsplit(link)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=30)
    try:
        _rater(connection, at.path, end, pause, seed, tally)
    except (OSError, http.client.HTTPException) as error:
        tally.errors.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _ready_raters(store: Store, package: Package, count: int, base: str) -> list[tuple[str, str]]:
    """Links of scripted raters who have agreed and practised."""
    now = time.time()
    links = issue_links(store, package, count, base, now, origin="script")
    for rater in store.raters():
        store.consent(rater.id, now)
        store.practised(rater.id, now)
    return links


def run_load(raters: int = 50, seconds: float = 60.0, pause: float = 1.0) -> dict[str, object]:
    """Let scripted raters answer for a while.

    Args:
        raters: at once.
        seconds: how long.
        pause: mean seconds that each looks at an item; 0 answers as fast as the app goes.

    Returns:
        ``cores`` and ``load_before`` (the machine's load of the last minute before it began, None
        where it is not known), ``acknowledged`` (answers), ``answers_per_second``, ``errors``,
        ``lost`` and ``doubled`` or otherwise wrong rows in the database, and ``p50``, ``p95``,
        ``max`` of the acknowledgement and ``page_p95`` of the next page, in milliseconds.

    Raises:
        LabelsplatError: fewer than one rater, no time, or the app does not start.
    """
    if raters < 1 or not seconds > 0 or pause < 0:
        raise LabelsplatError(f"{raters} raters for {seconds} s with pauses of {pause} s")
    machine = {
        "cores": cores(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    with tempfile.TemporaryDirectory(prefix="labelsplat-load-") as name:
        folder = Path(name)
        # More items than can be answered, at a rate that no person reaches.
        items = int(seconds * 20) + 1 if pause < 0.1 else int(seconds / pause * 2) + 2
        write_sample_package(folder / "package", items=items, orders=8, size=64)
        database = folder / "study.sqlite"
        package = read_package(folder / "package")
        store = Store(database, package)
        with AppProcess(folder / "package", database) as app:
            links = _ready_raters(store, package, raters, app.base)
            tallies = [_Tally() for _ in links]
            begun = time.monotonic()
            threads = [
                threading.Thread(target=_guarded, args=(link, begun + seconds, pause, i, tally))
                for i, ((_, link), tally) in enumerate(zip(links, tallies, strict=True))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            lasted = time.monotonic() - begun
        kept: dict[str, list[tuple[str, int]]] = {rater: [] for rater, _ in links}
        for answer in store.answers():
            kept[answer.rater].append((answer.item, answer.rating))
        store.close()
    given = {rater: t.given for (rater, _), t in zip(links, tallies, strict=True)}
    return machine | _summary(raters, pause, lasted, tallies, given, kept)


def _summary(
    raters: int,
    pause: float,
    lasted: float,
    tallies: list[_Tally],
    given: dict[str, dict[str, int]],
    kept: dict[str, list[tuple[str, int]]],
) -> dict[str, object]:
    times = np.array([s for tally in tallies for s in tally.seconds]) * 1000
    pages = np.array([s for tally in tallies for s in tally.pages]) * 1000
    pairs = {(rater, *row) for rater, rows in kept.items() for row in rows}
    sent = {(rater, *row) for rater, rows in given.items() for row in rows.items()}
    rows = sum(map(len, kept.values()))
    return {
        "raters": raters,
        "seconds": round(lasted, 2),
        "pause": pause,
        "acknowledged": int(times.size),
        "answers_per_second": round(times.size / lasted, 2),
        "p50": round(float(np.percentile(times, 50)), 1) if times.size else None,
        "p95": round(float(np.percentile(times, 95)), 1) if times.size else None,
        "max": round(float(times.max()), 1) if times.size else None,
        "page_p95": round(float(np.percentile(pages, 95)), 1) if pages.size else None,
        "errors": sum(len(tally.errors) for tally in tallies),
        "error_texts": sorted({text for tally in tallies for text in tally.errors})[:10],
        "lost": len(sent - pairs),
        "doubled": rows - len({pair[:2] for pair in pairs}),
        "rows": rows,
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the load and print what came of it; 1 if an answer was lost, doubled or refused."""
    parser = argparse.ArgumentParser(
        prog="labelsplat.study.load", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pause", type=float, default=1, help="mean seconds a rater looks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, too")
    options = parser.parse_args(arguments)
    try:
        found = run_load(options.raters, options.seconds, options.pause)
    except LabelsplatError as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    for name, value in found.items():
        unit = " ms" if name in ("p50", "p95", "max", "page_p95") and value is not None else ""
        print(f"{name.replace('_', ' '):19} {value}{unit}")
    if options.json:
        write_json(options.json, found)
    return int(bool(found["errors"] or found["lost"] or found["doubled"]))


if __name__ == "__main__":
    sys.exit(main())
