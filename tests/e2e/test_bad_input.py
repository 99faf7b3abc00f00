"""Bad input: that entry gets a clear error with the right code and field, the rest is served, the server stays healthy.

The fixture `healthy_after` checks the health after every test here.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import field_mask_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from PIL import Image

import itemlens
from itemlens import Content, Event, FuseInput, Interaction, Item, Role, Vector
from itemlens.v1 import catalog_pb2, catalog_pb2_grpc, common_pb2, itemlens_pb2
from support import raw, spaces
from support.serving import Server
from support.spaces import Tiny

GOOD = spaces.picture("shoe", "red")
RED = Image.new("RGB", (40, 40), "red")


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header claims this size, with almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def jpeg(**options: object) -> bytes:
    return spaces.encoded(Image.open(io.BytesIO(spaces.picture("tour", "blue", side=200))), "JPEG", **options)


def error_of(result: itemlens.WriteResult | itemlens.EncodedInput | itemlens.FusedInput) -> tuple[str, str]:
    """The code and the field of an entry's error."""
    assert result.error is not None and result.error.message
    [violation] = result.error.details.violations
    return result.error.code.name, violation.field


def refused(call: grpc.RpcError) -> tuple[str, list[str], str]:
    """Code, BadRequest's fields and ErrorInfo's reason of a call that failed as a whole."""
    data = next(m.value for m in call.trailing_metadata() if m.key == "grpc-status-details-bin")
    bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(data).details:
        _ = detail.Unpack(bad) or detail.Unpack(info)
    return call.code().name, [v.field for v in bad.field_violations], info.reason


class TestTexts:
    @pytest.mark.parametrize("text", ["", "   \n\t", "\u200b\u200b", "\0\0"])
    def test_empty(self, client: itemlens.Client, text: str) -> None:
        encoded = client.encode(["before", text, "behind"])
        assert error_of(encoded[1]) == ("INVALID_ARGUMENT", "inputs[1].text")
        assert encoded[0].vector is not None and encoded[2].vector is not None
        written = client.upsert([Item("a", text="before"), Item("b", text=text)])
        assert written[0].error is None
        assert error_of(written[1]) == ("INVALID_ARGUMENT", "items[1].contents[0].text")
        with pytest.raises(itemlens.InvalidArgument) as error:
            client.recommend(text=text)
        assert error.value.violations[0].field == "user.query[0].text"

    def test_a_megabyte(self, client: itemlens.Client) -> None:
        encoded = client.encode(["red shoe", "word " * 200_000, "鞋" * 350_000])
        assert encoded[0].error is None
        for n in (1, 2):
            assert error_of(encoded[n]) == ("INVALID_ARGUMENT", f"inputs[{n}].text")
            assert "262144 bytes" in str(encoded[n].error)

    def test_longer_than_the_model_reads_is_cut_and_told(self, client: itemlens.Client) -> None:
        [result] = client.encode(["shoe " * 500])
        assert result.error is None
        assert [(w.reason, w.field) for w in result.warnings] == [("TEXT_TRUNCATED", "inputs[0].text")]
        [written] = client.upsert([Item("a", text="dress " * 500)])
        assert [(w.reason, w.field) for w in written.warnings] == [
            ("TEXT_TRUNCATED", "items[0].contents[0].text")
        ]

    def test_that_the_tokenizer_hardly_knows_is_told(self, client: itemlens.Client) -> None:
        [result] = client.encode(["ЖЖЖ ЩЩЩ ЮЮЮ"])
        assert result.error is None and [w.reason for w in result.warnings] == ["TEXT_UNKNOWN"]

    def test_bytes_that_are_no_text(self, server: Server, collection: str) -> None:
        # No client sends these bytes, but an attacker may. Field 2 of Content is a string.
        content = b"\x0a\x04text\x12\x02\xff\xfe"
        request = b"\x12" + bytes([len(content)]) + content
        call = raw.unary_unary(server.channel, "/itemlens.v1.ItemLens/Encode")
        with pytest.raises(grpc.RpcError) as error:
            call(request, timeout=30)
        assert refused(error.value)[0] == "INVALID_ARGUMENT"


