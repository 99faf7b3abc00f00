"""From texts to words, in any language, without knowing which one.

Letters are folded: case, width and the diacritics of Latin, Greek and Cyrillic do not count. Scripts without spaces,
such as Chinese, are cut into pairs of characters. A word with signs inside, or of letters and digits, such as a part
number, is known by several forms, so that AB-12, ab12 and "ab 12" find each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

MOST_CHARACTERS = 20_000
"""So many characters of a text count. What comes later says little of what a text is about."""
MOST_WORDS = 1_000
"""So many words of a text count."""
MOST_OF_ITEM = 5_000
"""So many words of all texts of an item count, in all their forms, and so many of all its attributes."""
MOST_ASKED = 64
"""So many different words of a question count, the first ones."""
MOST_PARTS = 16
"""So many parts of a word of a question count, the first ones."""
MOST_PARTS_ASKED = 256
"""So many parts of all words of a question count. Later words are looked for in one only."""
LONGEST = 64
"""Characters of a word; the rest of a longer one is left out."""

# Thai and Lao; Burmese; Khmer; kana, Han and Hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# The vowel signs of Indian scripts are no \w.
_LETTER = rf"(?:(?![{_UNSPACED}_])[\w\u0900-\u0dff])"
_TOKEN = re.compile(rf"[{_UNSPACED}]+|{_LETTER}+(?:[-_./+&'’]{_LETTER}+)*")
_STARTS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_SIGNS = re.compile(r"[-_./+&'’]")
_DECIMAL = re.compile(r"\d+\.\d+")
_PIECES = re.compile(r"\d+|[^\d]+")
_DIACRITICS = re.compile("[\u0300-\u036f]")


@dataclass(frozen=True)
class WordForms:
    """A word of a question.

    text: as it was asked, folded. forms: what it may be known by, the closest first; an item has the word if it has
    all of a form. corrects: whether a spelling that is close to it may stand for it.
    """

    text: str
    forms: tuple[tuple[str, ...], ...]
    corrects: bool = False


def item_words(texts: Iterable[str]) -> tuple[Counter[str], int]:
    """Return how often the words of an item's texts occur, in all their forms, and the number of words. The
    first `MOST_OF_ITEM` texts count, and so many forms of all of them."""
    counts: Counter[str] = Counter()
    length, left = 0, MOST_OF_ITEM
    for text in islice(texts, MOST_OF_ITEM):
        for token in islice(_tokens(text), MOST_WORDS):
            if not left:
                return counts, length
            if unspaced(token):
                length += len(token)
                own = [*_pairs(token), *token[:MOST_WORDS]]  # a question may be of one character
            else:
                length += 1
                own = list(dict.fromkeys(form for forms in _forms(token) for form in forms))
            counts.update(own[:left])
            left -= min(len(own), left)
    return counts, length


def question_words(texts: Iterable[str]) -> tuple[WordForms, ...]:
    """Return the different words of a question, at most `MOST_ASKED`, with `MOST_PARTS_ASKED` parts together."""
    words, left = [], MOST_PARTS_ASKED
    for word in islice(dict.fromkeys(_asked(texts)), MOST_ASKED):
        parts = sum(len(form) for form in word.forms[1:])
        if parts > left:
            word = replace(word, forms=word.forms[:1])
        else:
            left -= parts
        words.append(word)
    return tuple(words)


def attribute_texts(attributes: Mapping[str, Any], names: Iterable[str]) -> Iterator[str]:
    """Yield the values of some attributes as texts: of texts, lists of texts and whole numbers."""
    for name in names:
        value = attributes.get(name)
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str):
                yield one
            elif isinstance(one, int | float) and not isinstance(one, bool) and one == int(one):
                yield str(int(one))


def unspaced(word: str) -> bool:
    """Return whether a word is of a script without spaces."""
    return _STARTS_UNSPACED.match(word) is not None


def folded(text: str) -> str:
    """Return a text without differences of case, width and diacritics."""
    if text.isascii():
        return text.lower()
    plain = _DIACRITICS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFKC", plain).casefold()


def _asked(texts: Iterable[str]) -> Iterator[WordForms]:
    for text in texts:
        for token in _tokens(text):
            if unspaced(token):
                yield from (WordForms(pair, ((pair,),)) for pair in _pairs(token))
            else:
                forms = dict.fromkeys(form[:MOST_PARTS] for form in _forms(token))
                yield WordForms(token, tuple(forms), corrects=True)


def _tokens(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(folded(text[:MOST_CHARACTERS])):
        yield found.group()


def _pairs(token: str) -> list[str]:
    if len(token) == 1:
        return [token]
    return ["".join(pair) for pair in pairwise(token[:MOST_WORDS])]


def _forms(token: str) -> Iterator[tuple[str, ...]]:
    """Yield what a word is known by: in one, without its signs; its parts between signs; its runs of letters and of
    digits."""
    parts = _SIGNS.split(token)
    if len(parts) > 1 and _DECIMAL.fullmatch(token):
        yield (token[:LONGEST],)
        return
    whole = "".join(parts)
    yield (whole[:LONGEST],)
    if len(parts) > 1:
        yield tuple(part[:LONGEST] for part in parts)
    pieces = _PIECES.findall(whole[:LONGEST])
    if len(pieces) > 1:
        yield tuple(pieces)
