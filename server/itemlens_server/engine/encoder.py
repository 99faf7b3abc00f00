"""Modalities, and the base class of their encoders: sessions, a plan, and a batcher in front of them."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.admission import AdmissionControl
from itemlens_server.engine.batcher import Batcher, Counts
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.entry import Input
from itemlens_server.engine.heat_map import HeatMapDrawer
from itemlens_server.engine.manifest import EncoderSpec, Precision, Purpose
from itemlens_server.engine.memory_budget import MemoryBudget
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.prepared import ModelInput, Prepared
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Device, Session
from itemlens_server.engine.tuning import Tunings, fastest
from itemlens_server.observer import Observer

Array = np.ndarray[Any, np.dtype[np.float32]]
Value = TypeVar("Value", bound=str | bytes)


@dataclass(frozen=True, slots=True)
class Encoded:
    """v float32 [dim]; on request z float32 [places, dim], whose mean is v."""

    v: Array
    z: Array | None = None


@dataclass(frozen=True)
class Runtime:
    """State that all encoders of a server share. decoding: memory for the contents being decoded."""

    settings: Settings
    device: Device
    tunings: Tunings
    observer: Observer
    decoding: MemoryBudget


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of content: how it is named, stored, encoded and explained. The rest of the server reads these fields
    instead of testing for a kind.

    kind:          name in the manifest and in the wire contract's ChannelKind
    field:         name in the contract's Content; also the singular noun in messages
    plural:        plural noun in messages
    encoder:       class that runs its models
    several:       whether an item may have more than one in a channel
    in_document:   whether an item's document contains it; if not, the store keeps the bytes in `Prepared.stored`
    quick:         whether preparing one takes less time than a switch to another thread
    by_purpose:    whether queries and items are prepared differently
    place:         kind of its places as in the contract's PartKind, the whole content included
    other_places:  further kinds of places
    fits:          by language, the phrase about a matching content in a sentence; {} stands for its words
    sample_query:  returns a query that should find a stored content
    search_nats:   how much a query says before any fit, nats for each standard deviation of the cosine
    """

    kind: str
    field: str
    plural: str
    encoder: type[Encoder[Any, Any]]
    several: bool
    in_document: bool
    quick: bool
    by_purpose: bool
    place: str
    other_places: tuple[str, ...] = ()
    fits: Mapping[str, str]
    sample_query: Callable[[random.Random, Any], str | bytes]
    search_nats: float

    def max_per_item(self, limit: int) -> int:
        """Return how many an item may have in a channel. `limit`: the setting for modalities with several."""
        return limit if self.several else 1


