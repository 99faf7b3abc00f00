"""The words of the rows: a growing table of documents, one for the words of one item.

Documents are only added, so a view costs no copy of them. An item whose words change gets another document, and the old
one is dropped when the rows are compacted. Most documents are inverted: each word has a list of those that have it. The
newest ones are searched as they are, until the background has inverted them, too.

BM25 of a word in a document (S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework", 2009):

    ln(1 + (N - n + 1/2) / (n + 1/2))  f (K1 + 1) / (f + K1 (1 - B + B length / mean length))

with f its frequency there, and n of the N documents that have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from itemlens_server.words.analyser import WordForms, attribute_texts, item_words, unspaced
from itemlens_server.words.matches import Array, Codes, Ints, Matches, WordMatch
from itemlens_server.words.spelling import corrects, one_typo_away

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

K1, B = 1.2, 0.75
"""The usual values."""
TYPO = 0.5
"""What a match with a typo counts, as a share of one without."""
MOST_CORRECTED = 8
"""So many words of a question are looked for with a typo."""
MOST_SPELLINGS = 16
MOST_CHARACTERS = 1_000
"""So many characters of words are tried in typos. Scripts without spaces have no typos of this kind."""
NONE = 0
"""The document of items without words."""
FEW = 256
# Newer entries than this, and than this share of the others, are inverted in the background.
FEW_ENTRIES, ENTRIES_SHARE = 1 << 14, 0.25


@dataclass(frozen=True)
class Indexed:
    """What words are taken from: channels of texts, none for all of them, and attributes."""

    channels: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entries:
    """The words of documents, one after the other: document d has the entries starts[d] to starts[d + 1].

    codes: int32 [entries]. in_texts, in_attributes: how often, at most 255, uint8 [entries]. starts: int64
    [documents + 1]. lengths: number of words, of texts and of attributes, float32 [documents, 2]
    """

    codes: Codes
    in_texts: Bytes
    in_attributes: Bytes
    starts: Ints
    lengths: Array

    @staticmethod
    def empty(entries: int, documents: int) -> _Entries:
        frequencies = (np.zeros(entries, np.uint8), np.zeros(entries, np.uint8))
        return _Entries(
            np.zeros(entries, np.int32), *frequencies, np.zeros(documents + 1, np.int64),
            np.zeros((documents, 2), np.float32),
        )  # fmt: skip

    def frequencies(self, begin: int, end: int) -> Array:
        """Return how often the words of some entries occur, float32 [entries]."""
        return self.in_texts[begin:end].astype(np.float32) + self.in_attributes[begin:end]

    def grown(self, entries: int, documents: int) -> _Entries:
        """Return the same with room for so many entries and documents."""
        if entries <= len(self.codes) and documents < len(self.starts):
            return self
        size = len(self.codes) if entries <= len(self.codes) else max(2 * len(self.codes), entries)
        rows = len(self.lengths) if documents < len(self.starts) else 2 * len(self.lengths)
        larger = _Entries.empty(size, rows)
        for name in ("codes", "in_texts", "in_attributes", "starts", "lengths"):
            own = getattr(self, name)
            getattr(larger, name)[: len(own)] = own
        return larger


@dataclass(frozen=True)
class _Inverted:
    """The first documents by word: word w is in documents[starts[w] : starts[w + 1]], ascending, int32, with
    frequencies, float32. count: number of these documents."""

    count: int
    starts: Codes
    documents: Codes
    frequencies: Array

    @staticmethod
    def of(entries: _Entries, count: int, words: int) -> _Inverted:
        """Return the inverse of the first `count` documents."""
        end = int(entries.starts[count])
        by_document = sparse.csr_matrix(
            (entries.frequencies(0, end), entries.codes[:end], entries.starts[: count + 1]), (count, words)
        )
        by_word = by_document.tocsc()
        return _Inverted(
            count, by_word.indptr.astype(np.int32), by_word.indices.astype(np.int32), by_word.data
        )


@dataclass(frozen=True)
class Words:
    """The table at one moment. vocabulary: it may know newer words. alphabet: the characters of its words.

    live: which documents are of an item, bool [documents]. mean_length: of these, words; live_count: how many they are
    """

    vocabulary: Mapping[str, int]
    alphabet: frozenset[str]
    entries: _Entries
    inverted: _Inverted
    live: Bools
    live_count: int
    mean_length: float

    def matches(self, asked: Sequence[WordForms]) -> Matches:
        """Return what the words of a question find. A word's score does not depend on the others."""
        found, corrected = [], 0
        for word in asked:
            match, partly = self._known(word)
            if match is None and word.corrects and corrects(word.forms[0][0]) and corrected < MOST_CORRECTED:
                corrected += 1
                match = self._corrected(word)
            match = match or partly
            if match is not None:
                found.append(match)
        return Matches(found, len(self.live))

    def _known(self, word: WordForms) -> tuple[WordMatch | None, WordMatch | None]:
        """Return the match of the forms that an item has all of, with the score of its best one, and that of some
        parts."""
        known, partly = [], None
        for n, form in enumerate(word.forms):
            documents, scores, parts = self._together(form)
            whole = parts == len(set(form))
            if whole.any():
                known.append((documents[whole], scores[whole]))
            if n == 1 and len(documents):
                partly = WordMatch(word.text, documents, scores)
        if len(known) < 2:
            return (WordMatch(word.text, *known[0]) if known else None), partly
        documents, places = np.unique(np.concatenate([own for own, _ in known]), return_inverse=True)
        best = np.zeros(len(documents), np.float32)
        np.maximum.at(best, places, np.concatenate([scores for _, scores in known]))
        return WordMatch(word.text, documents, best), partly

    def _together(self, form: Sequence[str]) -> tuple[Codes, Array, Ints]:
        """Return the documents with one of some different words, ascending, the sum of BM25, and how many they have."""
        found = [self._scored(part) for part in dict.fromkeys(form)]
        if len(found) == 1:
            return *found[0], np.ones(len(found[0][0]), np.int64)
        documents, places = np.unique(np.concatenate([own for own, _ in found]), return_inverse=True)
        sums = np.bincount(places, np.concatenate([scores for _, scores in found]), len(documents))
        return documents, sums.astype(np.float32), np.bincount(places, minlength=len(documents))

    def _corrected(self, word: WordForms) -> WordMatch | None:
        """Return the match of the spellings that are one typo away. A document with several has the most frequent."""
        close = dict.fromkeys(one_typo_away(word.forms[0][0], self.alphabet))
        known = [(s, *own) for s in close if s in self.vocabulary and len((own := self._scored(s))[0])]
        if not known:
            return None
        known = sorted(known, key=lambda own: (-len(own[1]), own[0]))[:MOST_SPELLINGS]
        number = np.repeat(np.arange(len(known), dtype=np.int32), [len(own[1]) for own in known])
        documents, first = np.unique(np.concatenate([own[1] for own in known]), return_index=True)
        scores = np.concatenate([own[2] for own in known])[first] * np.float32(TYPO)
        return WordMatch(word.text, documents, scores, tuple(own[0] for own in known), number[first])

    def _scored(self, word: str) -> tuple[Codes, Array]:
        """Return the live documents with a word, int32, ascending, and its BM25, float32; none if there are none."""
        code = self.vocabulary.get(word)
        if code is None:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        documents, f = self._having(code)
        alive = self.live[documents]
        documents, f = documents[alive], f[alive]
        n = len(documents)
        idf = math.log1p((self.live_count - n + 0.5) / (n + 0.5))
        relative = self.entries.lengths[documents].sum(1) / np.float32(self.mean_length or 1.0)
        scores = idf * (K1 + 1) * f / (f + K1 * (1 - B + B * relative))
        return documents, scores.astype(np.float32)

    def _having(self, code: int) -> tuple[Codes, Array]:
        """Return the documents with a word and how often they have it."""
        old, entries = self.inverted, self.entries
        span = slice(*old.starts[code : code + 2].tolist()) if code + 1 < len(old.starts) else slice(0)
        begin, end = int(entries.starts[old.count]), int(entries.starts[len(self.live)])
        fresh = begin + np.flatnonzero(entries.codes[begin:end] == code)
        if not len(fresh):
            return old.documents[span], old.frequencies[span]
        documents = np.searchsorted(entries.starts[: len(self.live) + 1], fresh, "right") - 1
        f = entries.in_texts[fresh].astype(np.float32) + entries.in_attributes[fresh]
        both = np.concatenate([old.documents[span], documents.astype(np.int32)])
        return both, np.concatenate([old.frequencies[span], f])


