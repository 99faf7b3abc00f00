"""Rules over gRPC: set, named in replies, told in explanations, refused where they are wrong."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
import pytest

import itemlens
from itemlens import AsyncClient, BlockRule, CapRule, Client, Collection, FloorRule, Item, ListChange, PinRule
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc
from support.serving import Server

COLOURS = ("red", "green", "blue")
SPRING = PinRule(name="spring", pins={1: "i19", 3: "i18"}, surfaces=["home"])
RULES = (
    SPRING,
    BlockRule(name="recall", item_ids=("i00",)),
    BlockRule(name="dear", filter="price > 100"),
    CapRule(name="brands", attribute="brand", places=4),
    CapRule(name="share", attribute="brand", share=0.5, filter="price < 5"),
    FloorRule(
        name="own", filter='brand = "b1"', places=2, start=datetime(2020, 1, 1, tzinfo=UTC),
        end=datetime(2120, 1, 1, 12, 30, tzinfo=UTC),
    ),
)  # fmt: skip


def shop(client: Client) -> None:
    """Shoes of three colours and two brands."""
    client.upsert(
        [
            Item(f"i{n:02}", text=f"{COLOURS[n % 3]} shoe {n}", attributes={"brand": f"b{n % 2}", "price": n})
            for n in range(20)
        ]
    ).raise_for_errors()


def test_rules_are_kept_as_they_are_given(client: Client, collection: str) -> None:
    shop(client)
    changed = client.update_collection(collection, rules=RULES)
    expected = (PinRule(name="spring", pins=SPRING.pins, surfaces=("home",)), *RULES[1:])
    assert changed.rules == client.get_collection().rules == expected
    # Other settings stay, and so do rules when others change.
    assert client.update_collection(collection, attributes={}).rules == expected
    assert client.update_collection(collection, rules=[]).rules == ()


def test_a_list_names_its_rules(client: Client, collection: str) -> None:
    shop(client)
    plain = client.recommend(text="red shoe", k=6)
    client.update_collection(collection, rules=RULES)
    found = client.recommend(text="red shoe", k=6, surface="home")
    assert [found[0].item_id, found[2].item_id] == ["i19", "i18"]
    assert found[0].rules == found[2].rules == ("spring",) and found[0].rank > 1
    assert "i00" not in [item.item_id for item in found] and found.eligible_items == 19
    assert {change.rule for change in found.changes} == {rule.name for rule in RULES}
    assert ListChange("", 0, 2, "spring") in found.changes and ListChange("", 0, 1, "recall") in found.changes
    assert next(c for c in found.changes if c.rule == "brands").most == 4

    elsewhere = client.recommend(text="red shoe", k=6)
    assert "spring" not in {change.rule for change in elsewhere.changes}
    off = client.recommend(text="red shoe", k=6, disabled_rules=["*"])
    assert off.items == plain.items and off.changes == () and off.warnings == ()
    some = client.recommend(text="red shoe", k=20, disabled_rules=["recall", "brands"])
    assert "i00" in [item.item_id for item in some] and len(some) == 20


def test_an_explanation_names_rules(client: Client, collection: str) -> None:
    shop(client)
    client.update_collection(collection, rules=RULES)
    found = client.recommend(text="red shoe", k=4, surface="home")
    pinned, blocked = client.explain(["i19", "i00"], recommendation_id=found.recommendation_id)
    assert pinned.rules == ("spring",) and pinned.score == pytest.approx(found[0].score, abs=1e-5)
    assert abs(pinned.residual) < 1e-4
    assert isinstance(blocked.error, itemlens.InvalidArgument) and "rule 'recall' blocks 'i00'" in str(
        blocked.error
    )
    there, gone = client.explain(["i19", "i00"], text="red shoe")
    assert there.error is None and "rule 'recall' blocks 'i00'" in str(gone.error)
    [again] = client.explain(["i00"], text="red shoe", surface="home", disabled_rules=["recall"])
    assert again.error is None
    with pytest.raises(ValueError, match="known of a recommendation"):
        client.explain(["i19"], recommendation_id=found.recommendation_id, disabled_rules=["spring"])


@pytest.mark.parametrize(
    ("rules", "field", "message"),
    [
        ([SPRING, BlockRule(name="recall", item_ids=["i19"])], "rules[1].block.item_ids[0]", "pinned and blocked"),
        ([PinRule(name="a b", pins={1: "i00"})], "rules[0].name", "not a valid name"),
        ([FloorRule(name="own", filter="prize > 3", places=1)], "rules[0].filter", "did you mean 'price'"),
        ([CapRule(name="c", attribute="brnd", places=1)], "rules[0].cap.attribute", "is no attribute"),
        ([FloorRule(name="f", filter='brand = "b1"', share=1.5)], "rules[0].floor.share", "not a share"),
        ([PinRule(name="p", pins={0: "i00"})], "rules[0].pin.pins[0].position", "must be 1 to 1000"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_and_the_old_ones_stay(
    client: Client, collection: str, rules: list[itemlens.Rule], field: str, message: str
) -> None:
    shop(client)
    client.update_collection(collection, rules=[SPRING])
    with pytest.raises(itemlens.InvalidArgument, match=message) as raised:
        client.update_collection(collection, rules=rules)
    assert raised.value.violations[0].field == f"settings.{field}"
    assert [rule.name for rule in client.get_collection().rules] == ["spring"]


def test_an_empty_list_blocks_nothing_and_is_refused(client: Client, collection: str) -> None:
    shop(client)
    with pytest.raises(ValueError, match="item_ids is empty: leave the rule out"):
        client.update_collection(
            collection, rules=[BlockRule(name="recalls", item_ids=[], filter="in_stock")]
        )
    some, every = BlockRule(name="a", item_ids=("i00",)), BlockRule(name="b", filter="price > 100")
    assert client.update_collection(collection, rules=[some, every]).rules == (some, every)


def test_raw_messages_do_no_harm(server: Server, client: Client, collection: str) -> None:
    """What the Python client does not send."""
    shop(client)
    wrong = [
        catalog_pb2.Rule(name="none"),
        catalog_pb2.Rule(name="nan", cap=catalog_pb2.CapRule(attribute="brand", share=float("nan"))),
        catalog_pb2.Rule(name="many", block=catalog_pb2.BlockRule(item_ids=map(str, range(100_000)))),
        catalog_pb2.Rule(
            name="long", filter="in_stock and " * 100_000, block=catalog_pb2.BlockRule(all_matching=True)
        ),
    ]
    all_and_some = catalog_pb2.BlockRule(item_ids=["i00"], all_matching=True)
    wrong.append(catalog_pb2.Rule(name="both", filter="in_stock", block=all_and_some))
    # An empty list of today's recalls must not block all that is in stock.
    wrong.append(catalog_pb2.Rule(name="recalls", filter="in_stock", block=catalog_pb2.BlockRule()))
    late = catalog_pb2.Rule(name="late", block=catalog_pb2.BlockRule(item_ids=["i00"]))
    late.end_time.seconds = 2**62
    with grpc.insecure_channel(server.address) as channel:
        stub = catalog_pb2_grpc.CatalogStub(channel)
        for rule in (*wrong, late):
            request = catalog_pb2.UpdateCollectionRequest(
                name=collection, settings=catalog_pb2.CollectionSettings(rules=[rule])
            )
            with pytest.raises(grpc.RpcError) as raised:
                stub.UpdateCollection(request)
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert client.get_collection().rules == ()


def test_lists_are_whole_while_rules_change(client: Client, collection: str) -> None:
    """A list is made under the rules of one moment."""
    shop(client)
    sets = [[PinRule(name=f"r{n}", pins={1: f"i{n:02}", 2: f"i{n + 10:02}"})] for n in range(3)]
    client.update_collection(collection, rules=sets[0])
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(client.recommend, text="red shoe", k=4) for _ in range(60)]
        for n in range(30):
            client.update_collection(collection, rules=sets[n % 3])
        for future in asked:
            first, second, *_ = future.result()
            [name] = first.rules
            number = int(name[1:])
            assert second.rules == (name,)
            assert [first.item_id, second.item_id] == [f"i{number:02}", f"i{number + 10:02}"]


def test_the_asyncio_client_has_the_same(server: Server, client: Client, collection: str) -> None:
    async def update() -> Collection:
        async with AsyncClient(server.address) as other:
            return await other.update_collection(collection, rules=[SPRING])

    assert asyncio.run(update()).rules == client.get_collection().rules != ()


def test_a_new_collection_may_have_rules(client: Client, collection: str) -> None:
    client.delete_collection(collection)
    created = client.create_collection(collection, rules=[FloorRule(name="own", filter="own", places=1)])
    assert [rule.name for rule in created.rules] == ["own"]
    client.upsert([Item("a", text="red", attributes={"own": True})]).raise_for_errors()
    assert client.recommend(text="red").changes == (ListChange("", 0, 0, "own"),)
