"""An executed notebook as one HTML page that opens from a file, offline, at any width.

nbconvert's own pages load scripts from a CDN; ours has none at all: its text, pictures and tables
stand in the file, code is folded away by ``<details>``. The same outputs give the same bytes:
progress bars, ids and times are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

_HERE = Path(__file__).parent
# What tqdm draws: " 45%|####5     | 9/20 [00:01<00:01,  8.4it/s]" and "12it [00:01, 8.4it/s]".
_PROGRESS = re.compile(r"\d+%\||\d+it \[|\[\d+:\d\d[<,]")


def heading(source: str) -> str | None:
    """The first Markdown heading in a cell, without its marks; None if there is none."""
    match = re.search(r"^#{1,4} +(.+?)\s*$", source, re.MULTILINE)
    return re.sub(r"[*_`]", "", match[1]) if match else None


def clean_stream(text: str) -> str:
    """Printed text as a terminal shows it in the end: overwritten and progress lines are gone."""
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))
    kept = [line for line in lines if not _PROGRESS.search(line)]
    return "\n".join(kept)


def settle(notebook: NotebookNode) -> NotebookNode:
    """A copy of an executed notebook that two equal runs share byte for byte.

    The default parameters cell is dropped in favour of the injected one, streams are joined and
    cleaned, pictures get the heading above them as alternative text, times and random ids go.
    """
    import copy

    out = copy.deepcopy(notebook)
    tags = [set(cell.metadata.get("tags", ())) for cell in out.cells]
    injected = any("injected-parameters" in t for t in tags)
    dropped = {"papermill-error-cell-tag"} | ({"parameters"} if injected else set())
    out.cells = [c for c, t in zip(out.cells, tags, strict=True) if not t & dropped]
    above = None
    for number, cell in enumerate(out.cells):
        cell.id = f"cell-{number}"
        cell.metadata = type(cell.metadata)(tags=cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            above = heading(cell.source) or above
        elif cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = _settled_outputs(cell.outputs, above)
    _number_tables(out)
    out.metadata = type(out.metadata)(language_info={"name": "python", "pygments_lexer": "python"})
    return out


def _number_tables(notebook: NotebookNode) -> None:
    """Number the ids that pandas draws by chance for styled tables."""
    ids: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/html" in data:
                data["text/html"] = re.sub(
                    r"\bT_[0-9a-f]{5}(?![0-9a-f])",
                    lambda match: ids.setdefault(match[0], f"T_{len(ids)}"),
                    data["text/html"],
                )


def _settled_outputs(outputs: list, above: str | None) -> list:
    kept, streams = [], {}
    for output in outputs:
        if output.output_type == "stream":
            if output.name in streams:
                streams[output.name].text += output.text
                continue
            streams[output.name] = output
        else:
            streams = {}
            if "metadata" in output and above:
                output.metadata.setdefault("alt", above)
        if "execution_count" in output:
            output.execution_count = None
        kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = clean_stream(output.text)
    return [o for o in kept if _says_something(o)]


def _says_something(output: NotebookNode) -> bool:
    if output.output_type == "stream":
        return bool(output.text.strip())
    # A widget without its scripts is a line of text that shows its first moment.
    return "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


def render_page(
    notebook: NotebookNode, *, label: str, home: str = "../index.html", title: str | None = None
) -> str:
    """HTML of an executed notebook.

    Args:
        notebook: executed notebook; not changed.
        label: short text beside the link in the page's head, e.g. the stage's name.
        home: where that link leads, relative to the page.
        title: of the browser's tab; by default the notebook's first heading.

    Returns:
        A whole page: styles and pictures embedded, no script, no address of another host loaded.
    """
    from jinja2 import FileSystemLoader
    from nbconvert.exporters import HTMLExporter
    from pygments.formatters import HtmlFormatter

    notebook = settle(notebook)
    if title is None:
        found = (heading(c.source) for c in notebook.cells if c.cell_type == "markdown")
        title = next((h for h in found if h), label)
    css = (_HERE / "page.css").read_text(encoding="utf-8")
    css += HtmlFormatter(style="friendly", nobackground=True).get_style_defs(".highlight")
    exporter = HTMLExporter(
        template_name="basic",
        template_file="page.html.j2",
        extra_loaders=[FileSystemLoader(_HERE)],
        exclude_anchor_links=True,
        embed_images=True,
    )
    page = {"title": title, "label": label, "home": home, "css": css}
    text, _ = exporter.from_notebook_node(notebook, resources={"page": page})
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


_LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?
        \b(?:src|href|data)\s*=\s*["']?(?!data:|\#)([^"'\s>]+)
      | @import\s+(?:url\()?["']?([^"');\s]+)
      | url\(\s*["']?(?!data:|\#)([^"')]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def loaded_addresses(page: str) -> list[str]:
    """What a browser would load beside the page itself: scripts, styles, fonts, pictures."""
    return [next(filter(None, match)) for match in _LOADED.findall(page)]
