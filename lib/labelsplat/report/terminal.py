"""What a running notebook prints, on a terminal or in a log file."""

from __future__ import annotations

import time
from typing import TextIO


class Terminal:
    """A text stream that shows a kernel's output as it comes.

    On a terminal everything passes through, progress bars included. In a log file a bar that
    redraws itself ten times a second would make megabytes: there only finished lines are written,
    and a bar's present state every ``interval`` seconds.
    """

    def __init__(self, stream: TextIO, interval: float = 20.0):
        self.stream, self.interval = stream, interval
        self._live = stream.isatty()
        self._line = ""
        self._shown = time.monotonic()

    def write(self, text: str) -> None:
        """Take a piece of output."""
        if self._live:
            self.stream.write(text)
            return
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._put(line)
        if "\r" in self._line:
            self._line = "\r" + self._line.rstrip("\r").rsplit("\r", 1)[-1]
            if time.monotonic() - self._shown > self.interval:
                self._put(self._line)

    def _put(self, line: str) -> None:
        self._shown = time.monotonic()
        self.stream.write(line.rstrip("\r").rsplit("\r", 1)[-1] + "\n")

    def flush(self) -> None:
        """Flush the stream below."""
        self.stream.flush()

    def close(self) -> None:
        """Write what is left of an unfinished line; the stream below stays open."""
        if self._line.strip():
            self._put(self._line)
        self._line = ""
        self.flush()
