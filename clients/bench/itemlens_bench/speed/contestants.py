"""The contestants of rounds: a served target, and ONNX Runtime by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn

from itemlens_bench.speed import echo
from itemlens_bench.speed.grpc_call import BytesCaller
from itemlens_bench.speed.load import Load
from itemlens_bench.speed.patterns import Closed, Outcome, Recording, poisson
from itemlens_bench.speed.raw import Raw, Setup
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.rounds import Measured
from itemlens_bench.speed.target import Target
from itemlens_bench.speed.usage import Usage, usage

STOP_SECONDS = 40.0
PACE_SECONDS = 2.0
Counts = Callable[[str], Mapping[str, float] | None]


def _nothing(address: str) -> None:
    return None


@dataclass(frozen=True)
class Shape:
    """The shape of a load: `size` texts per call, `concurrency` calls in flight."""

    size: int
    concurrency: int

    def __str__(self) -> str:
        texts = "single-text calls" if self.size == 1 else f"{self.size}-text calls"
        return f"{texts} at concurrency {self.concurrency}"


@dataclass(frozen=True)
class Running:
    """A running server. `counts` returns the server's own counters, given its address."""

    target: Target
    address: str
    pid: int
    counts: Counts = _nothing

    def load(self, calls: Sequence[Any], processes: int) -> Load:
        """Load processes against it."""
        return Load(partial(self.target.caller, self.address), calls, processes, self.awake)

    def usage(self) -> Usage:
        """Processor time and memory of the server."""
        return usage(self.pid)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """A turn of the server's load. Outside its turns a polling server is stopped, or it would slow down others."""
        if self.target.polls:
            os.killpg(self.pid, signal.SIGCONT)
        try:
            yield
        finally:
            if self.target.polls:
                os.killpg(self.pid, signal.SIGSTOP)


@contextmanager
def running(target: Target, counts: Counts = _nothing) -> Iterator[Running]:
    """`target`, started on a free port, while the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = target.start(port)
    try:
        if target.polls:
            os.killpg(process.pid, signal.SIGSTOP)
        yield Running(target, f"127.0.0.1:{port}", process.pid, counts)
    finally:
        if target.polls and process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def within(name: str, pid: int, port: int) -> Running:
    """A server that `echo.listen` started in the process `pid`."""
    return Running(Target(name, _started, partial(BytesCaller, method=echo.METHOD)), f"127.0.0.1:{port}", pid)


def _started(port: int) -> NoReturn:
    raise RuntimeError("the server is running already")


@dataclass(frozen=True)
class Served:
    """A running server under a load of one shape."""

    server: Running
    load: Load
    shape: Shape

    @property
    def name(self) -> str:
        """See Contestant."""
        return self.server.target.name

    def pace(self, seconds: float) -> float:
        """Its approximate texts per second, from a run of `seconds`."""
        closed = Closed(self.shape.concurrency, range(1 << 20), seconds)
        recording = self.load.run(closed)
        return recording.count(Outcome.OK) * self.shape.size / recording.seconds

    def capacity(self, seconds: float, first: int = 0) -> Measured:
        """Its saturated throughput, from a run of about `seconds` with several whole calls per caller."""
        size, concurrency = self.shape.size, self.shape.concurrency
        calls = max(round(self.pace(PACE_SECONDS) * seconds / size), 4 * concurrency)
        return self.measure(first, calls * size)

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant. Calls that are not counted warm the server up first."""
        size, concurrency = self.shape.size, self.shape.concurrency
        start, count = first // size, texts // size
        self.load.run(Closed(concurrency, range(start + count, start + count + concurrency)))
        return measured(
            self.server, size, lambda: self.load.run(Closed(concurrency, range(start, start + count)))
        )


@dataclass(frozen=True)
class ByItself:
    """ONNX Runtime in a separate process."""

    name: str
    raw: Remote[Raw]
    setup: Setup

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant."""
        self.raw.call(Raw.run, self.setup, first + texts, self.setup.callers * self.setup.batch)
        run = self.raw.call(Raw.run, self.setup, first, texts)
        return Measured(texts, texts, run.seconds, run.cpu_seconds, usage(self.raw.pid).rss_bytes)


@dataclass(frozen=True)
class BesideEcho:
    """ONNX Runtime beside a bare gRPC server that answers as many texts as ONNX Runtime encodes.

    It shows what a server in Python can reach at most. `texts_per_second`: the approximate rate of `alone`.
    """

    alone: ByItself
    echo: Served
    texts_per_second: float

    @property
    def name(self) -> str:
        """See Contestant."""
        return f"{self.alone.name} beside a gRPC echo"

    def measure(self, first: int, texts: int) -> Measured:
        """See Contestant."""
        size = self.echo.shape.size
        calls = poisson(self.texts_per_second / size, texts / self.texts_per_second, first, first // size)
        self.echo.load.begin(calls)
        result = self.alone.measure(first, texts)
        answered = self.echo.load.finish()
        return replace(result, load_seconds=answered.cpu_seconds)


def measured(server: Running, size: int, run: Callable[[], Recording]) -> Measured:
    """The result of `run`, a load of calls of `size` texts, and the server's processor time and memory."""
    counted, before = server.counts(server.address) or {}, server.usage()
    recording = run()
    after, counted_after = server.usage(), server.counts(server.address) or {}
    answered = recording.of(Outcome.OK)
    return Measured(
        calls=len(answered), texts=len(answered) * size, seconds=recording.seconds,
        cpu_seconds=after.cpu_seconds - before.cpu_seconds, rss_bytes=after.rss_bytes, latency=answered.latency,
        refused=recording.count(Outcome.REFUSED), failed=recording.count(Outcome.FAILED), errors=recording.errors,
        load_seconds=recording.cpu_seconds,
        counted={name: value - counted.get(name, 0.0) for name, value in counted_after.items()},
    )  # fmt: skip
