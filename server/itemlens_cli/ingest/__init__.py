"""`itemlens ingest`."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens_cli.connection import client_of, connected
from itemlens_cli.ingest.progress import Shown, say
from itemlens_cli.ingest.source import Source
from itemlens_server.errors import FailedPrecondition, InvalidArgument

ingest = typer.Typer(
    no_args_is_help=True, help="Record streams of events, each event exactly once, whatever is killed."
)

REJECTED_ENTRIES = 3
"""Exit status if entries were rejected and the others recorded. 1 is a failure, 2 a wrong command line."""
# An event's id may have 256 characters. It is made of the stream's name and the entry's place.
MAX_STREAM_CHARACTERS = 200

Target: TypeAlias = Annotated[str, typer.Option(help="the running server")]
Into: TypeAlias = Annotated[str, typer.Option(help="the collection")]
Follow: TypeAlias = Annotated[bool, typer.Option("--follow", help="wait for more at the end, until a signal")]
RejectedFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="file for rejected entries (JSON lines, added to); default: they are printed"),
]
BatchSize: TypeAlias = Annotated[int, typer.Option(min=1, max=10_000, help="most events in a call")]
GiveUp: TypeAlias = Annotated[
    float | None,
    typer.Option(min=0, help="seconds without the server or the broker, after which to fail; default: never"),
]


@ingest.command()
def file(
    events: Annotated[Path, typer.Argument(help="a file of JSON lines, one event a line")],
    collection: Into = "default",
    stream: Annotated[str, typer.Option(help="name of the stream; default: the file's")] = "",
    follow: Follow = False,
    rejected: RejectedFile = None,
    target: Target = "localhost:50051",
    batch_size: BatchSize = 1000,
    give_up: GiveUp = None,
) -> None:
    """Record the events of a file, from where the last run ended.

    Only whole lines are read: a last line without its end waits for the next run. Exit status: 0 all whole lines are
    recorded, 3 some were rejected, 1 it failed.
    """
    from itemlens_cli.ingest.json_lines import JsonLines

    with _stopping() as stop, closing(JsonLines(events, follow, stop.wait)) as source:
        ended = _run(source, stream or events.name, collection, target, rejected, batch_size, give_up, stop)
        if not follow and source.unfinished_bytes:
            say(
                f"the last {source.unfinished_bytes:,} bytes of {events} are not a whole line and were not read"
            )
    raise typer.Exit(ended)


@ingest.command("redis")
def redis_(
    url: Annotated[str, typer.Argument(help="the broker: redis://HOST:PORT/DB")],
    key: Annotated[str, typer.Argument(help="key of the Redis stream")],
    collection: Into = "default",
    stream: Annotated[str, typer.Option(help="name of the stream; default: its key")] = "",
    follow: Follow = False,
    rejected: RejectedFile = None,
    target: Target = "localhost:50051",
    batch_size: BatchSize = 1000,
    give_up: GiveUp = None,
) -> None:
    """Record the events of a Redis stream, from where the last run ended.

    An entry has an event as JSON in the field `json`, or in fields with the names of an event's. The environment
    variable ITEMLENS_REDIS_PASSWORD has the password, if the address has none.
    """
    try:
        from itemlens_cli.ingest.redis_stream import RedisStream
    except ModuleNotFoundError as error:
        raise FailedPrecondition("this command needs redis: pip install 'itemlens-server[ingest]'") from error

    with _stopping() as stop, closing(RedisStream(url, key, follow, say)) as source:
        ended = _run(source, stream or key, collection, target, rejected, batch_size, give_up, stop)
    raise typer.Exit(ended)


@ingest.command()
def status(collection: Into = "default", target: Target = "localhost:50051") -> None:
    """Show how far each stream of a collection was recorded."""
    table = Table(
        "stream", "position", "events", "lag", "last step", title=f"streams of {escape(collection)}"
    )
    with connected(target, collection=collection) as client:
        for found in client.list_streams():
            table.add_row(
                escape(found.stream), escape(found.position), f"{found.event_count:,}", f"{found.lag:,}",
                found.update_time.isoformat(" ", "seconds"),
            )  # fmt: skip
    Console().print(table)


def _run(
    source: Source,
    stream: str,
    collection: str,
    target: str,
    rejected: Path | None,
    batch_size: int,
    give_up: float | None,
    stop: threading.Event,
) -> int:
    """Record a source. Return the exit status."""
    from itemlens_cli.ingest.pump import ONCE, Pump
    from itemlens_cli.ingest.rejected import Rejected

    if len(stream) > MAX_STREAM_CHARACTERS:
        raise InvalidArgument(
            f"--stream has {len(stream)} characters; give a name of at most {MAX_STREAM_CHARACTERS}"
        )
    with (
        client_of(target, collection=collection, retry=ONCE, priority="bulk") as opened,
        closing(Rejected(rejected, stream, say)) as kept,
        Shown(stream, source.unit) as shown,
    ):
        pump = Pump(
            opened, target, source, stream, kept, stop, batch_size=batch_size, give_up=give_up, say=say,
            progress=shown,
        )  # fmt: skip
        pump.run()
    Console().print(f"{escape(stream)}: {pump.tally.line(source.unit)}", highlight=False, soft_wrap=True)
    for what, counts in (("recorded with the warning", pump.tally.warnings), ("rejected", kept.counts)):
        for reason, count in sorted(counts.items()):
            Console().print(f"{what} {reason}: {count:,}", highlight=False)
    return REJECTED_ENTRIES if pump.tally.rejected else 0


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set. What was read before it is recorded or read again by the next run."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
