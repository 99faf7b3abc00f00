"""A live catalogue in this process, for tests of the services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.query import Query, ask
from itemlens_server.fusion.scoring import Scorer, bind
from itemlens_server.fusion.tables import Tables
from itemlens_server.services import (
    Catalogue,
    Collection,
    Content,
    ContentEncoder,
    EventRecord,
    ExplainOptions,
    Explanation,
    ItemInput,
    QueryRequest,
    RecommendOptions,
    RecommendResult,
    UseCases,
    WriteOutcome,
)
from itemlens_server.storage.store import Store
from support import spaces
from support.tables import random_tables


class Live:
    """Store, encoder and use cases, with `put`, `ask` and `explain` as shortcuts for tests."""

    def __init__(self, repository: ModelRepository, data: Path, space: str, **settings: int) -> None:
        self.repository, self.data, self.space_id = repository, data, space
        values: dict[str, Any] = {"segment_rows": 50, "max_item_pictures": 3, **settings}
        self.settings = Settings(**values)
        self.store = Store(data)
        self.encoder = ContentEncoder(self.settings)
        self.catalogue = Catalogue(self.store, repository, self.encoder, self.settings, space)
        self.catalogue.load()
        self.use_cases = UseCases.over(self.catalogue, self.encoder, self.settings)

    def close(self) -> None:
        self.encoder.close()
        self.catalogue.close()
        self.store.close()

    def delete_user(self, user_id: str, name: str = "") -> int:
        """Delete a user in one collection, or in all."""
        catalogue = self.catalogue
        return catalogue.event_changes.delete_user(catalogue.one_or_all(name), user_id)

    @property
    def collection(self) -> Collection:
        return self.catalogue.collection("")

    def put(
        self,
        item_id: str,
        text: str | None = None,
        pictures: Sequence[bytes] = (),
        merge: bool = False,
        attributes: Mapping[str, Any] | None = None,
        relations: Sequence[tuple[str, str]] = (),
    ) -> WriteOutcome:
        item = ItemInput(item_id, contents(text, pictures), attributes or {}, relations)
        [outcome], _, _ = self.catalogue.upsert("", [item], merge, CallContext())
        return outcome

    def record(self, *events: tuple[str, str, int]) -> None:
        """Record events of (user, item, type), one second apart."""
        _, before, _ = self.store.reader().counts(self.collection.record.id)
        self.catalogue.record(
            "",
            [EventRecord(f"e{before + n}", u, i, t, float(before + n)) for n, (u, i, t) in enumerate(events)],
        )

    def ask(self, request: QueryRequest, **options: Any) -> RecommendResult:
        return self.use_cases.recommender.recommend("", request, RecommendOptions(**options), CallContext())

    def explain(self, request: QueryRequest, *item_ids: str, **options: Any) -> list[Explanation]:
        result = self.use_cases.explainer.explain_query(
            "", request, item_ids, ExplainOptions(**options), CallContext()
        )
        return list(result.explanations)

    def scorer(self, query: Query) -> Scorer:
        """The terms of a query with encoded content."""
        return bind(ask(self.collection.snapshot(), query, self.settings.type_weights()))

    @property
    def tables(self) -> Tables:
        """The tables of the collection, which must be there."""
        tables = self.collection.event_tables.tables
        assert tables is not None
        return tables

    def take_tables(self, tables: Tables | None) -> None:
        """Serve these tables, as if they had been computed."""
        self.collection.event_tables._tables = tables


def contents(text: str | None = None, pictures: Sequence[bytes] = ()) -> list[Content]:
    texts = [] if text is None else [Content("text", "text", text)]
    return texts + [Content("image", "picture", data) for data in pictures]


def sample_catalogue(
    repository: ModelRepository, data: Path, space: str, count: int = 150, **settings: int
) -> Live:
    """The sample items with attributes, one item with a picture only, and random tables over a third of them."""
    live = Live(repository, data, space, **settings)
    items = [
        ItemInput(
            i.item_id,
            contents(i.text, i.pictures),
            {"title": i.text.title(), "theme": i.theme, "colour": i.colour},
            (),
        )
        for i in spaces.sample_items(count)
    ]
    items.append(ItemInput("only-picture", contents(None, [spaces.picture("shoe", "red", 9)]), {}, ()))
    outcomes, _, _ = live.catalogue.upsert("", items, False, CallContext())
    assert all(o.error is None for o in outcomes)
    known = [f"item-{n:04d}" for n in range(0, count, 3)]
    live.take_tables(random_tables(np.random.default_rng(3), known))
    return live
