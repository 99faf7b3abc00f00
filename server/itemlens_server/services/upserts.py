"""Adding and replacing items: encode, merge, fuse, store, and append to the rows, in this order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import Space
from itemlens_server.errors import AlreadyExists, FailedPrecondition, ItemlensError, Warning
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent
from itemlens_server.services.items import (
    ItemInput,
    WriteOutcome,
    check,
    check_size,
    check_whole,
    merged,
    replacing,
)
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import (
    Array,
    DamagedItem,
    DescribedItem,
    NewItem,
    StoredInput,
    StoredItem,
    Upserted,
    contents_of,
)
from itemlens_server.storage.store import Store

Raw = dict[str, list[Array]]
# Items that one write merges. A merge reads and fuses in the writer's thread, up to 128 vectors an item, and other
# writes run between two of them.
MERGED_AT_A_TIME = 32


@dataclass
class _Upsert:
    """One item during its upsert: the input of each of its contents, and the outcome."""

    item: ItemInput
    inputs: list[StoredInput | None]
    warnings: list[Warning] = field(default_factory=list)
    error: ItemlensError | None = None
    stored: bool = False

    @property
    def waits(self) -> bool:
        """Whether the item still has to be stored."""
        return self.error is None and not self.stored

    def outcome(self) -> WriteOutcome:
        """The outcome of the item's write."""
        assert not self.waits
        return WriteOutcome(self.item.item_id, self.error, () if self.error else tuple(self.warnings))


@dataclass
class _Planned:
    """The data to store for an upsert. raw: its vectors, from which h is made; empty if the item keeps its row.
    keeps_attributes: whether its attributes are the stored ones."""

    upsert: _Upsert
    new: NewItem
    raw: Raw
    h: Array | None = None
    keeps_attributes: bool = False


@dataclass
class _Plan:
    """The items that one write stores, and those that it refuses."""

    items: list[_Planned] = field(default_factory=list)
    refused: list[tuple[_Upsert, ItemlensError]] = field(default_factory=list)


