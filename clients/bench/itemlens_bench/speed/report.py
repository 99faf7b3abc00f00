"""Reports: sections with rows of figures, as tables and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from itemlens_bench.speed.figures import Floats, Spread, percentile

QUANTILES = (*(n / 2 for n in range(1, 198)), *(99 + n / 10 for n in range(10)))
Figure = float | Spread | str | None


@dataclass(frozen=True)
class Row:
    """One line of a section: figures by column. The column's name has the unit ("p99 ms")."""

    name: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Line:
    """A curve of a plot."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def latency_line(name: str, latency: Floats) -> Line:
    """The cumulative distribution of latencies, in percent over ms; `latency` is in seconds."""
    return Line(name, [1e3 * percentile(latency, q) for q in QUANTILES], list(QUANTILES))


@dataclass(frozen=True)
class Chart:
    """The plot of a section: a column as bars, or lines.

    bars:  name of the column
    lines: the curves, over `x` and `y`, the axes' names
    """

    bars: str = ""
    lines: Sequence[Line] = ()
    x: str = ""
    y: str = ""
    x_scale: Literal["linear", "log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"


def latency_chart(lines: Sequence[Line]) -> Chart:
    """The chart of latency lines."""
    return Chart(lines=lines, x="ms", y="percent of calls", x_scale="log")


@dataclass(frozen=True)
class Section:
    """One table of figures, with notes and a chart."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    chart: Chart | None = None

    def columns(self) -> list[str]:
        """All columns, in the order in which rows name them."""
        return list(dict.fromkeys(name for row in self.rows for name in row.figures))


@dataclass(frozen=True)
class Report:
    """All sections of one run. `about`: machine, versions, space, workload."""

    about: Mapping[str, str]
    sections: Sequence[Section] = field(default=())

    def plain(self) -> dict[str, Any]:
        """The report as data for JSON."""
        plain: dict[str, Any] = _finite(
            {"about": dict(self.about), "sections": [asdict(s) for s in self.sections]}
        )
        return plain

    def write(self, folder: Path) -> None:
        """Write `report.json` and `report.md` to `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.plain(), indent=1, ensure_ascii=False)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        lines = [f"- {name}: {value}" for name, value in self.about.items()]
        sections = [markdown(section) for section in self.sections]
        (folder / "report.md").write_text("\n".join([*lines, "", *sections]), encoding="utf-8")


def about(report: Report) -> RenderableType:
    """The machine, versions, space and workload, for the terminal."""
    return Group(*(Text(f"{name}: {value}", "dim") for name, value in report.about.items()))


def table(section: Section) -> RenderableType:
    """A section for the terminal."""
    columns = section.columns()
    table = Table(
        "", *(Column(name, justify="right") for name in columns), title=section.title, title_justify="left"
    )
    for row in section.rows:
        table.add_row(row.name, *(shown(row.figures.get(name)) for name in columns))
    return Group(Text(), table, *(Text(note, "dim") for note in section.notes))


def markdown(section: Section) -> str:
    """A section as Markdown."""
    columns = section.columns()
    lines = [f"### {section.title}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [
        f"| {row.name} | {' | '.join(shown(row.figures.get(name)) for name in columns)} |"
        for row in section.rows
    ]
    return "\n".join([*lines, "", *section.notes]) + "\n"


def shown(figure: Figure) -> str:
    """A figure in three digits, with the spread of the rounds behind it."""
    match figure:
        case None:
            return ""
        case str():
            return figure
        case Spread() if figure.least == figure.most:
            return number(figure.median)
        case Spread():
            return f"{number(figure.median)} ({number(figure.least)} to {number(figure.most)})"
        case _:
            return number(figure)


def number(value: float) -> str:
    """Three significant digits with separators of thousands and no exponent."""
    if math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(digits, 0), 9)}f}"


def _finite(value: Any) -> Any:
    """The value with None in place of nan and infinity, which JSON does not have."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(name): _finite(child) for name, child in value.items()}
        case str():
            return value
        case Sequence():
            return [_finite(child) for child in value]
    return value
