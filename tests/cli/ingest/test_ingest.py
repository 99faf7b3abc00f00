"""`itemlens ingest` as a person runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens import Client
from support.brokers import RedisServer
from support.command import Run
from support.serving import Server
from support.waiting import until


@pytest.fixture
def shop(server: Server) -> Iterator[Client]:
    """A client of an empty collection with the name "ingested"."""
    with server.client(collection="ingested") as client:
        client.create_collection("ingested")
        yield client
        client.delete_collection("ingested")


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    lines = [{"user_id": "u", "item_id": f"item-{n:04d}", "type": "click"} for n in range(20)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def into(server: Server) -> list[str]:
    return ["--target", server.address, "--collection", "ingested"]


def test_a_second_run_records_what_was_added(run: Run, server: Server, shop: Client, events: Path) -> None:
    first = run("ingest", "file", events, *into(server))
    assert first.status == 0 and "events.jsonl: 20 events, 0 rejected, 0 bytes to read" in first.out
    with events.open("a") as file:
        file.write('{"user_id": "u", "item_id": "item-0001", "type": "view"}\n{"user_id"')
    second = run("ingest", "file", events, *into(server))
    assert second.status == 0 and "events.jsonl: 1 events" in second.out
    assert "the last 10 bytes of" in second.err
    assert shop.get_collection().event_count == 21
    shown = run("ingest", "status", *into(server))
    assert "events.jsonl" in shown.out and " 21 " in shown.out


def test_poison_is_kept_and_the_rest_is_recorded(
    run: Run, server: Server, shop: Client, events: Path, tmp_path: Path
) -> None:
    with events.open("a") as file:
        file.write('{"user_id": "u", "item_id": "i", "type": "view", "event_id": "' + "e" * 300 + '"}\n')
        file.write("not json\n")
        file.write('{"user_id": "u", "item_id": "i", "type": "view"}\n')
    kept = tmp_path / "rejected.jsonl"
    done = run("ingest", "file", events, "--rejected", kept, *into(server))
    assert done.status == 3
    assert "rejected INVALID_ARGUMENT: 1" in done.out and "rejected NOT_JSON: 1" in done.out
    told = {record["reason"]: record for record in map(json.loads, kept.read_text().splitlines())}
    assert told["NOT_JSON"]["content"] == "not json"
    at = int(told["NOT_JSON"]["place"])
    assert events.read_bytes()[at:].startswith(b"not json")
    assert shop.get_collection().event_count == 21
    assert run("ingest", "file", events, *into(server)).status == 0


def test_what_the_server_warns_of_is_counted(run: Run, server: Server, shop: Client, events: Path) -> None:
    assert run("ingest", "file", events, *into(server)).status == 0
    with events.open("a") as file:  # the id of the first line
        file.write(
            '{"event_id": "events.jsonl:0", "user_id": "u", "item_id": "item-0000", "type": "click"}\n'
        )
    again = run("ingest", "file", events, *into(server))
    assert again.status == 0 and "recorded with the warning DUPLICATE_EVENT: 1" in again.out
    assert shop.get_collection().event_count == 20


def test_without_a_file_for_them_the_rejected_are_printed(
    run: Run, server: Server, shop: Client, events: Path
) -> None:
    with events.open("a") as file:
        file.write("x" * 1000 + "\n")
    done = run("ingest", "file", events, *into(server))
    assert done.status == 3
    assert "rejected events.jsonl at " in done.err and "NOT_JSON" in done.err
    assert "x" * 200 + "..." in done.err and "x" * 201 not in done.err


def test_a_redis_stream(run: Run, server: Server, shop: Client, tmp_path: Path) -> None:
    broker = RedisServer(tmp_path)
    try:
        for n in range(5):
            broker.client.xadd("clicks", {"user_id": "u", "item_id": f"item-{n:04d}", "type": "view"})
        done = run("ingest", "redis", broker.url, "clicks", *into(server))
        assert done.status == 0 and "clicks: 5 events, 0 rejected, 0 entries to read" in done.out
        assert run("ingest", "redis", broker.url, "clicks", *into(server)).status == 0
        assert shop.get_collection().event_count == 5
    finally:
        broker.close()
    gone = run("ingest", "redis", broker.url, "clicks", "--give-up", "0.2", *into(server))
    assert gone.status == 1 and "Redis cannot be reached" in gone.err and "given up" in gone.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("file", "{events}", "--collection", "nope"), "no collection 'nope'"),
        (("file", "{events}", "--stream", "s" * 201), "--stream has 201 characters"),
        (
            ("file", "{events}", "--target", "localhost:1", "--give-up", "0.2"),
            "no server answers at localhost:1",
        ),
        (("file", "{events}.gone"), "cannot be read (No such file or directory)"),
        (("redis", "localhost", "clicks"), "not the address of a Redis server"),
        (("file", "."), "not a regular file"),
    ],
)
def test_a_wrong_use_says_what_to_do(
    run: Run, server: Server, shop: Client, events: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [argument.format(events=events) for argument in arguments]
    if "--target" not in given:
        given += ["--target", server.address]
    done = run("ingest", *given)
    assert done.status == 1 and message in done.err


def test_a_password_in_a_wrong_address_is_not_repeated(run: Run) -> None:
    done = run("ingest", "redis", "redis://:secret@host:port/0", "clicks")
    assert done.status == 1 and "not the address" in done.err and "secret" not in done.err


def test_without_its_package_redis_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "itemlens_cli.ingest.redis_stream", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    done = run("ingest", "redis", "redis://localhost", "clicks")
    assert done.status == 1 and "pip install 'itemlens-server[ingest]'" in done.err


def test_a_signal_ends_it_with_what_it_read(server: Server, shop: Client, events: Path) -> None:
    command = [sys.executable, "-m", "itemlens_cli", "ingest", "file", str(events), "--follow", *into(server)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    until(lambda: shop.get_collection().event_count == 20, "20 events were recorded")
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and "events.jsonl: 20 events" in output
