"""Recommendations and their explanations in a form that the terminal and the page can show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from itemlens import Client, Explanation, Item, Part, PartKind, Recommendation, Recommendations

Language: TypeAlias = Literal["en", "zh"]

Pieces: TypeAlias = list[tuple[str, float]]
"""A text in pieces, each with its strength from -1 to 1."""

LONGEST_TITLE = 60
NORMALISATION = "normalisation"
TERMS = {
    PartKind.BEHAVIOUR: "others' choices",
    PartKind.SEQUENCE: "what others took next",
    PartKind.LEXICAL: "matching words",
    PartKind.ATTRIBUTE: "attributes",
    PartKind.REPEAT: "taken before",
    PartKind.POPULARITY: "popularity",
    PartKind.NEWNESS: "newness",
    PartKind.BOOST: "boosts",
    PartKind.NORMALISATION: NORMALISATION,
}
"""Names of the terms that no channel has."""
SPOKEN = {"text": "words", "image": "picture"}
FAINTEST = 0.3
"""Words below this strength are not highlighted."""


@dataclass(frozen=True, eq=False)
class ShownItem:
    """One item of an answer, with what is stored of it and, if asked for, its explanation."""

    item: Item
    recommendation: Recommendation
    explanation: Explanation | None = None

    @property
    def title(self) -> str:
        """The title to show."""
        return title_of(self.item)

    @property
    def sentence(self) -> str:
        """The reason in a sentence: the explanation's, which names words, else the recommendation's."""
        return self.explanation.sentence if self.explanation else self.recommendation.reason

    def texts(self, scale: float) -> tuple[Pieces, list[Pieces]]:
        """The title and the texts in pieces. The title of a text that begins with it has its words' strengths."""
        parts = self.explanation.by_place if self.explanation else ()
        title: Pieces = [(self.title, 0.0)]
        texts = []
        for channel, text in self.item.texts.items():
            whole = list(pieces(text, parts, channel, scale))
            if text.startswith(self.title):
                title, whole = split(whole, len(self.title))
            texts.append(whole)
        return title, texts

    @property
    def terms(self) -> dict[str, float]:
        """The score by channel and other term, thresholds included."""
        return terms(self.explanation.by_channel if self.explanation else self.recommendation.parts)

    @property
    def score(self) -> str:
        """The probability as text if it is known, else the score."""
        probability = self.recommendation.probability
        if probability is not None:
            return f"{probability:.1%}"
        return figure(self.recommendation.score, digits_of(self.terms))

    @property
    def picture(self) -> bytes | None:
        """Its first picture."""
        return picture_of(self.item)

    @property
    def heat_map(self) -> bytes | None:
        """The heat map over its first picture, as PNG."""
        maps = self.explanation.heat_maps if self.explanation else ()
        return next((heat_map.png for heat_map in maps if heat_map.png), None)


@dataclass(frozen=True, eq=False)
class Answer:
    """A list of recommendations with what is stored of each item."""

    recommendations: Recommendations
    items: tuple[ShownItem, ...]

    @property
    def scale(self) -> float:
        """The largest part that a single word has in any of the scores. Highlighting is relative to it."""
        words = (word_values(item.explanation.by_place).values() for item in self.items if item.explanation)
        return max((abs(value) for values in words for value in values), default=0.0)


def ask(
    client: Client,
    *,
    language: Language,
    why: bool = True,
    pictures: bool = False,
    **wanted: Any,
) -> Answer:
    """Recommend, and explain what was recommended. `wanted` are arguments of `Client.recommend`."""
    answer = client.recommend(parts=True, reasons=True, language=language, **wanted)
    ids = [item.item_id for item in answer]
    if not ids:
        return Answer(answer, ())
    items = [stored.item for stored in client.get_items(ids, pictures=pictures)]
    explanations: list[Explanation | None] = [None] * len(ids)
    if why:
        for start in range(0, len(ids), 100):
            explained = client.explain(
                ids[start : start + 100],
                recommendation_id=answer.recommendation_id,
                heat_map="png" if pictures else None,
                language=language,
            )
            explained.raise_for_errors()
            explanations[start : start + 100] = explained
    return Answer(answer, tuple(map(ShownItem, items, answer, explanations)))


def title_of(item: Item) -> str:
    """The attribute `title`, else the first line of its text, else its id."""
    title = item.attributes.get("title")
    if isinstance(title, str) and title.strip():
        return title.strip()
    for text in item.texts.values():
        if first := text.strip().split("\n")[0]:
            return first if len(first) <= LONGEST_TITLE else first[: LONGEST_TITLE - 1] + "…"
    return item.item_id


def picture_of(item: Item) -> bytes | None:
    """The item's first picture, if the item was read with its pictures."""
    listed = item.pictures.values() if isinstance(item.pictures, Mapping) else [item.pictures]
    return next((picture for pictures in listed for picture in pictures if isinstance(picture, bytes)), None)


