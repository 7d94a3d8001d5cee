"""The study's page and its part of the front page: nothing simulated may look like people's."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from labelsplat.base.files import write_json
from labelsplat.base.layout import Layout
from labelsplat.report.front_study import read_study
from labelsplat.report.html import loaded_addresses
from labelsplat.report.study_page import CAPTIONS, PAGE_BYTES, study_page, write_study_page
from labelsplat.report.templates import templates
from labelsplat.study.analyse import AnalysisSettings, analyse_study
from labelsplat.study.panel import PanelSettings
from labelsplat.study.power import PowerSettings

QUICK = AnalysisSettings(bootstrap=200, random_raters=20, power=PowerSettings(simulations=200))


def text_of(page: str) -> str:
    """What a reader sees, spaces evened out."""
    body = re.sub(r"<style>.*?</style>|data:[^\"]*", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


@pytest.fixture(scope="module", params=["acr", "pairs"])
def content(request, rated):
    made, ratings = rated(design=request.param)
    panel = PanelSettings()
    return analyse_study(ratings, made.package, QUICK, seed=0, panel=panel).content


def test_every_simulated_table_says_so(content, tmp_path):
    page = study_page(content, tmp_path)
    shown = text_of(page)
    assert "SIMULATED: what do people see?" in shown and "No human has rated." in shown
    assert content["panel"]["f"] in shown and "The order of the methods follows from f" in shown
    tables = re.findall(r"<table.*?</table>", page, flags=re.DOTALL)
    assert len(tables) == 6
    for table in tables:
        rows = table.count("<tr>") - 1
        assert rows == 0 or table.count("SIMULATED") >= rows
    assert not loaded_addresses(page) and "<script" not in page


def test_every_tile_with_ratings_says_so(content, tmp_path):
    page = study_page(content, tmp_path)
    tiles = re.findall(r"<dt>(.*?)</dt>", page)
    assert len(tiles) == 4
    for title in tiles:
        assert title.startswith("SIMULATED ") == (title != "Photos")


def test_a_panel_that_is_blind_has_no_order_on_the_front_page(content, tmp_path):
    layout = Layout(tmp_path)
    environment = templates()
    part = environment.loader.get_source(environment, "front.html.j2")[0]
    part = part[part.index("{% if study.link %}") : part.index('<h2 id="limits">')]
    for known in (True, False):
        panel = {**content["panel"], "miou_known": known}
        write_json(layout.metrics / "user_study.json", {**content, "panel": panel})
        found = read_study(layout)
        shown = text_of(environment.from_string(part).render(study=found))
        assert found.miou_known is known
        assert ("follows from f" in shown) is known and ("blind" in shown) is not known


def test_the_primary_difference_is_the_one_of_the_metrics(content, tmp_path):
    shown = text_of(study_page(content, tmp_path))
    primary = content["pairs"][content["primary"]]
    assert f"{primary['difference']:+.2f}".replace("-", "\N{MINUS SIGN}") in shown
    assert "people. To run it" in shown
    assert f"{content['raters']} of {content['excluded']['of']}" in shown


def test_ratings_by_people_carry_no_mark(content, tmp_path):
    human = {**content, "simulated": False, "origin": "human", "panel": None}
    page = study_page(human, tmp_path)
    assert "SIMULATED" not in page and "No human has rated" not in page


def test_texts_are_escaped(content, tmp_path):
    page = study_page({**content, "limits": ["<script>alert(1)</script>"]}, tmp_path)
    assert "<script>" not in page


def test_pictures_lie_in_the_page_and_it_stays_small(content, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 1400, 3)).astype(np.uint8)
    for name in CAPTIONS:
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    page = study_page(content, tmp_path)
    assert len(page.encode()) <= PAGE_BYTES and page.count("data:image/") >= 3


def test_front_page_reads_the_same_and_never_takes_unknown_ratings_for_peoples(content, tmp_path):
    layout = Layout(tmp_path)
    assert write_study_page(layout) is None and read_study(layout).link is None
    write_json(layout.metrics / "user_study.json", content)
    found = read_study(layout)
    assert found.simulated and found.f == content["panel"]["f"]
    assert found.raters == content["raters"]
    if content["design"] == "acr":
        assert dict((r[0], r[1]) for r in found.rows)["refined"] == pytest.approx(
            content["mos"]["refined"]["mean"]
        )
    path = write_study_page(layout)
    assert path == layout.reports / "user_study.html" and path.is_file()
    write_json(layout.metrics / "user_study.json", {})
    assert read_study(layout).simulated
    write_json(
        layout.metrics / "user_study.json",
        {**content, "simulated": False, "origin": "human", "panel": None},
    )
    assert not read_study(layout).simulated and read_study(layout).f is None
