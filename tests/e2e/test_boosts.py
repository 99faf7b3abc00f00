"""Boosts over gRPC: in requests, in the settings of a collection, in explanations; and wrong ones."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

import itemlens
from itemlens import Boost, ByItem, ByValue, Client, HalfLife, Item, Linear, Log, PartKind, Steps
from itemlens.v1 import common_pb2, itemlens_pb2, itemlens_pb2_grpc
from support.serving import Server
from support.spaces import Tiny

COLOURS = ("red", "green", "blue")
TODAY = datetime.now(UTC)
EVERY_SHAPE = (
    Boost("season", "released", HalfLife(nats=2, half_life=10), by_default=True),
    Boost("price", "price", Linear(slope=-0.01, origin=20), missing_nats=-1, least_nats=-0.3, most_nats=0.5),
    Boost("sold", "sold", Log(nats=0.2, scale=5)),
    Boost("margin", "price", Steps([(10, 0.1), (20, 0.2)])),
    Boost("colour", "colour", ByValue({"blue": 0.5})),
    Boost("stock", "in_stock", ByValue({True: 0.1, False: -3})),
    Boost("easter", "released", Linear(slope=0.001), from_time=TODAY),
)


def fill(client: Client) -> None:
    client.upsert([
        Item(f"i{n:02}", text=f"{COLOURS[n % 3]} shoe {n}",
             attributes={"price": n, "in_stock": n % 4 > 0, "colour": COLOURS[n % 3], "sold": n * n,
                         "released": TODAY - timedelta(days=n)})
        for n in range(40)
    ]).raise_for_errors()  # fmt: skip


def boosts(parts: tuple[itemlens.Part, ...]) -> dict[str, float]:
    return {part.name: round(part.value, 3) for part in parts if part.kind is PartKind.BOOST}


@pytest.fixture
def shop(client: Client) -> Client:
    name = client.get_collection().name
    client.update_collection(name, attributes={"released": "time"})
    fill(client)
    return client


def test_each_shape_adds_its_part_and_explain_tells_the_same(shop: Client) -> None:
    choice = [*EVERY_SHAPE[1:], Boost("items", shape=ByItem({"i10": 1.25, "nothing": 5})),
              Boost("season", "released", HalfLife(nats=2, half_life=10))]  # fmt: skip
    found = shop.recommend(text="red shoe", boosts=choice, parts=True, k=40)
    [ten] = [item for item in found if item.item_id == "i10"]
    assert boosts(ten.parts) == pytest.approx({
        "price": 0.1, "sold": 0.2 * math.log(21), "margin": 0.1, "stock": 0.1, "easter": 0.01, "items": 1.25,
        "season": 1.0,
    }, abs=2e-3)  # fmt: skip
    by_id = shop.explain(["i10"], recommendation_id=found.recommendation_id)[0]
    by_user = shop.explain(["i10"], text="red shoe", boosts=choice)[0]
    for why in (by_id, by_user):
        assert abs(why.residual) < 1e-4
        assert boosts(why.by_channel) == boosts(why.by_place) == pytest.approx(boosts(ten.parts), abs=2e-3)
    assert by_id.score == ten.score


def test_boosts_of_settings_come_back_as_they_were_given_and_survive(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.create_collection("default", attributes={"released": "time"}, boosts=EVERY_SHAPE)
        fill(client)
        given = client.get_collection().boosts
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        assert client.get_collection().boosts == given
        assert [boost.name for boost in given] == [boost.name for boost in EVERY_SHAPE]
        assert given[1] == EVERY_SHAPE[1] and given[0] == EVERY_SHAPE[0]
        [first] = client.recommend(text="red shoe", parts=True, k=1)
        assert boosts(first.parts).keys() == {"season"}
        [first] = client.recommend(
            text="red shoe", parts=True, k=1, boosts=["margin"], without_boosts=["season"]
        )
        assert boosts(first.parts).keys() <= {"margin"}
        client.update_collection("default", boosts=[])
        assert client.get_collection().boosts == ()
        assert boosts(client.recommend(text="red shoe", parts=True).items[0].parts) == {}


def test_a_strong_boost_is_warned_of(shop: Client) -> None:
    found = shop.recommend(text="red shoe", boosts=[Boost("price", "price", Linear(slope=0.5))])
    assert [w.reason for w in found.warnings] == ["BOOST_OUTWEIGHS"]
    assert found.items[0].item_id == "i39"


@pytest.mark.parametrize(
    ("boost", "field", "message"),
    [
        (Boost("b", "prize", Linear(slope=1)), "boosts[0].attribute", "did you mean 'price'"),
        (Boost("b", "colour", Linear(slope=1)), "boosts[0].linear", "values fits it, not linear"),
        (Boost("b", "price", Steps([(2, 1), (1, 1)])), "boosts[0].steps.steps[1].start", "ascending"),
        (Boost("b", "price", HalfLife(nats=1e9, half_life=1)), "boosts[0].half_life.nats", "give -20 to 20 nats"),
        (Boost("b", shape=ByItem(dict.fromkeys(map(str, range(10**6)), 1.0))), "boosts[0].items.nats", "1000000 items"),
        (Boost(""), "boosts[0].name", "not a valid name"),
        ("spring", "boosts[0].name", "'spring' is no boost"),
    ],
)  # fmt: skip
def test_a_wrong_boost_is_refused_with_its_field(
    shop: Client, boost: Boost | str, field: str, message: str
) -> None:
    for call in (
        lambda: shop.recommend(text="red", boosts=[boost]),
        lambda: shop.explain(["i01"], text="red", boosts=[boost]),
    ):
        with pytest.raises(itemlens.InvalidArgument, match=message) as raised:
            call()
        assert raised.value.violations[0].field == field


def test_wrong_boosts_of_settings_are_refused(shop: Client) -> None:
    name = shop.get_collection().name
    twice = [Boost("b", "price", Linear(slope=1))] * 2
    with pytest.raises(itemlens.InvalidArgument, match="'b' occurs twice") as raised:
        shop.update_collection(name, boosts=twice)
    assert raised.value.violations[0].field == "settings.boosts[1].name"
    with pytest.raises(itemlens.InvalidArgument, match="values fits it"):
        shop.update_collection(name, boosts=[Boost("b", "colour", Linear(slope=0.5))])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(server: Server, shop: Client, value: float) -> None:
    """The client refuses them itself, so they are sent without it."""
    stub = itemlens_pb2_grpc.ItemLensStub(grpc.insecure_channel(server.address))
    request = itemlens_pb2.RecommendRequest(collection=shop.get_collection().name)
    request.user.user_id = "u"
    request.boosts.append(
        common_pb2.Boost(name="b", attribute="price", linear=common_pb2.LinearShape(slope=value))
    )
    with pytest.raises(grpc.RpcError) as raised:
        stub.Recommend(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "boosts[0].linear.slope" in str(raised.value.details())


def test_a_list_that_is_known_takes_no_boosts(server: Server, shop: Client) -> None:
    found = shop.recommend(text="red shoe", k=1)
    stub = itemlens_pb2_grpc.ItemLensStub(grpc.insecure_channel(server.address))
    request = itemlens_pb2.ExplainRequest(
        recommendation_id=found.recommendation_id, item_ids=["i00"], without_boosts=["b"]
    )
    with pytest.raises(grpc.RpcError, match="known of a recommendation") as raised:
        stub.Explain(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
