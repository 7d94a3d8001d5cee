"""The README: its table is what the metrics say, its commands and paths exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labelsplat.base import read_json
from labelsplat.base.layout import Layout
from labelsplat.experiments import report_path
from labelsplat.report import front
from labelsplat.report.front import BEGIN, END, readme_table, update_readme, with_headline

REPO = Path(__file__).resolve().parents[2]
README = REPO / "README.md"


@pytest.fixture(scope="module")
def text():
    return README.read_text(encoding="utf-8")


def test_table_is_what_the_metrics_give(text):
    assert with_headline(text, readme_table(Layout(REPO))) == text, (
        "run: python -m labelsplat.report.front --readme"
    )


def test_marks_stand_once(text):
    assert text.count(BEGIN) == text.count(END) == 1 and text.index(BEGIN) < text.index(END)


def test_table_is_written_between_the_marks(layout):
    path = layout.root / "README.md"
    path.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nafter \\1\n", encoding="utf-8")
    assert update_readme(layout)
    new = path.read_text(encoding="utf-8")
    assert new.startswith("# Title\n\n" + BEGIN) and new.endswith(END + "\n\nafter \\1\n")
    assert "old" not in new
    assert not update_readme(layout)
    row = next(line for line in new.splitlines() if line.startswith("| Extreme poses"))
    assert "| .495 [.475, .515] |" in row and row.endswith("| +.183 [+.153, +.213] | 81 % |")
    for part in ("Ears", "Nose", "Lips"):
        assert f"| {part} |" in new
    lengths = {line.count("|") for line in new.split("| F1 |")[0].splitlines() if "|" in line}
    assert lengths == {10}  # each row of the first table has as many cells as its head


def test_a_readme_without_marks_or_no_readme_is_left_alone(layout):
    assert not update_readme(layout)
    path = layout.root / "README.md"
    path.write_text("mine\n", encoding="utf-8")
    assert not update_readme(layout) and path.read_text(encoding="utf-8") == "mine\n"


def test_on_the_command_line(layout, monkeypatch, capsys):
    monkeypatch.setenv("LABELSPLAT_ROOT", str(layout.root))
    path = layout.root / "README.md"
    path.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    assert front.main(["--readme"]) == 0
    assert "| Extreme poses" in path.read_text(encoding="utf-8")
    assert not (layout.reports / "index.html").exists()
    (layout.metrics / "evaluate.json").write_text("{", encoding="utf-8")
    assert front.main([]) == 1
    assert "evaluate.json: not valid JSON" in capsys.readouterr().err


def test_commands_exist(text):
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    # In code only: a sentence may "make" other things.
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert {"repro", "test", "refine"} <= named <= targets


def test_linked_files_and_places_exist(text):
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith(("http", "reports/")):
            assert (REPO / target).is_file(), target
    for heading in re.findall(r"\]\(#([^)]+)\)", text):
        slugs = [h.lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        assert heading in slugs


def test_library_map_is_complete(text):
    table = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    folders = {p.parent.name for p in (REPO / "lib/labelsplat").glob("*/__init__.py")}
    notebooks = {p.stem for p in (REPO / "notebooks").rglob("*.ipynb")}
    assert folders | notebooks == set(table)


def test_names_in_python_examples_exist(text):
    import importlib

    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        for module, names in re.findall(r"from (labelsplat[\w.]*) import (.+)", block):
            for name in names.split(","):
                assert hasattr(importlib.import_module(module), name.strip())


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("pixels", "fitted label models bore random errors better"),
        ("flips", "fitted label models bore random errors better"),
        ("systematic", "the lift those that grow with the pose"),
    ],
)
def test_what_it_says_of_label_noise_was_measured(text, kind, sentence):
    """Reworded or measured anew, words and scores must still say the same."""
    assert sentence in text
    scores: dict[tuple, dict[str, float]] = {}
    for row in read_json(report_path(Layout(REPO), f"noise@{kind}"))["rows"]:
        scores.setdefault((row["rate"], row["labelled_views"]), {})[row["method"]] = row["miou"]
    assert len(scores) > 2
    for condition, found in scores.items():
        fitted = max(found["joint"], found["two_models"])
        if kind == "systematic":
            assert found["lift"] > max(fitted, found["vote"]), condition
        else:
            assert fitted > found["lift"], condition
