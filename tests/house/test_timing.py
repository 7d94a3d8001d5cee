"""Memory of a whole tree of processes; what a log file shows of a progress bar."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import psutil

from labelsplat.base import read_json
from labelsplat.report import timing
from labelsplat.report.terminal import Terminal
from labelsplat.report.timing import Meter

HOLD = """
x = bytearray(80 << 20)
x[::4096] = b"1" * len(x[::4096])
print("ready", flush=True)
input()
"""
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {HOLD!r}])
"""


def test_memory_of_child_processes_and_theirs_is_counted():
    own = psutil.Process().memory_full_info()
    alone = getattr(own, "pss", own.rss) / (1 << 20)
    with Meter(interval=0.05) as both:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children = [
            subprocess.Popen([sys.executable, "-c", code], **pipes) for code in (HOLD, PARENT)
        ]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        time.sleep(0.3)
        for child in children:
            child.communicate("\n")
    # 160 MiB are held. The peak never falls below the largest process that ever ran here, which
    # says nothing about these: so the sum is held against this process alone.
    assert both.peak_memory_mb > alone + 150
    assert both.seconds > 0.3


def test_timing_file(tmp_path):
    with Meter() as meter:
        pass
    timing.write_timing(tmp_path / "fit_r1.json", "fit@r1", meter, "cpu")
    content = read_json(tmp_path / "fit_r1.json")
    assert content.keys() == {"stage", "seconds", "peak_memory_mb", "cores", "device"}
    assert content["stage"] == "fit@r1" and content["cores"] >= 1


def test_device_without_and_with_the_parameter():
    import torch

    assert timing.device_used(None) == "cpu"
    assert timing.device_used("cuda") == "cuda"
    assert timing.device_used("auto") == ("cuda" if torch.cuda.is_available() else "cpu")


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_everything():
    screen = _Screen()
    out = Terminal(screen)
    out.write("\r 1%|")
    out.write("\r 2%|")
    out.close()
    assert screen.getvalue() == "\r 1%|\r 2%|"


def test_a_log_file_gets_finished_lines_only():
    log = io.StringIO()
    out = Terminal(log, interval=60)
    for k in range(1000):
        out.write(f"\r{k / 10:.0f}%|###")
    out.write("\r100%|###\nhel")
    out.write("lo\nend")
    out.close()
    assert log.getvalue() == "100%|###\nhello\nend\n"


def test_a_log_file_shows_long_bars_now_and_then():
    log = io.StringIO()
    out = Terminal(log, interval=0.02)
    for k in range(5):
        time.sleep(0.03)
        out.write(f"\r{k}|")
    assert log.getvalue() == "".join(f"{k}|\n" for k in range(5))
