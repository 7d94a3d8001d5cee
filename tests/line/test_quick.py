"""The whole line by its own commands, in a copy of this project and as small as it goes.

First on the embedded heads, then on photos of someone else's: a nerfstudio capture without truth.
The figures mean nothing at this size; what counts is that every stage passes on what the next one
needs, and that the reports say what they promise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from labelsplat.capture import list_subjects, open_capture
from labelsplat.evaluate.arms import ARMS
from labelsplat.labels import CELEBAMASK
from labelsplat.labels.pose import STRATA

REPO = Path(__file__).resolve().parents[2]
PAGES = {
    "01_capture", "02_parser", "03_predict_r1", "03_predict_r2", "04_fit_r1", "05_refine_r1",
    "05_refine_r2", "06_finetune_r1", "06_finetune_r2", "06_finetune_control",
    "06_finetune_oracle", "07_evaluate", "08_study_prepare", "09_study_analyse",
}  # fmt: skip
STAGES = {
    "capture", "parser", "predict@r1", "predict@r2", "fit@r1", "refine@r1", "refine@r2",
    "finetune@r1", "finetune@r2", "control", "oracle", "evaluate", "study_prepare",
    "study_analyse",
}  # fmt: skip
SMALLER = {
    "device": "cpu",
    "capture": {
        "size": 64, "supersample": 1, "standard_identities": 2, "validation_identities": 1,
        # Two test heads: one alone has no interval.
        "capture_identities": 1, "heldout_views": 2, "test_identities": 2, "processes": 2,
        "hard_identities": 1, "checked_pairs": 1,
    },
    "parser": {"width": 8, "steps": 8, "batch": 2, "validate_every": 4},
    "fit": {
        "gaussians": 400, "iterations": 20, "hull_resolution": 24, "hull_tolerance": 0.0,
        "processes": 1,
    },
    "refine": {"em_epochs": 1, "novel_views": 2},
    "finetune": {"steps": 2, "batch": 2, "replay_batch": 2, "processes": 1},
    "evaluate": {"bootstrap": 20},
}  # fmt: skip


@dataclass(frozen=True)
class Copy:
    """A copy of the project, and the commands that ``make repro`` runs."""

    root: Path

    def command(self, *words: str) -> str:
        """Run a command there; what it said."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "lib"),
        }
        environment.pop("LABELSPLAT_ROOT", None)
        done = subprocess.run(
            words, cwd=self.root, env=environment, capture_output=True, text=True, timeout=900
        )
        assert not done.returncode, f"{words} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def labelsplat(self, *words: str) -> str:
        """``python -m labelsplat``."""
        return self.command(sys.executable, "-m", "labelsplat", *words)

    def repro(self) -> str:
        """``dvc repro``."""
        return self.command(str(Path(sys.executable).with_name("dvc")), "repro")

    def make_repro(self) -> set[str]:
        """The three commands of ``make repro``; the stages that ran."""
        self.labelsplat("check")
        said = self.repro()
        self.labelsplat("finish")
        return ran(said)

    def change(self, values: dict[str, object]) -> None:
        """Edit params.yaml as a user does, comments kept."""
        yaml = YAML(typ="rt", pure=True)
        path = self.root / "params.yaml"
        params = yaml.load(path.read_text(encoding="utf-8"))
        for key, value in values.items():
            if isinstance(value, dict):
                params[key].update(value)
            else:
                params[key] = value
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(params, file)

    def text(self, path: str) -> str:
        """A file's text."""
        return (self.root / path).read_text(encoding="utf-8")

    def pages(self) -> set[str]:
        """Stems of the stages' pages."""
        return {page.stem for page in (self.root / "reports/html").glob("*.html")}


@dataclass(frozen=True)
class Run:
    """What one run left, read at once: the next run in the same copy replaces it."""

    ran: set[str]
    again: str
    pages: set[str]
    front_bytes: int
    evaluate: dict
    timing: dict
    judgement: str
    study: dict


def ran(said: str) -> set[str]:
    """Names of the stages that DVC ran, but for the one that it runs always."""
    lines = [line for line in said.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines} - {"source"}


