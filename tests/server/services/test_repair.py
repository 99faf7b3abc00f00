"""A damaged store at a start: vectors are encoded again from contents; damaged contents are never served."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import DataLoss
from itemlens_server.services import QueryRequest
from itemlens_server.storage.records import DamagedItem, content_hash
from support import spaces
from support.live import Live, contents
from support.spaces import Tiny

PICTURES = {
    f"{kind} {colour}": spaces.picture(kind, colour)
    for kind, colour in (("shoe", "red"), ("dress", "blue"), ("kettle", "green"))
}
Damage = Callable[[str], None]


@pytest.fixture
def store(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> Iterator[tuple[dict[str, np.ndarray], Damage]]:
    """h by item id of three items with a text and a picture, and a function to run SQL on the closed store."""
    live = Live(repository, tmp_path, tiny.fitted)
    for item, picture in PICTURES.items():
        live.put(item, item, [picture])
    before = vectors(live)
    live.close()

    def damage(statement: str) -> None:
        connection = sqlite3.connect(tmp_path / "itemlens.db", isolation_level=None)
        connection.create_function("flipped", 1, flipped)
        connection.execute(statement)
        connection.close()

    yield before, damage


def flipped(data: bytes) -> bytes:
    """`data` with one bit of the exponent of every fourth float flipped."""
    changed = bytearray(data)
    for place in range(3, len(changed), 16):
        changed[place] ^= 0x20
    return bytes(changed)


def vectors(live: Live) -> dict[str, np.ndarray]:
    view = live.collection.snapshot().view
    return {view.item_ids[p]: view.h[p].copy() for p in np.flatnonzero(view.alive)}


def test_damaged_vectors_are_encoded_again(
    store: tuple[dict[str, np.ndarray], Damage],
    repository: ModelRepository,
    tiny: Tiny,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, damage = store
    damage("UPDATE vectors SET data = flipped(data)")
    damage(f"DELETE FROM vectors WHERE content = x'{content_hash(b'shoe red').hex()}'")
    for said in (3, 0):
        caplog.clear()
        live = Live(repository, tmp_path, tiny.fitted)
        try:
            after = vectors(live)
            assert set(after) == set(before)
            for item, h in before.items():
                np.testing.assert_allclose(after[item], h, atol=1e-5)
            assert caplog.text.count("encoded again") == said
            assert live.store.reader().problems() == []
        finally:
            live.close()


def test_an_item_whose_contents_are_damaged_too_is_left_out_until_it_is_written_again(
    store: tuple[dict[str, np.ndarray], Damage],
    repository: ModelRepository,
    tiny: Tiny,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, damage = store
    damage("UPDATE vectors SET data = flipped(data)")
    damage("UPDATE pictures SET data = substr(data, 1, 40) || x'00' || substr(data, 42) WHERE rowid = 1")
    damage("UPDATE items SET document = replace(document, 'dress', 'drfss') WHERE item_id = 'dress blue'")
    live = Live(repository, tmp_path, tiny.fitted)
    try:
        assert set(vectors(live)) == {"kettle green"}
        for item in ("shoe red", "dress blue"):
            assert f"item '{item}' is left out" in caplog.text
            assert isinstance(live.catalogue.reads.item(live.collection, item, with_data=True), DataLoss)
        answer = live.ask(QueryRequest(content=contents("shoe")), k=9)
        assert [i.item_id for i in answer.items] == ["kettle green"]
        assert live.put("dress blue", "dress blue", [PICTURES["dress blue"]]).error is None
        np.testing.assert_allclose(vectors(live)["dress blue"], before["dress blue"], atol=1e-5)
    finally:
        live.close()


def test_damaged_contents_alone_are_said_only_where_they_are_read(
    store: tuple[dict[str, np.ndarray], Damage], repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    _, damage = store
    damage("UPDATE items SET document = replace(document, 'dress', 'drfss') WHERE item_id = 'dress blue'")
    live = Live(repository, tmp_path, tiny.fitted)
    try:
        request = QueryRequest(content=contents("dress"))
        assert {i.item_id for i in live.ask(request, k=9).items} == set(PICTURES)
        whole, damaged = live.explain(request, "shoe red", "dress blue")
        assert whole.error is None and isinstance(damaged.error, DataLoss)
        page = {i.item_id: i for _, i in live.catalogue.reads.page(live.collection, b"", 9)}
        assert set(page) == set(PICTURES)
        assert [i for i in page if isinstance(page[i], DamagedItem)] == ["dress blue"]
    finally:
        live.close()
