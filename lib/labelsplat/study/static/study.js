// Keys, slider, zoom, and answers that are sent until the server has confirmed them.
// Without this file every page works as a plain form.
"use strict";

const told = document.getElementById("told");
const alarm = document.getElementById("alert");
const store = {
  // Not in every browser, nor in every private window; then a reload asks the item once more.
  get(key) { try { return sessionStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { sessionStorage.setItem(key, value); } catch { /* see above */ } },
  remove(key) { try { sessionStorage.removeItem(key); } catch { /* see above */ } },
};
const PENDING = `pending ${location.pathname.split("/").slice(0, -1).join("/")}`;
const PATIENCE = 20; // seconds until something that does not answer is asked again
const wait = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });
let busy = false;
let view = { scale: 1, x: 0, y: 0 };

document.documentElement.classList.add("js");

// -- sending -------------------------------------------------------------------------------------

let fading = 0;

function say(text) {
  clearTimeout(fading);
  told.textContent = text;
  fading = setTimeout(() => { told.textContent = ""; }, 2500);
}

function trouble(text) {
  alarm.textContent = text;
  alarm.hidden = !text;
}

const MARK = 'meta[name="application-name"][content="labelsplat study"]';

// A page of this study, else null: an open network's log-in page, or a proxy, may answer instead.
function pageOf(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  return page.querySelector(MARK) && page.getElementById("page") ? page : null;
}

// The study's reply to an answer: what became of it, or where to go; null if it is not the study's.
function replyOf(text) {
  let found = null;
  try { found = JSON.parse(text); } catch { /* a page that refuses, not a reply */ }
  if (found && typeof found.next === "string") return found;
  return pageOf(text) ? { next: "./" } : null;
}

// fetch that goes on until the study answers for good; `what` tells the rater what is at stake, and
// `read` makes something of the text, or null if somebody else has answered.
// Waits for the whole text, too: a server may die, or a network hang, in the middle of an answer.
async function patiently(address, options, read, what) {
  for (let pause = 0.4; ; pause = Math.min(pause * 1.6, 5)) {
    let response = null;
    let text = "";
    try {
      const signal = AbortSignal.timeout(1000 * PATIENCE);
      response = await fetch(address, { cache: "no-store", signal, ...options });
      text = await response.text();
    } catch {
      response = null; // the server is away
    }
    const found = response && response.status < 500 && response.status !== 429 ? read(text) : null;
    if (found) {
      trouble("");
      return { status: response.status, url: response.url, found };
    }
    if (response && response.status === 429) {
      await wait(Number(response.headers.get("Retry-After")) || 1);
      continue;
    }
    trouble(`The server cannot be reached. ${what} Keep this page open: it tries again by itself.`);
    await wait(pause);
  }
}

async function send(pending) {
  const body = new URLSearchParams({ item: pending.item, rating: pending.rating });
  store.set(PENDING, JSON.stringify(pending));
  const response = await patiently(
    pending.action,
    { method: "POST", body, headers: { Accept: "application/json" } },
    replyOf,
    `Your answer (${pending.word}) is kept here.`,
  );
  store.remove(PENDING);
  if (response.status === 404) {
    location.reload();
    return new Promise(() => {});
  }
  return { status: response.status, ...response.found };
}

async function answer(button) {
  if (busy) return;
  busy = true;
  const form = button.form;
  const word = button.querySelector("span").textContent;
  button.classList.add("sent");
  document.getElementById("page").setAttribute("aria-busy", "true");
  const found = await send({
    action: form.getAttribute("action"),
    item: form.elements.namedItem("item").value,
    rating: button.value,
    word,
  });
  if (found.status === 409) say("This screen was answered elsewhere.");
  else if (found.status >= 400 || !found.outcome) say("This answer was not taken.");
  else if (found.outcome === "practice") say(`Practice: ${word}.`);
  else say(found.outcome === "changed" ? `Changed to ${word}.` : `Saved: ${word}.`);
  await turnTo(found.next);
}

