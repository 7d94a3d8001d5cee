"""How long a stage took and how much memory it held, its child processes included."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path

from labelsplat.base.files import write_json
from labelsplat.base.parallel import cores

MIB = 2**20


class Meter:
    """Context manager that watches this process and everything below it.

    Memory is the sum of the proportional set sizes (PSS) of all these processes, sampled every
    ``interval`` seconds: pages that workers share count once. Where the system tells no PSS it is
    the resident size, which counts them in each process. A peak between two samples can be missed,
    so the largest resident size that the system itself recorded for ONE process is a lower bound.

    Attributes:
        seconds: wall-clock time, set on exit.
        peak_memory_mb: in MiB, set on exit.
    """

    def __init__(self, interval: float = 0.5):
        self.interval = interval
        self.seconds = 0.0
        self.peak_memory_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._start
        # Kilobytes on Linux, bytes on macOS.
        unit = 1 if os.uname().sysname == "Darwin" else 1024
        who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        largest = max(resource.getrusage(w).ru_maxrss for w in who) * unit / MIB
        self.peak_memory_mb = max(self.peak_memory_mb, largest)

    def _watch(self) -> None:
        import psutil

        me = psutil.Process()
        while True:
            total = _memory(me)
            for child in me.children(recursive=True):
                total += _memory(child)
            self.peak_memory_mb = max(self.peak_memory_mb, total / MIB)
            if self._stop.wait(self.interval):
                return


def _memory(process: object) -> int:
    """Bytes that one process holds; 0 if it has just ended."""
    import psutil

    try:
        with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def device_used(wanted: str | None) -> str:
    """``cpu`` or ``cuda``: what ``device: auto`` means here, found without importing torch.

    Stages without the parameter ``device`` run on the CPU.
    """
    if wanted != "auto":
        return wanted or "cpu"
    import ctypes
    import importlib.util

    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return "cpu"
    version = Path(spec.origin).with_name("version.py")
    if "cuda: Optional[str] = None" in version.read_text(encoding="utf-8"):
        return "cpu"  # a build of torch without CUDA
    try:
        cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        good = cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0
    except OSError:
        return "cpu"
    return "cuda" if good and count.value > 0 else "cpu"


def write_timing(path: str | Path, stage: str, meter: Meter, device: str) -> None:
    """Write a stage's ``reports/timing/<stage>.json``."""
    write_json(
        path,
        {
            "stage": stage,
            "seconds": round(meter.seconds, 1),
            "peak_memory_mb": round(meter.peak_memory_mb),
            "cores": cores(),
            "device": device,
        },
    )
