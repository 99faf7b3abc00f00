"""The base class of encoders that run an ONNX graph."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path

from itemlens_server.access.quotas import Used
from itemlens_server.engine.admission import AdmissionControl
from itemlens_server.engine.batcher import Batcher, Counts
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Encoded, Encoder, Modality, Runtime, Value
from itemlens_server.engine.entry import Input
from itemlens_server.engine.manifest import EncoderSpec, Precision
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.prepared import ModelInput
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Session
from itemlens_server.engine.tuning import fastest


class ModelEncoder(Encoder[Value, ModelInput]):
    """Runs an ONNX graph: sessions, a plan, and a batcher in front of them. `_open` sets `heat_maps`, if any."""

    def __init__(
        self,
        modality: Modality,
        directory: Path,
        spec: EncoderSpec,
        precision: Precision,
        runtime: Runtime,
    ) -> None:
        settings, tunings = runtime.settings, runtime.tunings
        super().__init__(modality, spec, precision, runtime.device.provider)
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
        return self._batcher.plan

    def counts(self) -> Counts:
        return self._batcher.counts()

    def waiting_tokens(self) -> int:
        return self._batcher.waiting_tokens()

    @property
    def max_queue_tokens(self) -> int:
        return int(self._batcher.admission.max_tokens())

    def check_admission(self, call: CallContext, inputs: int) -> None:
        self._batcher.check_admission(call, inputs)

    def submit(
        self,
        inputs: Sequence[ModelInput],
        with_places: bool,
        call: CallContext,
        keys: Sequence[Hashable | None] = (),
    ) -> Pending[Encoded]:
        keys = keys or [None] * len(inputs)
        queued = [
            Input((i, with_places), self._tokens(i), with_places, key)
            for i, key in zip(inputs, keys, strict=True)
        ]
        pending = self._batcher.submit(queued, call)
        call.caller.spend(Used.TOKENS, sum(entry.tokens for entry in queued))
        return pending

    def close(self) -> None:
        self._batcher.close()

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
            name=self.name,
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
