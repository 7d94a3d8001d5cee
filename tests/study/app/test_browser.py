"""People at real browsers: three at once, and a server that is killed under their hands."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from labelsplat.study.admin import issue_links
from labelsplat.study.package import read_package
from labelsplat.study.process import AppProcess
from labelsplat.study.sample import write_sample_package
from labelsplat.study.store import Store

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="no chromium or no chromedriver here"),
]

ITEMS = 60
SHOTS = os.environ.get("LABELSPLAT_SHOTS")  # a folder: every screen is saved there as a picture
SHAPES = {"phone": (390, 844), "small": (320, 568), "laptop": (1280, 800), "desk": (1920, 1080)}

# What the browser itself was told: every confirmed answer, and whether a warning was on screen.
WITNESS = """
if (location.protocol === "http:") {
  sessionStorage.witness ??= JSON.stringify({ answers: [], warned: 0 });
  const note = (change) => {
    const seen = JSON.parse(sessionStorage.witness);
    change(seen);
    sessionStorage.witness = JSON.stringify(seen);
  };
  const plain = window.fetch;
  window.fetch = async (address, options = {}) => {
    const reply = await plain(address, options);
    if (options.method === "POST" && reply.ok && /rate$/.test(reply.url)) {
      const form = Object.fromEntries(options.body);
      const { outcome } = await reply.clone().json();
      note((seen) => seen.answers.push([form.item, Number(form.rating), outcome]));
    }
    return reply;
  };
  addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
    const shown = document.getElementById("alert");
    if (shown && !shown.hidden) note((seen) => { seen.warned += 1; });
  }).observe(document, { subtree: true, childList: true, attributes: true }));
}
"""

STATE = """
const page = document.getElementById("page"), form = document.querySelector("[data-rate]");
if (!page || !window.performance) return null;
return {
  item: form ? form.elements.namedItem("item").value : null,
  ready: document.readyState === "complete" && page.getAttribute("aria-busy") !== "true",
  warned: !document.getElementById("alert").hidden,
  place: (document.querySelector(".progress")?.textContent ?? "").trim(),
  at: location.pathname.split("/").pop(),
};
"""


@pytest.fixture
def study(tmp_path):
    """A running app, its package and its answers."""
    write_sample_package(tmp_path / "package", items=ITEMS, orders=3, practice=2, size=12)
    package = read_package(tmp_path / "package")
    store = Store(tmp_path / "study.sqlite", package)
    app = AppProcess(tmp_path / "package", tmp_path / "study.sqlite")
    yield app, package, store
    app.kill()
    store.close()


@pytest.fixture
def browsers():
    """Opens browsers; all of them are closed at the end."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    opened = []

    def start(*, scripts=True, size=(1280, 800)):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in (
            "headless=new", "no-sandbox", "disable-gpu", "no-first-run", "disable-sync",
            "disable-background-networking", "disable-component-update", "disable-dev-shm-usage",
        ):  # fmt: skip
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        if not scripts:
            off = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", off)
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        opened.append(driver)
        driver.set_page_load_timeout(30)
        driver.implicitly_wait(10)
        resize(driver, size)
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WITNESS})
        return driver

    yield start
    for driver in opened:
        driver.quit()


def resize(driver, size):
    width, height = size
    values = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)


def press(driver, selector, *, leaves=False):
    """Click; where that leads to another page, wait until this one is gone."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.expected_conditions import staleness_of
    from selenium.webdriver.support.wait import WebDriverWait

    element = driver.find_element(By.CSS_SELECTOR, selector)
    element.click()
    if leaves:
        WebDriverWait(driver, 20, poll_frequency=0.02).until(staleness_of(element))


def key(driver, name):
    """A key as a person presses it, wherever the focus is."""
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver, duration=0).send_keys(name).perform()


def until(driver, wanted, seconds=30):
    """The page's state as soon as ``wanted`` holds of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        state = driver.execute_script(STATE)
        if state and wanted(state):
            return state
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain, the page is {state}")


def enter(driver, link):
    """Agree, practise, start."""
    driver.get(link)
    press(driver, "[name=agree]")
    press(driver, "button.go", leaves=True)
    press(driver, "a.go", leaves=True)
    state = until(driver, lambda s: s["item"] and s["ready"])
    for _ in range(2):
        key(driver, "3")
        before = state["item"]
        state = until(driver, lambda s, before=before: s["ready"] and s["item"] != before)
    press(driver, "button.go", leaves=True)


