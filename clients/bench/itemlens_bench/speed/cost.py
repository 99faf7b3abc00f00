"""What answers that are remembered, keys with TLS, or monitoring cost: servers with the same items and other settings.

    python -m itemlens_bench.speed.cost answers --models models
    python -m itemlens_bench.speed.cost access --models models        # needs trustme (the extra `dev`)
    python -m itemlens_bench.speed.cost monitoring --models models    # needs the extra `tracing`

They are asked in turns, a block of calls each, because the machine's speed changes; blocks are paired. Two servers have
the plain settings: what they differ in is noise. The processor time is that of the server's process, its background
threads included.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

from itemlens import Client, Event, Item, Tls
from itemlens_bench.speed.ours import Ours
from itemlens_bench.speed.usage import usage
from itemlens_server.access import key_file
from itemlens_server.access.keys import new_key
from itemlens_server.access.roles import Role
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.process import healthy

WORDS = [
    "red",
    "blue",
    "green",
    "light",
    "heavy",
    "small",
    "large",
    "wool",
    "cotton",
    "leather",
    "steel",
    "wooden",
    "classic",
    "modern",
    "garden",
    "kitchen",
    "winter",
    "summer",
    "shoe",
    "boot",
    "tent",
    "kettle",
    "lamp",
    "hat",
]
USERS, HISTORY, K = 200, 10, 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """Settings of a server, what its clients need for them, and whether it serves."""

    settings: Mapping[str, str] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    serves: Callable[[str], bool] = healthy


# Nothing is on that costs anything.
PLAIN = {"answers_bytes": "0", "call_log": "none", "live_recall_share": "0"}


@contextmanager
def answers(folder: Path) -> Iterator[Setting]:
    """Answers are remembered."""
    yield Setting({"call_log": "none", "live_recall_share": "0"})


@contextmanager
def access(folder: Path) -> Iterator[Setting]:
    """A key, and TLS."""
    import trustme

    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = {name: folder / name for name in ("ca.pem", "server.pem", "server.key", "keys.json")}
    authority.cert_pem.write_to_path(str(files["ca.pem"]))
    issued.cert_chain_pems[0].write_to_path(str(files["server.pem"]))
    issued.private_key_pem.write_to_path(str(files["server.key"]))
    text, key = new_key("bench", Role.WRITE)
    key_file.change(files["keys.json"], lambda _: {key.id: key})
    tls = Tls(files["ca.pem"])

    def serves(target: str) -> bool:
        with grpc.secure_channel(target, tls.credentials()) as channel:
            try:
                reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    yield Setting(
        PLAIN | {
            "key_file": str(files["keys.json"]), "tls_certificate": str(files["server.pem"]),
            "tls_private_key": str(files["server.key"]),
        },
        {"key": text, "tls": tls}, serves,
    )  # fmt: skip


@contextmanager
def monitoring(folder: Path) -> Iterator[Setting]:
    """Metrics, traces of 1% of the calls, the call log with its default share and live recall."""
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):
        """Takes spans and forgets them."""

        def Export(self, request: Any, context: Any) -> Any:
            return trace_service_pb2.ExportTraceServiceResponse()

    collector = grpc.server(ThreadPoolExecutor(1))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(Collector(), collector)
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    yield Setting(
        {
            "answers_bytes": "0", "monitoring": "127.0.0.1:0", "otlp_endpoint": f"http://127.0.0.1:{port}",
            "trace_share": "0.01", "call_log": str(folder / "calls.log"), "call_log_share": "0.01",
        }
    )  # fmt: skip
    collector.stop(0)


COSTS = {"answers": answers, "access": access, "monitoring": monitoring}


@dataclass(frozen=True)
class Running:
    """A server that runs, and its client."""

    client: Client
    pid: int

    def recommend(self, n: int) -> None:
        """Ask for a user's list."""
        self.client.recommend(f"u{n % USERS}", k=K, surface="home")

    def encode(self, n: int) -> None:
        """Encode a text of a few words, which no cache has."""
        self.client.encode([f"{WORDS[n % len(WORDS)]} {WORDS[n // 7 % len(WORDS)]} {n}"])

    def block(self, call: str, calls: int, callers: int, seed: int) -> tuple[Floats, float, float]:
        """Call as `callers` at once. Return the milliseconds of each call, float64 [calls], the calls in a second, and
        the server's processor milliseconds a call."""
        numbers = np.random.default_rng(seed).integers(0, 1 << 40, calls)
        made = {"recommend": self.recommend, "encode": self.encode}[call]

        def timed(number: int) -> float:
            began = time.perf_counter()
            made(number)
            return 1000 * (time.perf_counter() - began)

        before, began = usage(self.pid).cpu_seconds, time.perf_counter()
        with ThreadPoolExecutor(callers) as pool:
            latencies = np.asarray(list(pool.map(timed, numbers.tolist())))
        rate = calls / (time.perf_counter() - began)
        return latencies, rate, 1000 * (usage(self.pid).cpu_seconds - before) / calls


