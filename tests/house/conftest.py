"""A project small enough to run whole: three stages, one of them over rounds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labelsplat.report.params import profile_text

REPO = Path(__file__).resolve().parents[2]

DVC_YAML = """\
stages:
  capture:
    cmd: python -m labelsplat run capture notebooks/01_capture.ipynb
    deps: [notebooks/01_capture.ipynb, lib/toy/base]
    params: [seed, capture.size]
    outs:
      - data/capture
      - work/capture_counts.json
      - reports/html/01_capture.html
      - reports/timing/capture.json
  refine:
    foreach: ${rounds}
    do:
      cmd: python -m labelsplat run refine@${key} notebooks/05_refine.ipynb --set extra=a,b
      deps: [notebooks/05_refine.ipynb, lib/toy/base, data/capture]
      params: [refine.power, "rounds.${key}.arms"]
      outs:
        - work/${key}/refined
        - reports/html/05_refine_${key}.html
        - reports/timing/refine_${key}.json
  evaluate:
    cmd: python -m labelsplat run evaluate notebooks/07_evaluate.ipynb
    deps: [notebooks/07_evaluate.ipynb, work]
    params: [rounds]
    metrics:
      - reports/metrics/evaluate.json: {cache: false}
    plots:
      - reports/figures: {cache: false}
    outs:
      - reports/html/07_evaluate.html
      - reports/timing/evaluate.json
metrics:
  - reports/metrics/timing.json
"""

CAPTURE = """\
from toy.base import scale
from labelsplat.base import write_json
from labelsplat.base.layout import Layout
layout = Layout.find()
write_json(layout.capture / "photo.json", {"size": scale(capture["size"]), "seed": seed})
write_json(layout.capture_counts, {"images": {"capture": 1}, "identities": {"capture": 1}})
print("size", capture["size"])
"""

REFINE = """\
import json
from labelsplat.base import write_json
from labelsplat.base.layout import Layout
from tqdm.auto import tqdm
layout = Layout.find()
photo = json.loads((layout.capture / "photo.json").read_text())
for _ in tqdm(range(3)):
    pass
out = {"photo": photo, "power": refine["power"], "arms": arms, "extra": extra}
write_json(layout.refined(round) / "labels.json", out)
"""

EVALUATE = """\
import json
import matplotlib.pyplot as plt
from labelsplat.base import write_json
from labelsplat.base.layout import Layout
layout = Layout.find()
power = {r: json.loads((layout.refined(r) / "labels.json").read_text())["power"] for r in rounds}
write_json(layout.metrics / "evaluate.json", {"power": power})
layout.figures.mkdir(parents=True, exist_ok=True)
fig, ax = plt.subplots(figsize=(2, 1))
ax.plot([1, 2, 3])
fig.savefig(layout.figures / "curve.png")
"""

PARAMETERS = {
    "01_capture": 'seed = 0\ncapture = {"size": 64}',
    "05_refine": 'refine = {"power": 8.0}\nround = "r1"\narms = ["refined"]\nextra = []',
    "07_evaluate": "rounds = {}",
}
CODE = {"01_capture": CAPTURE, "05_refine": REFINE, "07_evaluate": EVALUATE}


def write_notebook(path: Path, parameters: str, *code: str) -> None:
    """Write a canonical notebook: a heading, the parameters, the code."""
    from nbformat import v4

    from labelsplat.report.notebooks import canonical_text

    cells = [
        v4.new_markdown_cell(f"# Chapter {path.stem}"),
        v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(v4.new_code_cell(source) for source in code),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(canonical_text(v4.new_notebook(cells=cells)), encoding="utf-8")


class Project:
    """A project in a folder of its own, and the commands a user would type there."""

    def __init__(self, root: Path):
        self.root = root
        self.code = CODE

    def _options(self) -> dict:
        # The environment's own `python` and `dvc` come first.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(REPO / "lib")}
        environment.pop("LABELSPLAT_ROOT", None)
        return {"cwd": self.root, "env": environment, "text": True}

    def start(self, *words: str) -> subprocess.Popen:
        """Start a command there in a process group of its own."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(words, **self._options(), **pipes, start_new_session=True)

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """Run a command there to its end."""
        done = subprocess.run(words, **self._options(), capture_output=True, timeout=300)
        if check and done.returncode:
            raise AssertionError(f"{words} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def repro(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """`dvc repro`."""
        return self.command("dvc", "repro", *words, check=check)

    def labelsplat(self, *words: str, check: bool = True) -> subprocess.CompletedProcess:
        """`python -m labelsplat`."""
        return self.command("python", "-m", "labelsplat", *words, check=check)

    def notebook(self, name: str, parameters: str | None = None, *code: str) -> None:
        """Replace a notebook, by default by its first version."""
        parameters = PARAMETERS[name] if parameters is None else parameters
        write_notebook(
            self.root / "notebooks" / f"{name}.ipynb", parameters, *(code or (CODE[name],))
        )

    def text(self, path: str) -> str:
        """A file's text."""
        return (self.root / path).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    for name in (".dvcignore", ".gitignore"):
        shutil.copy(REPO / name, root / name)
    shutil.copytree(
        REPO / ".dvc", root / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "*.local")
    )
    (root / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    (root / "params.yaml").write_text(profile_text("default"), encoding="utf-8")
    toy = root / "lib" / "toy" / "base"
    toy.mkdir(parents=True)
    (toy.parent / "__init__.py").write_text("", encoding="utf-8")
    (toy / "__init__.py").write_text("def scale(x):\n    return 2 * x\n", encoding="utf-8")
    for name, parameters in PARAMETERS.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", parameters, CODE[name])
    subprocess.run(["git", "init", "-q", "."], cwd=root, check=True)
    return root


@pytest.fixture
def project(_template: Path, tmp_path: Path) -> Project:
    """A fresh copy of the small project."""
    root = tmp_path / "project"
    shutil.copytree(_template, root)
    return Project(root)


@pytest.fixture(scope="module")
def shared_project(_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One copy for all tests of a module, which follow one another in it."""
    root = tmp_path_factory.mktemp("shared") / "project"
    shutil.copytree(_template, root)
    return Project(root)


@pytest.fixture(name="write_notebook")
def _write_notebook():
    """The function :func:`write_notebook`, for test modules."""
    return write_notebook
