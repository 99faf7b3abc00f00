"""Titles of items for sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from functools import cache

from itemlens_server.errors import DataLoss
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.storage.records import Document

LONGEST = 60
LONGEST_ATTRIBUTE = 120
# Abbreviations end no sentence: one to three letters with a capital, such as "Dr." or "St.", and these.
_SHORT = ("approx", "bros", "capt", "corp", "dept", "feat", "ft", "incl", "no", "prof", "vol", "vs")
_KNOWN = "".join(rf"(?<!\b(?i:{short}))" for short in _SHORT)
_SENTENCE_END = re.compile(
    rf"(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\b[A-Z][a-z]{{2}}){_KNOWN}[.]\s+(?=[A-Z\d“\"(])|[!?]\s+(?=[A-Z\d“\"(])|。|\n"
)


def title_of(document: Document) -> str:
    """The attribute `title`, or else the first sentence of a text, or else ""."""
    title = document.attributes.get("title")
    if isinstance(title, str) and title.strip():
        return _cut(title.strip(), LONGEST_ATTRIBUTE)
    for text in document.texts.values():
        if first := _SENTENCE_END.split(text.strip())[0]:
            return _cut(first, LONGEST)
    return ""


def titles(catalogue: Catalogue, collection: Collection, unnamed: Set[str]) -> Callable[[str], str]:
    """A function that returns the title of an item. It returns "" for those of `unnamed`, and for an item that does not
    exist, has no title or is damaged. Documents are read when they are asked for: few of many past items are named."""

    @cache
    def title(item_id: str) -> str:
        if item_id in unnamed:
            return ""
        try:
            return next((title_of(d) for _, d in catalogue.reads.documents(collection, [item_id])), "")
        except DataLoss:
            return ""

    return title


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
