"""Words that are one typo away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.words.spelling import MOST_LETTERS, MOST_STRINGS, corrects, one_typo_away

WORD = st.text(alphabet="abcd", min_size=1, max_size=5)


def distance(a: str, b: str) -> int:
    """Optimal string alignment: letters more, less, changed, or two swapped."""
    d = [[max(i, j) for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            d[i][j] = min(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1)
    return d[-1][-1]


@given(WORD, WORD)
def test_they_are_those_at_a_distance_of_one(word: str, other: str) -> None:
    close = set(one_typo_away(word, "abcd"))
    assert (other in close - {word}) == (distance(word, other) == 1)


@pytest.mark.parametrize(
    ("word", "expected"), [("tea", False), ("shoe", True), ("2012", False), ("471199", True)]
)
def test_short_words_and_years_have_no_typos(word: str, expected: bool) -> None:
    assert corrects(word) is expected


def test_letters_are_of_the_scripts_of_the_word() -> None:
    close = set(one_typo_away("чайник", "абвchайλ漢7"))
    assert "чайникб" in close and not any(c in other for other in close for c in "chλ漢7")
    assert "чайник77" in set(one_typo_away("чайник7", "7"))
    assert "kettle7" in set(one_typo_away("kettle", "7б"))


@pytest.mark.parametrize("word", ["k" * 64, "чайник" * 10, "ለ" * 64])
def test_a_word_has_a_bounded_number_of_neighbours(word: str) -> None:
    alphabet = [chr(n) for n in range(0x30, 0x30 + 20_000) if chr(n).isalnum()]
    close = list(one_typo_away(word, alphabet))
    assert len(close) <= MOST_STRINGS
    assert len(set("".join(close))) <= MOST_LETTERS + 1
