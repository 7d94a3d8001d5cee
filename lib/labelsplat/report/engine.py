"""A papermill engine that tells which chapter of the notebook is running, one line each."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from traitlets.config import Config

from labelsplat.report.html import heading

_SOCKET_PATH = 107
"""Longest path of a Unix socket on Linux, in bytes."""


def register(stage: str, log: Path) -> str:
    """Register the engine for one stage.

    Args:
        stage: name printed before each chapter.
        log: file for what the kernel's process itself prints (not the notebook's cells), e.g. the
            last words of a crash.

    Returns:
        Its name for ``papermill.execute_notebook``.
    """

    class StageEngine(Engine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **options):
            start, count = nb_man.cell_start, len(nb_man.nb.cells)

            def cell_start(cell, cell_index, **more):
                title = heading(cell.source) if cell.cell_type == "markdown" else None
                if title:
                    print(f"{stage} [{cell_index + 1}/{count}] {title}", flush=True)
                return start(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            sockets = tempfile.mkdtemp(prefix="labelsplat-")
            try:
                client = PapermillNotebookClient(
                    nb_man,
                    kernel_name=kernel_name,
                    timeout=options["execution_timeout"],
                    startup_timeout=options["start_timeout"],
                    stdout_file=options["stdout_file"],
                    stderr_file=options["stderr_file"],
                    config=_kernel_config(sockets),
                )
                with log.open("wb") as sink:
                    return client.execute(stdout=sink, stderr=sink)
            finally:
                shutil.rmtree(sockets, ignore_errors=True)

    name = f"labelsplat-{stage}"
    papermill_engines.register(name, StageEngine)
    return name


def _kernel_config(sockets: str) -> Config:
    """Talk to the kernel through sockets in a private folder, not through open ports."""
    config = Config()
    # Jupyter appends -1 to -5.
    address = str(Path(sockets) / "kernel")
    if len(address.encode()) + 2 <= _SOCKET_PATH:
        config.KernelManager.transport = "ipc"
        config.KernelManager.ip = address
        config.KernelManager.connection_file = f"{address}.json"
    return config