// -- the next screen -----------------------------------------------------------------------------

async function load(picture) {
  for (let tries = 0; ; tries += 1) {
    try {
      const late = wait(PATIENCE).then(() => { throw new Error("late"); });
      await Promise.race([picture.decode(), late]);
      trouble("");
      return;
    } catch {
      if (tries) trouble("A picture cannot be loaded. Keep this page open: it tries again by itself.");
      await wait(Math.min(0.3 * 2 ** tries, 4));
      picture.src = picture.getAttribute("src");
    }
  }
}

// Puts another page's content here, once its pictures are there: nobody rates what is half loaded.
async function turnTo(address) {
  const response = await patiently(address, {}, pageOf, "Your answers are stored.");
  const page = response.found;
  const fresh = document.adoptNode(page.getElementById("page"));
  await Promise.all([...fresh.querySelectorAll("img")].map(load));
  const before = document.querySelector("details.key");
  const now = fresh.querySelector("details.key");
  if (before && now) now.open = before.open;
  document.getElementById("page").replaceWith(fresh);
  document.title = page.title;
  history.replaceState(null, "", response.url);
  if (!fresh.querySelector("[data-rate]")) say(""); // such pages speak for themselves
  furnish();
  document.getElementById("main").focus({ preventScroll: true });
  busy = false;
}

// -- slider, zoom, names of colours ---------------------------------------------------------------

function opacity() {
  const slider = document.getElementById("opacity");
  slider.setAttribute("aria-valuetext", `${slider.value} percent`);
  for (const mask of document.querySelectorAll(".stage .mask")) mask.style.opacity = slider.value / 100;
}

function zoom(scale, x = view.x, y = view.y) {
  const stage = document.querySelector(".stage");
  if (!stage) return;
  const side = stage.clientWidth;
  view.scale = Math.min(Math.max(scale, 1), 6);
  const most = (side * (view.scale - 1)) / 2;
  view.x = Math.min(Math.max(x, -most), most);
  view.y = Math.min(Math.max(y, -most), most);
  for (const stack of document.querySelectorAll(".stage .stack")) {
    stack.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    stack.parentElement.classList.toggle("near", view.scale > 1);
  }
}

// So that the point under (x, y), from the middle of the stage, stays where it is.
function zoomAt(factor, x, y) {
  const scale = Math.min(Math.max(view.scale * factor, 1), 6);
  const by = scale / view.scale;
  zoom(scale, x - (x - view.x) * by, y - (y - view.y) * by);
}

function fromMiddle(event, stage) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
}

// The name of the colour under the pointer, for whom colours alone say little.
function namer(stage) {
  const mask = stage.querySelector(".mask");
  const label = stage.querySelector(".named");
  const names = new Map([...document.querySelectorAll("[data-colour]")].map(
    (entry) => [entry.dataset.colour.toLowerCase(), entry.textContent]));
  let pixels = null;
  return (event) => {
    if (!pixels && mask.complete && mask.naturalWidth) {
      const canvas = document.createElement("canvas");
      canvas.width = mask.naturalWidth;
      canvas.height = mask.naturalHeight;
      pixels = canvas.getContext("2d", { willReadFrequently: true });
      pixels.drawImage(mask, 0, 0);
    }
    const box = mask.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * mask.naturalWidth;
    const y = ((event.clientY - box.top) / box.height) * mask.naturalHeight;
    const [r, g, b, a] = pixels ? pixels.getImageData(x, y, 1, 1).data : [0, 0, 0, 0];
    const near = (colour) => [r, g, b].every(
      (value, i) => Math.abs(value - parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16)) < 4);
    const found = a ? [...names.keys()].find(near) : null;
    label.textContent = found ? names.get(found) : "";
    label.hidden = !found;
  };
}

