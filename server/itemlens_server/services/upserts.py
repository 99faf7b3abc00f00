"""Adding and replacing items: encode, fuse, store, append to the rows, in this order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import AlreadyExists, FailedPrecondition, ItemlensError, Warning
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent
from itemlens_server.services.items import ItemInput, WriteOutcome, check, check_whole, merged, replacing
from itemlens_server.storage import writes
from itemlens_server.storage.records import Array, NewItem, StoredInput, Upserted
from itemlens_server.storage.store import Store

TRIES = 5


@dataclass
class _Upsert:
    """One item on its way into the store: what became of each of its contents, and how it went."""

    item: ItemInput
    inputs: list[StoredInput | None]
    warnings: list[Warning] = field(default_factory=list)
    error: ItemlensError | None = None
    stored: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is still to be stored."""
        return self.error is None and not self.stored

    def outcome(self) -> WriteOutcome:
        """How it went."""
        error = self.error
        if self.waits:
            error = FailedPrecondition(f"item {self.item.item_id!r} is being changed by others; try again")
        return WriteOutcome(self.item.item_id, error, () if error else tuple(self.warnings))


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
        upserts = [_Upsert(item, [None] * len(item.contents)) for item in items]
        last = {item.item_id: n for n, item in enumerate(items)}
        for n, upsert in enumerate(upserts):
            try:
                check(upsert.item, merge, self._max_item_pictures)
                if last[upsert.item.item_id] != n:
                    raise AlreadyExists(
                        f"item {upsert.item.item_id!r} comes again in this call; the last one counts",
                        "item_id",
                    )
            except ItemlensError as error:
                upsert.error = error
        sequence = 0
        for _ in range(TRIES):
            waiting = [upsert for upsert in upserts if upsert.waits]
            if not waiting:
                break
            self._encode(collection, waiting, call)
            waiting = [upsert for upsert in waiting if upsert.waits]
            sequence = self._store_items(collection, waiting, merge, call) or sequence
        if not sequence:
            sequence = self._store.reader().sequence(collection.record.id)
        return [upsert.outcome() for upsert in upserts], sequence

    def _encode(self, collection: Collection, upserts: Sequence[_Upsert], call: CallContext) -> None:
        """Fill in the inputs: from the store what was encoded before, the rest is encoded now."""
        todo: list[tuple[_Upsert, int]] = []
        for upsert in upserts:
            for m, content in enumerate(upsert.item.contents):
                if upsert.inputs[m] is None and (known := self._known(collection, content)) is not None:
                    upsert.inputs[m] = known
                elif upsert.inputs[m] is None:
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
        """The input of a content that was encoded before. The store has its bytes, if it keeps any."""
        encoder, reader = collection.space.encoders.get(content.channel), self._store.reader()
        if encoder is None or content.field != encoder.modality.field:
            return None
        v = reader.vector(content.digest, encoder.digest)
        keeps_data = not encoder.modality.in_document
        if v is None or (keeps_data and not reader.has_data(content.digest, encoder.digest)):
            return None
        return StoredInput(content.channel, content.digest, b"", v, needs_data=keeps_data)

    def _store_items(
        self, collection: Collection, upserts: Sequence[_Upsert], merge: bool, call: CallContext
    ) -> int:
        """Fuse and store; what others changed meanwhile still waits then. The sequence number, 0 if nothing was."""
        old_items = (
            self._store.reader().items(
                collection.record.id,
                [u.item.item_id for u in upserts],
                collection.encoder_digests,
                vectors=True,
            )
            if merge
            else {}
        )
        modalities = collection.space.modalities
        ready: list[tuple[_Upsert, NewItem, dict[str, list[Array]]]] = []
        for upsert in upserts:
            inputs = tuple(i for i in upsert.inputs if i is not None)
            new = (
                merged(upsert.item, inputs, old_items.get(upsert.item.item_id))
                if merge
                else replacing(upsert.item, inputs)
            )
            try:
                check_whole(new, modalities, self._max_item_pictures)
            except ItemlensError as error:
                upsert.error = error
                continue
            raw: dict[str, list[Array]] = {}
            for i in new.inputs:
                assert i.vector is not None
                raw.setdefault(i.channel, []).append(i.vector)
            ready.append((upsert, new, raw))
        if not ready:
            return 0
        raws = [raw for _, _, raw in ready]
        h = collection.space.head_runner.fuse(raws, call)
        call.check()

        def after(replaced: list[Upserted]) -> None:
            kept = [n for n, outcome in enumerate(replaced) if outcome.label]
            current = self._current(collection.name)
            if not kept or current is None:
                return
            fused = h if current.space is collection.space else current.space.head_runner.fuse(raws)
            current.put([replaced[n].label for n in kept], [ready[n][1].item_id for n in kept], fused[kept])

        new_items = [new for _, new, _ in ready]
        replaced = self._store.write(
            lambda c: writes.upsert_items(c, collection.record.id, new_items, collection.encoder_digests),
            after,
        )
        for (upsert, _, _), outcome in zip(ready, replaced, strict=True):
            upsert.stored = bool(outcome.label)
            if not upsert.stored:
                # What the store had of its contents may be gone with the item that held them.
                upsert.inputs = [i if i is None or not i.needs_data else None for i in upsert.inputs]
        return replaced[0].sequence
