"""A sync: compare, refuse what looks like a mistake, write, and keep what the files said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

from itemlens import ChannelKind, Client, Collection, Item, NotFound, Progress, StoredItem, UploadReport
from itemlens_cli.batches import CALL, batches, with_pictures
from itemlens_cli.skipped import ITEMS, Skipped, shortened
from itemlens_cli.sync.lease import Lease
from itemlens_cli.sync.plan import Change, Owned, Plan, plan, plan_fields
from itemlens_cli.sync.state import DAMAGED, Seen, State, seen
from itemlens_datasets.mapping import Items, OnBadRow, OnNote
from itemlens_datasets.rows import MappingError, Note, Reason, Row
from itemlens_server.errors import FailedPrecondition

REREAD = 64
"""Stored items that are read together, just before they are written again with what the files do not decide."""

Read: TypeAlias = Callable[[OnBadRow, OnNote], Iterator[tuple[Row, Item]]]
"""Reads the files of items from their beginning."""
Tell: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is done, and with how many of how many."""


@dataclass(frozen=True)
class Options:
    """What to sync. fields: only these attributes; empty: items as a whole. state: file of what the last sync saw."""

    state: Path
    fields: tuple[str, ...] = ()
    dry_run: bool = False
    force: bool = False


@dataclass
class Synced:
    """What was done, or would be. not_deleted: items that would have been deleted, had no row been skipped. unknown:
    ids of items that changed in the files and are not in the collection any more. note: how the comparison was made."""

    plan: Plan
    not_deleted: int = 0
    unknown: set[str] = field(default_factory=set)
    note: str = ""
    failed: set[str] = field(default_factory=set)


