"""A made-up package, its answers, and a way to ask the app without a network."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlencode

import pytest

from labelsplat.study.app import Study, create_app
from labelsplat.study.guard import RateLimit
from labelsplat.study.package import Package, read_package
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import Store


@dataclass(frozen=True)
class Reply:
    """What the app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def item(self) -> str:
        """The item that the page shows."""
        return re.search(r'name="item" value="([a-z0-9]+)"', self.text)[1]

    @property
    def pictures(self) -> list[str]:
        """Addresses of the page's pictures."""
        return re.findall(r'src="(picture/[^"]+)"', self.text)

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class Asker:
    """Sends requests to an ASGI app; paths go out as they are written, dots and all."""

    def __init__(self, app):
        self.app = app

    def __call__(self, method: str, path: str, form=None, headers=None, body=b"") -> Reply:
        sent = {"host": "study.test"} | {k.lower(): v for k, v in (headers or {}).items()}
        if form is not None:
            body = urlencode(form).encode()
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
        return asyncio.run(self._ask(method, path, sent, body))

    def get(self, path: str, **options) -> Reply:
        return self("GET", path, **options)

    def post(self, path: str, form=None, **options) -> Reply:
        return self("POST", path, form or {}, **options)

    async def _ask(self, method: str, path: str, headers: dict, body: bytes) -> Reply:
        plain, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": unquote(plain), "raw_path": plain.encode(),
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        parts = [body[i : i + 1000] for i in range(0, len(body), 1000)] or [b""]
        start, out = {}, bytearray()

        async def receive():
            if not parts:
                await asyncio.sleep(60)
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message):
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                out.extend(message.get("body", b""))

        await self.app(scope, receive, send)
        found = {k.decode().lower(): v.decode() for k, v in start["headers"]}
        return Reply(start["status"], found, bytes(out))


@pytest.fixture(name="asker")
def _asker():
    return Asker


@pytest.fixture(scope="session")
def _sample(tmp_path_factory) -> Path:
    return write_sample_package(
        tmp_path_factory.mktemp("sample") / "package", items=6, orders=3, practice=2
    )


@pytest.fixture
def package(_sample: Path) -> Package:
    """Six items, three orders, two practice items."""
    return read_package(_sample)


@pytest.fixture
def store(package: Package, tmp_path: Path):
    """An empty database of that package's study."""
    found = Store(tmp_path / "answers" / "study.sqlite", package)
    yield found
    found.close()


class Clock:
    """Time that passes when told."""

    def __init__(self, now=1_700_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(store, package, clock):
    limit = RateLimit(burst=10_000)  # what a limit does is tested by itself
    return Asker(create_app(Study(package, store, "Dr. Ada", ("Ours.",), limit, clock)))


@pytest.fixture
def link(store):
    """The path of a fresh rater."""
    return f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"


@pytest.fixture
def ready(ask, link):
    """The path of a rater who has agreed and practised."""
    assert ask.post(f"{link}/welcome", {"agree": "yes"}).status == 303
    assert ask.post(f"{link}/start").status == 303
    return link
