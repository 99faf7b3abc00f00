"""The file of what the last sync saw: used only for the collection that it was made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from itemlens import Collection, Item
from itemlens_cli.sync.state import State, seen
from itemlens_server.storage.backup import EPOCH

NOW = datetime(2026, 11, 28, tzinfo=UTC)
SHOP = Collection("shop", "sp-1", 1, 0, 10, NOW, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    items = {
        "a\n": seen(Item("a\n", text="x", texts={"text": "x"}, pictures={})),
        "b": seen(Item("b", pictures={})),
    }
    State(tmp_path / "s.sync", SHOP).save(items, SHOP)
    found = State(tmp_path / "s.sync", SHOP).seen
    assert found == items and found["a\n"].channels == {"text"}
    return tmp_path / "s.sync"


@pytest.mark.parametrize(
    ("collection", "why"),
    [
        (replace(SHOP, name="other"), "another collection"),
        (replace(SHOP, create_time=NOW + timedelta(seconds=1)), "another collection"),
        (replace(SHOP, sequence_number=9), "restored from a backup"),
        (replace(SHOP, sequence_number=EPOCH), "restored from a backup"),
    ],
)
def test_of_another_collection_it_is_not_used(path: Path, collection: Collection, why: str) -> None:
    state = State(path, collection)
    assert not state.seen and why in state.unused
    assert State(path, replace(SHOP, sequence_number=EPOCH - 1)).seen


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b"null\n", b'{"version": 1}\n'])
def test_a_damaged_file_is_not_used(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert not State(path, SHOP).seen and State(path, SHOP).unused
    path.unlink()
    assert "not there yet" in State(path, SHOP).unused


def test_a_torn_file_is_not_used(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])
    assert State(path, SHOP).unused == "cannot be read" and not State(path, SHOP).seen
