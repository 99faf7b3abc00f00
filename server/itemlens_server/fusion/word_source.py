"""The words of a question as a source of the score, and what they weigh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from itemlens_server.fusion.weights import ColumnWeights, QuestionWeights
from itemlens_server.words import Matches

LEXICAL = "LEXICAL"
COSINE_PER_NAT = 1 / 12
"""What a nat of BM25 weighs without a fit, as a cosine of the channel that the words are asked of: by the default
weights of searches, 1.5 nats for each deviation of .125 (MiniLM), a cosine is 12 nats. So a nat of BM25 is one."""


@dataclass(frozen=True)
class WordSource:
    """The words of a question that the collection has. weights: nats per unit of BM25, those of the caller included."""

    matches: Matches
    weights: ColumnWeights


def word_weights(weights: QuestionWeights, channels: Iterable[str]) -> ColumnWeights:
    """Return the weights of LEXICAL in a search. channels: that the words are asked of.

    BM25 is in nats: idf is the log-odds that an item with the word is meant, if nothing else is known (S. Robertson,
    K. Sparck Jones, "Relevance weighting of search terms", 1976). An encoder says partly the same, and the weights of a
    head without a fit are not in nats. So without a fit it is weighed in cosines of the words' channel.
    """
    if LEXICAL in weights.columns:
        return weights.columns[LEXICAL]
    weight = COSINE_PER_NAT * max((weights.of(channel).weight for channel in channels), default=0.0)
    return ColumnWeights(weight, weight, weight)
