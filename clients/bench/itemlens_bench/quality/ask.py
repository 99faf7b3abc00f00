"""Asks the server many questions from a few threads, with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from itemlens import (
    Client,
    Explanation,
    FuseInput,
    Item,
    ItemlensError,
    Overloaded,
    Recommendation,
    Retry,
    UserSide,
)
from itemlens import Picture as PictureInput

from .rows import Floats

T = TypeVar("T")
R = TypeVar("R")

TIED = 1e-6
"""Scores that differ by less are equal: float32 sums are rounded."""
AT_ONCE = 256
"""Number of queries whose scores of all items are in memory at a time."""
DEEP = 100
"""Length of the lists that are read to find ties. At most 61 items share a title, so a target that ties with one of
the first ten is among the first hundred."""


@dataclass(frozen=True)
class Asking:
    """A client, its number of concurrent questions, and the console that shows progress.

    retry: when items are asked for again that a busy server refuses to explain; see `explain`
    """

    client: Client
    console: Console
    threads: int = 4
    retry: Retry = field(default_factory=Retry)

    def each(self, what: str, ask: Callable[[T], R], questions: Sequence[T]) -> list[R]:
        """The results of `ask` for all questions, in their order."""
        with self.bar() as bar, ThreadPoolExecutor(self.threads) as pool:
            return list(bar.track(pool.map(ask, questions), len(questions), description=what))

    def bar(self) -> Progress:
        """A progress bar that stays on the screen with the time taken."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self.console)

    def encode_texts(self, what: str, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
        """Raw encoder vectors of texts, scaled to length 1; float32 [texts, dimension]."""
        parts = [texts[n : n + batch] for n in range(0, len(texts), batch)]
        vectors = self.each(what, lambda t: self.client.encode(t, unit_length=True).vectors, parts)
        return np.concatenate(vectors)

    def encode_pictures(
        self, what: str, pictures: Sequence[PictureInput], batch: int = 16
    ) -> NDArray[np.float32]:
        """Raw encoder vectors of pictures, scaled to length 1; float32 [pictures, dimension]."""
        parts = [pictures[n : n + batch] for n in range(0, len(pictures), batch)]
        vectors = self.each(what, lambda p: self.client.encode(pictures=p, unit_length=True).vectors, parts)
        return np.concatenate(vectors)

    def explain(
        self,
        item_ids: Sequence[str],
        side: UserSide | None = None,
        *,
        recommendation_id: str | None = None,
        collection: str,
    ) -> list[Explanation]:
        """The explanations of different items, in order. Those that a busy server refuses are asked for again.

        The client repeats calls that are refused, but not single items of a call.

        Raises:
            ItemlensError: an item cannot be explained, or is still refused after the tries of `retry`.
        """
        found: dict[str, Explanation] = {}
        failures = 0
        while left := [item_id for item_id in item_ids if item_id not in found]:
            refused: ItemlensError | None = None
            for explained in self.client.explain(
                left, side, recommendation_id=recommendation_id, collection=collection
            ):
                if isinstance(explained.error, Overloaded):
                    refused = explained.error
                elif explained.error is not None:
                    raise explained.error
                else:
                    found[explained.item_id] = explained
            if refused is not None:
                failures += 1
                wait = self.retry.wait(failures, refused)
                if wait is None:
                    raise refused
                time.sleep(wait)
        return [found[item_id] for item_id in item_ids]

    def fuse(self, inputs: Sequence[Item | FuseInput], space: str, batch: int = 16) -> NDArray[np.float32]:
        """ITEM vectors of contents that are not in the catalogue; float32 [inputs, fused dimension]."""
        parts = [inputs[n : n + batch] for n in range(0, len(inputs), batch)]
        return np.concatenate([self.client.fuse(part, space=space).vectors for part in parts])


@dataclass(frozen=True)
class Question:
    """A search with a known right answer."""

    target: str
    side: UserSide


def find(
    asking: Asking, what: str, questions: Sequence[Question], collection: str, ks: Sequence[int] = (10,)
) -> list[Floats]:
    """Hits of each question's target, one array per k, ties by expectation, read from the first DEEP served items."""

    def ask(question: Question) -> list[float]:
        reply = asking.client.recommend(question.side, k=DEEP, collection=collection)
        return [hit(reply.items, question.target, k) for k in ks]

    hits = np.asarray(asking.each(f"{collection}: {what}", ask, questions))
    return list(hits.T)


def hit(items: Sequence[Recommendation], target: str, k: int) -> float:
    """Expected hit at k if items of equal score came in random order: clip((k - better) / tied, 0, 1)."""
    score = next((item.score for item in items if item.item_id == target), None)
    if score is None:
        return 0.0
    better = sum(item.score > score + TIED for item in items)
    tied = sum(abs(item.score - score) <= TIED for item in items)  # the target is one of them
    return min(max((k - better) / tied, 0.0), 1.0)


def similar(
    queries: NDArray[np.float32], items: NDArray[np.float32], targets: Sequence[int], k: int
) -> Floats:
    """The yardstick for `find`: hits at k by dot product, the cosine of unit vectors; ties by expectation."""
    hits = []
    for start in range(0, len(queries), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        hits.append(ranked_hits(queries[some] @ items.T, targets[some], k))
    return np.concatenate(hits)


def ranked_hits(scores: NDArray[np.float32], targets: Sequence[int], k: int) -> Floats:
    """Hits at k of each row's target column; ties by expectation. scores: float32 [questions, items]."""
    own = scores[np.arange(len(scores)), list(targets)][:, None]
    better = (scores > own + TIED).sum(1)
    tied = (np.abs(scores - own) <= TIED).sum(1)
    return np.asarray(np.clip((k - better) / tied, 0.0, 1.0), np.float64)
