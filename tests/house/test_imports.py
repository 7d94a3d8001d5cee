"""Imports inside the library point one way; the tool that finds them is right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from labelsplat.report import imports
from labelsplat.report.imports import DRAWING, ORDER, imported_modules, module_imports, subpackage

LIB = Path(__file__).resolve().parents[2] / "lib"
MODULES = sorted((LIB / "labelsplat").rglob("*.py"))


def _rank(name: str) -> int:
    # Single modules beside the subpackages (__main__, tools) stand above all of them.
    return ORDER.index(name) if name in ORDER else len(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(LIB / "labelsplat")))
def test_imports_point_one_way(path: Path):
    own = subpackage(path, LIB)
    for used in module_imports(path, LIB):
        other = subpackage(used, LIB)
        if not other or other == own:
            continue
        if own == "viz":
            assert other != "report", f"viz imports {used}"
        elif other == "viz":
            assert own in ("report", "") or own not in ORDER, f"{own} computes, it may not draw"
        else:
            assert _rank(other) < _rank(own), f"{path} imports {used}"


def test_every_subpackage_has_its_place():
    folders = {p.name for p in (LIB / "labelsplat").iterdir() if (p / "__init__.py").is_file()}
    assert folders <= {*ORDER, *DRAWING}


def test_the_package_itself_holds_no_code_that_a_stage_could_depend_on():
    """``labelsplat/__init__.py`` is imported by every stage and is no dependency of any."""
    tree = ast.parse((LIB / "labelsplat/__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        is_version = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
        assert is_version or isinstance(node, ast.Expr), ast.unparse(node)


def test_imported_modules():
    code = """
from typing import TYPE_CHECKING
import a.b
from c import d
if TYPE_CHECKING:
    import hidden
def f():
    from .e import g
    from .. import h
"""
    assert imported_modules(code, "p.q") == {
        "typing", "typing.TYPE_CHECKING", "a.b", "c", "c.d", "p.q.e", "p.q.e.g", "p", "p.h",
    }  # fmt: skip


def test_closure_follows_imports_but_not_through_drawing(tmp_path: Path, write_notebook):
    package = tmp_path / "lib" / "labelsplat"
    texts = {
        "__init__.py": "",
        "base/__init__.py": "from labelsplat.base.files import x",
        "base/files.py": "x = 1",
        "splats/__init__.py": "def f():\n    from labelsplat.capture import y",
        "capture/__init__.py": "from .deep import y",
        "capture/deep.py": "from labelsplat.base import x as y",
        "refine/__init__.py": "",
        "viz/__init__.py": "import labelsplat.refine",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    path = tmp_path / "n.ipynb"
    write_notebook(path, "seed = 0", "%matplotlib inline\nimport labelsplat.splats\nimport numpy")
    found = imports.notebook_closure(path, tmp_path / "lib")
    assert {p.relative_to(package).as_posix() for p in found} == texts.keys() - {
        "refine/__init__.py",
        "viz/__init__.py",
    }
    write_notebook(path, "seed = 0", "from labelsplat import viz")
    found = imports.notebook_closure(path, tmp_path / "lib")
    assert {p.relative_to(package).as_posix() for p in found} == {"__init__.py"}