class Encoder(ABC, Generic[Value, ModelInput]):
    """Encodes contents of one modality into vectors. `with_places`: whether z is needed too; such inputs do not share a
    batch with others."""

    heat_maps: HeatMapDrawer | None = None
    """Set by `_open` of a modality whose places can be drawn."""

    def __init__(
        self,
        modality: Modality,
        directory: Path,
        spec: EncoderSpec,
        precision: Precision,
        runtime: Runtime,
    ) -> None:
        settings, tunings = runtime.settings, runtime.tunings
        self.modality = modality
        self.spec = spec
        self.digest = spec.digest(precision)
        self.precision = precision
        self.provider = runtime.device.provider
        self._settings = settings
        self._device = runtime.device
        self._decoding = runtime.decoding
        self._graph = directory / spec.graphs[precision].path
        self._open(directory)
        tuned = None if tunings.anew else tunings.get(self.digest, self._plans())
        if tunings.anew:
            name = f"{modality.kind.lower()} encoder, {precision}"
            tuned = fastest(name, self._plans(), self._measure)
            tunings.put(self.digest, tuned)
        plan = tuned.plan if tuned else self._plans()[0]
        admission = AdmissionControl(
            settings.max_queue_tokens,
            settings.max_queue_seconds,
            settings.max_wait_seconds,
            settings.min_admitted_inputs,
            settings.large_call_patience,
        )
        self._batcher = self._start(plan, admission)
        sample = self._sample()
        admission.tokens_per_second = tuned.tokens_per_second if tuned else self._rate(self._batcher)
        admission.inputs_per_second = (
            admission.tokens_per_second * len(sample) / sum(map(self._tokens, sample))
        )
        self._batcher.observe(runtime.observer)

    @property
    def plan(self) -> Plan:
        """Plan of its batches."""
        return self._batcher.plan

    def counts(self) -> Counts:
        """Return the counters of its batcher."""
        return self._batcher.counts()

    def waiting_tokens(self) -> int:
        """Return the number of waiting tokens."""
        return self._batcher.waiting_tokens()

    @property
    def max_queue_tokens(self) -> int:
        """Number of interactive tokens that may wait."""
        return int(self._batcher.admission.max_tokens())

    def check_admission(self, call: CallContext, inputs: int) -> None:
        """Raise Overloaded if `submit` would refuse a call of `inputs` inputs now."""
        self._batcher.check_admission(call, inputs)

    def submit(
        self,
        inputs: Sequence[ModelInput],
        with_places: bool,
        call: CallContext,
        keys: Sequence[Hashable | None] = (),
    ) -> Pending[Encoded]:
        """Queue inputs. Inputs with equal keys (of their contents) that wait or run at the same time are run once."""
        keys = keys or [None] * len(inputs)
        return self._batcher.submit(
            [
                Input((i, with_places), self._tokens(i), with_places, key)
                for i, key in zip(inputs, keys, strict=True)
            ],
            call,
        )

    def close(self) -> None:
        """Run all queued inputs, then stop."""
        self._batcher.close()

    @abstractmethod
    def prepare(
        self, value: Value, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[ModelInput]:
        """Prepare a content for the model; with `keep`, also the form that is stored. `call`: the call that needs it.

        Raises:
            InvalidArgument: it cannot be encoded; the message says what to change.
            DeadlineExceeded, Cancelled: the call ended before the preparation began.
        """

    @abstractmethod
    def _open(self, directory: Path) -> None:
        """Read the files that `prepare` needs, before any session is created."""

    @abstractmethod
    def _plans(self) -> list[Plan]:
        """Return the candidate plans, the default first."""

    @abstractmethod
    def _sample(self) -> list[ModelInput]:
        """Return inputs of realistic sizes to measure a plan."""

    @abstractmethod
    def _tokens(self, model_input: ModelInput) -> int:
        """Return the cost of an input: the tokens of a text, 1 for a picture."""

    @abstractmethod
    def _run(self, session: Session, batch: list[tuple[ModelInput, bool]]) -> list[Encoded]:
        """Encode a batch of (input, whether z is needed). The flag is equal for all inputs of a batch."""

    def _start(self, plan: Plan, admission: AdmissionControl) -> Batcher[tuple[ModelInput, bool], Encoded]:
        # Single-threaded runs can share a session; a multi-threaded run needs its own threads.
        # A GPU has one session, which runs one batch at a time (onnxruntime#12049).
        device = self._device
        shared = plan.threads == 1 and not device.gpu
        sessions = [
            Session(
                self._graph,
                device.provider,
                plan.threads,
                self._settings.gpu_memory_bytes,
                n if device.gpu else 0,
            )
            for n in range(1 if shared else plan.instances)
        ]
        low_latency = self._low_latency_session(plan)
        first = self._sample()[0]
        for session in (
            *sessions,
            *([low_latency] if low_latency else []),
        ):  # the first run of a session is slow
            for with_places in (True, False):
                self._run(session, [(first, with_places)])

        return Batcher(
            [partial(self._run, sessions[n % len(sessions)]) for n in range(plan.instances)],
            plan=plan,
            name=f"{self.modality.kind.lower()}-{self.digest[:8]}",
            low_latency=partial(self._run, low_latency) if low_latency else None,
            admission=admission,
        )

    def _low_latency_session(self, plan: Plan) -> Session | None:
        """Return a session with all threads, for a batch that runs alone: other threads would be idle."""
        if self._device.gpu or plan.instances == 1 or not self._settings.low_latency_sessions:
            return None
        return Session(self._graph, self._device.provider, self._settings.thread_count())

    def _measure(self, plan: Plan) -> float:
        batcher = self._start(plan, AdmissionControl())
        rate = max(self._rate(batcher) for _ in range(2))
        batcher.close()
        return rate

    def _rate(self, batcher: Batcher[tuple[ModelInput, bool], Encoded]) -> float:
        """Return the rate for inputs like those of `_sample`, tokens per second."""
        wanted = [Input((i, False), self._tokens(i)) for i in self._sample()]
        started = time.monotonic()
        batcher.submit(wanted, CallContext()).results()
        return sum(i.tokens for i in wanted) / (time.monotonic() - started)
