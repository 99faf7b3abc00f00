"""Words of a vocabulary that are one typo away from a word (P. Norvig, "How to Write a Spelling Corrector", 2007).

All strings with one letter more, less, changed or swapped are looked up. That takes no index and a fraction of a
millisecond, however large the vocabulary is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Shorter words have too many neighbours."""
SHORTEST_NUMBER = 6
"""A typo in a year or a size is another year or size."""


def corrects(word: str) -> bool:
    """Return whether a word is long enough to tell a typo from another word."""
    return len(word) >= (SHORTEST_NUMBER if word.isdigit() else SHORTEST)


def one_typo_away(word: str, alphabet: Iterable[str]) -> Iterator[str]:
    """Yield the strings at a distance of one typo. alphabet: characters that may be added; of a word in ASCII, those in
    ASCII."""
    letters = sorted(c for c in alphabet if c.isascii() or not word.isascii())
    for n in range(len(word) + 1):
        head, tail = word[:n], word[n:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in letters:
            yield head + letter + tail
            if tail and letter != tail[0]:
                yield head + letter + tail[1:]
