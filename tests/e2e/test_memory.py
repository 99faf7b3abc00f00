"""A server's memory and disk usage depends on the stored items, not on the number of changes and lists.

Each test fails by a wide margin if rows, arrays or answers are not freed: a row of this space has 8 KB.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import itemlens
from itemlens import Event, Item
from support import spaces
from support.serving import Server
from support.sizes import size
from support.waiting import until

WIDE = 2000
MIB = 1 << 20
GROWTH = size(30, 20) * MIB
TEXTS = [f"red shoe {n} of {n % 37}" for n in range(200)]


def resident(server: Server) -> int:
    """Bytes of memory."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) << 10


def on_disk(server: Server) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in server.data.rglob("*") if path.is_file())


def built_graphs(server: Server) -> Path:
    """Wait for the first graphs, and return their folder."""

    def built() -> list[Path]:
        # They are written to a folder with another ending, which then gets the name.
        manifests = server.data.glob("collections/*/graphs-*/graphs.json")
        return [path.parent for path in manifests if not path.parent.suffix]

    until(built, "graphs were built")
    return built()[0]


@pytest.fixture
def wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A separate server with long vectors and little memory for kept recommendations."""
    # With an arena per thread, what the allocator keeps varies by 50 MB from run to run.
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    models = tmp_path / "models"
    models.mkdir()
    spaces.build(models, text_dim=WIDE)
    small: dict[str, Any] = {"recommendation_memory_bytes": 2 * MIB, "embedding_cache_bytes": MIB}
    with Server(models, tmp_path / "data", **small) as server:
        yield server
    assert server.process.returncode == 0


@pytest.fixture
def client(wide: Server) -> Iterator[itemlens.Client]:
    with wide.client() as connected:
        yield connected


@pytest.mark.timeout(size(300, 1800))
def test_of_prices_that_change_again_and_again(wide: Server, client: itemlens.Client) -> None:
    ids = [f"i{n}" for n in range(200)]
    client.upsert([Item(i, text=f"red shoe {i}") for i in ids]).raise_for_errors()

    def update(times: int) -> None:
        for price in range(times):
            items = [Item(i, attributes={"price": price}) for i in ids]
            client.upsert(items, merge=True).raise_for_errors()
            client.recommend(text="red shoe", k=5)

    update(5)
    graphs = built_graphs(wide)
    memory, disk, built = resident(wide), on_disk(wide), graphs.stat().st_ino
    update(size(40, 150))
    assert resident(wide) < memory + GROWTH
    assert on_disk(wide) < disk + 8 * MIB
    assert graphs.stat().st_ino == built, "graphs were built again though no vector changed"
    [stored] = client.get_items(ids[:1])
    assert stored.item.attributes["price"] == size(40, 150) - 1


@pytest.mark.timeout(size(300, 1800))
def test_of_items_that_are_put_and_deleted_again_and_again(wide: Server, client: itemlens.Client) -> None:
    chosen = random.Random(1)

    def churn(writes: int) -> int:
        """The least memory between two writes: on top of it come dead rows, copies and graphs that are being built."""
        least = resident(wide)
        while writes > 0:
            ids = list({f"i{chosen.randrange(1000)}" for _ in range(300)})
            client.upsert([Item(i, text=chosen.choice(TEXTS)) for i in ids]).raise_for_errors()
            client.recommend(history=ids[:50], k=10)
            client.delete_items(ids[:80])
            writes -= len(ids) + 80
            least = min(least, resident(wide))
        return least

    churn(size(4_000, 15_000))  # until the allocator has what it keeps
    memory, disk = churn(size(5_000, 10_000)), on_disk(wide)
    churn(size(0, 30_000))
    assert churn(size(5_000, 10_000)) < memory + GROWTH
    assert on_disk(wide) < disk + 16 * MIB
    there = {stored.item.item_id for stored in client.list_items(page_size=1000) if stored.item}
    assert {item.item_id for item in client.recommend(text="red shoe", k=1000, exact=True)} == there


@pytest.mark.timeout(size(300, 1800))
def test_of_answers_for_a_user_who_did_much(wide: Server, client: itemlens.Client) -> None:
    client.upsert([Item(f"i{n}", text=text) for n, text in enumerate(TEXTS)]).raise_for_errors()
    events = size(4_000, 10_000)
    # The newest are of items that are there.
    item_ids = [f"i{n % 200}" if n > events - 400 else f"gone-{n}" for n in range(events)]
    client.record_events([Event("u", item_id) for item_id in item_ids]).raise_for_errors()
    for _ in range(5):
        client.recommend("u", k=10)
    memory = resident(wide)
    for _ in range(size(80, 600)):
        client.recommend("u", k=10, exclude_seen=False)
    assert resident(wide) < memory + GROWTH
