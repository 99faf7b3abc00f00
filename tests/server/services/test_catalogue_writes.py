"""Writes to collections: storing, merging, refusals, and the state after a restart."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository, Space
from itemlens_server.errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    SpaceMismatch,
    StorageFull,
)
from itemlens_server.fusion.counts import file
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.fusion.tables import Tables
from itemlens_server.index.hnsw import HnswIndex
from itemlens_server.services import ExplainOptions, QueryRequest, event_tables, upserts
from itemlens_server.services.encoding import Content
from itemlens_server.services.items import ItemInput
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import EventRecord
from support import spaces
from support.live import Live, contents, sample_catalogue
from support.spaces import Tiny

RED_SHOE, BLUE_DRESS = spaces.picture("shoe", "red"), spaces.picture("dress", "blue")


def pictures_of(live: Live, item_id: str) -> list[bytes]:
    stored = live.catalogue.reads.items(live.collection, [item_id], with_data=True)[item_id]
    return [i.data for i in stored.inputs if i.channel == "image"]


def h_of(live: Live, item_id: str) -> np.ndarray:
    view = live.collection.snapshot().view
    position = view.position(item_id)
    assert position is not None
    h: np.ndarray = view.h[position].copy()
    return h


def hung_up() -> CallContext:
    call = CallContext()
    call.end()
    return call


class TestUpsert:
    def test_the_default_collection_is_made_when_it_is_first_written_to(self, live: Live) -> None:
        for name in ("", "default"):
            _, _, collection = live.catalogue.upsert(
                name, [ItemInput("a", contents("red"), {}, ())], False, CallContext()
            )
            assert collection.name == "default"

    def test_another_collection_must_be_there(self, live: Live) -> None:
        with pytest.raises(NotFound, match="CreateCollection"):
            live.catalogue.upsert("other", [ItemInput("a", contents("red"), {}, ())], False, CallContext())

    def test_an_item_replaces_the_one_with_its_id(self, live: Live) -> None:
        live.put("a", "red shoe", [RED_SHOE], attributes={"price": 3}, relations=[("goes_with", "b")])
        live.put("a", "blue dress")
        document = live.catalogue.reads.items(live.collection, ["a"])["a"].document
        assert (document.texts, document.attributes, document.relations) == ({"text": "blue dress"}, {}, ())
        assert pictures_of(live, "a") == []
        assert live.collection.snapshot().view.alive_count == 1

    def test_of_one_id_twice_the_last_counts_and_the_earlier_is_told(self, live: Live) -> None:
        items = [ItemInput("a", contents(t), {}, ()) for t in ("first", "second")]
        [first, second], _, _ = live.catalogue.upsert("", items, False, CallContext())
        assert isinstance(first.error, AlreadyExists) and first.error.field == "item_id"
        assert second.error is None
        assert live.catalogue.reads.items(live.collection, ["a"])["a"].document.texts == {"text": "second"}

    def test_a_bad_item_does_not_hold_up_the_others(self, live: Live) -> None:
        items = [
            ItemInput("good", contents("red"), {}, ()),
            ItemInput("empty", contents("  "), {}, ()),
            ItemInput("cut", contents("red", [RED_SHOE[:60]]), {}, ()),
            ItemInput("last", contents("blue"), {}, ()),
        ]
        outcomes, _, _ = live.catalogue.upsert("", items, False, CallContext())
        assert [(o.id, o.error.field if o.error else None) for o in outcomes] == [
            ("good", None), ("empty", "contents[0].text"), ("cut", "contents[1].picture"), ("last", None),
        ]  # fmt: skip
        assert set(live.catalogue.reads.items(live.collection, ["good", "empty", "cut", "last"])) == {
            "good",
            "last",
        }

    @pytest.mark.parametrize(
        ("item", "field"),
        [
            (ItemInput("", contents("red"), {}, ()), "item_id"),
            (ItemInput("x" * 257, contents("red"), {}, ()), "item_id"),
            (ItemInput("a", [], {}, ()), "contents"),
            (ItemInput("a", [Content("text")], {}, ()), "contents[0].text"),
            (ItemInput("a", [Content("image")], {}, ()), "contents[0].picture"),
            (ItemInput("a", [Content("smell", "text", "rose")], {}, ()), "contents[0].channel"),
            (ItemInput("a", [Content("image", "text", "words")], {}, ()), "contents[0].picture"),
            (ItemInput("a", [Content("text", "picture", RED_SHOE)], {}, ()), "contents[0].text"),
            (ItemInput("a", [*contents("red"), *contents("blue")], {}, ()), "contents[1]"),
            (ItemInput("a", contents(None, [RED_SHOE] * 4), {}, ()), "contents[3]"),
            (ItemInput("a", contents("red"), {"x": float("nan")}, ()), "attributes"),
            (ItemInput("a", contents("red"), {"x": [{"y": float("inf")}]}, ()), "attributes"),
            (ItemInput("a", contents("red"), {}, (("", "b"),)), "relations[0].type"),
            (ItemInput("a", contents("red"), {}, (("goes_with", ""),)), "relations[0].item_id"),
            (ItemInput("a", contents("red"), {"x": "y" * (5 << 20)}, ()), ""),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_stored(
        self, live: Live, item: ItemInput, field: str
    ) -> None:
        [outcome], _, _ = live.catalogue.upsert("", [item], False, CallContext())
        assert isinstance(outcome.error, InvalidArgument)
        assert outcome.error.field == field and outcome.error.message
        assert live.store.reader().counts(live.collection.record.id)[0] == 0

    def test_attributes_that_are_nested_too_deep_could_not_be_given_back(self, live: Live) -> None:
        deep: object = 1
        for _ in range(40):
            deep = {"x": deep}
        assert live.put("a", "red", attributes={"x": deep}).error is not None

    def test_content_that_was_encoded_before_is_not_encoded_again(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("a", "red shoe", [RED_SHOE])
        encode = Mock(wraps=live.encoder.encode)
        monkeypatch.setattr(live.encoder, "encode", encode)
        live.put("b", "red shoe", [RED_SHOE])
        assert [len(call.args[1]) for call in encode.call_args_list] == [0]
        np.testing.assert_array_equal(h_of(live, "a"), h_of(live, "b"))
        assert pictures_of(live, "b") == [RED_SHOE]

    def test_a_picture_whose_last_item_goes_meanwhile_is_encoded_again(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("a", None, [RED_SHOE])
        encode = live.encoder.encode
        encoded: list[int] = []

        def deleting(space: Space, given: list[Content], *args: Any, **kwargs: Any) -> Any:
            # By now the upsert has decided to encode nothing, because the store has everything.
            if not encoded:
                live.catalogue.delete_items(live.collection, ["a"])
            encoded.append(len(given))
            return encode(space, given, *args, **kwargs)

        monkeypatch.setattr(live.encoder, "encode", deleting)
        assert live.put("b", "red shoe", [RED_SHOE]).error is None
        assert encoded == [1, 1] and pictures_of(live, "b") == [RED_SHOE]

    def test_an_item_that_loses_its_picture_meanwhile_and_is_refused_gives_no_attribute_a_type(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live.put("a", None, [RED_SHOE])
        encode = live.encoder.encode

        def deleting(space: Space, given: list[Content], *args: Any, **kwargs: Any) -> Any:
            live.catalogue.delete_items(live.collection, ["a"])
            if any(content.channel == "image" for content in given):
                return [InvalidArgument("not now") for _ in given]
            return encode(space, given, *args, **kwargs)

        monkeypatch.setattr(live.encoder, "encode", deleting)
        assert isinstance(
            live.put("b", "red", [RED_SHOE], attributes={"size": "large"}).error, InvalidArgument
        )
        assert live.put("c", "red", attributes={"size": 42.0}).error is None
        assert live.collection.attribute_types == {"size": "NUMBER"}

    def test_bytes_of_a_picture_sent_as_a_text_are_no_picture(self, live: Live) -> None:
        # The bytes of a picture can be valid text. The field in which they are sent decides.
        live.put("a", "BM words")
        outcome = live.catalogue.upsert(
            "", [ItemInput("b", [Content("image", "picture", b"BM words")], {}, ())], False, CallContext()
        )[0][0]
        assert outcome.error is not None and outcome.error.field == "contents[0].picture"

    @pytest.mark.parametrize(
        ("call", "error"), [(CallContext(0.0), DeadlineExceeded), (hung_up(), Cancelled)]
    )
    def test_nothing_is_stored_for_a_caller_who_does_not_wait_any_more(
        self, live: Live, call: CallContext, error: type[Exception]
    ) -> None:
        live.put("there", "red")
        with pytest.raises(error):
            live.catalogue.upsert("", [ItemInput("a", contents("blue"), {}, ())], False, call)
        assert set(live.catalogue.reads.items(live.collection, ["a", "there"])) == {"there"}


class TestMerge:
    def test_pictures_and_relations_are_added_and_texts_and_attributes_set(self, live: Live) -> None:
        live.put(
            "a", "red shoe", [RED_SHOE], attributes={"price": 3, "brand": "x"}, relations=[("goes_with", "b")]
        )
        live.put(
            "a", "blue shoe", [BLUE_DRESS], merge=True, attributes={"price": 4}, relations=[("part_of", "c")]
        )
        document = live.catalogue.reads.items(live.collection, ["a"])["a"].document
        assert document.texts == {"text": "blue shoe"}
        assert document.attributes == {"price": 4, "brand": "x"}
        assert document.relations == (("goes_with", "b"), ("part_of", "c"))
        assert pictures_of(live, "a") == [RED_SHOE, BLUE_DRESS]

    def test_gives_the_same_vector_as_the_whole_at_once(self, live: Live) -> None:
        live.put("a", None, [RED_SHOE])
        live.put("a", "red shoe", [BLUE_DRESS], merge=True)
        live.put("b", "red shoe", [RED_SHOE, BLUE_DRESS])
        np.testing.assert_allclose(h_of(live, "a"), h_of(live, "b"), atol=1e-6)

    def test_a_picture_that_is_there_is_not_added_twice(self, live: Live) -> None:
        live.put("a", None, [RED_SHOE])
        live.put("a", None, [RED_SHOE], merge=True)
        assert pictures_of(live, "a") == [RED_SHOE]

    def test_an_item_that_is_not_there_is_added(self, live: Live) -> None:
        assert live.put("a", "red", merge=True).error is None

    def test_attributes_alone_may_be_merged_into_an_item(self, live: Live) -> None:
        live.put("a", "red shoe", [RED_SHOE])
        before = h_of(live, "a")
        assert live.put("a", merge=True, attributes={"price": 5}).error is None
        assert live.catalogue.reads.items(live.collection, ["a"])["a"].document.attributes == {"price": 5}
        np.testing.assert_array_equal(h_of(live, "a"), before)

    def test_but_not_into_nothing(self, live: Live) -> None:
        live.put("there", "red")
        error = live.put("a", merge=True, attributes={"price": 5}).error
        assert isinstance(error, InvalidArgument) and error.field == "contents"

    def test_the_limit_of_pictures_holds_for_the_sum(self, live: Live) -> None:
        several = [spaces.picture("tour", "green", n) for n in range(4)]
        live.put("a", None, several[:2])
        error = live.put("a", None, several[2:], merge=True).error
        assert isinstance(error, InvalidArgument) and "limit is 3" in error.message
        assert len(pictures_of(live, "a")) == 2

    def test_many_at_once_into_one_item_are_all_taken_and_all_there(self, live: Live) -> None:
        live.put("a", "red shoe")

        def write(writer: int) -> list[object]:
            return [
                live.put(
                    "a", merge=True, attributes={f"{writer}-{n}": n}, relations=[("seen_by", f"{writer}")]
                ).error
                for n in range(20)
            ]

        with ThreadPoolExecutor(32) as threads:
            errors = [error for own in threads.map(write, range(32)) for error in own]
        assert errors == [None] * 640
        document = live.catalogue.reads.items(live.collection, ["a"])["a"].document
        assert document.attributes == {f"{writer}-{n}": n for writer in range(32) for n in range(20)}
        assert set(document.relations) == {("seen_by", f"{writer}") for writer in range(32)}

    def test_contents_merged_at_once_are_all_there_and_in_the_vector(self, live: Live) -> None:
        live.put("a", "red shoe")
        several = [spaces.picture("tour", "green", n) for n in range(3)]
        with ThreadPoolExecutor(3) as threads:
            assert [
                o.error for o in threads.map(lambda p: live.put("a", None, [p], merge=True), several)
            ] == [None] * 3
        assert sorted(pictures_of(live, "a")) == sorted(several)
        live.put("b", "red shoe", several)
        np.testing.assert_allclose(h_of(live, "a"), h_of(live, "b"), atol=1e-6)

    def test_is_with_the_item_as_it_is_when_its_turn_comes(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # While a merge's picture is encoded, the item is replaced and merged into by others.
        live.put("a", "red shoe", attributes={"price": 3})
        encode = live.encoder.encode

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            monkeypatch.setattr(live.encoder, "encode", encode)
            live.put("a", "blue dress", attributes={"brand": "x"})
            live.put("a", merge=True, attributes={"price": 4})
            return encode(*args, **kwargs)

        monkeypatch.setattr(live.encoder, "encode", interrupted)
        assert live.put("a", None, [RED_SHOE], merge=True, attributes={"stock": 1}).error is None
        document = live.catalogue.reads.items(live.collection, ["a"])["a"].document
        assert document.texts == {"text": "blue dress"}
        assert document.attributes == {"brand": "x", "price": 4, "stock": 1}
        live.put("b", "blue dress", [RED_SHOE])
        np.testing.assert_allclose(h_of(live, "a"), h_of(live, "b"), atol=1e-6)

    def test_into_many_items_refuses_the_wrong_ones_alone(self, live: Live) -> None:
        live.put("a", "red shoe")
        items = [ItemInput(i, [], {"price": 5}, ()) for i in ("a", "not-there")]
        [first, second], sequence, _ = live.catalogue.upsert("", items, True, CallContext())
        assert first.error is None and isinstance(second.error, InvalidArgument)
        assert live.catalogue.reads.items(live.collection, ["a"])["a"].sequence == sequence

    @pytest.mark.parametrize("picture", [None, BLUE_DRESS])
    def test_reads_vectors_only_of_items_whose_contents_change(
        self, live: Live, monkeypatch: pytest.MonkeyPatch, picture: bytes | None
    ) -> None:
        live.put("a", "red shoe", [RED_SHOE])
        read, with_vectors = Reader.items, list[str]()

        def recorded(
            self: Reader, collection: int, item_ids: Sequence[str], *args: Any, **kwargs: Any
        ) -> Any:
            if kwargs.get("vectors"):
                with_vectors.extend(item_ids)
            return read(self, collection, item_ids, *args, **kwargs)

        monkeypatch.setattr(Reader, "items", recorded)
        before = h_of(live, "a").copy()
        pictures = [picture] if picture else []
        assert live.put("a", None, pictures, merge=True, attributes={"price": 4}).error is None
        assert with_vectors == (["a"] if picture else [])
        assert np.array_equal(h_of(live, "a"), before) == (picture is None)

    def test_into_many_items_lets_other_writes_run_in_between(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"i{n}" for n in range(5)]
        for name in names:
            live.put(name, "red shoe")
        monkeypatch.setattr(upserts, "MERGED_AT_A_TIME", 2)
        before = live.catalogue.reads.counts(live.collection).sequence
        items = [ItemInput(name, [], {"price": 5}, ()) for name in names]
        outcomes, sequence, _ = live.catalogue.upsert("", items, True, CallContext())
        assert [(o.id, o.error) for o in outcomes] == [(name, None) for name in names]
        assert sequence == before + 3
        stored = live.catalogue.reads.items(live.collection, names)
        assert [item.document.attributes for item in stored.values()] == [{"price": 5}] * 5

    def test_that_fails_midway_says_which_items_are_stored(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"i{n}" for n in range(5)]
        for name in names:
            live.put(name, "red shoe")
        monkeypatch.setattr(upserts, "MERGED_AT_A_TIME", 2)
        write, written = live.store.write, list[Any]()

        def write_once(*given: Any) -> Any:
            if written:
                raise StorageFull("the store cannot grow")
            written.append(given)
            return write(*given)

        monkeypatch.setattr(live.store, "write", write_once)
        items = [ItemInput(name, [], {"price": 5}, ()) for name in names]
        outcomes, _, _ = live.catalogue.upsert("", items, True, CallContext())
        assert [type(o.error) for o in outcomes] == [type(None)] * 2 + [StorageFull] * 3
        stored = live.catalogue.reads.items(live.collection, names)
        assert [stored[name].document.attributes for name in names] == [{"price": 5}] * 2 + [{}] * 3


class TestAnUpdateOfTheSameContents:
    @pytest.fixture(autouse=True)
    def ties(self, live: Live) -> None:
        """Items of one text: equal scores, in the order of their rows."""
        for n in range(60):
            live.put(f"i{n:02d}", "red shoe", attributes={"price": n})
        live.put("other", "blue dress", [RED_SHOE])

    @pytest.mark.parametrize("merge", [True, False])
    def test_keeps_the_row_its_place_among_ties_and_the_graphs(self, live: Live, merge: bool) -> None:
        assert live.catalogue.maintain()
        request = QueryRequest(content=contents("red shoe"))
        before, view = [i.item_id for i in live.ask(request, k=10).items], live.collection.snapshot().view
        for n in range(60):
            text = None if merge else "red shoe"
            assert live.put(f"i{n:02d}", text, merge=merge, attributes={"price": 100 + n}).error is None
        assert not live.catalogue.maintain()
        after = live.collection.snapshot().view
        assert after.labels.tolist() == view.labels.tolist() and after.alive.all()
        assert [i.item_id for i in live.ask(request, k=10).items] == before
        assert live.catalogue.reads.items(live.collection, ["i07"])["i07"].document.attributes == {
            "price": 107
        }

    def test_is_read_at_once_and_after_a_restart(self, live: Live) -> None:
        _, first, _ = live.catalogue.upsert(
            "", [ItemInput("other", [], {"price": 9}, (("goes_with", "i01"),))], True, CallContext()
        )
        live.store.close()
        again = Live(live.repository, live.data, live.space_id)
        try:
            item = again.catalogue.reads.items(again.collection, ["other"])["other"]
            assert item.document.attributes == {"price": 9} and item.document.relations == (
                ("goes_with", "i01"),
            )
            assert item.sequence == first and item.document.texts == {"text": "blue dress"}
            assert pictures_of(again, "other") == [RED_SHOE]
        finally:
            again.close()

    def test_leaves_an_explanation_that_was_asked_for_before(self, live: Live) -> None:
        result = live.ask(QueryRequest(history=[Interaction("i01", CLICK)]), k=5)
        first = result.items[0].item_id
        live.put(first, merge=True, attributes={"price": 1})
        [explanation] = live.use_cases.explainer.explain_result(
            "", result.recommendation_id, [first], ExplainOptions(), CallContext()
        ).explanations
        assert explanation.error is None and explanation.score == result.items[0].score

    def test_is_taken_along_when_the_collection_moves(self, live: Live, tiny: Tiny) -> None:
        live.put("other", merge=True, attributes={"price": 9})
        live.catalogue.move("default", tiny.plain)
        assert live.collection.snapshot().view.alive_count == 61
        assert live.catalogue.reads.items(live.collection, ["other"])["other"].document.attributes == {
            "price": 9
        }


class TestDeadRows:
    def test_are_dropped_when_most_are_dead_while_the_graphs_stay(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        live = sample_catalogue(repository, tmp_path / "data", tiny.fitted, 300, candidates_per_channel=20)
        try:
            assert live.catalogue.maintain()
            index, request = live.collection.index, QueryRequest(content=contents("red shoe"))
            assert isinstance(index, HnswIndex) and index.graph_rows() == 301
            before = [(i.item_id, i.score) for i in live.ask(request, k=10).items]
            for n in range(8):
                items = [ItemInput(f"new-{i}", contents(f"blue kettle {n} {i}"), {}, ()) for i in range(100)]
                live.catalogue.upsert("", items, False, CallContext())
            live.catalogue.delete_items(live.collection, [f"new-{i}" for i in range(100)])
            view = live.collection.snapshot().view
            assert len(view.labels) < 2 * 301 + 1 and view.alive_count == 301
            assert index.graph_rows() == 301
            assert [(i.item_id, i.score) for i in live.ask(request, k=10).items] == before
            exact = [(i.item_id, i.score) for i in live.ask(request, k=10, exact=True).items]
            assert exact == before
            assert len(live.collection.snapshot().table_rows) == len(view.labels)
        finally:
            live.close()

    def test_are_dropped_after_deletes_and_in_a_collection_that_moves(self, live: Live, tiny: Tiny) -> None:
        for n in range(3):
            items = [ItemInput(f"i{i}", contents(f"red shoe {n} {i}"), {}, ()) for i in range(300)]
            live.catalogue.upsert("", items, False, CallContext())
        live.catalogue.delete_items(live.collection, [f"i{i}" for i in range(280)])
        assert len(live.collection.snapshot().view.labels) <= 20 + 256
        live.catalogue.move("default", tiny.plain)
        view = live.collection.snapshot().view
        assert view.alive_count == len(view.labels) == 20
        live.put("i299", "blue dress")
        assert {view.item_ids[p] for p in np.flatnonzero(view.alive)} == {f"i{i}" for i in range(280, 300)}


class TestEvents:
    @staticmethod
    def event(event_id: str = "e", **changed: Any) -> EventRecord:
        record = EventRecord(event_id=event_id, user_id="u", item_id="i", type=3, time=1.0)
        return replace(record, **changed)

    @pytest.fixture(autouse=True)
    def a_collection(self, live: Live) -> None:
        live.catalogue.create("default", "")

    def test_sent_twice_counts_once_and_is_told(self, live: Live) -> None:
        live.catalogue.record("", [self.event()])
        [again], _ = live.catalogue.record("", [self.event(time=2.0)])
        assert again.error is None and [n.reason for n in again.warnings] == ["DUPLICATE_EVENT"]
        assert live.store.reader().counts(live.collection.record.id)[1] == 1

    @pytest.mark.parametrize(
        "changed",
        [
            {"user_id": "v"},
            {"item_id": "j"},
            {"type": 5},
            {"quantity": 2.0},
            {"value": 9.5},
        ],
    )
    def test_that_says_something_else_under_the_same_id_is_refused(
        self, live: Live, changed: dict[str, Any]
    ) -> None:
        live.catalogue.record("", [self.event()])
        [again], _ = live.catalogue.record("", [self.event(**changed)])
        assert isinstance(again.error, AlreadyExists) and again.error.field == "event_id"

    def test_of_a_recommendation_and_the_same_without_it_are_different(self, live: Live) -> None:
        live.catalogue.record("", [self.event()])
        ours = live.catalogue.ids.make(live.collection.record.id, 1.0)
        [again], _ = live.catalogue.record("", [self.event(recommendation_id=ours)])
        assert isinstance(again.error, AlreadyExists) and again.error.field == "event_id"

    def test_with_a_recommendation_that_was_not_given_here_is_refused_alone(self, live: Live) -> None:
        live.catalogue.create("other", "")
        other = live.catalogue.ids.make(live.catalogue.collection("other").record.id, 1.0)
        ours = live.catalogue.ids.make(live.collection.record.id, 1.0)
        outcomes, _ = live.catalogue.record(
            "",
            [
                self.event("1", recommendation_id=ours),
                self.event("2", recommendation_id=other),
                self.event("3", recommendation_id="nope"),
                self.event("4"),
            ],
        )
        for refused in outcomes[1:3]:
            assert isinstance(refused.error, InvalidArgument) and refused.error.field == "recommendation_id"
        assert [o.error for o in (outcomes[0], outcomes[3])] == [None, None]
        assert live.store.reader().counts(live.collection.record.id)[1] == 2

    def test_of_a_user_are_deleted_in_one_collection_or_in_all(self, live: Live) -> None:
        live.catalogue.create("other", "")
        for name in ("default", "other"):
            live.catalogue.record(name, [self.event("1"), self.event("2", user_id="v")])
        assert live.delete_user("u", "other") == 1
        assert live.delete_user("u") == 1
        assert live.delete_user("nobody") == 0
        with pytest.raises(NotFound):
            live.delete_user("u", "missing")


class TestBehaviour:
    @pytest.fixture(autouse=True)
    def without_rest(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(event_tables, "REST", 0)

    @staticmethod
    def fill(live: Live, users: int) -> None:
        if not live.catalogue.collections():
            live.put("i0", "red shoe")
        live.record(*((f"u{n}", f"i{(n + m) % 6}", 5) for n in range(users) for m in range(2)))

    def test_is_learnt_from_enough_events_and_again_when_they_have_grown(self, live: Live) -> None:
        self.fill(live, 40)
        assert not live.collection.event_tables.fit_tables()
        self.fill(live, 40)
        assert live.collection.event_tables.fit_tables()
        assert not live.collection.event_tables.fit_tables()
        self.fill(live, 20)
        assert live.collection.event_tables.fit_tables()

    def test_is_there_again_after_a_restart(
        self, live: Live, repository: ModelRepository, tiny: Tiny
    ) -> None:
        self.fill(live, 80)
        live.collection.event_tables.fit_tables()
        old = live.collection.event_tables.tables
        live.store.close()
        again = Live(repository, live.data, tiny.fitted)
        new = again.collection.event_tables.tables
        again.close()
        assert old is not None and new is not None
        assert (old.behaviour != new.behaviour).nnz == (old.sequence != new.sequence).nnz == 0
        assert list(old.item_ids) == list(new.item_ids) and (old.takers == new.takers).all()

    @pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a zip", b"no zip at all"])
    def test_a_damaged_snapshot_is_learnt_again(
        self, live: Live, repository: ModelRepository, tiny: Tiny, damage: bytes
    ) -> None:
        self.fill(live, 80)
        while live.catalogue.maintain():
            pass
        files = list(live.collection.folder.path.glob("*.npz"))
        assert len(files) == 2
        for path in files:
            path.write_bytes(damage)
        live.store.close()
        again = Live(repository, live.data, tiny.fitted)
        try:
            assert (
                again.collection.event_tables.tables is not None
            )  # fitted before it serves, because there are few events
        finally:
            again.close()

    def test_a_deletion_counts_though_as_many_events_came_since(
        self, live: Live, repository: ModelRepository, tiny: Tiny
    ) -> None:
        self.fill(live, 80)
        live.record(("secret", "i0", 5), ("secret", "only-secret", 5))
        live.collection.event_tables.fit_tables()
        assert "only-secret" in live.tables.rows
        live.delete_user("secret")
        live.catalogue.record("", [EventRecord(f"new{n}", "x", f"i{n}", 5, 1e6 + n) for n in range(3)])
        # Also when the deletion happened while the server was down: the old table is not loaded.
        live.store.close()
        again = Live(repository, live.data, tiny.fitted)
        try:
            assert "only-secret" not in again.tables.rows
            again.catalogue.record("", [EventRecord("s", "secret", "only-secret", 5, 2e6)])
            again.catalogue.record(
                "", [EventRecord(f"m{n}", "y", f"i{n % 6}", 5, 3e6 + n) for n in range(40)]
            )
            assert again.collection.event_tables.fit_tables()
            again.delete_user("secret")
            again.catalogue.record("", [EventRecord(f"l{n}", "z", f"i{n}", 5, 4e6 + n) for n in range(2)])
            assert again.collection.event_tables.fit_tables()
            assert "only-secret" not in again.tables.rows
        finally:
            again.close()

    def test_is_learnt_again_after_a_failure_and_served_though_it_cannot_be_saved(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.fill(live, 80)

        def full(*_: object, **__: object) -> None:
            raise OSError("no space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(Tables, "save", full)
            patched.setattr(file, "save", full)
            live.catalogue.maintain()
            with pytest.raises(OSError, match="no space"):
                live.collection.maintain(live.store)
        assert live.collection.event_tables.tables is not None
        live.record(*((f"v{n}", f"i{n % 6}", 5) for n in range(40)))
        with monkeypatch.context() as patched:
            patched.setattr(Tables, "of", full)
            with pytest.raises(OSError, match="no space"):
                live.collection.event_tables.fit_tables()
        live.collection.event_tables._failed_until = 0.0  # it would rest for a minute
        assert live.collection.event_tables.fit_tables()

    def test_one_collection_that_fails_does_not_hold_up_the_others(
        self, live: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.fill(live, 80)
        broken = live.catalogue.create("a-broken-one", "")

        def fails(*_: object) -> bool:
            raise RuntimeError("broken")

        monkeypatch.setattr(broken.index, "build", fails)
        assert live.catalogue.maintain()
        assert live.collection.event_tables.tables is not None

    def test_of_a_deleted_user_nothing_stays(self, live: Live) -> None:
        self.fill(live, 80)
        live.record(*(("secret", f"i{n}", 5) for n in (0, 3)))
        live.collection.event_tables.fit_tables()
        live.delete_user("secret")
        assert live.collection.event_tables.fit_tables()
        neighbours = live.collection.event_tables.tables
        assert neighbours is not None
        for n in range(80):
            live.delete_user(f"u{n}")
        assert live.collection.event_tables.fit_tables()
        assert live.collection.event_tables.tables is None
        assert not (live.collection.folder.path / event_tables.TABLE_FILE).exists()
        assert not live.collection.event_tables.fit_tables()


class TestCollections:
    @pytest.mark.parametrize("name", ["", "Upper", "a b", "x" * 65, "ä", "a\n", "../up"])
    def test_a_name_that_does_not_do_is_refused(self, live: Live, name: str) -> None:
        with pytest.raises(InvalidArgument) as error:
            live.catalogue.create(name, "")
        assert error.value.field == "name"

    def test_a_name_is_taken_once_unless_that_is_allowed(self, live: Live, tiny: Tiny) -> None:
        created = live.catalogue.create("c", "")
        with pytest.raises(AlreadyExists):
            live.catalogue.create("c", "")
        assert live.catalogue.create("c", "", allow_existing=True) is created
        with pytest.raises(SpaceMismatch, match="other encoders"):
            live.catalogue.create("c", tiny.other, allow_existing=True)

    def test_one_that_is_there_in_another_space_is_told_how_to_move(self, live: Live, tiny: Tiny) -> None:
        of_plain = live.catalogue.create("c", tiny.plain)
        assert live.catalogue.create("c", "tiny", allow_existing=True) is of_plain
        with pytest.raises(SpaceMismatch, match=f"itemlens move c {tiny.fitted}"):
            live.catalogue.create("c", tiny.fitted, allow_existing=True)

    def test_one_that_was_fitted_since_is_still_that_of_its_first_space(self, live: Live, tiny: Tiny) -> None:
        live.catalogue.create("c", tiny.plain)
        fitted = live.catalogue.move("c", tiny.fitted)
        assert live.catalogue.create("c", tiny.plain, allow_existing=True) is fitted

    def test_what_changes_a_whole_collection_has_no_default(self, live: Live, tiny: Tiny) -> None:
        live.put("a", "red")
        for change in (lambda: live.catalogue.delete(""), lambda: live.catalogue.move("", tiny.plain)):
            with pytest.raises(InvalidArgument) as error:
                change()
            assert error.value.field == "name"
        assert "a" in live.catalogue.reads.items(live.collection, ["a"])

    def test_a_deleted_one_leaves_nothing(self, live: Live) -> None:
        live.put("a", "red", [RED_SHOE])
        live.record(("u", "a", 3))
        directory = live.collection.folder.path
        live.catalogue.delete("default")
        assert live.catalogue.collections() == [] and not directory.exists()
        live.put("b", "blue")
        assert live.store.reader().counts(live.collection.record.id)[:2] == (1, 0)

    def test_both_are_told_apart(self, live: Live) -> None:
        for name, text in (("one", "red shoe"), ("two", "blue dress")):
            live.catalogue.create(name, "")
            live.catalogue.upsert(name, [ItemInput("a", contents(text), {}, ())], False, CallContext())
        first, second = (
            live.catalogue.reads.items(live.catalogue.collection(n), ["a"])["a"] for n in ("one", "two")
        )
        assert (first.document.texts["text"], second.document.texts["text"]) == ("red shoe", "blue dress")


class TestMove:
    def test_to_a_fitted_space_encodes_nothing_and_keeps_every_item(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        live = Live(repository, tmp_path / "d", tiny.plain)
        try:
            for item in spaces.sample_items(70):
                live.put(item.item_id, item.text, item.pictures)
            live.catalogue.delete_items(live.collection, ["item-0003"])
            monkeypatch.setattr(live.encoder, "encode", None)
            moved = live.catalogue.move("default", "fitted")
            assert live.collection is moved and moved.space.space_id == tiny.fitted
            assert moved.snapshot().view.alive_count == 69
            assert live.store.reader().collections()[0].space_id == tiny.fitted
        finally:
            live.close()

    def test_to_other_encoders_is_refused_with_what_to_do(self, live: Live, tiny: Tiny) -> None:
        live.put("a", "red")
        with pytest.raises(SpaceMismatch, match="itemlens index"):
            live.catalogue.move("default", tiny.other)
        assert live.collection.space.space_id == tiny.fitted

    def test_there_and_back_gives_the_first_answers(self, live: Live, tiny: Tiny) -> None:
        for item in spaces.sample_items(60):
            live.put(item.item_id, item.text, item.pictures)

        def ask() -> list[tuple[str, float]]:
            return [
                (i.item_id, round(i.score, 5))
                for i in live.ask(QueryRequest(content=contents("red shoe"))).items
            ]

        before = ask()
        live.catalogue.move("default", tiny.plain)
        live.catalogue.move("default", tiny.fitted)
        assert ask() == before

    def test_writes_meanwhile_are_taken_over(self, live: Live, tiny: Tiny) -> None:
        for n in range(40):
            live.put(f"old-{n}", f"red shoe {n}")
        stop = threading.Event()
        written: list[str] = []
        removed: list[str] = []

        def write() -> None:
            n = 0
            while not stop.is_set() or n < 20:
                live.put(f"new-{n}", f"blue dress {n % 7}")
                written.append(f"new-{n}")
                if n % 3 == 0 and n < 120:
                    live.catalogue.delete_items(live.collection, [f"old-{n // 3}"])
                    removed.append(f"old-{n // 3}")
                n += 1

        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write)
            for space in (tiny.plain, tiny.fitted, tiny.plain):
                live.catalogue.move("default", space)
            stop.set()
            writing.result()
        view = live.collection.snapshot().view
        there = {view.item_ids[p] for p in np.flatnonzero(view.alive)}
        assert there == {*(f"old-{n}" for n in range(40)), *written} - set(removed)
        assert live.collection.space.space_id == tiny.plain
        # A reader of the store finds the same.
        assert live.store.reader().counts(live.collection.record.id)[0] == len(there)


class TestRestart:
    def reopen(self, live: Live) -> Live:
        live.store.close()
        return Live(live.repository, live.data, live.space_id)

    @pytest.mark.parametrize("snapshot", [True, False])
    def test_gives_the_same_answers_with_and_without_a_snapshot(self, live: Live, snapshot: bool) -> None:
        for item in spaces.sample_items(120):
            live.put(item.item_id, item.text, item.pictures)
        live.catalogue.delete_items(live.collection, ["item-0001", "item-0050"])
        live.put("item-0002", "blue kettle")
        if snapshot:
            live.catalogue.maintain()
        request = QueryRequest(content=contents("red running shoe"))
        before = [(i.item_id, i.score) for i in live.ask(request, k=50, exact=True).items]
        again = self.reopen(live)
        try:
            assert isinstance(again.collection.index, HnswIndex)
            assert bool(again.collection.index.graph_rows()) == snapshot
            after = [(i.item_id, i.score) for i in again.ask(request, k=50, exact=True).items]
            assert [i for i, _ in after] == [i for i, _ in before]
            np.testing.assert_allclose([s for _, s in after], [s for _, s in before], atol=1e-6)
        finally:
            again.close()

    def test_without_the_space_of_the_store_says_what_to_do(
        self, live: Live, tiny: Tiny, tmp_path: Path
    ) -> None:
        live.put("a", "red")
        live.store.close()
        only = tmp_path / "models"
        only.mkdir()
        (only / tiny.other).symlink_to(tiny.models / tiny.other)
        with pytest.raises(SpaceMismatch, match="itemlens index") as error:
            Live(spaces.open_repository(only), live.data, tiny.other)
        assert tiny.fitted in error.value.message
