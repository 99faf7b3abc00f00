"""Dynamic batching: joins inputs of many calls into batches, without a timer.

An idle worker takes waiting inputs at once. While all workers are busy the queue grows, and `engine.queue` chooses the
next batch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from itemlens_server.engine.admission import AdmissionControl
from itemlens_server.engine.call_context import CallContext, Priority
from itemlens_server.engine.entry import Entry, Input
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.queue import Plan, Queue
from itemlens_server.errors import FailedPrecondition, Overloaded
from itemlens_server.observer import FinishedBatch, GuardedObserver, NullObserver, Observer

Value = TypeVar("Value")
Output = TypeVar("Output")
Run = Callable[[list[Value]], Sequence[Output]]

# One worker takes no bulk for this time after an interactive input, so that the next one does not wait for bulk.
CALM_SECONDS = 0.5

LEAST_RETRY_SECONDS = 0.05

# How often a bulk call that waits for admission checks whether its caller has gone.
LOOK_SECONDS = 0.5


@dataclass
class Counts:
    """Counters of a batcher since its start or its last reset.

    tokens: without padding. padded_tokens: with the cost of padding. joined: inputs that were already in the queue.
    refused: calls that found the queue full. dropped: inputs whose calls had all ended. run_seconds: sum over batches.
    queue_seconds: sum over inputs.
    """

    inputs: int = 0
    batches: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    joined: int = 0
    refused: int = 0
    dropped: int = 0
    run_seconds: float = 0.0
    queue_seconds: float = 0.0


class Batcher(Generic[Value, Output]):
    """A bounded queue in front of `runs`, one for each worker. A run returns one output for each of its inputs.

    An input that arrives while nothing runs or waits is run by `low_latency`, if given. It uses the whole machine:
    the workers start no other batch meanwhile.

    An interactive call that `admission` does not admit is refused. A bulk call waits for admission, which slows its
    stream down.
    """

    def __init__(
        self,
        runs: Sequence[Run[Value, Output]],
        *,
        plan: Plan,
        name: str,
        low_latency: Run[Value, Output] | None = None,
        admission: AdmissionControl | None = None,
    ) -> None:
        self.plan = plan
        self.admission = admission or AdmissionControl()
        self._queue: Queue[Entry[Value, Output]] = Queue(plan)
        self._by_key: dict[Hashable, Entry[Value, Output]] = {}
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._queue_shrank = threading.Condition(self._lock)
        self._low_latency = low_latency
        self._low_latency_runs = False
        self._idle = 0
        self._on_bulk = 0  # workers that run a batch of bulk
        self._interactive_at = -CALM_SECONDS  # when the last interactive input was queued
        self._closed = False
        self._counts = Counts()
        self._name = name
        self._observer = GuardedObserver(NullObserver())
        self._threads = [
            threading.Thread(target=self._serve, args=(run,), name=f"{name}-{n}", daemon=True)
            for n, run in enumerate(runs)
        ]
        for thread in self._threads:
            thread.start()

    def check_admission(self, call: CallContext, inputs: int) -> None:
        """Refuse an interactive call of `inputs` inputs before any work is done for it.

        Raises:
            Overloaded: it is not admitted.
        """
        if call.priority is Priority.INTERACTIVE:
            with self._lock:
                if seconds := self._until_admission(call, inputs):
                    self._refuse(seconds)

    def submit(self, inputs: Sequence[Input[Value]], call: CallContext) -> Pending[Output]:
        """Queue `inputs`.

        Raises:
            Overloaded: the queue is full. Nothing was queued.
            DeadlineExceeded, Cancelled: the call ended before it was admitted.
            FailedPrecondition: the batcher is closed.
        """
        pending: Pending[Output] = Pending(len(inputs), call)
        with self._lock:
            self._wait_for_admission(call, len(inputs))
            for number, given in enumerate(inputs):
                entry = self._entry(given, call)
                entry.waiting.append((call, pending, number))
            if call.priority is Priority.INTERACTIVE and inputs:
                self._interactive_at = time.monotonic()
            self._wake_workers()
        return pending

    def observe(self, observer: Observer) -> None:
        """Reset the counters, and report each batch from now on to `observer`."""
        with self._lock:
            self._counts = Counts()
            self._observer = GuardedObserver(observer)

    def counts(self) -> Counts:
        """Return the counters."""
        with self._lock:
            return replace(self._counts)

    def waiting_tokens(self) -> int:
        """Return the number of tokens in the queue."""
        return sum(self._queue.tokens(p) for p in Priority)

    def close(self) -> None:
        """Run all queued inputs, then stop the workers."""
        with self._lock:
            self._closed = True
            self._work.notify_all()
            self._queue_shrank.notify_all()
        for thread in self._threads:
            thread.join()

    def _until_admission(self, call: CallContext, inputs: int) -> float:
        """Return the seconds until a call of `inputs` inputs may be admitted; 0: now."""
        # The call itself is not counted: otherwise a call larger than the queue could never be served.
        seconds = self.admission.seconds(self._queue.tokens(call.priority) - self.admission.max_tokens())
        if call.priority is Priority.INTERACTIVE and seconds <= 0:
            most = self.admission.max_inputs_ahead(inputs)
            # The whole queue bounds what runs before the call, so most calls need no count by caller.
            if self._queue.count(call.priority) > most:
                ahead = self._queue.ahead(call.priority, call.caller.name, inputs)
                seconds = (ahead - most) / self.admission.inputs_per_second
        return max(0.0, seconds)

    def _wait_for_admission(self, call: CallContext, inputs: int) -> None:
        while True:
            if self._closed:
                raise FailedPrecondition("the encoders are closed: the server is stopping")
            seconds = self._until_admission(call, inputs)
            if not seconds:
                return
            if call.priority is Priority.INTERACTIVE:
                self._refuse(seconds)
            call.check()
            self._queue_shrank.wait(LOOK_SECONDS)

    def _refuse(self, seconds: float) -> None:
        self._counts.refused += 1
        raise Overloaded(
            f"{self.waiting_tokens()} tokens wait for the encoder",
            retry_seconds=max(LEAST_RETRY_SECONDS, seconds),
        )

    def _entry(self, given: Input[Value], call: CallContext) -> Entry[Value, Output]:
        """Return the entry of an input: an existing entry with its key if it runs at least as early, or a new one."""
        entry: Entry[Value, Output] = Entry(given, call)
        if entry.key is not None:
            same = self._by_key.get(entry.key)
            if same is not None and (same.running or same.priority <= call.priority):
                self._counts.joined += 1
                return same
            self._by_key[entry.key] = entry
        self._queue.put(entry)
        return entry

    def _wake_workers(self) -> None:
        if not self._low_latency_runs:
            self._work.notify(self._idle if self._closed else min(len(self._queue), self._idle))

    def _next_batch(
        self, run: Run[Value, Output]
    ) -> tuple[list[Entry[Value, Output]], Run[Value, Output]] | None:
        """Wait for a batch. Return it with the worker's `run` or `low_latency`, or None once the batcher is closed."""
        with self._lock:
            while True:
                calm = self._calm_in()
                bulk = calm <= 0 or self._on_bulk < len(self._threads) - 1
                if self._queue.ready(bulk) and not self._low_latency_runs:
                    if batch := self._take(bulk):
                        self._on_bulk += batch[0].priority is Priority.BULK
                        if self._low_latency and self._alone():
                            self._low_latency_runs = True
                            return batch, self._low_latency
                        return batch, run
                elif self._closed and not len(self._queue):
                    return None
                else:
                    self._idle += 1
                    self._work.wait(calm if len(self._queue) and not self._low_latency_runs else None)
                    self._idle -= 1

    def _take(self, bulk: bool) -> list[Entry[Value, Output]]:
        """Return the next batch, without the inputs whose calls have all ended."""
        batch = []
        for entry in self._queue.take(self._idle + 1, bulk):
            if entry.wanted():
                entry.running = True
                batch.append(entry)
            else:
                self._counts.dropped += 1
                self._forget(entry)
        self._queue_shrank.notify_all()
        return batch

    def _calm_in(self) -> float:
        """Return the seconds until bulk may use all workers; 0 or less: now."""
        if len(self._threads) == 1 or self._closed:
            return 0.0
        return self._interactive_at + CALM_SECONDS - time.monotonic()

    def _serve(self, own_run: Run[Value, Output]) -> None:
        while taken := self._next_batch(own_run):
            batch, run = taken
            started = time.monotonic()
            outputs: Sequence[Output | Exception]
            try:
                outputs = run([entry.value for entry in batch])
                if len(outputs) != len(batch):
                    raise RuntimeError(f"{len(outputs)} outputs for {len(batch)} inputs")
            except Exception as error:  # it must reach the callers without ending the worker
                outputs = [error] * len(batch)
            self._finish(batch, outputs, started)

    def _alone(self) -> bool:
        return self._idle == len(self._threads) - 1 and not len(self._queue)

    def _finish(
        self,
        batch: list[Entry[Value, Output]],
        outputs: Sequence[Output | Exception],
        started: float,
    ) -> None:
        with self._lock:
            self._on_bulk -= batch[0].priority is Priority.BULK
            ended, tokens = time.monotonic(), sum(entry.tokens for entry in batch)
            seconds = ended - started
            # Before the outputs are there, because then a call may be over.
            first = {call: entry.queued_at for entry in reversed(batch) for call, _, _ in entry.waiting}
            for call, queued_at in first.items():
                call.stages.add("queue", queued_at, started)
                call.stages.add("run", started, ended)
            for entry, output in zip(batch, outputs, strict=True):
                self._forget(entry)
                for _, pending, number in entry.waiting:
                    pending.put(number, output)
            if self._low_latency_runs:  # it ran this batch, since nothing else runs meanwhile
                self._low_latency_runs = False
                self._wake_workers()
            else:
                workers = len(self._threads)
                self.admission.observe(tokens * workers, len(batch) * workers, seconds)
            longest = max(entry.tokens for entry in batch)
            padding = round(sum(self.plan.padding(entry.tokens, longest) for entry in batch))
            queued_seconds = sum(started - entry.queued_at for entry in batch)
            counts, observer = self._counts, self._observer
            counts.batches += 1
            counts.inputs += len(batch)
            counts.tokens += tokens
            counts.padded_tokens += tokens + padding
            counts.run_seconds += seconds
            counts.queue_seconds += queued_seconds
        observer.batch_run(
            FinishedBatch(self._name, len(batch), tokens, tokens + padding, seconds, queued_seconds)
        )

    def _forget(self, entry: Entry[Value, Output]) -> None:
        if entry.key is not None and self._by_key.get(entry.key) is entry:
            del self._by_key[entry.key]
