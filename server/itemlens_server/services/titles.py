"""Titles of items for sentences."""

from __future__ import annotations

from collections.abc import Sequence

from itemlens_server.errors import DataLoss
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.storage.records import Document

LONGEST = 60


def title_of(item_id: str, document: Document) -> str:
    """The attribute `title`, or else the start of a text, or else the id."""
    title = document.attributes.get("title")
    if isinstance(title, str) and title.strip():
        return title.strip()
    for text in document.texts.values():
        first = text.strip().split(". ")[0].split("。")[0]
        return first if len(first) <= LONGEST else first[: LONGEST - 1] + "…"
    return item_id


def titles(catalogue: Catalogue, collection: Collection, item_ids: Sequence[str]) -> dict[str, str]:
    """Titles of the existing items, by id. The title of a damaged item is its id."""
    titles = {}
    for item_id in dict.fromkeys(item_ids):
        try:
            for _, document in catalogue.reads.documents(collection, [item_id]):
                titles[item_id] = title_of(item_id, document)
        except DataLoss:
            titles[item_id] = item_id
    return titles