def meant(rater, item):
    """What a rater thinks of an item, from 1 to 5."""
    return 1 + zlib.crc32(f"{rater} {item}".encode()) % 5


def reopen(driver, link):
    """Open the link until there is a server."""
    from selenium.common.exceptions import WebDriverException

    while True:
        try:
            driver.get(link)
            return
        except WebDriverException:
            time.sleep(0.1)


def answer_all(driver, link, rater, order, habit, together):
    """Sixty answers; returns those that the rater has given in the end.

    ``habit``: ``back`` changes an answer on the way, ``reload`` opens the link anew while the
    server is away and once more later, ``click`` uses the mouse.
    """
    enter(driver, link)
    together.wait(120)  # the server dies under everybody's hands
    given, reloads = {}, {"away": False, "later": False}
    while len(given) < ITEMS:
        state = until(driver, lambda s: s["item"] and s["ready"] and s["item"] not in given)
        assert state["item"] == order[len(given)]
        assert state["place"].startswith(f"{len(given) + 1} of {ITEMS}")
        rating = given[state["item"]] = meant(rater, state["item"])
        if habit == "click" and len(given) % 2:
            press(driver, f".answers [value='{rating}']")
        else:
            key(driver, str(rating))
        if habit == "back" and len(given) == 12:
            until(driver, lambda s: s["ready"] and s["item"] not in given)
            press(driver, "[data-back]")
            until(driver, lambda s, last=state["item"]: s["ready"] and s["item"] == last)
            given[state["item"]] = 6 - rating if rating != 3 else 1
            key(driver, str(given[state["item"]]))
        if habit == "reload" and not reloads["away"]:
            now = until(driver, lambda s: s["warned"] or (s["ready"] and s["item"] not in given))
            if now["warned"]:
                reloads["away"] = True
                reopen(driver, link)
        if habit == "reload" and len(given) == 45:
            until(driver, lambda s: s["ready"] and s["item"] not in given)
            reloads["later"] = True
            reopen(driver, link)
    until(driver, lambda s: s["at"] == "done")
    assert habit != "reload" or all(reloads.values())
    return given


def test_three_raters_and_a_server_that_dies_twice(study, browsers):
    app, package, store = study
    names = issue_links(store, package, 3, app.base, time.time(), origin="script")
    orders = {r.pseudonym: package.order(r.slot) for r in store.raters()}
    assert len({tuple(order) for order in orders.values()}) == 3
    habits = ("back", "reload", "click")
    done, together = threading.Event(), threading.Barrier(3)
    with ThreadPoolExecutor(4) as pool:
        *drivers, fourth = pool.map(lambda _: browsers(), range(4))
        token = names[0][1].rpartition("/")[2]
        outside = pool.submit(knock, fourth, app.base, token, package, done)
        running = [
            pool.submit(answer_all, driver, link, name, orders[name], habit, together)
            for driver, (name, link), habit in zip(drivers, names, habits, strict=True)
        ]
        try:
            for many in (50, 110):
                while len(store.answers()) < many and not any(r.done() for r in running):
                    time.sleep(0.05)
                app.kill()
                time.sleep(1.2)
                app.start()
            given = {name: run.result() for (name, _), run in zip(names, running, strict=True)}
        finally:
            done.set()
        assert outside.result() >= 2  # in vain
        stays_here(fourth, app.base)

    kept = {name: [a for a in store.answers() if a.rater == name] for name, _ in names}
    for driver, (name, _), habit in zip(drivers, names, habits, strict=True):
        # Nothing lost, nothing doubled, each item at its place.
        assert [a.item for a in kept[name]] == list(orders[name])
        assert [a.position for a in kept[name]] == list(range(ITEMS))
        assert {a.item: a.rating for a in kept[name]} == given[name]
        seen = json.loads(driver.execute_script("return sessionStorage.witness"))
        told = {item: rating for item, rating, _ in seen["answers"]}
        assert told == given[name]
        assert seen["warned"] > 0
        changes = [c for c in store.changes() if c[0] == name]
        assert len(changes) == (habit == "back")
        stays_here(driver, app.base)
    assert {a.origin for answers in kept.values() for a in answers} == {"script"}
    assert len(store.raters()) == 3 and store.withdrawals() == {}


POST = """
const [address, form, tell] = arguments;
fetch(address, { method: "POST", body: new URLSearchParams(form) }).then(
  async (reply) => tell([reply.status, await reply.text()]), () => tell(null));
"""


