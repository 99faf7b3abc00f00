"""The engine under many callers: every reply belongs to its request, and the statistics are right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

import itemlens
from itemlens import Item
from itemlens.v1 import common_pb2, itemlens_pb2, itemlens_pb2_grpc
from support.serving import Server
from support.spaces import COLOURS, THEMES, Tiny

TEXTS = 20_000
CALLERS = 64
WORDS = [*COLOURS, *(word for theme in THEMES.values() for word in theme)]


@pytest.fixture
def fresh(tiny: Tiny, tmp_path: Path) -> Iterator[Server]:
    """A new server, which has not encoded anything."""
    # Calls that hang up count for a moment more at the server than at the caller: room for those, too.
    with Server(tiny.models, tmp_path) as server:
        yield server


def encoder(statistics: itemlens.Statistics) -> itemlens.EncoderStatistics:
    return next(e for e in statistics.encoders if e.channel == "text")


class TestStatistics:
    def test_what_is_encoded_is_counted(self, fresh: Server) -> None:
        with fresh.client() as client:
            before = encoder(client.statistics())
            client.encode(["red shoe", "a silk dress", "blue"]).raise_for_errors()
            after = encoder(client.statistics())
        assert after.inputs - before.inputs == 3
        assert after.tokens - before.tokens == (2 + 4) + (3 + 4) + (
            1 + 4
        )  # each with prefix, [CLS] and [SEP]
        assert after.padded_tokens - before.padded_tokens >= after.tokens - before.tokens
        assert after.batches > before.batches
        assert after.run_seconds > before.run_seconds
        assert (after.waiting_tokens, after.instances * after.threads) == (0, 2)

    def test_repeats_are_answered_from_memory(self, fresh: Server) -> None:
        with fresh.client() as client:
            first = client.encode(["red shoe"]).vectors[0]
            before = client.statistics()
            again = client.encode(["red shoe"]).vectors[0]
            other = client.encode(["red shoe"], purpose="query").vectors[0]
            after = client.statistics()
        assert after.cache_hits - before.cache_hits == 1
        assert encoder(after).inputs - encoder(before).inputs == 1
        np.testing.assert_array_equal(first, again)
        assert not np.allclose(first, other)

    def test_a_repeat_carries_the_same_warnings(self, fresh: Server) -> None:
        with fresh.client() as client:
            warnings = [client.encode(["red " * 500])[0].warnings for _ in range(2)]
        assert warnings[0] == warnings[1] != ()

    def test_the_same_text_is_run_once_in_a_call(self, fresh: Server) -> None:
        with fresh.client() as client:
            before = client.statistics()
            client.encode(["red shoe"] * 100).raise_for_errors()
            after = client.statistics()
        assert encoder(after).inputs - encoder(before).inputs == 1
        assert encoder(after).joined_inputs - encoder(before).joined_inputs == 99


class TestPriority:
    def test_a_client_says_how_urgent_its_calls_are(self, server: Server) -> None:
        with server.client(priority="bulk", caller="nightly") as client:
            assert client.encode(["red"])[0].error is None

    def test_another_priority_is_refused_with_the_known_ones(self, server: Server) -> None:
        with (
            server.client(priority="urgent") as client,
            pytest.raises(itemlens.InvalidArgument, match="interactive, bulk"),
        ):
            client.encode(["red"])

    def test_uploads_and_searches_go_on_beside_each_other(self, fresh: Server) -> None:
        items = [Item(f"i{n}", text=f"{random.Random(n).choice(WORDS)} {n}") for n in range(2000)]
        with fresh.client() as bulk, fresh.client() as client:
            bulk.upsert(items[:10]).raise_for_errors()

            async def both() -> int:
                upload = asyncio.create_task(asyncio.to_thread(bulk.upload, items))
                answered = 0
                while not upload.done():
                    await asyncio.to_thread(client.recommend, text="red shoe")
                    answered += 1
                assert (await upload).written == 2000
                return answered

            assert asyncio.run(both()) > 0


def mixed_texts(rng: random.Random) -> list[str]:
    """Texts of 1 to 60 words, some of them very common."""
    long = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 60))) for _ in range(rng.randrange(1, 40))]
    return [text if rng.random() < 0.9 else rng.choice(["red shoe", "blue dress", "tea"]) for text in long]


def test_every_reply_belongs_to_its_request(fresh: Server) -> None:
    """64 callers with random cancellations, deadlines and duplicates. Each vector equals that of its text alone."""
    asked, failures = asyncio.run(ask_at_once(fresh.address))
    assert failures <= {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,  # many hang-ups on one connection; our client tries again
    }
    assert len(asked) > TEXTS / 3
    with (
        Server(fresh.models, fresh.data / "alone", embedding_cache_bytes=0) as other,
        other.client() as client,
    ):
        alone = {text: np.asarray(client.encode([text]).vectors[0]) for text in {text for text, _ in asked}}
    worst = max(1 - float(v @ alone[t] / np.linalg.norm(v) / np.linalg.norm(alone[t])) for t, v in asked)
    assert worst < 1e-5
    assert fresh.healthy()
    assert not any("internal error" in line for line in fresh.log)


async def ask_at_once(address: str) -> tuple[list[tuple[str, np.ndarray]], set[grpc.StatusCode]]:
    """Return texts with their vectors, and the codes of the failed calls."""
    asked: list[tuple[str, np.ndarray]] = []
    failures: set[grpc.StatusCode] = set()
    counted = 0

    async def caller(number: int, method: itemlens_pb2_grpc.ItemLensAsyncStub) -> None:
        nonlocal counted
        rng = random.Random(number)
        while counted < TEXTS:
            texts = mixed_texts(rng)
            counted += len(texts)
            request = itemlens_pb2.EncodeRequest(
                inputs=[common_pb2.Content(channel="text", text=text) for text in texts]
            )
            priority = rng.choice(["interactive", "bulk"])
            call = method.Encode(
                request,
                timeout=rng.choice([30, 30, 30, 0.01]),
                metadata=(("itemlens-priority", priority), ("itemlens-caller", str(number % 7))),
            )
            if rng.random() < 0.1:
                await asyncio.sleep(rng.random() * 0.01)
                call.cancel()
            try:
                reply = await call
            except grpc.aio.AioRpcError as error:
                failures.add(error.code())
                continue
            except asyncio.CancelledError:
                continue
            [matrix] = reply.matrices
            vectors = np.frombuffer(matrix.data, "<f4").reshape(-1, matrix.dimension)
            assert [r.row for r in reply.results] == list(range(len(texts)))
            asked.extend(zip(texts, vectors, strict=True))

    async with grpc.aio.insecure_channel(address) as channel:
        stub = itemlens_pb2_grpc.ItemLensStub(channel)
        await asyncio.gather(*(caller(n, stub) for n in range(CALLERS)))

    return asked, failures
