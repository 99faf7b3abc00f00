"""`itemlens index`."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens import Client, Event, Item, ItemlensError, NotFound, Progress, UploadReport
from itemlens_datasets.mapping import Dataset, without_picture
from itemlens_datasets.rows import MappingError, RowFile

_SHOWN = 5


def index(
    mapping: Annotated[
        str, typer.Argument(help="a mapping file (YAML), or the name of a bundled one: grocery, fashion ...")
    ],
    data: Annotated[Path | None, typer.Option(help="folder of the data; default: the mapping's")] = None,
    collection: Annotated[str, typer.Option(help="the collection to fill; default: the mapping's")] = "",
    space: Annotated[str, typer.Option(help="space of a new collection; default: the server's")] = "",
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N items, and their events")] = None,
    without_pictures: Annotated[
        float, typer.Option(min=0, max=1, help="share of the items with a text that go without pictures")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="chooses the items that go without pictures")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="items a batch")] = 64,
) -> None:
    """Load items and events into a collection of a running server, as a mapping file says.

    Running it again changes nothing. Where rows, items or events fail the others are loaded, and the status is 1.
    """
    path = _find(mapping)
    dataset = Dataset.read(path)
    name = collection or dataset.collection
    load = _Load(dataset, data or path.parent, limit, without_pictures, seed)
    console = Console()
    try:
        with Client(target, collection=name) as client, _progress(console) as progress:
            _make_collection(client, name, space)
            if dataset.items:
                tell = _Bar(progress, "items", load.total(dataset.items))
                load.reports["items"] = client.upload(
                    load.items(), merge=dataset.items.merge, batch_size=batch_size, progress=tell
                )
            if dataset.events:
                tell = _Bar(progress, "events", load.total(dataset.events))
                load.reports["events"] = client.upload_events(load.events(), progress=tell)
            stored = client.get_collection()
    except ItemlensError as error:
        told = "; ".join([str(error), *getattr(error, "__notes__", ())])
        Console(stderr=True).print(
            f"[bold red]not indexed:[/] {escape(told)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from error
    _print(console, load)
    console.print(f"collection {stored.name}: {stored.item_count:,} items, {stored.event_count:,} events")
    if any(load.bad_rows.values()) or any(report.failed for report in load.reports.values()):
        raise typer.Exit(1)


@dataclass
class _Load:
    """What is read of a dataset, and what came of it."""

    dataset: Dataset
    folder: Path
    limit: int | None
    without_pictures: float
    seed: int
    bad_rows: dict[str, list[str]] = field(default_factory=lambda: {"items": [], "events": []})
    reports: dict[str, UploadReport] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def items(self) -> Iterator[Item]:
        read = self.dataset.read_items(self.folder, self.bad_rows["items"].append)
        for item in itertools.islice(read, self.limit):
            if self.limit is not None:
                self._ids.add(item.item_id)
            bare = bool(item.texts) and without_picture(item.item_id, self.without_pictures, self.seed)
            yield replace(item, pictures={}) if bare else item

    def events(self) -> Iterator[Event]:
        for event in self.dataset.read_events(self.folder, self.bad_rows["events"].append):
            if self.limit is None or event.item_id in self._ids:
                yield event

    def total(self, file: RowFile) -> int | None:
        """About how many entries a file gives, for the bar."""
        if self.limit is None:
            return file.count(self.folder)
        return self.limit if file is self.dataset.items else None


def _find(mapping: str) -> Path:
    path = Path(mapping)
    bundled = files("itemlens_datasets") / "mappings"
    if path.is_file():
        return path
    names = sorted(
        file.name.removesuffix(".yaml") for file in bundled.iterdir() if file.name.endswith(".yaml")
    )
    if mapping in names:
        return Path(str(bundled / f"{mapping}.yaml"))
    raise MappingError(f"no mapping file {mapping}; bundled are {', '.join(names)}")


def _make_collection(client: Client, name: str, space: str) -> None:
    """Make the collection unless it is there. With a space it must be of that space."""
    try:
        if not space:
            client.get_collection(name)
            return
    except NotFound:
        pass
    client.create_collection(name, space=space, allow_existing=True)


def _progress(console: Console) -> bars.Progress:
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[speed]}"),
        bars.TimeRemainingColumn(),
        console=console,
    )


class _Bar:
    """A bar that an upload tells its progress to."""

    def __init__(self, progress: bars.Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total, speed="")

    def __call__(self, now: Progress) -> None:
        speed = f"{now.done / max(now.seconds, 1e-9):,.0f}/s"
        self._progress.update(self._task, completed=now.done, speed=speed)


def _print(console: Console, load: _Load) -> None:
    counts = Table(
        "", "stored", "failed", "bad rows", "seconds", "a second", "resumed", title=escape(str(load.folder))
    )
    troubles = Table("what", "how many", "which", "first", title="errors and warnings")
    for what, report in load.reports.items():
        rows = load.bad_rows[what]
        counts.add_row(
            what,
            f"{report.written:,}",
            f"{len(report.failed):,}",
            f"{len(rows):,}",
            f"{report.seconds:,.1f}",
            f"{report.written / max(report.seconds, 1e-9):,.0f}",
            f"{report.resumed}",
        )
        first: dict[tuple[str, str], str] = {}
        counted: Counter[tuple[str, str]] = Counter()
        for result in report.failed:
            assert result.error is not None
            counted[key := ("error", result.error.code.name)] += 1
            first.setdefault(key, f"{result.id}: {result.error.message}")
        for result in report.warned:
            for warning in result.warnings:
                counted[key := ("warning", warning.reason)] += 1
                first.setdefault(key, f"{result.id}: {warning.message}")
        for key, count in counted.most_common():
            troubles.add_row(f"{key[0]} ({what})", f"{count:,}", key[1], escape(first[key]))
        for told in rows[:_SHOWN]:
            troubles.add_row(f"bad row ({what})", "1", "", escape(told))
        if len(rows) > _SHOWN:
            troubles.add_row(f"bad row ({what})", f"{len(rows) - _SHOWN:,}", "", "more of them")
    console.print(counts)
    if troubles.row_count:
        console.print(troubles)