def run_line(copy: Copy) -> Run:
    """``make repro``, and ``dvc repro`` once more."""
    stages = copy.make_repro()
    return Run(
        ran=stages,
        again=copy.repro(),
        pages=copy.pages(),
        front_bytes=(copy.root / "reports/index.html").stat().st_size,
        evaluate=json.loads(copy.text("reports/metrics/evaluate.json")),
        timing=json.loads(copy.text("reports/metrics/timing.json")),
        judgement=copy.text("reports/html/07_evaluate.html"),
        study=json.loads(copy.text("reports/metrics/user_study.json")),
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The working tree, changes not yet committed included, without what earlier runs left."""
    root = tmp_path_factory.mktemp("quick").resolve() / "project"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        source, target = REPO / name, root / name
        # Listed but deleted; or the result of a run, which would pass for this run's.
        if not source.is_file() or name == "dvc.lock" or name.startswith("reports/"):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    made = Copy(root)
    made.labelsplat("profile", "quick")
    made.change(SMALLER)
    return made


@pytest.fixture(scope="module")
def embedded(copy: Copy) -> Run:
    """The run on the embedded heads."""
    return run_line(copy)


def write_foreign(copy: Copy, folder: Path) -> None:
    """Six oblong photos, cut from one head's, and a ``transforms.json`` of plain numbers."""
    root = copy.root / "data/capture"
    views = open_capture(root, list_subjects("facescape", root)[0]).views[:6]
    left, top, width, height = 4, 10, 56, 42
    folder.mkdir(parents=True)
    frames = []
    for i, view in enumerate(views):
        photo = Image.open(view.image).crop((left, top, left + width, top + height))
        photo.save(folder / f"photo_{i}.png")
        # The camera in the world, its axes turned from OpenCV's to OpenGL's.
        pose = np.eye(4)
        pose[:3, :3] = view.camera.rotation.T @ np.diag([1.0, -1.0, -1.0])
        pose[:3, 3] = -view.camera.rotation.T @ view.camera.translation
        k = view.camera.intrinsics
        frames.append(
            {
                "file_path": f"photo_{i}.png",
                "transform_matrix": pose.tolist(),
                "fl_x": k[0, 0], "fl_y": k[1, 1], "cx": k[0, 2] - left, "cy": k[1, 2] - top,
                "w": width, "h": height,
            }
        )  # fmt: skip
    text = json.dumps({"camera_model": "PINHOLE", "frames": frames})
    (folder / "transforms.json").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def foreign(copy: Copy, embedded: Run) -> Run:
    """The run on someone's own photos, in the same copy."""
    folder = copy.root.parent / "someone"
    write_foreign(copy, folder)
    copy.change({"capture": {"source": "nerfstudio", "root": str(folder)}})
    return run_line(copy)


@pytest.fixture(params=["embedded", "foreign"])
def either(request: pytest.FixtureRequest) -> Run:
    """Each of the two runs."""
    return request.getfixturevalue(request.param)


def all_values(tree: object, keep: Callable[[object], bool]) -> list:
    """The leaves of nested dicts that ``keep`` accepts."""
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in all_values(value, keep)]
    return [tree] if keep(tree) else []


def test_first_run_runs_every_stage(embedded: Run):
    assert embedded.ran == STAGES


def test_arms_are_scored_in_every_stratum(embedded: Run):
    arms = embedded.evaluate["arms"]
    assert arms.keys() == set(ARMS)
    for strata in arms.values():
        assert strata.keys() == set(STRATA)
        for score in strata.values():
            assert score.keys() >= {"miou", "f1", "low", "high", "per_class"}
            assert 0 <= score["miou"] <= 1 and 0 <= score["low"] <= score["high"] <= 1
            assert score["per_class"].keys() == set(CELEBAMASK.classes)
            assert all(found.keys() == {"iou", "f1"} for found in score["per_class"].values())


