"""The runner: executes a stage's notebook with exactly the parameters that DVC tracks for it.

What it takes care of, so that neither notebooks nor dvc.yaml have to:

* Parameters come from ``dvc.api.params_show`` and go to papermill's Python API as values (its
  command line turns lists into text; a parameters file would pass values that DVC does not track).
  A name that the notebook's parameters cell does not declare is an error, not a warning.
* The kernel is named here, since committed notebooks carry none.
* Page and timing are written under temporary names and renamed, after all outputs are there. A
  failed stage leaves no output behind, only its notebook in ``reports/failed``.
* DVC records the code's hashes AFTER the command has run: code edited meanwhile would be recorded
  as what made the output. So the code is hashed before and after; a difference is a failure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labelsplat.base import errors
from labelsplat.base.errors import LabelsplatError, ParameterError
from labelsplat.base.files import atomic_path
from labelsplat.report.notebooks import declared_parameters, read_notebook
from labelsplat.report.params import load_params
from labelsplat.report.stages import Stage, code_hashes, load_stage
from labelsplat.report.terminal import Terminal
from labelsplat.report.timing import Meter, device_used, write_timing

CELL_SECONDS = 24 * 3600
"""Time limit of one cell, in seconds; papermill itself has none."""

_OPTIONAL = ("round",)
_OWN_ERRORS = {name for name in dir(errors) if name.endswith("Error")}


def run_stage(
    root: Path,
    name: str,
    notebook: str,
    settings: dict[str, str] | None = None,
    cell_seconds: int = CELL_SECONDS,
) -> None:
    """Run one stage, as the ``cmd`` in its dvc.yaml does.

    Args:
        root: the project's folder.
        name: the stage's address: ``predict@r1``, or ``folder/dvc.yaml:name`` if it is not one of
            the line's.
        notebook: path of its notebook, relative to ``root``.
        settings: further variables as text (``--set``), JSON or a list with commas; ``null`` for
            what the notebook declares and the stage does not need.
        cell_seconds: time limit of one cell.

    Raises:
        LabelsplatError: wrong parameters, a failed notebook, a missing output, or code that changed
            meanwhile. No output of the stage is left then.
    """
    with Meter() as meter:
        load_params(root / "params.yaml")
        stage = load_stage(root, name)
        if notebook not in stage.deps:
            raise LabelsplatError(f"{notebook} is no dependency of stage {name}", where=stage.file)
        page, timing = stage.out_in("reports/html"), stage.out_in("reports/timing")
        code = code_hashes(root, stage.code)
        source = read_notebook(root / notebook)
        declared = declared_parameters(source, where=notebook)
        variables = _variables(stage, declared, settings or {}, notebook)
        failed = root / "reports" / "failed" / f"{stage.slug}.ipynb"
        with _outputs_or_nothing(root, stage), _workspace(root) as folder:
            executed = folder / f"{stage.slug}.ipynb"
            try:
                done = _execute(root, stage, source, executed, variables, cell_seconds)
                _check_unchanged(code, code_hashes(root, stage.code), name)
                missing = [
                    out for out in stage.outs if out not in (page, timing)
                    if not (root / out).exists()
                ]  # fmt: skip
                if missing:
                    raise LabelsplatError(
                        f"stage {name} did not write {', '.join(missing)}", where=notebook
                    )
            except LabelsplatError:
                if executed.exists():
                    failed.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(executed, failed)
                    print(f"{name}: the notebook is kept in {failed.relative_to(root)}")
                raise
            # Rendered in this process: starting nbconvert would cost more than most stages.
            from labelsplat.report.html import render_page

            home = os.path.relpath("reports/index.html", Path(page).parent)
            text = render_page(done, label=stage.name, home=Path(home).as_posix())
            with atomic_path(root / page) as temporary:
                temporary.write_text(text, encoding="utf-8")
            failed.unlink(missing_ok=True)
        # Written inside neither: the clock must stop first.
    write_timing(root / timing, stage.name, meter, device_used(stage.params.get("device")))
    print(f"{stage.name}: done in {meter.seconds:.0f} s, {meter.peak_memory_mb:.0f} MiB at most")


def parse_settings(words: list[str]) -> dict[str, str]:
    """``name=value`` words of ``--set`` as a dict.

    Raises:
        ParameterError: a word without ``=``.
    """
    out = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise ParameterError(f"--set takes name=value, this is {word!r}")
        out[key] = value
    return out


def _setting(text: str, default: object) -> object:
    if text == "null":
        return None
    if isinstance(default, list) and not text.startswith("["):
        return [part for part in text.split(",") if part]
    if isinstance(default, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _variables(stage: Stage, declared: dict, settings: dict[str, str], notebook: str) -> dict:
    """Values of all variables that the notebook declares.

    Raises:
        ParameterError: a passed name is not declared, or a declared one is not passed.
    """
    import difflib

    values = stage.variables()
    values |= {key: _setting(text, declared.get(key)) for key, text in settings.items()}
    for key in _OPTIONAL:
        if key not in declared and key not in settings:
            values.pop(key, None)
    for key in values:
        if key not in declared:
            near = difflib.get_close_matches(key, declared, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ParameterError(
                f"stage {stage.name} passes {key!r}, which the parameters cell does not declare",
                where=notebook,
                remedy=f"{hint}Declared: {', '.join(declared)}",
            )
    silent = [key for key in declared if key not in values]
    if silent:
        raise ParameterError(
            f"the parameters cell declares {silent[0]!r}, which stage {stage.name} does not track",
            where=notebook,
            remedy=f"Add it to the stage's params in {stage.file}, or take it out of the notebook",
        )
    return {key: values[key] for key in declared}


def _check_unchanged(before: dict[str, str], after: dict[str, str], name: str) -> None:
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise LabelsplatError(
            f"code changed while stage {name} ran: {', '.join(changed[:3])}{more}",
            remedy="Its outputs are thrown away, since DVC would record them as made by the "
            "new code. Run again",
        )


@contextmanager
def _workspace(root: Path) -> Iterator[Path]:
    reports = root / "reports"
    reports.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".run-", dir=reports))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _outputs_or_nothing(root: Path, stage: Stage) -> Iterator[None]:
    """Remove what a failing stage wrote; outputs that stood there before (no DVC run) stay."""
    outs = [root / out for out in stage.outs]
    _remove_half_written(outs)
    before = {out for out in outs if out.exists()}
    try:
        yield
    except BaseException:
        for out in outs:
            if out in before:
                continue
            if out.is_dir():
                shutil.rmtree(out, ignore_errors=True)
            else:
                out.unlink(missing_ok=True)
        raise
    finally:
        _remove_half_written(outs)


def _remove_half_written(outs: list[Path]) -> None:
    """Remove temporary siblings (``.name-xxxxxxxx``, ``-old``) that an interrupted run left."""
    for out in outs:
        for left in out.parent.glob(f".{out.stem}-*"):
            if not re.fullmatch(rf"\.{re.escape(out.stem)}-[a-z0-9_]{{8}}(-old|\.\w+)?", left.name):
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


@contextmanager
def _environment(root: Path, folder: Path) -> Iterator[None]:
    """Variables of the kernel and of all its child processes."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [str(root / "lib"), *(os.path.abspath(entry) for entry in given if entry)]
    new = {
        # `dvc exp run --temp` works in a copy: its code and its folders, not the installed ones.
        "LABELSPLAT_ROOT": str(root),
        "PYTHONPATH": os.pathsep.join(path),
        # Start-up files and settings of the user's own IPython must not change results.
        "IPYTHONDIR": str(_ipython_folder(folder)),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        # The same bytes on each run: order of sets, dates in SVG and PDF.
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
        "TQDM_MININTERVAL": "0.5",
    }
    old = {key: os.environ.get(key) for key in new}
    os.environ.update(new)
    try:
        yield
    finally:
        for key, value in old.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _ipython_folder(folder: Path) -> Path:
    """Settings of the kernel: progress bars as text, which reaches the terminal.

    In Jupyter ``tqdm.auto`` draws a widget; nobody would see that here.
    """
    start = folder / "ipython" / "profile_default" / "startup"
    start.mkdir(parents=True)
    code = "import sys\n\nsys.modules['tqdm.notebook'] = None\n"
    (start / "00-text-progress.py").write_text(code, encoding="utf-8")
    return folder / "ipython"


