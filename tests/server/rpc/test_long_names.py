"""Names of any length cause the right error, not RESOURCE_EXHAUSTED because of gRPC's header limit."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.message import Message

from itemlens.v1 import catalog_pb2, common_pb2, itemlens_pb2
from itemlens_server.app import Server
from itemlens_server.config import Settings
from support import raw
from support.spaces import Tiny

LENS, CATALOG = "/itemlens.v1.ItemLens/", "/itemlens.v1.Catalog/"


@pytest.fixture(scope="module")
def channel(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    data = tmp_path_factory.mktemp("data")
    server = Server(Settings(models=tiny.models, data=data, listen="127.0.0.1:0", threads=2))
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        raw.unary_unary(channel, CATALOG + "CreateCollection")(
            catalog_pb2.CreateCollectionRequest(name="default").SerializeToString(), timeout=30
        )
        yield channel
    server.stop()


def requests(name: str) -> dict[str, Message]:
    content = common_pb2.Content(channel=name, text="red")
    user = common_pb2.UserSide(user_id=name)
    asked = common_pb2.UserSide(query=[content])
    return {
        LENS + "GetSpace": itemlens_pb2.GetSpaceRequest(space=name),
        LENS + "GetStatistics": itemlens_pb2.GetStatisticsRequest(space=name),
        LENS + "Encode": itemlens_pb2.EncodeRequest(space=name, inputs=[content]),
        LENS + "Fuse": itemlens_pb2.FuseRequest(space=name, inputs=[itemlens_pb2.FuseInput(contents=[content])]),
        LENS + "Recommend": itemlens_pb2.RecommendRequest(user=user),
        LENS + "Recommend#": itemlens_pb2.RecommendRequest(user=asked),
        LENS + "Explain": itemlens_pb2.ExplainRequest(recommendation_id=name, item_ids=["a"]),
        LENS + "Explain#": itemlens_pb2.ExplainRequest(user=asked, item_ids=["a"], language=name),
        CATALOG + "CreateCollection": catalog_pb2.CreateCollectionRequest(name=name),
        CATALOG + "CreateCollection#": catalog_pb2.CreateCollectionRequest(name="new", space=name),
        CATALOG + "GetCollection": catalog_pb2.GetCollectionRequest(name=name),
        CATALOG + "UpdateCollection": catalog_pb2.UpdateCollectionRequest(name="default", space=name),
        CATALOG + "DeleteCollection": catalog_pb2.DeleteCollectionRequest(name=name),
        CATALOG + "GetItems": catalog_pb2.GetItemsRequest(item_ids=[name]),
        CATALOG + "ListItems": catalog_pb2.ListItemsRequest(page_token=name),
        CATALOG + "DeleteItems": catalog_pb2.DeleteItemsRequest(item_ids=[name]),
        CATALOG + "GetCounts": catalog_pb2.GetCountsRequest(collection=name),
        CATALOG + "ListEvents": catalog_pb2.ListEventsRequest(page_token=name),
        CATALOG + "DeleteEvents": catalog_pb2.DeleteEventsRequest(event_ids=[name]),
        CATALOG + "MergeUsers": catalog_pb2.MergeUsersRequest(from_user_id=name, into_user_id="u"),
        CATALOG + "DeleteUser": catalog_pb2.DeleteUserRequest(user_id=name),
        CATALOG + "RecordEvents": catalog_pb2.RecordEventsRequest(collection=name),
        CATALOG + "ListStreams": catalog_pb2.ListStreamsRequest(collection=name),
    }  # fmt: skip


@pytest.mark.parametrize("letter", ["x", "日", "%"], ids=["ascii", "cjk", "escaped"])
@pytest.mark.parametrize("method", requests(""))
def test_the_error_is_the_callers(channel: grpc.Channel, method: str, letter: str) -> None:
    request = requests(letter * 60_000)[method]
    with pytest.raises(grpc.RpcError) as refused:
        raw.unary_unary(channel, method.rstrip("#"))(request.SerializeToString(), timeout=30)
    code = refused.value.code()
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
    assert 0 < len(refused.value.details() or "") < 1100


def test_a_priority_of_any_length_is_quoted_short(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError, match="it must be one of interactive, bulk") as refused:
        raw.unary_unary(channel, LENS + "GetSpace")(
            b"", timeout=30, metadata=(("itemlens-priority", "x" * 5000),)
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
