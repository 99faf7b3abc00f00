"""Recommend on a collection of 30,000 items: through gRPC, in process, in process behind a bare gRPC server (the least
that a server in Python adds), and a gRPC echo."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import numpy as np

from itemlens import Client, Item
from itemlens._transport import channel_options
from itemlens.v1 import itemlens_pb2, itemlens_pb2_grpc
from itemlens_bench.speed import echo, items
from itemlens_bench.speed.bench import Bench
from itemlens_bench.speed.contestants import Running, Served, Shape, running, within
from itemlens_bench.speed.direct import Direct
from itemlens_bench.speed.figures import Spread, percentile, shares
from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.report import Chart, Figure, Row, Section
from itemlens_bench.speed.rounds import Contestant, Measured, play
from itemlens_bench.speed.target import Target
from itemlens_bench.speed.usage import usage
from itemlens_server.config import Settings

METHOD = "/itemlens.v1.ItemLens/Recommend"
ASKED = 500
"""Number of different requests of each kind."""
RECALLED = 100
"""Number of requests whose lists are compared with exact ones."""
CONCURRENCIES = (1, 16)
QUIET_SECONDS, QUIET_CPU = 3.0, 0.1
WARM_UP = 20

Request = itemlens_pb2.RecommendRequest


@dataclass(frozen=True)
class InProcess:
    """Recommend in process, in `threads` threads."""

    name: str
    direct: Remote[Direct]
    threads: int

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant. Here a text is a request."""
        self.direct.call(Direct.run, self.threads, first + texts, WARM_UP)
        run = self.direct.call(Direct.run, self.threads, first, texts)
        return Measured(
            texts, texts, run.seconds, run.cpu_seconds, usage(self.direct.pid).rss_bytes, run.latency
        )


def recommend(bench: Bench) -> list[Section]:
    """A section for each kind of request and concurrency."""
    folder, collection = bench.folder / "recommend", bench.source.collection
    if bench.source.store is not None:
        shutil.copytree(bench.source.store, folder, ignore=shutil.ignore_patterns("lock"))
    ours = bench.start(bench.precisions[0], folder)
    target = Target("itemlens", ours.start, partial(BytesCaller, method=METHOD))
    sections = []
    with ExitStack() as stack:
        server = stack.enter_context(running(target))
        with Client(server.address, timeout=120, collection=collection) as client:
            if bench.source.store is None:
                _fill(bench, client)
            _wait_until_quiet(server)
            known = items.stored(client, collection)
            asked = _asked(client, collection, known, bench.seed)
        copy = _copied(folder, bench.folder / "in-process")
        settings = Settings.read(
            None,
            models=bench.space.directory.parent,
            data=copy,
            space=bench.space.manifest.space_id,
            **ours.settings,
        )
        for kind, requests in asked.items():
            packed = [request.SerializeToString() for request in requests]
            recall, reply_bytes = _recall(server.address, requests[:RECALLED])
            note = (
                f"{len(known):,} items; {bench.rounds} rounds; recall@{items.K} {recall:.3f} of an exact scan; "
                f"requests of {np.mean([len(p) for p in packed]):.0f} bytes, replies of {reply_bytes}"
            )
            with ExitStack() as own:
                direct = own.enter_context(Remote(partial(Direct, settings, collection, packed)))
                bare = within("bare gRPC", direct.pid, direct.call(Direct.listen, reply_bytes))
                floor = own.enter_context(running(echo.target(reply_bytes)))
                for concurrency in CONCURRENCIES:
                    played = _play(bench, [server, bare, floor], direct, packed, concurrency, kind)
                    title = f"Recommend {kind}, concurrency {concurrency}"
                    sections.append(_section(title, played, note, concurrency > 1))
    return sections


def _play(
    bench: Bench, servers: Sequence[Running], direct: Remote[Direct], packed: Sequence[bytes],
    concurrency: int, kind: str,
) -> dict[str, list[Measured]]:  # fmt: skip
    # More threads than processors only wait for each other. One thread may be the fastest, so both are tried.
    tried = {}
    for threads in sorted({1, min(concurrency, bench.processors)}):
        in_process = InProcess(
            f"in process, {threads} {'thread' if threads == 1 else 'threads'}", direct, threads
        )
        in_process.measure(0, 50)
        tried[in_process] = in_process.measure(0, 200).calls_per_second
    best = max(tried, key=lambda contestant: tried[contestant])
    count = max(100, round(tried[best] * bench.seconds))
    with ExitStack() as stack:
        shape = Shape(1, concurrency)
        contestants: list[Contestant] = [
            Served(server, stack.enter_context(server.load(packed, bench.processes)), shape)
            for server in servers
        ]
        contestants.append(best)
        title = f"Recommend {kind}, concurrency {concurrency}"
        return play(contestants, bench.rounds, count, bench.turns(title, bench.rounds * len(contestants)))


