"""The whole way: prepare, rate in the app, export, analyse. Scripts rate, and are called so.

Scripts answer by the key, so that what the analysis should find can be counted beforehand.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from labelsplat.base.layout import Layout
from labelsplat.study.analyse import analyse_line
from labelsplat.study.app import Study, create_app
from labelsplat.study.exchange import export_ratings
from labelsplat.study.fixed import fixed_beforehand
from labelsplat.study.guard import RateLimit
from labelsplat.study.key import read_key
from labelsplat.study.package import read_package
from labelsplat.study.prepare import StudySettings, prepare_study
from labelsplat.study.store import Store

from .prepare_fixtures import write_judged

WORTH = {"baseline": 2, "self_training": 3, "refined": 4, "oracle": 4, "reference": 5}
RULES = {
    "absurd_allowed": 1, "repeat_difference": 0.3, "straight_lining": 0.95, "answered": 0.8,
}  # fmt: skip
BOOTSTRAP = 200
CAREFUL = 4


@dataclass
class Clock:
    """Time that passes when told, from somewhen in 2027."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def answer(facts: dict, item: str, rater: int) -> int:
    """What a careful script says: by the method, with its own mood; the same to a repeat."""
    row = facts[item]
    mood = np.random.default_rng([rater, *(row["repeat_of"] or item).encode()])
    if not row["other_method"]:
        if row["kind"] == "absurd":
            return 1
        return int(np.clip(WORTH[row["method"]] + mood.choice([-1, 0, 0, 0, 1]), 1, 5))
    if row["kind"] == "absurd":
        return 1 if row["absurd_side"] == "left" else -1
    better = np.sign(WORTH[row["other_method"]] - WORTH[row["method"]])
    return int(mood.choice([better, better, better, 0]))


class Lab:
    """The machine where people rate: it has the package, and neither key nor plan."""

    def __init__(self, package: Path, database: Path):
        self.package, self.database = package, database
        self.clock = Clock()
        self.tokens: list[str] = []
        self._open()

    def _open(self) -> None:
        package = read_package(self.package)
        self.store = Store(self.database, package)
        study = Study(package, self.store, limit=RateLimit(burst=10_000), clock=self.clock)
        self.app = create_app(study)
        self.study = package

    def restart(self) -> None:
        """As after a power cut: all that was not on disk is gone."""
        self.store.close()
        self._open()

    def issue(self, count: int) -> None:
        orders = len(self.study.orders)
        rows = self.store.issue(count, "script", orders, self.clock.now)
        self.tokens += [token for _, token in rows]

    def ask(self, rater: int, steps) -> None:
        """Let a rater's browser take some steps: an async function of a client."""

        async def session() -> None:
            link = f"http://study.test/s/{self.tokens[rater]}/"
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=link) as client:
                await steps(client)

        asyncio.run(session())

    async def begin(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("")).headers["location"] == "welcome"
        await client.post("welcome", data={"agree": "yes"})
        for n, item in enumerate(self.study.practice):
            assert item in (await client.get(f"practice?n={n}")).text
            middle = sorted(self.study.scale)[1]
            reply = await client.post(f"practice?n={n}", data={"item": item, "rating": middle})
        assert reply.headers["location"] == "start"
        assert (await client.post("start", data={"go": "on"})).headers["location"] == "rate"

    async def rate(self, client: httpx.AsyncClient, say, most: int = 10_000) -> list[str]:
        """Rate what the pages show, as long as they show something; which items that was."""
        shown = []
        while len(shown) < most:
            page = await client.get("rate")
            if page.status_code == 303:
                assert page.headers["location"] == "done"
                break
            item = re.search(r'name="item" value="([a-z0-9]+)"', page.text)[1]
            if not shown:  # the bytes that were packed, not only their names
                for name in (self.study.items[item].photo, *self.study.items[item].masks):
                    served = await client.get(f"picture/{name}")
                    assert served.content == (self.package / name).read_bytes()
            self.clock.now += 3
            reply = await client.post("rate", data={"item": item, "rating": str(say(item))})
            assert reply.status_code == 303
            shown.append(item)
        return shown


def rated(package: Path, database: Path, facts: dict) -> tuple[Lab, dict[int, list[str]]]:
    """Four careful scripts, one that always says the same, and one that withdraws."""
    lab = Lab(package, database)
    lab.issue(CAREFUL + 2)
    seen: dict[int, list[str]] = {}
    middle = 3 if lab.study.design == "acr" else 0

    def says(rater: int):
        return lambda item: middle if rater == CAREFUL else answer(facts, item, rater)

    def first_half(rater: int):
        async def steps(client: httpx.AsyncClient) -> None:
            await lab.begin(client)
            seen[rater] = await lab.rate(client, says(rater), 20)

        return steps

    def second_half(rater: int):
        async def steps(client: httpx.AsyncClient) -> None:
            assert (await client.get("")).headers["location"] == "rate"
            seen[rater] += await lab.rate(client, says(rater))

        return steps

    async def withdraw(client: httpx.AsyncClient) -> None:
        assert (await client.post("withdraw", data={"erase": "yes"})).status_code == 200
        assert (await client.get("rate")).status_code == 404

    for rater in range(CAREFUL + 2):
        lab.ask(rater, first_half(rater))
    lab.restart()
    for rater in range(CAREFUL + 1):
        lab.ask(rater, second_half(rater))
    lab.ask(CAREFUL + 1, withdraw)
    return lab, seen