class TestPictures:
    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(jpeg()[: len(jpeg()) // 2], id="truncated JPEG"),
            pytest.param(jpeg()[:20], id="JPEG header"),
            pytest.param(GOOD[: len(GOOD) // 2], id="truncated PNG"),
            pytest.param(png_header(50_000, 50_000), id="bomb"),
            pytest.param(png_header(20_000, 4_000), id="more pixels than allowed"),
            pytest.param(png_header(0, 5), id="no pixels"),
            pytest.param(b"", id="empty"),
            pytest.param(b"no picture at all", id="words"),
            pytest.param(b"%PDF-1.7 ...", id="another format"),
            pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="SVG"),
            pytest.param(b"\xff" * (10 << 20) + b"\xff", id="too many bytes"),
        ],
    )
    def test_that_cannot_be_read(self, client: itemlens.Client, data: bytes) -> None:
        encoded = client.encode(pictures=[GOOD, data, GOOD])
        assert error_of(encoded[1]) == ("INVALID_ARGUMENT", "inputs[1].picture")
        assert encoded[0].vector is not None and encoded[2].vector is not None
        written = client.upsert([Item("bad", text="red", pictures=[GOOD, data]), Item("good", picture=GOOD)])
        assert error_of(written[0]) == ("INVALID_ARGUMENT", "items[0].contents[2].picture")
        assert written[1].error is None
        # Nothing of the bad item is stored, not even its text.
        assert [i.error is None for i in client.get_items(["bad", "good"])] == [False, True]

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(spaces.encoded(Image.new("RGB", (1, 1), "red")), id="1 x 1"),
            pytest.param(spaces.encoded(Image.new("RGB", (3000, 1), "red")), id="a line"),
            pytest.param(spaces.encoded(Image.new("CMYK", (50, 40), (10, 200, 200, 5)), "JPEG"), id="CMYK"),
            pytest.param(spaces.encoded(Image.fromarray(np.full((40, 40), 40_000, np.uint16))), id="16 bit"),
            pytest.param(spaces.encoded(Image.new("1", (40, 40), 1)), id="1 bit"),
            pytest.param(spaces.encoded(Image.new("P", (40, 40), 3)), id="palette"),
            pytest.param(spaces.encoded(Image.new("LA", (40, 40), (9, 100))), id="grey with alpha"),
            pytest.param(spaces.encoded(Image.new("RGBA", (40, 40), (255, 0, 0, 0))), id="transparent"),
            pytest.param(
                spaces.encoded(
                    Image.new("P", (40, 40), 1), "GIF", save_all=True, append_images=[Image.new("P", (40, 40), 2)] * 5
                ),
                id="animated GIF",
            ),
            pytest.param(
                spaces.encoded(RED, "WEBP", save_all=True, append_images=[Image.new("RGB", (40, 40), "blue")]),
                id="animated WebP",
            ),
            pytest.param(spaces.encoded(RED, "TIFF"), id="TIFF"),
            pytest.param(spaces.encoded(RED, "BMP"), id="BMP"),
        ],
    )  # fmt: skip
    def test_that_are_unusual_but_fine(self, client: itemlens.Client, data: bytes) -> None:
        [result] = client.encode(pictures=[data])
        assert result.vector is not None and np.isfinite(result.vector.values).all()
        client.upsert([Item("a", picture=data)]).raise_for_errors()
        [again] = client.get_items(["a"], pictures=True)
        assert again.item.pictures
        client.upsert([Item("b", text="shoe")]).raise_for_errors()
        # The heat map, too, copes with them.
        [explained] = client.explain(["a"], picture=data, heat_map="png")
        assert explained.error is None and abs(explained.residual) < 1e-4
        assert Image.open(io.BytesIO(explained.heat_maps[0].png)).size == (32, 32)

    def test_an_animated_picture_counts_by_its_first_frame(self, client: itemlens.Client) -> None:
        red, blue = (Image.new("RGB", (40, 40), c) for c in ("red", "blue"))
        moving = spaces.encoded(red, "PNG", save_all=True, append_images=[blue])
        still = spaces.encoded(red)
        a, b = client.encode(pictures=[moving, still]).vectors
        np.testing.assert_allclose(a, b, atol=1e-5)


