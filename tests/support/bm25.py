"""BM25, from the formula alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from itemlens_server.words.table import K1, B


def bm25(word: str, item: str, items: Mapping[str, Sequence[str]]) -> float:
    """BM25 of a word in one of some items, each a sequence of words."""
    f, n = items[item].count(word), sum(word in own for own in items.values())
    mean = sum(map(len, items.values())) / len(items)
    idf = math.log(1 + (len(items) - n + 0.5) / (n + 0.5))
    return idf * f * (K1 + 1) / (f + K1 * (1 - B + B * len(items[item]) / mean)) if f else 0.0
