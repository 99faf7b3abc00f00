"""LEXICAL: the words of a question that an item has, such as a part number or a brand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from itemlens_server.fusion.head import Array
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Asking
from itemlens_server.fusion.ranking import top_positive
from itemlens_server.fusion.rows import Ints
from itemlens_server.fusion.terms.term import Term
from itemlens_server.fusion.weights import States
from itemlens_server.fusion.word_source import LEXICAL, WordSource


class Lexical(Term):
    """S = BM25 of the words that the question and the item share (see `words`). g is the identity and theta is 0, so
    without a word an item loses its part exactly."""

    kinds: ClassVar[tuple[str, ...]] = (LEXICAL,)
    phrases: ClassVar[Mapping[str, Mapping[str, str]]] = {
        LEXICAL: {"en": "it has the words {}", "zh": "它含有{}"}
    }

    def __init__(self, asking: Asking, source: WordSource) -> None:
        self._documents, self._matches = asking.snapshot.view.documents, source.matches
        self._by_state = source.weights.by_state

    @classmethod
    def bind(cls, asking: Asking) -> Sequence[Self]:
        """See Term."""
        source = asking.words
        return [cls(asking, source)] if source is not None and source.matches.words else []

    def columns(self, interest: int, positions: Ints) -> Mapping[str, Array]:
        """See Term."""
        return {LEXICAL: self._sums(positions)}

    def evidence(self, interest: int, positions: Ints, states: States) -> Array:
        """See Term."""
        return self._by_state[states] * self._sums(positions)

    def candidates(self, depth: int, eligible: Ints) -> Ints:
        """See Term."""
        return top_positive(self._sums(eligible), eligible, depth)

    def by_source(self, interest: int, position: int, state: int) -> list[Part]:
        """See Term. By word of the question."""
        weight = float(self._by_state[state])
        return [
            Part(LEXICAL, weight * value, text=text, spelling=spelling)
            for text, spelling, value in self._matches.of(int(self._documents[position]))
        ]

    def _sums(self, positions: Ints) -> Array:
        return np.asarray(self._matches.sums[self._documents[positions]])
