"""The app as a process of its own, which can be killed and started again at the same address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from labelsplat.base import LabelsplatError


class AppProcess:
    """The running app.

    Args:
        package: what it shows.
        database: where answers go.
        port: to listen on; 0 takes any free one, and keeps it.
        more: further options of ``study serve``.

    Raises:
        LabelsplatError: it does not start.
    """

    def __init__(
        self,
        package: str | Path,
        database: str | Path,
        port: int = 0,
        more: Sequence[str] = (),
    ):
        self._words = ["--package", str(package), "--database", str(database), *more]
        self.port = port
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it (again); returns once it listens."""
        library = str(Path(__file__).resolve().parents[2])
        paths = [library, *filter(None, [os.environ.get("PYTHONPATH")])]
        words = [sys.executable, "-m", "labelsplat", "study", "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*words, *self._words],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        line = self._process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not found:
            self.kill()
            raise LabelsplatError(f"the app does not start: {line.strip() or 'it ended'}")
        self.port = int(found[1])

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> AppProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
