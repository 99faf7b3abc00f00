"""The report of a fit as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from itemlens_server.services.fitting import Figure, FitReport


def tables(collection: str, report: FitReport) -> Iterator[Table]:
    """Yield the verdicts, the figures, the weights and the choices of a fit of `collection`."""
    table = Table(
        "question", "than not fitted", "than what serves now", "weights", title=f"fit of {collection}"
    )
    for v in report.verdicts:
        table.add_row(v.question, v.than_defaults, v.than_now, "fitted" if v.taken else "defaults")
    yield table
    table = Table(
        "question", "measure", "system", "value", "fitted minus it (95%)", "questions", title="held out"
    )
    for f in report.figures:
        table.add_row(f.question, f.measure, f.system, f"{f.value:.4f}", difference(f), f"{f.questions:,}")
    yield table
    table = Table("question", "weight of", "items", "g", "nats", "standard error", title="weights")
    for w in report.weights:
        table.add_row(
            w.question, w.name, w.states.lower(), w.transform, f"{w.weight:.3f}", f"{w.standard_error:.3f}"
        )
    yield table
    table = Table("parameter", "chosen", "on held-out data", "sample", title="choices")
    for s in report.steps:
        table.add_row(s.what, s.chosen, s.brought, s.sample)
    yield table


def difference(f: Figure) -> str:
    """Return the difference with its interval; "" for the fitted weights themselves."""
    if f.difference is None or f.low is None or f.high is None:
        return ""
    return f"{f.difference:+.4f} ({f.low:+.4f} to {f.high:+.4f})"
