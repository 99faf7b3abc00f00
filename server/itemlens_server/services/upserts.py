"""Adding and replacing items: encode, fuse, store, index, in this order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import AlreadyExists, FailedPrecondition, ItemlensError, Warning
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent
from itemlens_server.services.items import ItemInput, WriteOutcome, check, check_whole, merged, replacing
from itemlens_server.storage import writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import Array, NewItem, Replaced, StoredInput
from itemlens_server.storage.store import Store

TRIES = 5


@dataclass(frozen=True)
class _Ready:
    """An item whose new contents are encoded."""

    number: int
    item: ItemInput
    inputs: tuple[StoredInput, ...]
    warnings: tuple[Warning, ...]


class Upserts:
    """Writes items to collections. `current`: the collection of a name as it is now, since one may move meanwhile."""

    def __init__(
        self,
        store: Store,
        encoder: ContentEncoder,
        current: Callable[[str], Collection | None],
        max_item_pictures: int,
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._current = current
        self._max_item_pictures = max_item_pictures

    def write(
        self, collection: Collection, items: Sequence[ItemInput], merge: bool, call: CallContext
    ) -> tuple[list[WriteOutcome], int]:
        """Add or replace items; how each went, and the sequence number."""
        outcomes: dict[int, WriteOutcome] = {}
        last = {item.item_id: n for n, item in enumerate(items)}
        valid = []
        for n, item in enumerate(items):
            try:
                check(item, merge, self._max_item_pictures)
                if last[item.item_id] != n:
                    raise AlreadyExists(
                        f"item {item.item_id!r} comes again in this call; the last one counts", "item_id"
                    )
                valid.append((n, item))
            except ItemlensError as error:
                outcomes[n] = WriteOutcome(item.item_id, error)
        ready = self._encode(collection, valid, outcomes, call)
        sequence = 0
        for _ in range(TRIES):
            if not ready:
                break
            ready, sequence = self._store_items(collection, ready, merge, outcomes, call)
        for r in ready:
            outcomes[r.number] = WriteOutcome(
                r.item.item_id,
                FailedPrecondition(f"item {r.item.item_id!r} is being changed by others; try again"),
            )
        if not sequence:
            sequence = self._store.reader().counts(collection.row.id)[2]
        return [outcomes[n] for n in range(len(items))], sequence

    def _encode(
        self,
        collection: Collection,
        items: Sequence[tuple[int, ItemInput]],
        outcomes: dict[int, WriteOutcome],
        call: CallContext,
    ) -> list[_Ready]:
        """Encode what the store has no vector of; items with a bad content go to `outcomes`."""
        reader = self._store.reader()
        inputs: dict[int, list[StoredInput | None]] = {}
        todo: list[tuple[int, int, Content]] = []
        for n, item in items:
            inputs[n] = [None] * len(item.contents)
            for m, content in enumerate(item.contents):
                inputs[n][m] = self._known(reader, collection, content)
                if inputs[n][m] is None:
                    todo.append((n, m, content))
        encoded = self._encoder.encode(
            collection.space, [content for _, _, content in todo], "item", call, keep=True
        )
        warnings: dict[int, list[Warning]] = {}
        for (n, m, content), outcome in zip(todo, encoded, strict=True):
            if isinstance(outcome, EncodedContent):
                inputs[n][m] = StoredInput(content.channel, content.digest, outcome.stored, outcome.v)
                warnings.setdefault(n, []).extend(
                    Warning(x.reason, x.message, f"contents[{m}].{x.field}") for x in outcome.warnings
                )
            else:
                outcomes[n] = WriteOutcome(dict(items)[n].item_id, outcome.within(f"contents[{m}]"))
        return [
            _Ready(n, item, tuple(i for i in inputs[n] if i is not None), tuple(warnings.get(n, ())))
            for n, item in items
            if n not in outcomes
        ]

    @staticmethod
    def _known(reader: Reader, collection: Collection, content: Content) -> StoredInput | None:
        """The content as the store has it with its vector; None: it must be encoded."""
        encoder = collection.space.encoders.get(content.channel)
        if encoder is None or content.field != encoder.modality.field:
            return None
        vector = reader.vector(content.digest, encoder.digest)
        if vector is None or encoder.modality.in_document:
            return None if vector is None else StoredInput(content.channel, content.digest, b"", vector)
        stored = reader.picture(content.digest, encoder.digest)
        return StoredInput(content.channel, content.digest, stored, vector) if stored else None

    def _store_items(
        self,
        collection: Collection,
        ready: list[_Ready],
        merge: bool,
        outcomes: dict[int, WriteOutcome],
        call: CallContext,
    ) -> tuple[list[_Ready], int]:
        """Fuse and store; those whose item was changed meanwhile are given back, with the sequence number."""
        new: list[NewItem] = []
        raws: list[dict[str, list[Array]]] = []
        whole: list[_Ready] = []
        modalities = {name: e.modality for name, e in collection.space.encoders.items()}
        old_items = (
            self._store.reader().items(
                collection.row.id,
                [r.item.item_id for r in ready],
                collection.encoders,
                pictures=True,
                vectors=True,
            )
            if merge
            else {}
        )
        for r in ready:
            one = (
                merged(r.item, r.inputs, old_items.get(r.item.item_id))
                if merge
                else replacing(r.item, r.inputs)
            )
            try:
                check_whole(one, modalities, self._max_item_pictures)
            except ItemlensError as error:
                outcomes[r.number] = WriteOutcome(r.item.item_id, error)
                continue
            raw: dict[str, list[Array]] = {}
            for i in one.inputs:
                assert i.vector is not None
                raw.setdefault(i.channel, []).append(i.vector)
            new.append(one)
            raws.append(raw)
            whole.append(r)
        if not new:
            return [], 0
        h = collection.space.head_runner.fuse(raws, call)
        call.check()

        def after(replaced: list[Replaced]) -> None:
            kept = [n for n, one in enumerate(replaced) if one.row]
            current = self._current(collection.name)
            if not kept or current is None:
                return
            fused = h if current.space is collection.space else current.space.head_runner.fuse(raws)
            current.put([replaced[n].row for n in kept], [new[n].item_id for n in kept], fused[kept])

        replaced = self._store.write(
            lambda c: writes.upsert_items(c, collection.row.id, new, collection.encoders), after
        )
        again = []
        for r, outcome in zip(whole, replaced, strict=True):
            if outcome.row:
                outcomes[r.number] = WriteOutcome(r.item.item_id, None, r.warnings)
            else:
                again.append(r)
        return again, replaced[0].sequence
