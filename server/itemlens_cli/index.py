"""`itemlens index`."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import typer
from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from itemlens import Client, Event, Item, ItemlensError, NotFound, Progress, UploadReport
from itemlens_cli.connection import checked_target, spoken
from itemlens_cli.repeats import Repeats
from itemlens_cli.skipped import Skipped, Tally
from itemlens_datasets.exported import ENDINGS, exported
from itemlens_datasets.files import RowFile
from itemlens_datasets.mapping import Dataset, Items, OnBadRow, bundled_mapping, without_picture
from itemlens_datasets.rows import MappingError, Row

Entry = TypeVar("Entry")

SKIPPED_ROWS = 3
"""Exit status if rows were skipped and the others stored. 1 is a failure, 2 a wrong command line."""


def index(
    mapping: Annotated[
        str,
        typer.Argument(
            help="a mapping file (YAML), the name of a bundled one (grocery, fashion ...), or a file of JSON lines "
            "from `itemlens items export`"
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="folder of the data; default: the mapping's")] = None,
    collection: Annotated[str, typer.Option(help="the collection to fill; default: the mapping's")] = "",
    space: Annotated[str, typer.Option(help="space of a new collection; default: the server's")] = "",
    target: Annotated[str, typer.Option(help="the running server")] = "localhost:50051",
    limit: Annotated[
        int | None, typer.Option(min=1, help="load only the first N items and their events")
    ] = None,
    without_pictures: Annotated[
        float, typer.Option(min=0, max=1, help="share of the items with a text to upload without pictures")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="seed for the choice of items without pictures")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="items per batch")] = 64,
    errors: Annotated[
        Path | None,
        typer.Option(help="file for skipped rows; default: NAME.errors.jsonl in the current folder"),
    ] = None,
) -> None:
    """Load items and events into a collection of a running server, according to a mapping file.

    A second run changes nothing. Invalid rows and rows that the server refuses are skipped; the others are
    loaded. The table counts skipped rows by reason, and the file of errors lists each of them.
    Exit status: 0 all rows are stored, 3 rows were skipped, 1 the load failed.
    """
    checked_target(target)
    path = Path(mapping) if Path(mapping).is_file() else bundled_mapping(mapping)
    dataset = exported(path) if path.suffix.lower() in ENDINGS else Dataset.read(path)
    folder = data or path.parent
    dataset.check(folder)  # before anything is stored
    skipped = Skipped(_errors_file(errors, path, dataset, folder))
    load = _Load(dataset, folder, limit, without_pictures, seed)
    name = collection or dataset.collection
    console = Console()
    parts: list[_Part[Any]] = []
    try:
        with Client(target, collection=name) as client, _progress(console) as progress:
            _make_collection(client, name, space)
            if dataset.items:
                tell = _Bar(progress, "items", load.total(dataset.items))
                upload = partial(
                    client.upload, merge=dataset.items.merge, batch_size=batch_size, progress=tell
                )
                parts.append(_Part("items", dataset.items, load.items, lambda item: item.item_id, skipped))
                parts[-1].upload(upload)
            if dataset.events:
                tell = _Bar(progress, "events", load.total(dataset.events))
                upload = partial(client.upload_events, progress=tell)
                parts.append(
                    _Part("events", dataset.events, load.events, lambda event: event.event_id, skipped)
                )
                parts[-1].upload(upload)
            stored = client.get_collection()
    except ItemlensError as error:
        told = "; ".join([spoken(error, target), *getattr(error, "__notes__", ())])
        Console(stderr=True).print(
            f"[bold red]not indexed:[/] {escape(told)}", highlight=False, soft_wrap=True
        )
        raise typer.Exit(1) from error
    finally:
        skipped.close()
    _print(console, folder, parts, skipped)
    console.print(f"collection {stored.name}: {stored.item_count:,} items, {stored.event_count:,} events")
    for part in parts:
        if part.failure is not None:
            raise part.failure
    if skipped.total:
        raise typer.Exit(SKIPPED_ROWS)


def _errors_file(given: Path | None, mapping: Path, dataset: Dataset, folder: Path) -> Path:
    """Path of the file for skipped rows. MappingError if it is an input of the load."""
    path = given or Path(f"{mapping.stem}.errors.jsonl")
    used = [mapping, *(folder / file.file for file in (dataset.items, dataset.events) if file)]
    if path.is_dir() or path.resolve() in (file.resolve() for file in used):
        raise MappingError(f"--errors {path} is a folder or an input of this load; name another file")
    return path


@dataclass(frozen=True)
class _Load:
    """The part of a dataset to load."""

    dataset: Dataset
    folder: Path
    limit: int | None
    without_pictures: float
    seed: int
    _ids: set[str] = field(default_factory=set)
    """With a limit: ids of the items that were read."""

    def items(self, on_bad: OnBadRow) -> Iterator[tuple[Row, Item]]:
        for row, item in itertools.islice(self.dataset.items_with_rows(self.folder, on_bad), self.limit):
            if self.limit is not None:
                self._ids.add(item.item_id)
            bare = bool(item.texts) and without_picture(item.item_id, self.without_pictures, self.seed)
            yield row, replace(item, pictures={}) if bare else item

    def events(self, on_bad: OnBadRow) -> Iterator[tuple[Row, Event]]:
        for row, event in self.dataset.events_with_rows(self.folder, on_bad):
            if self.limit is None or event.item_id in self._ids:
                yield row, event

    def total(self, file: RowFile) -> int | None:
        """Approximate number of entries in a file, for the progress bar."""
        if self.limit is None:
            return file.count(self.folder)
        return self.limit if file is self.dataset.items else None


class _Part(Generic[Entry]):
    """The items or the events of a load, and their results."""

    report: UploadReport
    failure: MappingError | None = None
    """The error that ended the reading of the file. The rows before it are stored."""

    def __init__(
        self,
        name: str,
        file: RowFile,
        read: Callable[[OnBadRow], Iterator[tuple[Row, Entry]]],
        id_of: Callable[[Entry], str],
        skipped: Skipped,
    ) -> None:
        self.name, self.file = name, file
        self._repeats = Repeats()
        self._read, self._id_of, self._skipped = read, id_of, skipped

    def upload(self, upload: Callable[[Iterator[Entry]], UploadReport]) -> None:
        """Upload all entries. Entries that the server refuses are skipped, too."""
        self.report = upload(self._entries())
        errors: defaultdict[str, list[ItemlensError]] = defaultdict(list)
        for result in self.report.failed:
            assert result.error is not None
            errors[result.id].append(result.error)
        # The report holds only ids, so the rows are looked up in the file.
        with suppress(MappingError):  # the upload has reported it already
            for row, entry in self._read(lambda bad: None) if errors else ():
                if left := errors.get(id := self._id_of(entry)):
                    self._refused(id, left.pop(), {"row": row.number, "line": row.line, "content": row.cells})
        for id, left in errors.items():
            for error in left:
                self._refused(id, error, {})

    def _refused(self, id: str, error: ItemlensError, row: dict[str, Any]) -> None:
        message = f"{id if len(id) <= 60 else f'{id[:60]}...'}: {error.message}"
        self._skipped.add(
            self.name, self.file.file, error.details.reason or error.code.name, message, {"id": id, **row}
        )

    def _entries(self) -> Iterator[Entry]:
        try:
            for row, entry in self._read(partial(self._skipped.add_bad_row, self.name, self.file.file)):
                if isinstance(self.file, Items) and not self.file.merge:  # for events, the server warns
                    self._repeats.add(self._id_of(entry), row.number)
                yield entry
        except MappingError as error:
            self.failure = error  # the upload ends normally, so that earlier rows are stored

    def warnings(self) -> dict[str, Tally]:
        """Warnings on stored rows, by reason."""
        tallies: defaultdict[str, Tally] = defaultdict(Tally)
        for result in self.report.warned:
            for warning in result.warnings:
                tallies[warning.reason].add(None, f"{result.id}: {warning.message}")
        for row in self._repeats.rows():
            tallies["REPEATED_ID"].add(row, "the id of an earlier row; this row replaces its item")
        if not self.report.written and not self._skipped.count(self.name) and self.failure is None:
            why = "; check its `where`, which may exclude every row" if self.file.where else ""
            tallies["NO_ROWS"].add(None, f"{self.file.file} has no {self.name}{why}")
        return tallies


def _make_collection(client: Client, name: str, space: str) -> None:
    """Create the collection unless it exists. If `space` is given, an existing one must have that space."""
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
    """A progress bar for an upload."""

    def __init__(self, progress: bars.Progress, what: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=total, speed="")

    def __call__(self, now: Progress) -> None:
        speed = f"{now.done / max(now.seconds, 1e-9):,.0f}/s"
        self._progress.update(self._task, completed=now.done, speed=speed)


def _print(console: Console, folder: Path, parts: list[_Part[Any]], skipped: Skipped) -> None:
    counts = Table("", "stored", "skipped", "seconds", "per second", "resumed", title=escape(str(folder)))
    warnings = Table("part", "reason", "rows", "first rows", "first message", title="warnings")
    for part in parts:
        report = part.report
        counts.add_row(
            part.name,
            f"{report.written:,}",
            f"{skipped.count(part.name):,}",
            f"{report.seconds:,.1f}",
            f"{report.written / max(report.seconds, 1e-9):,.0f}",
            f"{report.resumed}",
        )
        for reason, tally in part.warnings().items():
            warnings.add_row(part.name, reason, *map(escape, tally.cells()))
    console.print(counts)
    if warnings.row_count:
        console.print(warnings)
    if skipped.total:
        reasons = Table("part", "reason", "rows", "first rows", "first message", title="skipped rows")
        for (name, reason), tally in skipped.tallies.items():
            reasons.add_row(name, reason, *map(escape, tally.cells()))
        console.print(reasons)
        kept = f"each is listed in {skipped.path}"
        if skipped.write_error is not None:
            kept = f"{skipped.path} cannot be written ({skipped.write_error.strerror}); name another with --errors"
        console.print(f"skipped rows: {skipped.total:,}; {escape(kept)}", soft_wrap=True)
