"""`itemlens backup` of a running server, and `itemlens restore`: the restored store is served."""

from __future__ import annotations

from pathlib import Path

from itemlens import Event
from support.command import Run
from support.serving import Server, sample_items
from support.spaces import Tiny


def test_a_running_server_is_backed_up_and_the_backup_is_served(run: Run, tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path / "data") as server, server.client() as client:
        client.upsert(sample_items(20)).raise_for_errors()
        client.record_events([Event("ann", "item-0001", "purchase")]).raise_for_errors()
        asked = client.recommend("ann", k=5)
        done = run("backup", tmp_path / "backup", "--data", tmp_path / "data")
        client.delete_items([f"item-{n:04}" for n in range(10)])
    assert done.status == 0 and "1 collection, 20 items, 1 events" in done.out
    done = run("restore", tmp_path / "backup", "--data", tmp_path / "again")
    assert done.status == 0 and "1 collection, 20 items, 1 events" in done.out and "as of 20" in done.out
    with Server(tiny.models, tmp_path / "again") as server, server.client() as client:
        again = client.recommend("ann", k=5)
        assert [i.item_id for i in again.items] == [i.item_id for i in asked.items]


def test_what_cannot_be_done_is_one_line(run: Run, tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        done = run(command, tmp_path / "none", "--data", tmp_path / "data")
        assert done.status == 1 and done.err.startswith("error: ") and done.err.count("\n") == 1
