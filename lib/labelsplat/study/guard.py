"""What stands between the network and the app: headers, forms, origins, a limit a token."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 4096
"""Longest form; the app's own have a tenth of it."""

HEADERS = {
    # Everything from this server, nothing inline; also in a page that some text slipped into.
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # The token stands in the address: no cache may keep it, no other page may learn it.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer, errors included."""


class Headers:
    """Adds :data:`HEADERS` to whatever an app answers."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


def check_same_origin(request: Request) -> None:
    """Refuse a form that another site's page has sent.

    The token in the address is what nobody else can know, so this is a second bolt. What a browser
    says by ``Sec-Fetch-Site`` counts alone: it also knows better where a proxy has changed the
    host. Over plain http it says nothing, and calls a form of our own ``null`` because of
    ``Referrer-Policy: no-referrer``; that passes.

    Raises:
        HTTPException: 403.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "null")
    if site is not None:
        fine = site in ("same-origin", "none")
    else:
        fine = origin == "null" or urlsplit(origin).netloc == request.headers.get("host")
    if not fine:
        raise HTTPException(403)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form; of a field that comes twice the last one.

    Raises:
        HTTPException: 415 for another kind of body, 413 for one beyond :data:`BODY_BYTES`, 400 for
            one that is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415)
    body = b""
    # Counted as it comes: the length that a client announces need not be true.
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES:
            raise HTTPException(413, headers={"Connection": "close"})
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise HTTPException(400) from None


@dataclass
class RateLimit:
    """A token bucket a rater.

    An item takes about five requests (the answer, the next page, its pictures), so that the
    default lets somebody through who answers four items a second for as long as there are items.

    Attributes:
        rate: requests a second in the long run.
        burst: requests at once.
        clock: seconds that only go forward.
    """

    rate: float = 20.0
    burst: float = 100.0
    clock: Callable[[], float] = time.monotonic
    _left: dict[int, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, rater: int) -> float:
        """Take one request; 0 if there was one, else seconds until there will be."""
        now = self.clock()
        with self._lock:
            left, at = self._left.get(rater, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.rate)
            enough = left >= 1
            self._left[rater] = (left - 1 if enough else left, now)
        return 0.0 if enough else (1 - left) / self.rate
