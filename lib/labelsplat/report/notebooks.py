"""Notebooks as they are committed: without outputs, in one canonical form.

Re-saving a notebook in Jupyter changes versions, ids and outputs in it, and DVC, which compares
bytes, would rerun its stage. So notebooks are committed stripped (a git filter would give other
bytes in each clone), and a test holds them to it::

    python -m labelsplat.report.notebooks strip notebooks/*.ipynb
    python -m labelsplat.report.notebooks check notebooks/*.ipynb

After a change of params.yaml the defaults in the parameters cells follow by::

    python -m labelsplat.report.notebooks defaults
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labelsplat.base.errors import LabelsplatError, ParameterError
from labelsplat.base.files import atomic_path

if TYPE_CHECKING:
    from nbformat import NotebookNode


def read_notebook(path: str | Path) -> NotebookNode:
    """Read a notebook of format 4.

    Raises:
        LabelsplatError: the file is missing or is no notebook.
    """
    import nbformat

    try:
        text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text)
    except FileNotFoundError:
        raise LabelsplatError("the notebook is missing", where=path) from None
    except ValueError as error:
        raise LabelsplatError(f"not a notebook ({error})", where=path) from None
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise LabelsplatError(
            "not a notebook of format 4", where=path, remedy="Open and save it in JupyterLab"
        )
    try:
        return nbformat.reads(text, as_version=4)
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError) as error:
        what = str(error).splitlines()[0][:200]
        raise LabelsplatError(f"not a valid notebook ({what})", where=path) from None


def canonical_text(notebook: NotebookNode) -> str:
    """The text of a notebook in canonical form.

    No outputs, no execution counts, no empty last cell, ids by position, of the metadata only the
    language and the cells' tags. (Without a kernelspec Jupyter offers its default Python; the
    runner names the kernel itself.)
    """
    from nbformat import v4

    cells = []
    for cell in notebook.cells:
        source = "\n".join(line.rstrip() for line in cell.source.strip("\n").splitlines())
        make = {
            "code": v4.new_code_cell,
            "markdown": v4.new_markdown_cell,
            "raw": v4.new_raw_cell,
        }[cell.cell_type]
        new = make(source, id=f"cell-{len(cells):02d}")
        if cell.metadata.get("tags"):
            new.metadata["tags"] = sorted(cell.metadata["tags"])
        cells.append(new)
    while cells and not cells[-1].source:
        cells.pop()
    out = v4.new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})
    out.nbformat_minor = 5
    return v4.writes(out, indent=1, ensure_ascii=False).rstrip("\n") + "\n"


def strip(path: str | Path) -> bool:
    """Rewrite a notebook in canonical form; whether that changed it."""
    text = canonical_text(read_notebook(path))
    if Path(path).read_text(encoding="utf-8") == text:
        return False
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return True


def declared_parameters(notebook: NotebookNode, *, where: object = None) -> dict:
    """Names and defaults in the notebook's cell tagged ``parameters``.

    Raises:
        ParameterError: there is not exactly one such cell, or it holds something else than
            ``name = literal``.
    """
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    if len(tagged) != 1:
        raise ParameterError(
            f"{len(tagged)} cells are tagged 'parameters', expected one", where=where
        )
    out = {}
    for node in ast.parse(tagged[0].source).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        try:
            if not isinstance(target, ast.Name):
                raise ValueError("no assignment")
            out[target.id] = ast.literal_eval(node.value)
        except ValueError:
            raise ParameterError(
                f"the parameters cell holds {ast.unparse(node)!r}",
                where=where,
                remedy="It may hold only lines like name = literal",
            ) from None
    return out


def with_defaults(source: str, values: dict) -> str:
    """The text of a parameters cell with other values, its comments and layout kept.

    Args:
        source: the cell, lines ``name = literal``.
        values: new values by name; names and keys that the cell lacks are left out.
    """
    found: list[tuple[ast.expr, object]] = []

    def compare(node: ast.expr, value: object) -> None:
        if isinstance(node, ast.Dict) and isinstance(value, dict):
            for key, entry in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in value:
                    compare(entry, value[key.value])
        elif ast.literal_eval(node) != value:
            found.append((node, value))

    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in values:
            compare(node.value, values[ast.unparse(node.targets[0])])
    lines = source.splitlines()
    # From the end, so that earlier places stay where they are. Columns count bytes.
    for node, value in sorted(found, key=lambda f: -(f[0].lineno * 1000 + f[0].col_offset)):
        first, last = lines[node.lineno - 1].encode(), lines[node.end_lineno - 1].encode()
        text = json.dumps(value) if isinstance(value, str | list) else repr(value)
        line = first[: node.col_offset] + text.encode() + last[node.end_col_offset :]
        lines[node.lineno - 1 : node.end_lineno] = [line.decode()]
    return "\n".join(lines)


def write_defaults(root: Path) -> list[str]:
    """Set the parameters cells of all notebooks to the values in force (of first rounds).

    A notebook that serves several stages gets what any of them tracks.

    Returns:
        The notebooks that changed, relative to ``root``.

    Raises:
        ParameterError: another profile is active.
    """
    from labelsplat.report.params import profile_text

    if (root / "params.yaml").read_text(encoding="utf-8") != profile_text("default"):
        raise ParameterError(
            "not the default profile, whose values committed notebooks hold",
            where="params.yaml",
            remedy="make profile PROFILE=default",
        )
    changed = []
    for path, values in _tracked_values(root).items():
        notebook = read_notebook(root / path)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", ()):
                for each in values:
                    cell.source = with_defaults(cell.source, each)
        text = canonical_text(notebook)
        if text != (root / path).read_text(encoding="utf-8"):
            with atomic_path(root / path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def _tracked_values(root: Path) -> dict[str, list[dict]]:
    """By notebook, the variables of its stages; of a ``foreach``, of the first one."""
    import shlex

    from labelsplat.report.lock import defined
    from labelsplat.report.params import read_yaml
    from labelsplat.report.stages import EXPERIMENTS, LINE, load_stage

    out: dict[str, list[dict]] = {}
    params = read_yaml(root / "params.yaml")
    for file in (LINE, EXPERIMENTS):
        if not (root / file).is_file():
            continue
        content = read_yaml(root / file)
        first: dict[str, str] = {}
        for name in defined(content, params):
            first.setdefault(name.partition("@")[0], name)
        for group, name in first.items():
            stage = content["stages"][group]
            words = shlex.split(stage.get("do", stage)["cmd"])
            path = words[5] if words[3] == "run" else ""  # one stage has no notebook
            if path and (root / path).exists():
                address = name if file == LINE else f"{file}:{name}"
                out.setdefault(path, []).append(load_stage(root, address).variables())
    return out


def main(arguments: list[str]) -> int:
    """``strip`` or ``check`` the notebooks named after it, or renew their ``defaults``.

    Returns:
        1 if ``check`` finds a notebook that is not in canonical form, 2 for a wrong call.
    """
    command, *paths = arguments or [""]
    if command == "defaults" and not paths:
        from labelsplat.base.layout import project_root

        for path in write_defaults(project_root()):
            print(f"{path}: defaults renewed")
        return 0
    if command not in ("strip", "check") or not paths:
        print("usage: python -m labelsplat.report.notebooks strip|check NOTEBOOK...")
        print("       python -m labelsplat.report.notebooks defaults")
        return 2
    bad = 0
    for path in paths:
        if command == "strip":
            print(f"{path}: {'stripped' if strip(path) else 'unchanged'}")
        elif Path(path).read_text(encoding="utf-8") != canonical_text(read_notebook(path)):
            print(f"{path}: not in canonical form; run: make format")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
