"""The table of words: whatever the changes, its scores are BM25 of the items that are there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.words import NO_DOCUMENT, NO_WORDS, Indexed, WordForms, WordTable, question_words
from itemlens_server.words import table as module
from itemlens_server.words.analyser import LONGEST
from itemlens_server.words.table import TYPO
from support.bm25 import bm25

TEXT = st.lists(st.sampled_from("uvwxyz"), max_size=5).map(" ".join)
# Each step sets an item's text and its brand, changes its brand alone, removes it, compacts or inverts the table.
STEPS = st.lists(
    st.one_of(
        st.sampled_from(("compact", "invert")),
        st.tuples(st.sampled_from("abc"), TEXT, TEXT),
        st.tuples(st.sampled_from("abc"), TEXT),
        st.tuples(st.sampled_from("abc")),
    ),
    max_size=30,
)


@given(STEPS)
def test_scores_are_those_of_a_table_of_these_items_alone(steps: list[str | tuple[str, ...]]) -> None:
    table = WordTable(Indexed(attributes=("brand",)))
    documents: dict[str, int] = {}
    items: dict[str, tuple[str, str]] = {}
    for step in steps:
        if step == "compact":
            table, moved = table.compacted(np.asarray(list(documents.values()), np.int32))
            documents = dict(zip(documents, moved.tolist(), strict=True))
        elif step == "invert":
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(module, "FEW_ENTRIES", 0)
                table.invert()
        elif len(step) == 1:
            table.discard(documents.pop(step[0], NO_DOCUMENT))
            items.pop(step[0], None)
        elif len(step) == 2 and step[0] in items:
            old = documents[step[0]]
            documents[step[0]] = new = table.replace(old, {"brand": step[1]})
            if new != old:
                table.discard(old)
            items[step[0]] = items[step[0]][0], step[1]
        elif len(step) == 3:
            table.discard(documents.get(step[0], NO_DOCUMENT))
            documents[step[0]] = table.add({"text": step[1]}, {"brand": step[2]})
            items[step[0]] = step[1], step[2]
        table.publish()
    words = {i: " ".join(own).split() for i, own in items.items() if " ".join(own).split()}
    view = table.view()
    for asked in ("u", "v w", "x y z"):
        sums = view.matches(question_words([asked])).sums
        for item, own in words.items():
            expected = sum(bm25(word, item, words) for word in asked.split())
            assert sums[documents[item]] == pytest.approx(expected, abs=1e-5), (own, asked)


def table_of(*texts: str) -> WordTable:
    table = WordTable(Indexed())
    for text in texts:
        table.add({"text": text}, {})
    table.publish()
    return table


def found(table: WordTable, question: str) -> dict[str, list[tuple[int, str]]]:
    """By word of the question: the documents and how they spell it."""
    matches = table.view().matches(question_words([question]))
    return {
        word.text: [
            (d, spelling)
            for d in word.documents.tolist()
            for t, spelling, _ in matches.of(d)
            if t == word.text
        ]
        for word in matches.words
    }


def test_a_view_does_not_change() -> None:
    table = table_of("red shoe", "blue shoe")
    view = table.view()
    before = view.matches(question_words(["red shoe"])).sums
    for n in range(1000):
        table.add({"text": f"red shoe {n}"}, {})
    table.publish()
    table.discard(1)
    table.invert()
    assert (view.matches(question_words(["red shoe"])).sums == before).all()
    assert len(table.view().matches(question_words(["red"])).words[0].documents) == 1000


def test_a_word_scores_the_same_whatever_else_is_asked() -> None:
    view = table_of("red shoe", "red dress", "kettle").view()
    alone = view.matches(question_words(["red"])).words[0]
    [both, _] = view.matches(question_words(["red kettle"])).words
    assert (alone.documents == both.documents).all() and (alone.scores == both.scores).all()


def test_an_unknown_word_stands_for_one_that_is_a_typo_away() -> None:
    table = table_of("red kettle", "blue kettles", "tea")
    assert found(table, "ketle") == {"ketle": [(1, "kettle")]}
    assert found(table, "kettlee") == {"kettlee": [(1, "kettle"), (2, "kettles")]}
    assert found(table, "kettle") == {"kettle": [(1, "")]}
    assert found(table, "tee zzzz") == {}
    right, typo = (table.view().matches(question_words([w])).words[0].scores for w in ("kettle", "ketle"))
    assert typo == pytest.approx(TYPO * right)


def test_the_alphabet_of_a_view_is_of_its_moment_and_bounded() -> None:
    table = table_of("kettle", "水壶")
    view = table.view()
    assert view.alphabet == frozenset("ketl")
    for n in range(0x400, 0x3000):
        table.add({"text": chr(n) * 2}, {})
    assert view.alphabet == frozenset("ketl")
    assert len(table.view().alphabet) <= module.MOST_CHARACTERS + LONGEST


def test_a_word_that_no_item_has_any_more_is_unknown() -> None:
    table = table_of("kettle", "kettles")
    table.discard(1)
    assert found(table, "kettle") == {"kettle": [(2, "kettles")]}


def test_items_that_have_any_form_of_a_word_are_found_and_the_one_spelt_so_is_not_behind() -> None:
    table = table_of("usb-c", *["usb c"] * 9, "usb a", *["other thing"] * 20)
    [word] = table.view().matches(question_words(["USB-C"])).words
    assert word.documents.tolist() == [*range(1, 11)]
    assert word.scores[0] == word.scores.max()


def test_a_word_is_known_by_any_of_its_forms() -> None:
    table = table_of("pump AB-12", "pump ab 12", "pump ab")
    assert found(table, "ab12") == {"ab12": [(1, ""), (2, "")]}
    assert found(table_of("ab 12", "ab 13"), "ab-12") == {"ab-12": [(1, "")]}
    assert found(table, "ab-13") == {"ab-13": [(1, "ab12")]}
    assert found(table, "cd-12") == {"cd-12": [(1, ""), (2, "")]}
    assert found(table_of("500 ml", "x"), "500ml") == {"500ml": [(1, "")]}


def test_bad_questions_find_nothing_and_cost_little() -> None:
    view = table_of(*(f"word{n} other" for n in range(300))).view()
    for question in ("", "!!! ---", "\x00\x1b", "🎉🎉", "x" * 10**6, "unknownword"):
        assert view.matches(question_words([question])).words == []
    many = view.matches(
        question_words([" ".join(f"wrod{chr(97 + n % 26) * (n % 50)}" for n in range(10**5))])
    )
    assert len(many.words) <= module.MOST_CORRECTED
    assert NO_WORDS.matches([WordForms("a", (("a",),))]).words == []


def test_a_compacted_table_has_no_words_of_others() -> None:
    table, moved = table_of("kettle one", "pump two").compacted(np.asarray([0, 2], np.int32))
    assert moved.tolist() == [0, 1] and set(table.view().vocabulary) == {"pump", "two"}


def test_frequencies_beyond_a_byte_count_as_the_largest() -> None:
    table = table_of("tea " * 1000)
    assert table.replace(1, {}) == 1
    [word] = table.view().matches(question_words(["tea"])).words
    assert np.isfinite(word.scores).all()
