"""The app as somebody sees it who means harm, and as somebody who needs a screen reader."""

import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest

from labelsplat import study
from labelsplat.study.app import Study, create_app
from labelsplat.study.guard import BODY_BYTES, RateLimit
from labelsplat.study.package import read_package
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import Store

SCRIPT = {"Accept": "application/json"}


# -- what must not get through -------------------------------------------------------------------


def test_a_wrong_token_gets_a_page_that_tells_nothing(ask, ready, package):
    known = ask.get("/nowhere").text
    photo = next(iter(package.items.values())).photo
    token = ready.rsplit("/", 1)[1]
    for wrong in ("x", "a" * 43, token[:-1], token[::-1], f"{token}a", token.swapcase(), "%00"):
        for page in ("", "/", "/welcome", "/rate", "/done", "/withdraw", f"/picture/{photo}"):
            reply = ask.get(f"/s/{wrong}{page}")
            assert reply.status == 404
            # As for any address that is not there; only the way to the style differs.
            assert reply.text.replace("../", "") == known.replace("../", "")
        assert ask.post(f"/s/{wrong}/rate", {"item": "a", "rating": "1"}).status == 404
        assert ask.post(f"/s/{wrong}/withdraw", {"erase": "yes"}).status == 404
    assert package.title not in known


def test_raters_do_not_see_one_another(ask, ready, store, package):
    (name, token) = store.issue(1, "human", 3, 0.0)[0]
    theirs = f"/s/{token}"
    ask.post(f"{theirs}/welcome", {"agree": "yes"})
    ask.post(f"{theirs}/start")
    ask.post(f"{theirs}/rate", {"item": ask.get(f"{theirs}/rate").item, "rating": "4"})
    mine = ask.get(f"{ready}/rate").text
    assert "1 of 6" in mine and name not in mine and token not in mine
    assert 'class="chosen"' not in ask.get(f"{ready}/rate?back=1").text
    assert [a.rater for a in store.answers()] == [name]


def test_only_pictures_of_the_package_are_served(ask, ready, package, tmp_path):
    item = next(iter(package.items.values()))
    reply = ask.get(f"{ready}/picture/{item.photo}")
    assert reply.body == (package.root / item.photo).read_bytes()
    assert reply.headers["content-type"] == "image/png"
    name = Path(item.photo).name
    up, whole = "%2e%2e%2f", quote(str(package.root / item.photo), safe="")
    for path in (
        "manifest.json", "../manifest.json", "images/../manifest.json", "..%2fmanifest.json",
        "%2e%2e/manifest.json", "images%2f..%2f..%2fpackage%2fmanifest.json", "..;/manifest.json",
        "..%5cmanifest.json", "/etc/passwd", "%2fetc%2fpasswd", up * 8 + "etc/passwd", whole,
        f"images/../images/{name}", f"./{item.photo}", f"images//{name}", f"images/{name}%00",
        f"images/{name.upper()}", "images", "images/", "",
    ):  # fmt: skip
        assert ask.get(f"{ready}/picture/{path}").status == 404, path
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"):
        assert ask.get(path).status == 404, path


def test_the_key_is_not_asked_for(ask, ready, package):
    """Blinded names are all that a page holds of an item."""
    page = ask.get(f"{ready}/rate")
    item = package.items[page.item]
    assert page.pictures == [f"picture/{item.photo}", f"picture/{item.masks[0]}"]
    for path in Path(study.__file__).parent.glob("*.py"):
        if path.stem in [
            "admin",
            "app",
            "commands",
            "exchange",
            "guard",
            "pages",
            "schema",
            "serve",
            "store",
        ]:
            assert "study.key" not in path.read_text(encoding="utf-8"), path


def test_headers_of_every_answer(ask, ready):
    replies = [
        ask.get(ready), ask.get(f"{ready}/rate"), ask.get("/none"), ask.get("/static/study.js"),
        ask.post(f"{ready}/rate", {"rating": "9"}), ask("PUT", f"{ready}/rate"),
    ]  # fmt: skip
    assert [r.status for r in replies] == [303, 200, 404, 200, 400, 405]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy and "*" not in policy
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in reply.headers


