"""The whole analysis: what stands in ``user_study.json``, and what it says where it cannot say."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from labelsplat.base import LabelsplatError, write_json
from labelsplat.base.layout import Layout
from labelsplat.report import front_study
from labelsplat.study import tables
from labelsplat.study.analyse import AnalysisSettings, analyse_line, analyse_study
from labelsplat.study.exclusion import ExclusionRules
from labelsplat.study.fixed import fixed_beforehand
from labelsplat.study.key import METHODS
from labelsplat.study.mixed import crossed_test
from labelsplat.study.nonparametric import friedman, wilcoxon
from labelsplat.study.panel import PanelSettings, simulate_panel
from labelsplat.study.power import PowerSettings
from labelsplat.study.ratings import ratings_from_frame, write_ratings
from labelsplat.viz import study as figures

QUICK = AnalysisSettings(bootstrap=300, random_raters=20, power=PowerSettings(simulations=300))
FIGURES = [
    figures.plot_study_answers,
    figures.plot_study_means,
    figures.plot_study_poses,
    figures.plot_study_agreement,
    figures.plot_study_session,
    figures.plot_study_power,
]
TABLES = [
    tables.opinion_table,
    tables.pair_table,
    tables.pose_table,
    tables.exclusion_table,
    tables.effect_table,
    tables.agreement_table,
]


@pytest.fixture(scope="module")
def analysed(make_study, as_people):
    """``analysed(panel, seed, settings, origin, **options)``; the same once more is not redone."""
    known = {}

    def analyse(panel=None, seed=0, origin="simulation", **options):
        name = repr((panel, seed, origin, sorted(options.items())))
        if name not in known:
            made = make_study(**options)
            panel = panel or PanelSettings()
            answers = simulate_panel(made.package, made.key, panel, seed)
            answers = as_people(answers) if origin == "human" else answers.assign(origin=origin)
            ratings = ratings_from_frame(answers, made.package, made.key)
            known[name] = analyse_study(
                ratings, made.package, QUICK, seed=0,
                panel=panel if origin == "simulation" else None,
            )  # fmt: skip
        return known[name]

    return analyse


CASES = [
    {},
    {"design": "pairs"},
    {"images_per_rater": 8},
    {"truth": False, "methods": ("baseline", "self_training", "refined")},
    {"methods": ("baseline", "refined")},
    {"panel": PanelSettings(raters=1, inattentive=0, unfinished=0)},
    {"panel": PanelSettings(raters=1, inattentive=0, unfinished=0), "design": "pairs"},
    {"panel": PanelSettings(raters=4, inattentive=1.0, unfinished=0)},
    {"panel": PanelSettings(raters=2, inattentive=0, unfinished=1.0)},
    {"panel": PanelSettings(raters=2, inattentive=0, unfinished=1.0), "design": "pairs"},
]


NAMES = [
    "acr", "pairs", "few-images-each", "no-truth", "two-methods", "one-rater", "one-rater-pairs",
    "all-careless", "nobody-left", "nobody-left-pairs",
]  # fmt: skip


@pytest.mark.parametrize("options", CASES, ids=NAMES)
def test_every_study_gives_a_report_figures_and_tables(analysed, options):
    report = analysed(**options)
    json.dumps(report.content, allow_nan=False)
    for draw in FIGURES:
        picture = draw(report)
        if picture is not None:
            assert [t.get_text() for t in picture.texts].count("SIMULATED") == 1
            picture.canvas.draw()
    for make in TABLES:
        table = make(report.content)
        assert (table["who rated"] == "SIMULATED").all() and table.columns[0] == "who rated"
    assert tables.power_sentence(report.content)


def test_content_is_what_others_read(analysed):
    found = analysed().content
    assert found["simulated"] is True and found["origin"] == "simulation"
    assert (found["design"], found["items"], found["images"]) == ("acr", 120, 24)
    assert found["raters"] == 24 - found["excluded"]["raters"] > 15
    assert list(found["mos"]) == ["baseline", "self_training", "refined", "oracle", "reference"]
    for row in found["mos"].values():
        assert 1 <= row["low"] < row["mean"] < row["high"] <= 5
        assert sum(row["counts"].values()) == row["n"] == 24 * found["raters"]
    assert found["primary"] == next(iter(found["pairs"])) == "refined-self_training"
    assert len(found["pairs"]) == 10
    assert {"alpha", "icc"} <= found["agreement"].keys()
    assert found["power"]["raters_needed"] >= 2
    assert found["panel"]["f"] == PanelSettings().describe()
    assert set(found["by_stratum"]) == {"standard", "middle", "extreme", "behind"}
    assert sum(row["images"] for row in found["by_stratum"].values()) == 24
    assert found["bradley_terry"] is None


def test_the_order_follows_from_f(analysed):
    means = [row["mean"] for row in analysed().content["mos"].values()]
    assert means == sorted(means)


def test_differences_are_those_of_the_means_and_the_primary_one_stands_alone(analysed):
    report = analysed()
    mos, pairs = report.content["mos"], report.content["pairs"]
    for name, row in pairs.items():
        a, b = name.split("-")
        assert row["difference"] == pytest.approx(mos[a]["mean"] - mos[b]["mean"])
        assert row["low"] < row["difference"] < row["high"]
        # Two ways to an interval, of much the same width.
        wide = row["bootstrap"]["high"] - row["bootstrap"]["low"]
        assert wide == pytest.approx(row["high"] - row["low"], rel=0.4)
    primary = pairs[report.content["primary"]]
    assert primary["p_holm"] == primary["p"]
    # Holm among the other nine, by its definition.
    others = [row for row in pairs.values() if row is not primary]
    ordered = sorted(others, key=lambda row: row["p"])
    assert ordered[0]["p_holm"] == pytest.approx(min(1, 9 * ordered[0]["p"]))
    assert all(row["p_holm"] >= row["p"] for row in ordered)


def test_the_primary_test_is_the_crossed_test_of_the_differences(analysed):
    report = analysed()
    wide = report.ratings.scored.pivot_table(
        index="rater", columns=["method", "image"], values="rating"
    )
    test = crossed_test((wide["refined"] - wide["self_training"]).to_numpy())
    found = report.content["pairs"]["refined-self_training"]
    assert (found["p"], found["df"], found["se"]) == (test.p, test.df, test.se)


def test_strata_are_the_same_computation_on_their_images(analysed):
    report = analysed()
    rows = report.ratings.scored[lambda t: (t["stratum"] == "extreme") & (t["method"] == "oracle")]
    found = report.content["by_stratum"]["extreme"]["mos"]["oracle"]
    assert found["mean"] == pytest.approx(rows["rating"].mean())
    assert found["n"] == len(rows)


def test_tests_by_ranks_see_means_of_images(analysed):
    report = analysed()
    means = report.ratings.scored.pivot_table(index="image", columns="method", values="rating")
    found = report.content["friedman"]
    expected = stats.friedmanchisquare(*means.to_numpy().T)
    assert found["p"] == pytest.approx(expected.pvalue) and found["people"] == 24
    assert found["ranks"]["baseline"] == pytest.approx(means.rank(axis=1)["baseline"].mean())
    ranks = report.content["wilcoxon"]["oracle-refined"]
    # Rounded, or differences of means that are equal would not be ties any more.
    expected = stats.wilcoxon((means["oracle"] - means["refined"]).round(9))
    assert ranks["p"] == pytest.approx(expected.pvalue)


def test_ranks_of_what_does_not_differ():
    assert friedman(np.ones((5, 3)), ["a", "b", "c"])["reason"]
    assert friedman(np.eye(5)[:, :2], ["a", "b"])["reason"]
    assert wilcoxon(np.zeros(5))["reason"] and wilcoxon(np.ones(1))["reason"]
    gaps = np.random.default_rng(0).normal(size=(6, 3))
    gaps[0, 0] = np.nan
    assert friedman(gaps, ["a", "b", "c"])["people"] == 5


def plain(text):
    """Without what only keeps a cell in one line."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def test_tables_say_what_the_report_says(analysed):
    content = analysed().content
    row = content["mos"]["refined"]
    shown = plain(tables.opinion_table(content).loc["refined", "MOS [95 %]"])
    assert shown == f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    pairs = tables.pair_table(content)
    assert pairs.index[0] == "refined − self-training" and pairs.iloc[0]["Holm"] == "primary"
    assert plain(pairs.iloc[0]["p"]) == "< .001"
    poses = tables.pose_table(content)
    row = content["by_stratum"]["extreme"]["primary"]
    shown = plain(poses.loc["refined − self-training", "extreme (6 photos)"])
    assert shown == f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    lost = tables.exclusion_table(content)
    assert lost.loc["left out in all", "raters"] == f"{content['excluded']['raters']} of 24"
    needed = content["power"]["raters_needed"]
    assert tables.power_sentence(content).startswith(
        f"{needed} raters who see all 24 photos of 24 people"
    )


