"""Updates of attributes in a live catalogue: what they do, beside views, moves and writes that fail."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itemlens_server.attributes.parser import parse
from itemlens_server.errors import Aborted, DataLoss, InvalidArgument, NotFound, StorageFull
from itemlens_server.services import (
    CallContext,
    Cap,
    ItemInput,
    ItemUpdate,
    QueryRequest,
    WriteOutcome,
    items,
    updates,
    upserts,
)
from itemlens_server.services.collection import Collection
from itemlens_server.storage import writes
from support.live import Live, contents
from support.spaces import Tiny

ITEMS = ("a", "b", "c")
NAMES = ("price", "on", "tags")


@pytest.fixture
def shop(live: Live) -> Live:
    """Three shoes with prices 0, 1, 2."""
    for n, item_id in enumerate(ITEMS):
        assert (
            live.put(item_id, f"red shoe {n}", attributes={"price": float(n), "tags": ["red"]}).error is None
        )
    return live


def update(live: Live, *updates: ItemUpdate) -> list[WriteOutcome]:
    return live.catalogue.begin_update("", updates).result()[0]


def stored(live: Live) -> dict[str, Mapping[str, Any]]:
    return {
        i: item.document.attributes for i, item in live.catalogue.reads.items(live.collection, ITEMS).items()
    }


def matching(live: Live, filter: str) -> set[str]:
    view = live.collection.matching(parse(filter))
    return {view.item_ids[n] for n in view.alive.nonzero()[0]}


TEXTS = st.lists(st.sampled_from("xyz"), max_size=3)
CHANGES = st.builds(
    ItemUpdate,
    st.sampled_from(ITEMS),
    st.fixed_dictionaries({}, optional={"price": st.integers(0, 3).map(float), "on": st.booleans()}),
    st.lists(st.sampled_from(["price", "on", "tags", "nothing"]), max_size=1),
    st.fixed_dictionaries({}, optional={"tags": TEXTS}),
    st.fixed_dictionaries({}, optional={"tags": TEXTS}),
)


def expected(attributes: dict[str, Any], change: ItemUpdate) -> None:
    """What an update does, in plain words."""
    named = [*change.values, *change.removed, *(change.taken.keys() | change.added.keys())]
    if len(named) > len(set(named)):
        return
    attributes |= change.values
    for name in change.removed:
        attributes.pop(name, None)
    for name, texts in change.taken.items():
        if name in attributes:
            attributes[name] = [text for text in attributes[name] if text not in texts]
    for name, texts in change.added.items():
        attributes[name] = list(dict.fromkeys([*attributes.get(name, []), *texts]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CHANGES, min_size=1, max_size=6), max_size=4))
def test_items_have_what_the_updates_say_in_the_store_and_in_filters(
    shop: Live, calls: list[list[ItemUpdate]]
) -> None:
    items: dict[str, dict[str, Any]] = {}
    for n, item_id in enumerate(ITEMS):
        items[item_id] = {"price": float(n), "tags": ["red"]}
        assert shop.put(item_id, f"red shoe {n}", attributes=items[item_id]).error is None
    for call in calls:
        update(shop, *call)
        for change in call:
            expected(items[change.item_id], change)
    assert stored(shop) == items
    for price in range(4):
        assert matching(shop, f"price = {price}") == {
            i for i, own in items.items() if own.get("price") == price
        }
    for text in ("red", "x", "y", "z"):
        assert matching(shop, f'tags = "{text}"') == {
            i for i, own in items.items() if text in own.get("tags", ())
        }
    if any("on" in own for own in items.values()):
        assert matching(shop, "on = false") == {i for i, own in items.items() if own.get("on") is False}


def test_a_view_does_not_change_under_its_reader(shop: Live) -> None:
    before = shop.collection.snapshot().view
    cheap = before.matching(parse("price < 1")).tolist()
    for price in range(5, 600):  # more than once over the size at which old attributes are dropped
        [outcome] = update(shop, ItemUpdate("a", {"price": float(price)}))
        assert outcome.error is None and matching(shop, f"price = {price}") == {"a"}
    assert before.matching(parse("price < 1")).tolist() == cheap
    assert matching(shop, "price < 1") == set()


def test_lists_keep_to_caps_of_the_new_values(shop: Live) -> None:
    update(shop, *(ItemUpdate(item_id, {"brand": "Alto"}) for item_id in ITEMS))
    query = QueryRequest(content=contents("red shoe"))
    assert len(shop.ask(query, k=3, caps=[Cap("brand", 1, "caps")]).items) == 1
    update(shop, ItemUpdate("b", {"brand": "Kaya"}))
    assert len(shop.ask(query, k=3, caps=[Cap("brand", 1, "caps")]).items) == 2


def test_a_change_on_condition_of_the_sequence_number(shop: Live) -> None:
    [first] = update(shop, ItemUpdate("a", {"price": 9.0}))
    late, fine, again = update(
        shop,
        ItemUpdate("a", {"price": 10.0}, if_sequence=first.sequence - 1),
        ItemUpdate("a", {"price": 11.0}, if_sequence=first.sequence),
        ItemUpdate("a", {"price": 12.0}, if_sequence=first.sequence),
    )
    assert isinstance(late.error, Aborted) and late.sequence == first.sequence
    assert fine.error is None and fine.sequence > first.sequence
    assert isinstance(again.error, Aborted) and again.sequence == fine.sequence
    assert stored(shop)["a"]["price"] == 11.0


def test_one_of_many_writers_changes_an_item_that_all_have_read(shop: Live) -> None:
    [read] = shop.catalogue.reads.items(shop.collection, ["a"]).values()
    begun = [
        shop.catalogue.begin_update("", [ItemUpdate("a", {"price": float(n)}, if_sequence=read.sequence)])
        for n in range(10, 30)
    ]
    outcomes = [outcome for updating in begun for outcome in updating.result()[0]]
    assert sum(outcome.error is None for outcome in outcomes) == 1


def full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("first", ["upsert", "update"])
def test_the_type_of_a_first_value_is_free_again_when_it_could_not_be_stored(
    shop: Live, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(writes, "upsert_items", full)
        broken.setattr(writes, "set_documents", full)
        with pytest.raises(StorageFull):
            if first == "upsert":
                shop.put("d", "red", attributes={"size": "large"})
            else:
                update(shop, ItemUpdate("a", {"size": "large"}))
    assert "size" not in shop.collection.attribute_types
    [outcome] = update(shop, ItemUpdate("b", {"size": 42.0}))
    assert outcome.error is None and shop.collection.attribute_types["size"] == "NUMBER"


def test_writes_of_one_transaction_agree_on_the_type_of_a_first_value(shop: Live) -> None:
    blocked, go = threading.Event(), threading.Event()

    def block(_: sqlite3.Connection) -> None:
        blocked.set()
        go.wait(30)

    holding = shop.store.submit(block, lambda _: None)
    assert blocked.wait(30)
    updates = [
        ItemUpdate("a", {"size": "large"}),
        ItemUpdate("b", {"size": 42.0}),
        ItemUpdate("c", {"size": "small"}),
    ]
    begun = [shop.catalogue.begin_update("", [own]) for own in updates]
    go.set()
    holding.result(30)
    text, number, other = (updating.result()[0][0] for updating in begun)
    assert text.error is None and other.error is None
    assert (
        isinstance(number.error, InvalidArgument)
        and "attribute 'size': 42.0 is not a text" in number.error.message
    )
    assert matching(shop, 'size in ("large", "small")') == {"a", "c"}


def test_a_type_that_no_stored_value_has_is_not_held(shop: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a value that a later update of the call removes, and of an update that is refused because it is too long."""
    update(shop, ItemUpdate("a", {"note": 5.0}), ItemUpdate("a", removed=["note"]))
    with monkeypatch.context() as small:
        small.setattr(items, "MAX_DOCUMENT", 200)
        [long] = update(shop, ItemUpdate("a", {"note": 5.0, "more": "x" * 300}))
        assert isinstance(long.error, InvalidArgument) and "characters" in long.error.message
    [outcome] = update(shop, ItemUpdate("b", {"note": "a text"}))
    assert outcome.error is None and matching(shop, 'note = "a text"') == {"b"}


