"""Answers as they are shown: rounded sums that still add up, and words at their places."""

from __future__ import annotations

from typing import Any

import pytest

from itemlens import Item, Part, PartKind
from itemlens_demo import answers
from itemlens_demo.answers import NORMALISATION

OTHERS = "others' choices"


def word(text: str, inside: str, value: float, channel: str = "text", **more: Any) -> Part:
    """A TOKEN part for the first place of `text` in `inside`."""
    start = inside.index(text)
    place: dict[str, Any] = {"text": text, "start": start, "end": start + len(text), "source_channel": "text"}
    return Part(PartKind.TOKEN, channel, value, **place | more)


def test_terms_sum_up_by_name_with_the_normalisation_last() -> None:
    parts = [
        Part(PartKind.NORMALISATION, "", -3.0),
        Part(PartKind.BASELINE, "text", -0.125),
        Part(PartKind.CHANNEL, "text", 0.3),
        Part(PartKind.CHANNEL, "image", 0.5),
        Part(PartKind.BASELINE, "image", -0.125),
        Part(PartKind.BEHAVIOUR, "", 0.1, past_item_id="a"),
        Part(PartKind.BEHAVIOUR, "", 0.2, past_item_id="b"),
        Part(PartKind.POPULARITY, "", 0.7),
    ]
    terms = answers.terms(parts)
    assert list(terms) == ["words", "picture", OTHERS, "popularity", NORMALISATION]
    assert terms == pytest.approx(
        {"words": 0.175, "picture": 0.375, OTHERS: 0.3, "popularity": 0.7, NORMALISATION: -3.0}
    )


def test_every_term_without_a_channel_has_a_name() -> None:
    of_channels = {"CHANNEL", "PAST_ITEM", "QUERY", "BASELINE", "TOKEN", "CELL", "SPECIAL", "VECTOR"}
    named = {kind.name for kind in answers.TERMS}
    assert named == {kind.name for kind in PartKind} - of_channels - {"UNSPECIFIED"}


def test_a_predicted_channel_is_marked_as_predicted() -> None:
    assert answers.terms([Part(PartKind.CHANNEL, "image", 0.5, predicted=True)]) == {
        "picture (predicted)": 0.5
    }


def test_shares_leave_out_the_normalisation_and_negative_terms() -> None:
    terms = {"words": 0.6, "picture": 0.2, OTHERS: -0.1, NORMALISATION: -9.0}
    assert answers.shares(terms) == pytest.approx({"words": 0.75, "picture": 0.25})
    assert answers.spoken_shares(terms) == f"words 75%, picture 25%, {OTHERS} against"
    assert answers.spoken_shares({"words": -0.1, NORMALISATION: 0.3}) == "words against"
    assert answers.spoken_shares({"words": 1.0, "picture": 0.004, OTHERS: -0.004}) == "words 100%"
    assert answers.spoken_shares({}) == "nothing raises its score"


@pytest.mark.parametrize(
    "terms",
    [
        {"a": 0.3334, "b": 0.3334, "c": 0.3334},
        {"a": 0.0005, "b": -0.0005, "c": 0.0004},
        {"a": -0.12345, "b": -0.12345, "c": 0.9},
        {"a": 0.54},
    ],
)
def test_rounded_terms_add_up_to_the_rounded_score(terms: dict[str, float]) -> None:
    figures = answers.rounded(terms, 3)
    assert sum(figures.values()) == pytest.approx(round(sum(terms.values()), 3), abs=1e-9)
    assert all(abs(figures[name] - value) < 1.01e-3 for name, value in terms.items())


def test_small_scores_get_more_digits() -> None:
    assert answers.digits_of({"words": 3.1, NORMALISATION: -0.1}) == 2
    assert answers.digits_of({"words": 0.3, NORMALISATION: -0.1}) == 3
    assert answers.digits_of({"words": 0.0042}) == 5
    assert answers.digits_of({}) == answers.digits_of({"words": 0.0}) == 3
    assert answers.figure(-0.25, 3, "+") == "−0.250"


def test_the_pieces_joined_are_the_whole_text() -> None:
    text = "Latte 🎨 art\nWith milk."
    parts = [word("Latte", text, 0.2), word("art", text, 0.1), word("milk", text, -0.4)]
    pieces = list(answers.pieces(text, parts, "text", 0.2))
    assert "".join(piece for piece, _ in pieces) == text
    # Capped at 1 in size; the picture in the text counts as one character.
    assert [piece for piece in pieces if piece[1]] == [("Latte", 1.0), ("art", 0.5), ("milk", -1.0)]


def test_pieces_of_chinese() -> None:
    text = "成都慢生活四日，喝盖碗茶"
    pieces = list(answers.pieces(text, [word("盖碗", text, 0.1), word("茶", text, 0.2)], "text", 0.2))
    assert pieces == [("成都慢生活四日，喝", 0.0), ("盖碗", 0.5), ("茶", 1.0)]


def test_the_parts_of_a_word_that_also_predicts_a_picture_are_added() -> None:
    text = "teapot"
    parts = [word("teapot", text, 0.1), word("teapot", text, 0.2, channel="image", predicted=True)]
    [(piece, share)] = answers.pieces(text, parts, "text", 0.6)
    assert piece == "teapot" and share == pytest.approx(0.5)


def test_parts_of_another_text_are_ignored() -> None:
    parts = [word("a", "a", 0.1, source_channel="reviews")]
    assert list(answers.pieces("a b", parts, "text", 0.1)) == [("a b", 0.0)]


def test_places_that_overlap_or_lie_outside_are_cut() -> None:
    def token(start: int, end: int) -> Part:
        return Part(PartKind.TOKEN, "text", 0.1, source_channel="text", start=start, end=end)

    parts = [token(0, 3), token(2, 4), token(5, 99), token(7, 99)]
    pieces = list(answers.pieces("abcdef", parts, "text", 0.1))
    assert pieces == [("abc", 1.0), ("d", 1.0), ("e", 0.0), ("f", 1.0)]


def test_split_at_the_title() -> None:
    whole = [("Tea", 0.5), (" for two\nFrom", 0.0), (" Uji", 1.0)]
    title, rest = answers.split(whole, len("Tea for two"))
    assert title == [("Tea", 0.5), (" for two", 0.0)]
    assert rest == [("From", 0.0), (" Uji", 1.0)]


def test_faint_words_and_punctuation_are_not_highlighted() -> None:
    assert answers.intensity("tea", 1.0) == pytest.approx(1.0)
    assert answers.intensity("tea", answers.FAINTEST - 0.01) == 0.0
    assert answers.intensity("茶", -1.0) == pytest.approx(-1.0)
    assert answers.intensity("，", 1.0) == answers.intensity(" - ", 1.0) == 0.0


def test_titles() -> None:
    assert answers.title_of(Item("a", texts={"text": "body"}, attributes={"title": "Tea"})) == "Tea"
    assert answers.title_of(Item("a", texts={"text": "First line\nsecond"})) == "First line"
    assert len(answers.title_of(Item("a", texts={"text": "x" * 99}))) == answers.LONGEST_TITLE
    assert answers.title_of(Item("a")) == "a"
