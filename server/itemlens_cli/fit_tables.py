"""The report of a fit as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.box import SIMPLE
from rich.table import Column, Table

from itemlens_server.services.fitting import Figure, FitReport


def tables(collection: str, report: FitReport) -> Iterator[Table]:
    """Yield the verdicts, the figures on held-out questions, the weights and the choices of a fit of `collection`."""
    table = _table(f"fit of {collection}", "question", "than not fitted", "than what serves now", "weights")
    for v in report.verdicts:
        table.add_row(v.question, v.than_defaults, v.than_now, "fitted" if v.taken else "defaults")
    yield table
    for asked, figures in groupby(report.figures, lambda f: (f.question, f.measure, f.questions)):
        question, measure, count = asked
        meaning = " (mean -ln P, less is better)" if measure == "nll" else ""
        title = f"{question}, {measure}{meaning}, {count:,} questions"
        table = _table(title, "system", "value", "fitted minus it (95%)")
        for f in figures:
            table.add_row(f.system, f"{f.value:.4f}", difference(f))
        yield table
    for question, weights in groupby(report.weights, lambda w: w.question):
        table = _table(f"weights of {question}", "weight of", "items", "g", "nats", "standard error")
        for w in weights:
            table.add_row(w.name, w.states.lower(), w.transform, f"{w.weight:.3f}", f"{w.standard_error:.3f}")
        yield table
    table = _table("choices", "parameter", "chosen", "on held-out data", "sample")
    for s in report.steps:
        table.add_row(s.what, s.chosen, s.brought, s.sample)
    yield table


def _table(title: str, *columns: str) -> Table:
    """A table for narrow terminals, too: the first column stays whole, the others are folded."""
    first, *others = columns
    table = Table(Column(first, no_wrap=True), title=title, title_justify="left", box=SIMPLE)
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def difference(f: Figure) -> str:
    """Return the difference with its interval; "" for the fitted weights themselves."""
    if f.difference is None or f.low is None or f.high is None:
        return ""
    return f"{f.difference:+.4f} ({f.low:+.4f} to {f.high:+.4f})"