class TestBatches:
    def test_of_nothing(self, client: itemlens.Client) -> None:
        for call in (
            lambda: client.upsert([]),
            lambda: client.encode(),
            lambda: client.fuse([]),
            lambda: client.get_items([]),
            lambda: client.delete_items([]),
            lambda: client.record_events([]),
            lambda: client.explain([], text="red"),
        ):
            with pytest.raises(itemlens.InvalidArgument) as error:
                call()
            assert error.value.violations[0].field and "at least 1" in error.value.message

    def test_of_too_much(self, client: itemlens.Client) -> None:
        for call, field in (
            (lambda: client.encode(["red"] * 257), "inputs"),
            (lambda: client.fuse([FuseInput(text="red")] * 257), "inputs"),
            (lambda: client.upsert([Item(str(n), text="red") for n in range(1001)]), "items"),
            (lambda: client.get_items([str(n) for n in range(1001)]), "item_ids"),
            (lambda: client.delete_items([str(n) for n in range(1001)]), "item_ids"),
            (lambda: client.explain([str(n) for n in range(101)], text="red"), "item_ids"),
            (
                lambda: client.recommend(text="red", candidates=[str(n) for n in range(1001)]),
                "candidate_item_ids",
            ),
            (lambda: client.recommend(history=[str(n) for n in range(10_001)]), "user.history"),
            (lambda: client.recommend(liked=[str(n) for n in range(1001)]), "user.liked_item_ids"),
        ):
            with pytest.raises(itemlens.InvalidArgument) as error:
                call()
            assert error.value.violations[0].field == field and "limit" in error.value.message

    def test_an_id_twice_in_one_call(self, client: itemlens.Client) -> None:
        written = client.upsert([Item("a", text="first"), Item("b", text="red"), Item("a", text="second")])
        assert written[0].error is not None and written[0].error.code is grpc.StatusCode.ALREADY_EXISTS
        assert error_of(written[0]) == ("ALREADY_EXISTS", "items[0].item_id")
        assert written[1].error is None and written[2].error is None
        assert client.get_items(["a"])[0].item.texts == {"text": "second"}
        deleted = client.delete_items(["a", "a"])
        assert [d.error for d in deleted] == [None, None]

    def test_a_request_larger_than_a_message(self, server: Server, collection: str) -> None:
        item = catalog_pb2.Item(
            item_id="a", contents=[common_pb2.Content(channel="image", picture=b"x" * (65 << 20))]
        )
        channel = grpc.insecure_channel(server.address, options=[("grpc.max_send_message_length", -1)])
        call = channel.unary_unary(
            "/itemlens.v1.Catalog/UpsertItems",
            catalog_pb2.UpsertItemsRequest.SerializeToString,
            catalog_pb2.UpsertItemsResponse.FromString,
        )
        with channel, pytest.raises(grpc.RpcError) as error:
            call(catalog_pb2.UpsertItemsRequest(collection=collection, items=[item]), timeout=60)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class TestVectors:
    def vector(self, client: itemlens.Client, values: np.ndarray, **changed: Any) -> Vector:
        about: dict[str, Any] = {
            "role": Role.CHANNEL,
            "space_id": client.space().space_id,
            "channel": "text",
        } | changed
        return Vector(values.astype(np.float32), **about)

    @pytest.mark.parametrize(
        ("values", "field"),
        [
            pytest.param(np.full(32, np.nan), "data", id="NaN"),
            pytest.param(np.where(np.arange(32) == 3, np.inf, 1.0), "data", id="infinity"),
            pytest.param(np.zeros(32), "data", id="zero"),
            pytest.param(np.full(32, 3e38), "data", id="overflows"),
            pytest.param(np.full(32, 1e-40), "data", id="underflows"),
            pytest.param(np.ones(31), "dimension", id="too short"),
            pytest.param(np.ones(33), "dimension", id="too long"),
            pytest.param(np.ones(0), "dimension", id="empty"),
        ],
    )
    def test_of_wrong_numbers(self, client: itemlens.Client, values: np.ndarray, field: str) -> None:
        bad, good = FuseInput(vectors=[self.vector(client, values)]), FuseInput(text="red")
        for role in (Role.ITEM, Role.QUERY):
            fused = client.fuse([good, bad, good], role)
            assert error_of(fused[1]) == ("INVALID_ARGUMENT", f"inputs[1].vectors[0].{field}")
            for n in (0, 2):
                vector = fused[n].vector
                assert vector is not None and np.isfinite(vector.values).all()

    @pytest.mark.parametrize(
        ("changed", "code", "field"),
        [
            ({"role": Role.ITEM}, "INVALID_ARGUMENT", "role"),
            ({"role": Role.UNSPECIFIED}, "INVALID_ARGUMENT", "role"),
            ({"space_id": "sp-0000000000000000"}, "FAILED_PRECONDITION", "space_id"),
            ({"space_id": ""}, "FAILED_PRECONDITION", "space_id"),
            ({"channel": "smell"}, "INVALID_ARGUMENT", "channel"),
            ({"channel": "image"}, "INVALID_ARGUMENT", "dimension"),
        ],
    )
    def test_of_another_role_space_or_channel(
        self, client: itemlens.Client, changed: dict[str, object], code: str, field: str
    ) -> None:
        fused = client.fuse(
            [FuseInput(vectors=[self.vector(client, np.ones(32), **changed)]), FuseInput(text="red")]
        )
        assert error_of(fused[0]) == (code, f"inputs[0].vectors[0].{field}")
        assert fused[1].error is None

    def test_whose_bytes_do_not_fit_its_dimension(self, server: Server, collection: str) -> None:
        space_id = server.item_lens.GetSpace(itemlens_pb2.GetSpaceRequest()).space_id
        for data, dimension in ((b"\0" * 127, 32), (b"\0" * 128, 31), (b"", 2**32 - 1), (b"abc", 0)):
            vector = common_pb2.Vector(
                data=data,
                dimension=dimension,
                role=common_pb2.VECTOR_ROLE_CHANNEL,
                space_id=space_id,
                channel="text",
            )
            request = itemlens_pb2.FuseRequest(
                role=common_pb2.VECTOR_ROLE_ITEM, inputs=[itemlens_pb2.FuseInput(vectors=[vector])]
            )
            [result] = server.item_lens.Fuse(request, timeout=30).results
            assert (result.status.code, result.status.field) == (
                code_pb2.INVALID_ARGUMENT,
                "inputs[0].vectors[0].data",
            )

    @pytest.mark.parametrize(
        ("change", "code", "field"),
        [
            (lambda v: Vector(v.values, Role.ITEM, v.space_id), itemlens.InvalidArgument, "role"),
            (lambda v: Vector(v.values[:-1], Role.QUERY, v.space_id), itemlens.InvalidArgument, "dimension"),
            (lambda v: Vector(v.values * np.nan, Role.QUERY, v.space_id), itemlens.InvalidArgument, "data"),
            (lambda v: Vector(v.values * 0, Role.QUERY, v.space_id), itemlens.InvalidArgument, "data"),
            (lambda v: Vector(v.values, Role.QUERY, "sp-other"), itemlens.FailedPrecondition, "space_id"),
        ],
    )
    def test_that_cannot_ask(
        self,
        sample: itemlens.Client,
        change: Callable[[Vector], Vector],
        code: type[itemlens.ItemlensError],
        field: str,
    ) -> None:
        good = sample.fuse([FuseInput(text="red")], "query")[0].vector
        assert good is not None
        for call in (
            lambda v: sample.recommend(query_vector=v),
            lambda v: sample.explain(["item-0001"], query_vector=v),
        ):
            call(good)
            with pytest.raises(code) as error:
                call(change(good))
            assert f"user.query_vector.{field}" in str(error.value)


