"""Many concurrent callers that change what the others read: no errors, and a consistent final state."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import itemlens
from itemlens import Event, Item
from support import spaces
from support.serving import Server
from support.spaces import Tiny

SECONDS = 4.0


def test_upserts_deletions_questions_and_explanations_at_once(
    server: Server, client: itemlens.Client, collection: str
) -> None:
    # Arrange: a common pool of items that all writers replace and delete.
    samples = spaces.sample_items(60)
    client.upsert(
        [Item(i.item_id, text=i.text, pictures=list(i.pictures)) for i in samples]
    ).raise_for_errors()
    stop = threading.Event()
    unexpected: list[BaseException] = []

    def repeated(step: Callable[[itemlens.Client, np.random.Generator, int], None], seed: int) -> None:
        rng = np.random.default_rng(seed)
        with server.client(collection=collection) as mine:
            n = 0
            while not stop.is_set():
                try:
                    step(mine, rng, n)
                except Exception as error:
                    unexpected.append(error)
                    stop.set()
                n += 1

    def write(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        chosen = [samples[i] for i in rng.permutation(60)[:5]]
        pictures = [
            spaces.picture(i.theme, i.colour, n) if rng.random() < 0.3 else i.pictures for i in chosen
        ]
        items = [
            Item(i.item_id, text=i.text, pictures=[p] if isinstance(p, bytes) else list(p))
            for i, p in zip(chosen, pictures, strict=True)
        ]
        mine.upsert(items).raise_for_errors()

    def merge(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        mine.upsert(
            [Item(f"merged-{n % 5}", text=f"red shoe {n}", attributes={f"k{n % 9}": n})], merge=True
        ).raise_for_errors()

    def delete(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        for outcome in mine.delete_items([samples[i].item_id for i in rng.permutation(60)[:3]]):
            assert outcome.error is None or isinstance(outcome.error, itemlens.NotFound)

    def ask(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        try:
            past = [samples[i].item_id for i in rng.permutation(60)[:4]]
            answer = mine.recommend(history=past, text="red shoe", k=10, parts=True, reasons=True)
        except itemlens.NotFound:
            return  # all of the past was deleted a moment ago
        ids = [i.item_id for i in answer]
        assert len(set(ids)) == len(ids)
        for item in answer:
            assert abs(sum(p.value for p in item.parts) - item.score) < 1e-4
        if not ids:
            return
        for explained in mine.explain(ids[:3], recommendation_id=answer.recommendation_id):
            if explained.error is None:
                assert abs(explained.residual) < 1e-4
            else:  # it was replaced or deleted since
                assert isinstance(explained.error, itemlens.FailedPrecondition | itemlens.NotFound)

    def candidates(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        wanted = [samples[i].item_id for i in rng.permutation(60)[:4]]
        with contextlib.suppress(itemlens.NotFound):
            assert {i.item_id for i in mine.recommend(text="red", candidates=wanted)} <= set(wanted)
        mine.get_items(wanted, vectors=True, pictures=True)

    def record(mine: itemlens.Client, rng: np.random.Generator, n: int) -> None:
        user = f"u{n % 7}"
        mine.record_events(
            [Event(user, samples[i].item_id) for i in rng.permutation(60)[:6]]
        ).raise_for_errors()
        mine.recommend(user, text="red", k=3)
        if n % 20 == 19:
            mine.delete_user(user, collection=collection)

    # Act
    steps = [write, write, merge, merge, delete, ask, ask, candidates, record]
    with ThreadPoolExecutor(len(steps)) as threads:
        running = [threads.submit(repeated, step, n) for n, step in enumerate(steps)]
        stop.wait(SECONDS)  # or until a caller fails
        stop.set()
        for future in running:
            future.result()

    # Assert: no answer was wrong, and lists, counts, searches and gets agree.
    assert unexpected == []
    listed = {i.item.item_id for i in client.list_items(page_size=1000)}
    searched = {i.item_id: i.score for i in client.recommend(text="red shoe", k=1000)}
    exact = {i.item_id: i.score for i in client.recommend(text="red shoe", k=1000, exact=True)}
    assert listed == set(searched) == set(exact) and searched == exact
    assert client.get_collection().item_count == len(listed)
    # Each searched vector is that of the stored contents.
    for stored in client.get_items(sorted(listed), pictures=True, vectors=True):
        fused = client.fuse([itemlens.FuseInput(texts=stored.item.texts, pictures=stored.item.pictures)])
        assert stored.vector is not None
        np.testing.assert_allclose(stored.vector.values, fused.vectors[0], atol=1e-5)


def test_an_overloaded_server_turns_calls_away_and_says_when_to_come_back(tiny: Tiny, tmp_path: Path) -> None:
    with Server(tiny.models, tmp_path, max_queue_tokens=100, embedding_cache_bytes=0, threads=1) as server:
        refused: list[itemlens.Overloaded] = []
        start = threading.Barrier(8)

        def call(n: int) -> None:
            texts = [f"word {n} {m} " + "shoe " * 40 for m in range(250)]
            with server.client() as impatient:
                start.wait(timeout=60)
                for _ in range(3):
                    try:
                        impatient.encode(texts, channel="text").raise_for_errors()
                    except itemlens.Overloaded as error:
                        refused.append(error)

        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(call, n) for n in range(8)]:
                done.result()
        assert refused
        assert all(e.details.reason == "OVERLOADED" and e.details.retry_seconds for e in refused)
        assert server.healthy()
        # After the burst, every call is served at the first try.
        with server.client() as client:
            client.encode(["red shoe"] * 200, channel="text").raise_for_errors()
        assert not any("internal error" in line for line in server.log)


def test_collections_that_come_and_go_under_their_users(server: Server) -> None:
    stop = threading.Event()
    unexpected: list[BaseException] = []
    gone = (itemlens.NotFound, itemlens.AlreadyExists)

    def repeated(step: Callable[[itemlens.Client], object]) -> int:
        count = 0
        with server.client(collection="fleeting") as mine:
            while not stop.is_set():
                try:
                    step(mine)
                except gone:
                    pass
                except Exception as error:
                    unexpected.append(error)
                    stop.set()
                count += 1
        return count

    steps: list[Callable[[itemlens.Client], object]] = [
        lambda c: c.create_collection("fleeting"),
        lambda c: c.delete_collection("fleeting"),
        lambda c: c.upsert([Item("a", texts={"text": "red shoe"}), Item("b", texts={"text": "blue dress"})]),
        lambda c: c.recommend(texts={"text": "red"}, reasons=True),
        lambda c: c.record_events([Event("u", "a")]),
        lambda c: (c.list_collections(), list(c.list_items())),
    ]
    with ThreadPoolExecutor(len(steps)) as threads:
        running = [threads.submit(repeated, step) for step in steps]
        stop.wait(SECONDS / 2)
        stop.set()
        assert all(future.result() > 0 for future in running)
    assert unexpected == []
    with server.client(collection="fleeting") as client:
        client.create_collection("fleeting", allow_existing=True)
        client.delete_collection("fleeting")
        client.create_collection("fleeting")
        assert client.get_collection().item_count == client.get_collection().event_count == 0
        client.delete_collection("fleeting")