def knock(driver, base, token, package, done):
    """Somebody without a link opens and sends whatever might help; how many rounds went in vain.

    ``token`` is a rater's, of which changed ones are tried.
    """
    item = package.orders[0][0]
    forms = {
        "rate": {"item": item, "rating": 1},
        "welcome": {"agree": "yes"},
        "start": {},
        "withdraw": {"erase": "yes"},
    }
    rounds = 0
    while not done.is_set():
        for wrong in ("x", token[::-1], token[:-1]):
            reopen(driver, f"{base}/s/{wrong}/rate")
            status = "return performance.getEntriesByType('navigation')[0].responseStatus"
            assert driver.execute_script(status) == 404
            assert driver.execute_script("return document.images.length") == 0
            nothing_of_the_study(driver.page_source, package)
            for page, form in forms.items():
                reply = None
                while reply is None:  # the server is away
                    reply = driver.execute_async_script(POST, f"{base}/s/{wrong}/{page}", form)
                    done.wait(0.05)
                assert reply[0] == 404
                nothing_of_the_study(reply[1], package)
        rounds += 1
        done.wait(1)
    return rounds


def nothing_of_the_study(text, package):
    assert "personal link" in text and package.title not in text and "rating" not in text


def stays_here(driver, base):
    """Nothing was asked for elsewhere, and no page broke its own rules."""
    asked = set()
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    web = {url for url in asked if not url.startswith(("data:", "about:", "chrome"))}
    assert web and all(url.startswith(f"{base}/") for url in web), web
    problems = [e["message"] for e in driver.get_log("browser")]
    assert not [p for p in problems if "Security" in p or "Uncaught" in p], problems


def test_without_scripts_every_step_is_a_form(study, browsers):
    """Also where the browser calls the origin of a form "null", as no-referrer makes it do."""
    from selenium.webdriver.common.by import By

    app, package, store = study
    ((name, link),) = issue_links(store, package, 1, app.base, time.time(), origin="script")
    driver = browsers(scripts=False)
    driver.get(link)
    press(driver, "[name=agree]")
    press(driver, "button.go", leaves=True)
    press(driver, "a.go", leaves=True)
    for _ in range(2):
        press(driver, ".answers [value='2']", leaves=True)
    press(driver, "button.go", leaves=True)
    for rating in (5, 1, 4):
        press(driver, f".answers [value='{rating}']", leaves=True)
    assert not driver.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
    assert [(a.rater, a.rating) for a in store.answers()] == [(name, r) for r in (5, 1, 4)]
    press(driver, "nav a[href=withdraw]", leaves=True)
    press(driver, "[name=erase]")
    press(driver, "button.danger", leaves=True)
    assert store.raters() == [] and "deleted" in driver.page_source


FITS = """
const inside = (element) => {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.left >= 0 && box.right <= innerWidth && box.top >= 0
    && box.bottom <= innerHeight;
};
return {
  wide: document.documentElement.scrollWidth <= innerWidth,
  reached: [...document.querySelectorAll(".stage, .answers button, .tools, nav a")].every(inside),
  side: document.querySelector(".stage").clientWidth,
  small: [...document.querySelectorAll(".answers button")].filter(
    (b) => b.offsetHeight < 44 || b.offsetWidth < 44 || b.scrollWidth > b.clientWidth).length,
};
"""


@pytest.mark.parametrize("design", ["acr", "pairs"])
def test_screens_fit_and_tools_work(tmp_path, browsers, design):
    package = read_package(write_sample_package(tmp_path / "p", design=design, items=8, size=64))
    store = Store(tmp_path / "s.sqlite", package)
    app = AppProcess(tmp_path / "p", tmp_path / "s.sqlite")
    try:
        ((_, link),) = issue_links(store, package, 1, app.base, time.time(), origin="script")
        driver = browsers()
        driver.get(link)
        press(driver, "[name=agree]")
        press(driver, "button.go", leaves=True)
        press(driver, "a.go", leaves=True)
        assert driver.current_url.endswith("/practice?n=0")
        for name, size in SHAPES.items():
            resize(driver, size)
            driver.refresh()
            until(driver, lambda s: s["ready"])
            found = driver.execute_script(FITS)
            assert found["wide"] and found["reached"] and not found["small"], (name, found)
            least = {"acr": (0.9 * size[0], 0.8 * size[1]), "pairs": (0.4 * size[0], 0.4 * size[1])}
            phone = name in ("phone", "small")
            assert found["side"] >= (0.4 * size[0] if phone else min(least[design])), (name, found)
        tools(driver, design)
        cut_off(driver, "1" if design == "acr" else "0")
        strangers_answer(driver, store, "1" if design == "acr" else "0")
        digits_by_place(driver, store, design)
        stays_here(driver, app.base)
    finally:
        app.kill()
        store.close()