def test_excluded_raters_count_for_nothing(analysed):
    report = analysed()
    assert report.exclusion.reasons
    assert not set(report.ratings.raters) & set(report.exclusion.reasons)
    assert report.content["ratings"] == len(report.ratings.scored)
    assert report.correlations.shape == (report.content["raters"],) * 2


def test_pairs_have_strengths_in_the_order_of_f(analysed):
    found = analysed(design="pairs").content
    strengths = [row["value"] for row in found["bradley_terry"].values()]
    assert strengths == sorted(strengths)
    assert found["mos"] == {} and found["items"] == 240
    assert "MOS" in found["power"]["reason"]
    row = found["pairs"]["refined-self_training"]
    better, none, worse = (row["counts"][k] for k in ("better", "none", "worse"))
    assert better + none + worse == row["n"]
    assert row["difference"] == pytest.approx((better - worse) / row["n"])


def test_gaps_take_reml_and_find_the_same(analysed):
    few, all_ = analysed(images_per_rater=8).content, analysed().content
    row, full = (c["pairs"]["refined-self_training"] for c in (few, all_))
    assert (row["estimated_by"], full["estimated_by"]) == ("REML", "closed form")
    assert row["difference"] == pytest.approx(full["difference"], abs=0.4)
    assert row["n"] == 8 * few["raters"]


