"""Where everything lies: one place that knows the tree of files that the stages share.

::

    data/     capture  standard/{photos,labels}          read by the stages that train and refine
              truth  heldout/{photos,truth}  test/{photos,truth,hard}  tune   read by evaluation
              judged                                  what people rate, written by evaluation
              study/{package,key.csv,plan.json}       the study, blinded, and its key
              experiments                             heads of the experiments, outside the line
    models/   baseline/baseline.safetensors  <round>/<arm>.safetensors  control/  oracle/
    work/     capture_counts.json  <round>/{predictions,splats,refined,auxiliary}
    answers/  study.sqlite                            what people answered, never removed
    reports/  index.html  html/  metrics/  figures/  tables/  timing/  failed/

A notebook says ``layout = Layout.find()`` and runs as well from Jupyter, in any working directory,
as from the runner.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from labelsplat.base.errors import LabelsplatError

_MARKS = ("dvc.yaml", "params.yaml")


def is_project_root(folder: str | Path) -> bool:
    """Whether ``folder`` holds both dvc.yaml and params.yaml."""
    return all((Path(folder) / mark).is_file() for mark in _MARKS)


def project_root() -> Path:
    """The project's folder: the one that holds dvc.yaml and params.yaml.

    Looked for in this order: ``$LABELSPLAT_ROOT`` (the runner sets it, so that ``dvc exp`` in a
    temporary copy of the project writes there), above this package, the working directory and
    above it.

    Raises:
        LabelsplatError: ``$LABELSPLAT_ROOT`` is no such folder, or there is none.
    """
    named = os.environ.get("LABELSPLAT_ROOT")
    if named:
        if not is_project_root(named):
            raise LabelsplatError(
                f"no project here (a project holds {' and '.join(_MARKS)})",
                where=f"LABELSPLAT_ROOT={named}",
                remedy="Unset LABELSPLAT_ROOT or point it at the cloned repository",
            )
        return Path(named).resolve()
    package, here = Path(__file__).resolve(), Path.cwd()
    for folder in (*package.parents, here, *here.parents):
        if is_project_root(folder):
            return folder
    raise LabelsplatError(
        f"no folder with {' and '.join(_MARKS)} found above {package.parents[1]} or {here}",
        remedy="Run inside the cloned repository, or set LABELSPLAT_ROOT to its path",
    )


@dataclass(frozen=True)
class Layout:
    """The paths of one project.

    Attributes:
        root: the project's folder, absolute.
    """

    root: Path

    @classmethod
    def find(cls) -> Layout:
        """The layout of the project that this code belongs to, see :func:`project_root`."""
        return cls(project_root())

    def outside(self, named: str) -> Path:
        """A path that a user named in params.yaml; relative ones start at the project."""
        path = Path(named).expanduser()
        return path if path.is_absolute() else self.root / path

    def outside_text(self, named: str) -> str:
        """The same as text, for another layout to take; "" stays."""
        return str(self.outside(named)) if named else ""

    def relative(self, path: str | Path) -> str:
        """``path`` as it is written in dvc.yaml: relative to the root, with forward slashes."""
        return Path(path).resolve().relative_to(self.root).as_posix()

    # -- data: written by the capture stage --------------------------------------------------

    @property
    def data(self) -> Path:
        """All sets."""
        return self.root / "data"

    @property
    def capture(self) -> Path:
        """The photos to be refined, in FaceScape's folder layout: photos and cameras only."""
        return self.data / "capture"

    @property
    def source_note(self) -> Path:
        """Where the photos come from, with sizes and times of those that lie elsewhere."""
        return self.data / "source.json"

    @property
    def parser_note(self) -> Path:
        """Which parser predicts first, with a digest of its file if it is the user's own."""
        return self.data / "parser.json"

    @property
    def truth(self) -> Path:
        """True labels, alpha and depth of the capture views; empty where a source has none."""
        return self.data / "truth"

    @property
    def standard(self) -> Path:
        """The pool for pre-training, validation and replay."""
        return self.data / "standard"

    @property
    def standard_photos(self) -> Path:
        """Photos of the ``standard`` pool."""
        return self.standard / "photos"

    @property
    def standard_labels(self) -> Path:
        """True labels of the ``standard`` pool, the only truth that training may read."""
        return self.standard / "labels"

    @property
    def heldout(self) -> Path:
        """More views of the capture heads, to measure the fit."""
        return self.data / "heldout"

    @property
    def heldout_photos(self) -> Path:
        """Photos of ``heldout``."""
        return self.heldout / "photos"

    @property
    def heldout_truth(self) -> Path:
        """Truth of ``heldout``."""
        return self.heldout / "truth"

    @property
    def test(self) -> Path:
        """Heads that nothing was trained or tuned on."""
        return self.data / "test"

    @property
    def test_photos(self) -> Path:
        """Photos of ``test``."""
        return self.test / "photos"

    @property
    def test_truth(self) -> Path:
        """Truth of ``test``."""
        return self.test / "truth"

    @property
    def hard_photos(self) -> Path:
        """Photos of the test heads with nuisances, a subset that is scored by itself."""
        return self.test / "hard" / "photos"

    @property
    def hard_truth(self) -> Path:
        """Truth of these."""
        return self.test / "hard" / "truth"

    @property
    def tune(self) -> Path:
        """Like capture and test, with other seeds: for choosing settings, outside the line."""
        return self.data / "tune"

    @property
    def experiments(self) -> Path:
        """The tune set's capture heads once more, with predictions: for experiments alone."""
        return self.data / "experiments"

    # -- models ------------------------------------------------------------------------------

    def models(self, group: str) -> Path:
        """Folder of checkpoints: ``baseline``, a round, ``control`` or ``oracle``."""
        return self.root / "models" / group

    def model(self, group: str, arm: str) -> Path:
        """One checkpoint, e.g. ``model("r2", "refined")``."""
        return self.models(group) / f"{arm}.safetensors"

    @property
    def baseline(self) -> Path:
        """The pre-trained parser's checkpoint."""
        return self.model("baseline", "baseline")

    # -- work: what the rounds hand on -------------------------------------------------------

    @property
    def work(self) -> Path:
        """Intermediate results."""
        return self.root / "work"

    @property
    def capture_counts(self) -> Path:
        """Numbers of identities and images in each set: ``{"images": …, "identities": …}``."""
        return self.work / "capture_counts.json"

    def predictions(self, round_name: str) -> Path:
        """Soft predictions of every capture view, one folder a parser."""
        return self.work / round_name / "predictions"

    def splats(self, round_name: str) -> Path:
        """Fitted Gaussians, one file a subject."""
        return self.work / round_name / "splats"

    @property
    def checkpoints(self) -> Path:
        """Where long work keeps what it needs to go on after an interruption; outside of DVC."""
        return self.root / ".checkpoints"

    def refined(self, round_name: str) -> Path:
        """Refined labels of the capture views."""
        return self.work / round_name / "refined"

    def auxiliary(self, round_name: str) -> Path:
        """The training set that refinement makes: images, index PNGs, confidence."""
        return self.work / round_name / "auxiliary"

    # -- the human study ---------------------------------------------------------------------

    @property
    def judged(self) -> Path:
        """Photos, label maps of every method and their scores: from evaluation to the study."""
        return self.data / "judged"

    @property
    def study(self) -> Path:
        """What is prepared for the study."""
        return self.data / "study"

    @property
    def study_package(self) -> Path:
        """All that raters see, under blinded names: the folder that travels."""
        return self.study / "package"

    @property
    def study_key(self) -> Path:
        """What the names stand for; stays here."""
        return self.study / "key.csv"

    @property
    def study_plan(self) -> Path:
        """Seed, settings and numbers of the study; stays here."""
        return self.study / "plan.json"

    @property
    def ratings_note(self) -> Path:
        """Which ratings are analysed, with a digest of their file if they are people's."""
        return self.data / "ratings.json"

    @property
    def answers(self) -> Path:
        """The rating app's database; nothing of the line writes or removes it."""
        return self.root / "answers" / "study.sqlite"

    # -- reports -----------------------------------------------------------------------------

    @property
    def reports(self) -> Path:
        """What people read."""
        return self.root / "reports"

    @property
    def html(self) -> Path:
        """One page a stage."""
        return self.reports / "html"

    @property
    def metrics(self) -> Path:
        """Committed JSON files."""
        return self.reports / "metrics"

    @property
    def figures(self) -> Path:
        """Committed pictures."""
        return self.reports / "figures"

    @property
    def study_figures(self) -> Path:
        """Committed pictures of the human study."""
        return self.reports / "study"

    @property
    def tables(self) -> Path:
        """Committed tables that plots are drawn from."""
        return self.reports / "tables"

    @property
    def timing(self) -> Path:
        """Seconds and memory of each stage's last real execution."""
        return self.reports / "timing"

    def training_times(self, name: str) -> Path:
        """Seconds and images a second of a parser's training; nothing depends on it."""
        return self.reports / "training" / f"{name}.json"

    @property
    def head_times(self) -> Path:
        """What it costs to draw a head; nothing depends on it."""
        return self.reports / "heads.json"

    def fit_times(self, round_name: str) -> Path:
        """Seconds that each subject's fit took; nothing depends on it."""
        return self.reports / "fits" / f"{round_name}.json"

    @property
    def failed(self) -> Path:
        """Notebooks of failed stages, kept for inspection."""
        return self.reports / "failed"
