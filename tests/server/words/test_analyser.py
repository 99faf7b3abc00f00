"""From texts to words: what is the same word, and what bounds it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.words.analyser import (
    LONGEST,
    MOST_ASKED,
    MOST_OF_ITEM,
    MOST_PARTS,
    MOST_PARTS_ASKED,
    MOST_WORDS,
    attribute_texts,
    item_words,
    question_words,
)


def words(*texts: str) -> set[str]:
    return set(item_words(texts)[0])


def forms(text: str) -> list[tuple[str, ...]]:
    [word] = question_words([text])
    return list(word.forms)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wasserkocher, 1.7 l!", {"wasserkocher", "1.7", "l"}),
        ("CAFÉ crème ＡＢＣ Straße", {"cafe", "creme", "abc", "strasse"}),
        ("Ёлка ΆΛΦΑ", {"елка", "αλφα"}),
        ("चाय की केतली", {"चाय", "की", "केतली"}),
        ("电热水壶", {"电热", "热水", "水壶", "电", "热", "水", "壶"}),
        ("电水壶1.7升", {"电水", "水壶", "电", "水", "壶", "1.7", "升"}),
        ("물병", {"물병", "물", "병"}),
        ("men's", {"mens", "men", "s"}),
        ("iPhone15", {"iphone15", "iphone", "15"}),
        ("Bosch AB-12/x", {"bosch", "ab12x", "ab", "12", "x"}),
        ("... !? \x00\x07 🎉 —", set()),
        ("", set()),
    ],
)
def test_a_text_has_these_words(text: str, expected: set[str]) -> None:
    found = words(text)
    assert found == expected


@pytest.mark.parametrize("written", ["AB-1234-X", "ab1234x", "AB 1234-X", "Ab.1234/x", "AB1234X"])
@pytest.mark.parametrize("asked", ["AB-1234-X", "ab1234x", "AB_1234_X"])
def test_a_part_number_is_found_however_its_parts_are_joined(written: str, asked: str) -> None:
    there = words(written)
    assert any(all(part in there for part in form) for form in forms(asked))


def test_a_question_has_each_word_once_and_the_first_ones_only() -> None:
    assert [w.text for w in question_words(["red RED shoe", "Red"])] == ["red", "shoe"]
    many = question_words([" ".join(f"w{n}" for n in range(10**5))])
    assert len(many) == MOST_ASKED and many[0].text == "w0"


@pytest.mark.parametrize(
    "question",
    [
        "-".join(str(n) for n in range(10, 5000)),
        " ".join("-".join(f"{n}a{m}" for m in range(20)) for n in range(99)),
    ],
)
def test_the_parts_of_a_question_are_bounded(question: str) -> None:
    asked = question_words([question])
    assert len(asked[0].forms) > 1
    assert max(len(form) for word in asked for form in word.forms) <= MOST_PARTS
    assert sum(len(form) for word in asked for form in word.forms[1:]) <= MOST_PARTS_ASKED


def test_a_word_of_many_parts_is_found_by_its_first_ones() -> None:
    long = "-".join(str(n) for n in range(10, 100))
    there = words(long.replace("-", " "))
    assert any(all(part in there for part in form) for form in forms(long))


@pytest.mark.parametrize(
    "texts",
    [[f"w{n}" for n in range(10**5)], ["-".join(str(n) for n in range(10**4))] * 9, ["茶壶" * 10**4] * 9],
)
def test_the_words_of_an_item_are_bounded(texts: list[str]) -> None:
    assert item_words(texts)[0].total() <= MOST_OF_ITEM


def test_texts_without_words_are_bounded() -> None:
    texts = iter(["!"] * 10**5)
    assert item_words(texts) == ({}, 0) and len(list(texts)) == 10**5 - MOST_OF_ITEM


def test_long_texts_and_words_are_bounded() -> None:
    counts, length = item_words(["x" * 10**6])
    assert list(counts) == ["x" * LONGEST] and length == 1
    counts, length = item_words(["a " * 10**6])
    assert counts == {"a": MOST_WORDS} and length == MOST_WORDS
    assert len(item_words(["茶" * 10**6])[0]) == 2
    assert forms("y" * 10**6) == [("y" * LONGEST,)]


def test_attributes_have_texts_lists_and_whole_numbers() -> None:
    given = {
        "sku": 4711,
        "brand": "Alto",
        "tags": ["a", "b", 3],
        "price": 9.5,
        "new": True,
        "more": {"x": "y"},
    }
    assert list(attribute_texts(given, [*given, "missing"])) == ["4711", "Alto", "a", "b", "3"]


@given(st.text(max_size=200))
def test_any_text_finds_itself(text: str) -> None:
    there = words(text)
    for word in question_words([text]):
        assert all(form in there for form in word.forms[0])
