"""What every scenario works with: the space, the workload, the targets, and how long to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.progress import Progress

from itemlens_bench.speed.contestants import Running, running
from itemlens_bench.speed.ours import Ours, statistics, target
from itemlens_bench.speed.raw import Graph, Raw, Setup
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.target import Target
from itemlens_bench.speed.workload import Workload
from itemlens_server.engine.manifest import Manifest, Precision
from itemlens_server.engine.session import Provider

TUNE_SECONDS = 3.0


@dataclass(frozen=True)
class Bench:
    """One run of the harness.

    directory:  of the space
    channel:    the space's channel of texts
    settings:   of our server, by name, for every start of it
    processors: threads that inference may use, in the server and by itself
    seconds:    length of one target's turn in a round, about
    processes:  load processes a server
    folder:     for stores and logs of servers; it can be thrown away afterwards
    peers:      other servers
    """

    directory: Path
    manifest: Manifest
    channel: str
    precisions: Sequence[Precision]
    settings: Mapping[str, str]
    provider: Provider
    processors: int
    workload: Workload
    rounds: int
    seconds: float
    seed: int
    processes: int
    folder: Path
    progress: Progress
    peers: Sequence[Target] = field(default=())

    @contextmanager
    def ours(self, precision: Precision) -> Iterator[Running]:
        """Our server with the graph of `precision`, running."""
        settings = {**self.settings, "precision": precision.value}
        made = Ours(self.directory.parent, self.manifest.space_id, self.folder / precision.value, settings)
        counts = partial(statistics, channel=self.channel)
        with running(target(made, self.channel, f"itemlens {precision}"), counts) as server:
            yield server

    def raw(self, precision: Precision) -> Remote[Raw]:
        """ONNX Runtime with the graph of `precision`, in a process of its own."""
        graph = Graph.of(self.directory, self.manifest, self.channel, precision)
        return Remote(partial(Raw, graph, self.workload.texts, self.processors, self.provider))

    def best(self, raw: Remote[Raw], precision: Precision) -> tuple[Setup, float]:
        """The set-up that is fastest by itself, and its texts a second."""
        task = self.progress.add_task(f"raw {precision}: which set-up is fastest", total=None)
        tried = raw.call(Raw.tune, TUNE_SECONDS)
        self.progress.update(task, total=1, completed=1)
        self.progress.console.print(
            *(f"[dim]raw {precision}: {rate:7,.0f} texts/s  {setup}[/]" for setup, rate in tried), sep="\n"
        )
        return tried[0]

    def turns(self, title: str, count: int) -> Callable[[], None]:
        """A bar of `count` turns; call what comes back after each."""
        task = self.progress.add_task(title, total=count)
        return lambda: self.progress.advance(task)