LAID = """
const seen = (element) => element.offsetHeight > 1 || element.closest(".item");
return {
  wide: document.documentElement.scrollWidth <= innerWidth,
  heads: [...document.querySelectorAll("h1")].filter(seen).length,
  cut: [...document.querySelectorAll("main p, main li, main a, main button")].filter(
    (e) => e.offsetHeight && e.scrollWidth > e.clientWidth + 1 && e.clientWidth).length,
  broken: [...document.images].filter((i) => !i.naturalWidth).length,
};
"""


def look(driver, name):
    """A screen on a phone and on a desk: nothing is cut off; saved as pictures if asked for."""
    for shape in ("phone", "laptop"):
        resize(driver, SHAPES[shape])
        until(driver, lambda s: s["ready"])
        wanted = {"wide": True, "heads": 1, "cut": 0, "broken": 0}
        assert driver.execute_script(LAID) == wanted, (name, shape)
        if SHOTS:
            words = {"captureBeyondViewport": name.partition("-")[2] not in ("item", "back")}
            data = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"} | words)
            os.makedirs(SHOTS, exist_ok=True)
            with open(os.path.join(SHOTS, f"{name}-{shape}.png"), "wb") as file:
                file.write(base64.b64decode(data["data"]))


@pytest.mark.parametrize("design", ["acr", "pairs"])
def test_every_screen_can_be_looked_at(tmp_path, browsers, design):
    """With ``LABELSPLAT_SHOTS=folder`` pictures of all screens are saved there.

    ``LABELSPLAT_SHOTS_PACKAGE`` names a package to show in the place of drawn shapes.
    """
    where = os.environ.get("LABELSPLAT_SHOTS_PACKAGE") if SHOTS else None
    if where is None or read_package(where).design != design:
        where = write_sample_package(
            tmp_path / "p", design=design, items=3, orders=1, size=96, examples=True
        )
    package = read_package(where)
    (tmp_path / "sheet.txt").write_text("Approved by a board of our own.\n\nRoom 12.")
    store = Store(tmp_path / "s.sqlite", package)
    more = ["--contact", "Dr. A. Example, a@example.org", "--information", tmp_path / "sheet.txt"]
    answer = "3" if design == "acr" else "0"
    with AppProcess(where, tmp_path / "s.sqlite", more=list(map(str, more))) as app:
        ((_, link),) = issue_links(store, package, 1, app.base, time.time(), origin="script")
        driver = browsers()
        driver.get(link)
        look(driver, f"{design}-welcome")
        press(driver, "[name=agree]")
        press(driver, "button.go", leaves=True)
        look(driver, f"{design}-instructions")
        press(driver, "a.go", leaves=True)
        look(driver, f"{design}-practice")
        driver.get(f"{link}/start")
        look(driver, f"{design}-start")
        press(driver, "button.go", leaves=True)
        look(driver, f"{design}-item")
        state = until(driver, lambda s: s["item"] and s["ready"])
        key(driver, answer)
        until(driver, lambda s: s["ready"] and s["item"] != state["item"])
        press(driver, "[data-back]")
        until(driver, lambda s: s["ready"] and s["item"] == state["item"])
        look(driver, f"{design}-back")
        order = package.order(0)
        for name in order[1:]:
            store.show(1, name, time.time())
            store.answer(1, order, name, int(answer), time.time())
        driver.get(link)
        look(driver, f"{design}-done")
        driver.get(f"{link}/withdraw")
        look(driver, f"{design}-withdraw")
        press(driver, "[name=erase]")
        press(driver, "button.danger", leaves=True)
        look(driver, f"{design}-erased")
        driver.get(link)
        look(driver, f"{design}-nothing")
        stays_here(driver, app.base)
    store.close()


CUT = """
const plain = window.fetch;
const whole = new Set();
window.fetch = async (address, options = {}) => {
  const reply = await plain(address, options);
  const cut = () => Promise.reject(new TypeError("cut off"));
  if (!whole.has(options.method)) reply.text = reply.json = cut;
  whole.add(options.method);
  return reply;
};
"""