def _execute(
    root: Path, stage: Stage, source: object, executed: Path, variables: dict, cell_seconds: int
) -> object:
    """Execute the notebook; LabelsplatError says shortly why it failed."""
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from labelsplat.report.engine import register

    log = executed.with_suffix(".log")
    engine = register(stage.name, log)
    out, err = Terminal(sys.stdout), Terminal(sys.stderr)
    unexecuted = executed.with_name("source.ipynb")
    nbformat.write(source, unexecuted)
    try:
        with _environment(root, executed.parent):
            return papermill.execute_notebook(
                str(unexecuted),
                str(executed),
                parameters=variables,
                engine_name=engine,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                stdout_file=out,
                stderr_file=err,
                start_timeout=180,
                execution_timeout=cell_seconds,
                cwd=str(root),
            )
    except PapermillExecutionError as error:
        raise LabelsplatError(_short(error), where=f"stage {stage.name}") from None
    except DeadKernelError:
        words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = f"; its last words: {words[-1][:200]}" if words else ""
        raise LabelsplatError(
            f"the kernel died without a Python error{said}",
            where=f"stage {stage.name}",
            remedy="Most often the machine ran out of memory: look at `dmesg`, lower the sizes or "
            "the numbers of processes in params.yaml, then run again",
        ) from None
    except CellTimeoutError:
        raise LabelsplatError(
            f"a cell ran longer than {cell_seconds} s",
            where=f"stage {stage.name}",
            remedy="Allow more with --timeout SECONDS in dvc.yaml's cmd",
        ) from None
    finally:
        out.close()
        err.close()


def _short(error: object) -> str:
    """The stage's own message; for unexpected errors also where they arose."""
    value = str(error.evalue).strip()
    if error.ename in _OWN_ERRORS:
        return value
    what = f"{error.ename}: {value}" if value else error.ename
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    places = re.findall(r"(?:File )?(\S*labelsplat/\S+?\.py)\"?(?::|, line )(\d+)", plain)
    if places:
        path, line = places[-1]
        where = "lib/labelsplat/" + path.rpartition("labelsplat/")[2]
        return f"{what} ({where}:{line}, called from cell {error.exec_count})"
    return f"{what} (in cell {error.exec_count}: {error.source.strip().splitlines()[0][:60]})"
