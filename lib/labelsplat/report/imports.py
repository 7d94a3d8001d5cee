"""Which files of the library a notebook uses, read from its import statements.

DVC does not follow imports: a stage names the subpackages that it depends on. A test holds that
list against what is found here. Nothing is imported, only parsed.
"""

from __future__ import annotations

import ast
from pathlib import Path

from labelsplat.report.notebooks import read_notebook

PACKAGE = "labelsplat"

ORDER = (
    "base",
    "labels",
    "capture",
    "parsing",
    "splats",
    "refine",
    "evaluate",
    "study",
    "experiments",
    "report",
)
"""Subpackages in the order in which they may build on one another: each only on those before it.
``viz`` may build on all but ``report``, and only notebooks and ``report`` may use it."""

DRAWING = ("viz", "report")
"""Subpackages that compute no stage's output, so that no stage depends on them."""


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported_modules(source: str, package: str = "") -> set[str]:
    """Dotted names that Python code imports anywhere, also inside functions.

    ``from a.b import c`` gives both ``a.b`` and ``a.b.c``, since c may be a module. Imports for
    type checkers alone are left out.

    Args:
        source: Python code.
        package: package that the code is in, for relative imports.
    """
    names, todo = set(), [ast.parse(source)]
    while todo:
        node = todo.pop()
        if _is_type_checking(node):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [node.module])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
        todo += ast.iter_child_nodes(node)
    return names


def _files(name: str, lib: Path) -> list[Path]:
    """Files that importing a dotted name executes: every package above it and itself."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return []
    found = []
    for depth in range(1, len(parts) + 1):
        stem = lib.joinpath(*parts[:depth])
        found += [f for f in (stem / "__init__.py", stem.with_suffix(".py")) if f.is_file()]
    return found


def module_imports(path: Path, lib: Path) -> set[Path]:
    """Files of the library that one of its modules imports directly."""
    parts = path.relative_to(lib).with_suffix("").parts
    package = ".".join(parts[:-1])
    names = imported_modules(path.read_text(encoding="utf-8"), package)
    return {file for name in names for file in _files(name, lib)} - {path}


def subpackage(path: Path, lib: Path) -> str:
    """First folder or module below the package, e.g. ``capture``; empty for its ``__init__``."""
    parts = path.relative_to(lib / PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def notebook_closure(path: Path, lib: Path) -> set[Path]:
    """Files of the library that a notebook's code uses, directly or not.

    What is reached only through :data:`DRAWING` is left out.
    """
    cells = [c.source for c in read_notebook(path).cells if c.cell_type == "code"]
    lines = [line for cell in cells for line in cell.splitlines()]
    code = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)
    todo = [file for name in imported_modules(code) for file in _files(name, lib)]
    closure: set[Path] = set()
    while todo:
        file = todo.pop()
        if file in closure or subpackage(file, lib) in DRAWING:
            continue
        closure.add(file)
        todo += module_imports(file, lib)
    return closure
