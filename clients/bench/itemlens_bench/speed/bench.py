"""The inputs of every scenario: the space, the workload, the targets, and the time to measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from tempfile import mkdtemp

from rich.progress import Progress

from itemlens_bench.speed.contestants import Running, running
from itemlens_bench.speed.ours import Ours, statistics, target
from itemlens_bench.speed.raw import Graph, Raw, Setup
from itemlens_bench.speed.remote import Remote
from itemlens_bench.speed.target import Target
from itemlens_bench.speed.workload import Workload
from itemlens_server.config import Settings
from itemlens_server.engine.manifest import Manifest, Precision, TextPreprocessing
from itemlens_server.engine.session import Provider, choose_provider
from itemlens_server.engine.space_list import SpaceList
from itemlens_server.errors import InvalidArgument


@dataclass(frozen=True)
class TextSpace:
    """A space in its folder, and its first text channel, which is measured."""

    directory: Path
    manifest: Manifest
    channel: str

    @staticmethod
    def find(models: Path, name: str, precisions: Sequence[str]) -> TextSpace:
        """The space with this id or name in a model repository; the default one for an empty string.

        Raises:
            NotFound: there is no such space.
            InvalidArgument: it has no text channel, or no graph in one of these precisions.
        """
        manifest = SpaceList.read(models).find(name)
        directory = (models / manifest.space_id).resolve()
        channel = next((c for c in manifest.channels if c.kind == "TEXT"), None)
        if channel is None:
            raise InvalidArgument(f"{directory.name} has no text channel", "space")
        graphs = manifest.encoders[channel.encoder].graphs
        for precision in precisions:
            if precision not in graphs:
                known = ", ".join(graphs)
                raise InvalidArgument(
                    f"{directory.name} has no {precision} text graph; it has {known}", "precision"
                )
        return TextSpace(directory, manifest, channel.name)

    @property
    def preprocessing(self) -> TextPreprocessing:
        """The text channel's preprocessing."""
        encoder = next(c.encoder for c in self.manifest.channels if c.name == self.channel)
        preprocessing = self.manifest.encoders[encoder].text
        assert preprocessing is not None
        return preprocessing

    def graph(self, precision: Precision) -> Graph:
        """The text channel's graph."""
        return Graph.of(self.directory, self.manifest, self.channel, precision)


@dataclass(frozen=True)
class Source:
    """The source of the collection for the scenario `recommend`.

    store:   a server's data folder that holds the collection; it is copied, never changed. None: it is created
    fashion: the folder of the fashion data set, to create it from. None: it has generated titles
    """

    collection: str = "bench"
    store: Path | None = None
    fashion: Path | None = None


@dataclass(frozen=True)
class Bench:
    """One run of the harness.

    settings:  settings of our server, by name, for each start
    rounds:    number of interleaved rounds; each has a turn of about `seconds` for every target
    processes: number of load processes per server
    stretch:   factor on the duration of long scenarios, such as 0.2 for a quick run
    folder:    for stores and logs of servers; it may be deleted afterwards
    peers:     other servers
    """

    space: TextSpace
    precisions: Sequence[Precision]
    settings: Mapping[str, str]
    workload: Workload
    folder: Path
    progress: Progress
    rounds: int = 5
    seconds: float = 6.0
    seed: int = 7
    processes: int = 1
    stretch: float = 1.0
    source: Source = field(default_factory=Source)
    peers: Sequence[Target] = ()

    @cached_property
    def processors(self) -> int:
        """Threads that inference may use, in the server and by itself."""
        return Settings.read(None, **self.settings).thread_count()

    @cached_property
    def provider(self) -> Provider:
        """The provider of ONNX Runtime, in the server and by itself."""
        return choose_provider(Settings.read(None, **self.settings).provider)

    def start(self, precision: Precision, folder: Path) -> Ours:
        """Our server with the graph of `precision` over the store in `folder`, not started yet."""
        settings = {**self.settings, "precision": precision.value}
        return Ours(self.space.directory.parent, self.space.manifest.space_id, folder, settings)

    @contextmanager
    def ours(self, precision: Precision) -> Iterator[Running]:
        """Our server with the graph of `precision` and an empty store, running."""
        ours = self.start(precision, Path(mkdtemp(dir=self.folder)))
        counts = partial(statistics, channel=self.space.channel)
        with running(target(ours, self.space.channel, f"itemlens {precision}"), counts) as server:
            yield server

    def raw(self, precision: Precision) -> Remote[Raw]:
        """ONNX Runtime with the graph of `precision`, in a separate process."""
        graph = self.space.graph(precision)
        return Remote(partial(Raw, graph, self.workload.texts, self.processors, self.provider))

    def best(self, raw: Remote[Raw], precision: Precision) -> tuple[Setup, float]:
        """The fastest set-up, and its texts per second."""
        task = self.progress.add_task(f"raw {precision}: finding the fastest set-up", total=None)
        tried = raw.call(Raw.tune, self.seconds / 2)
        self.progress.update(task, total=1, completed=1)
        for setup, rate in tried:
            self.progress.console.print(
                f"[dim]raw {precision}: {rate:7,.0f} texts/s  {setup}[/]", highlight=False
            )
        return tried[0]

    def turns(self, title: str, count: int) -> Callable[[], None]:
        """Show a progress bar of `count` turns. Return a function to call after each turn."""
        task = self.progress.add_task(title, total=count)
        return lambda: self.progress.advance(task)