function touch(stage) {
  const fingers = new Map();
  const name = namer(stage);
  let apart = 0;
  stage.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    if (view.scale > 1 || fingers.size > 1) stage.setPointerCapture(event.pointerId);
    name(event);
  });
  stage.addEventListener("pointermove", (event) => {
    name(event);
    const last = fingers.get(event.pointerId);
    if (!last) return;
    fingers.set(event.pointerId, event);
    if (fingers.size === 1) {
      zoom(view.scale, view.x + event.clientX - last.clientX, view.y + event.clientY - last.clientY);
      return;
    }
    const [a, b] = [...fingers.values()];
    const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    if (apart) zoomAt(now / apart, ...fromMiddle(middle, stage));
    apart = now;
  });
  const lift = (event) => { fingers.delete(event.pointerId); apart = 0; };
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    stage.addEventListener(kind, lift);
  }
  stage.addEventListener("pointerleave", () => { stage.querySelector(".named").hidden = true; });
  stage.addEventListener("wheel", (event) => {
    if (event.deltaY > 0 && view.scale === 1) return; // let the page scroll
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 400), ...fromMiddle(event, stage));
  }, { passive: false });
}

// What every screen needs once it is here. Each starts alike: same opacity, whole photo.
function furnish() {
  const form = document.querySelector("[data-rate]");
  if (!form) return;
  view = { scale: 1, x: 0, y: 0 };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (event.submitter) answer(event.submitter);
  });
  const slider = document.getElementById("opacity");
  slider.addEventListener("input", opacity);
  // The arrow keys are the slider's while it has the focus: a mouse gives it back.
  slider.addEventListener("pointerup", () => slider.blur());
  opacity();
  for (const button of document.querySelectorAll("[data-zoom]")) {
    const by = { in: 1.4, out: 1 / 1.4, reset: 0 }[button.dataset.zoom];
    button.addEventListener("click", () => (by ? zoomAt(by, 0, 0) : zoom(1, 0, 0)));
  }
  for (const stage of document.querySelectorAll(".stage")) touch(stage);
  const keys = document.getElementById("keys");
  keys.checked = store.get("keys") !== "off";
  keys.addEventListener("change", () => store.set("keys", keys.checked ? "on" : "off"));
}

document.addEventListener("click", (event) => {
  const back = event.target.closest("[data-back]");
  if (!back || busy) return;
  event.preventDefault();
  busy = true;
  turnTo(back.getAttribute("href"));
});

document.addEventListener("keydown", (event) => {
  const form = document.querySelector("[data-rate]");
  if (!form || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!document.getElementById("keys").checked) return;
  const inSlider = event.target.matches("input[type=range]");
  if (inSlider && event.key.startsWith("Arrow")) return;
  const byKey = (name) => [...form.querySelectorAll("[data-keys]")].find(
    (one) => one.dataset.keys.split(" ").includes(name));
  // On a French keyboard digits need Shift: there, the place of the key counts. What a key means by
  // itself comes first, as "+" and "-" lie on digits elsewhere.
  const digit = event.shiftKey ? null : /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  const button = byKey(event.key);
  if (button) {
    event.preventDefault();
    answer(button);
  } else if (event.key === "+" || event.key === "=") zoomAt(1.4, 0, 0);
  else if (event.key === "-" || event.key === "_") zoomAt(1 / 1.4, 0, 0);
  else if (digit && byKey(digit[1])) {
    event.preventDefault();
    answer(byKey(digit[1]));
  }
});

async function begin() {
  // Where the list would push the answers down it opens on demand.
  const small = matchMedia(
    "(max-width: 40rem), (max-width: 60rem) and (max-aspect-ratio: 1/1)").matches;
  const legend = document.querySelector("details.key");
  if (legend && small) legend.open = false;
  furnish();
  // An answer that a reload or a crash of the browser's tab has kept from arriving.
  const kept = store.get(PENDING);
  if (!kept || !document.querySelector("[data-rate]")) return;
  busy = true;
  const found = await send(JSON.parse(kept));
  if (found.status < 400 && found.outcome) say("Your last answer is saved.");
  await turnTo(found.next);
}

begin();
