"""The capture stage: fill the trees that all later stages read."""

from __future__ import annotations

import shutil
from pathlib import Path

from labelsplat.base import CaptureError, read_json, write_json
from labelsplat.base.layout import Layout
from labelsplat.capture.doors import list_subjects, open_capture
from labelsplat.capture.embedded import (
    Photographed,
    count_sets,
    default_jobs,
    make_sets,
    write_groups,
)
from labelsplat.capture.head_checks import SECONDS, check_heads
from labelsplat.capture.pools import EMBEDDED, open_pools, write_pool
from labelsplat.capture.publish import is_publishable, publishable_ids
from labelsplat.capture.source import content_digest, source_root

GROUPS = ("standard", "validation")


def gather(layout: Layout, capture: dict, seed: int) -> list[Photographed]:
    """Write all sets below ``layout.data`` and their counts.

    With another source than ``embedded`` the capture is the user's, read in place: ``data/capture``
    then holds only a note of where it lies, and truth and heldout stay empty. The pools that the
    parser learns from and is tested on are embedded heads, unless ``standard_source`` and
    ``test_source`` name labelled sets; embedded test heads go with embedded captures alone.

    Args:
        layout: the project's tree.
        capture: section ``capture`` of params.yaml.
        seed: of the run.

    Raises:
        CaptureError: the user's capture or labelled set cannot be opened.
        ParameterError: sets that share identities.
    """
    embedded = capture["source"] == EMBEDDED
    # The user's folders first: a typo must not cost minutes of drawing, nor what was there before.
    note = None if embedded else _look_at(layout, capture)
    pools = open_pools(layout, capture)
    roots = [layout.capture, layout.truth, layout.standard, layout.heldout, layout.test]
    for root in roots:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
    wanted = {"capture", "test", "hard"} if embedded and "test" not in pools else set()
    wanted |= {"capture"} if embedded else set()
    wanted |= set(GROUPS)
    wanted -= {group for _, groups in pools.values() for group in groups}
    jobs = [job for job in default_jobs(layout, capture) if job.group in wanted]
    done = make_sets(
        jobs,
        size=capture["size"],
        supersample=capture["supersample"],
        seed=seed,
        processes=capture["processes"],
    )
    places = {
        "standard": (layout.standard_photos, layout.standard_labels),
        "test": (layout.test_photos, layout.test_truth),
    }
    for pool, (found, groups) in pools.items():
        done += write_pool(found, groups, *places[pool], capture["size"])
    write_groups(layout.standard / "groups.json", done, GROUPS)
    counts: dict = count_sets(done)
    if note is not None:
        write_json(layout.capture / "capture.json", note)
        counts["images"]["capture"] = sum(note["views"].values())
        counts["identities"]["capture"] = len(note["views"])
    counts |= check_heads(
        capture["test_first"],
        capture["checked_pairs"] if jobs else 0,
        supersample=capture["supersample"],
        seed=seed,
        processes=capture["processes"],
    )
    # Times lie where no other stage looks.
    times = {name: counts.pop(name) for name in SECONDS}
    write_json(layout.head_times, times)
    write_json(layout.capture_counts, counts)
    return done


def _look_at(layout: Layout, capture: dict) -> dict:
    """What is noted of a user's captures: source, root, and of each its views and a digest."""
    root = source_root(layout, capture)
    names = list_subjects(capture["source"], root, capture["subjects"])
    found = {name: open_capture(root, name, capture["source"]) for name in names}
    ids = publishable_ids(capture.get("publishable_ids", []), layout.root)
    return {
        "source": capture["source"],
        "root": str(root),
        "views": {name: len(one.views) for name, one in found.items()},
        # The photos stay where they are: what later stages depend on is this file.
        "digests": {name: content_digest(one) for name, one in found.items()},
        # Of whom the chapters may show pictures.
        "shown": [name for name in names if is_publishable(name, ids)],
    }


def shown_subjects(layout: Layout) -> list[str]:
    """The subjects to be refined of whom pictures may be shown: all, but where a list says less.

    Raises:
        CaptureError: the capture stage has not run, or the capture has gone.
    """
    *_, subjects = capture_root(layout)
    note = layout.capture / "capture.json"
    return list(read_json(note).get("shown", subjects)) if note.is_file() else subjects


def capture_root(layout: Layout) -> tuple[str, Path, list[str]]:
    """Where the captures to be refined lie: (source, root, subjects).

    Raises:
        CaptureError: the capture stage has not run, or the capture has gone.
    """
    note = layout.capture / "capture.json"
    if note.is_file():
        value = read_json(note)
        return value["source"], Path(value["root"]), list(value["views"])
    if not layout.capture.is_dir():
        raise CaptureError("no captures", where=layout.capture, remedy="Run `make repro` first")
    return "facescape", layout.capture, list_subjects("facescape", layout.capture)
