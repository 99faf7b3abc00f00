"""Reasons as sentences in two languages, and titles of items in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.fusion.parts import Part
from itemlens_server.services import QueryRequest
from itemlens_server.services.sentences import NOTHING_OF_OTHERS, Language, Others, check_language
from itemlens_server.services.sentences import sentence as sentence_
from itemlens_server.services.titles import LONGEST, LONGEST_ATTRIBUTE, title_of
from itemlens_server.storage.records import Document
from support import spaces
from support.live import Live

TITLES = {"a": "Trail Shoe", "b": "Silk Dress", "c": "Kettle"}.__getitem__
TOOK_BOTH = {"a": 142, "b": 57, "c": 1}


@dataclass(frozen=True)
class Counts:
    """So many users took the item and each past item, and the item so often soon after it; and the item itself, ever
    and lately."""

    took_both: Mapping[str, int]
    soon_after: Mapping[str, float]
    of_item: tuple[int, int]

    def users_of_both(self, _: str, past_items: Sequence[str]) -> list[int]:
        return [self.took_both.get(i, 0) for i in past_items]

    def times_soon_after(self, _: str, past_items: Sequence[str]) -> list[float]:
        return [self.soon_after.get(i, 0.0) for i in past_items]

    def takers(self, _: str) -> tuple[int, int]:
        return self.of_item

    def is_new(self, _: str) -> bool:
        return self.of_item == (0, 0)


def others(
    least: int = 20,
    takers: int = 90,
    lately: int = 30,
    soon_after: Mapping[str, float] = TOOK_BOTH,
    **took_both: int,
) -> Others:
    return Others(Counts({**TOOK_BOTH, **took_both}, soon_after, (takers, lately)), least)


def sentence(*args: Any, **options: Any) -> str:
    return sentence_(*args, **{"others": others(), **options})


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


@pytest.mark.parametrize("kind", ["BEHAVIOUR", "SEQUENCE", "ATTRIBUTE"])
def test_a_term_below_its_threshold_is_no_reason(kind: str) -> None:
    term = [Part(kind, 0.8, past_item_id="b"), Part(kind, -0.9)]
    reason = sentence("en", [past("a", 0.5), *term], [], TITLES)
    assert "Silk Dress" not in reason and "Trail Shoe" in reason
    above = [Part(kind, 0.8, past_item_id="b"), Part(kind, -0.1)]
    assert "Silk Dress" in sentence("en", [past("a", 0.5), *above], [], TITLES)


def test_the_baseline_of_a_channel_belongs_to_what_asked_for_it() -> None:
    behaviour = Part("BEHAVIOUR", 0.5, past_item_id="b")
    baseline = Part("BASELINE", -2.9, "text")
    reason = sentence("en", [past("a", 3.0), baseline, behaviour], [], TITLES)
    assert reason.index("Silk Dress") < reason.index("Trail Shoe")  # 0.5 against 3.0 - 2.9
    below = Part("BASELINE", -3.2, "text")
    assert "Trail Shoe" not in sentence("en", [past("a", 3.0), below, behaviour], [], TITLES)


def test_what_is_the_same_for_all_items_is_no_reason() -> None:
    parts = [past("a", 0.5), Part("NORMALISATION", 90.0)]
    assert "Trail Shoe" in sentence("en", parts, [], TITLES)


def test_an_item_that_is_taken_soon_after_is_told_from_one_that_is_also_taken() -> None:
    also, soon = (
        sentence("en", [Part(kind, 0.8, past_item_id="b")], [], TITLES) for kind in ("BEHAVIOUR", "SEQUENCE")
    )
    assert "also took" in also and "soon after" not in also and "next" not in also
    assert "soon after" in soon and "also took" not in soon


class TestWhatOthersTook:
    both = staticmethod(lambda kind: [Part(kind, 0.8, past_item_id="a"), Part(kind, 0.7, past_item_id="b")])

    @pytest.mark.parametrize(
        ("lang", "kind", "said"),
        [
            (
                "en",
                "BEHAVIOUR",
                "142 people who took “Trail Shoe” and 57 people who took “Silk Dress” also took this",
            ),
            ("zh", "BEHAVIOUR", "选过“Trail Shoe”的人中有142人和选过“Silk Dress”的人中有57人也选了它"),
            (
                "en",
                "SEQUENCE",
                "people often take this soon after “Trail Shoe” (142 took both) and “Silk Dress” (57 took both)",
            ),
            (
                "zh",
                "SEQUENCE",
                "选了“Trail Shoe”（142人选过两者）和“Silk Dress”（57人选过两者）的人不久后常选它",
            ),
        ],
    )
    def test_is_said_with_the_number_of_each(self, lang: Language, kind: str, said: str) -> None:
        assert said in sentence(lang, self.both(kind), [], TITLES)

    @pytest.mark.parametrize("kind", ["BEHAVIOUR", "SEQUENCE"])
    def test_is_not_said_of_too_few(self, kind: str) -> None:
        reason = sentence("en", self.both(kind), [], TITLES, others=others(57))
        assert "Trail Shoe" in reason and "57" in reason
        fewer = sentence("en", self.both(kind), [], TITLES, others=others(58))
        assert "142" in fewer and "Silk Dress" not in fewer and "57" not in fewer
        nobody = sentence("en", self.both(kind), [], TITLES, others=others(143))
        assert "“" not in nobody and "took" not in nobody and "people" not in nobody
        assert "took" not in sentence_("en", self.both(kind), [], TITLES)  # nothing is known of others

    def test_is_said_to_be_often_soon_after_only_if_it_is(self) -> None:
        """142 took both, but nearly all of them the other way round."""
        rarely = others(soon_after={"a": 19.6, "b": 20.0})
        said = sentence("en", self.both("SEQUENCE"), [], TITLES, others=rarely)
        assert said == "Because people often take this soon after “Silk Dress” (57 took both)."
        assert "142 people who took “Trail Shoe”" in sentence(
            "en", self.both("BEHAVIOUR"), [], TITLES, others=rarely
        )

    def test_leaves_room_for_another_past_item_that_enough_took(self) -> None:
        parts = [*self.both("BEHAVIOUR"), Part("BEHAVIOUR", 0.6, past_item_id="c")]
        reason = sentence("en", parts, [], TITLES, others=others(a=3, c=30))
        assert "57 people who took “Silk Dress” and 30 people who took “Kettle”" in reason

    def test_may_be_one_user_if_the_setting_allows_it(self) -> None:
        reason = sentence("en", [Part("BEHAVIOUR", 0.8, past_item_id="c")], [], TITLES, others=others(1))
        assert reason == "Because 1 person who took “Kettle” also took this."

    def test_does_not_keep_the_items_content_from_being_a_reason(self) -> None:
        parts = [Part("BEHAVIOUR", 0.8, past_item_id="a"), past("a", 0.7)]
        assert "Trail Shoe" in sentence("en", parts, [], TITLES, others=others(a=0))


class TestOfSomebodyNew:
    """Nothing is known of them, so the prior speaks, behind a word on that."""

    popular, lately = Part("POPULARITY", 0.8), Part("POPULARITY", 0.8, lately=True)

    @pytest.mark.parametrize(
        ("lang", "part", "said"),
        [
            ("en", lately, "Nothing is known yet of what you like. Because many took it lately."),
            ("en", popular, "Nothing is known yet of what you like. Because many took it."),
            ("en", Part("NEWNESS", 0.8), "Nothing is known yet of what you like. Because it is new here."),
            ("en", Part("POPULARITY", -0.8), "Nothing is known yet of what you like."),
            ("en", Part("NORMALISATION", -0.8), "Nothing is known yet of what you like."),
            ("zh", lately, "还不了解您的喜好。因为最近很多人选了它。"),
            ("zh", popular, "还不了解您的喜好。因为很多人选过它。"),
            ("zh", Part("NORMALISATION", -0.8), "还不了解您的喜好。"),
        ],
    )
    def test_the_part_of_the_prior_is_named(self, lang: Language, part: Part, said: str) -> None:
        assert sentence(lang, [part], [], TITLES, known=False) == said

    @pytest.mark.parametrize(
        ("lang", "said"),
        [
            ("en", "Nothing is known yet of what you like. It is new here."),
            ("zh", "还不了解您的喜好。它是新上架的。"),
        ],
    )
    def test_an_item_is_called_new_if_it_is_known_that_nobody_took_it(
        self, lang: Language, said: str
    ) -> None:
        nothing, nobody = Part("NORMALISATION", -0.8), others(takers=0, lately=0)
        assert sentence(lang, [nothing], [], TITLES, known=False, others=nobody) == said
        for of_others in (others(takers=1, lately=0), NOTHING_OF_OTHERS):
            assert sentence(lang, [nothing], [], TITLES, known=False, others=of_others) != said

    def test_what_few_users_did_is_not_said(self) -> None:
        def said(part: Part, takers: int, lately: int) -> str:
            of_others = others(takers=takers, lately=lately)
            return sentence("en", [part], [], TITLES, known=False, others=of_others).removeprefix(
                "Nothing is known yet of what you like."
            )

        assert said(self.lately, 20, 20) == " Because many took it lately."
        assert said(self.lately, 20, 19) == said(self.popular, 20, 0) == " Because many took it."
        assert said(self.lately, 19, 19) == said(self.popular, 19, 19) == ""
        unknown = sentence_("en", [self.popular], [], TITLES)  # nothing is known of others
        assert "many" not in unknown

    def test_of_whom_something_is_known_nothing_else_is_said(self) -> None:
        assert sentence("en", [self.lately], [], TITLES) == "Because many took it lately."


@pytest.mark.parametrize(("kind", "said"), [("REPEAT", "before"), ("POPULARITY", "many"), ("NEWNESS", "new")])
def test_what_needs_no_past_item_is_said_without_one(kind: str, said: str) -> None:
    assert said in sentence("en", [Part(kind, 0.8)], [], TITLES)
    assert said not in sentence("en", [Part(kind, -0.8), past("a", 0.1)], [], TITLES)


def test_an_item_is_named_once_whatever_speaks_for_it() -> None:
    parts = [
        past("a", 0.6),
        Part("BEHAVIOUR", 0.8, past_item_id="a"),
        Part("SEQUENCE", 0.7, past_item_id="b"),
    ]
    assert sentence("en", parts, [], TITLES).count("Trail Shoe") == 1


def test_an_item_is_no_reason_for_itself() -> None:
    parts = [
        past("a", 0.9),
        Part("ATTRIBUTE", 0.8, past_item_id="a"),
        Part("ATTRIBUTE", 0.7, past_item_id="b"),
        Part("REPEAT", 0.3, past_item_id="a"),
    ]
    reason = sentence("en", parts, [], TITLES, "a")
    assert "Trail Shoe" not in reason and "common with “Silk Dress”" in reason
    assert reason.count("you chose this before") == 1


def test_an_item_that_counts_against_itself_is_not_called_chosen_before() -> None:
    parts = [past("a", 0.4), past("b", 0.8), Part("REPEAT", -0.7, past_item_id="a")]
    reason = sentence("en", parts, [], TITLES, "a")
    assert "before" not in reason and "Silk Dress" in reason


def test_the_baseline_of_a_channel_belongs_to_the_item_itself_too() -> None:
    parts = [past("a", 3.0), Part("BASELINE", -2.9, "text"), Part("BEHAVIOUR", 0.9, past_item_id="b")]
    reason = sentence("en", parts, [], TITLES, "a")
    assert "before" not in reason and "Silk Dress" in reason  # 3.0 - 2.9 is not worth naming


def test_two_items_of_one_name_are_named_once() -> None:
    parts = [past("a", 0.6), past("b", 0.5)]
    assert sentence("en", parts, [], lambda _: "Shoe").count("Shoe") == 1


@pytest.mark.parametrize("kind", ["PAST_ITEM", "BEHAVIOUR", "SEQUENCE", "ATTRIBUTE"])
def test_an_item_without_a_name_is_not_named_by_its_id(kind: str) -> None:
    reason = sentence("en", [Part(kind, 0.8, past_item_id="a-bare-id")], [], lambda _: "")
    assert reason and "a-bare-id" not in reason and "“" not in reason


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_list_is_not_disowned_where_no_reason_stands_out(lang: Language) -> None:
    reason = sentence(lang, [past("a", 0.3), Part("BASELINE", -0.4, "text")], [], TITLES)
    assert reason and "Nothing" not in reason and "closest" in sentence("en", [], [], TITLES)


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


@pytest.mark.parametrize(
    ("place", "said"), [(Part("CELL", 0.5, "image"), "picture"), (word("trail", 0.5), "trail")]
)
def test_a_detail_below_its_channels_threshold_is_no_reason(place: Part, said: str) -> None:
    parts = [Part("QUERY", 0.8, place.channel), Part("BEHAVIOUR", 0.8, past_item_id="b")]
    for threshold, named in ((-0.1, True), (-0.6, False)):
        baseline = Part("BASELINE", threshold, place.channel)
        assert (said in sentence("en", [*parts, baseline], [place], TITLES)) is named
    # The threshold of another channel, or of predicted content, is not its own.
    for other in (Part("BASELINE", -0.6, "other"), Part("BASELINE", -0.6, place.channel, imputed=True)):
        assert said in sentence("en", [*parts, other], [place], TITLES)


def test_predicted_content_below_its_threshold_is_no_reason() -> None:
    parts = [Part("QUERY", 0.8, "image"), Part("BEHAVIOUR", 0.8, past_item_id="b")]
    for threshold, named in ((-0.1, True), (-0.6, False)):
        baseline = Part("BASELINE", threshold, "image", imputed=True)
        places = [replace(word("trail", 0.5, imputed=True), channel="image")]
        assert ("suggests" in sentence("en", [*parts, baseline], places, TITLES)) is named


class TestTitles:
    @staticmethod
    def document(text: str = "", **attributes: object) -> Document:
        return Document({"text": text} if text else {}, attributes, ())

    def test_the_attribute_title_comes_first(self) -> None:
        assert title_of(self.document("Words.", title=" Trail Shoe ")) == "Trail Shoe"

    @pytest.mark.parametrize("title", ["", "  ", 7, None, ["x"], {"en": "x"}])
    def test_one_that_is_no_text_is_passed_over(self, title: object) -> None:
        assert title_of(self.document("First words. More.", title=title)) == "First words"

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("红色的鞋。很好。", "红色的鞋"),
            ("Warm boots. Brown leather.", "Warm boots"),
            ("Warm boots! 7 sizes.", "Warm boots"),
            ("Warm boots\nBrown leather", "Warm boots"),
            ("Dr. Martens 1460 boots, black leather", "Dr. Martens 1460 boots, black leather"),
            ("St. Moritz ski holiday. Four nights.", "St. Moritz ski holiday"),
            ("No. 7 protect and perfect serum", "No. 7 protect and perfect serum"),
            ("J. R. R. Tolkien: The Hobbit", "J. R. R. Tolkien: The Hobbit"),
            ("Mr. and Mrs. Smith", "Mr. and Mrs. Smith"),
            ("Boots vs. shoes", "Boots vs. shoes"),
            ("Batman vs. Superman. On DVD.", "Batman vs. Superman"),
            ("Serum no. 7, approx. 30 ml. New.", "Serum no. 7, approx. 30 ml"),
            ("Prof. Snape's potion book", "Prof. Snape's potion book"),
            ("Warner Bros. Studio tour. All day.", "Warner Bros. Studio tour"),
            ("A red hat! New wool.", "A red hat"),
            ("Is it Dr! Really", "Is it Dr"),
            ("Version 2.0 of the game", "Version 2.0 of the game"),
        ],
    )
    def test_else_the_first_sentence_which_an_abbreviation_does_not_end(self, text: str, title: str) -> None:
        assert title_of(self.document(text)) == title

    def test_a_long_one_is_cut(self) -> None:
        title = title_of(self.document("x" * 500))
        assert len(title) == LONGEST and title.endswith("…")
        given = title_of(self.document(title="Boots " * 30_000))
        assert len(given) == LONGEST_ATTRIBUTE and given.endswith("…")

    def test_without_words_there_is_none(self) -> None:
        assert title_of(self.document()) == ""


class TestReasonsOfALive:
    def test_name_no_disliked_item(self, sample: Live) -> None:
        history = [Interaction("item-0000", CLICK), Interaction("item-0030", CLICK)]
        kept = sample.ask(QueryRequest(history=history), k=20, with_reasons=True)
        disliking = QueryRequest(history=history, disliked=["item-0030"])
        asked = sample.ask(disliking, k=20, with_reasons=True)
        title = sample_title("item-0030")
        assert any(title in item.reason for item in kept.items)
        assert not any(title in item.reason for item in asked.items)
        for explanation in sample.explain(disliking, *(item.item_id for item in asked.items)):
            assert title not in explanation.sentence

    def test_name_no_item_by_its_id(self, live: Live) -> None:
        for n in range(5):
            live.put(f"id-{n}", None, [spaces.picture("shoe", "red", n)])
        answer = live.ask(QueryRequest(history=[Interaction("id-0", CLICK)]), with_reasons=True)
        assert answer.items and all("id-0" not in item.reason for item in answer.items)

    def test_read_the_documents_of_the_named_items_alone(
        self, sample: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read: list[str] = []
        documents = sample.catalogue.reads.documents

        def counted(collection: Any, item_ids: Sequence[str]) -> Any:
            read.extend(item_ids)
            return documents(collection, item_ids)

        monkeypatch.setattr(sample.catalogue.reads, "documents", counted)
        history = [Interaction(f"item-{n:04d}", CLICK) for n in range(100)]
        sample.ask(QueryRequest(history=history), k=3, with_reasons=True)
        assert 0 < len(read) < 50 and len(set(read)) == len(read)


def sample_title(item_id: str) -> str:
    return next(i.text for i in spaces.sample_items(150) if i.item_id == item_id).title()
