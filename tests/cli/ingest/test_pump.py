"""The pump sends batches in order, again where that may help, and reads no further ahead than one batch."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import pytest

import itemlens
from itemlens import Client, Event, EventStream, StreamPosition, Warning, WriteResult, Written
from itemlens_cli.ingest import backoff
from itemlens_cli.ingest.pump import Pump
from itemlens_cli.ingest.rejected import Rejected
from itemlens_cli.ingest.source import Entry, Portion, SourceGone
from itemlens_server.errors import FailedPrecondition, ItemlensError
from support.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)


class Numbers:
    """A source of `count` events, whose positions are numbers."""

    unit = "entries"

    def __init__(self, count: int, *failures: int) -> None:
        """`failures`: at these reads the source is gone."""
        self.count, self.failures = count, set(failures)
        self.at, self.reads = 0, 0

    def seek(self, position: str) -> None:
        self.at = int(position or 0)

    def read(self, most: int) -> Portion | None:
        self.reads += 1
        if self.reads in self.failures:
            raise SourceGone("the broker is gone")
        if self.at == self.count:
            return None
        first, self.at = self.at, min(self.at + most, self.count)
        entries = [Entry(str(n), event(n)) for n in range(first, self.at)]
        return Portion(entries, str(self.at), self.count - self.at)

    def close(self) -> None: ...


def event(n: int) -> bytes:
    return json.dumps({"user_id": "u", "item_id": str(n), "type": "view"}).encode()


class Shop:
    """A client of a server that fails as it is told, before or after it records."""

    def __init__(self, position: str = "") -> None:
        self.position = position
        self.recorded: list[str] = []
        self.before: deque[itemlens.ItemlensError] = deque()
        self.after: deque[itemlens.ItemlensError] = deque()
        self.bad: dict[str, itemlens.ItemlensError] = {}
        self.free = threading.Event()
        self.free.set()

    def list_streams(self) -> list[EventStream]:
        return [cast(EventStream, StreamPosition("s", self.position))] if self.position else []

    def record_events(self, events: Iterable[Event], *, stream: StreamPosition) -> Written:
        assert self.free.wait(10)
        given = list(events)
        if self.before:
            raise self.before.popleft()
        repeated = stream.position == self.position
        if not repeated:
            if stream.previous != self.position:
                details = itemlens.ErrorDetails(reason="STREAM_MOVED")
                raise itemlens.FailedPrecondition("the stream is elsewhere", details=details)
            if refused := {event.item_id for event in given} & self.bad.keys():
                other = itemlens.FailedPrecondition("not recorded, because of others")
                errors = [self.bad[e.item_id] if e.item_id in refused else other for e in given]
                return results(given, errors)
            self.recorded += [event.item_id for event in given]
            self.position = stream.position
        if self.after:
            raise self.after.popleft()
        return results(given, [None] * len(given))


def results(events: list[Event], errors: Iterable[itemlens.ItemlensError | None]) -> Written:
    warnings: tuple[Warning, ...] = ()
    return Written(
        tuple(WriteResult(e.event_id, error, warnings) for e, error in zip(events, errors, strict=True)), 1
    )


def pump(shop: Shop, source: Numbers, *, rejected: Path | None = None, **options: Any) -> Pump:
    said: list[str] = options.pop("said", [])
    kept = Rejected(rejected, "s", said.append)
    stop = options.pop("stop", threading.Event())
    return Pump(
        cast(Client, shop), "host:1", source, "s", kept, stop, batch_size=10, say=said.append, **options
    )


ALL = [str(n) for n in range(35)]


def test_everything_is_recorded_in_order_from_the_stored_position() -> None:
    shop = Shop("12")
    run = pump(shop, Numbers(35))
    run.run()
    assert shop.recorded == ALL[12:] and shop.position == "35"
    assert (run.tally.events, run.tally.lag) == (23, 0)


def test_what_failed_is_sent_again_whether_it_was_recorded_or_not() -> None:
    shop, said = Shop(), list[str]()
    shop.before.extend([itemlens.Unavailable("down"), itemlens.Overloaded("full")])
    shop.after.extend([itemlens.Unavailable("cut"), itemlens.DeadlineExceeded("slow")])
    pump(shop, Numbers(35), said=said).run()
    assert shop.recorded == ALL
    assert len(said) == 1 and "trying again" in said[0]  # once in a row of failures


def test_a_broker_that_is_gone_is_waited_for() -> None:
    shop, said = Shop(), list[str]()
    pump(shop, Numbers(35, 1, 2, 4), said=said).run()
    assert shop.recorded == ALL
    assert said == ["the broker is gone; trying again"] * 2


def test_it_gives_up_after_a_while() -> None:
    shop = Shop()
    shop.before.extend([itemlens.Unavailable("down")] * 1000)
    with pytest.raises(
        FailedPrecondition, match=r"no server answers at host:1 .* given up .* Nothing is lost"
    ):
        pump(shop, Numbers(35), give_up=0.05).run()


def test_another_ingester_of_the_stream_is_told_of() -> None:
    shop, source = Shop(), Numbers(35)
    run = pump(shop, source, progress=lambda tally: setattr(shop, "position", "17"))
    with pytest.raises(FailedPrecondition, match="Another ingester may be recording the same --stream"):
        run.run()


def test_an_error_that_waiting_does_not_help_ends_it() -> None:
    shop = Shop()
    shop.before.append(itemlens.NotFound("no collection 'shop'"))
    with pytest.raises(ItemlensError, match="no collection 'shop'"):
        pump(shop, Numbers(35)).run()
    shop.before.append(itemlens.Overloaded("received message larger than max (5 vs. 4)"))
    with pytest.raises(ItemlensError, match="larger than max"):
        pump(shop, Numbers(35)).run()


def test_what_the_server_refuses_is_rejected_and_the_others_are_recorded(tmp_path: Path) -> None:
    shop, kept = Shop(), tmp_path / "rejected.jsonl"
    shop.bad = {"3": itemlens.InvalidArgument("it is bad"), "14": itemlens.AlreadyExists("it is another")}
    run = pump(shop, Numbers(35), rejected=kept)
    run.run()
    run._rejected.close()
    assert shop.recorded == [n for n in ALL if n not in shop.bad]
    told = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(line["place"], line["reason"], line["message"]) for line in told] == [
        ("3", "INVALID_ARGUMENT", "it is bad"), ("14", "ALREADY_EXISTS", "it is another"),
    ]  # fmt: skip
    assert told[0]["content"] == event(3).decode() and run.tally.rejected == 2


def test_an_event_that_fails_for_another_reason_ends_it() -> None:
    shop = Shop()
    shop.bad = {"3": itemlens.ServerError("a fault")}
    with pytest.raises(ItemlensError, match="a fault"):
        pump(shop, Numbers(35)).run()
    assert shop.recorded == []


def test_where_the_rejected_cannot_be_kept_the_stream_stays(tmp_path: Path) -> None:
    shop = Shop()
    shop.bad = {"3": itemlens.InvalidArgument("it is bad")}
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        pump(shop, Numbers(35), rejected=tmp_path).run()
    assert shop.position == ""


def test_it_reads_at_most_one_batch_ahead_of_a_slow_server() -> None:
    shop, source = Shop(), Numbers(10_000)
    shop.free.clear()
    running = threading.Thread(target=pump(shop, source).run)
    running.start()
    until(lambda: source.reads == 2, "it read one batch ahead")
    threading.Event().wait(0.1)
    assert source.reads == 2
    shop.free.set()
    running.join()
    assert len(shop.recorded) == 10_000


def test_it_stops_when_told_even_while_it_waits() -> None:
    shop, stop = Shop(), threading.Event()
    shop.before.extend([itemlens.Unavailable("down")] * 1000)
    running = threading.Thread(target=pump(shop, Numbers(35), stop=stop).run)
    running.start()
    stop.set()
    running.join(timeout=10)
    assert not running.is_alive() and shop.recorded == []
