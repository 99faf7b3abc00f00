"""Live recall: a share of the questions that callers ask is answered again, exactly, in the background."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue

from itemlens_server.config import Settings
from itemlens_server.services.query import QueryRequest
from itemlens_server.services.recommend_options import RecommendOptions
from itemlens_server.services.results import RecommendedItem

log = logging.getLogger(__name__)

# The alarm looks at so many of the latest questions of a kind, and is told again after so long.
ALARM_QUESTIONS = 50
TELL_SECONDS = 300.0
# Scores of one item in two lists differ by rounding, in nats.
SAME_SCORE = 1e-4
# Exact answers must not take processor time from callers.
_NICENESS = 10
_END_SECONDS = 1.0


@dataclass(frozen=True)
class RecallSum:
    """questions that were answered twice; items of the exact lists; how many of them were in the callers' lists"""

    questions: int = 0
    items: int = 0
    found: int = 0


@dataclass(frozen=True)
class _Question:
    kind: str
    listed: Sequence[RecommendedItem]
    exactly: Callable[[], Sequence[RecommendedItem]]


def kind_of(request: QueryRequest, options: RecommendOptions) -> str:
    """What a question is by: "user", "query", "items", "vector" or several of them, and whether it has a filter, such
    as "user+query, filtered". There are 32 kinds at most."""
    given = {
        "user": bool(request.user_id or request.history),
        "query": bool(request.content),
        "items": bool(request.liked),
        "vector": request.vector is not None,
    }
    kind = "+".join(name for name, is_given in given.items() if is_given) or "nothing"
    return f"{kind}, filtered" if options.filter is not None else kind


class LiveRecall:
    """Compares lists that callers got with exact ones, in a thread of its own.

    One question waits at most: while an exact answer is computed, further ones are left out.
    """

    def __init__(self, settings: Settings) -> None:
        """Uses `live_recall_share` and `live_recall_alarm`."""
        self._settings = settings
        self._waiting: Queue[_Question | None] = Queue(1)
        self._lock = threading.Lock()
        self._sums: dict[str, RecallSum] = {}
        self._latest: dict[str, deque[tuple[int, int]]] = {}
        self._told: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def sums(self) -> Mapping[str, RecallSum]:
        """The sums since the start, by kind."""
        with self._lock:
            return dict(self._sums)

    def offer(
        self, kind: str, listed: Sequence[RecommendedItem], exactly: Callable[[], Sequence[RecommendedItem]]
    ) -> None:
        """Compare a list, perhaps. exactly: makes the same list by an exact search, over the same snapshot."""
        if random.random() >= self._settings.live_recall_share:
            return
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live-recall", daemon=True)
                self._thread.start()
        with suppress(Full):
            self._waiting.put_nowait(_Question(kind, listed, exactly))

    def close(self) -> None:
        """Compare no more."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        with suppress(Empty):
            self._waiting.get_nowait()
        self._waiting.put(None)
        thread.join(_END_SECONDS)

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while (question := self._waiting.get()) is not None:
            try:
                exact = question.exactly()
            except Exception:
                log.exception("live recall: the exact answer of a question failed")
            else:
                self._count(question.kind, *found_of(question.listed, exact))
            del question  # what it refers to can be large

    def _count(self, kind: str, found: int, wanted: int) -> None:
        if not wanted:
            return
        with self._lock:
            old = self._sums.get(kind, RecallSum())
            self._sums[kind] = RecallSum(old.questions + 1, old.items + wanted, old.found + found)
        latest = self._latest.setdefault(kind, deque(maxlen=ALARM_QUESTIONS))
        latest.append((found, wanted))
        recall = sum(found for found, _ in latest) / sum(items for _, items in latest)
        now = time.monotonic()
        if (
            len(latest) == ALARM_QUESTIONS
            and recall < self._settings.live_recall_alarm
            and now - self._told.get(kind, -TELL_SECONDS) >= TELL_SECONDS
        ):
            self._told[kind] = now
            log.warning(
                "live recall of questions by %s is %.3f over the last %d, below live_recall_alarm %.3f: raise "
                "candidates_per_channel",
                kind, recall, ALARM_QUESTIONS, self._settings.live_recall_alarm,
            )  # fmt: skip


def found_of(listed: Sequence[RecommendedItem], exact: Sequence[RecommendedItem]) -> tuple[int, int]:
    """Return how many items of an exact list the caller's list has, and how many there are. An item of the same score,
    such as one of equal content, stands for one that is not listed. Items that were drawn to explore do not count."""
    have, wanted = (
        {item.item_id: item.score for item in items if not item.explored} for items in (listed, exact)
    )
    both = have.keys() & wanted.keys()
    if not both:
        return 0, len(wanted)
    # ln Z, which is part of all scores of a list, is estimated from the candidates, and so differs.
    shift = sum(wanted[item_id] - have[item_id] for item_id in both) / len(both)
    others = sorted(have[item_id] + shift for item_id in have.keys() - both)
    found = len(both)
    for score in sorted((wanted[item_id] for item_id in wanted.keys() - both), reverse=True):
        if others and others[-1] >= score - SAME_SCORE:
            others.pop()
            found += 1
    return found, len(wanted)
