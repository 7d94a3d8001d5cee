"""Pages: self-contained, offline, the same bytes for the same outputs."""

from __future__ import annotations

import copy

import pytest
from nbformat import v4

from labelsplat.report.html import clean_stream, heading, loaded_addresses, render_page, settle

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BAR = "\r  0%|          | 0/9 [00:00<?, ?it/s]\r100%|##########| 9/9 [00:01<00:00,  8.4it/s]\n"


@pytest.fixture
def executed():
    """A notebook as papermill leaves it."""
    cell = v4.new_code_cell(
        "import this",
        execution_count=3,
        outputs=[
            v4.new_output("stream", name="stdout", text="step 1\rstep 2\n"),
            v4.new_output("stream", name="stderr", text=BAR),
            v4.new_output("stream", name="stdout", text="done <b>\n"),
            v4.new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"}),
            v4.new_output(
                "execute_result",
                data={"text/html": "<table><tr><td>.71</td></tr></table>", "text/plain": "x"},
                execution_count=3,
            ),
            v4.new_output(
                "display_data",
                data={
                    "application/vnd.jupyter.widget-view+json": {"model_id": "a"},
                    "text/plain": "a widget",
                },
            ),
            v4.new_output("display_data", data={"application/javascript": "alert(1)"}),
        ],
    )
    cells = [
        v4.new_markdown_cell("# The *parser*\n\nText with `code`."),
        v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}),
        cell,
    ]
    notebook = v4.new_notebook(cells=cells)
    notebook.metadata["papermill"] = {"start_time": "2024-01-01"}
    return notebook


def test_page_loads_nothing_and_runs_no_script(executed):
    page = render_page(executed, label="parser")
    assert loaded_addresses(page) == []
    assert "<script" not in page and "alert(1)" not in page


def test_page_reads_well_on_a_phone(executed):
    page = render_page(executed, label="parser")
    assert '<meta content="width=device-width, initial-scale=1" name="viewport"' in page
    assert "img, svg { max-width: 100%" in page


def test_page_shows_what_a_reader_needs(executed):
    page = render_page(executed, label="parser")
    assert "<title>The parser · labelsplat</title>" in page
    assert '<a href="../index.html">' in page
    assert f"data:image/png;base64,{PIXEL}" in page and 'alt="The parser"' in page
    assert "<td>.71</td>" in page and "done &lt;b&gt;" in page and "a widget" not in page


def test_parameters_of_the_run_replace_the_defaults(executed):
    page = render_page(executed, label="parser")
    assert "Parameters of this run" in page
    assert page.count("seed") == 1 and '<span class="mi">7</span>' in page


def test_progress_bars_and_overwritten_text_are_gone(executed):
    page = render_page(executed, label="parser")
    assert "it/s" not in page and "step 1" not in page and "step 2" in page


def test_equal_outputs_make_equal_pages(executed):
    again = copy.deepcopy(executed)
    for number, cell in enumerate(again.cells):
        cell.id = f"random{number}"
        cell.metadata["papermill"] = {"duration": 1.23 + number}
        if cell.cell_type == "code":
            cell.execution_count = 40 + number
    again.metadata["papermill"]["start_time"] = "2031-12-31"
    again.cells[3].outputs[1].text = BAR.replace("8.4it/s", "3.1it/s")
    assert render_page(again, label="parser") == render_page(executed, label="parser")


def test_ids_that_pandas_draws_by_chance_are_numbered():
    import pandas as pd

    def page() -> str:
        table = pd.DataFrame({"a": [1]}).style.hide()
        output = v4.new_output("display_data", data={"text/html": table.to_html()})
        return render_page(
            v4.new_notebook(cells=[v4.new_code_cell("", outputs=[output])]), label="x"
        )

    assert page() == page() and "T_0_row0_col0" in page()


def test_rendering_leaves_the_notebook_alone(executed):
    before = copy.deepcopy(executed)
    render_page(executed, label="parser")
    settle(executed)
    assert executed == before


def test_loaded_addresses_finds_what_a_browser_would_fetch():
    page = """<script src="https://a/b.js"></script><link rel="x" href='c.css'>
    <img src="data:image/png;base64,AA"><a href="https://fine">x</a>
    <style>@import "d.css"; p { background: url(https://e/f.png) }</style><img src=g.png>"""
    found = loaded_addresses(page)
    assert set(found) == {"https://a/b.js", "c.css", "d.css", "https://e/f.png", "g.png"}


def test_clean_stream():
    assert clean_stream("a\rb\nc\n") == "b\nc\n"
    assert clean_stream("loss 0.5 | miou 0.7\n") == "loss 0.5 | miou 0.7\n"
    assert clean_stream("12it [00:01, 9.5it/s]\nleft\n") == "left\n"


def test_heading():
    assert heading("text\n\n## The `fit` of *all*\nmore") == "The fit of all"
    assert heading("no heading, #hash") is None
