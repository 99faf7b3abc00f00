"""`itemlens events`: a user's events as the lines that `itemlens ingest file` reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from itemlens import Client, Event, OwnEventType
from support.command import Run
from support.serving import Server

NAME, USER = "exported", "用户 [/]"
START = datetime(2026, 3, 1, 10, tzinfo=UTC)


@pytest.fixture
def shop(server: Server) -> Iterator[Client]:
    """A client of a collection with types of its own."""
    with server.client(collection=NAME) as client:
        client.create_collection(NAME)
        client.update_collection(NAME, event_types=[OwnEventType(name="rating", weight=1.0, liked_from=4)])
        yield client
        client.delete_collection(NAME)


def every_kind() -> list[Event]:
    """Events of every type with every field, more than a page of them."""
    types = ("impression", "view", "click", "cart", "purchase", "return", "dislike")
    some = [
        Event(USER, f"item {n}", kind, START + timedelta(microseconds=n), event_id=f"e\n{n}")
        for n, kind in enumerate(types)
    ]
    ordered = [
        Event(USER, f"i{n}", "purchase", START + timedelta(days=n), n / 3, n / 7, order_id=f"order {n // 2}")
        for n in range(1, 6)
    ]
    rated = [Event(USER, "i", "own", START, value=float(n), own_type="rating") for n in range(6)]
    many = [Event(USER, f"i{n}", "view", START + timedelta(seconds=n / 7)) for n in range(1100)]
    return [*some, *ordered, *rated, *many, Event(USER, "i", "click")]


def test_what_is_written_and_ingested_again_is_the_same(
    run: Run, server: Server, shop: Client, tmp_path: Path
) -> None:
    at = ("--target", server.address, "--collection", NAME)
    shop.record_events(every_kind()).raise_for_errors()
    shop.record_events([Event("another", "i0", "view")]).raise_for_errors()
    before = list(shop.list_events(USER))
    out = tmp_path / "events.jsonl"
    done = run("events", USER, *at, "--out", out)
    assert done.status == 0 and not done.out
    assert done.err == f"1,119 events of user {USER!r} in collection 'exported'\n"
    assert run("events", USER, *at).out == out.read_text(encoding="utf-8")
    shop.delete_user(USER, collection=NAME)
    assert not list(shop.list_events(USER))
    again = run("ingest", "file", out, *at)
    assert again.status == 0 and "1,119 events, 0 rejected" in again.out
    assert list(shop.list_events(USER)) == before and len(before) == 1119


def test_of_an_unknown_user_there_is_no_line_and_it_says_so(
    run: Run, server: Server, shop: Client, tmp_path: Path
) -> None:
    out = tmp_path / "events.jsonl"
    done = run("events", "nobody", "--target", server.address, "--collection", NAME, "--out", out)
    assert done.status == 0 and out.read_text() == ""
    assert done.err == "0 events of user 'nobody' in collection 'exported'\n"


def test_it_is_of_one_collection(run: Run, server: Server) -> None:
    done = run("events", "ann", "--target", server.address, "--collection", "shop")
    assert [json.loads(line)["item_id"] for line in done.out.splitlines()] == ["item-0000"]
    assert run("events", "ann", "--target", server.address).out == ""


def test_what_cannot_be_done_is_one_line(run: Run, server: Server, tmp_path: Path) -> None:
    at = ("--target", server.address, "--collection")
    gone = run("events", "ann", *at, "gone")
    assert gone.status == 1 and "gone" in gone.err and gone.err.count("\n") == 1
    unwritable = run("events", "ann", *at, "shop", "--out", tmp_path / "no" / "folder")
    assert unwritable.status == 1 and "cannot be written" in unwritable.err
