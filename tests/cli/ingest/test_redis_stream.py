"""A Redis stream as a stream: from any position, with its lag, and nothing of another stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens_cli.ingest import redis_stream
from itemlens_cli.ingest.redis_stream import RedisStream
from itemlens_cli.ingest.source import Portion, SourceGone
from itemlens_server.errors import FailedPrecondition
from support.brokers import KINDS, RedisServer

KEY = "events"


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, request.param)
    yield server
    server.close()


def add(broker: RedisServer, *numbers: int) -> None:
    for number in numbers:
        broker.client.xadd(KEY, {"json": json.dumps({"n": number})})


def opened(broker: RedisServer, position: str = "", follow: bool = True) -> RedisStream:
    source = RedisStream(broker.url, KEY, follow, SAID.append)
    source.seek(position)
    return source


SAID: list[str] = []


def portion(source: RedisStream, most: int = 100) -> Portion:
    read = source.read(most)
    assert read is not None
    return read


def numbers(read: Portion) -> list[int]:
    return [json.loads(entry.content)["n"] for entry in read.entries]


def test_it_is_read_from_any_position_with_what_is_left(broker: RedisServer) -> None:
    add(broker, *range(5))
    first = portion(opened(broker), 2)
    assert (numbers(first), first.lag) == ([0, 1], 3)
    again = opened(broker, first.position, follow=False)
    rest = portion(again)
    assert (numbers(rest), rest.lag) == ([2, 3, 4], 0)
    assert again.read(10) is None
    add(broker, 5)
    assert numbers(portion(opened(broker, rest.position))) == [5]


def test_the_lag_knows_what_was_trimmed_before(broker: RedisServer) -> None:
    add(broker, *range(10))
    broker.client.xtrim(KEY, maxlen=4, approximate=False)
    first = portion(opened(broker), 1)
    assert (numbers(first), first.lag) == ([6], 3)


def test_a_stream_that_is_not_there_yet_is_waited_for(broker: RedisServer) -> None:
    source = opened(broker)
    empty = portion(source)
    assert not empty.entries and empty.lag == 0
    add(broker, 1)
    assert numbers(portion(source)) == [1]


def test_an_event_in_fields(broker: RedisServer) -> None:
    broker.client.xadd(KEY, {"user_id": "u", "item_id": "i", "type": "view", "value": "2.5"})
    [entry] = portion(opened(broker)).entries
    assert json.loads(entry.content) == {"user_id": "u", "item_id": "i", "type": "view", "value": "2.5"}


def test_an_entry_that_is_not_utf8_is_poison(broker: RedisServer) -> None:
    broker.client.xadd(KEY, {"user_id": b"a\xff", "item_id": "i", "type": "view"})
    [entry] = portion(opened(broker)).entries
    assert entry.reason == "NOT_UTF8" and "not UTF-8" in entry.problem and b"xff" in entry.content


def test_an_entry_that_is_too_long_is_poison_and_a_portion_is_bounded(
    broker: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_stream, "MAX_ENTRY_BYTES", 100)
    monkeypatch.setattr(redis_stream, "MAX_PORTION_BYTES", 10)
    broker.client.xadd(KEY, {"json": "x" * 101})
    add(broker, 1, 2)
    source = opened(broker)
    [long] = portion(source).entries
    assert long.problem == "an entry of 101 bytes; an entry may have 100"
    second = portion(source)
    assert (numbers(second), second.lag) == ([1, 2], 0)


def test_a_broker_that_is_gone_is_tried_again(broker: RedisServer) -> None:
    add(broker, 1, 2)
    source = opened(broker)
    assert numbers(portion(source, 1)) == [1]
    broker.kill()
    with pytest.raises(SourceGone, match="Redis cannot be reached"):
        source.read(1)
    broker.start()
    assert numbers(portion(source)) == [2]


def test_entries_that_were_deleted_unread_are_told_of(broker: RedisServer) -> None:
    add(broker, *range(5))
    position = portion(opened(broker), 1).position
    broker.client.xtrim(KEY, maxlen=1, approximate=False)
    SAID.clear()
    source = opened(broker, position)
    assert numbers(portion(source)) == [4]
    portion(source)
    assert len(SAID) == 1 and "3 entries of the Redis stream 'events' after" in SAID[0]


def test_a_stream_made_anew_is_another(broker: RedisServer) -> None:
    broker.client.xadd(KEY, {"json": "{}"}, id="9999999999999-0")
    position = portion(opened(broker)).position
    broker.client.delete(KEY)
    add(broker, 1)
    with pytest.raises(FailedPrecondition, match=r"was read up to 9999999999999-0: it was made anew"):
        portion(opened(broker, position))


def test_what_is_no_stream_and_what_is_no_position(broker: RedisServer) -> None:
    broker.client.set(KEY, "text")
    with pytest.raises(FailedPrecondition, match="Redis cannot read the stream 'events': WRONGTYPE"):
        opened(broker).read(1)
    with pytest.raises(FailedPrecondition, match="not a position in a Redis stream"):
        opened(broker, "100@0a1b")
    with pytest.raises(FailedPrecondition, match="is not the address of a Redis server"):
        RedisStream("localhost", KEY, True)


def test_a_user_without_the_password_is_refused(broker: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    add(broker, 1)
    broker.client.acl_setuser("shop", enabled=True, passwords=["+secret"], commands=["+@all"], keys=["*"])
    url = broker.url.replace("unix://", "unix://shop@")
    monkeypatch.setenv("ITEMLENS_REDIS_PASSWORD", "wrong")
    with pytest.raises(FailedPrecondition, match="Redis refuses the user"):
        RedisStream(url, KEY, True).read(1)
    monkeypatch.setenv("ITEMLENS_REDIS_PASSWORD", "secret")
    assert numbers(portion(RedisStream(url, KEY, True))) == [1]
