"""Filters over gRPC: lists, pages and deletions of what matches, types that are held, and wrong filters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

import itemlens
from itemlens import AttributeType, Client, Item, where
from itemlens import _errors as errors
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2, itemlens_pb2
from support import raw
from support.serving import Server
from support.spaces import Tiny

COLOURS = ("red", "green", "blue")
PLACE = {"lat": 1, "lon": 2}


def shop(count: int = 60) -> list[Item]:
    """Shoes of three colours: prices 0, 1, 2 ..., every fourth is out of stock."""
    return [
        Item(
            f"i{n:02}",
            text=f"{COLOURS[n % 3]} shoe {n}",
            attributes={"price": n, "in_stock": n % 4 > 0, "colour": COLOURS[n % 3], "sizes": [f"s{n % 5}"]},
        )
        for n in range(count)
    ]


def test_a_list_has_only_what_matches(client: Client) -> None:
    client.upsert(shop()).raise_for_errors()
    found = client.recommend(
        text="red shoe",
        filter='in_stock and price < 30 and colour in ("red", "blue")',
        attributes=["price", "colour", "nothing"],
        k=60,
    )
    expected = {f"i{n:02}" for n in range(30) if n % 4 and n % 3 != 1}
    assert {item.item_id for item in found} == expected and found.eligible_items == len(expected)
    for item in found:
        number = int(item.item_id[1:])
        assert item.attributes == {"price": number, "colour": COLOURS[number % 3]}
    everything = client.recommend(text="red shoe", k=60)
    order = [item.item_id for item in everything if item.item_id in expected]
    assert [item.item_id for item in found] == order
    assert all(item.attributes == {} for item in everything)


@pytest.mark.parametrize(
    "side", [{"text": "red"}, {"user_id": "nobody"}, {"history": ["i00", "i01"]}, {"liked": ["i00"]}]
)
def test_a_filter_that_leaves_nothing_is_an_empty_list_with_a_warning(
    client: Client, side: Mapping[str, Any]
) -> None:
    client.upsert(shop(5)).raise_for_errors()
    found = client.recommend(**side, filter="price > 1000")
    assert list(found) == [] and [w.reason for w in found.warnings] == ["FILTERED_OUT"]
    assert found.eligible_items == 0


def test_an_explanation_says_what_leaves_an_item_out(client: Client) -> None:
    client.upsert(shop(6)).raise_for_errors()
    there, out = client.explain(["i01", "i05"], text="red", filter="in_stock and price < 3")
    assert there.error is None and there.by_channel
    assert isinstance(out.error, itemlens.InvalidArgument)
    assert "the filter leaves 'i05' out: it needs price < 3 (price is 5)" in str(out.error)
    listed = client.recommend(text="red")
    with pytest.raises(ValueError, match="known of a recommendation"):
        client.explain(["i01"], recommendation_id=listed.recommendation_id, filter="in_stock")


def test_a_filter_that_is_built_does_what_its_expression_does(client: Client) -> None:
    client.upsert(shop()).raise_for_errors()
    built = where("in_stock") & (where("price") < 30) & where("colour").one_of("red", "blue")
    written = 'in_stock and price < 30 and colour in ("red", "blue")'
    lists = [[i.item_id for i in client.recommend(text="red shoe", filter=f, k=60)] for f in (built, written)]
    assert lists[0] == lists[1] and len(lists[0]) == 15
    [out] = client.explain(["i04"], text="red", filter=built)
    assert "it needs in_stock = true (in_stock is false)" in str(out.error)
    assert {stored.item.item_id for stored in client.list_items(filter=built)} == set(lists[0])
    assert client.delete_matching(built) == 15 and client.get_collection().item_count == 45
    listed = client.recommend(text="red")
    with pytest.raises(ValueError, match="known of a recommendation"):
        client.explain(["i01"], recommendation_id=listed.recommendation_id, filter=built)


def test_a_wrong_tree_is_an_error_wherever_it_is(server: Server, client: Client, collection: str) -> None:
    client.upsert(shop(3)).raise_for_errors()
    user = common_pb2.UserSide(user_id="u")
    empty = common_pb2.Filter()
    type_of = common_pb2.FilterComparison(
        attribute="price", op=common_pb2.FILTER_OPERATOR_EQUAL, value=common_pb2.FilterValue(text="x")
    )
    wrong = common_pb2.Filter(any=[common_pb2.Filter(has="price"), common_pb2.Filter(comparison=type_of)])
    for tree, field in ((empty, "filter_tree"), (wrong, "filter_tree.any[1].comparison.value")):
        of_all: dict[str, Any] = {"collection": collection, "filter_tree": tree}
        calls: tuple[tuple[Any, Any], ...] = (
            (server.item_lens.Recommend, itemlens_pb2.RecommendRequest(user=user, **of_all)),
            (server.item_lens.Explain, itemlens_pb2.ExplainRequest(user=user, item_ids=["i01"], **of_all)),
            (server.catalog.ListItems, catalog_pb2.ListItemsRequest(**of_all)),
            (server.catalog.DeleteItems, catalog_pb2.DeleteItemsRequest(**of_all)),
        )
        for call, request in calls:
            with pytest.raises(grpc.RpcError) as raised:
                call(request, timeout=30)
            error = errors.from_rpc(raised.value)
            assert isinstance(error, itemlens.InvalidArgument) and error.violations[0].field == field
    assert client.get_collection().item_count == 3


@pytest.mark.parametrize("depth", [60, 1000])
def test_a_tree_of_any_depth_is_refused(server: Server, client: Client, collection: str, depth: int) -> None:
    client.upsert(shop(3)).raise_for_errors()
    tree = common_pb2.Filter(has="price").SerializeToString()
    for _ in range(depth):
        tree = field(3, tree)  # none
    request = field(1, collection.encode()) + field(4, tree)
    delete = raw.unary_unary(server.channel, "/itemlens.v1.Catalog/DeleteItems")
    with pytest.raises(grpc.RpcError) as raised:
        delete(request, timeout=30)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert client.get_collection().item_count == 3


def field(number: int, data: bytes) -> bytes:
    """A field of a message, in bytes, since Python does not write messages of any depth."""
    size, length = b"", len(data)
    while length > 127:
        size += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def test_variants_stand_for_each_other(client: Client) -> None:
    """Twenty models in three sizes: of each model the best variant is listed, with the others."""
    items = [
        Item(
            f"m{n:02}-{size}",
            text=f"{COLOURS[n % 3]} shoe {n}, {'small' * size} size",
            attributes={"model": f"m{n:02}", "brand": f"b{n % 4}", "size": size},
        )
        for n in range(20)
        for size in range(3)
    ]
    client.upsert([*items, Item("alone", text="red shoe")]).raise_for_errors()
    everything = [item.item_id for item in client.recommend(text="red shoe", k=61)]
    best = list(dict.fromkeys(item_id.split("-")[0] for item_id in everything))
    found = client.recommend(text="red shoe", k=21, group_by="model")
    assert [item.item_id.split("-")[0] for item in found] == best
    for item in found:
        model = item.item_id.split("-")[0]
        others = [i for i in everything if i.startswith(f"{model}-") and i != item.item_id]
        assert list(item.others) == others and len(others) == (0 if model == "alone" else 2)
    two = client.recommend(text="red shoe", k=61, group_by="model", per_group=2)
    assert len(two) == 41 and all(len(item.others) <= 1 for item in two)
    capped = client.recommend(
        text="red shoe", k=10, group_by="model", caps={"brand": 2}, attributes=["brand"]
    )
    brands = [item.attributes["brand"] for item in capped if item.attributes]
    assert len(capped) == 9 and sorted(brands) == ["b0", "b0", "b1", "b1", "b2", "b2", "b3", "b3"]
    unknown = client.recommend(user_id="nobody", k=21, group_by="model")
    assert len({item.item_id.split("-")[0] for item in unknown}) == 21


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_by": "modle"}, "'modle' is no attribute of the collection; there are: colour"),
        ({"caps": {"sizes": 1}}, "'sizes' has lists or places"),
        ({"caps": {"price": 0}}, "at least one item must be allowed"),
        ({"caps": {f"a{n}": 1 for n in range(6)}}, "6 in caps, the limit is 5"),
    ],
)
def test_a_wrong_cap_is_an_error(client: Client, options: Mapping[str, Any], message: str) -> None:
    client.upsert(shop(3)).raise_for_errors()
    with pytest.raises(itemlens.InvalidArgument, match=message):
        client.recommend(text="red", **options)


def test_facets_count_what_may_be_in_the_list(client: Client) -> None:
    client.upsert(shop()).raise_for_errors()
    names = ["colour", "sizes", "in_stock", "price"]
    found = client.recommend(text="red", filter="in_stock and price < 30", k=1, facets=names)
    there = [n for n in range(30) if n % 4]
    assert len(found) == 1 and found.eligible_items == len(there)
    assert list(found.facets) == names and {facet.items for facet in found.facets.values()} == {len(there)}
    for name, value_of in (("colour", lambda n: COLOURS[n % 3]), ("sizes", lambda n: f"s{n % 5}")):
        assert found.facets[name].counts == Counter(map(value_of, there))
    assert found.facets["in_stock"].counts == {True: len(there)} and found.facets["in_stock"].min is None
    price = found.facets["price"]
    assert (price.min, price.max, price.value_count, len(price.counts)) == (1.0, 29.0, len(there), 10)
    some = client.recommend(text="red", candidates=["i00", "i03", "i04"], facets={"colour": 1})
    assert some.facets["colour"].counts == {"red": 2} and some.facets["colour"].value_count == 2
    nothing = client.recommend(text="red", filter="price > 1000", facets=["colour", "price"])
    assert nothing.facets["colour"] == nothing.facets["price"] == itemlens.Facet(0, {}, 0)
    assert client.recommend(text="red").facets == {}


@pytest.mark.parametrize(
    ("facets", "field", "message"),
    [
        (
            ["colour", "prize"],
            "facets[1].attribute",
            "'prize' is no attribute of the collection; did you mean",
        ),
        ([""], "facets[0].attribute", "'' is no attribute"),
        (["x" * 300], "facets[0].attribute", "300 characters"),
        (["colour", "colour"], "facets[1].attribute", "'colour' occurs twice"),
        (["place"], "facets[0].attribute", "'place' has places, which are not counted"),
        ({"colour": 101}, "facets[0].max_values", "max_values is 101; it must be 1 to 100"),
        ([f"a{n}" for n in range(11)], "facets", "11 in facets, the limit is 10"),
    ],
)
def test_a_wrong_facet_is_an_error(client: Client, facets: Any, field: str, message: str) -> None:
    client.upsert([*shop(3), Item("p", text="red", attributes={"place": PLACE})]).raise_for_errors()
    with pytest.raises(itemlens.InvalidArgument, match=message) as raised:
        client.recommend(text="red", facets=facets)
    assert raised.value.violations[0].field == field
    with pytest.raises(ValueError, match="is 0; give the number of values"):
        client.recommend(text="red", facets={"colour": 0})


def test_pages_of_what_matches_stay_the_same_while_the_catalogue_grows(client: Client) -> None:
    client.upsert(shop()).raise_for_errors()
    pages = client.list_items(filter="in_stock", page_size=7)
    first = [next(pages).item.item_id for _ in range(10)]
    client.upsert([Item("new", text="red", attributes={"in_stock": True})]).raise_for_errors()
    rest = [stored.item.item_id for stored in pages]
    assert [*first, *rest] == [*(f"i{n:02}" for n in range(60) if n % 4), "new"]


def test_what_matches_is_deleted(client: Client) -> None:
    client.upsert(shop()).raise_for_errors()
    assert client.delete_matching("not in_stock or price >= 50") == 15 + 8
    assert client.get_collection().item_count == 37
    assert list(client.list_items(filter="price >= 50")) == []
    with pytest.raises(ValueError, match="filter is empty"):
        client.delete_matching(" ")


def test_changed_attributes_count_at_the_next_read(client: Client) -> None:
    client.upsert(shop(8)).raise_for_errors()
    for price in (500, 501):
        client.upsert([Item("i03", attributes={"price": price})], merge=True).raise_for_errors()
        [found] = client.recommend(text="red", filter="price > 400", attributes=["price", "colour"])
        assert found.item_id == "i03" and found.attributes == {"price": price, "colour": "red"}


def test_the_type_of_the_first_value_is_held(client: Client) -> None:
    client.upsert(shop(3)).raise_for_errors()
    wrong, right = client.upsert(
        [Item("x", text="red", attributes={"price": "cheap"}), Item("y", text="red", attributes={"price": 5})]
    )
    assert isinstance(wrong.error, itemlens.InvalidArgument) and right.error is None
    assert "'price': 'cheap' is not a number, which is that of its first value" in str(wrong.error)
    assert wrong.error.violations[0].field == "items[0].attributes"
    [merged] = client.upsert([Item("y", attributes={"sizes": "s1"})], merge=True)
    assert isinstance(merged.error, itemlens.InvalidArgument)
    assert client.get_collection().attributes == {
        "price": AttributeType.NUMBER, "in_stock": AttributeType.BOOLEAN, "colour": AttributeType.STRING,
        "sizes": AttributeType.STRINGS,
    }  # fmt: skip


def test_of_first_values_that_come_at_once_one_type_is_held(client: Client) -> None:
    """Whichever comes first: no item is stored with a value of the other type."""
    values: list[object] = ["5", 5, True, ["5"]]

    def put(n: int) -> bool:
        [result] = client.upsert([Item(f"i{n}", text="red", attributes={"a": values[n % 4]})])
        return result.error is None

    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(put, range(40)))
    kinds = {type(item.item.attributes["a"]) for item in client.list_items()}
    assert len(kinds) == 1 and sum(stored) == 10


def test_an_item_is_changed_whatever_else_it_has(client: Client) -> None:
    """What it had before its attribute had a type does not stand in the way."""
    client.upsert([Item("a", text="red", attributes={"extra": {"deep": 1}, "price": 1})]).raise_for_errors()
    client.upsert([Item("b", text="red", attributes={"extra": "text"})]).raise_for_errors()
    client.upsert([Item("a", attributes={"price": 2})], merge=True).raise_for_errors()
    [wrong] = client.upsert([Item("a", attributes={"extra": {"deep": 1}})], merge=True)
    assert isinstance(wrong.error, itemlens.InvalidArgument)
    [found] = client.recommend(text="red", filter="price = 2", attributes=["extra"])
    assert found.attributes == {"extra": {"deep": 1}}


def test_a_type_that_the_server_does_not_know_is_refused(server: Server) -> None:
    stub = catalog_pb2_grpc.CatalogStub(grpc.insecure_channel(server.address))
    request = catalog_pb2.CreateCollectionRequest(name="unknown-type")
    request.settings.attributes.add(name="a", type=99)
    with pytest.raises(grpc.RpcError) as raised:
        stub.CreateCollection(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_types_can_be_given(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.create_collection("default", attributes={"released": "time", "ean": AttributeType.INTEGER})
        [early, late, wrong] = client.upsert([
            Item("early", text="red", attributes={"released": "2025-05-01", "ean": "9007199254740993"}),
            Item("late", text="red", attributes={"released": "2026-05-01T10:00:00+02:00", "place": PLACE}),
            Item("wrong", text="red", attributes={"released": "last year"}),
        ])  # fmt: skip
        assert early.error is None and late.error is None
        assert "'released': 'last year' is not a time" in str(wrong.error)
        [found] = client.recommend(text="red", filter='released >= "2026-01-01"', attributes=["released"])
        assert (found.item_id, found.attributes) == ("late", {"released": "2026-05-01T10:00:00+02:00"})
        [exact] = client.recommend(text="red", filter="ean = 9007199254740993", attributes=["ean"])
        assert exact.attributes == {"ean": "9007199254740993"}
        [near] = client.recommend(text="red", filter="near(place, 1.001, 2.001, 1)")
        assert near.item_id == "late"
        with pytest.raises(itemlens.InvalidArgument, match="of item 'early': '2025-05-01' is not a place"):
            client.update_collection("default", attributes={"released": "point"})
        changed = client.update_collection("default", attributes={"released": "string"})
        with pytest.raises(
            itemlens.InvalidArgument, match="'n' of item 'y': '9007199254740993' is not a number"
        ):
            client.create_collection("mixed", attributes={"n": "integer"})
            mixed = [
                Item("x", text="red", attributes={"n": 5}),
                Item("y", text="red", attributes={"n": "9007199254740993"}),
            ]
            client.upsert(mixed, collection="mixed").raise_for_errors()
            client.update_collection("mixed", attributes={})
        # A type that is not given any more is that of the first value.
        assert changed.attributes == {"released": "string", "ean": "string", "place": "point"}
        assert len(client.recommend(text="red", filter='released = "2025-05-01"')) == 1
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        assert client.get_collection().attributes["released"] == "string"
        assert len(client.recommend(text="red", filter='released = "2025-05-01"')) == 1


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        ("price <", "the filter is wrong at character 8, at its end"),
        ("prize < 5", "'prize' is no attribute of the collection; did you mean 'price'"),
        ("price = 'x'", "'price' is compared with a number"),
        ("in_stock and " * 100_000, "the filter has 1300000 characters, the limit is 10000"),
        ("not " * 1000 + "in_stock", "nested more than 50 deep"),
    ],
)
def test_a_wrong_filter_is_an_error_wherever_it_is(client: Client, filter_: str, message: str) -> None:
    client.upsert(shop(3)).raise_for_errors()
    calls = (
        lambda: client.recommend(text="red", filter=filter_),
        lambda: client.explain(["i01"], text="red", filter=filter_),
        lambda: list(client.list_items(filter=filter_)),
        lambda: client.delete_matching(filter_),
    )
    for call in calls:
        with pytest.raises(itemlens.InvalidArgument, match="(?s).*" + message) as raised:
            call()
        assert raised.value.violations[0].field == "filter"
    assert client.get_collection().item_count == 3