def test_hard_heads_are_scored_by_themselves(embedded: Run, foreign: Run):
    hard = embedded.evaluate["hard"]
    assert hard["test"]["identities"] == SMALLER["capture"]["hard_identities"]
    assert hard["test"]["views"] != embedded.evaluate["test"]["views"]
    assert hard["arms"].keys() == set(ARMS)
    assert all(0 <= arm["extreme"]["miou"] <= 1 for arm in hard["arms"].values())
    assert not all_values(foreign.evaluate["hard"]["arms"], lambda leaf: leaf is not None)


def test_gains_are_differences_of_the_scores(embedded: Run):
    report = embedded.evaluate
    arms = report["arms"]
    for stratum in STRATA:
        control = max(arms[name][stratum]["miou"] for name in ("baseline", "replay_only"))
        gain = report["gain"][stratum]
        assert gain.keys() >= {"miou", "low", "high"}
        assert gain["miou"] == pytest.approx(arms["refined"][stratum]["miou"] - control, abs=1e-4)
        gap = arms["oracle"][stratum]["miou"] - control
        if abs(gap - 0.02) > 1e-3:
            assert (report["gap_recovered"][stratum] is None) == (gap < 0.02)
    assert report["over_self_training"]["extreme"].keys() >= {"miou", "low", "high"}


def test_labels_are_scored_where_the_capture_has_views(embedded: Run):
    labels = embedded.evaluate["labels"]
    for name in ("raw", "refined", "ceiling"):
        assert labels[name].keys() == set(STRATA)
        assert 0 <= labels[name]["extreme"]["miou"] <= 1
        assert labels[name]["behind"] is None


def test_every_chapter_has_its_page(either: Run):
    assert either.pages == PAGES


def test_front_page_is_small(either: Run):
    assert 2_000 < either.front_bytes < 1_000_000


def test_times_tell_every_stage(either: Run):
    timing = either.timing
    keys = {"total_seconds", "stages", "setup_seconds", "peak_memory_mb", "cores", "device"}
    assert timing.keys() == keys
    assert timing["stages"].keys() == STAGES
    assert all(seconds > 0 for seconds in timing["stages"].values())


def test_second_run_has_nothing_to_do(either: Run):
    assert not ran(either.again)


def test_photos_of_ones_own_need_no_new_parser(foreign: Run):
    assert {"capture", "predict@r1", "fit@r1", "refine@r2", "finetune@r2"} <= foreign.ran
    assert not {"parser", "control"} & foreign.ran


def test_a_change_of_photos_outside_the_project_is_seen(copy: Copy, foreign: Run):
    photo = copy.root.parent / "someone/photo_3.png"

    def changed() -> bool:
        dvc = str(Path(sys.executable).with_name("dvc"))
        copy.command(dvc, "repro", "source")
        return "capture" in json.loads(copy.command(dvc, "status", "--json", "capture"))

    stat = photo.stat()
    assert not changed()
    os.utime(photo, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert changed()
    os.utime(photo, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not changed()


def test_without_truth_nothing_is_scored(foreign: Run, embedded: Run):
    report = foreign.evaluate
    assert embedded.evaluate["truth"] and not report["truth"]
    for section in ("arms", "gain", "over_self_training", "gap_recovered", "labels"):
        assert report[section], section
        assert not all_values(report[section], lambda leaf: leaf is not None), section


def test_without_truth_views_are_still_compared(foreign: Run):
    assert all_values(foreign.evaluate["agreement"], lambda leaf: leaf is not None)


def test_without_truth_the_page_says_so(foreign: Run, embedded: Run):
    # A page may show its code, too: what counts is what the run printed.
    words = "no truth: this capture"
    said = [run.judgement.lower().count(words) for run in (embedded, foreign)]
    assert said[1] > said[0]


def test_the_study_ends_the_line_with_truth_and_without(foreign: Run, embedded: Run):
    for run in (embedded, foreign):
        assert run.study["simulated"] and run.study["origin"] == "simulation"
        assert run.study["ratings"] > 0
    shown = {"baseline", "self_training", "refined"}
    assert embedded.study["mos"].keys() == shown | {"oracle", "reference"}
    assert embedded.study["panel"]["miou_known"]
    # Nobody knows the truth of somebody's own photos: no reference, and a panel that is blind.
    assert foreign.study["mos"].keys() == shown and not foreign.study["panel"]["miou_known"]