def refused_by_field(server: Server, *, field: str, **request: Any) -> None:
    """Check that a Recommend with a wrong field, sent without the client, is refused with the field's name."""
    user = common_pb2.UserSide(query=[common_pb2.Content(channel="text", text="red")])
    with pytest.raises(grpc.RpcError) as error:
        server.item_lens.Recommend(
            itemlens_pb2.RecommendRequest(collection="sample", user=user, **request), timeout=30
        )
    _, fields, _ = refused(error.value)
    assert fields == [field]


class TestAsking:
    @pytest.mark.parametrize("k", [0, 1001, 10**9, 2**32 - 1])
    def test_for_too_few_or_too_many(self, sample: itemlens.Client, k: int) -> None:
        with pytest.raises(itemlens.InvalidArgument) as error:
            sample.recommend(text="red", k=k)
        assert [v.field for v in error.value.violations] == ["k"]

    @pytest.mark.parametrize("fraction", [0.0, -1.0, 1.5, float("nan"), float("inf")])
    def test_for_an_impossible_share(self, server: Server, sample: itemlens.Client, fraction: float) -> None:
        # Sent without our client, which refuses NaN and infinity itself.
        refused_by_field(server, top_fraction=fraction, field="top_fraction")

    @pytest.mark.parametrize(
        ("user", "field"),
        [
            ({"source_weights": {"query": -1.0}}, "user.source_weights.query"),
            ({"source_weights": {"query": float("nan")}}, "user.source_weights.query"),
            ({"source_weights": {"liked": 3e38}}, "user.source_weights.liked"),
            ({"behaviour_weight": float("inf")}, "user.behaviour_weight"),
            ({"max_interests": 0}, "user.max_interests"),
            ({"max_interests": 6}, "user.max_interests"),
            ({"channel_weights": [{"channel": "text", "weight": -1.0}]}, "user.channel_weights[0].weight"),
            (
                {"channel_weights": [{"channel": "text", "threshold": float("nan")}]},
                "user.channel_weights[0].threshold",
            ),
            ({"channel_weights": [{"channel": "smell", "weight": 1.0}]}, "user.channel_weights"),
            ({"query": [{"channel": "smell", "text": "x"}]}, "user.query[1].channel"),
            ({"query": [{"channel": "text", "text": "x"}]}, "user.query[1]"),
            ({"query": [{"channel": "image"}]}, "user.query[1].picture"),
        ],
    )
    def test_with_a_wrong_side(
        self, server: Server, sample: itemlens.Client, user: dict[str, Any], field: str
    ) -> None:
        side = common_pb2.UserSide(query=[common_pb2.Content(channel="text", text="red")])
        side.MergeFrom(common_pb2.UserSide(**user))
        recommend = itemlens_pb2.RecommendRequest(collection="sample", user=side)
        explain = itemlens_pb2.ExplainRequest(collection="sample", user=side, item_ids=["item-0001"])
        for call in (
            lambda: server.item_lens.Recommend(recommend, timeout=30),
            lambda: server.item_lens.Explain(explain, timeout=30),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call()
            assert refused(error.value)[:2] == ("INVALID_ARGUMENT", [field])

    def test_for_nobody(self, server: Server, sample: itemlens.Client) -> None:
        for request in (
            itemlens_pb2.RecommendRequest(collection="sample"),
            itemlens_pb2.RecommendRequest(collection="sample", user=common_pb2.UserSide()),
        ):
            with pytest.raises(grpc.RpcError) as error:
                server.item_lens.Recommend(request, timeout=30)
            assert refused(error.value)[:2] == ("INVALID_ARGUMENT", ["user"])
        with pytest.raises(grpc.RpcError) as error:
            server.item_lens.Explain(
                itemlens_pb2.ExplainRequest(collection="sample", item_ids=["a"]), timeout=30
            )
        assert refused(error.value)[:2] == ("INVALID_ARGUMENT", ["side"])

    def test_in_another_language(self, server: Server, sample: itemlens.Client) -> None:
        refused_by_field(server, language="de", field="language")


class TestUnknown:
    def test_items(self, sample: itemlens.Client) -> None:
        items = sample.get_items(["item-0001", "gone"], vectors=True)
        assert items[0].error is None
        assert isinstance(items[1].error, itemlens.NotFound)
        assert items[1].error.details.violations[0].field == "item_ids[1]"
        explained = sample.explain(["item-0001", "gone"], text="red")
        assert explained[0].error is None and isinstance(explained[1].error, itemlens.NotFound)
        answer = sample.recommend(
            history=["item-0001", "gone"], liked=["lost"], candidates=["item-0002", "never"]
        )
        assert [i.item_id for i in answer] == ["item-0002"]
        assert {(w.reason, w.field) for w in answer.warnings} == {
            ("UNKNOWN_ITEM", "user.history"),
            ("UNKNOWN_ITEM", "user.liked_item_ids"),
            ("UNKNOWN_ITEM", "candidate_item_ids"),
        }
        with pytest.raises(itemlens.NotFound):
            sample.recommend(liked=["gone"])
        of_nothing_known = sample.recommend(history=["gone"])
        assert of_nothing_known.basis is itemlens.Basis.PRIOR and len(of_nothing_known) == 10
        assert [w.field for w in of_nothing_known.warnings] == ["user.history"]

    def test_items_cannot_be_deleted(self, client: itemlens.Client) -> None:
        client.upsert([Item("a", text="red")])
        deleted = client.delete_items(["gone", "a"])
        assert isinstance(deleted[0].error, itemlens.NotFound) and deleted[1].error is None

    def test_spaces_collections_users_and_recommendations(self, sample: itemlens.Client) -> None:
        for call, kind, name in (
            (lambda: sample.space("nope"), "space", "nope"),
            (lambda: sample.encode(["red"], channel="text", space="nope"), "space", "nope"),
            (lambda: sample.create_collection("new", space="nope"), "space", "nope"),
            (lambda: sample.get_collection("nope"), "collection", "nope"),
            (lambda: sample.recommend(liked=["a"], collection="nope"), "collection", "nope"),
            (lambda: sample.delete_collection("nope"), "collection", "nope"),
            (lambda: sample.delete_user("u", collection="nope"), "collection", "nope"),
            (lambda: sample.recommend(liked=["gone"]), "item", "gone"),
            (lambda: sample.explain(["item-0001"], recommendation_id="nope"), "recommendation", "nope"),
        ):
            with pytest.raises(itemlens.NotFound) as error:
                call()
            assert (error.value.details.resource_type, error.value.details.resource_name) == (kind, name)

    def test_methods(self, server: Server, collection: str) -> None:
        with pytest.raises(grpc.RpcError) as error:
            raw.unary_unary(server.channel, "/itemlens.v1.ItemLens/Nothing")(b"", timeout=30)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


class TestEvents:
    def test_sent_twice(self, client: itemlens.Client) -> None:
        event = Event("u", "a", event_id="e1", value=3.5)
        for times in range(2):
            [written] = client.record_events([event])
            assert written.error is None
            assert [w.reason for w in written.warnings] == ["DUPLICATE_EVENT"] * times
        # Also in one call, and without a time, which is then the time of arrival.
        twice = Event("u", "b", event_id="e2")
        assert [r.error for r in client.record_events([twice, twice])] == [None, None]
        assert client.get_collection().event_count == 2

    def test_sent_twice_and_differing(self, client: itemlens.Client) -> None:
        client.record_events([Event("u", "a", event_id="e1")])
        written = client.record_events([Event("u", "b", event_id="e1"), Event("u", "c", event_id="e3")])
        assert error_of(written[0]) == ("ALREADY_EXISTS", "events[0].event_id")
        assert written[1].error is None
        together = client.record_events([Event("u", "x", event_id="e4"), Event("u", "y", event_id="e4")])
        assert together[0].error is None and error_of(together[1]) == ("ALREADY_EXISTS", "events[1].event_id")

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"event_id": ""}, "event_id"), ({"user_id": ""}, "user_id"), ({"item_id": "x" * 257}, "item_id"),
            ({"type": 0}, "type"), ({"type": 99}, "type"), ({"quantity": float("nan")}, "quantity"),
            ({"value": float("inf")}, "value"), ({"time": {"seconds": 2**62}}, "time"),
            ({"time": {"nanos": -5}}, "time"),
        ],
    )  # fmt: skip
    def test_that_say_nothing(
        self, server: Server, collection: str, changed: dict[str, Any], field: str
    ) -> None:
        whole: dict[str, Any] = {
            "event_id": "e",
            "user_id": "u",
            "item_id": "i",
            "type": common_pb2.EVENT_TYPE_CLICK,
        }
        good = catalog_pb2.Event(**(whole | {"event_id": "good"}))
        bad = catalog_pb2.Event(**(whole | changed))
        reply = server.catalog.RecordEvents(
            catalog_pb2.RecordEventsRequest(collection=collection, events=[good, bad]), timeout=30
        )
        assert reply.results[0].status.code == 0
        status = reply.results[1].status
        assert (status.code, status.field) == (code_pb2.INVALID_ARGUMENT, f"events[1].{field}")


