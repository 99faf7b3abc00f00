"""Rows of a report, as a table and as JSON: figures with their intervals and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.table import Column, Table

Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True)
class ReportRow:
    """One figure. `least` and `most` are its bounds; without them it is only reported."""

    what: str
    figure: float
    queries: int
    interval: tuple[float, float] | None = None
    least: float | None = None
    most: float | None = None
    yardstick: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure is within its bounds."""
        return self._within(self.figure, self.figure)

    @property
    def reached(self) -> bool:
        """Whether the figure is outside its bounds, but its interval is not."""
        return not self.holds and self.interval is not None and self._within(*self.interval)

    def _within(self, low: float, high: float) -> bool:
        """Whether a part of `low` to `high` is within the bounds."""
        return (self.least is None or high >= self.least) and (self.most is None or low <= self.most)


@dataclass(frozen=True)
class Report:
    """All rows of a data set, with the seed, processor and space of the run."""

    dataset: str
    seed: int
    processor: str
    space: str
    rows: tuple[ReportRow, ...] = field(default=())

    def table(self) -> Table:
        """The rows for a terminal. Figures outside their bounds are red."""
        table = Table(
            Column("what", overflow="fold"),
            "figure",
            "95%",
            "held to",
            "yardstick",
            "queries",
            title=f"{self.dataset}: answers of the running server",
            caption=f"seed {self.seed}; {self.processor}; space {self.space}; "
            f"intervals by bootstrap, {RESAMPLES} resamples",
        )
        for row in self.rows:
            interval = "" if row.interval is None else f"{row.interval[0]:.3f} – {row.interval[1]:.3f}"
            colour = "red" if not row.holds else "green" if _bounds(row) else "default"
            table.add_row(
                row.what,
                f"[{colour}]{number(row.figure)}[/]",
                interval,
                _bounds(row),
                row.yardstick,
                f"{row.queries:,}",
            )
        return table

    def plain(self) -> dict[str, Any]:
        """The report as data for JSON."""
        about = {name: value for name, value in asdict(self).items() if name != "rows"}
        rows = [{**asdict(row), "holds": row.holds, "reached": row.reached} for row in self.rows]
        return {**about, "rows": rows}


def mean(
    what: str,
    values: Sequence[float] | Floats | NDArray[np.bool_],
    seed: int,
    *,
    groups: Sequence[str] | None = None,
    least: float | None = None,
    most: float | None = None,
    yardstick: str = "",
) -> ReportRow:
    """The row of a mean over queries, with its interval over queries, or over `groups` of them (such as users)."""
    array = np.asarray(values, np.float64)
    figure = float(array.mean())
    interval = bootstrap(array, seed, groups)
    return ReportRow(what, figure, len(array), interval, least, most, yardstick)


def ratio(
    what: str,
    top: Sequence[float] | Floats,
    bottom: Sequence[float] | Floats,
    seed: int,
    *,
    least: float | None = None,
    most: float | None = None,
    yardstick: str = "",
) -> ReportRow:
    """The row of sum(top) / sum(bottom), such as places after over places before, with its interval over queries.

    `bottom` must not be negative. If it sums to 0, the figure is NaN and has no interval.
    """
    columns = np.stack([np.asarray(top, np.float64), np.asarray(bottom, np.float64)], axis=1)
    total, of = columns.sum(0).tolist()
    if not of:
        return ReportRow(what, math.nan, len(columns), None, least, most, yardstick)
    return ReportRow(
        what, total / of, len(columns), _interval_of_ratio(columns, seed), least, most, yardstick
    )


def bootstrap(values: Floats, seed: int, groups: Sequence[str] | None = None) -> tuple[float, float]:
    """95% interval of the mean by the percentile bootstrap (B. Efron, 1979).

    With `groups`, whole groups are drawn, and the mean is over all values in them: the values of one user are not
    independent of each other.
    """
    if groups is None:
        group = np.arange(len(values))
    else:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group).astype(np.float64)
    return _interval_of_ratio(np.stack([sums, counts], axis=1), seed)


def resampled(values: Floats, seed: int) -> Floats:
    """The sums of `values`, float64 [queries, columns], over as many queries drawn with replacement, RESAMPLES times.

    float64 [RESAMPLES, columns]
    """
    rng = np.random.default_rng(seed)
    sums = np.empty((RESAMPLES, values.shape[1]))
    for n in range(RESAMPLES):
        drawn = rng.integers(0, len(values), len(values))
        sums[n] = np.bincount(drawn, minlength=len(values)) @ values
    return sums


def _interval_of_ratio(columns: Floats, seed: int) -> tuple[float, float]:
    """95% interval of the first column's sum over the second's. Resamples whose second sum is 0 are left out."""
    top, bottom = resampled(columns, seed).T
    low, high = np.quantile(top[bottom > 0] / bottom[bottom > 0], (0.025, 0.975))
    return float(low), float(high)


def number(value: float) -> str:
    """A figure for the table: three decimals, or a power of ten if three decimals would show 0."""
    return f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"


def _bounds(row: ReportRow) -> str:
    return f"{_limits(row)}; the interval reaches it" if row.reached else _limits(row)


def _limits(row: ReportRow) -> str:
    if row.least is not None and row.most is not None:
        return f"{number(row.least)} – {number(row.most)}"
    if row.least is not None:
        return f"≥ {number(row.least)}"
    return "" if row.most is None else f"≤ {number(row.most)}"
