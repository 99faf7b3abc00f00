"""Random requests: the server answers any field values with a code that says what is wrong, never with INTERNAL, and
its replies contain finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.rpc import code_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from support import picture_files, raw, spaces
from support.serving import Server
from support.sizes import size
from support.spaces import Tiny

SERVICES = (
    itemlens_pb2.DESCRIPTOR.services_by_name["ItemLens"],
    catalog_pb2.DESCRIPTOR.services_by_name["Catalog"],
)
METHODS: dict[str, MethodDescriptor] = {m.full_name: m for s in SERVICES for m in s.methods}
OURS = {
    grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DATA_LOSS,
}  # fmt: skip
OUR_NUMBERS = {code.value[0] for code in OURS}
SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.fixture(scope="module")
def fuzzed(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate server, because the requests delete data."""
    with Server(tiny.models, tmp_path_factory.mktemp("fuzz") / "data") as running:
        yield running
    assert running.process.returncode == 0
    faults = [line for line in running.log if "internal error" in line or "Traceback" in line]
    assert faults == [], "".join(running.log[-80:])


def floats(count: int, value: float | None = None) -> bytes:
    rng = np.random.default_rng(count)
    return (rng.normal(size=count) if value is None else np.full(count, value)).astype("<f4").tobytes()


PICTURE = spaces.picture("shoe", "red")
FUSED = 20 + 12 + 4
# Values that pass the first checks, and some that do not, by field name.
STRINGS: dict[str, list[str]] = {
    "collection": ["", "fuzz", "default", "nope", "Ü"],
    "name": ["", "fuzz", "default", "nope", "Ü", "../x"],
    "item_id": ["a", "b", "c", "", "gone", "x" * 300, "\0"],
    "channel": ["text", "image", "", "smell"],
    "space": ["", "tiny", "fitted", "other", "nope"],
    "space_id": [],  # filled in with the spaces' ids
    "text": ["red shoe", "蓝色的裙", "", " ", "x" * 9000, "word " * 100, "\0", "\u202e\ufffd👟", "Ж" * 60],
    "user_id": ["u", "v", "", "nobody"],
    "language": ["", "en", "zh", "xx"],
    "recommendation_id": ["nope", ""],
    "attribute": ["price", "title", "nope", ""],
    "has": ["price", "nope", ""],
    "key": ["price", "title", "nope", ""],
    "filter": ["price < 5", "has(title)", "", "price <"],
    "disabled_rules": ["*", "own", ""],
    "page_token": ["", "1", "zz", "f" * 20],
    "stream": ["s", "", "x" * 300],
    "position": ["1", "2", "", "\0"],
    "previous": ["", "1", "2"],
}
ALIASES = {
    "item_ids": "item_id",
    "liked_item_ids": "item_id",
    "disliked_item_ids": "item_id",
    "candidate_item_ids": "item_id",
}
BYTES: dict[str, list[bytes]] = {
    "picture": [
        PICTURE,
        PICTURE[:50],
        b"",
        b"GIF89a",
        spaces.encoded(Image.new("RGB", (1, 1))),
        *(
            picture_files.mutated(np.random.default_rng(n), make())
            for n, make in enumerate(picture_files.kinds(24, 18).values())
        ),
    ],
    "data": [floats(n, v) for n in (32, 24, FUSED, 60) for v in (None, 0.0, np.nan, 3e38, 1e-42)]
    + [b"", b"abc"],
}
NUMBERS: dict[str, list[int]] = {
    "dimension": [32, 24, FUSED, 60, 0, 2**32 - 1],
    "k": [1, 5, 0, 1001, 2**32 - 1],
}
STRUCTS = [{}, {"x": float("nan")}, {"x": {"y": [None, {}, [1, "a"]]}}, {"title": "Red Shoe", "price": 3}]
KINDS = FieldDescriptor


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    name = ALIASES.get(field.name, field.name)
    match field.cpp_type:
        case KINDS.CPPTYPE_STRING if field.type == KINDS.TYPE_BYTES:
            return st.one_of(st.sampled_from(BYTES.get(name, [b""])), st.binary(max_size=40))
        case KINDS.CPPTYPE_STRING:
            known = st.sampled_from(STRINGS.get(name) or [""])
            return st.one_of(
                known, known, known, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
            )
        case KINDS.CPPTYPE_BOOL:
            return st.booleans()
        case KINDS.CPPTYPE_ENUM:
            assert field.enum_type is not None
            return st.one_of(st.sampled_from([v.number for v in field.enum_type.values]), st.integers(-9, 99))
        case KINDS.CPPTYPE_FLOAT:
            return st.one_of(
                st.sampled_from([0.0, 0.5, 1.0, -1.0, 3e38, np.nan, np.inf]), st.floats(0, 2, width=32)
            )
        case KINDS.CPPTYPE_DOUBLE:
            return st.floats()
        case KINDS.CPPTYPE_UINT32:
            return st.one_of(st.sampled_from(NUMBERS.get(name, [0, 1])), st.integers(0, 2**32 - 1))
        case KINDS.CPPTYPE_UINT64:
            return st.one_of(st.sampled_from([0, 1, 2**63 - 1, 2**63]), st.integers(0, 2**64 - 1))
        case KINDS.CPPTYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
        case KINDS.CPPTYPE_INT64:
            return st.one_of(st.integers(0, 2_000_000_000), st.integers(-(2**63), 2**63 - 1))
    raise AssertionError(f"no strategy for {field.full_name}")


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def fill(draw: st.DrawFn, held: Any, field: FieldDescriptor) -> None:
    """Set some entries of a map."""
    assert field.message_type is not None
    key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    for _ in range(draw(st.integers(1, 3))):
        name = draw(scalar(key))
        if value.message_type:
            held[name].CopyFrom(draw(messages(value.message_type)))
        else:
            held[name] = draw(scalar(value))


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor) -> Message:
    """Any message of a type, most of its fields set."""
    message = message_factory.GetMessageClass(descriptor)()
    if isinstance(message, Struct):
        message.update(draw(st.sampled_from(STRUCTS)))
        return message
    for field in descriptor.fields:
        recursive = field.message_type is descriptor
        if not draw(st.integers(0, 3)) or (recursive and draw(st.integers(0, 5))):
            continue
        strategy = messages(field.message_type) if field.message_type else scalar(field)
        if is_map(field):
            fill(draw, getattr(message, field.name), field)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(strategy, max_size=3)))
        elif field.message_type:
            getattr(message, field.name).CopyFrom(draw(strategy))
        else:
            setattr(message, field.name, draw(strategy))
    return message