class TestItems:
    def test_attributes_that_cannot_be_kept(self, server: Server, collection: str) -> None:
        good, nan, deep = (
            catalog_pb2.Item(item_id=i, contents=[common_pb2.Content(channel="text", text="red")])
            for i in ("good", "nan", "deep")
        )
        nan.attributes["x"] = float("nan")
        inner = deep.attributes
        for _ in range(31):
            inner.update({"x": {}})
            inner = inner.fields["x"].struct_value
        reply = server.catalog.UpsertItems(
            catalog_pb2.UpsertItemsRequest(collection=collection, items=[good, nan, deep]), timeout=30
        )
        assert [(r.status.code, r.status.field) for r in reply.results] == [
            (0, ""),
            (code_pb2.INVALID_ARGUMENT, "items[1].attributes"),
            (code_pb2.INVALID_ARGUMENT, "items[2].attributes"),
        ]

    def test_attributes_of_many_levels_come_back(self, client: itemlens.Client) -> None:
        # protobuf reads 100 levels, of which each of these takes three: what is accepted can be given back.
        facts: dict[str, object] = {}
        for _ in range(30):
            facts = {"x": facts}
        client.upsert([Item("a", text="red", attributes=facts)]).raise_for_errors()
        assert client.get_items(["a"])[0].item.attributes == facts
        assert [i.item.attributes for i in client.list_items()] == [facts]

    def test_attributes_come_back_as_they_were(self, client: itemlens.Client) -> None:
        facts = {
            "price": 3.5,
            "whole": 7,
            "title": "红鞋",
            "none": None,
            "yes": True,
            "list": [1, "a", {"b": []}],
            "": {},
        }
        client.upsert([Item("a", text="red", attributes=facts)]).raise_for_errors()
        assert client.get_items(["a"])[0].item.attributes == facts

    @pytest.mark.parametrize(
        "item_id", ["a b", "日本", "a/b?c=d#e", "x" * 256, "'; DROP TABLE items; --", "%s{}"]
    )
    def test_any_words_do_as_an_id(self, client: itemlens.Client, item_id: str) -> None:
        client.upsert([Item(item_id, text="red shoe"), Item("other", text="blue dress")]).raise_for_errors()
        assert [i.item_id for i in client.recommend(text="red shoe", k=1)] == [item_id]
        assert client.get_items([item_id])[0].item.item_id == item_id
        assert client.delete_items([item_id])[0].error is None

    @pytest.mark.parametrize("item_id", ["", "x" * 257, "a\0b"])
    def test_what_is_no_id_is_refused(self, client: itemlens.Client, item_id: str) -> None:
        bad, good = client.upsert([Item(item_id, text="red shoe"), Item("other", text="blue dress")])
        assert isinstance(bad.error, itemlens.InvalidArgument) and good.error is None
        assert bad.error.violations[0].field == "items[0].item_id"

    @pytest.mark.parametrize("name", ["", "Upper", "a b", "x" * 65, "ä", "../up", "a\0"])
    def test_collections_of_impossible_names(self, client: itemlens.Client, name: str) -> None:
        with pytest.raises(itemlens.InvalidArgument) as error:
            client.create_collection(name)
        assert error.value.violations[0].field == "name"

    def test_changes_to_a_collection_without_a_name(self, server: Server, collection: str) -> None:
        for call in (
            lambda: server.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(), timeout=30),
            lambda: server.catalog.UpdateCollection(catalog_pb2.UpdateCollectionRequest(), timeout=30),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call()
            assert refused(error.value)[:2] == ("INVALID_ARGUMENT", ["name"])

    @pytest.mark.parametrize("token", ["zz", "-1", "f" * 40, "0x", " ", "१२"])
    def test_page_tokens_of_nobody(self, server: Server, collection: str, token: str) -> None:
        request = catalog_pb2.ListItemsRequest(collection=collection, page_token=token)
        try:
            reply = server.catalog.ListItems(request, timeout=30)
            assert not reply.items
        except grpc.RpcError as error:
            assert refused(error)[:2] == ("INVALID_ARGUMENT", ["page_token"])


