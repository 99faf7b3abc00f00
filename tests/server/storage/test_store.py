"""The store: acknowledged writes are stored, failed ones leave nothing, and each content is stored once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itemlens_server.errors import AlreadyExists, DataLoss, FailedPrecondition, NotFound, StorageFull
from itemlens_server.storage import event_changes, writes
from itemlens_server.storage.reader import Reader
from itemlens_server.storage.records import (
    Document,
    EventRecord,
    NewItem,
    StoredInput,
    Upserted,
    content_hash,
)
from itemlens_server.storage.store import Store
from itemlens_server.storage.tidying import tidy

ENCODERS = {"text": "encoder-t", "image": "encoder-i"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def collection(store: Store) -> int:
    return new_collection(store, "c")


def new_collection(store: Store, name: str) -> int:
    return store.write(lambda c: writes.create_collection(c, name, "sp-1")).id


def vector(seed: str) -> np.ndarray:
    return np.full(4, len(seed) + 0.5, np.float32)


def item(
    item_id: str, text: str, pictures: tuple[bytes, ...] = (), price: int = 3, keeps: int = 0
) -> NewItem:
    inputs = [StoredInput("text", content_hash(text.encode()), b"", vector(text))]
    inputs += [StoredInput("image", content_hash(p), p, vector("p")) for p in pictures]
    return NewItem(
        item_id, Document({"text": text}, {"price": price}, (("goes_with", "x"),)), tuple(inputs), keeps
    )


def upsert(store: Store, collection: int, *items: NewItem) -> list[Upserted]:
    return store.write(lambda c: writes.upsert_items(c, collection, list(items), ENCODERS))


def tidy_up(store: Store) -> None:
    """Wait until deleted collections are empty."""
    while store.write(tidy):
        pass


def rows(store: Store, table: str) -> int:
    return int(store.write(lambda c: c.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))


class TestItems:
    def test_come_back_as_they_were(self, store: Store, collection: int) -> None:
        upsert(store, collection, item("a", "red", (b"PIC1", b"PIC2")))
        items = store.reader().items(collection, ["a", "b"], ENCODERS, data=True, vectors=True)
        assert set(items) == {"a"}
        a = items["a"]
        assert a.document == Document({"text": "red"}, {"price": 3}, (("goes_with", "x"),))
        assert [i.data for i in a.inputs if i.channel == "image"] == [b"PIC1", b"PIC2"]
        assert all(i.vector is not None for i in a.inputs)
        assert a.sequence == 1

    def test_a_replaced_item_gets_a_new_row_and_nothing_stays_of_the_old(
        self, store: Store, collection: int
    ) -> None:
        [first] = upsert(store, collection, item("a", "red", (b"PIC1",)))
        [second] = upsert(store, collection, item("a", "blue"))
        assert (second.old_label, second.label > first.label) == (first.label, True)
        assert store.reader().items(collection, ["a"], ENCODERS)["a"].document.texts == {"text": "blue"}
        assert (rows(store, "items"), rows(store, "pictures"), rows(store, "vectors")) == (1, 0, 1)

    def test_rows_are_never_used_again(self, store: Store, collection: int) -> None:
        [first] = upsert(store, collection, item("a", "red"))
        store.write(lambda c: writes.delete_items(c, collection, ["a"]))
        [second] = upsert(store, collection, item("b", "blue"))
        assert second.label > first.label

    def test_every_write_has_a_larger_sequence_number(self, store: Store, collection: int) -> None:
        numbers = [upsert(store, collection, item("a", str(n)))[0].sequence for n in range(3)]
        numbers.append(store.write(lambda c: writes.delete_items(c, collection, ["a"]))[1])
        assert numbers == [1, 2, 3, 4]

    def test_an_item_whose_contents_stay_keeps_its_row_and_gets_the_new_document(
        self, store: Store, collection: int
    ) -> None:
        [first] = upsert(store, collection, item("a", "red", (b"PIC1", b"PIC2")))
        [second] = upsert(store, collection, item("a", "red", (b"PIC1", b"PIC2"), 4, first.label))
        assert (second.label, second.old_label) == (first.label, first.label)
        a = store.reader().items(collection, ["a"], ENCODERS, data=True)["a"]
        assert (a.label, a.sequence, a.document.attributes) == (first.label, second.sequence, {"price": 4})
        assert [i.data for i in a.inputs if i.channel == "image"] == [b"PIC1", b"PIC2"]
        assert (rows(store, "items"), rows(store, "inputs"), rows(store, "vectors")) == (1, 3, 3)

    @pytest.mark.parametrize(
        "changed",
        [item("a", "blue", (b"P1", b"P2")), item("a", "red", (b"P2", b"P1")), item("a", "red", (b"P1",))],
        ids=["another text", "another order", "a picture less"],
    )
    def test_an_item_with_other_contents_gets_a_new_row(
        self, store: Store, collection: int, changed: NewItem
    ) -> None:
        [first] = upsert(store, collection, item("a", "red", (b"P1", b"P2")))
        [second] = upsert(store, collection, replace(changed, keeps=first.label))
        assert second.label > first.label == second.old_label

    def test_an_item_whose_row_is_not_served_gets_a_new_one(self, store: Store, collection: int) -> None:
        [first] = upsert(store, collection, item("a", "red"))
        [second] = upsert(store, collection, item("a", "red"))
        assert second.label > first.label == second.old_label

    def test_pages_hold_every_item_once_by_id(self, store: Store, collection: int) -> None:
        labels = [upsert(store, collection, item(f"i{n}", str(n)))[0].label for n in range(7)]
        upsert(store, collection, item("i2", "again"), item("i4", "4", price=9, keeps=labels[4]))
        reader, seen, after = store.reader(), [], b""
        while page := list(reader.page(collection, after, 3)):
            seen += [i.item_id for _, i in page]
            after = page[-1][0]
        assert seen == [f"i{n}" for n in range(7)]

    def test_reads_by_row_sort_nothing(self, store: Store, collection: int) -> None:
        upsert(store, collection, item("a", "red"))
        reader, statements = store.reader(), list[str]()
        reader._connection.set_trace_callback(statements.append)
        assert list(reader.page(collection, b"", 3))
        assert list(reader.raw_vectors(collection, ENCODERS))
        plans = [row[3] for s in statements for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {s}")]
        reader._connection.set_trace_callback(None)
        assert len(statements) >= 2 and not [step for step in plans if "TEMP B-TREE" in step]

    def test_raw_vectors_come_item_by_item_from_a_row_on(self, store: Store, collection: int) -> None:
        [first] = upsert(store, collection, item("a", "red", (b"P1", b"P2")))
        upsert(store, collection, item("b", "blue"))
        vectors = list(store.reader().raw_vectors(collection, ENCODERS))
        assert [(i.item_id, {c: len(v) for c, v in i.vectors.items()}) for i in vectors] == [
            ("a", {"text": 1, "image": 2}),
            ("b", {"text": 1}),
        ]
        assert all(i.whole for i in vectors)
        assert [i.item_id for i in store.reader().raw_vectors(collection, ENCODERS, first.label)] == ["b"]

    def test_raw_vectors_come_with_attributes_if_wanted(self, store: Store, collection: int) -> None:
        upsert(store, collection, item("a", "red", (b"P1", b"P2")))
        upsert(store, collection, item("b", "blue"))
        reader = store.reader()
        described = list(reader.raw_vectors(collection, ENCODERS, documents=True))
        documents = dict(reader.documents(collection, ["a", "b"]))
        assert [i.attributes for i in described] == [documents[i].attributes for i in "ab"] != [{}, {}]
        assert [i.attributes for i in reader.raw_vectors(collection, ENCODERS)] == [{}, {}]

    def test_raw_vectors_of_another_encoder_are_refused_with_what_to_do(
        self, store: Store, collection: int
    ) -> None:
        upsert(store, collection, item("a", "red"))
        with pytest.raises(FailedPrecondition, match="index it again"):
            list(store.reader().raw_vectors(collection, {"text": "another"}))


class TestContent:
    def test_is_kept_once_for_all_items_and_collections(self, store: Store, collection: int) -> None:
        other = new_collection(store, "other")
        upsert(store, collection, item("a", "red", (b"PIC",)), item("b", "red", (b"PIC",)))
        upsert(store, other, item("a", "red", (b"PIC",)))
        assert (rows(store, "vectors"), rows(store, "pictures")) == (2, 1)

    def test_stays_until_the_last_item_that_holds_it_goes(self, store: Store, collection: int) -> None:
        other = new_collection(store, "other")
        upsert(store, collection, item("a", "red", (b"PIC",)))
        upsert(store, other, item("a", "red", (b"PIC",)))
        store.write(lambda c: writes.delete_items(c, collection, ["a"]))
        assert (rows(store, "vectors"), rows(store, "pictures")) == (2, 1)
        store.write(lambda c: writes.delete_collection(c, other))
        tidy_up(store)
        assert (rows(store, "vectors"), rows(store, "pictures"), rows(store, "inputs")) == (0, 0, 0)

    def test_survives_the_replacement_of_its_only_item_by_one_that_holds_it_too(
        self, store: Store, collection: int
    ) -> None:
        upsert(store, collection, item("a", "red", (b"PIC",)))
        # As written by an upsert that found the vector in the store: without its bytes the picture would be lost.
        upsert(store, collection, item("a", "red", (b"PIC",)))
        [image] = [
            i
            for i in store.reader().items(collection, ["a"], ENCODERS, data=True)["a"].inputs
            if i.channel == "image"
        ]
        assert image.data == b"PIC"

    # A text and some pictures for an item of a collection, or None to delete it.
    contents = st.tuples(st.sampled_from(["red", "blue"]), st.sets(st.sampled_from([b"P", b"Q", b"R"])))
    writes = st.tuples(
        st.sampled_from(["one", "two"]), st.sampled_from("abc"), st.one_of(st.none(), contents)
    )

    @settings(max_examples=25)
    @given(st.lists(writes, max_size=25))
    def test_whatever_is_written_and_deleted_exactly_what_is_held_is_kept(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        steps: list[tuple[str, str, tuple[str, set[bytes]] | None]],
    ) -> None:
        store = Store(tmp_path_factory.mktemp("s"))
        try:
            ids = {name: new_collection(store, name) for name in ("one", "two")}
            model: dict[tuple[str, str], tuple[str, set[bytes]]] = {}
            for name, item_id, content in steps:
                if content is None:
                    store.write(partial(writes.delete_items, collection=ids[name], item_ids=[item_id]))
                    model.pop((name, item_id), None)
                else:
                    upsert(store, ids[name], item(item_id, content[0], tuple(sorted(content[1]))))
                    model[name, item_id] = content
            pictures = set().union(*(p for _, p in model.values())) if model else set()
            texts = {t for t, _ in model.values()}
            assert rows(store, "pictures") == len(pictures)
            assert rows(store, "vectors") == len(pictures) + len(texts)
            assert rows(store, "items") == len(model)
            assert store.reader().problems() == []
        finally:
            store.close()


class TestEvents:
    @staticmethod
    def record(store: Store, collection: int, *events: EventRecord) -> list[tuple[int | None, EventRecord]]:
        return store.write(lambda c: writes.record_events(c, collection, events))[0]

    def test_come_back_oldest_first_and_only_the_latest(self, store: Store, collection: int) -> None:
        self.record(
            store, collection, *(EventRecord(f"e{n}", "u", f"i{n}", 3, float(9 - n)) for n in range(5))
        )
        history = store.reader().history(collection, "u", 3)
        assert [e.item_id for e in history] == ["i2", "i1", "i0"]

    def test_at_the_same_time_keep_the_order_of_their_arrival(self, store: Store, collection: int) -> None:
        self.record(store, collection, *(EventRecord(f"e{n}", "u", f"i{n}", 3, 1.0) for n in range(4)))
        assert [e.item_id for e in store.reader().history(collection, "u", 9)] == ["i0", "i1", "i2", "i3"]

    def test_an_id_counts_once_and_the_first_stays(self, store: Store, collection: int) -> None:
        first, second = (
            EventRecord("e", "u", "a", 3, 1.0),
            EventRecord("e", "u", "b", 5, 2.0, 3.0, 9.5, "rec"),
        )
        assert self.record(store, collection, first) == [(1, first)]
        assert self.record(store, collection, second) == [(None, first)]
        assert store.reader().history(collection, "u", 9) == [first]

    def test_of_one_order_have_the_time_of_its_first(self, store: Store, collection: int) -> None:
        first = EventRecord("1", "u", "a", 5, 7.0, order_id="o")
        self.record(store, collection, first)
        others = [
            EventRecord("2", "u", "b", 5, 9.0, order_id="o"),  # of the same order
            EventRecord("3", "v", "b", 5, 9.0, order_id="o"),  # another user's
            EventRecord("4", "u", "c", 5, 9.0),
        ]
        stored = self.record(store, collection, *others)
        assert [event.time for _, event in stored] == [7.0, 9.0, 9.0]
        assert [(e.item_id, e.time) for e in store.reader().history(collection, "u", 9)] == [
            ("a", 7.0), ("b", 7.0), ("c", 9.0)
        ]  # fmt: skip
        assert store.reader().problems() == []

    def test_that_are_held_back_are_listed_but_do_not_count(self, store: Store, collection: int) -> None:
        held = EventRecord("1", "u", "a", 5, 7.0, own_type="rating", held=True)
        self.record(store, collection, held, EventRecord("2", "u", "b", 5, 8.0))
        reader = store.reader()
        assert [e.event_id for e in reader.history(collection, "u", 9)] == ["2"]
        assert [item for _, item, *_ in reader.events(collection)] == ["b"]
        assert [item for _, item, *_ in reader.events_after(collection, 0)] == ["b"]
        assert reader.events_of(collection, "u", 0, 1) == [(1, held)]
        assert [row for row, _ in reader.events_of(collection, "u", 1, 9)] == [2]
        assert reader.problems() == []

    def test_some_types_are_read_apart_in_the_order_of_time_and_arrival(
        self, store: Store, collection: int
    ) -> None:
        kinds = (1, 7, 2, 3, 5)
        self.record(store, collection, *(EventRecord(f"{k}", "u", f"i{k}", k, 9.0) for k in kinds))
        found = store.reader().history_apart(collection, "u", 9, apart=(2, 3), without=(1,))
        assert [e.type for e in found] == [7, 2, 3, 5]
        found = store.reader().history_apart(collection, "u", 1, apart=(2, 3), without=(1,))
        assert [e.type for e in found] == [3, 5]

    def test_of_a_mistaken_time_give_it_to_no_other_of_their_order(
        self, store: Store, collection: int
    ) -> None:
        held = EventRecord("1", "u", "a", 5, 9e9, order_id="o", held=True)
        stored = self.record(store, collection, held, EventRecord("2", "u", "b", 5, 7.0, order_id="o"))
        assert [event.time for _, event in stored] == [9e9, 7.0]
        later = EventRecord("3", "u", "c", 5, 9e9, order_id="o", held=True)
        assert self.record(store, collection, later)[0][1].time == 9e9

    def test_that_are_returns_have_their_own_time_in_an_order(self, store: Store, collection: int) -> None:
        back, bought = (
            EventRecord("1", "u", "a", 6, 10.0, order_id="o"),
            EventRecord("2", "u", "a", 5, 5.0, order_id="o"),
        )
        stored = self.record(store, collection, back, bought, replace(back, event_id="3", time=12.0))
        assert [event.time for _, event in stored] == [10.0, 5.0, 12.0]

    def test_of_minus_zero_are_whole(self, store: Store, collection: int) -> None:
        self.record(store, collection, EventRecord("1", "u", "a", 5, -0.0, quantity=-0.0, value=-0.0))
        assert len(store.reader().history(collection, "u", 9)) == 1
        assert store.reader().problems() == []

    def test_behind_a_damaged_one_are_on_the_page(self, store: Store, collection: int) -> None:
        self.record(store, collection, *(EventRecord(f"{n}", "u", "a", 5, float(n)) for n in range(6)))
        store.write(lambda c: c.execute("UPDATE events SET item_id = 'b' WHERE event_id = '1'"))
        assert [row for row, _ in store.reader().events_of(collection, "u", 0, 4)] == [1, 3, 4, 5]

    def test_go_one_by_one(self, store: Store, collection: int) -> None:
        self.record(store, collection, EventRecord("1", "u", "a", 3, 1.0), EventRecord("2", "v", "a", 3, 1.0))
        before = store.reader().sequence(collection)
        deleted, sequence, done = store.write(
            lambda c: event_changes.delete_events(c, collection, ["2", "nothing", "2"])
        )
        assert (deleted, done) == ({"2": ("v", 2)}, 3)
        assert sequence == before + 1 == store.reader().events_deleted(collection)
        assert [e[0] for e in store.reader().events(collection)] == ["u"]

    def test_that_are_not_there_cannot_be_deleted(self, store: Store, collection: int) -> None:
        deleted, _, _ = store.write(lambda c: event_changes.delete_events(c, collection, ["nothing"]))
        assert not deleted
        assert store.reader().events_deleted(collection) == 0

    def test_of_a_visitor_are_given_to_a_user(self, store: Store, collection: int) -> None:
        rated = EventRecord("1", "visitor", "a", 16, 1.0, value=5.0, own_type="rating", order_id="o")
        self.record(store, collection, rated, EventRecord("2", "u", "b", 3, 2.0))
        moved = store.write(lambda c: event_changes.merge_users(c, [collection], "visitor", "u"))
        assert moved == {collection: 1}
        assert store.reader().history(collection, "u", 9) == [
            replace(rated, user_id="u"), EventRecord("2", "u", "b", 3, 2.0)
        ]  # fmt: skip
        assert store.reader().history(collection, "visitor", 9) == []
        assert store.reader().events_deleted(collection) == store.reader().sequence(collection)
        assert store.reader().problems() == []

    def test_of_one_user_go_and_those_of_others_stay(self, store: Store, collection: int) -> None:
        self.record(store, collection, EventRecord("1", "u", "a", 3, 1.0), EventRecord("2", "v", "a", 3, 1.0))
        assert store.write(lambda c: writes.delete_user(c, [collection], "u")) == ({collection: [1]}, True)
        assert store.write(lambda c: writes.delete_user(c, [collection], "u")) == ({}, True)
        assert [e[0] for e in store.reader().events(collection)] == ["v"]


class TestCollections:
    def test_a_name_is_taken_once(self, store: Store, collection: int) -> None:
        with pytest.raises(AlreadyExists):
            new_collection(store, "c")

    def test_a_write_into_one_that_was_deleted_meanwhile_finds_nothing(
        self, store: Store, collection: int
    ) -> None:
        store.write(lambda c: writes.delete_collection(c, collection))
        with pytest.raises(NotFound, match="deleted meanwhile"):
            upsert(store, collection, item("a", "red"))
        assert rows(store, "items") == rows(store, "vectors") == 0


class TestSizeLimit:
    def test_past_it_a_write_fails_whole_and_what_was_there_stays(self, tmp_path: Path) -> None:
        store = Store(tmp_path, max_bytes=300_000)
        try:
            collection = new_collection(store, "c")
            upsert(store, collection, item("kept", "red"))
            big = [item(f"i{n}", f"t{n}", (bytes([n]) * 50_000,)) for n in range(20)]
            with pytest.raises(StorageFull, match="max_store_bytes"):
                upsert(store, collection, *big)
            assert rows(store, "items") == 1 and rows(store, "pictures") == 0
            # Small writes still fit, and deletions free space.
            upsert(store, collection, item("small", "blue"))
            store.write(lambda c: writes.delete_items(c, collection, ["kept"]))
            assert store.reader().problems() == []
        finally:
            store.close()


class TestFolder:
    def test_belongs_to_one_process(self, store: Store) -> None:
        code = (
            "import sys; from pathlib import Path\n"
            "from itemlens_server.storage.store import Store\n"
            "from itemlens_server.errors import FailedPrecondition\n"
            "try: Store(Path(sys.argv[1]))\n"
            "except FailedPrecondition as e: print(e)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(store.directory)], capture_output=True, text=True, check=True
        )
        assert "another server uses" in done.stdout

    def test_is_free_again_after_close(self, tmp_path: Path) -> None:
        for _ in range(2):
            Store(tmp_path).close()

    def test_can_be_read_beside_a_running_server(self, store: Store, collection: int) -> None:
        upsert(store, collection, item("a", "red"))
        assert list(Store.read_only(store.directory).items(collection, ["a"], ENCODERS)) == ["a"]

    def test_without_a_store_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(FailedPrecondition, match="no store"):
            Store.read_only(tmp_path)

    def test_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(FailedPrecondition, match=r"file.* cannot be"):
            Store(tmp_path / "file")

    def test_of_a_damaged_file_says_so_and_is_left_free(self, tmp_path: Path) -> None:
        (tmp_path / "itemlens.db").write_bytes(b"this is no database at all" * 100)
        for _ in range(2):
            with pytest.raises(DataLoss, match=r"itemlens\.db is damaged .*restore a backup"):
                Store(tmp_path)

    def test_that_is_new_can_be_read_by_its_owner_alone(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "data")
        new_collection(store, "c")
        modes = {
            path.name: path.stat().st_mode & 0o777 for path in [store.directory, *store.directory.iterdir()]
        }
        store.close()
        modes.pop("reserve", None)  # created when the writer is idle
        assert modes == {
            "data": 0o700, "lock": 0o600, "itemlens.db": 0o600, "itemlens.db-wal": 0o600, "itemlens.db-shm": 0o600,
        }  # fmt: skip

    def test_that_everybody_can_read_is_left_as_it_is_and_warned_of(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for mode, warned in ((0o755, True), (0o750, False)):
            caplog.clear()
            tmp_path.chmod(mode)
            Store(tmp_path).close()
            assert (f"chmod 700 {tmp_path}" in caplog.text) == warned
            assert tmp_path.stat().st_mode & 0o777 == mode


def test_every_connection_keeps_as_many_pages_as_the_setting_says(tmp_path: Path) -> None:
    store = Store(tmp_path, cache_bytes=3 << 20, writer_cache_bytes=5 << 20)
    sizes = [
        store.write(lambda c: c.execute("PRAGMA cache_size").fetchone()[0]),
        store.reader()._connection.execute("PRAGMA cache_size").fetchone()[0],
    ]
    assert sizes == [-5120, -3072] and store.connections == 2
    store.close()


def test_a_reader_sees_an_item_and_its_inputs_of_one_moment(
    store: Store, collection: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Between the two reads of an item another thread replaces it. The second read must not see that.
    upsert(store, collection, item("a", "red", (b"OLD",)))
    reader = store.reader()
    plain = reader._inputs

    def interrupted(*wanted: Any) -> Iterator[StoredInput]:
        upsert(store, collection, item("a", "blue", (b"NEW",)))
        return plain(*wanted)

    monkeypatch.setattr(reader, "_inputs", interrupted)
    seen = reader.items(collection, ["a"], ENCODERS, data=True)["a"]
    assert seen.document.texts == {"text": "red"}
    assert [i.data for i in seen.inputs if i.channel == "image"] == [b"OLD"]
    assert isinstance(reader, Reader)


def test_an_item_whose_data_is_gone_is_not_stored(store: Store, collection: int) -> None:
    def relying(item_id: str) -> NewItem:
        inputs = (StoredInput("image", content_hash(b"PIC"), b"", vector("p"), needs_data=True),)
        return NewItem(item_id, Document({}, {}, ()), inputs)

    [refused] = upsert(store, collection, relying("b"))
    assert refused.label == 0
    upsert(store, collection, item("a", "red", (b"PIC",)))
    [stored] = upsert(store, collection, relying("b"))
    assert stored.label
    kept = store.reader().items(collection, ["b"], ENCODERS, data=True)["b"]
    assert [i.data for i in kept.inputs] == [b"PIC"]


def test_each_encoder_gets_the_form_of_a_picture_that_is_kept_for_it(store: Store, collection: int) -> None:
    other, key = new_collection(store, "other"), content_hash(b"original")
    forms = {"small": b"224 pixels", "large": b"384 pixels"}
    for number, (encoder, form) in zip((collection, other), forms.items(), strict=True):
        new_item = NewItem("a", Document({}, {}, ()), (StoredInput("image", key, form, vector("p")),))
        store.write(
            partial(writes.upsert_items, collection=number, items=[new_item], encoders={"image": encoder})
        )
    for number, (encoder, form) in zip((collection, other), forms.items(), strict=True):
        [kept] = store.reader().items(number, ["a"], {"image": encoder}, data=True)["a"].inputs
        assert kept.data == form