@pytest.fixture(scope="module", params=["acr", "pairs"])
def study(request, tmp_path_factory):
    """(layout of the analyst, package, what was answered, the analysis)."""
    root = tmp_path_factory.mktemp(request.param).resolve()
    layout = Layout(root / "analyst")
    write_judged(layout.judged)
    settings = StudySettings(
        design=request.param, images=16, orders=8, absurd=3, repeats=3, salt="only the analyst"
    )
    plan = prepare_study(layout.judged, layout.study_package, layout.study_key, settings, seed=0)
    plan.write(layout.study_plan, fixed_beforehand(BOOTSTRAP, RULES))
    travelled = Path(shutil.copytree(layout.study_package, root / "lab" / "package"))
    key = read_key(layout.study_key)
    facts = key.set_index("item").to_dict("index")
    lab, seen = rated(travelled, root / "lab" / "answers" / "study.sqlite", facts)
    export_ratings(lab.store, layout.root / "answers.csv", "script")
    lab.store.close()
    report = analyse_line(
        layout, ratings="answers.csv", bootstrap=BOOTSTRAP, exclusion=RULES,
        power={"simulations": 200}, seed=0,
    )  # fmt: skip
    answers = pd.read_csv(layout.root / "answers.csv")
    return layout, lab.study, seen, answers.merge(key, on="item"), report


def test_everybody_saw_the_own_order_through_a_restart(study):
    _, package, seen, answers, _ = study
    for rater in range(CAREFUL + 1):
        assert seen[rater] == list(package.order(rater))
    assert len(seen[CAREFUL + 1]) == 20  # who withdrew: nothing of that is left
    assert len(answers) == sum(len(seen[rater]) for rater in range(CAREFUL + 1))
    assert answers["rater"].nunique() == CAREFUL + 1
    assert set(answers["origin"]) == {"script"} and set(answers["seconds"]) == {3.0}


def test_the_analysis_counts_what_was_answered(study):
    _, package, _, answers, report = study
    found = report.content
    assert found["simulated"] is True and found["origin"] == "script"
    assert (found["design"], found["study"]) == (package.design, package.study)
    assert found["raters"] == CAREFUL and found["excluded"]["raters"] == 1
    assert found["excluded"]["absurd"] == found["excluded"]["straight_lining"] == 1
    assert found["excluded"]["repeats"] == found["excluded"]["incomplete"] == 0
    assert any("no person rated" in text for text in found["limits"])
    careless = answers.groupby("rater")["rating"].nunique().idxmin()
    kept = answers[(answers["rater"] != careless) & (answers["kind"] == "item")]
    assert found["ratings"] == len(kept) == CAREFUL * 16 * 5
    photos = kept.drop_duplicates("image")["identity"].value_counts()
    assert set(photos) == {2}  # as many of each person: means of photos are means of people
    if package.design == "acr":
        means = kept.groupby("method")["rating"].mean()
        for method, mos in found["mos"].items():
            assert mos["mean"] == pytest.approx(means[method], abs=1e-6)
            assert mos["low"] < mos["mean"] < mos["high"]
        assert list(means.sort_values().index[:2]) == ["baseline", "self_training"]
    primary = found["pairs"]["refined-self_training"]
    assert primary["difference"] > 0.3 and primary["p"] < 0.05
    if package.design == "pairs":
        refined_right = (kept["method"] == "self_training") & (kept["other_method"] == "refined")
        refined_left = (kept["method"] == "refined") & (kept["other_method"] == "self_training")
        values = pd.concat([kept[refined_right]["rating"], -kept[refined_left]["rating"]])
        assert primary["counts"] == {
            "better": (values == 1).sum(), "none": (values == 0).sum(), "worse": 0,
        }  # fmt: skip


def test_what_was_fixed_is_what_was_run(study):
    layout, _, _, _, report = study
    fixed = json.loads(layout.study_plan.read_text(encoding="utf-8"))["fixed"]
    assert fixed["primary"] == report.content["primary"]
    assert fixed["exclusion"] == report.content["excluded"]["rules"]
    assert not any("plan.json" in text for text in report.content["limits"])


def test_the_lab_had_nothing_to_tell(study):
    """What lay there held no method, no person and no salt."""
    _, package, _, _, _ = study
    lab = package.root.parent
    files = [path for path in lab.rglob("*") if path.is_file()]
    assert {path.relative_to(lab).parts[0] for path in files} == {"package", "answers"}
    held = b"".join(path.read_bytes() for path in files)
    for word in (*WORTH, "only the analyst", "neutral"):
        assert word.encode() not in held, word
