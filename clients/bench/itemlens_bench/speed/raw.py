"""The ceiling: the same texts through the tokenizer and ONNX Runtime in one process, without a server.

The fastest set-up depends on the machine and the graph. The reasonable ones are tried first, and the best takes part
in the rounds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

from itemlens_bench.speed import echo
from itemlens_bench.speed.figures import Floats
from itemlens_bench.speed.target import Array
from itemlens_server.engine.manifest import Manifest, Precision
from itemlens_server.engine.session import Provider

CPU_BATCHES = (1, 8, 32)
GPU_BATCHES = (1, 8, 32, 128, 512)


@dataclass(frozen=True)
class Graph:
    """One text encoder's graph at one precision.

    singly: its vectors depend on the other texts of a batch (dynamic int8), so texts are run one at a time.
    """

    path: Path
    tokenizer: Path
    prefix: str
    max_tokens: int
    singly: bool

    @staticmethod
    def of(directory: Path, manifest: Manifest, channel: str, precision: Precision) -> Graph:
        """The graph of a space's text channel."""
        encoder = manifest.encoders[next(c.encoder for c in manifest.channels if c.name == channel)]
        assert encoder.text is not None
        return Graph(
            directory / encoder.graphs[precision].path, directory / encoder.text.tokenizer.path,
            encoder.text.item_prefix, encoder.text.max_tokens, precision in encoder.singly,
        )  # fmt: skip


@dataclass(frozen=True)
class Setup:
    """`callers` threads that run batches of `batch` texts in one session of `threads` threads (intra_op)."""

    threads: int
    callers: int
    batch: int

    def __str__(self) -> str:
        batch = f"sorted batches of {self.batch}" if self.batch > 1 else "single texts"
        return f"{self.callers} callers x {self.threads} threads, {batch}"


@dataclass(frozen=True)
class Run:
    """Wall-clock and processor seconds of a run."""

    seconds: float
    cpu_seconds: float


class Raw:
    """The tokenizer and the sessions of one graph. Run it in a separate process, since it takes all processors."""

    def __init__(self, graph: Graph, texts: Sequence[str], processors: int, provider: Provider) -> None:
        self._graph = graph
        self._texts = texts
        self._processors = processors
        self._provider = provider
        self._tokenizer = Tokenizer.from_file(str(graph.tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(graph.max_tokens)
        self._sessions: dict[int, ort.InferenceSession] = {}

    def setups(self) -> list[Setup]:
        """The set-ups to try on this machine."""
        gpu = self._provider != "CPUExecutionProvider"
        batches = (1,) if self._graph.singly else GPU_BATCHES if gpu else CPU_BATCHES
        shares = {(1, 1), (1, 2)} if gpu else {(1, self._processors), (self._processors, 1)}
        return [Setup(threads, callers, batch) for threads, callers in sorted(shares) for batch in batches]

    def tune(self, seconds: float) -> list[tuple[Setup, float]]:
        """The texts per second of each set-up, best first. Each is tried for about `seconds`."""
        rates = []
        for setup in self.setups():
            some = 2 * setup.callers * setup.batch
            self.run(setup, 0, some)
            rate = some / self.run(setup, 0, some).seconds
            count = max(some, int(rate * seconds))
            rates.append((setup, count / self.run(setup, 0, count).seconds))
        return sorted(rates, key=lambda tried: -tried[1])

    def run(self, setup: Setup, first: int, count: int) -> Run:
        """Encode `count` texts from number `first` on (after the last, from the start), and drop the vectors."""
        texts = [self._texts[n % len(self._texts)] for n in range(first, first + count)]
        began, cpu = time.monotonic(), time.process_time()
        if setup.batch == 1:
            self._each(setup, texts, lambda text: self._encode([self._tokens(text)], setup))
        else:
            tokens = self._tokenizer.encode_batch([self._graph.prefix + text for text in texts])
            # The longest come first: a long batch at the end would leave the other callers idle.
            tokens.sort(key=len, reverse=True)
            batches = [tokens[at : at + setup.batch] for at in range(0, count, setup.batch)]
            self._each(setup, batches, lambda batch: self._encode(batch, setup))
        return Run(time.monotonic() - began, time.process_time() - cpu)

    def vectors(self, texts: Sequence[str]) -> Array:
        """The vectors of `texts`, each run singly: float32 [texts, dimension]."""
        return np.concatenate([self.vector(text, 1) for text in texts])

    def vector(self, text: str, threads: int) -> Array:
        """The vector of one text, run with `threads` threads: float32 [1, dimension]."""
        return self._encode([self._tokens(text)], Setup(threads, 1, 1))

    def listen(self, threads: int) -> int:
        """Start a bare gRPC server in this process and return its port. It answers a text with its vector's bytes."""
        self._server, port = echo.listen(lambda text: self.vector(text.decode(), threads).tobytes())
        return port

    def latencies(self, threads: int, first: int, count: int) -> Floats:
        """Seconds from text to vector of single texts, one after another, with `threads` threads."""
        taken = []
        for n in range(first, first + count):
            began = time.monotonic()
            self.vector(self._texts[n % len(self._texts)], threads)
            taken.append(time.monotonic() - began)
        return np.asarray(taken, np.float64)

    def _tokens(self, text: str) -> Encoding:
        return self._tokenizer.encode(self._graph.prefix + text)

    def _encode(self, batch: Sequence[Encoding], setup: Setup) -> Array:
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens.ids
            mask[row, : len(tokens)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        vectors: Array = self._session(setup.threads).run(["v"], inputs)[0]
        return vectors

    def _session(self, threads: int) -> ort.InferenceSession:
        if threads not in self._sessions:
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._sessions[threads] = ort.InferenceSession(
                str(self._graph.path), options, providers=[self._provider]
            )
        return self._sessions[threads]

    def _each(self, setup: Setup, work: Sequence[Any], do: Callable[[Any], Any]) -> None:
        """Call `do` for each of `work`, in a thread per caller. A free thread takes the next."""
        self._session(setup.threads)
        places = itertools.count()

        def caller(_: int) -> None:
            while (place := next(places)) < len(work):
                do(work[place])

        with ThreadPoolExecutor(setup.callers) as pool:
            results: Iterable[None] = pool.map(caller, range(setup.callers))
            list(results)
