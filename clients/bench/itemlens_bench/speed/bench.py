"""What every scenario works with: the space, the workload, the targets, and how long to measure."""

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
    """A space in its folder, and its first channel of texts, which is what is measured."""

    directory: Path
    manifest: Manifest
    channel: str

    @staticmethod
    def find(models: Path, name: str, precisions: Sequence[str]) -> TextSpace:
        """The space with this id or name in a model repository; the default one for an empty string.

        Raises:
            NotFound: there is none.
            InvalidArgument: it has no texts, or not in these precisions.
        """
        manifest = SpaceList.read(models).find(name)
        directory = (models / manifest.space_id).resolve()
        channel = next((c for c in manifest.channels if c.kind == "TEXT"), None)
        if channel is None:
            raise InvalidArgument(f"{directory.name} has no channel of texts", "space")
        graphs = manifest.encoders[channel.encoder].graphs
        for precision in precisions:
            if precision not in graphs:
                known = ", ".join(graphs)
                raise InvalidArgument(
                    f"{directory.name} has no {precision} graph of texts; it has {known}", "precision"
                )
        return TextSpace(directory, manifest, channel.name)

    @property
    def preprocessing(self) -> TextPreprocessing:
        """How texts become tokens."""
        encoder = next(c.encoder for c in self.manifest.channels if c.name == self.channel)
        preprocessing = self.manifest.encoders[encoder].text
        assert preprocessing is not None
        return preprocessing

    def graph(self, precision: Precision) -> Graph:
        """The texts' graph."""
        return Graph.of(self.directory, self.manifest, self.channel, precision)


@dataclass(frozen=True)
class Source:
    """Where the collection comes from that is recommended from.

    store:   a server's data folder that holds it; it is copied, never changed. None: the collection is made
    fashion: the folder of the fashion data set, to make it from. None: of generated titles
    """

    collection: str = "bench"
    store: Path | None = None
    fashion: Path | None = None


@dataclass(frozen=True)
class Bench:
    """One run of the harness.

    settings:  of our server, by name, for every start of it
    rounds:    interleaved rounds, each with a turn for every target of `seconds`, about
    processes: load processes a server
    stretch:   factor on the lengths of long scenarios, which are those of the goals at 1
    folder:    for stores and logs of servers; it can be thrown away afterwards
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
        """What ONNX Runtime runs on, in the server and by itself."""
        return choose_provider(Settings.read(None, **self.settings).provider)

    def start(self, precision: Precision, folder: Path) -> Ours:
        """How our server is started with the graph of `precision`, over the store in `folder`."""
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
        """ONNX Runtime with the graph of `precision`, in a process of its own."""
        graph = self.space.graph(precision)
        return Remote(partial(Raw, graph, self.workload.texts, self.processors, self.provider))

    def best(self, raw: Remote[Raw], precision: Precision) -> tuple[Setup, float]:
        """The set-up that is fastest by itself, and its texts a second."""
        task = self.progress.add_task(f"raw {precision}: which set-up is fastest", total=None)
        tried = raw.call(Raw.tune, self.seconds / 2)
        self.progress.update(task, total=1, completed=1)
        for setup, rate in tried:
            self.progress.console.print(
                f"[dim]raw {precision}: {rate:7,.0f} texts/s  {setup}[/]", highlight=False
            )
        return tried[0]

    def turns(self, title: str, count: int) -> Callable[[], None]:
        """A bar of `count` turns; call what comes back after each."""
        task = self.progress.add_task(title, total=count)
        return lambda: self.progress.advance(task)