def _section(title: str, played: dict[str, list[Measured]], note: str, queueing: bool) -> Section:
    [direct] = [name for name in played if name.startswith("in process")]
    rows = []
    for name, rounds in played.items():
        rates = [m.calls_per_second for m in rounds]
        latency = np.concatenate([m.latency for m in rounds])
        figures: dict[str, Figure] = {"calls/s": Spread.of(rates)}
        if name in ("itemlens", "bare gRPC"):
            for against, other in (("in process", direct), ("bare gRPC", "bare gRPC"), ("echo", "grpc echo")):
                if name != other:
                    figures[f"share of {against}"] = shares(
                        rates, [m.calls_per_second for m in played[other]]
                    )
        figures["p50 ms"] = Spread.of([1e3 * percentile(m.latency, 50) for m in rounds])
        figures["p99 ms"] = 1e3 * percentile(latency, 99)
        if name in ("itemlens", "bare gRPC") and not queueing:
            added = [
                1e3 * (percentile(mine.latency, 50) - percentile(floor.latency, 50))
                for mine, floor in zip(rounds, played[direct], strict=True)
            ]
            figures["p50 over in process, ms"] = Spread.of(added)
        figures["CPU ms/call"] = Spread.of([1e3 * m.cpu_seconds / m.calls for m in rounds])
        rows.append(Row(name, figures))
    return Section(title, rows, [note], Chart(bars="calls/s"))


def _fill(bench: Bench, client: Client) -> None:
    new_items: Iterable[Item]
    if bench.source.fashion is not None:
        new_items, count = items.fashion(bench.source.fashion), None
    else:
        new_items, count = items.made_items(items.ITEMS, bench.seed), items.ITEMS
    task = bench.progress.add_task(f"filling collection {bench.source.collection}", total=count)
    client.create_collection(bench.source.collection)
    report = client.upload(new_items, progress=lambda p: bench.progress.update(task, completed=p.done))
    report.raise_for_errors()


def _wait_until_quiet(server: Running) -> None:
    """Wait until the server has built its graphs and uses no processor time."""
    before = server.usage().cpu_seconds
    while True:
        time.sleep(QUIET_SECONDS)
        now = server.usage().cpu_seconds
        if now - before < QUIET_CPU * QUIET_SECONDS:
            return
        before = now


def _asked(client: Client, collection: str, known: Sequence[Item], seed: int) -> dict[str, list[Request]]:
    """The requests by kind."""
    pasts = items.histories(known, ASKED, seed)
    space = client.get_collection(collection).space_id
    sought = [Item("", text=text) for text in items.words(known, ASKED, seed)]
    vectors = []
    for at in range(0, ASKED, 100):
        fused = client.fuse(sought[at : at + 100], role="query", space=space)
        fused.raise_for_errors()
        vectors += [result.vector for result in fused.results if result.vector]
    return {
        f"from a history of {items.HISTORY}": [items.by_history(collection, past) for past in pasts],
        "by words already encoded": [items.by_vector(collection, vector) for vector in vectors],
    }


def _recall(address: str, requests: Sequence[Request]) -> tuple[float, int]:
    """The mean recall against exact lists, and the mean length of a reply in bytes."""
    recalls, lengths = [], []
    with grpc.insecure_channel(address, options=channel_options(address)) as channel:
        stub = itemlens_pb2_grpc.ItemLensStub(channel)
        for request in requests:
            reply = stub.Recommend(request, timeout=60)
            exact = Request()
            exact.CopyFrom(request)
            exact.exact = True
            best = {item.item_id for item in stub.Recommend(exact, timeout=60).items}
            recalls.append(len(best & {item.item_id for item in reply.items}) / max(1, len(best)))
            lengths.append(reply.ByteSize())
    return float(np.mean(recalls)), round(float(np.mean(lengths)))


def _copied(folder: Path, to: Path) -> Path:
    """Copy a store that is open but not written to."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("lock", "*.log"))
    return to
