"""What the words of a question find."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True)
class WordMatch:
    """The documents that have a word of a question.

    text: the word. documents: int32, ascending. scores: BM25 of the word, float32 [documents]. spellings: those that
    stand for the word, none if it is spelt as asked; spelling: number of each document's, int32 [documents].
    """

    text: str
    documents: Codes
    scores: Array
    spellings: tuple[str, ...] = ()
    spelling: Codes = field(default_factory=lambda: np.zeros(0, np.int32))

    def take(self, documents: Codes) -> WordMatch:
        """Return the match of some documents, ascending, which are numbered anew."""
        _, own, numbers = np.intersect1d(self.documents, documents, return_indices=True)
        spelling = self.spelling[own] if self.spellings else self.spelling
        return WordMatch(self.text, numbers.astype(np.int32), self.scores[own], self.spellings, spelling)


@dataclass(frozen=True)
class Matches:
    """The words of a question that any document has. count: number of documents."""

    words: Sequence[WordMatch]
    count: int

    @cached_property
    def sums(self) -> Array:
        """S of each document: the sum of BM25 over the words, float32 [count]."""
        sums = np.zeros(self.count, np.float32)
        for word in self.words:
            sums[word.documents] += word.scores
        return sums

    def of(self, document: int) -> Iterator[tuple[str, str, float]]:
        """Yield the words that a document has: the word, its spelling there if it is another one, and its BM25."""
        for word in self.words:
            n = int(np.searchsorted(word.documents, document))
            if n < len(word.documents) and word.documents[n] == document:
                spelling = word.spellings[word.spelling[n]] if word.spellings else ""
                yield word.text, spelling, float(word.scores[n])

    def take(self, documents: Codes) -> Matches:
        """Return the matches of some documents, int32, ascending, which are numbered anew; one more has nothing."""
        kept = [own for word in self.words if len((own := word.take(documents)).documents)]
        return Matches(kept, len(documents) + 1)
