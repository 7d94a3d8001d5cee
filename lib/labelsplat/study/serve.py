"""The app behind a socket: one process, on this machine alone unless told otherwise."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from pathlib import Path

from labelsplat.base import LabelsplatError
from labelsplat.study.app import Study, create_app

LONGEST_TEXT = 20_000
"""Characters of the lab's own information."""


def read_information(path: str | Path | None) -> tuple[str, ...]:
    """Paragraphs of a text file for the consent page; empty lines part them.

    Raises:
        LabelsplatError: the file cannot be read as UTF-8, or is too long.
    """
    if path is None:
        return ()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsplatError(f"cannot be read as text ({error})", where=path) from None
    if len(text) > LONGEST_TEXT:
        raise LabelsplatError(f"{len(text)} characters, at most {LONGEST_TEXT}", where=path)
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return tuple(" ".join(block.split()) for block in blocks if block.strip())


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        LabelsplatError: the address or the port is not to be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Named as TCP: asyncio sends small pieces at once only where the socket says so, else every
        # page waits 40 ms for an acknowledgement.
        sock = socket.socket(found[0], socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            # A study that is started anew must not wait until its old connections are forgotten.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(found[4])
            sock.listen(512)
        except BaseException:
            sock.close()
            raise
    except (OSError, OverflowError) as error:
        raise LabelsplatError(
            f"cannot listen there ({error})",
            where=f"{host}:{port}",
            remedy="Name a free port by --port, or end the program that has this one",
        ) from None
    return sock


def serve(study: Study, sock: socket.socket) -> None:
    """Serve until interrupted."""
    import uvicorn

    config = uvicorn.Config(
        create_app(study),
        log_level="warning",
        # Addresses hold tokens: they stand in no log.
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # Longer than a rater looks at an item: a connection that closes just when an answer is
        # sent would cost a second try.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(config).run(sockets=[sock])
