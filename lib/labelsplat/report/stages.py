"""What a dvc.yaml says of a stage: its dependencies, outputs and tracked parameters.

The line is the project's own ``dvc.yaml``. A stage of another file is addressed as DVC does it, by
``folder/dvc.yaml:name``; its paths start at the project all the same (``wdir``).

DVC is imported inside the functions: it takes a second or two, and `labelsplat check` and `finish`
do without it.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from labelsplat.base.errors import LabelsplatError

LINE = "dvc.yaml"
"""The file of the line's stages: those that `make repro` runs."""

EXPERIMENTS = "notebooks/experiments/dvc.yaml"
"""The file of the experiments' stages."""

_CODE = ("lib/", "notebooks/", "requirements.lock")
_NOISE = {"__pycache__", ".ipynb_checkpoints"}
_NOISE_SUFFIXES = {".pyc", ".nbi", ".nbc"}


def slug(stage: str) -> str:
    """A stage's name as part of a file name: ``predict_r1`` of ``predict@r1``."""
    return stage.replace("@", "_")


@dataclass(frozen=True)
class Stage:
    """One stage, a ``foreach`` resolved.

    Attributes:
        name: as DVC calls it, e.g. ``predict@r1``.
        deps: paths relative to the project, as in dvc.yaml, parameters left out.
        outs: paths of outputs, metrics and plots.
        params: tracked values, nested as in params.yaml; those of several files side by side.
        file: dvc.yaml that defines it, relative to the project.
    """

    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: dict
    file: str = LINE

    @property
    def round(self) -> str | None:
        """The round that a stage under ``foreach`` belongs to."""
        return self.name.partition("@")[2] or None

    @property
    def slug(self) -> str:
        """The name as part of a file name, see :func:`slug`."""
        return slug(self.name)

    @property
    def code(self) -> tuple[str, ...]:
        """Dependencies that people edit: notebook, library, lock file."""
        return tuple(d for d in self.deps if d.startswith(_CODE))

    def out_in(self, folder: str) -> str:
        """The one output that lies in ``folder``, e.g. its page in ``reports/html``."""
        found = [out for out in self.outs if out.startswith(f"{folder}/")]
        if len(found) != 1:
            raise LabelsplatError(
                f"stage {self.name} has {len(found)} outputs in {folder}, expected one",
                where=self.file,
            )
        return found[0]

    def variables(self) -> dict:
        """The notebook's variables: sections as dicts, its own round's keys at the top."""
        values = dict(self.params)
        if self.round:
            values |= values.pop("rounds", {}).get(self.round, {})
            values["round"] = self.round
        return values


def load_stage(root: Path, address: str) -> Stage:
    """Read one stage from its dvc.yaml, its parameters through DVC's public API.

    Args:
        root: the project's folder.
        address: the stage's name, e.g. ``predict@r1``, after ``path/dvc.yaml:`` if it is not one of
            the line's.

    Raises:
        LabelsplatError: the file has no such stage, or DVC cannot read it.
    """
    import dvc.api
    from dvc.dependency import ParamsDependency
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    file, _, name = address.rpartition(":")
    file = file or LINE
    try:
        with Repo(str(root)) as repo:
            stages = [s for s in repo.stage.collect() if Path(s.path_in_repo).as_posix() == file]
            found = {stage.name: stage for stage in stages}
            if name not in found:
                known = f"Known: {', '.join(found)}" if found else f"There is no {file}"
                raise LabelsplatError(f"no stage {name!r}", where=file, remedy=known)
            stage = found[name]
            deps = [d.def_path for d in stage.deps if not isinstance(d, ParamsDependency)]
            outs = [o.def_path for o in stage.outs]
        # Only what the stage tracks: whatever else reached a notebook, DVC would not see change.
        # (It looks for params.yaml in the working directory, whatever its `repo` says.)
        with contextlib.chdir(root):
            params = dvc.api.params_show(stages=address) if _tracks(stage) else {}
    except DvcException as error:
        raise LabelsplatError(f"DVC: {error}", where=file) from None
    return Stage(name, tuple(dict.fromkeys(deps)), tuple(outs), params, file)


def _tracks(stage: object) -> bool:
    from dvc.dependency import ParamsDependency

    return any(isinstance(d, ParamsDependency) for d in stage.deps)


def code_hashes(root: Path, paths: tuple[str, ...]) -> dict[str, str]:
    """Hash of every file at or below ``paths``, by path; what appears by itself is left out."""
    out = {}
    for path in paths:
        start = root / path
        files = sorted(start.rglob("*")) if start.is_dir() else [start]
        for file in files:
            noise = _NOISE.intersection(file.parts) or file.suffix in _NOISE_SUFFIXES
            if file.is_file() and not noise:
                out[file.relative_to(root).as_posix()] = hashlib.sha256(
                    file.read_bytes()
                ).hexdigest()
    return out
