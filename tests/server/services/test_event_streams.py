"""Events of a stream are recorded together with the position after them, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    StreamMoved,
)
from itemlens_server.services import EventRecord, StreamStep, WriteOutcome, stream_log
from itemlens_server.storage import streams, writes
from itemlens_server.storage.store import Store
from support.live import Live


def event(name: str, item: str = "a") -> EventRecord:
    return EventRecord(name, "u", item, 3, 0.0)


def record(
    live: Live, events: Sequence[EventRecord], position: str, previous: str = "", lag: int = 0
) -> list[WriteOutcome]:
    step = StreamStep("clicks", position, previous, lag)
    return live.catalogue.record("", events, step)[0]


def positions(live: Live) -> list[tuple[str, str, int, int]]:
    found = live.catalogue.reads.streams(live.collection)
    return [(stream.stream, stream.position, stream.events, stream.lag) for stream in found]


def stored(live: Live) -> int:
    return live.catalogue.reads.counts(live.collection).events


@pytest.fixture
def shop(live: Live) -> Live:
    live.put("a", "red shoe")
    return live


def test_the_position_moves_with_the_events(shop: Live) -> None:
    assert positions(shop) == []
    record(shop, [event("e1"), event("e2")], "10", lag=30)
    record(shop, [event("e3")], "20", "10", lag=20)
    assert positions(shop) == [("clicks", "20", 3, 20)] and stored(shop) == 3


def test_a_step_without_events_moves_the_position(shop: Live) -> None:
    assert record(shop, [], "10") == []
    assert positions(shop) == [("clicks", "10", 0, 0)]
    with pytest.raises(InvalidArgument, match="events is empty"):
        shop.catalogue.record("", [])


def test_a_step_that_was_made_records_nothing_even_with_other_ids(shop: Live) -> None:
    record(shop, [event("e1")], "10")
    for _ in range(2):
        [outcome] = record(shop, [event("another id")], "10")
        assert outcome.error is None and outcome.warnings[0].reason == "DUPLICATE_EVENT"
    assert stored(shop) == 1


def test_a_step_of_a_user_who_was_deleted_meanwhile_does_not_bring_them_back(shop: Live) -> None:
    record(shop, [event("e1")], "10")
    shop.delete_user("u")
    record(shop, [event("e1")], "10")
    assert stored(shop) == 0


@pytest.mark.parametrize("previous", ["", "5", "20"])
def test_a_step_from_another_position_is_refused_and_leaves_nothing(shop: Live, previous: str) -> None:
    record(shop, [event("e1")], "10")
    with pytest.raises(StreamMoved, match="'clicks' is at '10', not at") as refused:
        record(shop, [event("e2")], "15", previous)
    assert refused.value.field == "stream.previous" and isinstance(refused.value, FailedPrecondition)
    assert stored(shop) == 1 and positions(shop) == [("clicks", "10", 1, 0)]


def test_a_stream_that_the_collection_does_not_have_begins_at_its_start(shop: Live) -> None:
    with pytest.raises(StreamMoved, match="is new in this collection, not at '10'"):
        record(shop, [event("e1")], "20", "10")


@pytest.mark.parametrize(
    ("bad", "error"),
    [(event("bad", item=""), InvalidArgument), (event("there", item="b"), AlreadyExists)],
    ids=["wrong", "of a stored id with other contents"],
)
def test_with_an_event_that_is_refused_the_others_wait_for_it_to_be_left_out(
    shop: Live, bad: EventRecord, error: type[ItemlensError]
) -> None:
    shop.catalogue.record("", [event("there")])
    outcomes = record(shop, [event("e1"), bad, event("e2")], "10")
    assert [type(outcome.error) for outcome in outcomes] == [FailedPrecondition, error, FailedPrecondition]
    assert stored(shop) == 1 and positions(shop) == []
    assert all(o.error is None for o in record(shop, [event("e1"), event("e2")], "10"))
    assert stored(shop) == 3 and positions(shop) == [("clicks", "10", 2, 0)]


def test_events_that_were_there_do_not_count_for_the_stream(shop: Live) -> None:
    shop.catalogue.record("", [event("e1")])
    record(shop, [event("e1"), event("e2")], "10")
    assert positions(shop) == [("clicks", "10", 1, 0)] and stored(shop) == 2


def test_streams_are_apart_from_each_other_and_go_with_their_collection(shop: Live) -> None:
    record(shop, [event("e1")], "10")
    shop.catalogue.record("", [event("e2")], StreamStep("views", "x"))
    assert [name for name, *_ in positions(shop)] == ["clicks", "views"]
    shop.catalogue.delete("default")
    shop.put("a", "red shoe")
    assert positions(shop) == []


@pytest.mark.parametrize(
    ("step", "field"),
    [
        (StreamStep("", "1"), "stream.stream"),
        (StreamStep("s" * 257, "1"), "stream.stream"),
        (StreamStep("s", ""), "stream.position"),
        (StreamStep("s", "1", "p" * 257), "stream.previous"),
        (StreamStep("s", "1", "1"), "stream.position"),
        (StreamStep("s", "1", lag=2**63), "stream.lag"),
    ],
)
def test_a_wrong_step_is_named(shop: Live, step: StreamStep, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        shop.catalogue.record("", [event("e")], step)
    assert refused.value.field == field and stored(shop) == 0


def test_the_lag_is_logged_once_a_minute(
    shop: Live, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    record(shop, [event("e1")], "1", lag=30)
    record(shop, [event("e2")], "2", "1", lag=20)
    monkeypatch.setattr(stream_log, "SECONDS", 0.0)
    record(shop, [event("e3", item="")], "3", "2", lag=10)  # refused
    record(shop, [event("e3")], "3", "2", lag=0)
    said = [line.getMessage() for line in caplog.records if line.name == stream_log.__name__]
    assert said == [f"stream 'clicks' of collection default: lag {lag}" for lag in (30, 0)]


def test_a_damaged_position_is_found_and_not_used(tmp_path: Path) -> None:
    store = Store(tmp_path)
    try:
        collection = store.write(lambda c: writes.create_collection(c, "c", "sp-1")).id
        store.write(lambda c: streams.move(c, collection, StreamStep("clicks", "1000"), 1))
        store.write(lambda c: c.execute("UPDATE streams SET position = '2000'"))
        with pytest.raises(DataLoss, match="the position of stream 'clicks' is damaged"):
            store.reader().streams(collection)
        assert store.reader().problems() == ["stream 'clicks': its position"]
    finally:
        store.close()


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=12))
def test_callers_that_repeat_and_race_record_each_event_once(tries: list[tuple[int, bool]]) -> None:
    """Two callers read one stream of numbers, and may send a step again: the store has a prefix of it, each once."""
    store = _Memory()
    seen = [0, 0]
    for caller, lost in tries:
        at = seen[caller]
        step = StreamStep("s", str(at + 1), str(at) if at else "")
        try:
            if not streams.was_made(store.connection, 1, step):
                store.numbers.append(at)
                streams.move(store.connection, 1, step, 1)
            seen[caller] = at if lost else at + 1
        except StreamMoved:
            seen[caller] = int(streams.all_of(store.connection, 1)[0].position)
    assert store.numbers == list(range(len(store.numbers)))


class _Memory:
    def __init__(self) -> None:
        import sqlite3

        from itemlens_server.storage.schema import set_up

        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        set_up(self.connection)
        self.numbers: list[int] = []
