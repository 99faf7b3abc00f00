"""Requests and results of calls, for both clients."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import pytest

import itemlens
from itemlens import (
    ChannelWeight,
    Content,
    Event,
    FuseInput,
    Interaction,
    Item,
    Relation,
    StreamPosition,
    UserSide,
)
from itemlens.v1 import common_pb2, itemlens_pb2
from support.fake_server import FUSED, SPACE, Connect, Fake, numbers


def test_a_space_has_its_channels_and_their_kinds(client: Any) -> None:
    space = client.space()
    assert (space.space_id, space.fused_dimension, space.fitted) == (SPACE, FUSED, True)
    assert [(c.name, c.kind, c.dimension) for c in space.channels] == [
        ("title", itemlens.ChannelKind.TEXT, 4),
        ("photo", itemlens.ChannelKind.IMAGE, 3),
    ]


def test_encode_gives_float32_rows_in_the_order_of_the_inputs(client: Any, fake: Fake) -> None:
    encoded = client.encode(["red shoes", "green hat"], purpose="query", unit_length=True)
    np.testing.assert_array_equal(encoded.vectors, numbers(2, 2, 4))
    assert encoded.vectors.dtype == np.float32
    assert encoded[1].vector.role is itemlens.Role.CHANNEL
    assert encoded[1].vector.space_id == SPACE
    [request] = fake.asked("Encode")
    assert [c.channel for c in request.inputs] == ["title", "title"]
    assert request.purpose == itemlens_pb2.PURPOSE_QUERY
    assert request.unit_length


def test_encode_mixes_channels_and_keeps_each_inputs_error(client: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"from a file")
    encoded = client.encode(
        ["red", ""], pictures=[tmp_path / "a.png", b"bytes"], contents=[Content("title", text="blue")]
    )
    assert [result.error is None for result in encoded] == [True, False, True, True, True]
    assert [len(r.vector) if r.vector else None for r in encoded] == [4, None, 3, 3, 4]
    error = encoded[1].error
    assert isinstance(error, itemlens.InvalidArgument)
    assert error.violations[0].field == "inputs[1].text"
    with pytest.raises(itemlens.PartialFailure, match=r"1 of 5 failed, first \[1\]") as raised:
        _ = encoded.vectors
    assert raised.value.failures == ((1, error),)


def test_vectors_of_different_dimensions_do_not_form_a_matrix(client: Any) -> None:
    with pytest.raises(ValueError, match="different dimensions"):
        _ = client.encode(["red"], pictures=[b"x"]).vectors


def test_the_spaces_channels_are_asked_for_once(client: Any, fake: Fake) -> None:
    for _ in range(3):
        client.encode(["red"])
    client.encode(["red"], channel="title")
    assert len(fake.asked("GetSpace")) == 1


def test_named_channels_need_no_space(client: Any, fake: Fake) -> None:
    client.encode(["red"], channel="title")
    client.upsert([Item("a", texts={"title": "red"}, pictures={"photo": [b"x", b"y"]})])
    assert fake.asked("GetSpace") == []
    assert [c.channel for c in fake.asked("UpsertItems")[0].items[0].contents] == ["title", "photo", "photo"]


def test_a_vector_goes_back_as_it_came(client: Any, fake: Fake) -> None:
    vector = client.encode(["red"])[0].vector
    fused = client.fuse([FuseInput(vectors=[vector]), Item("a", text="red", picture=b"x")], role="query")
    [request] = fake.asked("Fuse")
    sent = request.inputs[0].vectors[0]
    np.testing.assert_array_equal(np.frombuffer(sent.data, "<f4"), np.asarray(vector))
    assert (sent.dimension, sent.space_id, sent.channel) == (4, SPACE, "title")
    assert sent.role == common_pb2.VECTOR_ROLE_CHANNEL
    assert request.role == common_pb2.VECTOR_ROLE_QUERY
    assert [c.channel for c in request.inputs[1].contents] == ["title", "photo"]
    assert fused.vectors.shape == (2, FUSED)
    assert fused[0].presence == {
        "title": itemlens.Presence.PRESENT,
        "photo": itemlens.Presence.PREDICTED,
    }
    client.recommend(query_vector=fused[0].vector)
    assert fake.asked("Recommend")[0].user.query_vector.role == common_pb2.VECTOR_ROLE_QUERY


def test_a_vector_is_an_array_that_knows_what_it_is(client: Any) -> None:
    vector = client.encode(["red"])[0].vector
    assert np.asarray(vector) is vector.values
    assert np.asarray(vector, dtype=np.float64).dtype == np.float64
    assert np.array(vector, copy=True).flags.writeable
    assert not vector.values.flags.writeable
    assert float(np.dot(vector, vector)) == pytest.approx(float((vector.values**2).sum()))
    assert repr(vector) == f"<Vector CHANNEL of channel title, 4 numbers, space {SPACE}>"


def test_recommend_sends_every_source(client: Any, fake: Fake) -> None:
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    recommended = client.recommend(
        "ann",
        history=["a", Interaction("b", "purchase", moment)],
        text="garden",
        picture=b"x",
        liked=["c"],
        disliked=["d"],
        source_weights=itemlens.SourceWeights(query=2.0),
        channel_weights={"title": ChannelWeight(weight=0.0)},
        behaviour_weight=0.0,
        max_interests=2,
        k=3,
        candidates=["a", "b"],
        exclude_seen=False,
        exact=True,
        parts=True,
        reasons=True,
        language="zh",
        query_vectors=True,
        probabilities=True,
    )
    [request] = fake.asked("Recommend")
    user = request.user
    assert user.user_id == "ann"
    assert [(past.item_id, past.type) for past in user.history] == [
        ("a", common_pb2.EVENT_TYPE_CLICK),
        ("b", common_pb2.EVENT_TYPE_PURCHASE),
    ]
    assert user.history[1].time.ToDatetime(UTC) == moment
    assert not user.history[0].HasField("time")
    assert [(c.channel, c.WhichOneof("value")) for c in user.query] == [
        ("title", "text"),
        ("photo", "picture"),
    ]
    assert (list(user.liked_item_ids), list(user.disliked_item_ids)) == (["c"], ["d"])
    assert user.source_weights.query == 2.0
    assert not user.source_weights.HasField("liked")
    assert user.channel_weights[0].HasField("weight")
    assert not user.channel_weights[0].HasField("threshold")
    assert user.HasField("behaviour_weight")
    assert user.max_interests == 2
    assert request.collection == "default"
    assert (request.k, request.exact, request.with_parts, request.with_reasons) == (3, True, True, True)
    assert request.HasField("exclude_seen")
    assert not request.exclude_seen
    assert request.language == "zh"
    assert request.with_probabilities

    assert [item.item_id for item in recommended] == ["i1", "i2", "i3"]
    assert recommended[0].parts[0].kind is itemlens.PartKind.CHANNEL
    assert [item.parts[0].is_share for item in recommended] == [False, True, False]
    assert [item.probability for item in recommended] == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert recommended.eligible_items == 7
    assert recommended.basis is itemlens.Basis.PRIOR
    assert recommended.warnings[0].reason == "UNKNOWN_ITEM"
    np.testing.assert_array_equal(np.asarray(recommended.interests[0].query_vector), numbers(1, FUSED))


def test_no_size_is_left_to_the_server(client: Any, fake: Fake) -> None:
    plain_answer = client.recommend(history=["a"])
    assert plain_answer[0].probability is None
    client.recommend(UserSide(history=["a"]), top_fraction=0.1)
    plain, share = fake.asked("Recommend")
    assert plain.WhichOneof("size") is None and not plain.with_probabilities
    assert share.WhichOneof("size") == "top_fraction"


def test_k_of_zero_is_sent_and_refused_by_the_server_not_dropped(client: Any, fake: Fake) -> None:
    client.recommend(history=["a"], k=0)
    assert fake.asked("Recommend")[0].WhichOneof("size") == "k"


def test_an_enum_value_of_a_newer_server_is_unspecified(client: Any, fake: Fake) -> None:
    fake.new_enums = True
    assert client.recommend(history=["a"])[0].parts[0].kind is itemlens.PartKind.UNSPECIFIED


def test_explain_gives_arrays_and_each_items_error(client: Any, fake: Fake) -> None:
    explained = client.explain(["i1", "bad"], recommendation_id="r1", heat_map="grid", sums=True)
    [request] = fake.asked("Explain")
    assert request.WhichOneof("side") == "recommendation_id"
    assert request.heat_map == itemlens_pb2.HEAT_MAP_FORMAT_GRID
    np.testing.assert_array_equal(explained[0].heat_maps[0].values, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(explained[0].sums[0].values, numbers(2, 2, 3))
    assert explained[0].sums[0].sources == ("a", "")
    assert isinstance(explained[1].error, itemlens.NotFound)
    with pytest.raises(itemlens.PartialFailure) as raised:
        explained.raise_for_errors()
    assert raised.value.code is grpc.StatusCode.NOT_FOUND
    assert not request.HasField("exclude_seen")
    client.explain(["i1"], "ann", exclude_seen=False)
    asked = fake.asked("Explain")[-1]
    assert asked.HasField("exclude_seen") and not asked.exclude_seen


def test_an_item_comes_back_as_it_was_given(client: Any, tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(b"second")
    given = Item(
        "a",
        text="red shoes",
        picture=b"first",
        pictures=[tmp_path / "b.jpg"],
        attributes={"price": 3, "sizes": (41, np.int64(42)), "brand": {"name": "X"}, "new": True},
        relations=[Relation("goes_with", "b")],
    )
    client.upsert([given]).raise_for_errors()
    stored, missing = client.get_items(["a", "b"], pictures=True)
    assert stored.item.texts == {"title": "red shoes"}
    assert stored.item.pictures == {"photo": (b"first", b"second")}
    assert stored.item.attributes == {"price": 3, "sizes": [41, 42], "brand": {"name": "X"}, "new": True}
    assert stored.item.relations == (Relation("goes_with", "b"),)
    assert isinstance(missing.error, itemlens.NotFound)


def test_upsert_returns_the_result_of_each_item(client: Any) -> None:
    written = client.upsert([Item("a", text="x"), Item("bad", text="x"), Item("long", text="x")], merge=True)
    assert [result.error is None for result in written] == [True, False, True]
    assert written[2].warnings[0].reason == "TEXT_TRUNCATED"
    with pytest.raises(itemlens.PartialFailure, match="it is bad"):
        written.raise_for_errors()


def test_list_items_reads_all_pages(client: Any, fake: Fake) -> None:
    client.upsert([Item(f"i{n}", texts={"title": "x"}) for n in range(7)])
    assert [stored.item.item_id for stored in client.list_items(page_size=3)] == [f"i{n}" for n in range(7)]
    assert [r.page_token for r in fake.asked("ListItems")] == ["", "3", "6"]


def test_unset_fields_of_events_stay_unset(client: Any, fake: Fake) -> None:
    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    # Ids of their own: a random one could begin with "bad", which the fake server refuses.
    plain, full = Event("ann", "a", event_id="e1"), Event("ann", "b", "purchase", moment, 2, 9.5, "r1", "e2")
    client.record_events([plain, full]).raise_for_errors()
    first, second = fake.asked("RecordEvents")[0].events
    assert first.event_id == "e1"
    assert not (first.HasField("time") or first.HasField("quantity") or first.HasField("value"))
    assert (second.event_id, second.quantity, second.value, second.recommendation_id) == ("e2", 2, 9.5, "r1")
    assert second.time.ToDatetime(UTC) == moment


def test_events_go_with_their_step_in_a_stream(client: Any, fake: Fake) -> None:
    client.record_events([Event("ann", "a", event_id="e1")], stream=StreamPosition("clicks", "7", "5", 2))
    client.record_events([Event("ann", "b", event_id="e2")])
    step, none = fake.asked("RecordEvents")
    assert (step.stream.stream, step.stream.position, step.stream.previous, step.stream.lag) == (
        "clicks", "7", "5", 2,
    )  # fmt: skip
    assert not none.HasField("stream")
    moment = datetime.fromtimestamp(1_700_000_000, UTC)
    assert client.list_streams(collection="shop") == [itemlens.EventStream("clicks", "7", 3, 2, moment)]
    assert fake.asked("ListStreams")[0].collection == "shop"


def test_every_event_has_its_own_id() -> None:
    assert len({Event("ann", "a").event_id for _ in range(100)}) == 100


def test_collections(client: Any, fake: Fake) -> None:
    assert client.create_collection("shop", allow_existing=True).name == "shop"
    assert client.get_collection("shop").create_time == datetime.fromtimestamp(1_700_000_000, UTC)
    assert [collection.name for collection in client.list_collections()] == ["default"]
    assert client.update_collection("shop", space="s2").space_id == SPACE
    assert client.delete_collection("shop") is None
    assert client.delete_items(["a"]).results[0].id == "a"


def test_a_user_is_deleted_everywhere_unless_told_otherwise(client: Any, fake: Fake) -> None:
    assert client.delete_user("ann") == 5
    client.delete_user("ann", collection="shop")
    assert [r.collection for r in fake.asked("DeleteUser")] == ["", "shop"]


def test_list_events_reads_all_pages(client: Any, fake: Fake) -> None:
    stored = list(client.list_events("ann", page_size=2))
    assert [s.event.event_id for s in stored] == [f"e{n}" for n in range(5)]
    assert [s.held_back for s in stored] == [False] * 4 + [True]
    event = stored[0].event
    assert (event.type, event.own_type, event.value, event.order_id) == ("own", "rating", 4.0, "o")
    assert [(r.user_id, r.page_token) for r in fake.asked("ListEvents")] == [
        ("ann", ""),
        ("ann", "2"),
        ("ann", "4"),
    ]


def test_events_are_deleted_and_users_merged(client: Any, fake: Fake) -> None:
    assert [result.id for result in client.delete_events(["e1", "e2"])] == ["e1", "e2"]
    assert client.merge_users("visitor", "ann") == 3
    client.merge_users("visitor", "ann", collection="shop")
    assert [(r.collection, r.from_user_id, r.into_user_id) for r in fake.asked("MergeUsers")] == [
        ("", "visitor", "ann"), ("shop", "visitor", "ann")
    ]  # fmt: skip


def test_statistics_have_every_field_of_the_reply(client: Any, fake: Fake) -> None:
    statistics = client.statistics()
    assert (statistics.cache_hits, statistics.cache_misses, statistics.cache_bytes) == (5, 6, 7)
    [encoder] = statistics.encoders
    fields = itemlens_pb2.EncoderStatistics.DESCRIPTOR.fields
    assert dataclasses.asdict(encoder) == {
        f.name: "title" if f.name == "channel" else f.number for f in fields
    }


def test_counts_are_described(client: Any, fake: Fake) -> None:
    assert client.get_counts("shop") == itemlens.Counts("d1", 5, 2, 3, 9, "")
    assert [request.collection for request in fake.asked("GetCounts")] == ["shop"]


def test_own_types_of_events_are_sent_and_stay_unless_they_are_given(client: Any, fake: Fake) -> None:
    rating = itemlens.OwnEventType(name="rating", weight=1.0, liked_from=4, disliked_to=2)
    client.create_collection("shop", event_types=[rating])
    client.update_collection("shop", space="s2")
    client.update_collection("shop", event_types=[])
    [created] = fake.asked("CreateCollection")
    [own] = created.settings.event_types
    assert (own.name, own.weight, own.liked_from, own.disliked_to) == ("rating", 1.0, 4.0, 2.0)
    moved, cleared = fake.asked("UpdateCollection")
    assert not moved.HasField("settings")
    assert cleared.HasField("settings") and cleared.settings_mask.paths == ["event_types"]


def test_exploration_is_sent_and_other_settings_stay(client: Any, fake: Fake) -> None:
    client.create_collection("shop", exploration=itemlens.Exploration(share=0.1))
    client.update_collection("shop", exploration=itemlens.Exploration(share=0.2, max_lists=7))
    [created] = fake.asked("CreateCollection")
    assert (created.settings.exploration.share, created.settings.exploration.max_lists) == (0.1, 100)
    [changed] = fake.asked("UpdateCollection")
    assert (changed.settings.exploration.share, changed.settings.exploration.max_lists) == (0.2, 7)
    assert changed.settings_mask.paths == ["exploration"]


def test_where_words_are_looked_for_is_sent_and_other_settings_stay(client: Any, fake: Fake) -> None:
    client.create_collection("shop", lexical=itemlens.Lexical(channels=["title"], attributes=["sku"]))
    client.create_collection("all", lexical=True)
    client.update_collection("shop", lexical=False)
    named, everything = fake.asked("CreateCollection")
    assert list(named.settings.lexical.channels) == ["title"]
    assert list(named.settings.lexical.attributes) == ["sku"]
    assert everything.settings.HasField("lexical") and not everything.settings.lexical.channels
    [changed] = fake.asked("UpdateCollection")
    assert changed.settings_mask.paths == ["lexical"] and not changed.settings.HasField("lexical")


def test_boosts_are_sent_and_stay_unless_they_are_given(client: Any, fake: Fake) -> None:
    season = itemlens.Boost("season", "released", itemlens.HalfLife(nats=1.5, half_life=60), by_default=True)
    client.create_collection("shop", boosts=[season])
    client.update_collection("shop", boosts=[])
    client.recommend("ann", boosts=["margin", season], without_boosts=["price"])
    client.explain(["i1"], "ann", boosts=["margin"], without_boosts=["price"])
    [created], [cleared] = fake.asked("CreateCollection"), fake.asked("UpdateCollection")
    [sent] = created.settings.boosts
    assert (sent.name, sent.attribute, sent.half_life.nats, sent.half_life.half_life) == (
        "season",
        "released",
        1.5,
        60,
    )
    assert sent.by_default and not sent.HasField("least_nats") and not sent.HasField("from_time")
    assert cleared.settings_mask.paths == ["boosts"] and not cleared.settings.boosts
    [asked] = fake.asked("Recommend")
    assert [boost.WhichOneof("shape") for boost in asked.boosts] == [None, "half_life"]
    for request in (asked, *fake.asked("Explain")):
        assert request.boosts[0].name == "margin" and request.without_boosts == ["price"]


def test_the_clients_collection_and_space_are_used(connect: Connect, fake: Fake) -> None:
    client = connect(collection="shop", space="s2")
    client.recommend(text="x")
    client.upsert([Item("a", text="x")], collection="other")
    client.encode(["x"])
    assert [r.name for r in fake.asked("GetCollection")] == ["shop", "other"]
    assert [r.space for r in fake.asked("GetSpace")] == [SPACE, "s2"]
    assert fake.asked("UpsertItems")[0].collection == "other"


def test_names_come_from_the_default_space_until_the_collection_is_there(client: Any, fake: Fake) -> None:
    fake.fail("GetCollection", grpc.StatusCode.NOT_FOUND)
    client.upsert([Item("a", text="x")])
    assert [r.space for r in fake.asked("GetSpace")] == [""]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.recommend(history="abc"), TypeError, "history must be a list"),
        (lambda c: c.recommend(histories=["a"]), TypeError, "unexpected keyword argument 'histories'"),
        (lambda c: c.recommend(UserSide(user_id="a"), liked=["b"]), ValueError, "not both: liked"),
        (lambda c: c.recommend("a", k=1, top_fraction=0.5), ValueError, "k or top_fraction"),
        (lambda c: c.recommend("a", candidates=[]), ValueError, "candidates is empty"),
        (lambda c: c.recommend("a", query_vector=np.zeros(3)), TypeError, "itemlens.Vector"),
        (lambda c: c.recommend(history=[Interaction("a", "gaze")]), ValueError, "gaze"),
        (lambda c: c.record_events([Event("u", "a", time=datetime(2024, 1, 1))]), ValueError, "no time zone"),
        (lambda c: c.encode("red"), TypeError, "texts must be a list"),
        (lambda c: c.encode(pictures=b"red"), TypeError, "pictures must be a list"),
        (lambda c: c.encode(["a"], pictures=[b"b"], channel="x"), ValueError, "use contents"),
        (lambda c: c.encode(contents=[Content("x")]), ValueError, "a text, a picture or a vector"),
        (lambda c: c.explain("i1", "ann"), TypeError, "item_ids must be a list"),
        (lambda c: c.explain(["i1"], "ann", recommendation_id="r"), ValueError, "not both"),
        (lambda c: c.explain(["i1"], recommendation_id="r", exclude_seen=True), ValueError, "leave it out"),
        (lambda c: c.explain(["i1"], recommendation_id="r", boosts=["b"]), ValueError, "leave them out"),
        (lambda c: c.recommend("ann", boosts="season"), TypeError, "boosts must be a list"),
        (lambda c: c.recommend("ann", boosts=[itemlens.Boost("b", "a", itemlens.Linear(slope=float("nan")))]),
         ValueError, r"boosts\[0\]: slope is nan"),
        (lambda c: c.recommend("ann", boosts=[itemlens.Boost("b", "a", cast(Any, 3))]),
         TypeError, "shape must be an itemlens"),
        (lambda c: c.get_items("i1"), TypeError, "item_ids must be a list"),
        (lambda c: c.encode(pictures=[bytes(65 << 20)], channel="photo"), ValueError, "send fewer entries"),
        (lambda c: c.space(timeout=-1), ValueError, "timeout"),
    ],
)  # fmt: skip
def test_mistakes_raise_before_anything_is_sent(
    client: Any, fake: Fake, call: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(client)
    assert {name for name, _ in fake.requests} <= {"GetSpace", "GetCollection"}