def chinese(text: str) -> bool:
    """Whether the text has a Chinese character."""
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def terms(parts: Iterable[Part]) -> dict[str, float]:
    """The parts of a score, summed by the names that are shown: "words", "picture", "popularity" ...

    The baseline of a channel belongs to the channel.
    """
    sums: dict[str, float] = {}
    for part in parts:
        channel = SPOKEN.get(part.channel, part.channel) + (" (predicted)" if part.predicted else "")
        name = TERMS.get(part.kind, channel)
        sums[name] = sums.get(name, 0.0) + part.value
    # What is the same for every item comes last.
    return {name: sums[name] for name in sorted(sums, key=lambda name: name == NORMALISATION)}


def evidence(of: Mapping[str, float]) -> dict[str, float]:
    """The terms that speak for or against the item: without the normalisation, which is the same for all."""
    return {name: value for name, value in of.items() if name != NORMALISATION}


def shares(of: Mapping[str, float]) -> dict[str, float]:
    """The positive terms as shares of their sum."""
    speaking = {name: value for name, value in evidence(of).items() if value > 0}
    total = sum(speaking.values())
    return {name: value / total for name, value in speaking.items()}


def spoken_shares(of: Mapping[str, float]) -> str:
    """The shares as text: "words 62%, picture 38%". Shares under 1% are left out."""
    speaking = [f"{name} {share:.0%}" for name, share in shares(of).items() if share >= 0.01]
    little = 0.01 * max(map(abs, evidence(of).values()), default=0.0)
    against = [f"{name} against" for name, value in evidence(of).items() if value < -little]
    return ", ".join(speaking + against) or "nothing raises its score"


def digits_of(of: Mapping[str, float]) -> int:
    """The number of decimals of a score and its terms: two or three, or more if all terms are small."""
    largest = max(map(abs, of.values()), default=0.0)
    if largest >= 1:
        return 2
    return 3 if largest >= 0.01 or not largest else 2 - math.floor(math.log10(largest))


def rounded(of: Mapping[str, float], digits: int) -> dict[str, float]:
    """The terms rounded so that they still add up to their rounded sum."""
    unit = 10.0**-digits
    low = {name: value // unit for name, value in of.items()}
    missing = round(sum(of.values()) / unit) - int(sum(low.values()))
    for name in sorted(of, key=lambda name: low[name] - of[name] / unit)[: max(missing, 0)]:
        low[name] += 1
    return {name: round(steps * unit, digits) for name, steps in low.items()}


def figure(value: float, digits: int, sign: Literal["", "+"] = "") -> str:
    """A term or a score as text; `sign` "+" shows a plus sign, too."""
    return f"{value:{sign}.{digits}f}".replace("-", "−")


def word_values(parts: Iterable[Part], channel: str | None = None) -> dict[tuple[int, int], float]:
    """What each word of a text adds to the score, by its place [start, end) in the text of `channel`."""
    values: dict[tuple[int, int], float] = {}
    for part in parts:
        if part.kind is PartKind.TOKEN and channel in (None, part.source_channel):
            place = part.start, part.end
            values[place] = values.get(place, 0.0) + part.value
    return values


def pieces(text: str, parts: Sequence[Part], channel: str, scale: float) -> Iterator[tuple[str, float]]:
    """The whole text in pieces, each with its strength from -1 to 1: its part of the score divided by `scale`.

    Places count Unicode characters. Text between words has strength 0.
    """
    at = 0
    for (start, end), value in sorted(word_values(parts, channel).items()):
        start, end = max(start, at), min(end, len(text))
        if end <= start:
            continue
        if start > at:
            yield text[at:start], 0.0
        yield text[start:end], max(-1.0, min(1.0, value / scale)) if scale else 0.0
        at = end
    if at < len(text):
        yield text[at:], 0.0


def split(of: Pieces, at: int) -> tuple[Pieces, Pieces]:
    """The pieces before the character `at`, and those after it without the line break."""
    before: Pieces = []
    after: Pieces = []
    for piece, strength in of:
        before.append((piece[:at], strength))
        after.append((piece[at:], strength))
        at = max(0, at - len(piece))
    after = [(piece, strength) for piece, strength in after if piece]
    if after:
        after[0] = after[0][0].lstrip("\n"), after[0][1]
    return [piece for piece in before if piece[0]], [piece for piece in after if piece[0]]


def intensity(piece: str, strength: float) -> float:
    """The intensity of a piece's highlight, from -1 to 1; 0 for faint pieces and punctuation.

    Almost every word of a fitting text raises its score a little, so only words that stand out are highlighted.
    """
    if abs(strength) < FAINTEST or not any(character.isalnum() for character in piece):
        return 0.0
    shown = 0.1 + 0.9 * (abs(strength) - FAINTEST) / (1 - FAINTEST)
    return shown if strength > 0 else -shown
