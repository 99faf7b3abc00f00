"""Wrong uses of the client, the command line and the settings. One message names what is wrong and what to do.

Wrong mappings and data files are in tests/clients/datasets/test_wrong_mappings.py and tests/cli/test_wrong_files.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import itemlens
from itemlens import Content, Event, Interaction, Item
from support.command import Run
from support.serving import Server

# What is wrong, the call, and parts of the message: the field and the fix.
CLIENT: dict[str, tuple[Callable[[itemlens.Client], Any], tuple[str, ...]]] = {
    "an attribute that is a set": (
        lambda c: c.upsert([Item("a", text="x", attributes={"tags": {"red", "new"}})]),
        ("item 'a'", "attributes['tags']", "give a list"),
    ),
    "an attribute beyond 2^53": (
        lambda c: c.upsert([Item("a", text="x", attributes={"ean": 1234567890123456789})]),
        ("item 'a'", "attributes['ean']", "give it as a str"),
    ),
    "an attribute that is NaN": (
        lambda c: c.upsert([Item("a", text="x", attributes={"price": float("nan")})]),
        ("item 'a'", "attributes['price'] is nan", "leave it out"),
    ),
    "a Decimal of too many digits": (
        lambda c: c.upsert([Item("a", text="x", attributes={"rate": Decimal("0.12345678901234567890")})]),
        ("item 'a'", "attributes['rate']", "give it as a str"),
    ),
    "an attribute of bytes": (
        lambda c: c.upsert([Item("a", text="x", attributes={"name": b"red"})]),
        ("item 'a'", "attributes['name'] is bytes", ".decode()"),
    ),
    "an attribute deep inside": (
        lambda c: c.upsert([Item("a", text="x", attributes={"sizes": [{"eu": object()}]})]),
        ("attributes['sizes'][0]['eu'] is of type object", "give a str, number"),
    ),
    "an id that is a number": (
        lambda c: c.upsert([Item(17, text="x")]),
        ("item 17: item_id must be a str",),
    ),
    "one item instead of a list": (
        lambda c: c.upsert(Item("a", text="x")),
        ("items must be a list", "write [...]"),
    ),
    "a dict instead of an Item": (
        lambda c: c.upsert([{"id": "a"}]),
        ("items[0] must be an itemlens.Item",),
    ),
    "a picture that is an array": (
        lambda c: c.upsert([Item("a", picture=np.zeros((8, 8, 3), np.uint8))]),
        ("item 'a'", "bytes of an image file or its path", "getvalue()"),
    ),
    "a time without zone": (
        lambda c: c.record_events([Event("u", "a", time=datetime(2026, 1, 1), event_id="e1")]),
        ("event 'e1'", "no time zone", "tzinfo=timezone.utc"),
    ),
    "a time in seconds": (
        lambda c: c.record_events([Event("u", "a", time=1.7e9, event_id="e1")]),
        ("event 'e1'", "time must be a datetime", "fromtimestamp"),
    ),
    "an unknown type of event": (
        lambda c: c.record_events([Event("u", "a", "purchased", event_id="e1")]),
        ("event 'e1'", "type is 'purchased'", "did you mean 'purchase'?"),
    ),
    "one id as the history": (
        lambda c: c.recommend(history="item-0001"),
        ("history must be a list", "write ['item-0001']"),
    ),
    "a wrong past item": (
        lambda c: c.recommend(history=[Interaction("item-0001", "bought")]),
        ("history[0]", "type is 'bought'", "one of impression, view"),
    ),
    "bare numbers as a vector": (
        lambda c: c.recommend(query_vector=np.zeros(4)),
        ("query_vector: expected an itemlens.Vector",),
    ),
    "no size": (lambda c: c.recommend(text="red", k=0), ("k is 0", "it must be 1 to 1000")),
    "an unknown language": (
        lambda c: c.recommend(text="red", language="de"),
        ("language is 'de'", "one of en, zh"),
    ),
    "no user": (lambda c: c.recommend(), ("user",)),
    "an unknown collection": (lambda c: c.recommend(text="red", collection="nope"), ("'nope'",)),
    "an unknown channel": (
        lambda c: c.encode(contents=[Content("titel", text="red")]).vectors,
        ("titel",),
    ),
    "a target that is a URL": (
        lambda c: itemlens.Client("http://localhost:50051"),
        ("'http://localhost:50051' is a URL", "'localhost:50051'"),
    ),
    "a target without port": (lambda c: itemlens.Client("localhost"), ("has no port", "'localhost:50051'")),
    "a negative timeout": (lambda c: c.recommend(text="red", timeout=-1), ("timeout must be 0 or more",)),
}  # fmt: skip


@pytest.mark.parametrize("case", CLIENT)
def test_of_the_client(server: Server, case: str) -> None:
    call, fragments = CLIENT[case]
    with (
        server.client(collection="shop") as client,
        pytest.raises((ValueError, TypeError, itemlens.ItemlensError)) as raised,
    ):
        call(client)
    message = str(raised.value)
    assert all(fragment in message for fragment in fragments), message
    assert "\n" not in message and not isinstance(raised.value, itemlens.ServerError)


def test_unusual_values_with_one_meaning_are_accepted(server: Server) -> None:
    """A datetime, a Decimal and numpy numbers are stored as JSON."""
    attributes = {"since": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("19.90"), "stock": np.int64(3)}
    with server.client(collection="shop") as client:
        client.upsert([Item("wrong-uses", text="red", attributes=attributes)]).raise_for_errors()
        [stored] = client.get_items(["wrong-uses"])
        client.delete_items(["wrong-uses"])
    assert stored.item.attributes == {"since": "2026-01-01T00:00:00+00:00", "price": 19.9, "stock": 3}


# What is wrong, the environment, the settings file, the arguments, and parts of the message.
# {server} is the address of a running server, {folder} an empty folder with a file `file`.
COMMANDS: dict[str, tuple[dict[str, str], str, str, tuple[str, ...]]] = {
    "a variable that is not a number": (
        {"ITEMLENS_THREADS": "many"}, "", "serve",
        ("ITEMLENS_THREADS is 'many'", "it must be a whole number, at least 0"),
    ),
    "a variable out of range": (
        {"ITEMLENS_WEIGHT_VIEW": "-0.5"}, "", "serve",
        ("ITEMLENS_WEIGHT_VIEW is '-0.5'", "it must be a number, at least 0"),
    ),
    "a variable with an unknown choice": (
        {"ITEMLENS_PROVIDER": "gpu"}, "", "serve", ("ITEMLENS_PROVIDER is 'gpu'", "one of auto, cpu, cuda"),
    ),
    "a flag with an unknown choice": (
        {}, "", "serve --precision int4", ("precision is 'int4'", "one of auto, fp32, fp16, int8"),
    ),
    "--listen without a port": (
        {}, "", "serve --listen 127.0.0.1", ("listen is '127.0.0.1'", "it has no port; write host:port"),
    ),
    "--listen without a host": (
        {}, "", "serve --listen 50051", ("listen is '50051'", "it has no host; write 127.0.0.1:50051"),
    ),
    "--listen with a URL": (
        {}, "", "serve --listen http://0.0.0.0:50051", ("listen is 'http://0.0.0.0:50051'", "write host:port"),
    ),
    "a misspelt key in the file": (
        {}, "max_k: 5\nthreds: 2\n", "serve --config {folder}/file",
        ("file, line 2: threds is not a setting", "did you mean threads?"),
    ),
    "a wrong value in the file": (
        {}, "max_k: none\n", "serve --config {folder}/file",
        ("file, line 1: max_k is 'none'", "it must be a whole number, more than 0"),
    ),
    "a file that is not YAML": (
        {}, "max_k: 5\nlisten: [\n", "serve --config {folder}/file", ("file, line 3: not YAML",),
    ),
    "a file with a setting twice": (
        {}, "max_k: 5\nmax_k: 6\n", "serve --config {folder}/file", ("line 2: max_k is already given in line 1",),
    ),
    "a file that is a list": (
        {}, "- max_k: 5\n", "serve --config {folder}/file", ("file holds no settings", "write lines such as"),
    ),
    "health of a URL": (
        {}, "", "health --target http://localhost:50051",
        ("--target 'http://localhost:50051' is a URL", "'localhost:50051'"),
    ),
    "health of an unknown port": (
        {"ITEMLENS_LISTEN": "127.0.0.1:0"}, "", "health", ("127.0.0.1:0 takes any free port", "--target"),
    ),
    "health with a wrong address in the settings": (
        {"ITEMLENS_LISTEN": "127.0.0.1"}, "", "health", ("ITEMLENS_LISTEN is '127.0.0.1'", "no port"),
    ),
    "query without a server": (
        {}, "", "query shoe --target 127.0.0.1:1", ("no server answers at 127.0.0.1:1", "itemlens serve"),
    ),
    "query with a URL": ({}, "", "query shoe --target http://127.0.0.1:1/", ("is a URL", "'127.0.0.1:1'")),
    "query for words that are not UTF-8": (
        {}, "", "query sho\udce9 --collection shop --target {server}", ("surrogate pair at position 3", "UTF-8"),
    ),
    "index with a URL": ({}, "", "index grocery --target http://localhost:50051 --data {folder}", ("is a URL",)),
    "an empty query": ({}, "", "query", ("give words, --picture",)),
    "query of an unknown collection": (
        {}, "", "query shoe --collection nope --target {server}", ("'nope'",),
    ),
    "move to an unknown space": ({}, "", "move shop nope --target {server}", ("'nope'",)),
    "move without a server": ({}, "", "move shop nope --target localhost:1", ("no server answers at localhost:1",)),
    "fit without a store": (
        {}, "", "fit --data {folder}/none --target {server}", ("there is no store in", "with --data"),
    ),
    "fit with a target without port": ({}, "", "fit --target localhost", ("has no port", "'localhost:50051'")),
    "eval without the data": (
        {}, "", "eval ml-100k --data {folder}", ("has no ml-100k.inter, ml-100k.item", "recbole"),
    ),
    "bench with a setting without value": ({}, "", "bench encode --set max_k", ("--set name=value",)),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_of_a_command(
    server: Server, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    environment, settings, line, fragments = COMMANDS[case]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text(settings)
    done = run(*line.format(server=server.address, folder=tmp_path).split())
    assert done.status == 1
    assert all(fragment in done.said for fragment in fragments), done.said
    assert "Traceback" not in done.said
    assert len((done.out + done.err).splitlines()) == 1, done.out + done.err


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("query shoe --k 0", ("'--k'", "1")),
        ("query --picture none.jpg", ("--picture", "none.jpg", "does not exist")),
        ("query shoe --language de", ("--language", "'en'", "'zh'")),
        ("serve --config none.yaml", ("--config", "none.yaml", "does not exist")),
        ("serve --threads many", ("'--threads'", "integer")),
        ("srve", ("No such command 'srve'", "serve")),
    ],
)
def test_of_an_option(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, fragments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*line.split())
    assert done.status == 2 and "Traceback" not in done.said
    assert all(fragment in done.said for fragment in fragments), done.said


def test_the_tables_have_enough_cases() -> None:
    assert len(CLIENT) + len(COMMANDS) >= 31