class Upserts:
    """Writes items to collections. `current`: returns the present collection of a name; it may have moved."""

    def __init__(
        self,
        store: Store,
        encoder: ContentEncoder,
        current: Callable[[str], Collection | None],
        settings: Settings,
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._current = current
        self._settings = settings

    def write(
        self,
        collection: Collection,
        items: Sequence[ItemInput],
        merge: bool,
        call: CallContext,
        *,
        keep_attributes: bool = False,
    ) -> tuple[list[WriteOutcome], int]:
        """Add or replace items. Return the outcome of each, and the sequence number. keep_attributes: those of stored
        items stay; not with `merge`."""
        upserts = [_Upsert(item, [None] * len(item.contents)) for item in items]
        last = {item.item_id: n for n, item in enumerate(items)}
        for n, upsert in enumerate(upserts):
            try:
                check(upsert.item, merge, self._settings.max_item_pictures)
                if last[upsert.item.item_id] != n:
                    raise AlreadyExists(
                        f"item {upsert.item.item_id!r} occurs again in this call; the last one counts",
                        "item_id",
                    )
            except ItemlensError as error:
                upsert.error = error
        sequence = 0
        # The store deletes a content's data with the last item that has it. If that happens between encoding and
        # storing, the content is encoded in a second round, which does not use the store.
        for known in (True, False):
            waiting = [upsert for upsert in upserts if upsert.waits]
            if not waiting:
                break
            self._encode(collection, waiting, known, call)
            waiting = [upsert for upsert in waiting if upsert.waits]
            size = MERGED_AT_A_TIME if merge or keep_attributes else len(waiting)
            for begin in range(0, len(waiting), max(size, 1)):
                some = waiting[begin : begin + size]
                try:
                    sequence = self._store_items(collection, some, merge, call, keep_attributes) or sequence
                except ItemlensError as error:
                    if not sequence:
                        raise
                    # Some items of the call are stored, so each of the others has the error.
                    for upsert in waiting[begin:]:
                        upsert.error = error
                    break
        if not sequence:
            sequence = self._store.reader().sequence(collection.record.id)
        return [upsert.outcome() for upsert in upserts], sequence

    def _encode(
        self, collection: Collection, upserts: Sequence[_Upsert], known: bool, call: CallContext
    ) -> None:
        """Fill in the inputs: if `known`, from the store's earlier vectors where they exist; otherwise by encoding."""
        todo: list[tuple[_Upsert, int]] = []
        for upsert in upserts:
            for m, content in enumerate(upsert.item.contents):
                if upsert.inputs[m] is None and known:
                    upsert.inputs[m] = self._known(collection, content)
                if upsert.inputs[m] is None:
                    todo.append((upsert, m))
        contents = [upsert.item.contents[m] for upsert, m in todo]
        outcomes = self._encoder.encode(collection.space, contents, "item", call, keep=True)
        for (upsert, m), content, outcome in zip(todo, contents, outcomes, strict=True):
            if isinstance(outcome, EncodedContent):
                upsert.inputs[m] = StoredInput(content.channel, content.digest, outcome.stored, outcome.v)
                upsert.warnings += [warning.within(f"contents[{m}]") for warning in outcome.warnings]
            elif upsert.error is None:
                upsert.error = outcome.within(f"contents[{m}]")

    def _known(self, collection: Collection, content: Content) -> StoredInput | None:
        """The input of a content whose vector is in the store, with its bytes if the store keeps any; else None."""
        encoder, reader = collection.space.encoders.get(content.channel), self._store.reader()
        if encoder is None or content.field != encoder.modality.field:
            return None
        v = reader.vector(content.digest, encoder.digest)
        keeps_data = not encoder.modality.in_document
        if v is None or (keeps_data and not reader.has_data(content.digest, encoder.digest)):
            return None
        return StoredInput(content.channel, content.digest, b"", v, needs_data=keeps_data)

    def _store_items(
        self,
        collection: Collection,
        upserts: Sequence[_Upsert],
        merge: bool,
        call: CallContext,
        keep_attributes: bool,
    ) -> int:
        """Merge, fuse and store. Upserts whose data has left the store meanwhile remain waiting. Return the sequence
        number, 0 if nothing was stored."""
        record, encoders = collection.record, collection.encoder_digests
        item_ids = [upsert.item.item_id for upsert in upserts]
        replacing_all = None if merge else self._plan(collection, upserts, None, call)
        typed: list[str] = []
        current = collection

        def run(connection: sqlite3.Connection) -> tuple[_Plan, list[Upserted]]:
            nonlocal current
            plan, current = replacing_all, self._current(collection.name) or collection
            if (
                plan is None
            ):  # merged here, between two writes, so that the stored items cannot change meanwhile
                reader = Reader(connection)
                old_items = reader.items(record.id, item_ids, encoders)
                # Only items that are fused again need their vectors; an update of attributes reads none.
                served = {i for i, old in old_items.items() if old.label == self._served(collection, i)}
                fused = [u.item.item_id for u in upserts if u.inputs or u.item.item_id not in served]
                old_items |= reader.items(record.id, fused, encoders, vectors=True)
                plan = self._plan(collection, upserts, old_items, call)
            elif keep_attributes:
                plan = _keeping(plan, Reader(connection).described(record.id, item_ids))
            typed.clear()
            plan = _fitting(current, plan, typed)
            new_items = [replace(p.new, keeps=self._served(collection, p.new.item_id)) for p in plan.items]
            return plan, writes.upsert_items(connection, record.id, new_items, encoders) if new_items else []

        def after(result: tuple[_Plan, list[Upserted]]) -> None:
            plan, outcomes = result
            now = self._current(collection.name)
            rows = [
                (outcome.label, planned)
                for planned, outcome in zip(plan.items, outcomes, strict=True)
                if outcome.label > outcome.old_label
            ]
            if now is None:
                return
            # An item that is not stored has brought no type.
            now.take_types_back(typed)
            now.set_attributes(
                {
                    planned.new.item_id: planned.new.document.attributes
                    for planned, outcome in zip(plan.items, outcomes, strict=True)
                    if outcome.label and outcome.label == outcome.old_label
                }
            )
            if not rows:
                return
            if now.space is not collection.space:
                _fuse(now.space, [planned for _, planned in rows], CallContext())
            h = np.stack([planned.h for _, planned in rows if planned.h is not None])
            new = [planned.new for _, planned in rows]
            attributes = [item.document.attributes for item in new]
            texts = [item.document.texts for item in new]
            now.put([label for label, _ in rows], [item.item_id for item in new], h, attributes, texts)

        plan, outcomes = self._store.write(run, after, lambda: current.take_types_back(typed))
        for upsert, error in plan.refused:
            upsert.error = error
        for planned, outcome in zip(plan.items, outcomes, strict=True):
            upsert = planned.upsert
            upsert.stored = bool(outcome.label)
            if not upsert.stored:
                upsert.inputs = [i if i is None or not i.needs_data else None for i in upsert.inputs]
        return outcomes[0].sequence if outcomes else 0

    def _served(self, collection: Collection, item_id: str) -> int:
        """Label of the item's served row; 0 if there is none."""
        current = self._current(collection.name)
        return (current.label(item_id) if current else None) or 0

    def _plan(
        self,
        collection: Collection,
        upserts: Sequence[_Upsert],
        old_items: Mapping[str, StoredItem] | None,
        call: CallContext,
    ) -> _Plan:
        """The plan for `upserts`, merged with `old_items`; None: they replace the stored items."""
        plan = _Plan()
        for upsert in upserts:
            inputs = tuple(i for i in upsert.inputs if i is not None)
            old = None if old_items is None else old_items.get(upsert.item.item_id)
            new = replacing(upsert.item, inputs) if old_items is None else merged(upsert.item, inputs, old)
            served = old is not None and old.label == self._served(collection, new.item_id)
            try:
                check_whole(new, collection.space.modalities, self._settings.max_item_pictures)
                unchanged = old is not None and served and contents_of(old.inputs) == contents_of(new.inputs)
                raw = {} if unchanged else _raw(new)
            except ItemlensError as error:
                plan.refused.append((upsert, error))
                continue
            plan.items.append(_Planned(upsert, new, raw))
        _fuse(collection.space, [planned for planned in plan.items if planned.raw], call)
        call.check()
        return plan


def _raw(item: NewItem) -> Raw:
    """The raw vectors of an item by channel.

    Raises:
        FailedPrecondition: a vector is damaged or lost.
    """
    raw: Raw = {}
    for i in item.inputs:
        if i.vector is None:
            raise FailedPrecondition(
                f"the item has no vector in channel {i.channel!r}; send the complete item"
            )
        raw.setdefault(i.channel, []).append(i.vector)
    return raw


def _fuse(space: Space, items: Sequence[_Planned], call: CallContext) -> None:
    for planned, h in zip(items, space.head_runner.fuse([p.raw for p in items], call), strict=True):
        planned.h = h


def _keeping(plan: _Plan, stored: Mapping[str, DescribedItem | DamagedItem]) -> _Plan:
    """Return the plan with the attributes that stored items have now, in the writer's thread."""
    kept = _Plan(refused=list(plan.refused))
    for planned in plan.items:
        old = stored.get(planned.new.item_id)
        if isinstance(old, DescribedItem):
            document = replace(planned.new.document, attributes=old.document.attributes)
            new = replace(planned.new, document=document)
            planned = replace(planned, new=new, keeps_attributes=True)
            try:
                check_size(document.dump())
            except ItemlensError as error:
                kept.refused.append((planned.upsert, error))
                continue
        kept.items.append(planned)
    return kept


def _fitting(collection: Collection, plan: _Plan, typed: list[str]) -> _Plan:
    """Return the plan without items whose given attributes are of wrong types, in the writer's thread. typed: gets the
    attributes whose types are those of these items' values."""
    fitting = _Plan(refused=list(plan.refused))
    for planned in plan.items:
        try:
            if not planned.keeps_attributes:
                typed += collection.check_attributes(planned.upsert.item.attributes)
            fitting.items.append(planned)
        except ItemlensError as error:
            fitting.refused.append((planned.upsert, error))
    return fitting
