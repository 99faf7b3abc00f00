"""UpdateItems through the client: prices and stock change at the next read, and nothing else does."""

from __future__ import annotations

from typing import Any, cast

import grpc
import pytest

import itemlens
from itemlens import Client, Item, ItemUpdate
from itemlens.v1 import catalog_pb2
from support.serving import Server


@pytest.fixture
def shop(client: Client) -> Client:
    """Ten shoes: prices 0, 1, 2 ..., all in stock."""
    client.upsert(
        [
            Item(
                f"i{n}",
                text=f"red shoe {n}",
                attributes={"price": n, "in_stock": True, "tags": ["red"], "note": "x"},
            )
            for n in range(10)
        ]
    ).raise_for_errors()
    return client


def listed(client: Client, filter: str) -> set[str]:
    """The items of a list under a filter, which are those of a page, too."""
    found = {item.item_id for item in client.recommend(text="red shoe", filter=filter, k=50)}
    assert found == {stored.item.item_id for stored in client.list_items(filter=filter)}
    return found


def test_the_next_read_sees_what_was_set_removed_and_added(shop: Client) -> None:
    before = shop.get_items(["i3"], vectors=True)[0]
    written = shop.update_items(
        [
            ItemUpdate(
                "i3",
                set={"price": 99, "sale": True},
                remove=["note", "nothing"],
                add={"tags": ["new", "red"]},
            ),
            ItemUpdate("i4", set={"in_stock": False}, remove_from={"tags": ["red", "blue"]}),
        ]
    )
    written.raise_for_errors()
    assert [result.sequence_number for result in written] == [written.sequence_number] * 2
    assert listed(shop, "price > 50") == listed(shop, "sale") == listed(shop, 'tags = "new"') == {"i3"}
    assert listed(shop, "not in_stock") == listed(shop, "not has(tags)") == {"i4"}
    [after] = shop.get_items(["i3"], vectors=True)
    assert after.item.attributes == {"price": 99, "in_stock": True, "tags": ["red", "new"], "sale": True}
    assert after.item.texts == before.item.texts and after.sequence_number == written.sequence_number
    assert after.vector is not None and before.vector is not None
    assert after.vector.values.tolist() == before.vector.values.tolist()
    found = shop.recommend(text="red shoe", attributes=["price"], filter="price = 99")
    assert [item.attributes for item in found] == [{"price": 99}]


def test_each_update_has_its_own_status(shop: Client) -> None:
    shop.upsert([Item("other", text="red", attributes={"many": [f"{n}" for n in range(256)]})])
    written = shop.update_items(
        [
            ItemUpdate("gone", set={"price": 1}),
            ItemUpdate("i1", set={"price": "cheap"}),
            ItemUpdate("i1", set={"in_stock": False, "price": True}),
            ItemUpdate("i1", add={"price": ["new"]}),
            ItemUpdate("i1", set={"price": 1}, remove=["price"]),
            ItemUpdate("other", add={"many": ["more"]}),
            ItemUpdate("", set={"price": 1}),
            ItemUpdate("i2", set={"price": 50}),
        ]
    )
    gone, text, half, no_list, twice, many, no_id, fine = written
    assert isinstance(gone.error, itemlens.NotFound) and "item 'gone' is not in collection" in str(gone.error)
    for result, said in (
        (text, "attribute 'price': 'cheap' is not a number"),
        (half, "attribute 'price': true is not a number"),
        (no_list, "attribute 'price' of the item is not a list of texts; set it as a whole"),
        (twice, "attribute 'price' is changed in two ways"),
        (many, "attribute 'many' would have 257 texts, the limit is 256"),
        (no_id, "1 to 256 characters"),
    ):
        assert isinstance(result.error, itemlens.InvalidArgument) and said in str(result.error)
    assert "updates[3].added_texts" in str(no_list.error)
    assert fine.error is None and listed(shop, "price > 20") == {"i2"}
    assert listed(shop, "not in_stock") == {"other"}, "of an update that fails, nothing is done"


def test_a_change_can_depend_on_the_items_sequence_number(shop: Client) -> None:
    [stored] = shop.get_items(["i5"])
    number = stored.sequence_number
    [first] = shop.update_items([ItemUpdate("i5", set={"price": 20}, if_sequence_number=number)])
    assert first.error is None and first.sequence_number > number
    [late] = shop.update_items([ItemUpdate("i5", set={"price": 30}, if_sequence_number=number)])
    assert isinstance(late.error, itemlens.Aborted) and late.error.code is grpc.StatusCode.ABORTED
    assert f"has the sequence number {first.sequence_number}, not {number}" in str(late.error)
    assert late.sequence_number == first.sequence_number
    [again] = shop.update_items(
        [ItemUpdate("i5", set={"price": 30}, if_sequence_number=late.sequence_number)]
    )
    assert again.error is None and listed(shop, "price = 30") == {"i5"}


