"""Words of a vocabulary that are one typo away from a word (P. Norvig, "How to Write a Spelling Corrector", 2007).

All strings with one letter more, less, changed or swapped are looked up. That takes no index and a fraction of a
millisecond, however large the vocabulary is. Letters are of the word's own scripts, so that their number stays small.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

SHORTEST = 4
"""Shorter words have too many neighbours."""
SHORTEST_NUMBER = 6
"""A typo in a year or a size is another year or size."""
MOST_LETTERS = 100
"""So many letters are tried at a place, those with the lowest code points: the basic ones of a script."""
MOST_STRINGS = 10_000
"""So many strings are looked up for a word."""


def corrects(word: str) -> bool:
    """Return whether a word is long enough to tell a typo from another word."""
    return len(word) >= (SHORTEST_NUMBER if word.isdigit() else SHORTEST)


def one_typo_away(word: str, alphabet: Iterable[str]) -> Iterator[str]:
    """Yield the strings at a distance of one typo, at most `MOST_STRINGS`. alphabet: characters that may be added; of a
    word in ASCII, those in ASCII, and of another one, those of its scripts."""
    return islice(_one_typo_away(word, _letters(word, alphabet)), MOST_STRINGS)


def _letters(word: str, alphabet: Iterable[str]) -> list[str]:
    if word.isascii():
        return sorted(c for c in alphabet if c.isascii())
    scripts = {_script(c) for c in word}
    return sorted(c for c in alphabet if _script(c) in scripts)[:MOST_LETTERS]


@lru_cache(4096)
def _script(character: str) -> str:
    """Return the script of a character, the first word of its name: LATIN, CYRILLIC, DIGIT."""
    return unicodedata.name(character, "").split(" ")[0]


def _one_typo_away(word: str, letters: list[str]) -> Iterator[str]:
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