def cut_off(driver, name):
    """The server dies in the middle of a confirmation, then of a page: both are asked for again."""
    driver.get(re.sub(r"/practice.*", "/start", driver.current_url))
    press(driver, "button.go", leaves=True)
    before = until(driver, lambda s: s["item"] and s["ready"])
    driver.execute_script(CUT)
    key(driver, name)
    after = until(driver, lambda s: s["ready"] and s["item"] != before["item"])
    assert after["place"].startswith("2 of 8") and not after["warned"]


STRANGE = """
const plain = window.fetch;
let left = 2;
window.strange = 0;
window.fetch = async (address, options = {}) => {
  if (options.method === arguments[0] && left) {
    left -= 1;
    window.strange += 1;
    const text = arguments[1];
    return new Response(text, { status: 200, headers: { "Content-Type": "text/html" } });
  }
  return plain(address, options);
};
"""

PORTAL = "<!DOCTYPE html><title>Wi-Fi</title><div id=page><h1>Log in to go on</h1></div>"


def strangers_answer(driver, store, name):
    """A network's log-in page in place of a confirmation, then of a page: no false "Saved"."""
    for method, text in (("POST", PORTAL), ("POST", '{"ok": true}'), (None, PORTAL)):
        before = until(driver, lambda s: s["item"] and s["ready"])
        kept = len(store.answers())
        driver.execute_script("sessionStorage.witness = JSON.stringify({answers: [], warned: 0});")
        script = STRANGE.replace("arguments[0]", json.dumps(method) if method else "undefined")
        driver.execute_script(script.replace("arguments[1]", json.dumps(text)))
        driver.execute_script(
            "window.said = []; new MutationObserver(() => window.said.push("
            "[document.getElementById('told').textContent, window.strange]))"
            ".observe(document.getElementById('told'), { childList: true });"
        )
        key(driver, name)
        until(driver, lambda s: s["warned"])
        after = until(driver, lambda s, b=before: s["ready"] and s["item"] != b["item"])
        assert not after["warned"] and len(store.answers()) == kept + 1
        assert driver.execute_script("return window.strange") == 2
        said = driver.execute_script("return window.said")
        assert any(words.startswith("Saved") for words, _ in said)
        if method:
            assert all(times == 2 for words, times in said if words.startswith("Saved"))


def digits_by_place(driver, store, design):
    """A French keyboard has digits with Shift alone; where "+" lies on a digit it is no answer."""
    before = until(driver, lambda s: s["item"] and s["ready"])
    digit, sign = ("4", "'") if design == "acr" else ("0", "à")
    stroke = {"type": "keyDown", "code": f"Digit{digit}", "key": "+", "text": "+"}
    driver.execute_cdp_cmd("Input.dispatchKeyEvent", stroke)
    driver.execute_cdp_cmd("Input.dispatchKeyEvent", stroke | {"key": "!", "modifiers": 8})
    time.sleep(0.3)
    assert driver.execute_script(STATE)["item"] == before["item"]
    driver.execute_cdp_cmd("Input.dispatchKeyEvent", stroke | {"key": sign, "text": sign})
    until(driver, lambda s: s["ready"] and s["item"] != before["item"])
    assert store.answers()[-1].rating == int(digit)


def tools(driver, design):
    """Zoom by keys, opacity by the slider, names under the pointer, keys that can be put off."""
    shape = "return getComputedStyle(document.querySelector('.stage .stack')).transform"
    key(driver, "+")
    time.sleep(0.3)  # the way there is drawn
    assert driver.execute_script(shape).startswith("matrix(1.4")
    key(driver, "-")
    driver.execute_script(
        "const s = document.getElementById('opacity'); s.value = 20;"
        "s.dispatchEvent(new Event('input'));"
    )
    masks = driver.execute_script(
        "return [...document.querySelectorAll('.stage .mask')].map(m => m.style.opacity)"
    )
    assert masks == ["0.2"] * (2 if design == "pairs" else 1)

    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    stage = driver.find_element(By.CSS_SELECTOR, ".stage")
    ActionChains(driver, duration=0).move_to_element(stage).perform()
    assert driver.find_element(By.CSS_SELECTOR, ".named").text in ("nose", "skin", "lips", "hair")

    if driver.find_element(By.CSS_SELECTOR, "details.key").get_attribute("open") is None:
        press(driver, "details.key summary")
    press(driver, "#keys")
    before = driver.execute_script(STATE)["item"]
    key(driver, "1" if design == "acr" else "0")
    time.sleep(0.3)
    assert driver.execute_script(STATE)["item"] == before
    press(driver, "#keys")
    key(driver, "1" if design == "acr" else "\ue012")  # the left arrow
    until(driver, lambda s: s["ready"] and s["item"] != before)