class Sync:
    """One sync of a collection."""

    def __init__(
        self, client: Client, items: Items, read: Read, skipped: Skipped, options: Options, tell: Tell
    ) -> None:
        self._client, self._items, self._read = client, items, read
        self._skipped, self._options, self._tell = skipped, options, tell
        self._lease: Lease | None = None

    def run(self, on_note: OnNote) -> Synced:
        """Sync. Without the lease nothing is written, and a dry run needs none.

        Raises:
            FailedPrecondition: another sync runs, or too much would be deleted.
            MappingError: a file cannot be read, or changed while it was read.
        """
        with nullcontext() if self._options.dry_run else Lease(self._client) as self._lease:
            collection = self._collection()
            state = State(self._options.state, collection) if collection else None
            before = state.seen if state else {}
            rows = self._kept(
                self._read(partial(self._skipped.add_bad_row, ITEMS, self._items.file), on_note)
            )
            if self._options.fields:
                made = Synced(plan_fields(rows, before, self._options.fields))
            else:
                stored = self._stored(before) if collection else {}
                made = Synced(plan(rows, stored, before, Owned.by(self._items)))
                self._check_deletions(made)
            for row in made.plan.repeated:
                on_note(Note(Reason.REPEATED_ID, row, "the id of an earlier row; this row replaces its item"))
            if state and state.unused and not self._options.fields:
                made.note = f"{state.path} {state.unused}: the files were compared with the collection itself"
            if self._lease is not None and state is not None:
                self._apply(made)
                state.save(self._seen(made, before), self._client.get_collection())
        return made

    def _collection(self) -> Collection | None:
        try:
            return self._client.get_collection()
        except NotFound:
            if self._options.dry_run:
                return None
            raise

    def _stored(self, before: dict[str, Seen]) -> dict[str, Seen]:
        """What the collection has. A damaged item is taken out of `before`, so that it is written again."""
        found: dict[str, Seen] = {}
        for stored in self._client.list_items(page_size=CALL):
            item_id = stored.item.item_id
            if stored.error is None:
                found[item_id] = seen(stored.item, with_pictures=False)
            else:
                found[item_id] = DAMAGED
                before.pop(item_id, None)
            self._keep()
            if len(found) % CALL == 0:
                self._tell("compare", len(found), None)
        return found

    def _kept(self, rows: Iterable[tuple[Row, Item]]) -> Iterator[tuple[Row, Item]]:
        """The rows. While they are read the lease is kept: a row with large pictures may take long."""
        for entry in rows:
            self._keep()
            yield entry

    def _keep(self) -> None:
        if self._lease is not None:
            self._lease.keep()

    def _check_deletions(self, made: Synced) -> None:
        """Refuse a sync of an empty file, or one that deletes more than half; after skipped rows delete nothing."""
        plan, skipped = made.plan, self._skipped.count(ITEMS)
        if self._options.force or not plan.deleted:
            return
        if skipped:  # one of them may be the row of an item
            made.not_deleted = len(plan.deleted)
            plan.deleted.clear()
        elif 2 * len(plan.deleted) > plan.known:
            empty = (
                f"{self._items.file} has no items"
                if not plan.files
                else "more than half of the items would go"
            )
            raise FailedPrecondition(
                f"{empty}: {len(plan.deleted):,} of {plan.known:,} would be deleted, so nothing was done; "
                "--dry-run shows what would be, --force does it"
            )

    def _apply(self, made: Synced) -> None:
        plan = made.plan

        def tell(what: str, of: int, now: Progress) -> None:
            self._keep()
            self._tell(what, now.done, of)

        changes = list(plan.changes.values())
        whole = sum(change.whole for change in changes)
        if whole:
            report = self._client.upload(
                self._whole(plan),
                keep_attributes=True,  # they may change between the read of an item and its write
                progress=partial(tell, "contents", whole),
            )
            self._note_failures(made, report)
        if merged := sum(change.merge for change in changes):
            report = self._client.upload(
                self._texts(made), merge=True, progress=partial(tell, "texts", merged)
            )
            self._note_failures(made, report)
        updates = [change.update for change in changes if change.update is not None]
        if updates:
            report = self._client.upload_updates(updates, progress=partial(tell, "attributes", len(updates)))
            self._note_failures(made, report)
        for n, some in enumerate(batches(plan.deleted)):
            self._client.delete_items(some)
            self._keep()
            self._tell("deletions", CALL * n + len(some), len(plan.deleted))

    def _whole(self, plan: Plan) -> Iterator[Item]:
        """Yield the items to write as a whole. Those that are there keep what the files do not decide, as it is now."""
        owned = Owned.by(self._items)
        for some in batches(self._again(plan, lambda change: change.whole), REREAD):
            ids = [item.item_id for change, item in some if change.replace]
            stored = {one.item.item_id: one.item for one in self._found(ids, owned) if one.error is None}
            for _, item in some:
                old = stored.get(item.item_id)
                yield (
                    item
                    if old is None
                    else Item(
                        item.item_id,
                        texts={**old.texts, **item.texts} if not owned.texts else item.texts,
                        pictures=item.pictures if owned.pictures else old.pictures,
                        external={**owned.without_external(old), **item.external},
                        # An update of those that changed follows. These are for an item that is deleted meanwhile.
                        attributes=old.attributes,
                        relations=item.relations if owned.relations else old.relations,
                    )
                )

    def _found(self, ids: list[str], owned: Owned) -> Iterable[StoredItem]:
        """Return the stored items, with their pictures and vectors unless the files decide these."""
        if not ids:
            return ()
        decided = owned.pictures and (owned.external is None or self._external <= owned.external)
        return self._client.get_items(ids) if decided else with_pictures(self._client, ids)

    @cached_property
    def _external(self) -> set[str]:
        """The channels of the collection that take vectors of the caller's own."""
        space = self._client.space(self._client.get_collection().space_id)
        return {channel.name for channel in space.channels if channel.kind is ChannelKind.EXTERNAL}

    def _texts(self, made: Synced) -> Iterator[Item]:
        """Yield the texts to merge. An item that was deleted after the comparison would come back with nothing else."""
        for some in batches(self._again(made.plan, lambda change: change.merge), REREAD):
            there = self._client.get_items([item.item_id for _, item in some])
            for (_, item), found in zip(some, there, strict=True):
                if isinstance(found.error, NotFound):
                    made.unknown.add(item.item_id)
                else:
                    yield Item(item.item_id, texts=item.texts)

    def _again(self, plan: Plan, wanted: Callable[[Change], bool]) -> Iterator[tuple[Change, Item]]:
        """Yield the wanted changes with their items, as the files say them when they are read again.

        Raises:
            MappingError: the files say something else of such an item, or do not have it in its row.
        """
        left = {item_id: change for item_id, change in plan.changes.items() if wanted(change)}
        for row, item in self._kept(self._read(lambda _: None, lambda _: None)):
            change = left.get(item.item_id)
            if change is None or change.row != row.number:
                continue
            if seen(item) != change.seen:
                raise self._moved(item.item_id)
            del left[item.item_id]
            yield change, item
        if left:  # a row that was added or taken away moves all that follow
            raise self._moved(min(left))

    def _moved(self, item_id: str) -> MappingError:
        return MappingError(
            f"{self._items.file}: item {shortened(item_id)!r} changed while the files were read; sync again"
        )

    def _note_failures(self, made: Synced, report: UploadReport) -> None:
        for result in report.failed:
            assert result.error is not None
            if isinstance(result.error, NotFound):  # deleted in the collection
                made.unknown.add(result.id)
                continue
            made.failed.add(result.id)
            change = made.plan.changes.get(result.id)
            record = {"row": change.row if change else None}
            self._skipped.add_refused(ITEMS, self._items.file, result.id, result.error, record)

    def _seen(self, made: Synced, before: Mapping[str, Seen]) -> Mapping[str, Seen]:
        """Return what to keep: of items that failed, and where rows were skipped, what was kept before."""
        keep = self._options.fields or self._skipped.count(ITEMS)
        kept = dict(before) if keep else {}
        kept |= {item_id: one for item_id, one in made.plan.files.items() if item_id not in made.failed}
        return kept | {item_id: before[item_id] for item_id in made.failed if item_id in before}