def right(recommendation_id: str, space_id: str) -> dict[str, list[Message]]:
    """Valid requests by method, to be mutated."""
    text, picture = (
        common_pb2.Content(channel="text", text="red shoe"),
        common_pb2.Content(channel="image", picture=PICTURE),
    )
    vector = common_pb2.Vector(
        data=floats(32), dimension=32, role=common_pb2.VECTOR_ROLE_CHANNEL, space_id=space_id, channel="text"
    )
    asking = common_pb2.Vector(
        data=floats(FUSED), dimension=FUSED, role=common_pb2.VECTOR_ROLE_QUERY, space_id=space_id
    )
    past = common_pb2.Interaction(item_id="a", type=common_pb2.EVENT_TYPE_PURCHASE)
    sides = [
        common_pb2.UserSide(
            query=[text, picture], channel_weights=[common_pb2.ChannelWeight(channel="text", weight=2)]
        ),
        common_pb2.UserSide(
            history=[past, past], liked_item_ids=["b"], max_interests=2, behaviour_weight=1.0
        ),
        common_pb2.UserSide(
            user_id="u", disliked_item_ids=["b"], source_weights=common_pb2.SourceWeights(disliked=2)
        ),
        common_pb2.UserSide(query_vector=asking, query=[text]),
    ]
    item = catalog_pb2.Item(
        item_id="a", contents=[text, picture], relations=[catalog_pb2.Relation(type="goes_with", item_id="b")]
    )
    item.attributes.update({"price": 3, "more": {"x": [1, None]}})
    event = catalog_pb2.Event(
        event_id="e", user_id="u", item_id="a", type=common_pb2.EVENT_TYPE_CLICK, value=1.0
    )
    event.time.seconds = 1_700_000_000
    upsert = catalog_pb2.UpsertItemsRequest(collection="fuzz", items=[item, item], merge=True)
    texts = {"tags": catalog_pb2.Texts(texts=["new", "old"])}
    change = catalog_pb2.ItemUpdate(
        item_id="a", attributes=item.attributes, removed_attributes=["sale"], added_texts=texts
    )
    update = catalog_pb2.UpdateItemsRequest(
        collection="fuzz",
        updates=[change, catalog_pb2.ItemUpdate(item_id="a", removed_texts=texts, if_sequence_number=3)],
    )
    record = catalog_pb2.RecordEventsRequest(collection="fuzz", events=[event, event])
    step = catalog_pb2.RecordEventsRequest(
        collection="fuzz", events=[event], stream=catalog_pb2.StreamPosition(stream="s", position="1", lag=3)
    )
    compare = common_pb2.FilterComparison(
        attribute="price", op=common_pb2.FILTER_OPERATOR_LESS, value=common_pb2.FilterValue(number=9)
    )
    tree = common_pb2.Filter(
        all=[common_pb2.Filter(comparison=compare), common_pb2.Filter(none=[common_pb2.Filter(has="price")])]
    )
    rules = [
        catalog_pb2.Rule(
            name="pins", pin=catalog_pb2.PinRule(pins=[catalog_pb2.Pin(position=1, item_id="b")])
        ),
        catalog_pb2.Rule(name="recall", block=catalog_pb2.BlockRule(item_ids=["a", "c"])),
        catalog_pb2.Rule(name="brands", cap=catalog_pb2.CapRule(attribute="price", share=0.5)),
        catalog_pb2.Rule(name="own", filter="has(price)", floor=catalog_pb2.FloorRule(places=1)),
    ]
    ruled = catalog_pb2.UpdateCollectionRequest(
        name="fuzz", settings=catalog_pb2.CollectionSettings(rules=rules)
    )
    facets = [itemlens_pb2.FacetRequest(attribute="price"), itemlens_pb2.FacetRequest(attribute="title")]
    explain: dict[str, Any] = {
        "collection": "fuzz",
        "item_ids": ["a", "b"],
        "heat_map": itemlens_pb2.HEAT_MAP_FORMAT_PNG,
        "with_sums": True,
    }
    return {
        "Encode": [itemlens_pb2.EncodeRequest(inputs=[text, picture, text], unit_length=True)],
        "Fuse": [
            itemlens_pb2.FuseRequest(role=role, inputs=[itemlens_pb2.FuseInput(contents=[picture], vectors=[vector])])
            for role in (common_pb2.VECTOR_ROLE_ITEM, common_pb2.VECTOR_ROLE_QUERY)
        ],
        "Recommend": [
            *(
                itemlens_pb2.RecommendRequest(
                    collection="fuzz", user=side, k=5, with_parts=True, with_reasons=True, with_query_vectors=True,
                    candidate_item_ids=ids, exclude_seen=False,
                )
                for side in sides for ids in ([], ["a", "b"])
            ),
            itemlens_pb2.RecommendRequest(collection="fuzz", user=sides[0], filter_tree=tree, facets=facets),
            itemlens_pb2.RecommendRequest(
                collection="fuzz", user=sides[0], group_by="price", fold_duplicates=True, disabled_rules=["own"]
            ),
        ],
        "Explain": [
            *(itemlens_pb2.ExplainRequest(user=side, exclude_seen=False, **explain) for side in sides),
            itemlens_pb2.ExplainRequest(recommendation_id=recommendation_id, **explain),
        ],
        "UpdateCollection": [
            *(catalog_pb2.UpdateCollectionRequest(name="fuzz", space=s) for s in ("tiny", "fitted")), ruled
        ],
        "UpsertItems": [upsert],
        "StreamUpsertItems": [catalog_pb2.StreamUpsertItemsRequest(upsert=upsert)],
        "UpdateItems": [update],
        "StreamUpdateItems": [catalog_pb2.StreamUpdateItemsRequest(update=update)],
        "GetItems": [
            catalog_pb2.GetItemsRequest(collection="fuzz", item_ids=["a", "b"], with_pictures=True, with_vectors=True)
        ],
        "ListItems": [
            catalog_pb2.ListItemsRequest(collection="fuzz", page_size=1),
            catalog_pb2.ListItemsRequest(collection="fuzz", filter_tree=tree),
        ],
        "DeleteItems": [catalog_pb2.DeleteItemsRequest(collection="fuzz", item_ids=["a", "b"])],
        "RecordEvents": [record, step],
        "StreamRecordEvents": [catalog_pb2.StreamRecordEventsRequest(record=r) for r in (record, step)],
        "ListStreams": [catalog_pb2.ListStreamsRequest(collection="fuzz")],
        "ListEvents": [catalog_pb2.ListEventsRequest(collection="fuzz", user_id="u", page_size=1)],
        "DeleteEvents": [catalog_pb2.DeleteEventsRequest(collection="fuzz", event_ids=["e", "f"])],
        "GetCounts": [catalog_pb2.GetCountsRequest(collection="fuzz")],
        "MergeUsers": [
            catalog_pb2.MergeUsersRequest(collection="fuzz", from_user_id="u", into_user_id="v"),
            catalog_pb2.MergeUsersRequest(collection="fuzz", from_user_id="v", into_user_id="u"),
        ],
        "DeleteUser": [catalog_pb2.DeleteUserRequest(collection="fuzz", user_id="u")],
    }  # fmt: skip


