"""The upload of a mapping's items and events, with progress, and with the rows that are skipped."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from itemlens import Event, Item, ItemlensError, UploadReport
from itemlens_cli.repeats import Repeats
from itemlens_cli.skipped import Skipped, Tally
from itemlens_datasets.files import RowFile
from itemlens_datasets.mapping import Dataset, Items, OnBadRow, OnNote, without_picture
from itemlens_datasets.rows import MappingError, Reason, Row

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Load:
    """The part of a dataset to load."""

    dataset: Dataset
    folder: Path
    limit: int | None
    without_pictures: float
    seed: int
    _ids: set[str] = field(default_factory=set)
    """With a limit: ids of the items that were read."""

    def items(self, on_bad: OnBadRow, on_note: OnNote) -> Iterator[tuple[Row, Item]]:
        read = self.dataset.items_with_rows(self.folder, on_bad, on_note)
        for row, item in itertools.islice(read, self.limit):
            if self.limit is not None:
                self._ids.add(item.item_id)
            bare = bool(item.texts) and without_picture(item.item_id, self.without_pictures, self.seed)
            yield row, replace(item, pictures={}) if bare else item

    def events(self, on_bad: OnBadRow, on_note: OnNote) -> Iterator[tuple[Row, Event]]:
        for row, event in self.dataset.events_with_rows(self.folder, on_bad):
            if self.limit is None or event.item_id in self._ids:
                yield row, event

    def total(self, file: RowFile) -> int | None:
        """Approximate number of entries in a file, for the progress bar."""
        if self.limit is None:
            return file.count(self.folder)
        return self.limit if file is self.dataset.items else None


class Part(Generic[Entry]):
    """The items or the events of a load, and their results."""

    report: UploadReport
    failure: MappingError | None = None
    """The error that ended the reading of the file. The rows before it are stored."""

    def __init__(
        self,
        name: str,
        file: RowFile,
        read: Callable[[OnBadRow, OnNote], Iterator[tuple[Row, Entry]]],
        id_of: Callable[[Entry], str],
        skipped: Skipped,
        on_note: OnNote = lambda _: None,
    ) -> None:
        self.name, self.file, self._on_note = name, file, on_note
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
            for row, entry in self._read(lambda bad: None, lambda note: None) if errors else ():
                if left := errors.get(id := self._id_of(entry)):
                    record = {"row": row.number, "line": row.line, "content": row.cells}
                    self._skipped.add_refused(self.name, self.file.file, id, left.pop(), record)
        for id, left in errors.items():
            for error in left:
                self._skipped.add_refused(self.name, self.file.file, id, error, {})

    def _entries(self) -> Iterator[Entry]:
        try:
            on_bad = partial(self._skipped.add_bad_row, self.name, self.file.file)
            for row, entry in self._read(on_bad, self._on_note):
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
            tallies[Reason.REPEATED_ID].add(row, "the id of an earlier row; this row replaces its item")
        if not self.report.written and not self._skipped.count(self.name) and self.failure is None:
            why = "; check its `where`, which may exclude every row" if self.file.where else ""
            tallies["NO_ROWS"].add(None, f"{self.file.file} has no {self.name}{why}")
        return tallies