def test_errors_name_the_field_that_is_wrong(shop: Live) -> None:
    outcomes = update(
        shop,
        ItemUpdate("a", {"kind": "shoe", "tags": "red"}),
        ItemUpdate("a", removed=["price"], added={"price": ["x"]}),
        ItemUpdate("a", {"price": 1.0}, added={"price": ["x"]}),
        ItemUpdate("a", {"price": 1.0}, taken={"price": ["x"]}),
        ItemUpdate("b", removed=["price"]),
        ItemUpdate("b", added={"price": ["x"]}),
        ItemUpdate("b", removed=[str(n) for n in range(999)] + ["998"]),
    )
    fields = [
        outcome.error.field if isinstance(outcome.error, InvalidArgument) else "" for outcome in outcomes
    ]
    assert fields == [
        "attributes", "removed_attributes", "added_texts", "removed_texts", "", "added_texts", "removed_attributes"
    ]  # fmt: skip


def test_a_refused_update_tells_the_items_sequence_number(shop: Live) -> None:
    [fine] = update(shop, ItemUpdate("a", {"price": 9.0}))
    wrong = [ItemUpdate(i, {"price": float("nan")}) for i in ("a", "gone", "")]
    assert [outcome.sequence for outcome in update(shop, *wrong)] == [fine.sequence, 0, 0]


