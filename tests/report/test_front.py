"""The front page: every figure from the metrics, whole and small whatever is missing."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labelsplat.base.arms import ARM_TITLES
from labelsplat.base.files import write_json
from labelsplat.report.front import PAGE_BYTES, front_page, used_profile, write_front_page
from labelsplat.report.front_geometry import read_geometry
from labelsplat.report.front_numbers import (
    ARM_MEANINGS,
    ARMS,
    Metrics,
    gates,
    headline_rows,
    percent,
    score,
    signed,
)
from labelsplat.report.front_words import answer, findings
from labelsplat.report.html import loaded_addresses
from labelsplat.report.params import default_params, profile_text

REPO = Path(__file__).resolve().parents[2]
SECTIONS = ("arms", "gain", "gap_recovered", "over_self_training", "labels")


def text_of(page: str) -> str:
    """What a reader sees, spaces evened out."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>|data:[^\"]*", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def changed(layout, sample, **sections):
    """Replace sections of evaluate.json."""
    write_json(layout.metrics / "evaluate.json", {**sample.evaluation(), **sections})
    return Metrics(layout.metrics)


def metrics_of(layout):
    return Metrics(layout.metrics)


def draw(layout, name, size):
    layout.figures.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(noise).save(layout.figures / f"{name}.png")


def test_arms_are_called_here_what_they_are_called_everywhere(layout):
    assert {arm: name.lower() for arm, name in ARMS.items()} == ARM_TITLES
    assert ARM_MEANINGS.keys() == ARM_TITLES.keys()
    page = text_of(front_page(layout))
    assert " ".join(ARMS.values()) in page
    assert f"against the better of {ARMS['baseline']} and {ARMS['replay_only']} ." in page


def test_every_score_of_every_arm_is_shown(layout, sample):
    shown = text_of(front_page(layout))
    for arm, levels in sample.levels.items():
        for stratum, level in zip(sample.strata, levels, strict=True):
            assert f"{level:.3f}"[1:] in shown, (arm, stratum)
            assert f"{level - 0.02:.3f}"[1:] in shown, (arm, stratum)
    assert "+.183 +.153 to +.213" in shown
    assert "81 %" in shown


def test_no_figure_of_scores_is_written_by_hand(layout, sample):
    """With other metrics, none of the old scores is left on the page."""
    old = set(re.findall(r"(?<![\d.])[+−]?\.\d{3}", text_of(front_page(layout))))
    table = sample.evaluation()

    def moved(node):
        if isinstance(node, dict):
            return {k: moved(v) for k, v in node.items()}
        return None if node is None else node + 0.0503

    write_json(layout.metrics / "evaluate.json", moved(table))
    bars = set(re.findall(r"(?:≥|≤) ([+−]?\.\d{3})", text_of(front_page(layout))))
    new = set(re.findall(r"(?<![\d.])[+−]?\.\d{3}", text_of(front_page(layout))))
    expected = {score(value) for value in _leaves(moved(table))}
    expected |= {signed(value) for value in _leaves(moved(table))}
    metrics = metrics_of(layout)
    for key in ("miou", "f1"):
        for row in headline_rows(metrics, key):
            expected |= {score(cell.value) for cell in row.cells} | {signed(row.gain.value)}
    said = " ".join(findings(metrics)) + " ".join(gate.value for gate in gates(metrics))
    expected |= set(re.findall(r"[+−]?\.\d{3}", said))
    changes = {
        signed(metrics.label("refined", s) - metrics.label("raw", s))
        for s in sample.strata
        if metrics.label("raw", s) is not None
    }
    assert new <= expected | changes | bars
    assert old - new, "the two pages show the same figures"


def _leaves(node):
    if isinstance(node, dict):
        for value in node.values():
            yield from _leaves(value)
    elif node is not None:
        yield node


def test_parts_are_means_over_their_classes(layout, sample):
    table = sample.evaluation()["arms"]["refined"]["extreme"]["per_class"]
    rows = {row.name: row for row in headline_rows(metrics_of(layout)) if row.part}
    assert list(rows) == ["Ears", "Nose", "Lips"]
    refined = {name: row.cells[3].value for name, row in rows.items()}
    assert refined["Ears"] == pytest.approx((table["l_ear"]["iou"] + table["r_ear"]["iou"]) / 2)
    assert refined["Nose"] == table["nose"]["iou"]
    assert refined["Lips"] == pytest.approx((table["u_lip"]["iou"] + table["l_lip"]["iou"]) / 2)