def test_one_rater_states_limits(analysed):
    found = analysed(PanelSettings(raters=1, inattentive=0, unfinished=0)).content
    row = found["pairs"]["refined-self_training"]
    assert row["p"] is row["low"] is row["p_holm"] is None
    assert "fewer than two raters" in row["reason"]
    assert isinstance(row["difference"], float)
    assert found["mos"]["refined"]["mean"] is not None
    assert found["mos"]["refined"]["low"] is None
    assert found["agreement"]["alpha"] is None and found["agreement"]["reason"]
    assert found["power"]["raters_needed"] is None and found["power"]["reason"]
    for test in (found["friedman"], *found["wilcoxon"].values()):
        assert test["p"] is None and "fewer than two raters" in test["reason"]
    assert any("1 of 1" in text for text in found["limits"])


def test_nobody_left_states_limits(make_study):
    made = make_study(images=4)
    panel = PanelSettings(raters=3, inattentive=0, unfinished=1.0)
    answers = simulate_panel(made.package, made.key, panel, 0)
    ratings = ratings_from_frame(answers, made.package, made.key)
    report = analyse_study(ratings, made.package, QUICK, seed=0)
    assert report.content["raters"] == 0 and report.content["excluded"]["incomplete"] == 3
    assert any("0 of 3" in text for text in report.content["limits"])
    for draw in FIGURES:
        picture = draw(report)
        assert picture is None or picture.texts[-1].get_text() == "SIMULATED"


def test_a_missing_method_means_no_primary_test(analysed):
    found = analysed(methods=("baseline", "refined")).content
    assert found["primary"] is None and list(found["pairs"]) == ["refined-baseline"]
    assert any("no primary test" in text for text in found["limits"])
    assert found["friedman"]["p"] is None and found["friedman"]["reason"]


