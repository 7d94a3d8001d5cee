"""Independent jobs (a subject, a training arm) on several processes, with a progress bar.

A job is a pure function of plain arguments that writes files, so that it runs as well in a loop, in
these processes, or on a cluster.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Result = TypeVar("Result")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent(parent: int) -> None:
    """Make this worker end when the process that started it has gone (killed, out of memory)."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_jobs(
    function: Callable[..., Result],
    jobs: Iterable[Sequence[object]],
    *,
    processes: int,
    description: str,
) -> list[Result]:
    """Call ``function(*job)`` for each job; results in the order of the jobs.

    Every worker computes on ONE thread: results then do not depend on how many run side by side.

    Args:
        function: importable by name, with arguments and results that can be pickled.
        jobs: argument tuples.
        processes: how many at a time; 0 = one a core.
        description: what the progress bar calls them.

    Raises:
        Exception: the first error of a job; the jobs that have not begun are dropped.
    """
    from tqdm.auto import tqdm

    jobs = list(jobs)
    workers = min(processes or cores(), len(jobs))
    results: list = [None] * len(jobs)
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        # "spawn": a forked child would inherit the locked state of its parent's thread pools.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            max(workers, 1),
            mp_context=context,
            initializer=_end_with_parent,
            initargs=(os.getpid(),),
        ) as pool:
            places = {pool.submit(function, *job): i for i, job in enumerate(jobs)}
            try:
                for done in tqdm(as_completed(places), description, total=len(jobs)):
                    results[places[done]] = done.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return results