def test_gain_is_taken_against_the_better_control(layout):
    metrics = metrics_of(layout)
    assert metrics.control("extreme") == "replay_only"
    assert metrics.control("behind") == "baseline"
    f1 = {row.name: row for row in headline_rows(metrics, "f1")}["Extreme poses"]
    assert f1.gain.value == pytest.approx(f1.cells[3].value - f1.cells[1].value)


def test_page_is_self_contained_and_small_with_heavy_pictures(layout):
    for name in ("before_after", "gain_by_stratum", "labels_profile", "per_class"):
        draw(layout, name, (900, 1400))
    path = write_front_page(layout)
    assert path == layout.root / "reports" / "index.html"
    assert path.stat().st_size < PAGE_BYTES
    page = path.read_text(encoding="utf-8")
    assert page.count("<img ") == 4
    assert loaded_addresses(page) == [] and "<script" not in page
    assert 'name="viewport"' in page
    for kind, content in re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page):
        assert kind in ("png", "webp") and base64.b64decode(content)


def test_light_pictures_stay_as_they_are(layout):
    draw(layout, "before_after", (40, 60))
    draw(layout, "per_class", (700, 900))
    original = (layout.figures / "before_after.png").read_bytes()
    assert base64.b64encode(original).decode() in front_page(layout)


def test_a_missing_or_broken_picture_is_said(layout):
    layout.figures.mkdir(parents=True)
    # Larger than the page: it cannot stay as it is, and nothing can make it smaller.
    (layout.figures / "per_class.png").write_bytes(b"no picture" * 120_000)
    page = text_of(front_page(layout))
    assert "reports/figures/before_after.png is made by make repro" in page
    assert "reports/figures/per_class.png cannot be shown" in page


def test_captures_without_truth_say_so(layout, sample):
    empty = dict.fromkeys(sample.strata)
    metrics = changed(
        layout,
        sample,
        arms={arm: empty for arm in sample.levels},
        gain=empty,
        gap_recovered=empty,
        over_self_training=empty,
        labels={kind: empty for kind in ("raw", "refined", "ceiling")},
        agreement={"raw": {"all": 0.631}, "refined": {"all": 0.934}},
    )
    assert not metrics.has_truth and answer(metrics).verdict == "No truth."
    shown = text_of(front_page(layout))
    assert "No truth." in shown and ".631" in shown and ".934" in shown
    assert "Replay only" not in shown  # no table of dashes
    scored = [gate for gate in gates(metrics)[:10] if "drawn heads" not in gate.name]
    assert len(scored) == 9 and all(gate.met is None for gate in scored)


@pytest.mark.parametrize("missing", ["evaluate", "timing", "capture", "all"])
def test_parts_of_the_metrics_may_be_missing(layout, missing):
    names = ("evaluate", "timing", "capture") if missing == "all" else (missing,)
    for name in names:
        (layout.metrics / f"{name}.json").unlink()
    shown = text_of(front_page(layout))
    assert ("Not evaluated yet." in shown) == (missing in ("evaluate", "all"))
    assert ("27 minutes" in shown) == (missing not in ("timing", "all"))


@pytest.mark.parametrize("key", SECTIONS)
def test_any_section_of_the_evaluation_may_be_null(layout, sample, key):
    changed(layout, sample, **{key: None})
    assert "</html>" in front_page(layout)


def test_a_metrics_file_of_another_shape_does_no_harm(layout):
    write_json(layout.metrics / "evaluate.json", {"power": {"r1": 8}, "arms": [1, 2]})
    assert "No truth." in front_page(layout)


