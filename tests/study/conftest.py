"""Made-up studies for all tests of the analysis; each is written once a run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.ratings import ratings_from_frame

# Test folders are no packages, so the module is loaded by its path.
_SPEC = importlib.util.spec_from_file_location(
    "analysis_fixtures", Path(__file__).with_name("analysis_fixtures.py")
)
_fixtures = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _fixtures
_SPEC.loader.exec_module(_fixtures)


@pytest.fixture(scope="session")
def make_study(tmp_path_factory):
    """``make_study(**options)``: a package with its key, as ``analysis_fixtures.make_study``."""
    made = {}

    def make(**options):
        name = repr(sorted(options.items()))
        if name not in made:
            made[name] = _fixtures.make_study(tmp_path_factory.mktemp("made"), **options)
        return made[name]

    return make


@pytest.fixture(scope="session")
def as_people():
    """``as_people(answers)``: a simulated panel's answers named and dated as if people's."""

    def change(answers):
        return answers.assign(
            origin="human",
            rater=answers["rater"].str.replace("sim", "r"),
            answered_at=answers["answered_at"].str.replace(r"^\d{4}", "2026", regex=True),
        )

    return change


@pytest.fixture(scope="session")
def rated(make_study):
    """``rated(panel, seed, **options)``: a made study and the ratings of a simulated panel."""

    def rate(panel=None, seed=0, **options):
        made = make_study(**options)
        answers = simulate_panel(made.package, made.key, panel or PanelSettings(), seed)
        return made, ratings_from_frame(answers, made.package, made.key)

    return rate
