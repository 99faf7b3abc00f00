"""Joins inputs of many calls into batches, without a timer.

An idle worker takes what waits at once. While all workers are busy the queue grows, and the next batch is formed
from inputs of like size, beginning with the one that waits longest, up to a budget of padded size: on a processor
padding costs more than batching brings, on a GPU the other way round, so the budget is the caller's.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from itemlens_server.deadline import Deadline
from itemlens_server.errors import DeadlineExceeded, Overloaded, WrongState

Input = TypeVar("Input")
Output = TypeVar("Output")


@dataclass
class _Job(Generic[Input, Output]):
    order: int
    value: Input
    size: int
    deadline: Deadline
    future: Future[Output] = field(default_factory=Future)


class Batcher(Generic[Input, Output]):
    """A bounded queue in front of `run`, which turns a list of inputs of one group into as many outputs."""

    def __init__(
        self,
        run: Callable[[list[Input]], Sequence[Output]],
        *,
        workers: int,
        max_batch: int,
        max_batch_size: int,
        max_queue: int,
        name: str,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_batch_size = max_batch_size
        self._max_queue = max_queue
        self._groups: dict[object, deque[_Job[Input, Output]]] = {}
        self._waiting = 0
        self._counter = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, inputs: Sequence[tuple[Input, int, object]], deadline: Deadline) -> list[Future[Output]]:
        """Queue `inputs`, each with its size and group; inputs of different groups never share a batch.

        Raises:
            Overloaded: the queue has no room for them. Nothing was queued.
            WrongState: the batcher is closed.
        """
        jobs = [
            (_Job[Input, Output](next(self._counter), v, size, deadline), group) for v, size, group in inputs
        ]
        with self._changed:
            if self._closed:
                raise WrongState("the encoders are closed: the server is stopping")
            # A call larger than the whole queue is let in when nothing waits, or it never could be.
            if self._waiting and self._waiting + len(jobs) > self._max_queue:
                raise Overloaded(
                    f"{self._waiting} inputs wait for an encoder already (the limit is {self._max_queue}); try again",
                    retry_seconds=0.5,
                )
            for job, group in jobs:
                self._groups.setdefault(group, deque()).append(job)
            self._waiting += len(jobs)
            self._changed.notify(len(jobs))
        return [job.future for job, _ in jobs]

    def close(self) -> None:
        """Finish what is queued, then stop the workers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _next_batch(self) -> list[_Job[Input, Output]] | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            group = min(self._groups, key=lambda g: self._groups[g][0].order)
            queue = self._groups[group]
            batch: list[_Job[Input, Output]] = []
            largest = 0
            while queue and len(batch) < self._max_batch:
                largest = max(largest, queue[0].size)
                if batch and largest * (len(batch) + 1) > self._max_batch_size:
                    break
                batch.append(queue.popleft())
            if not queue:
                del self._groups[group]
            self._waiting -= len(batch)
            return batch

    def _work(self) -> None:
        while (taken := self._next_batch()) is not None:
            batch = []
            for job in taken:
                if job.deadline.passed():
                    job.future.set_exception(
                        DeadlineExceeded("the deadline passed while the input was queued")
                    )
                else:
                    batch.append(job)
            if not batch:
                continue
            try:
                outputs = self._run([job.value for job in batch])
                if len(outputs) != len(batch):
                    raise RuntimeError(f"{len(outputs)} outputs for {len(batch)} inputs")
            except Exception as error:  # must reach the callers, and must not end the worker
                for job in batch:
                    job.future.set_exception(error)
            else:
                for job, output in zip(batch, outputs, strict=True):
                    job.future.set_result(output)