class TestWaiting:
    def test_a_deadline_that_has_passed(self, client: itemlens.Client) -> None:
        client.upsert([Item("there", text="red")])
        texts = [f"{'word ' * 40}{n}" for n in range(256)]
        for seconds in (0.0001, 0.001, 0.004):
            for call in (
                lambda t: client.encode(texts, channel="text", timeout=t),
                lambda t: client.upsert(
                    [Item(f"i{n}", texts={"text": x}) for n, x in enumerate(texts)], timeout=t
                ),
            ):
                with contextlib.suppress(itemlens.DeadlineExceeded):
                    call(seconds)
        # A call past its deadline stores all of its items or none.
        stored = len(list(client.list_items()))
        assert stored in (1, 257)
        assert client.encode(["red"])[0].error is None

    def test_a_client_that_hangs_up_half_way_through_a_stream(self, server: Server, collection: str) -> None:
        # Arrange: two batches are acknowledged, the third is in flight.
        def batch(n: int) -> catalog_pb2.StreamUpsertItemsRequest:
            items = [
                catalog_pb2.Item(
                    item_id=f"{n}-{m}", contents=[common_pb2.Content(channel="text", text=f"red {m}")]
                )
                for m in range(50)
            ]
            return catalog_pb2.StreamUpsertItemsRequest(
                upsert=catalog_pb2.UpsertItemsRequest(collection=collection, items=items)
            )

        channel = grpc.insecure_channel(server.address)
        stream = channel.stream_stream(
            "/itemlens.v1.Catalog/StreamUpsertItems",
            catalog_pb2.StreamUpsertItemsRequest.SerializeToString,
            catalog_pb2.StreamUpsertItemsResponse.FromString,
        )
        responses = stream(batch(n) for n in range(1000))
        for _ in range(2):
            assert all(r.status.code == 0 for r in next(responses).upsert.results)
        # Act
        channel.close()
        # Assert: acknowledged batches are stored, and every batch is stored completely or not at all.
        with server.client(collection=collection) as client:
            ids = [i.item.item_id for i in client.list_items(page_size=1000)]
        counts = {n: sum(i.startswith(f"{n}-") for i in ids) for n in {i.partition("-")[0] for i in ids}}
        assert counts["0"] == counts["1"] == 50
        assert set(counts.values()) == {50}

    def test_a_bad_request_in_a_stream_fails_alone(self, server: Server, collection: str) -> None:
        good = catalog_pb2.UpsertItemsRequest(
            collection=collection,
            items=[catalog_pb2.Item(item_id="a", contents=[common_pb2.Content(channel="text", text="red")])],
        )
        requests = [
            good, catalog_pb2.UpsertItemsRequest(collection=collection),
            catalog_pb2.UpsertItemsRequest(collection="nope", items=good.items), good,
        ]  # fmt: skip
        replies = list(
            server.catalog.StreamUpsertItems(
                iter([catalog_pb2.StreamUpsertItemsRequest(upsert=r) for r in requests]), timeout=60
            )
        )
        statuses = [
            [(r.id, r.status.code, r.status.field) for r in reply.upsert.results] for reply in replies
        ]
        assert statuses == [
            [("a", 0, "")],
            [("", code_pb2.INVALID_ARGUMENT, "upsert.items")],
            [("", code_pb2.NOT_FOUND, "upsert.collection")],
            [("a", 0, "")],
        ]

    def test_idle_streams_do_not_keep_others_from_being_served(self, server: Server, collection: str) -> None:
        # More streams than the server has threads. Their callers send nothing more.
        with idle_streams(server, collection, 40) as answered:
            assert answered == 40
            assert server.healthy()
            with server.client() as client:
                assert client.encode(["red"])[0].error is None

    def test_idle_streams_take_no_room_of_calls(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, max_calls=1) as server:
            with server.client() as client:
                client.create_collection("c")
            with idle_streams(server, "c", 4), server.client() as client:
                assert client.encode(["red"])[0].error is None