@contextmanager
def running(models: Path, space: str, folder: Path, port: int, setting: Setting) -> Iterator[Running]:
    """Start a server for the duration of the block."""
    process = Ours(models, space, folder, setting.settings, setting.serves).start(port)
    try:
        with Client(f"127.0.0.1:{port}", timeout=600, **setting.client) as client:
            yield Running(client, process.pid)
    finally:
        process.terminate()
        process.wait(60)


def fill(client: Client, items: int) -> None:
    """Add items of random words, and users with events."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(items)]
    client.upload(Item(f"item-{n}", text=text) for n, text in enumerate(texts)).raise_for_errors()
    client.upload_events(
        Event(f"u{u}", f"item-{i}", "purchase") for u in range(USERS) for i in rng.integers(0, items, HISTORY)
    ).raise_for_errors()


def main() -> None:
    """Print the cost at 1 and at 16 callers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("of", choices=COSTS)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--calls", type=int, default=50, help="calls of a block")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--methods", nargs="+", default=["recommend", "encode"])
    parser.add_argument("--port", type=int, default=50951)
    given = parser.parse_args()
    space = next(iter(SpaceList.read(given.models).spaces))
    plain = Setting(PLAIN)
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        filled = Path(work) / "filled"
        with running(given.models, space, filled, given.port, plain) as server:
            fill(server.client, given.items)
        costly = stack.enter_context(COSTS[given.of](Path(work)))
        servers = []
        for n, setting in enumerate((costly, plain, plain)):
            folder = Path(work) / f"server-{n}"
            shutil.copytree(filled, folder)
            servers.append(stack.enter_context(running(given.models, space, folder, given.port + n, setting)))
        for method in given.methods:
            for callers in given.callers:
                for server in servers:
                    server.block(method, given.calls, callers, 0)
                rows = np.zeros((given.blocks, len(servers), 4))
                for block in range(given.blocks):
                    for turn in range(len(servers)):
                        n = (turn + block) % len(servers)
                        latencies, rate, cpu = servers[n].block(method, given.calls, callers, block)
                        rows[block, n] = np.median(latencies), np.quantile(latencies, 0.99), rate, cpu
                print(f"{method}, {callers} callers, {given.blocks} blocks of {given.calls} calls each")
                show(given.of, rows)


def show(name: str, rows: Floats) -> None:
    """Print means over the blocks, float64 [blocks, servers, 4 figures], and their ratios to those of the second
    server, with 95% intervals by bootstrap over blocks."""
    drawn = np.random.default_rng(0).integers(0, len(rows), (2000, len(rows)))
    for n, figure in enumerate(("p50, ms", "p99, ms", "calls/s", "processor ms a call")):
        on, off, again = rows[:, :, n].T
        for which, values in ((name, on), ("plain again", again)):
            low, high = np.quantile(values[drawn].mean(1) / off[drawn].mean(1), (0.025, 0.975))
            print(
                f"  {figure}: {which} {values.mean():.3f}, plain {off.mean():.3f}; "
                f"ratio {values.mean() / off.mean():.3f} ({low:.3f} - {high:.3f})"
            )


if __name__ == "__main__":
    main()
