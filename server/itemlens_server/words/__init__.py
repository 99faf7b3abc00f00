"""Words of items in memory, and the items that the words of a question match (BM25)."""

from __future__ import annotations

from itemlens_server.words.analyser import WordForms, question_words
from itemlens_server.words.matches import Matches, WordMatch
from itemlens_server.words.table import NO_WORDS, Indexed, Words, WordTable
from itemlens_server.words.table import NONE as NO_DOCUMENT

__all__ = [
    "NO_DOCUMENT",
    "NO_WORDS",
    "Indexed",
    "Matches",
    "WordForms",
    "WordMatch",
    "WordTable",
    "Words",
    "question_words",
]
