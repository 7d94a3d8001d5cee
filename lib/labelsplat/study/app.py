"""The rating app: personal links, one item a screen, every answer on disk before it is confirmed.

::

    /s/{token}/welcome       what it is about; agreeing is asked for
               instructions  what to look at, the legend, the answers
               practice?n=0  items whose answers are not kept
               start         practice is over
               rate          the item that is next (rate?back=1: the last one once more)
               done          thanks
               withdraw      erase everything
               picture/...   pictures of the package, by their names in the manifest

Forms are plain; ``study.js`` adds keys, slider, zoom and patience with a server that is away. The
app never learns what an item is: methods, checks and repeats are in the key, which is not here.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from labelsplat.base import LabelsplatError
from labelsplat.study.guard import Headers, RateLimit, check_same_origin, read_form
from labelsplat.study.package import Package
from labelsplat.study.pages import HERE, ICON, STATIC, minutes, page_text, panes, render
from labelsplat.study.store import OutOfOrder, Rater, Store, UnknownRater, text_digest

PROBLEMS = {
    400: ("This cannot be used", "Something in the form is missing or out of range."),
    403: ("Not from here", "Forms are taken from this study’s own pages only."),
    404: ("Nothing here", "Please open the personal link that you were given, as a whole."),
    405: ("Nothing here", "Please open the personal link that you were given, as a whole."),
    413: ("Too long", "This is longer than any form of this study."),
    415: ("This cannot be used", "Only forms of this study’s own pages are taken."),
    429: ("A little slower, please", "Too many requests at once. Wait a moment, then reload."),
    500: ("Something went wrong", "Your answers so far are safe. Please reload the page."),
    503: ("One moment", "Your answer could not be stored yet. Please reload the page shortly."),
}
"""What people read when something is refused, by HTTP status."""


@dataclass(frozen=True)
class Study:
    """What the pages are made of.

    Attributes:
        package: what is shown.
        store: where answers go.
        contact: whom raters may ask; plain text.
        information: the lab's own paragraphs for the consent page; plain text.
        limit: requests a rater.
        clock: seconds since 1970.
    """

    package: Package
    store: Store
    contact: str = ""
    information: tuple[str, ...] = ()
    limit: RateLimit = field(default_factory=RateLimit)
    clock: Callable[[], float] = time.time

    @cached_property
    def pictures(self) -> frozenset[str]:
        """Names of all pictures that items show: the only files of the package that are served."""
        items = self.package.items.values()
        return frozenset(name for item in items for name in (item.photo, *item.masks))

    def page(self, request: Request, name: str, status: int = 200, **values: Any) -> Response:
        """A page of :mod:`labelsplat.study.pages`."""
        path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
        return HTMLResponse(self.render(name, path, **values), status)

    def render(self, name: str, path: str, **values: Any) -> str:
        """A page of :mod:`labelsplat.study.pages` as HTML, asked for at ``path``."""
        return render(name, path, self.package, self.contact, **values)

    def go(self, request: Request, to: str, status: int = 303, **told: Any) -> Response:
        """On to another page of the rater; scripts are told, with what else they should know."""
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"next": to, **told}, 200 if status == 303 else status)
        if status == 303:
            return Response(status_code=303, headers={"Location": to})
        return self.page(request, "moved", status, to=to)


Handler = Callable[[Study, Request, Rater, dict[str, str]], Response]


def create_app(study: Study) -> ASGIApp:
    """The app, to be served by any ASGI server in one process."""

    def rater_page(handle: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            form: dict[str, str] = {}
            if request.method == "POST":
                check_same_origin(request)
                form = await read_form(request)
            return await run_in_threadpool(_for_rater, study, request, handle, form)

        return endpoint

    # A kept-out method must not be told apart from a missing page by whether a token is right.
    at = "/s/{token}"
    routes = [
        Route("/static/{name}", lambda request: _static(request)),
        Route(at, rater_page(_enter)),
        Route(f"{at}/", rater_page(_enter)),
        Route(f"{at}/welcome", rater_page(_welcome), methods=["GET", "POST"]),
        Route(f"{at}/instructions", rater_page(_instructions)),
        Route(f"{at}/practice", rater_page(_practice), methods=["GET", "POST"]),
        Route(f"{at}/start", rater_page(_start), methods=["GET", "POST"]),
        Route(f"{at}/rate", rater_page(_rate), methods=["GET", "POST"]),
        Route(f"{at}/done", rater_page(_done)),
        Route(f"{at}/withdraw", rater_page(_withdraw), methods=["GET", "POST"]),
        Route(f"{at}/picture/{{name:path}}", rater_page(_picture)),
    ]

    def problem(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict(getattr(error, "headers", None) or {})
        if isinstance(error, sqlite3.Error):
            # A full disk or a lock: nothing was confirmed, and it may pass.
            status, headers = 503, {"Retry-After": "2"}
        title, text = PROBLEMS.get(status, PROBLEMS[500])
        found = study.page(request, "problem", status, title=title, text=text, rater_pages=False)
        found.headers.update(headers)
        return found

    handlers: dict[Any, Any] = {HTTPException: problem, sqlite3.Error: problem, 500: problem}
    return Headers(Starlette(routes=routes, exception_handlers=handlers))


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "study.svg":
        return Response(ICON, media_type="image/svg+xml")
    if name not in STATIC:
        raise HTTPException(404)
    return FileResponse(HERE / "static" / name, media_type=STATIC[name])


def _for_rater(study: Study, request: Request, handle: Handler, form: dict[str, str]) -> Response:
    rater = study.store.rater(request.path_params["token"])
    if rater is None:
        raise HTTPException(404)
    wait = study.limit.take(rater.id)
    if wait:
        raise HTTPException(429, headers={"Retry-After": str(math.ceil(wait))})
    try:
        return handle(study, request, rater, form)
    except UnknownRater:  # erased while this was on its way
        raise HTTPException(404) from None


def _place(study: Study, rater: Rater) -> str:
    """The page that a rater should be on."""
    if rater.consented is None:
        return "welcome"
    if rater.practised is None:
        return "instructions"
    return "rate" if rater.answers < len(study.package.order(rater.slot)) else "done"


def _enter(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    to = _place(study, rater)
    # Relative, also where the link was opened without its last slash.
    slash = request.url.path.endswith("/")
    return study.go(request, to if slash else f"{request.path_params['token']}/{to}")


def _welcome(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    values = {
        "minutes": minutes(study.package),
        "items": len(study.package.order(rater.slot)),
        "information": study.information,
    }
    # What is agreed to is kept as it was read; only the rater's own pseudonym is left out.
    text = page_text(study.render("welcome", "", **values, pseudonym="…", missing=False, text=""))
    digest = text_digest(text)
    posted = request.method == "POST"
    changed = posted and form.get("text", digest) != digest  # since the page was opened
    if posted and form.get("agree") == "yes" and not changed:
        study.store.consent(rater.id, study.clock(), text)
        return study.go(request, "instructions" if rater.practised is None else "rate")
    if rater.consented is not None:
        return study.go(request, _place(study, rater))
    values |= {"pseudonym": rater.pseudonym, "text": digest}
    values["missing"] = "changed" if changed else "tick" if posted else ""
    return study.page(request, "welcome", 400 if posted else 200, **values)


def _instructions(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    if rater.consented is None:
        return study.go(request, "welcome")
    package = study.package
    shown = package.examples or package.practice[:1]
    examples = [panes(package, package.items[name]) for name in shown]
    to = "practice?n=0" if package.practice else "start"
    if rater.practised is not None:
        to = _place(study, rater)
    return study.page(request, "instructions", examples=examples, to=to)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def _rating(study: Study, form: dict[str, str]) -> int:
    scale = {str(rating): rating for rating in study.package.scale}
    if form.get("rating") not in scale:
        raise HTTPException(400)
    return scale[form["rating"]]


def _practice(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    ids = study.package.practice
    n = _number(request.query_params.get("n", "0"))
    if rater.consented is None:
        return study.go(request, "welcome")
    if n is None or n >= len(ids):
        return study.go(request, "start")
    if request.method == "POST":
        _rating(study, form)  # held against the scale as in earnest, and not kept
        more = n + 1 < len(ids)
        told = {"outcome": "practice"}
        return study.go(request, f"practice?n={n + 1}" if more else "start", **told)
    back = f"practice?n={n - 1}" if n else None
    return _item_page(
        study, request, ids[n], n, len(ids), back, practising=True, action=f"practice?n={n}"
    )


def _start(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    if rater.consented is None:
        return study.go(request, "welcome")
    if request.method == "POST":
        study.store.practised(rater.id, study.clock())
        return study.go(request, "rate")
    if rater.practised is not None:
        return study.go(request, _place(study, rater))
    items = len(study.package.order(rater.slot))
    return study.page(request, "start", items=items)


def _rate(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    place = _place(study, rater)
    if place not in ("rate", "done"):
        return study.go(request, place)
    order, now = study.package.order(rater.slot), study.clock()
    if request.method == "POST":
        try:
            rating = _rating(study, form)
            outcome = study.store.answer(rater.id, order, form.get("item", ""), rating, now)
        except OutOfOrder:
            return study.go(request, "rate", 409)
        return study.go(request, "rate", outcome=outcome)
    back = bool(request.query_params.get("back")) and rater.answers > 0
    if place == "done" and not back:
        return study.go(request, "done")
    n = rater.answers - 1 if back else rater.answers
    study.store.show(rater.id, order[n], now)
    return _item_page(
        study,
        request,
        order[n],
        n,
        len(order),
        "rate?back=1" if n and not back else None,
        chosen=study.store.rating(rater.id, order[n]) if back else None,
        action="rate",
    )


def _item_page(
    study: Study,
    request: Request,
    name: str,
    n: int,
    items: int,
    back: str | None,
    *,
    action: str,
    chosen: int | None = None,
    practising: bool = False,
) -> Response:
    return study.page(
        request,
        "item",
        item=name,
        panes=panes(study.package, study.package.items[name]),
        position=n,
        items=items,
        back=back,
        chosen=chosen,
        action=action,
        practising=practising,
    )


def _done(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    place = _place(study, rater)
    if place != "done":
        return study.go(request, place)
    return study.page(request, "done", rater=rater)


def _withdraw(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    if request.method == "POST" and form.get("erase") == "yes":
        try:
            study.store.erase(rater.pseudonym)
        except LabelsplatError as error:  # deleted; the log is emptied later
            print(f"study: {error}")
        return study.page(request, "erased", rater_pages=False)
    missing = request.method == "POST"
    status = 400 if missing else 200
    return study.page(request, "withdraw", status, rater=rater, missing=missing)


def _picture(study: Study, request: Request, rater: Rater, form: dict[str, str]) -> Response:
    # Held against the names that items show: a path is never made of what was asked for.
    name = request.path_params["name"]
    if rater.consented is None or name not in study.pictures:
        raise HTTPException(404)
    return FileResponse(study.package.root / name, media_type="image/png")