def test_pages_load_nothing_from_elsewhere_and_hold_no_script(ask, ready):
    pages = ["instructions", "practice?n=0", "rate", "withdraw", "start"]
    for page in (*pages, "../../none"):
        text = ask.get(f"{ready}/{page}").text
        assert not re.search(r"(src|href|action)=\"(\w+:|/)", text)
        assert not re.search(r"<script(?! src)|<style|\son\w+=|\sstyle=", text)
    for name in ("study.css", "study.js"):
        text = ask.get(f"/static/{name}").text
        assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|eval\(|innerHTML", text)


def test_text_is_escaped(tmp_path, asker):
    nasty = "<script>alert(1)</script>\"'&"
    package = read_package(write_sample_package(tmp_path / "p", title=nasty, items=3))
    store = Store(tmp_path / "s.sqlite", package)
    ask = asker(create_app(Study(package, store, contact=nasty, information=(nasty,))))
    link = f"/s/{store.issue(1, 'human', 3, 0.0)[0][1]}"
    pages = [ask.get(f"{link}/welcome"), ask.post(f"{link}/welcome", {"agree": "yes"})]
    ask.post(f"{link}/start")
    pages += [ask.get(f"{link}/{name}") for name in ("instructions", "rate", "withdraw")]
    assert sum(nasty in page.text for page in pages) == 0
    assert sum("&lt;script&gt;" in page.text for page in pages) >= 3
    assert ask.get(f"/{quote(nasty)}").text.count("alert(1)") == 0
    store.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "http://study.test"}, 303),
        ({"Origin": "https://study.test"}, 303),  # a proxy has taken the https off
        ({"Origin": "null"}, 303),  # our own plain form, with no-referrer
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        # A proxy that asks by another name.
        ({"Origin": "https://lab.test", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://study.test", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "http://study.test.evil.test"}, 403),
        ({"Origin": "http://study.test:81"}, 403),
    ],
)
def test_forms_of_other_sites_are_refused(ask, ready, store, headers, status):
    form = {"item": ask.get(f"{ready}/rate").item, "rating": "4"}
    assert ask.post(f"{ready}/rate", form, headers=headers).status == status
    assert len(store.answers()) == (status == 303)


def test_bodies_are_short_and_forms(ask, ready, store):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask("POST", f"{ready}/rate", headers=kind, body=b"a" * BODY_BYTES).status == 400
    long = b"item=" + b"a" * BODY_BYTES
    # However long it says that it is.
    for length in ({}, {"Content-Length": "10"}):
        assert ask("POST", f"{ready}/rate", headers=kind | length, body=long).status == 413
    for other in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        reply = ask("POST", f"{ready}/rate", headers={"Content-Type": other}, body=b"rating=3")
        assert reply.status == 415
    for broken in (b"\xff\xfe", b"&".join(b"a=%d" % i for i in range(50))):
        assert ask("POST", f"{ready}/rate", headers=kind, body=broken).status == 400
    assert store.answers() == []


def test_the_limit_is_a_raters_own_and_says_when(store, package, asker, clock):
    limit = RateLimit(rate=2.0, burst=5.0, clock=clock)
    ask = asker(create_app(Study(package, store, limit=limit)))
    (_, one), (_, two) = store.issue(2, "human", 3, 0.0)
    assert [ask.get(f"/s/{one}").status for _ in range(7)] == [303] * 5 + [429] * 2
    reply = ask.get(f"/s/{one}")
    assert int(reply.headers["retry-after"]) == 1 and "slower" in reply.text
    assert ask.get(f"/s/{two}").status == 303
    clock.now += 1
    assert [ask.get(f"/s/{one}").status for _ in range(3)] == [303, 303, 429]


def test_an_honest_quick_rater_meets_no_limit(clock):
    """Four answers a second, five requests each, for ten minutes."""
    limit = RateLimit(clock=clock)
    for _ in range(4 * 600):
        assert not any(limit.take(1) for _ in range(5))
        clock.now += 0.25


def test_a_database_that_cannot_write_is_no_acknowledgement(ask, ready, store, monkeypatch):
    form = {"item": ask.get(f"{ready}/rate").item, "rating": "4"}

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "answer", full)
    reply = ask.post(f"{ready}/rate", form, headers=SCRIPT)
    assert reply.status == 503 and reply.headers["retry-after"] == "2"
    assert "could not be stored" in reply.text and "disk" not in reply.text
    monkeypatch.undo()
    assert ask.post(f"{ready}/rate", form, headers=SCRIPT).json["outcome"] == "saved"


# -- accessible ----------------------------------------------------------------------------------


def test_pages_have_what_screen_readers_need(ask, ready):
    for name in ("instructions", "practice?n=0", "rate", "withdraw"):
        text = ask.get(f"{ready}/{name}").text
        assert '<html lang="en">' in text and len(re.findall("<h1", text)) == 1
        assert all("alt=" in tag for tag in re.findall("<img[^>]*>", text))
        assert 'aria-live="polite"' in text and 'role="alert"' in text
        assert "user-scalable" not in text and "maximum-scale" not in text
    page = ask.get(f"{ready}/rate").text
    for field in re.findall(r'<input(?! type="hidden")[^>]*>', page):
        inside = page[: page.index(field)]
        assert inside.rindex("<label") > inside.rfind("</label"), field


def luminance(colour):
    """Relative luminance of "#rrggbb", WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    line = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * line[0] + 0.7152 * line[1] + 0.0722 * line[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_of_text_stand_out(ask):
    """WCAG 2.2: 4.5 for text, 3 for the borders of what can be pressed."""
    style = ask.get("/static/study.css").text
    colour = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", style)) | {"paper": "#ffffff"}
    for text in ("ink", "soft", "link", "bad"):
        for ground in ("paper", "wash"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for ground in ("go", "bad"):
        assert contrast("#ffffff", colour[ground]) >= 4.5
    assert contrast(colour["edge"], colour["wash"]) >= 3
    alert = re.search(r"\.alert \{[^}]*background: (#\w+); color: (#\w+)", style)
    assert contrast(*alert.groups()) >= 4.5
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