def test_updates_of_one_item_are_made_in_order(shop: Client) -> None:
    changes = [ItemUpdate("i6", add={"tags": [f"t{n}"]}) for n in range(3)]
    written = shop.update_items([*changes, ItemUpdate("i6", set={"price": 5}, remove=["tags"])])
    written.raise_for_errors()
    assert shop.get_items(["i6"])[0].item.attributes == {"price": 5, "in_stock": True, "note": "x"}
    assert {result.sequence_number for result in written} == {written.sequence_number}


def test_what_changes_nothing_writes_nothing(shop: Client) -> None:
    [stored] = shop.get_items(["i7"])
    written = shop.update_items(
        [
            ItemUpdate("i7", set={"price": 7}),
            ItemUpdate("i7", remove=["nothing"], add={"tags": ["red"]}),
            ItemUpdate("i7", remove_from={"nothing": ["x"]}),
            ItemUpdate("i7"),
        ]
    )
    written.raise_for_errors()
    assert {result.sequence_number for result in written} == {stored.sequence_number}
    assert written.sequence_number == shop.get_collection().sequence_number
    assert shop.get_items(["i7"])[0].item.attributes == stored.item.attributes


def test_many_updates_go_over_one_stream(shop: Client) -> None:
    updates = [ItemUpdate(f"i{n % 10}", set={"price": 100 + n}) for n in range(250)]
    report = shop.upload_updates([*updates, ItemUpdate("gone")], batch_size=100)
    assert report.written == 250 and [result.id for result in report.failed] == ["gone"]
    assert {stored.item.attributes["price"] for stored in shop.list_items()} == set(range(340, 350))


@pytest.mark.parametrize("over", ["call", "stream"])
def test_items_are_replaced_but_for_their_attributes(shop: Client, over: str) -> None:
    shop.update_items([ItemUpdate("i3", set={"price": 99})]).raise_for_errors()
    items = [
        Item("i3", text="blue boot", attributes={"price": 3, "other": 1}),
        Item("new", text="scarf", attributes={"price": 5}),
    ]
    if over == "call":
        shop.upsert(items, keep_attributes=True).raise_for_errors()
    else:
        assert not shop.upload(items, keep_attributes=True).failed
    [old, new] = shop.get_items(["i3", "new"])
    assert old.item.texts == {"text": "blue boot"} and new.item.attributes == {"price": 5}
    assert old.item.attributes == {"price": 99, "in_stock": True, "tags": ["red"], "note": "x"}
    assert listed(shop, "price = 99") == {"i3"}
    assert "other" not in shop.get_collection().attributes, "no item has it"
    with pytest.raises(itemlens.InvalidArgument, match=r"keep_attributes: .* not both"):
        shop.upsert(items, merge=True, keep_attributes=True)


def test_values_out_of_range_are_refused(server: Server, shop: Client, collection: str) -> None:
    deep: dict[str, Any] = {}
    for _ in range(31):
        deep = {"x": deep}
    updates = [catalog_pb2.ItemUpdate(item_id="i0") for _ in range(4)]
    updates[0].attributes["price"] = float("nan")
    updates[1].attributes["price"] = float("-inf")
    updates[2].attributes.update({"deep": deep})
    updates[3].removed_attributes.extend(str(n) for n in range(100_000))
    reply = server.catalog.UpdateItems(
        catalog_pb2.UpdateItemsRequest(collection=collection, updates=updates), timeout=30
    )
    assert [result.status.code for result in reply.results] == [grpc.StatusCode.INVALID_ARGUMENT.value[0]] * 4
    [long] = shop.update_items([ItemUpdate("i0", set={"text": "x" * (5 << 20)})])
    assert isinstance(long.error, itemlens.InvalidArgument) and "characters, the limit is" in str(long.error)
    with pytest.raises(itemlens.InvalidArgument, match="1001 in updates, the limit is 1000"):
        shop.update_items([ItemUpdate("i0")] * 1001)
    assert shop.get_items(["i0"])[0].item.attributes["price"] == 0


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (ItemUpdate("a", set={"price": float("nan")}), "update of item 'a': attributes\\['price'\\]"),
        (ItemUpdate("a", remove="sale"), "remove must be a list"),
        (ItemUpdate("a", add={"tags": "new"}), "add\\['tags'\\] must be a list"),
        (ItemUpdate("a", add=cast(Any, ["tags"])), "add must be a dict"),
        (ItemUpdate("a", if_sequence_number=-1), "if_sequence_number must be"),
    ],
)
def test_the_client_refuses_what_cannot_be_sent(client: Client, update: ItemUpdate, said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        client.update_items([update])