def test_people_are_not_called_simulated_and_scripts_are(analysed):
    human, script = analysed(origin="human"), analysed(origin="script")
    assert human.content["simulated"] is False and human.content["panel"] is None
    assert not any("no person" in text for text in human.content["limits"])
    assert script.content["simulated"] is True
    for draw in FIGURES:
        marks = [[t.get_text() for t in draw(r).texts] for r in (human, script)]
        assert "SIMULATED" not in marks[0] and "SIMULATED" in marks[1]
    for make in TABLES:
        assert (make(human.content)["who rated"] == "human").all()
        assert make(script.content)["who rated"].str.contains("SIMULATED").all()


def test_the_mark_reaches_across_the_figure(analysed):
    picture = figures.plot_study_answers(analysed())
    picture.canvas.draw()
    mark = next(t for t in picture.texts if t.get_text() == "SIMULATED")
    box, whole = mark.get_window_extent(), picture.bbox
    assert box.width > 0.5 * whole.width
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1
    assert 0.05 < mark.get_alpha() < 0.4


def test_same_seed_same_bytes(rated):
    made, ratings = rated(images=8)
    first, again = (
        json.dumps(analyse_study(ratings, made.package, QUICK, seed=1).content) for _ in range(2)
    )
    other = analyse_study(ratings, made.package, QUICK, seed=2).content
    assert first == again
    assert other["mos"]["refined"]["low"] != json.loads(first)["mos"]["refined"]["low"]


@pytest.fixture
def line(tmp_path, make_study):
    """A project that holds nothing but a prepared study."""
    made = make_study(images=6)
    layout = Layout(tmp_path.resolve())
    layout.study_package.parent.mkdir(parents=True)
    layout.study_package.symlink_to(made.root)
    layout.study_key.symlink_to(made.key_path)
    return made, layout


SMALL = {"bootstrap": 100, "power": {"simulations": 200}, "seed": 0}


def test_the_line_simulates_where_nobody_has_rated(line):
    _, layout = line
    report = analyse_line(layout, panel={"raters": 9}, **SMALL)
    written = json.loads((layout.metrics / "user_study.json").read_text())
    assert written == json.loads(json.dumps(report.content))
    assert written["simulated"] is True and written["excluded"]["of"] == 9
    assert written["panel"]["f"].startswith("f(mIoU) = ")


def test_the_line_reads_what_was_rated(line, as_people):
    made, layout = line
    answers = simulate_panel(made.package, made.key, PanelSettings(raters=7), 3)
    write_ratings(layout.root / "export.csv", as_people(answers))
    report = analyse_line(layout, ratings="export.csv", **SMALL)
    assert report.content["simulated"] is False and report.content["excluded"]["of"] == 7
    assert report.content["panel"] is None


def test_bad_ratings_leave_the_last_report_alone(line):
    made, layout = line
    analyse_line(layout, panel={"raters": 5}, **SMALL)
    before = (layout.metrics / "user_study.json").read_bytes()
    answers = simulate_panel(made.package, made.key, PanelSettings(raters=2), 0)
    mixed = answers.assign(origin=np.where(answers["rater"] == "sim001", "human", "script"))
    write_ratings(layout.root / "export.csv", mixed)
    with pytest.raises(LabelsplatError, match=re.escape("export.csv, line ")):
        analyse_line(layout, ratings="export.csv", **SMALL)
    assert (layout.metrics / "user_study.json").read_bytes() == before
    with pytest.raises(LabelsplatError, match=r"none\.csv"):
        analyse_line(layout, ratings="none.csv", **SMALL)


def test_a_study_with_stray_answers_missing_still_holds_together(rated):
    made, ratings = rated(images=8)
    rng = np.random.default_rng(0)
    kept = ratings.table[rng.random(len(ratings.table)) > 0.1].reset_index(drop=True)
    report = analyse_study(replace(ratings, table=kept), made.package, QUICK, seed=0)
    found = report.content["pairs"]["refined-self_training"]
    assert found["estimated_by"] == "REML" and found["p"] is not None