def test_missed_bars_and_losses_are_told(layout, sample):
    table = sample.evaluation()
    table["gain"]["extreme"] = {"miou": 0.05, "low": -0.01, "high": 0.11}
    table["arms"]["refined"]["standard"]["miou"] = 0.60
    table["gain"]["standard"] = {"miou": -0.115, "low": -0.13, "high": -0.1}
    table["arms"]["refined_novel"]["extreme"]["miou"] = 0.48
    write_json(layout.metrics / "evaluate.json", table)
    metrics = metrics_of(layout)
    missed = [gate.name for gate in gates(metrics) if gate.met is False]
    assert missed == [
        "Parser's gain at extreme poses",
        "… and its interval's lower end",
        "Standard poses, against the baseline",
        "Standard poses, against the better control",
    ]
    said = answer(metrics)
    assert said.tone == "poor" and "Yes" not in said.verdict
    told = " ".join(findings(metrics))
    assert "“extreme poses”: the gain of +.050 is not secured" in told
    assert "Standard poses lose .115" in told
    assert "novel views add nothing at extreme poses (−.015)" in told
    assert "4 of 12 missed" in text_of(front_page(layout))


@pytest.mark.parametrize("change, told", [(-0.0004, False), (-0.0006, True), (0.01, False)])
def test_worse_labels_are_told_if_the_third_digit_shows_it(layout, sample, change, told):
    table = sample.evaluation()
    table["labels"]["refined"]["standard"]["miou"] = (
        table["labels"]["raw"]["standard"]["miou"] + change
    )
    write_json(layout.metrics / "evaluate.json", table)
    said = " ".join(findings(metrics_of(layout)))
    assert ("labels worse for “standard poses” (−.001)" in said) == told


def test_good_metrics_clear_every_bar(layout):
    assert [gate.name for gate in gates(metrics_of(layout)) if not gate.met] == []


def test_hard_heads_have_a_table_of_their_own(layout, sample):
    assert "hard to see" not in text_of(front_page(layout))
    table = sample.evaluation()
    table["hard"] = sample.evaluation()
    for stratum in table["hard"]["arms"]["refined"].values():
        stratum["miou"] = 0.123
    write_json(layout.metrics / "evaluate.json", table)
    metrics = metrics_of(layout)
    assert metrics.hard().arm("refined", "extreme").value == 0.123
    assert metrics.arm("refined", "extreme").value != 0.123
    page = text_of(front_page(layout))
    assert "heads that are hard to see" in page and page.count(".123") >= 7


def test_chapters_link_to_pages_that_are_there(layout):
    layout.html.mkdir(parents=True)
    (layout.html / "03_predict_r2.html").write_text("x", encoding="utf-8")
    page = front_page(layout)
    assert '<a href="html/03_predict_r2.html">predict@r2</a>' in page
    assert page.count('href="html/') == 1
    assert "Predict soft labels of every capture view (round r1)" in page
    shown = text_of(page)
    for name in ("capture", "fit@r1", "refine@r2", "control", "oracle", "evaluate"):
        assert f" {name} " in shown


def test_profiles_are_named(layout):
    path = layout.root / "params.yaml"
    shown = used_profile(default_params())
    assert shown.judged and shown.changes == () and shown.warning is None
    path.write_text(profile_text("quick"), encoding="utf-8")
    page = text_of(front_page(layout))
    assert "Read no result from it" in page and "capture.size 128 64" in page
    params = default_params()
    default, params["refine"]["power"] = params["refine"]["power"], 6.5
    shown = used_profile(params)
    assert shown.changes == (("refine.power", str(default), "6.5"),) and not shown.judged


def test_same_inputs_same_bytes(layout):
    draw(layout, "before_after", (900, 1400))
    assert front_page(layout) == front_page(layout)


def test_text_from_files_is_escaped(layout):
    path = layout.root / "dvc.yaml"
    text = path.read_text(encoding="utf-8").replace("Gather all sets", "<script>alert(1)</script>")
    path.write_text(text, encoding="utf-8")
    page = front_page(layout)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_nothing_heavy_is_imported():
    code = (
        "import sys\nimport labelsplat.report.front\n"
        "heavy = {'torch', 'numba', 'pandas', 'numpy', 'dvc', 'nbconvert', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(REPO / "lib")},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("value", "plain", "with_sign", "share"),
    [
        (0.5124, ".512", "+.512", "51 %"),
        (-0.0163, "−.016", "−.016", "−2 %"),
        (0.0, ".000", "+.000", "0 %"),
        (-0.0001, ".000", "+.000", "0 %"),
        (1.0, "1.000", "+1.000", "100 %"),
        (None, "–", "–", "–"),
    ],
)
def test_how_figures_are_written(value, plain, with_sign, share):
    assert (score(value), signed(value)) == (plain, with_sign)
    assert percent(value) == share


