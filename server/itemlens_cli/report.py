"""`itemlens report`."""

from __future__ import annotations

import csv
import html
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens_cli import files, pages
from itemlens_server.errors import InvalidArgument

if TYPE_CHECKING:
    from itemlens_server.services.intervals import Rate
    from itemlens_server.services.outcomes import Outcome, Report


def report(
    data: Annotated[Path, typer.Option(envvar="ITEMLENS_DATA", help="folder of the store")] = Path("data"),
    collection: Annotated[str, typer.Option(help="only this collection; default: all")] = "",
    first: Annotated[
        str, typer.Option("--from", help="only answers from this day on, YYYY-MM-DD (UTC)")
    ] = "",
    last: Annotated[str, typer.Option("--to", help="only answers until the end of this day")] = "",
    by: Annotated[
        str,
        typer.Option(
            help="a line for each: any of collection, surface, day, explored; '' for one line in all"
        ),
    ] = "collection,surface",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV")] = False,
    html_file: Annotated[
        Path | None, typer.Option("--html", help="also write the report here, as a page", dir_okay=False)
    ] = None,
) -> None:
    """Report what came of recommendations: clicks, purchases and revenue, with 95% intervals.

    Counts the events that carry the id of an answer that the server remembered. The server may run at the same time.
    """
    from itemlens_server.services import outcomes
    from itemlens_server.storage.answers import FILE

    if as_json and as_csv:
        raise InvalidArgument("give --json or --csv, not both")
    names = list(dict.fromkeys(name.strip() for name in by.split(",") if name.strip()))
    found = outcomes.report(data, collection, _day(first, "--from"), _day(last, "--to"), names)
    notes = list(_notes(found))
    if not found.outcomes:
        where = "in this time" if first or last else f"in {data / FILE}"
        notes.append(f"there are no answers {where}: see answers_bytes and answers_days in docs/settings.md")
    if html_file is not None:
        files.write(html_file, _page(found, names, notes))
    if as_json:
        lines = [{**o.by, **_numbers(o)} for o in found.outcomes]
        typer.echo(json.dumps({"outcomes": lines, "events_without_answer": found.without_answer}, indent=2))
        return
    if as_csv:
        _print_csv(found, names)
        return
    console = Console()
    if found.outcomes:
        table = Table(title="what came of the answers", title_justify="left", box=SIMPLE)
        for name in _header(names):
            is_text = name in names
            table.add_column(name, justify="left" if is_text else "right", no_wrap=is_text)
        for outcome in found.outcomes:
            table.add_row(*map(escape, _line(outcome)))
        console.print(table)
    for note in notes:
        console.print(note, highlight=False, markup=False)


def _day(text: str, option: str) -> date | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise InvalidArgument(f"{option} is {text!r:.60}; it must be a day such as 2026-03-31") from error


def _notes(found: Report) -> Iterator[str]:
    """What a reader of the numbers must know."""
    if found.outcomes and not any(o.impressions for o in found.outcomes):
        yield "no impressions were recorded: shares are of all answers, whether they were seen or not"
    if unpriced := sum(o.unpriced for o in found.outcomes):
        yield f"{unpriced:,} purchases have no value and add nothing to the revenue"
    if others := sum(o.other_items for o in found.outcomes):
        yield f"{others:,} events are about items that are not in the list of their answer; they are other items"
    if found.without_answer:
        yield f"{found.without_answer:,} events belong to answers that are no longer kept; they are not counted"


# The columns after those of `by`: name, and text of an outcome.
COLUMNS: tuple[tuple[str, Callable[[Outcome], str]], ...] = (
    ("answers", lambda o: f"{o.answers:,}"),
    ("users", lambda o: f"{o.users:,}"),
    ("impressions", lambda o: f"{o.impressions:,}"),
    ("clicks", lambda o: f"{o.clicks:,}"),
    ("carts", lambda o: f"{o.carts:,}"),
    ("purchases", lambda o: f"{o.purchases:,}"),
    ("revenue", lambda o: f"{o.revenue:,.2f}"),
    ("other items", lambda o: f"{o.other_items:,}"),
    ("answers clicked", lambda o: _rate(o.clicked, 100, "%")),
    ("shown items clicked", lambda o: _rate(o.click_through, 100, "%")),
    ("purchases / answer", lambda o: _rate(o.purchases_per_answer)),
    ("revenue / answer", lambda o: _rate(o.revenue_per_answer)),
)


def _header(names: list[str]) -> list[str]:
    return [*names, *(name for name, _ in COLUMNS)]


def _line(outcome: Outcome) -> list[str]:
    return [*outcome.by.values(), *(text(outcome) for _, text in COLUMNS)]


def _rate(rate: Rate, factor: float = 1.0, unit: str = "") -> str:
    """Return a rate with its interval; "" where there is none."""
    if rate.value is None:
        return ""
    digits = 2 if unit else 3
    value = f"{factor * rate.value:.{digits}f}{unit}"
    if rate.low is None or rate.high is None:
        return value
    return f"{value}\n({factor * rate.low:.{digits}f} to {factor * rate.high:.{digits}f})"


def _numbers(outcome: Outcome) -> dict[str, Any]:
    return {
        f.name: asdict(v) if hasattr(v := getattr(outcome, f.name), "low") else v for f in fields(outcome)[1:]
    }


def _print_csv(found: Report, names: list[str]) -> None:
    """Print a line for each outcome, with a column for each number and each end of an interval."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    flat = [
        {
            name if end == "value" else f"{name}_{end}": number
            for name, value in _numbers(outcome).items()
            for end, number in (value.items() if isinstance(value, dict) else [("value", value)])
        }
        for outcome in found.outcomes
    ]
    writer.writerow([*names, *(flat[0] if flat else ())])
    for outcome, numbers in zip(found.outcomes, flat, strict=True):
        writer.writerow([*outcome.by.values(), *("" if n is None else n for n in numbers.values())])


def _page(found: Report, names: list[str], notes: list[str]) -> str:
    return pages.page(
        "What came of the answers",
        [
            "<h1>What came of the answers</h1>",
            pages.table(_header(names), map(_line, found.outcomes)),
            "<p>In brackets: 95% intervals over users.</p>",
            *(f"<p>{html.escape(note)}</p>" for note in notes),
        ],
    )