def hold(live: Live) -> Callable[[], None]:
    """Hold the writer until the returned function is called."""
    held, go = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        held.set()
        go.wait(30)

    live.store.submit(wait, lambda _: None)
    assert held.wait(30)
    return go.set


def test_updates_of_long_documents_are_written_in_slices_with_other_writes_between(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "SLICE_CHARACTERS", 1)
    go_on = hold(shop)
    many = shop.catalogue.begin_update("", [ItemUpdate("a", {"price": float(n)}) for n in range(10, 20)])
    between = shop.catalogue.begin_update("", [ItemUpdate("b", {"price": 77.0})])
    go_on()
    outcomes, sequence = many.result()
    numbers = [outcome.sequence for outcome in outcomes]
    assert all(outcome.error is None for outcome in outcomes)
    assert numbers == sorted(set(numbers)) and numbers[-1] == sequence
    assert numbers[0] < between.result()[1] < numbers[1]
    assert matching(shop, "price = 19") == {"a"} and stored(shop)["a"]["price"] == 19.0


def test_if_a_later_slice_has_no_room_only_the_rest_is_refused(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "SLICE_CHARACTERS", 1)
    set_documents = writes.set_documents

    def at_b(connection: sqlite3.Connection, items: Any) -> None:
        if any(item.item_id == "b" for item in items):
            full()
        set_documents(connection, items)

    monkeypatch.setattr(writes, "set_documents", at_b)
    before = shop.catalogue.reads.items(shop.collection, ["b"])["b"].sequence
    first, *rest, gone = update(
        shop, *(ItemUpdate(i, {"price": 50.0, "size": 1.0}) for i in ("a", "b", "c", "gone"))
    )
    assert first.error is None and matching(shop, "price = 50") == {"a"}
    assert all(isinstance(outcome.error, StorageFull) for outcome in [*rest, gone])
    assert rest[0].error is not rest[1].error and rest[0].sequence == before and gone.sequence == 0
    monkeypatch.setattr(writes, "set_documents", set_documents)
    assert all(outcome.error is None for outcome in update(shop, ItemUpdate("b", {"price": 50.0})))


def test_an_update_during_a_move_is_kept(shop: Live, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new state has read the items before the update, which gives them no new rows."""
    prepare: Callable[..., bool] = Collection.prepare
    updated: list[WriteOutcome] = []

    def prepared(self: Collection, *args: Any) -> bool:
        if not updated:
            updated.extend(update(shop, ItemUpdate("a", {"price": 77.0}, ["tags"])))
        return prepare(self, *args)

    monkeypatch.setattr(Collection, "prepare", prepared)
    shop.catalogue.move("default", tiny.plain)
    assert [outcome.error for outcome in updated] == [None]
    assert matching(shop, "price = 77 and not has(tags)") == {"a"}


def test_items_that_are_gone_or_damaged_have_their_own_errors(shop: Live) -> None:
    [before] = update(shop, ItemUpdate("b", {"price": 9.0}))
    shop.store.write(lambda c: c.execute("UPDATE items SET document = 'x' WHERE item_id = 'b'"))
    gone, damaged, fine = update(shop, *(ItemUpdate(i, {"price": 5.0}) for i in ("gone", "b", "c")))
    assert isinstance(gone.error, NotFound) and isinstance(damaged.error, DataLoss) and fine.error is None
    [wrong] = update(shop, ItemUpdate("b", {"price": float("nan")}))
    assert isinstance(wrong.error, InvalidArgument)
    assert (
        (gone.sequence, damaged.sequence, wrong.sequence)
        == (0, before.sequence, before.sequence)
        != (0, 0, 0)
    )
    assert matching(shop, "price = 5") == {"c"}


def test_a_damaged_item_is_replaced_with_the_given_attributes_and_one_that_would_be_too_long_is_not(
    shop: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.store.write(lambda c: c.execute("UPDATE items SET document = 'x' WHERE item_id = 'b'"))
    update(shop, ItemUpdate("a", {"note": "x" * 300}))
    new = [ItemInput(i, contents("blue boot"), {"price": 5.0}, []) for i in ITEMS]
    monkeypatch.setattr(upserts, "check_size", partial(too_long, 250))
    outcomes, _, _ = shop.catalogue.upsert("", new, False, CallContext(), keep_attributes=True)
    assert [type(outcome.error) for outcome in outcomes] == [InvalidArgument, type(None), type(None)]
    assert stored(shop)["b"] == {"price": 5.0} and stored(shop)["c"] == {"price": 2.0, "tags": ["red"]}


def too_long(limit: int, document: str) -> None:
    if len(document) > limit:
        raise InvalidArgument("too long")
