"""The largest parts of a score in a sentence, English or Chinese. Words only where parts carry them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from itemlens_server.domain.parts import Kind, Part
from itemlens_server.errors import InvalidInput

Language = Literal["en", "zh"]

_PHRASES = {
    "en": {
        "past": "you chose {items}",
        "behaviour": "people who took {items} took this next",
        "query_text": "it fits what you asked for",
        "words": "its words {words} speak for it",
        "picture": "its picture looks alike",
        "predicted": "its {source} suggests a fitting {channel}",
        "none": "Nothing in particular speaks for it.",
        "join": ", and ",
        "list": ", ",
        "form": "Because {reasons}.",
        "quote": "“{}”",
    },
    "zh": {
        "past": "您选过{items}",
        "behaviour": "选过{items}的人接着选了它",
        "query_text": "它符合您的查询",
        "words": "其中的词语{words}与之相符",
        "picture": "它的图片看起来相似",
        "predicted": "从它的{source}可以推测{channel}也相符",
        "none": "没有特别突出的理由。",
        "join": "，",
        "list": "、",
        "form": "因为{reasons}。",
        "quote": "“{}”",
    },
}


def language(name: str) -> Language:
    """`name` checked; English where it is empty.

    Raises:
        InvalidInput: another language.
    """
    if name in ("", "en"):
        return "en"
    if name == "zh":
        return "zh"
    raise InvalidInput(f"no sentences in {name!r}; there are 'en' and 'zh'", "language")


def sentence(
    lang: Language, source_parts: Sequence[Part], places: Sequence[Part], title: Callable[[str], str]
) -> str:
    """Why, from the largest positive parts by source and by place; `title` gives an item's name."""
    text = _PHRASES[lang]
    reasons: list[tuple[float, str]] = []

    def names(parts: Sequence[Part], most: int = 2) -> str:
        sums: dict[str, float] = {}
        for p in parts:
            sums[p.past_item_id] = sums.get(p.past_item_id, 0.0) + p.value
        best = sorted((i for i, v in sums.items() if v > 0), key=lambda i: -sums[i])[:most]
        return text["list"].join(text["quote"].format(title(i)) for i in best)

    for kind, phrase in ((Kind.PAST_ITEM, "past"), (Kind.BEHAVIOUR, "behaviour")):
        parts = [p for p in source_parts if p.kind is kind]
        total = sum(p.value for p in parts)
        if total > 0 and (items := names(parts)):
            reasons.append((total, text[phrase].format(items=items)))
    asked = sum(p.value for p in source_parts if p.kind is Kind.QUERY)
    if asked > 0:
        reasons.append((asked, text["query_text"]))
    reasons = [r for r in sorted(reasons, key=lambda r: -r[0]) if r[0] > 0.15 * max(v for v, _ in reasons)]

    words = sorted((p for p in places if _says_something(p)), key=lambda p: -p.value)
    unique = list(dict.fromkeys(p.text for p in words))[:3]
    if unique:
        spoken = text["list"].join(text["quote"].format(w) for w in unique)
        reasons.append((0.0, text["words"].format(words=spoken)))
    if sum(p.value for p in places if p.kind is Kind.CELL) > 0:
        reasons.append((0.0, text["picture"]))
    if not reasons:
        return text["none"]
    return text["form"].format(reasons=text["join"].join(phrase for _, phrase in reasons))


def _says_something(part: Part) -> bool:
    """Whether a place is a word worth naming: for the item, its own, and no short function word."""
    latin = part.text.isascii()
    return (
        part.kind is Kind.TOKEN
        and part.value > 0
        and not part.predicted
        and len(part.text) >= (4 if latin else 2)
    )


def short_sentence(
    lang: Language, source_parts: Sequence[Part], pictures: Sequence[Part], title: Callable[[str], str]
) -> str:
    """The same without places, as Recommend gives it; `pictures` are the CHANNEL parts of picture channels."""
    alike = [Part(Kind.CELL, p.value) for p in pictures if p.value > 0.1 and not p.predicted]
    return sentence(lang, source_parts, alike, title)