def test_committed_page_if_there_is_one():
    path = REPO / "reports" / "index.html"
    if not path.is_file():
        pytest.skip("no run has been committed yet")
    page = path.read_text(encoding="utf-8")
    assert path.stat().st_size < PAGE_BYTES and loaded_addresses(page) == []
    report = json.loads((REPO / "reports/metrics/evaluate.json").read_text(encoding="utf-8"))
    assert score(report["arms"]["refined"]["extreme"]["miou"]) in page


def test_a_project_without_params_or_stages_is_shown(layout):
    shutil.move(layout.root / "params.yaml", layout.root / "old.yaml")
    (layout.root / "dvc.yaml").unlink()
    assert "settings are not known" in front_page(layout)


# -- the geometry ---------------------------------------------------------------------------------
def test_without_fits_and_benchmarks_there_is_no_geometry(layout):
    assert not read_geometry(layout).known
    assert "The geometry beneath" not in front_page(layout)


def test_geometry_is_shown_as_far_as_it_is_known(layout):
    write_json(
        layout.metrics / "fit.json",
        {
            "mean": {
                "psnr": 30.26,
                "heldout": {"psnr": 23.44, "psnr_trial_setting": 22.15},
                "label_miou": {
                    name: {"train": 0.1 * i, "heldout": None}
                    for i, name in enumerate(("raw", "vote", "lift", "ceiling"))
                },
            }
        },
    )
    page = text_of(front_page(layout))
    assert "23.4 dB over the head, against 30.3 dB" in page and "22.1 dB held out" in page
    assert "weighted and sharpened, as here .200 –" in page
    assert "On a GPU: not run." in page and "Four couplings" not in page


def test_couplings_speed_and_gpu(layout):
    figure = {"mean": 0.5, "low": 0.4, "high": 0.6}
    keys = ("label_miou_train", "lift_miou_train", "lift_miou_heldout")
    coupling = {**dict.fromkeys(keys, figure), "psnr_heldout": {"mean": 21.5}}
    write_json(layout.metrics / "experiments/coupling.json", {"joint": coupling})
    rows = [
        {"engine": engine, "threads": 1, "n": 10, "size": 8, "channels": d, "total_ms": ms}
        for engine, d, ms in (("cpu", 3, 2.0), ("cpu", 15, 4.0),
                              ("reference", 3, 100.0), ("reference", 15, 280.0))
    ]  # fmt: skip
    write_json(layout.metrics / "bench_splats.json", {"rows": rows})
    cuda = {"gpu": "X1", "agreement": {"image": 1e-4, "gradients": 2e-3}, "fit": {"seconds": 61.2}}
    write_json(layout.metrics / "bench_cuda.json", cuda)
    page = text_of(front_page(layout))
    assert "one geometry, moved by both .500 – .500 .500 21.50" in page
    assert "50 to 70 times as fast" in page
    assert 'href="html/experiments/coupling.html"' in front_page(layout)
    assert "On a GPU (X1)" in page and "61 s" in page and "not run" not in page
    write_json(layout.metrics / "bench_cuda.json", {"gpu": "X1"})
    assert "unknown in the image" in text_of(front_page(layout))


def test_estimated_frames_are_told_once_they_were_run(layout):
    assert read_geometry(layout).frames is None
    row = {"labels_all": {"mean": 0.7123}, "parser_extreme": {"mean": 0.6011}}
    other = {"labels_all": {"mean": 0.6987}, "parser_extreme": {"mean": 0.5904}}
    path = layout.metrics / "experiments/estimated_line.json"
    write_json(path, {"own": row, "estimate": other})
    shown = text_of(front_page(layout))
    assert "labels .699 (own frames: .712)" in shown
    assert "parser at extreme poses .590 (own frames: .601)" in shown
