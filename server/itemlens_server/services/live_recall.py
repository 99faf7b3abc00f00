"""Live recall: a share of the questions that callers ask is answered again, exactly, in the background."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue

from itemlens_server.config import Settings
from itemlens_server.services.query import QueryRequest
from itemlens_server.services.recommend_options import RecommendOptions
from itemlens_server.services.results import RecommendedItem

log = logging.getLogger(__name__)

# The alarm looks at so many of the latest questions of a kind. It, and failures, are told again after so long.
ALARM_QUESTIONS = 50
TELL_SECONDS = 300.0
# Scores of one item in two lists differ by rounding, in nats.
SAME_SCORE = 1e-4
# Exact answers must not take processor time from callers.
_NICENESS = 10
# Why a question that was drawn was not compared.
BUSY, FAILED = "busy", "failed"

Listed = Sequence[RecommendedItem]


@dataclass(frozen=True)
class RecallSum:
    """questions that were answered twice; items of the exact lists; how many of them the callers' lists had"""

    questions: int = 0
    items: int = 0
    found: int = 0


@dataclass(frozen=True)
class _Question:
    kind: str
    listed: Listed
    exactly: Callable[[], Listed]


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
    """Compares lists that an index has found with exact ones, in a thread of its own.

    One question waits at most: while an exact answer is computed, further ones are left out.
    """

    def __init__(self, settings: Settings) -> None:
        """Uses `live_recall_share` and `live_recall_alarm`."""
        self._settings = settings
        self._waiting: Queue[_Question | None] = Queue(1)
        self._lock = threading.Lock()
        self._sums: dict[str, RecallSum] = {}
        self._left_out = Counter({BUSY: 0, FAILED: 0})
        self._latest: dict[str, deque[tuple[int, int]]] = {}
        self._told: dict[str, float] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def sums(self) -> Mapping[str, RecallSum]:
        """The sums since the start, by kind."""
        with self._lock:
            return dict(self._sums)

    def left_out(self) -> Mapping[str, int]:
        """The number of questions that were to be compared and were not, by the reason."""
        with self._lock:
            return dict(self._left_out)

    def offer(self, kind: str, listed: Listed, exactly: Callable[[], Listed]) -> None:
        """Compare a list that an index has found, perhaps. exactly: makes the same list from all items."""
        if random.random() >= self._settings.live_recall_share:
            return
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live-recall", daemon=True)
                self._thread.start()
            try:
                self._waiting.put_nowait(_Question(kind, listed, exactly))
            except Full:
                self._left_out[BUSY] += 1

    def close(self) -> None:
        """Compare no more. What runs ends with the process."""
        with self._lock:
            self._closed = True
            with suppress(Empty):
                self._waiting.get_nowait()
            self._waiting.put_nowait(None)

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # where threads have no priority of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while self._compare(self._waiting.get()):
            pass

    def _compare(self, question: _Question | None) -> bool:
        """Compare one question, and keep nothing of it. Return False at the end."""
        if question is None:
            return False
        try:
            self._count(question.kind, *found_of(question.listed, question.exactly()))
        except Exception:
            with self._lock:
                self._left_out[FAILED] += 1
            if self._is_to_be_told(FAILED):
                log.exception("live recall: the exact answer of a question failed")
        return True

    def _count(self, kind: str, found: int, wanted: int) -> None:
        if not wanted:
            return
        with self._lock:
            old = self._sums.get(kind, RecallSum())
            self._sums[kind] = RecallSum(old.questions + 1, old.items + wanted, old.found + found)
        latest = self._latest.setdefault(kind, deque(maxlen=ALARM_QUESTIONS))
        latest.append((found, wanted))
        recall = sum(found for found, _ in latest) / sum(items for _, items in latest)
        if len(latest) < ALARM_QUESTIONS or recall >= self._settings.live_recall_alarm:
            return
        if self._is_to_be_told(kind):
            log.warning(
                "live recall of questions by %s is %.3f over the last %d, below live_recall_alarm %.3f: raise "
                "candidates_per_channel",
                kind, recall, ALARM_QUESTIONS, self._settings.live_recall_alarm,
            )  # fmt: skip

    def _is_to_be_told(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(what, -TELL_SECONDS) < TELL_SECONDS:
            return False
        self._told[what] = now
        return True


def found_of(listed: Listed, exact: Listed) -> tuple[int, int]:
    """Return how many items of an exact list the caller's list has, and how many there are. An item of the same
    interest and score, such as one of equal content, stands for one that is not listed."""
    found = 0
    for interest in {item.interest for item in exact}:
        have, wanted = (
            {item.item_id: item.score for item in items if item.interest == interest}
            for items in (listed, exact)
        )
        both = have.keys() & wanted.keys()
        found += len(both)
        if not both:  # nothing tells how the scores compare
            continue
        # ln Z, which is part of all scores of an interest, is estimated from what was scored, and so differs.
        shift = sum(wanted[item_id] - have[item_id] for item_id in both) / len(both)
        others = [have[item_id] + shift for item_id in have.keys() - both]
        for score in (wanted[item_id] for item_id in wanted.keys() - both):
            if same := [other for other in others if abs(other - score) <= SAME_SCORE]:
                others.remove(same[0])
                found += 1
    return found, len(exact)