class WordTable:
    """The growing table. One thread changes it; views are taken one at a time; any thread inverts."""

    def __init__(self, indexed: Indexed) -> None:
        self.indexed = indexed
        self._vocabulary: dict[str, int] = {}
        self._alphabet: frozenset[str] = frozenset()
        self._entries = _Entries.empty(FEW, FEW)
        self._live = np.zeros(FEW, np.bool_)
        self._count = NONE + 1
        # What views show: documents whose rows are there.
        self._published, self._live_count, self._length = NONE + 1, 0, 0.0
        self._inverted = _Inverted.of(self._entries, NONE + 1, 0)

    def __len__(self) -> int:
        return self._count

    def add(self, texts: Mapping[str, str], attributes: Mapping[str, Any]) -> int:
        """Add the words of an item, and return its document. `publish` shows it. texts: by channel."""
        chosen = (texts[c] for c in self.indexed.channels or texts if c in texts)
        counts, length = item_words(chosen)
        codes = {self._code(word): frequency for word, frequency in counts.items()}
        return self._put(codes, length, attributes)

    def replace(self, document: int, attributes: Mapping[str, Any]) -> int:
        """Return the document of an item that had another one, after a change of its attributes: the same if its words
        stay. `discard` the old one, if it is another."""
        begin, end = self._entries.starts[document : document + 2].tolist()
        codes, in_texts, in_attributes = (
            getattr(self._entries, name)[begin:end].tolist()
            for name in ("codes", "in_texts", "in_attributes")
        )
        counts, _ = item_words(attribute_texts(attributes, self.indexed.attributes))
        had = {code: f for code, f in zip(codes, in_attributes, strict=True) if f}
        if had == {self._vocabulary.get(word): min(f, 255) for word, f in counts.items()}:
            return document
        kept = {code: f for code, f in zip(codes, in_texts, strict=True) if f}
        return self._put(kept, float(self._entries.lengths[document, 0]), attributes)

    def publish(self) -> None:
        """Let views show all documents."""
        fresh = slice(self._published, self._count)
        self._length += float(self._entries.lengths[fresh].sum())
        self._live_count += int(np.count_nonzero(self._live[fresh]))
        self._published = self._count

    def discard(self, document: int) -> None:
        """Take a published document out of the counts: no item has it any more."""
        if self._live[document]:
            self._live[document] = False
            self._live_count -= 1
            self._length -= float(self._entries.lengths[document].sum())

    def view(self) -> Words:
        """Return the table as it is now."""
        return Words(
            self._vocabulary, self._alphabet, self._entries, self._inverted, self._live[: self._published].copy(),
            self._live_count, self._length / max(self._live_count, 1),
        )  # fmt: skip

    def invert(self) -> bool:
        """Invert the newest documents, if they are many. Return whether they were."""
        count, entries, old = self._published, self._entries, self._inverted
        before, end = int(entries.starts[old.count]), int(entries.starts[count])
        if end - before <= max(FEW_ENTRIES, ENTRIES_SHARE * before):
            return False
        self._inverted = _Inverted.of(entries, count, len(self._vocabulary))
        return True

    def compacted(self, documents: Codes) -> tuple[WordTable, Codes]:
        """Return a table of the given documents only, int32 [n], and their numbers in it."""
        kept, old = documents[documents != NONE], self._entries
        begins, counts = old.starts[kept], np.diff(old.starts)[kept]
        starts = np.concatenate([[0, 0], np.cumsum(counts)])
        rows = np.arange(starts[-1]) + np.repeat(begins - starts[1:-1], counts)
        used, codes = np.unique(old.codes[rows], return_inverse=True)
        new, words = WordTable(self.indexed), list(self._vocabulary)
        for code in used.tolist():
            new._code(words[code])
        new._count = NONE + 1 + len(kept)
        new._entries = entries = _Entries.empty(max(2 * len(rows), FEW), max(2 * new._count, FEW))
        entries.codes[: len(rows)] = codes
        entries.in_texts[: len(rows)], entries.in_attributes[: len(rows)] = (
            old.in_texts[rows],
            old.in_attributes[rows],
        )
        entries.starts[: new._count + 1], entries.lengths[NONE + 1 : new._count] = starts, old.lengths[kept]
        new._live = np.zeros(len(entries.lengths), np.bool_)
        new._live[NONE + 1 : new._count] = True
        new.publish()
        new.invert()
        moved = np.full(len(documents), NONE, np.int32)
        moved[documents != NONE] = np.arange(NONE + 1, new._count)
        return new, moved

    def _code(self, word: str) -> int:
        code = self._vocabulary.get(word)
        if code is None:
            new = frozenset(word) - self._alphabet
            if new and not unspaced(word) and len(self._alphabet) < MOST_CHARACTERS:
                self._alphabet |= new  # another set: views have the old one
            code = self._vocabulary[word] = len(self._vocabulary)
        return code

    def _put(self, in_texts: Mapping[int, int], length: float, attributes: Mapping[str, Any]) -> int:
        counts, more = item_words(attribute_texts(attributes, self.indexed.attributes))
        in_attributes = {self._code(word): frequency for word, frequency in counts.items()}
        codes = list(dict.fromkeys([*in_texts, *in_attributes]))
        if not codes:
            return NONE
        texts, others = (_frequencies(own, codes) for own in (in_texts, in_attributes))
        return self._append(codes, texts, others, np.asarray([length, more], np.float32))

    def _append(self, codes: Sequence[int], in_texts: Bytes, in_attributes: Bytes, lengths: Array) -> int:
        document, begin = self._count, int(self._entries.starts[self._count])
        end = begin + len(codes)
        entries = self._entries = self._entries.grown(end, document + 1)
        entries.codes[begin:end], entries.in_texts[begin:end] = codes, in_texts
        entries.in_attributes[begin:end], entries.lengths[document] = in_attributes, lengths
        entries.starts[document + 1] = end
        if document == len(self._live):
            self._live = np.concatenate([self._live, np.zeros(len(self._live), np.bool_)])
        self._live[document] = True
        self._count += 1
        return document


def _frequencies(counts: Mapping[int, int], codes: Sequence[int]) -> Bytes:
    return np.asarray([min(counts.get(code, 0), 255) for code in codes], np.uint8)


NO_WORDS = WordTable(Indexed()).view()
"""The table of a collection whose words are not indexed."""