@contextmanager
def idle_streams(server: Server, collection: str, count: int) -> Iterator[int]:
    """Open streams that send nothing more. Yields the number of answered ones."""
    import queue

    opened: list[tuple[queue.SimpleQueue[Any], Any]] = []
    event = catalog_pb2.Event(event_id="e", user_id="u", item_id="i", type=common_pb2.EVENT_TYPE_VIEW)
    record = catalog_pb2.RecordEventsRequest(collection=collection, events=[event])
    try:
        for _ in range(count):
            requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
            stream = server.catalog.StreamRecordEvents(iter(requests.get, None))
            opened.append((requests, stream))
            requests.put(catalog_pb2.StreamRecordEventsRequest(record=record))
            next(stream)
        yield len(opened)
    finally:
        for requests, stream in opened:
            requests.put(None)
            stream.cancel()


class TestSpaces:
    def test_collections_of_other_encoders_cannot_be_mixed(
        self, client: itemlens.Client, tiny: Tiny, collection: str
    ) -> None:
        client.upsert([Item("a", text="red")]).raise_for_errors()
        with pytest.raises(itemlens.FailedPrecondition, match="other encoders"):
            client.update_collection(
                collection, space=tiny.other, event_types=[itemlens.OwnEventType(name="w", weight=1.0)]
            )
        assert client.get_collection(collection).event_types == ()  # nothing is half done
        with pytest.raises(itemlens.FailedPrecondition, match="other encoders"):
            client.create_collection(collection, space=tiny.other, allow_existing=True)
        with pytest.raises(itemlens.AlreadyExists):
            client.create_collection(collection)

    @pytest.mark.parametrize(
        ("mask", "settings", "field", "said"),
        [
            (["exploration"], None, "settings_mask", "needs `settings`"),
            (
                ["exploration", "colour"], catalog_pb2.CollectionSettings(), "settings_mask.paths[1]",
                "'colour' is no setting",
            ),
        ],
    )  # fmt: skip
    def test_a_mask_that_names_no_setting_or_has_no_settings(
        self, server: Server, mask: list[str], settings: Any, field: str, said: str
    ) -> None:
        request = catalog_pb2.UpdateCollectionRequest(
            name="default", settings=settings, settings_mask=field_mask_pb2.FieldMask(paths=mask)
        )
        with pytest.raises(grpc.RpcError) as error:
            catalog_pb2_grpc.CatalogStub(server.channel).UpdateCollection(request, timeout=30)
        code, fields, _ = refused(error.value)
        assert (code, fields) == ("INVALID_ARGUMENT", [field]) and said in str(error.value.details())

    def test_a_role_that_cannot_be_fused(self, client: itemlens.Client) -> None:
        wrong: Any = "channel"
        with pytest.raises(itemlens.InvalidArgument) as error:
            client.fuse([FuseInput(text="red")], wrong)
        assert error.value.violations[0].field == "role"
        with pytest.raises(itemlens.InvalidArgument) as error:
            client.fuse(
                [FuseInput(text="red")], "item", channel_weights={"text": itemlens.ChannelWeight(weight=2)}
            )
        assert error.value.violations[0].field == "channel_weights"

    def test_a_history_of_kinds_that_nobody_knows(self, server: Server, sample: itemlens.Client) -> None:
        unknown: Any = 77
        history = [
            common_pb2.Interaction(item_id="item-0001", type=unknown),
            common_pb2.Interaction(item_id="item-0002"),
        ]
        request = itemlens_pb2.RecommendRequest(
            collection="sample", user=common_pb2.UserSide(history=history)
        )
        assert server.item_lens.Recommend(request, timeout=30).items
        assert sample.recommend(history=[Interaction("item-0001", "view")])
        assert Content("text", text="x")