def test_several_photos_of_a_person_are_one_person(analysed):
    found = analysed(people=15).content
    assert (found["images"], found["people"]) == (24, 15)
    assert any("24 photos show 15 people" in text for text in found["limits"])
    assert found["friedman"]["people"] == found["wilcoxon"]["oracle-refined"]["people"] == 15
    assert found["power"]["people"] == 15
    assert "of 15 people" in tables.power_sentence(found)
    row = found["pairs"]["refined-self_training"]
    assert row["n"] == found["mos"]["refined"]["n"] <= 24 * found["raters"]
    # What a person counts is the same in means and in differences.
    for name, pair in found["pairs"].items():
        a, b = name.split("-")
        difference = found["mos"][a]["mean"] - found["mos"][b]["mean"]
        assert pair["difference"] == pytest.approx(difference, abs=0.01)
    assert not any("photos show" in text for text in analysed().content["limits"])


def test_one_person_on_all_photos_is_no_study(analysed):
    found = analysed(people=1).content
    row = found["pairs"]["refined-self_training"]
    assert row["p"] is None and "fewer than two people" in row["reason"]
    assert found["mos"]["refined"]["low"] is None
    assert any("people on the photos rated: 1" in text for text in found["limits"])


def test_raters_to_invite_make_up_for_those_who_are_left_out(analysed):
    found = analysed().content
    power, excluded = found["power"], found["excluded"]
    kept = 1 - excluded["raters"] / excluded["of"]
    assert 0 < kept < 1 and power["alpha"] == 0.05
    assert power["raters_to_invite"] * kept >= power["raters_needed"]
    assert (power["raters_to_invite"] - 1) * kept < power["raters_needed"]
    sentence = tables.power_sentence(found)
    for part in (f"{power['raters_to_invite']} have to be invited", "two-sided test at 0.05"):
        assert part in sentence


def test_rules_that_exclude_nobody_are_named(rated):
    made, ratings = rated(images=8)
    blunt = replace(QUICK, rules=ExclusionRules(absurd_allowed=4))
    found = analyse_study(ratings, made.package, blunt, seed=0).content
    assert any("absurd items exclude nobody" in text for text in found["limits"])
    found = analyse_study(ratings, made.package, QUICK, seed=0).content
    assert not any("exclude" in text for text in found["limits"])


def test_random_raters_are_counted_beside_those_left_out(analysed):
    content = analysed().content
    assert content["excluded"]["random_raters"]["raters"] == 20
    assert "random raters that pass" in tables.exclusion_table(content)


def fixed(path, study, **changes):
    write_json(path, {"study": study, "fixed": fixed_beforehand(100, {}) | changes})


def test_what_was_fixed_beforehand_is_held_against_the_analysis(line):
    made, layout = line

    def limits(**more):
        found = analyse_line(layout, panel={"raters": 6}, **SMALL, **more).content["limits"]
        return [text for text in found if "fixed" in text]

    assert limits() == [
        "no plan.json beside the key: whether the rules were fixed beforehand cannot be told"
    ]
    study = made.package.study
    fixed(layout.study_plan, study)
    assert limits() == []
    assert limits(exclusion={"answered": 0.5}) == [
        "not as fixed beforehand: exclusion.answered is 0.5, fixed was 0.8"
    ]
    fixed(layout.study_plan, study, primary="oracle-baseline", bootstrap=9)
    assert limits() == [
        "not as fixed beforehand: bootstrap is 100, fixed was 9",
        "not as fixed beforehand: primary is refined-self_training, fixed was oracle-baseline",
    ]
    fixed(layout.study_plan, "another")
    assert "plan.json is of study another" in limits()[0]
    write_json(layout.study_plan, {"study": study})
    assert "plan.json names nothing that was fixed" in limits()[0]


def test_package_and_key_may_lie_elsewhere(line, make_study):
    """As a lab's copy does, while data/study belongs to the next run."""
    _, layout = line
    copy = make_study(images=4, seed=3)
    (layout.root / "safe").symlink_to(copy.root.parent)
    report = analyse_line(
        layout, package="safe/package", key="safe/key.csv", panel={"raters": 6}, **SMALL
    )
    assert report.content["study"] == copy.package.study == "made3"
    with pytest.raises(LabelsplatError, match="key is of study"):
        analyse_line(layout, package="safe/package", panel={"raters": 6}, **SMALL)


def test_both_names_of_the_methods_agree():
    """The front page does without pandas, and so has its own."""
    assert {name: tables.METHOD_TITLES[name] for name in METHODS} == front_study.METHODS
