"""Reports as tables, Markdown, JSON and plots."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from itemlens_bench.speed import plots
from itemlens_bench.speed.figures import Spread
from itemlens_bench.speed.report import (
    Chart,
    Line,
    Report,
    Row,
    Section,
    latency_chart,
    latency_line,
    markdown,
    number,
    shown,
    table,
)

SECTION = Section(
    "Saturated Encode",
    [
        Row("raw fp32", {"texts/s": Spread(114.2, 110.0, 118.0)}),
        Row("itemlens fp32", {"texts/s": Spread(110.0, 104.0, 113.0), "p99 ms": 12.345, "failed": 0.0}),
    ],
    ["5 rounds"],
    Chart(bars="texts/s"),
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (0.95, "0.950"), (12.345, "12.3"), (114.6, "115"), (12345.6, "12,346"),
     (float("nan"), "-")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_spread_is_shown_behind_its_median() -> None:
    assert shown(Spread(114.2, 110.0, 118.0)) == "114 (110 to 118)"


def test_a_section_has_the_columns_of_all_its_rows() -> None:
    assert SECTION.columns() == ["texts/s", "p99 ms", "failed"]


def test_the_table_has_every_figure_and_note() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table(SECTION))
    text = console.export_text()
    for expected in ("Saturated Encode", "raw fp32", "114 (110 to 118)", "12.3", "5 rounds"):
        assert expected in text


def test_markdown_is_a_table_with_empty_cells_where_a_row_has_no_figure() -> None:
    lines = markdown(SECTION).splitlines()
    assert lines[0] == "### Saturated Encode"
    assert "| | texts/s | p99 ms | failed |" in lines
    assert "| raw fp32 | 114 (110 to 118) |  |  |" in lines
    assert lines[-1] == "5 rounds"


def test_json_has_the_unrounded_figures_and_null_for_nan(tmp_path: Path) -> None:
    section = Section("Empty", [Row("ours", {"p99 ms": float("nan"), "texts/s": Spread(2.0, 1.0, 3.0)})])
    Report({"machine": "2 processors"}, [section]).write(tmp_path)
    read = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert read["about"] == {"machine": "2 processors"}
    [row] = read["sections"][0]["rows"]
    assert row["figures"] == {"p99 ms": None, "texts/s": {"median": 2.0, "least": 1.0, "most": 3.0}}


def test_a_latency_curve_rises_from_the_fastest_call_to_the_slowest() -> None:
    line = latency_line("ours", np.linspace(0.001, 0.1, 1000))
    assert list(line.x) == sorted(line.x)
    assert line.x[-1] == pytest.approx(100, rel=0.01)


def test_every_section_with_a_chart_becomes_a_file_named_by_its_title(tmp_path: Path) -> None:
    curves = latency_chart([latency_line("ours", np.linspace(0.001, 0.1, 100))])
    series = Chart(
        lines=[Line("answered texts/s", [0, 1], [5, 6]), Line("resident MB", [0, 1], [8, 8])], x="s"
    )
    sections = [
        SECTION,
        Section("Open loop, 1-text calls", [], chart=curves),
        Section("Overload", [], chart=series),
        Section("No chart", []),
    ]
    written = plots.write(Report({}, sections), tmp_path)
    assert [path.name for path in written] == [
        "saturated-encode.svg",
        "open-loop-1-text-calls.svg",
        "overload.svg",
    ]
    assert all(path.read_text(encoding="utf-8").startswith("<?xml") for path in written)