def spoil(draw: st.DrawFn, message: Any) -> None:
    """Change one field of a message, or of one somewhere in it."""
    if isinstance(message, Struct):
        message.update(draw(st.sampled_from(STRUCTS)))
        return
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    held = getattr(message, field.name)
    if is_map(field):
        fill(draw, held, field)
        return
    there = len(held) > 0 if field.is_repeated else field.message_type and message.HasField(field.name)
    if field.message_type and there and draw(st.integers(0, 4)):
        spoil(draw, draw(st.sampled_from(list(held))) if field.is_repeated else held)
    elif field.message_type and field.is_repeated:
        held.extend(draw(st.lists(messages(field.message_type), min_size=1, max_size=2)))
    elif field.message_type:
        held.CopyFrom(draw(messages(field.message_type)))
    elif field.is_repeated:
        held.append(draw(scalar(field)))
    else:
        setattr(message, field.name, draw(scalar(field)))


@st.composite
def nearly(draw: st.DrawFn, seeds: list[Message]) -> Message:
    """A valid request with one to three changes."""
    seed = draw(st.sampled_from(seeds))
    spoilt = type(seed)()
    spoilt.CopyFrom(seed)
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, spoilt)
    return spoilt


def call(server: Server, method: MethodDescriptor, data: bytes) -> Message | grpc.StatusCode:
    """Send bytes to a method, as the one request of a stream if it is one."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    response = message_factory.GetMessageClass(method.output_type).FromString
    try:
        if not method.client_streaming:
            reply: Message = raw.unary_unary(server.channel, path, response)(data, timeout=60)
        else:
            [reply] = raw.stream_stream(server.channel, path, response)(iter([data]), timeout=60)
        return reply
    except grpc.RpcError as error:
        return error.code()


def refill(server: Server) -> str:
    """Make sure that there is data, and return the id of a recommendation."""
    for name in ("fuzz", "default"):
        server.catalog.CreateCollection(
            catalog_pb2.CreateCollectionRequest(name=name, allow_existing=True), timeout=30
        )
    item = catalog_pb2.Item(
        item_id="a",
        contents=[
            common_pb2.Content(channel="text", text="red shoe"),
            common_pb2.Content(channel="image", picture=PICTURE),
        ],
    )
    other = catalog_pb2.Item(item_id="b", contents=[common_pb2.Content(channel="text", text="blue dress")])
    server.catalog.UpsertItems(
        catalog_pb2.UpsertItemsRequest(collection="fuzz", items=[item, other]), timeout=30
    )
    event = catalog_pb2.Event(event_id="refill", user_id="u", item_id="a", type=common_pb2.EVENT_TYPE_CLICK)
    server.catalog.RecordEvents(
        catalog_pb2.RecordEventsRequest(collection="fuzz", events=[event]), timeout=30
    )
    request = itemlens_pb2.RecommendRequest(collection="fuzz", user=common_pb2.UserSide(liked_item_ids=["b"]))
    return server.item_lens.Recommend(request, timeout=30).recommendation_id


def check(reply: Message | grpc.StatusCode) -> None:
    """Check that a reply is finite, or that a status is not a fault of the server."""
    if not isinstance(reply, Message):
        assert reply not in OURS
        return
    for field, value in reply.ListFields():
        values = value if field.is_repeated else [value]
        if field.message_type is not None and not is_map(field):
            for element in values:
                if isinstance(element, common_pb2.ItemStatus):
                    assert element.code not in OUR_NUMBERS
                    assert (element.code == code_pb2.OK) == (not element.message)
                if isinstance(element, common_pb2.Matrix | common_pb2.Vector):
                    assert np.isfinite(np.frombuffer(element.data, "<f4")).all()
                check(element)
        elif field.cpp_type in (KINDS.CPPTYPE_FLOAT, KINDS.CPPTYPE_DOUBLE):
            assert np.isfinite(values).all(), f"{field.full_name} is {values}"


@settings(SETTINGS, max_examples=size(15, 600))
@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
def test_random_fields(fuzzed: Server, tiny: Tiny, name: str, data: st.DataObject) -> None:
    STRINGS["space_id"] = ["", tiny.plain, tiny.fitted, "nope"]
    STRINGS["recommendation_id"] = ["nope", "", refill(fuzzed)]
    method = METHODS[name]
    request = data.draw(messages(method.input_type))
    check(call(fuzzed, method, request.SerializeToString()))


@settings(SETTINGS, max_examples=size(40, 1000))
@pytest.mark.parametrize("name", right("", ""))
@given(data=st.data())
def test_right_requests_that_were_spoilt(fuzzed: Server, tiny: Tiny, name: str, data: st.DataObject) -> None:
    STRINGS["space_id"] = ["", tiny.plain, tiny.fitted, "nope"]
    recommendation_id = refill(fuzzed)
    STRINGS["recommendation_id"] = ["nope", "", recommendation_id]
    fuzzed.catalog.UpdateCollection(
        catalog_pb2.UpdateCollectionRequest(name="fuzz", space=tiny.fitted), timeout=30
    )
    method = next(m for m in METHODS.values() if m.name == name)
    request = data.draw(nearly(right(recommendation_id, tiny.fitted)[name]))
    check(call(fuzzed, method, request.SerializeToString()))


@settings(SETTINGS, max_examples=size(15, 320))
@pytest.mark.parametrize("name", METHODS)
@given(garbage=st.binary(max_size=60))
def test_random_bytes(fuzzed: Server, name: str, garbage: bytes) -> None:
    check(call(fuzzed, METHODS[name], garbage))


@pytest.mark.parametrize("name", METHODS)
def test_fields_of_the_future_are_passed_over(fuzzed: Server, name: str) -> None:
    unknown = b"\xf2\xd8\x04\x03abc" + b"\xd0\xd8\x05\x07"  # fields 9614 and 11306, which do not exist
    plain = call(fuzzed, METHODS[name], b"")
    with_unknown = call(fuzzed, METHODS[name], unknown)
    if isinstance(plain, Message):
        assert isinstance(with_unknown, Message)
    else:
        assert plain == with_unknown


def test_afterwards_the_server_serves(fuzzed: Server) -> None:
    assert fuzzed.healthy()
    refill(fuzzed)
    with fuzzed.client(collection="fuzz") as client:
        assert client.recommend(text="red shoe", candidates=["a", "b"])[0].item_id == "a"
