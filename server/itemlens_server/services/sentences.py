"""Sentences on the largest parts of a score, in English or Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from itemlens_server.engine.encoder import Modality
from itemlens_server.engine.modalities import MODALITIES
from itemlens_server.errors import InvalidArgument, quoted
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.prior_columns import NEWNESS, POPULARITY
from itemlens_server.fusion.scoring import NORMALISATION
from itemlens_server.fusion.terms import TERMS
from itemlens_server.fusion.terms.behaviour import SEQUENCE
from itemlens_server.fusion.terms.boost import BOOST
from itemlens_server.fusion.terms.channels import BASELINE, CHANNEL, PAST_ITEM, QUERY
from itemlens_server.fusion.terms.popularity import Popularity
from itemlens_server.fusion.terms.repeat import REPEAT
from itemlens_server.fusion.word_source import LEXICAL

Language = Literal["en", "zh"]

# A reason with less than this share of the positive parts is not named.
WORTH_NAMING = 0.15
WORDS_NAMED = 3
NAMED = 2
# Of the past items with the largest parts, so many are looked at for those that enough users took, too.
COUNTED = 20

_TEXT = {
    "en": {
        "because": "Because {}.",
        "imputed": "its other content suggests a matching {}",
        "none": "No single reason stands out; it is the closest match.",
        "unknown": "Nothing is known yet of what you like.",
        "new": "It is new here.",
        "space": " ",
        "and": " and ",
        "comma": ", ",
        "clause": ", and ",
        "quote": "“{}”",
        "detail": " {}.",
    },
    "zh": {
        "because": "因为{}。",
        "imputed": "从已知内容可以推测其{}相符",
        "none": "没有特别突出的理由，只是最为接近。",
        "unknown": "还不了解您的喜好。",
        "new": "它是新上架的。",
        "space": "",
        "and": "和",
        "comma": "、",
        "clause": "，",
        "quote": "“{}”",
        "detail": "{}。",
    },
}
_FUNCTION_WORD = re.compile(
    "a|an|and|are|as|at|by|for|from|how|in|into|is|it|its|of|on|or|so|than|that|the|their|them|there|these|this|to|up|"
    "was|were|what|when|where|which|who|will|with|without|you|your|our|all|any|also|be|but|can|has|have|no|not|only",
    re.IGNORECASE,
)
_FUNCTION_CHARACTERS = frozenset("的了也和在一是与及就都而着把被让给对从为以其这那有不可能会到")


class UserCounts(Protocol):
    """What is known of all users together, such as `EventTables`."""

    def users_of_both(self, item_id: str, others: Sequence[str], /) -> Sequence[int]:
        """Return how many users took an item and each of some others."""

    def times_soon_after(self, item_id: str, past_items: Sequence[str], /) -> Sequence[float]:
        """Return how many times it was taken soon after each of some others, where one in the next basket is 1."""

    def takers(self, item_id: str, /) -> tuple[int, int]:
        """Return how many users took an item, and how many of them lately."""

    def is_new(self, item_id: str, /) -> bool:
        """Return whether it is known that nobody took an item."""


@dataclass(frozen=True)
class Others:
    """What a sentence may say of other users.

    counts: None: nothing is known of them
    least:  what fewer users did is not said, so that no sentence tells of one of them
    """

    counts: UserCounts | None
    least: int

    def enough(self, item_id: str, past_items: Sequence[str], soon: bool = False) -> dict[str, int]:
        """Return how many users took an item and each of some past items, for those of which it may be said. soon: that
        it is often taken soon after them, which is more than that users took both."""
        if self.counts is None:
            return {}
        users = zip(past_items, self.counts.users_of_both(item_id, past_items), strict=True)
        found = {past: n for past, n in users if n >= self.least}
        if soon:
            times = self.counts.times_soon_after(item_id, list(found))
            found = {past: n for (past, n), t in zip(found.items(), times, strict=True) if t >= self.least}
        return found

    def popular(self, item_id: str, lately: bool, lang: Language) -> str:
        """Return the phrase for a popular item; "" if it may not be said. lately: most of it is of late"""
        ever, of_late = (0, 0) if self.counts is None else self.counts.takers(item_id)
        if lately and of_late >= self.least:
            return Popularity.lately[lang]
        return Popularity.phrases[POPULARITY][lang] if ever >= self.least else ""

    def is_new(self, item_id: str) -> bool:
        """Return whether it is known that nobody took an item."""
        return self.counts is not None and self.counts.is_new(item_id)


NOTHING_OF_OTHERS = Others(None, 1)


def check_language(name: str) -> Language:
    """Return the language of a checked name; "en" if it is empty.

    Raises:
        InvalidArgument: the language is not supported.
    """
    if name in ("", "en"):
        return "en"
    if name == "zh":
        return "zh"
    raise InvalidArgument(f"language {quoted(name)} is not supported; use 'en' or 'zh'", "language")


def sentence(
    lang: Language,
    sources: Sequence[Part],
    places: Sequence[Part],
    title: Callable[[str], str],
    item_id: str = "",
    *,
    known: bool = True,
    others: Others = NOTHING_OF_OTHERS,
) -> str:
    """The reason for the item, from the parts by source and by place. `title` returns the name of an item, or "".

    A reason is named if it raises the score, its threshold included, and is worth naming beside the others. An item is
    named once. What the item itself says, as a past item, is that the user chose it before. What other users took is
    said with their number. known: whether anything is known of what the user wants; the sentence begins with it if
    nothing is, and says that the item is new where nobody took it. others: what may be said of others
    """
    text = _TEXT[lang]
    evidence = evidence_by_kind(sources, item_id)
    for_it = sum(value for value in evidence.values() if value > 0)
    phrases = {kind: own[lang] for term in TERMS for kind, own in term.phrases.items()}
    counted = {kind: own[lang] for term in TERMS for kind, own in term.counted.items()}
    worth = [kind for kind in phrases if evidence.get(kind, 0.0) > WORTH_NAMING * for_it]
    reasons: list[str] = []
    said: set[str] = set()
    for kind in sorted(worth, key=lambda kind: -evidence[kind]):
        if kind == POPULARITY:
            popular = others.popular(item_id, any(p.lately for p in sources if p.kind == kind), lang)
            reasons += [popular] if popular else []
            continue
        if kind == LEXICAL:
            words = _words(text, [p for p in sources if p.kind == kind])
            reasons += [phrases[kind].format(words)] if words else []
            continue
        if kind == BOOST:
            reasons.append(phrases[kind].format(text["and"].join(_boosts(text, sources))))
            continue
        if "{}" not in phrases[kind]:
            reasons.append(phrases[kind])
            continue
        best = _largest([p for p in sources if p.kind == kind and p.past_item_id != item_id])
        users: Mapping[str, int] = {}
        if kind in counted:
            users = others.enough(item_id, best[:COUNTED], soon=kind == SEQUENCE)
            best = list(users)
        names = {name: past for name, past in _named(best, title).items() if name not in said}
        if names:
            said.update(names)
            shown = [
                counted.get(kind, "{}").format(text["quote"].format(name), **_number(users.get(past, 0)))
                for name, past in names.items()
            ]
            reasons.append(phrases[kind].format(text["and"].join(shown)))
    details = _details(lang, places, [p for p in sources if p.kind == BASELINE], for_it)
    spoken = text["because"].format(text["clause"].join(reasons)) if reasons else ""
    if not known:
        if not any(p.kind in (POPULARITY, NEWNESS) for p in sources) and others.is_new(item_id):
            spoken += text["new"]  # of items of which nothing is known, the newest come first
        spoken = text["unknown"] + text["space"] + spoken
    if details:
        joined = text["clause"].join(details)
        spoken += text["detail"].format(joined[0].upper() + joined[1:])
    return spoken.strip() or text["none"]


def evidence_by_kind(sources: Sequence[Part], item_id: str = "") -> dict[str, float]:
    """What each kind of part adds, its threshold included. The baselines of the channels are dealt to the past items
    and the query by their shares. What the item itself adds, as a past item, counts as REPEAT."""
    evidence: dict[str, float] = {}
    content: dict[str, float] = {}
    for p in sources:
        kind = REPEAT if item_id and p.past_item_id == item_id else p.kind
        if kind != NORMALISATION:
            evidence[kind] = evidence.get(kind, 0.0) + p.value
        if p.kind in (PAST_ITEM, QUERY):
            content[kind] = content.get(kind, 0.0) + p.value
    baseline = evidence.pop(BASELINE, 0.0)
    positive = {kind: value for kind, value in content.items() if value > 0}
    for kind, value in positive.items():
        evidence[kind] += baseline * value / sum(positive.values())
    return evidence


def whole_channels(by_channel: Sequence[Part], modalities: Mapping[str, Modality]) -> list[Part]:
    """CHANNEL parts as places, for a sentence without encoded contents. `modalities` are by channel."""
    return [
        Part(modalities[p.channel].place, p.value, p.channel, p.imputed)
        for p in by_channel
        if p.kind == CHANNEL
    ]


def _largest(parts: Sequence[Part]) -> list[str]:
    """The past items that are worth naming beside the one with the largest parts, largest first."""
    sums: dict[str, float] = {}
    for p in parts:
        sums[p.past_item_id] = sums.get(p.past_item_id, 0.0) + p.value
    least = WORTH_NAMING * max(sums.values(), default=0.0)
    return sorted((i for i, v in sums.items() if i and v > max(least, 0.0)), key=lambda i: -sums[i])


def _named(past_items: Sequence[str], title: Callable[[str], str]) -> dict[str, str]:
    """The first past items that have titles, by these."""
    names: dict[str, str] = {}
    for item_id in past_items:
        if name := title(item_id):
            names.setdefault(name, item_id)
        if len(names) == NAMED:
            break
    return names


def _boosts(text: Mapping[str, str], sources: Sequence[Part]) -> list[str]:
    """The names of the boosts that add most."""
    adding = sorted((p for p in sources if p.kind == BOOST and p.value > 0), key=lambda p: -p.value)
    return [text["quote"].format(p.name) for p in adding[:NAMED]]


def _number(users: int) -> dict[str, Any]:
    return {"n": users, "people": "person" if users == 1 else "people"}


def _details(lang: Language, places: Sequence[Part], baselines: Sequence[Part], for_it: float) -> list[str]:
    """The matching details of the item: its words, its picture, or predicted content.

    Like any reason, a detail is named if it is worth naming with the thresholds of its channels.
    """
    text = _TEXT[lang]

    def worth_naming(own: Sequence[Part]) -> bool:
        channels = {(p.channel, p.imputed) for p in own}
        thresholds = [p for p in baselines if (p.channel, p.imputed) in channels]
        return sum(p.value for p in (*own, *thresholds)) > WORTH_NAMING * for_it

    details = []
    for modality in MODALITIES.values():
        kinds = (modality.place, *modality.other_places)
        own = [p for p in places if not p.imputed and p.kind in kinds]
        if own and worth_naming(own):
            phrase = modality.fits[lang]
            words = _words(text, own)
            if words or "{}" not in phrase:
                details.append(phrase.format(words))
    for channel in sorted({p.channel for p in places if p.imputed}):
        if worth_naming([p for p in places if p.imputed and p.channel == channel]):
            details.append(text["imputed"].format(channel))
    return details


def _words(text: dict[str, str], places: Sequence[Part]) -> str:
    """The words with the largest parts; "" if there is no word worth naming."""
    words = sorted((p for p in places if p.text and _says_something(p)), key=lambda p: -p.value)
    unique = list(dict.fromkeys(p.text for p in words))[:WORDS_NAMED]
    return _listed(text, [text["quote"].format(w) for w in unique]) if unique else ""


def _listed(text: dict[str, str], names: list[str]) -> str:
    head = text["comma"].join(names[:-1])
    return f"{head}{text['and']}{names[-1]}" if head else names[-1]


def _says_something(part: Part) -> bool:
    """Whether a place is a word worth naming, not a function word or fragment."""
    if part.value <= 0:
        return False
    if part.text.isascii():
        return len(part.text) > 2 and not _FUNCTION_WORD.fullmatch(part.text)
    return len(part.text) > 1 and not _FUNCTION_CHARACTERS & set(part.text)
