"""What to call an item in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.storage.records import Document

LONGEST = 60


def title_of(item_id: str, document: Document) -> str:
    """The attribute `title`, else the start of a text, else the id."""
    title = document.attributes.get("title")
    if isinstance(title, str) and title.strip():
        return title.strip()
    for text in document.texts.values():
        first = text.strip().split(". ")[0].split("。")[0]
        return first if len(first) <= LONGEST else first[: LONGEST - 1] + "…"
    return item_id


def titles(catalogue: Catalogue, collection: Collection, item_ids: Sequence[str]) -> dict[str, str]:
    """Titles of the items that are there, by id."""
    documents = catalogue.documents(collection, list(dict.fromkeys(item_ids)))
    return {item_id: title_of(item_id, document) for item_id, document in documents}
