"""Acknowledged writes survive kill -9, SIGTERM, restarts, damaged snapshots and full disks."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

import itemlens
from itemlens import Event, Item
from itemlens.v1 import catalog_pb2, common_pb2
from support import spaces
from support.serving import NotServing, Server, sample_items
from support.spaces import Tiny


def stored(client: itemlens.Client) -> dict[str, str]:
    """Text of every item that can be listed."""
    return {i.item.item_id: i.item.texts["text"] for i in client.list_items(page_size=1000)}


def ranked(client: itemlens.Client) -> dict[str, float]:
    """Score of every item that is searched."""
    return {i.item_id: i.score for i in client.recommend(text="red shoe", k=1000, exact=True)}


class TestCrash:
    def test_loses_nothing_of_what_was_acknowledged_to_many_writers(self, tiny: Tiny, tmp_path: Path) -> None:
        # Arrange: four writers that put, replace and delete items and record events until the server is gone.
        server = Server(tiny.models, tmp_path)
        acknowledged: dict[str, str | None] = {}
        uncertain: set[str] = set()
        events: dict[str, int] = {}
        enough = threading.Barrier(5)

        def write(writer: int) -> None:
            with server.client() as client:
                for n in range(100_000):
                    if n == 25:
                        enough.wait(timeout=120)
                    item_id, text = f"{writer}-{n % 40}", f"red shoe {writer} {n}"
                    uncertain.add(item_id)
                    try:
                        if n % 7 == 6:
                            client.delete_items([item_id])
                            acknowledged[item_id] = None
                        else:
                            client.upsert([Item(item_id, text=text)]).raise_for_errors()
                            acknowledged[item_id] = text
                        uncertain.discard(item_id)
                        client.record_events([Event(f"user-{writer}", item_id)]).raise_for_errors()
                        events[f"user-{writer}"] = events.get(f"user-{writer}", 0) + 1
                    except itemlens.Unavailable:
                        return

        # Act
        with ThreadPoolExecutor(4) as threads:
            writing = [threads.submit(write, n) for n in range(4)]
            enough.wait(timeout=120)
            server.kill()
            for future in writing:
                future.result()
        # Assert
        with Server(tiny.models, tmp_path) as again, again.client() as client:
            texts, searched = stored(client), ranked(client)
            for item_id, text in acknowledged.items():
                if item_id not in uncertain:
                    assert texts.get(item_id) == text
            assert len(acknowledged) >= 80
            assert set(texts) == set(searched)
            total = client.get_collection().event_count
            # One event of each writer may have been stored without its acknowledgement.
            assert sum(events.values()) <= total <= sum(events.values()) + 4

    def test_is_survived_with_and_without_the_snapshots_of_graphs_and_behaviour(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        with Server(tiny.models, tmp_path, candidates_per_channel=30) as server, server.client() as client:
            client.upsert(sample_items(400)).raise_for_errors()
            client.record_events(
                [Event(f"u{n}", f"item-{(n + m) % 50:04d}") for n in range(80) for m in range(3)]
            )
            server.wait_for_log("tables computed")
            client.delete_items([f"item-{n:04d}" for n in range(0, 60, 7)])
            # Wait until the graphs are on disk: they are built before the table is fitted, in the same round.
            [folder] = (tmp_path / "collections").iterdir()
            [snapshot] = folder.glob("graphs-*/graphs.json")
            before = ranked(client)
            by_history = [i.item_id for i in client.recommend(history=["item-0001", "item-0002"], k=20)]
            server.kill()
        graphs = sorted(snapshot.parent.glob("*.hnsw"))
        assert graphs
        for damage in ("none", "one graph", "manifest", "behaviour", "all gone"):
            if damage == "one graph":
                graphs[0].write_bytes(graphs[0].read_bytes()[:100])
            elif damage == "manifest":
                snapshot.write_text("{")
            elif damage == "behaviour":
                (folder / "behaviour.npz").write_bytes(b"PK\x03\x04 rubbish")
            elif damage == "all gone":
                for path in snapshot.parent.iterdir():
                    path.unlink()
            with Server(tiny.models, tmp_path, candidates_per_channel=30) as again, again.client() as client:
                after = ranked(client)
                assert again.healthy()
                assert set(after) == set(before)
                np.testing.assert_allclose([after[i] for i in before], list(before.values()), atol=1e-6)
                if damage == "none":
                    assert [
                        i.item_id for i in client.recommend(history=["item-0001", "item-0002"], k=20)
                    ] == by_history
                else:
                    again.wait_for_log("tables computed" if damage == "behaviour" else "collection default")
                served = [i.item_id for i in client.recommend(text="blue dress", k=10)]
                exact = [i.item_id for i in client.recommend(text="blue dress", k=10, exact=True)]
                assert served == exact
                if damage in ("one graph", "manifest"):
                    assert any("cannot be used" in line for line in again.log)


class TestStop:
    def test_ends_an_idle_stream_at_once_and_keeps_what_it_acknowledged(
        self, tiny: Tiny, tmp_path: Path
    ) -> None:
        # Arrange: a stream whose caller has not closed it.
        server = Server(tiny.models, tmp_path)
        requests: queue.SimpleQueue[catalog_pb2.StreamUpsertItemsRequest | None] = queue.SimpleQueue()
        item = catalog_pb2.Item(item_id="before", contents=[common_pb2.Content(channel="text", text="red")])
        requests.put(
            catalog_pb2.StreamUpsertItemsRequest(upsert=catalog_pb2.UpsertItemsRequest(items=[item]))
        )
        stream = server.catalog.StreamUpsertItems(iter(requests.get, None))
        assert next(stream).upsert.results[0].status.code == 0
        # Act
        server.terminate()
        # Assert
        with pytest.raises(grpc.RpcError) as ended:
            next(stream)
        requests.put(None)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert server.wait() == 0
        assert "stopped" in server.log[-1]
        with Server(tiny.models, tmp_path) as again, again.client() as client:
            assert set(stored(client)) == {"before"}

    def test_does_not_wait_for_ever(self, tiny: Tiny, tmp_path: Path) -> None:
        server = Server(tiny.models, tmp_path, drain_seconds=0)
        requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stream = server.catalog.StreamUpsertItems(iter(requests.get, None))
        item = catalog_pb2.Item(item_id="a", contents=[common_pb2.Content(channel="text", text="red")])
        requests.put(
            catalog_pb2.StreamUpsertItemsRequest(upsert=catalog_pb2.UpsertItemsRequest(items=[item]))
        )
        next(stream)
        server.terminate()
        with pytest.raises(grpc.RpcError):
            list(stream)
        requests.put(None)
        assert server.wait() == 0


class TestFullDisk:
    @staticmethod
    def fill(client: itemlens.Client) -> tuple[set[str], list[itemlens.ItemlensError]]:
        """Write items of noise until one is refused, and a few more. Return the stored ids and the errors."""
        rng = np.random.default_rng(0)
        taken: set[str] = set()
        refused: list[itemlens.ItemlensError] = []
        for n in range(400):
            noise = Image.fromarray(rng.integers(0, 256, (90, 90, 3), np.uint8))
            try:
                client.upsert(
                    [Item(f"i{n}", text="red shoe", picture=spaces.encoded(noise))]
                ).raise_for_errors()
                taken.add(f"i{n}")
            except itemlens.Overloaded as error:
                refused.append(error)
                if len(refused) == 3:
                    return taken, refused
        raise AssertionError("the disk never filled up")

    def check(self, server: Server, client: itemlens.Client) -> None:
        client.upsert([Item("first", text="red shoe")]).raise_for_errors()
        taken, refused = self.fill(client)
        for error in refused:
            assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error.details.reason == "STORAGE_FULL" and "max_store_bytes" in error.message
        # Nothing of the refused items is stored; all others are served.
        assert server.healthy()
        there = {"first", *taken}
        assert set(stored(client)) == set(ranked(client)) == there
        assert client.encode(["red"])[0].error is None
        # Deleting makes room.
        client.delete_items(sorted(taken)).raise_for_errors()
        client.upsert([Item("last", text="red shoe")]).raise_for_errors()
        assert set(stored(client)) == {"first", "last"}
        assert not any("internal error" in line for line in server.log)

    def test_by_setting(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, max_store_bytes=600_000) as server, server.client() as client:
            self.check(server, client)
            client.create_collection("another")

    def test_by_the_system(self, tiny: Tiny, tmp_path: Path) -> None:
        # No file may grow past 3 MB: writes fail as they do on a full disk. Afterwards there is room again.
        with Server(tiny.models, tmp_path, file_size=3_000_000) as server, server.client() as client:
            client.upsert([Item("first", text="red shoe")]).raise_for_errors()
            taken, refused = self.fill(client)
            assert all(e.details.reason == "STORAGE_FULL" for e in refused)
            assert server.healthy()
            assert set(stored(client)) == set(ranked(client)) == {"first", *taken}
            assert not any("internal error" in line for line in server.log)
        with Server(tiny.models, tmp_path) as again, again.client() as client:
            assert set(stored(client)) == set(ranked(client)) == {"first", *taken}
            client.upsert([Item("last", text="red shoe")]).raise_for_errors()


class TestMove:
    def test_to_a_fitted_space_while_reads_and_writes_go_on(self, tiny: Tiny, tmp_path: Path) -> None:
        with Server(tiny.models, tmp_path, "--space", tiny.plain) as server, server.client() as client:
            client.upsert(sample_items(300)).raise_for_errors()
            stop = threading.Event()
            seen: set[str] = set()

            def read() -> int:
                count = 0
                with server.client() as mine:
                    while not stop.is_set():
                        answer = mine.recommend(text="red shoe", k=5)
                        assert len(answer) == 5
                        seen.add(answer.space_id)
                        count += 1
                return count

            def write() -> int:
                count = 0
                with server.client() as mine:
                    while not stop.is_set():
                        mine.upsert([Item(f"new-{count}", text=f"red shoe {count}")]).raise_for_errors()
                        count += 1
                return count

            with ThreadPoolExecutor(3) as threads:
                reading, writing = [threads.submit(read) for _ in range(2)], threads.submit(write)
                moved = [
                    client.update_collection("default", space=s).space_id
                    for s in ("fitted", tiny.plain, "fitted")
                ]
                stop.set()
                written = writing.result()
                assert all(r.result() > 0 for r in reading)
            assert moved == [tiny.fitted, tiny.plain, tiny.fitted]
            assert seen <= {tiny.plain, tiny.fitted}
            assert client.recommend(text="red shoe").space_id == tiny.fitted
            expected = {f"item-{n:04d}" for n in range(300)} | {f"new-{n}" for n in range(written)}
            assert set(stored(client)) == set(ranked(client)) == expected
            before = ranked(client)
        with Server(tiny.models, tmp_path) as again, again.client() as client:
            assert client.get_collection().space_id == tiny.fitted
            after = ranked(client)
            assert set(after) == set(before)
            np.testing.assert_allclose([after[i] for i in before], list(before.values()), atol=1e-6)


def test_two_servers_do_not_share_a_folder(server: Server, tiny: Tiny) -> None:
    with pytest.raises(NotServing, match="another server uses"):
        Server(tiny.models, server.data)
