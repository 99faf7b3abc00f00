"""Plots of a report's sections: bars with the rounds' spread, or curves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from itemlens_bench.speed.figures import Spread
from itemlens_bench.speed.report import Chart, Report, Row, Section

WIDTH, BAR_HEIGHT, CURVES_HEIGHT = 8.0, 0.45, 4.0  # inches


def write(report: Report, folder: Path) -> list[Path]:
    """Write an SVG file to `folder` for each section that has a chart. The file is named by the section's title."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for section in report.sections:
        if section.chart is not None:
            path = folder / f"{re.sub(r'[^a-z0-9]+', '-', section.title.lower()).strip('-')}.svg"
            draw(section, section.chart).savefig(path)
            written.append(path)
    return written


def draw(section: Section, chart: Chart) -> Figure:
    """The section's chart."""
    return _bars(section, chart.bars) if chart.bars else _curves(section.title, chart)


def _bars(section: Section, column: str) -> Figure:
    rows = [row for row in section.rows if isinstance(row.figures.get(column), float | Spread)]
    figure = Figure(figsize=(WIDTH, 1 + BAR_HEIGHT * len(rows)), layout="constrained")
    axes: Axes = figure.subplots()
    spreads = [_spread(row, column) for row in rows]
    least = [spread.median - spread.least for spread in spreads]
    most = [spread.most - spread.median for spread in spreads]
    names = [row.name for row in rows]
    axes.barh(names, [spread.median for spread in spreads], xerr=[least, most], color="C0", ecolor="#222222")
    axes.invert_yaxis()
    # Under the whole figure: with long names the axes are too narrow for it.
    figure.supxlabel(f"{column}: median, and the spread of the rounds", fontsize=10)
    _finish(axes, section.title)
    return figure


def _spread(row: Row, column: str) -> Spread:
    figure = row.figures[column]
    return figure if isinstance(figure, Spread) else Spread.of([float(figure or 0)])


def _curves(title: str, chart: Chart) -> Figure:
    """Curves over one axis. Curves of different units are in separate panels."""
    panels: Sequence[Sequence[int]] = (
        [range(len(chart.lines))] if chart.y else [[n] for n in range(len(chart.lines))]
    )
    height = CURVES_HEIGHT if chart.y else 2.2 * len(panels)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        for n in panel:
            line = chart.lines[n]
            axes.plot(line.x, line.y, label=line.name, color=f"C{n}")
        axes.set_xscale(chart.x_scale)
        axes.set_yscale(chart.y_scale)
        axes.set_ylabel(chart.y or chart.lines[panel[0]].name)
        if chart.y and len(panel) > 1:
            axes.legend()
        if not chart.y:
            axes.set_ylim(0, 1.15 * max(max(chart.lines[n].y, default=0) for n in panel) or 1)
        _finish(axes, title if axes is all_axes[0] else "")
    all_axes[-1].set_xlabel(chart.x)
    return figure


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
