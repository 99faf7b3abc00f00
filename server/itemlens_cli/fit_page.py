"""The report of a fit as one HTML page without scripts: tables, and bars of what each term and each system brings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from itemlens_cli import pages
from itemlens_cli.fit_tables import difference
from itemlens_server.services.fitting import Figure, FitReport

_BAR, _LABELS, _WIDTH = 18, 260, 420


def page(collection: str, report: FitReport) -> str:
    """Return the page."""
    taken = "better than" if report.better else "not better than"
    parts = [
        f"<h1>Fit of {escape(collection)}</h1>",
        f"<p>It is {taken} what serves now.</p>",
        pages.table(
            ("question", "than not fitted", "than what serves now", "weights"),
            (
                (v.question, v.than_defaults, v.than_now, "fitted" if v.taken else "defaults")
                for v in report.verdicts
            ),
        ),
    ]
    for question, measure in dict.fromkeys((f.question, f.measure) for f in report.figures):
        own = [f for f in report.figures if (f.question, f.measure) == (question, measure)]
        unit = "nats" if measure == "nll" else measure
        parts += [
            f"<h2>{escape(question)}: {escape(measure)}</h2>",
            f"<p>What the fitted weights bring over each system and each term left out, {escape(unit)}; "
            "95% intervals. An interval with 0 in it: they cannot be told apart.</p>",
            _bars([f for f in own if f.difference is not None]),
            pages.table(
                ("system", "value", "fitted minus it", "questions"),
                ((f.system, f"{f.value:.4f}", difference(f), f"{f.questions:,}") for f in own),
            ),
        ]
    parts += [
        "<h2>Weights</h2>",
        pages.table(
            ("question", "weight of", "items", "g", "nats", "standard error"),
            (
                (
                    w.question,
                    w.name,
                    w.states.lower(),
                    w.transform,
                    f"{w.weight:.3f}",
                    f"{w.standard_error:.3f}",
                )
                for w in report.weights
            ),
        ),
        "<h2>Choices</h2>",
        pages.table(
            ("parameter", "chosen", "on held-out data", "sample"),
            ((s.what, s.chosen, s.brought, s.sample) for s in report.steps),
        ),
    ]
    return pages.page(f"Fit of {collection}", parts)


def _bars(figures: Sequence[Figure]) -> str:
    """Return one bar a figure, from 0 to the difference, with a line over its interval, as SVG."""
    ends = [0.0, *(end for f in figures for end in (f.low or 0.0, f.high or 0.0))]
    low, high = min(ends), max(ends)
    scale = _WIDTH / ((high - low) or 1.0)

    def x(value: float) -> float:
        return _LABELS + (value - low) * scale

    height = _BAR * len(figures) + 4
    lines = [f'<svg width="{_LABELS + _WIDTH + 20}" height="{height}" role="img">']
    for n, f in enumerate(figures):
        value, y = f.difference or 0.0, n * _BAR + 3
        left, right = sorted((x(0.0), x(value)))
        colour = "#2a7f62" if value >= 0 else "#b3452c"
        middle = y + _BAR / 2 - 2
        lines += [
            f'<text x="{_LABELS - 8}" y="{y + 11}" text-anchor="end">{escape(f.system)}</text>',
            f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 0.5):.1f}" height="{_BAR - 5}" fill="{colour}"/>',
            f'<line x1="{x(f.low or 0.0):.1f}" x2="{x(f.high or 0.0):.1f}" y1="{middle}" y2="{middle}" stroke="#222"/>',
        ]
    lines.append(f'<line x1="{x(0.0):.1f}" x2="{x(0.0):.1f}" y1="0" y2="{height}" stroke="#999"/></svg>')
    return "\n".join(lines)
