"""What raters read: the templates, and the words and numbers that are filled into them."""

from __future__ import annotations

import math
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelsplat.study.package import Item, Package

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent

STATIC = {
    "study.css": "text/css; charset=utf-8",
    "study.js": "text/javascript; charset=utf-8",
}
"""The only files that are served beside the package's pictures."""

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="4" fill="#1f5fbf"/>'
    '<path d="M4 8.5l2.7 2.8L12 5.2" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
"""Of the browser's tab, served as ``static/study.svg``."""

SECONDS_AN_ITEM = 8
"""What the consent page reckons with to say how long it will take."""

QUESTIONS = {
    "acr": "How well do the coloured areas fit this face?",
    "pairs": "Which coloured areas fit this face better?",
}

KEYS = {
    "acr": {rating: (str(rating),) for rating in range(1, 6)},
    "pairs": {-1: ("ArrowLeft",), 0: ("0", "ArrowDown"), 1: ("ArrowRight",)},
}
"""Keys by answer, as browsers call them."""

KEY_TITLES = {"ArrowLeft": "←", "ArrowDown": "↓", "ArrowRight": "→"}

SIDES = {"acr": ("",), "pairs": ("A", "B")}
"""Headings over the pictures of an item."""


@cache
def environment() -> Environment:
    """Templates: all text is escaped, a name without a value is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(HERE / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def minutes(package: Package) -> int:
    """About how long a rater will take, in minutes, rounded up to five."""
    items = len(package.practice) + max(map(len, package.orders))
    return max(5, 5 * math.ceil(items * SECONDS_AN_ITEM / 300))


def answers_shown(package: Package) -> list[dict[str, Any]]:
    """Answers in the order of their buttons, with words and keys."""
    ratings = sorted(package.scale, reverse=package.design == "acr")
    return [
        {
            "rating": rating,
            "word": package.scale[rating],
            "keys": KEYS[package.design][rating],
            "titles": [KEY_TITLES.get(key, key) for key in KEYS[package.design][rating]],
        }
        for rating in ratings
    ]


def panes(package: Package, item: Item) -> list[dict[str, str]]:
    """Pictures of an item: heading, photo and label map of each."""
    return [
        {"side": side, "photo": item.photo, "mask": mask}
        for side, mask in zip(SIDES[package.design], item.masks, strict=True)
    ]


class _Text(HTMLParser):
    """The words of a page's ``main``, a line a block."""

    blocks = frozenset({"h1", "h2", "p", "li", "label", "button"})

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.found = False, ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside = self.inside or tag == "main"
        self.found += "\n" * (tag in self.blocks)

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "main"

    def handle_data(self, data: str) -> None:
        self.found += data.replace("\n", " ") if self.inside else ""


def page_text(html: str) -> str:
    """What a page says, as plain text: its ``main`` without tags, a line a block."""
    parser = _Text()
    parser.feed(html)
    lines = (" ".join(line.split()) for line in parser.found.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def render(name: str, path: str, package: Package, contact: str, **values: Any) -> str:
    """A page as HTML.

    Args:
        name: of the template, without its endings.
        path: of the request as it was sent; addresses in the page are relative, so that the app
            also runs below some folder of a bigger site.
        package: of the study.
        contact: whom raters may ask.
        values: that the template asks for beside these.
    """
    common = {
        "home": "../" * max(path.count("/") - 1, 0),
        "package": package,
        "contact": contact,
        "question": QUESTIONS[package.design],
        "answers": answers_shown(package),
        "practising": False,
        "sided": any("left" in name.lower() for name, _ in package.legend),
        "rater_pages": True,
    }
    return environment().get_template(f"{name}.html.j2").render(common | values)
