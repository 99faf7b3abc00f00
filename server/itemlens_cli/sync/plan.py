"""What a sync is to do: the items of the files against those of the collection and what the last sync saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from itemlens import ExternalVector, Item, ItemUpdate
from itemlens_cli.sync.state import DAMAGED, NOTHING, Seen, seen
from itemlens_datasets.exported import ExportedItems
from itemlens_datasets.mapping import Items
from itemlens_datasets.rows import Row


@dataclass(frozen=True)
class Change:
    """What is to be done with an item. row: number of its row."""

    row: int
    seen: Seen
    add: bool = False
    replace: bool = False
    """Its pictures, vectors or relations changed, or a text is gone: all of it is written but its attributes."""
    merge: bool = False
    """Of these only its texts changed: they are merged into the stored item."""
    update: ItemUpdate | None = None

    @property
    def whole(self) -> bool:
        """Whether the item is written as a whole."""
        return self.add or self.replace


@dataclass
class Plan:
    """What is to be done with all items.

    files: what the files say of each, to be kept. count: items of the files. stay_deleted: those that did not change in
    the files and were deleted in the collection. others: items of the collection that no sync of these files saw.
    known: items that could be deleted. repeated: numbers of the rows that repeat an id.
    """

    files: dict[str, Seen] = field(default_factory=dict)
    changes: dict[str, Change] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    count: int = 0
    stay_deleted: int = 0
    others: int = 0
    known: int = 0
    repeated: list[int] = field(default_factory=list)

    def see(self, row: Row, item: Item, new: Seen) -> None:
        """Note what a row says of an item. Of rows with one id the last one counts."""
        if item.item_id in self.files:
            self.repeated.append(row.number)
        self.files[item.item_id] = new
        self.changes.pop(item.item_id, None)


@dataclass(frozen=True)
class Owned:
    """What of an item the files decide. All else is left as it is in the collection."""

    texts: bool
    relations: bool
    pictures: bool
    external: frozenset[str] | None
    """Channels of vectors; None: all."""
    attributes: frozenset[str] | None
    """Names; None: all."""

    @staticmethod
    def by(items: Items) -> Owned:
        """Return what a mapping decides."""
        if isinstance(items, ExportedItems):
            return Owned(True, True, not items.merge, frozenset() if items.merge else None, None)
        vectors, names = frozenset(items.external), frozenset(items.attributes)
        return Owned(bool(items.texts), bool(items.relations), bool(items.pictures), vectors, names)

    def without_external(self, item: Item) -> dict[str, ExternalVector]:
        """Return the vectors of a stored item that the files do not decide."""
        owned = item.external.keys() if self.external is None else self.external
        return {channel: vector for channel, vector in item.external.items() if channel not in owned}


def plan(
    rows: Iterable[tuple[Row, Item]], stored: Mapping[str, Seen], before: Mapping[str, Seen], owned: Owned
) -> Plan:
    """Compare. stored: the items of the collection. before: what the files said at the last sync; empty: not known."""
    made, stay_deleted = Plan(), set[str]()
    for row, item in rows:
        new, old, there = seen(item), before.get(item.item_id), stored.get(item.item_id)
        made.see(row, item, new)
        stay_deleted.discard(item.item_id)
        if there is None:
            if old == new:
                stay_deleted.add(item.item_id)
            else:
                made.changes[item.item_id] = Change(row.number, new, add=True)
            continue
        base = old or there
        whole = there is DAMAGED or (owned.relations and new.relations != base.relations)
        # What a stored picture was made from is not known: the server finds out, and encodes nothing twice.
        known = NOTHING.pictures if base.pictures is None else base.pictures
        whole |= (owned.pictures or owned.external != frozenset()) and new.pictures != known
        whole |= owned.texts and not base.channels <= new.channels  # a merge takes no text away
        texts = owned.texts and new.texts != base.texts
        update = attribute_update(item, new, base, owned.attributes)
        if whole or texts or update:
            made.changes[item.item_id] = Change(
                row.number, new, replace=whole, merge=texts and not whole, update=update
            )
    made.count, made.stay_deleted = len(made.files), len(stay_deleted)
    deletable = before or stored
    gone = [item_id for item_id in stored if item_id not in made.files]
    made.deleted = [item_id for item_id in gone if item_id in deletable]
    made.others, made.known = len(gone) - len(made.deleted), len(deletable)
    return made


def plan_fields(rows: Iterable[tuple[Row, Item]], before: Mapping[str, Seen], names: Sequence[str]) -> Plan:
    """Compare these attributes only, with what the files said at the last sync. A server leaves equal values alone."""
    made = Plan()
    for row, item in rows:
        new, old = seen(item, with_pictures=False), before.get(item.item_id)
        base = old or replace(NOTHING, attributes=dict.fromkeys(names, ""))
        others = {name: value for name, value in base.attributes.items() if name not in names}
        given = {name: value for name, value in new.attributes.items() if name in names}
        made.see(row, item, replace(base, attributes={**others, **given}))
        if update := attribute_update(item, new, base, frozenset(names)):
            made.changes[item.item_id] = Change(row.number, new, update=update)
    made.count = len(made.files)
    # Of the others nothing is known, so that a sync of whole items compares them with the collection.
    made.files = {item_id: one for item_id, one in made.files.items() if item_id in before}
    return made


def attribute_update(item: Item, new: Seen, base: Seen, owned: frozenset[str] | None) -> ItemUpdate | None:
    """Return the update of the attributes that changed; None if none did."""
    names = owned if owned is not None else new.attributes.keys() | base.attributes.keys()
    changed = sorted(name for name in names if new.attributes.get(name) != base.attributes.get(name))
    if not changed:
        return None
    given = {name: item.attributes[name] for name in changed if name in new.attributes}
    return ItemUpdate(item.item_id, set=given, remove=tuple(name for name in changed if name not in given))
