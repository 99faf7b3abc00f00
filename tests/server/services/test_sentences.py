"""Reasons as sentences in two languages, and titles of items in them."""

from __future__ import annotations

import pytest

from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.parts import Part
from itemlens_server.services.sentences import Language, check_language, sentence
from itemlens_server.services.titles import LONGEST, title_of
from itemlens_server.storage.records import Document

TITLES = {"a": "Trail Shoe", "b": "Silk Dress", "c": "Kettle"}.__getitem__


def past(item_id: str, value: float) -> Part:
    return Part("PAST_ITEM", value, "text", past_item_id=item_id)


def word(text: str, value: float, imputed: bool = False) -> Part:
    return Part("TOKEN", value, "text", imputed, text=text)


@pytest.mark.parametrize(("name", "expected"), [("", "en"), ("en", "en"), ("zh", "zh")])
def test_languages(name: str, expected: str) -> None:
    assert check_language(name) == expected


@pytest.mark.parametrize("name", ["de", "EN", "zh-CN", "x" * 1000])
def test_other_languages_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        check_language(name)
    assert error.value.field == "language"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_past_item_that_carries_most_is_named(lang: Language) -> None:
    reason = sentence(lang, [past("a", 0.9), past("b", -0.01)], [], TITLES)
    assert "“Trail Shoe”" in reason and "Silk Dress" not in reason


def test_the_languages_differ() -> None:
    parts = [past("a", 0.9)]
    assert sentence("en", parts, [], TITLES).isascii() is False  # quotes
    assert any("\u4e00" <= c <= "\u9fff" for c in sentence("zh", parts, [], TITLES))


def test_several_channels_of_one_past_item_count_together() -> None:
    parts = [
        past("a", 0.3),
        past("b", 0.4),
        Part("PAST_ITEM", 0.3, "image", past_item_id="a"),
        past("c", 0.1),
    ]
    reason = sentence("en", parts, [], TITLES)
    assert reason.index("Trail Shoe") < reason.index("Silk Dress") and "Kettle" not in reason


def test_the_largest_reason_comes_first() -> None:
    behaviour = Part("BEHAVIOUR", 0.8, past_item_id="b")
    reason = sentence("en", [past("a", 0.5), behaviour], [], TITLES)
    assert reason.index("Silk Dress") < reason.index("Trail Shoe")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_counts_against_is_no_reason(lang: Language) -> None:
    reason = sentence(lang, [past("a", -0.9)], [word("trail", -0.5)], TITLES)
    assert reason and "Trail Shoe" not in reason and "trail" not in reason


def test_words_that_carry_the_score_are_quoted_largest_first_and_once() -> None:
    places = [word("trail", 0.2), word("shoe", 0.5), word("shoe", 0.4), word("for", 0.9)]
    reason = sentence("en", [Part("QUERY", 2.0, "text")], places, TITLES)
    assert reason.index("“shoe”") < reason.index("“trail”")
    assert reason.count("shoe") == 1 and "“for”" not in reason


def test_words_that_only_suggest_a_channel_are_not_quoted_as_its_own() -> None:
    reason = sentence("en", [Part("QUERY", 0.8, "image")], [word("shoe", 0.5, imputed=True)], TITLES)
    assert "“shoe”" not in reason


def test_a_picture_speaks_by_its_cells() -> None:
    asked = [Part("QUERY", 0.8, "image")]
    assert "picture" in sentence("en", asked, [Part("CELL", 0.5, "image")], TITLES)
    assert "picture" not in sentence("en", asked, [Part("CELL", -0.5, "image")], TITLES)


class TestTitles:
    @staticmethod
    def document(text: str = "", **attributes: object) -> Document:
        return Document({"text": text} if text else {}, attributes, ())

    def test_the_attribute_title_comes_first(self) -> None:
        assert title_of("id", self.document("Words.", title=" Trail Shoe ")) == "Trail Shoe"

    @pytest.mark.parametrize("title", ["", "  ", 7, None, ["x"], {"en": "x"}])
    def test_one_that_is_no_text_is_passed_over(self, title: object) -> None:
        assert title_of("id", self.document("First words. More.", title=title)) == "First words"

    def test_else_the_first_sentence(self) -> None:
        assert title_of("id", self.document("红色的鞋。很好。")) == "红色的鞋"

    def test_a_long_one_is_cut(self) -> None:
        title = title_of("id", self.document("x" * 500))
        assert len(title) == LONGEST and title.endswith("…")

    def test_without_words_the_id(self) -> None:
        assert title_of("id", self.document()) == "id"
