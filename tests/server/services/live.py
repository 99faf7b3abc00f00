"""A live catalogue in this process, for tests of the domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import spaces
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.fusion.head import Array
from itemlens_server.index.hnsw import Neighbours
from itemlens_server.services.catalogue import Catalogue
from itemlens_server.services.collection import Collection
from itemlens_server.services.encoding import Content, ContentEncoder, EncodedContent
from itemlens_server.services.fuser import query_parts
from itemlens_server.services.items import ItemInput, WriteOutcome
from itemlens_server.services.query import HistoryRules, Side
from itemlens_server.services.recommender import Answer, RecommendOptions, recommend
from itemlens_server.storage.records import EventRow
from itemlens_server.storage.store import Store


class Live:
    """Store, encoder and catalogue. `put` and `ask` are short for what tests do most."""

    def __init__(self, repository: ModelRepository, data: Path, space: str, **settings: int) -> None:
        self.repository, self.data, self.space_id = repository, data, space
        self.store = Store(data)
        self.encoder = ContentEncoder(2)
        self.catalogue = Catalogue(
            self.store, repository, self.encoder, default_space=space,
            **{"segment_rows": 50, "max_item_pictures": 3, **settings},
        )  # fmt: skip
        self.catalogue.load()

    def close(self) -> None:
        self.encoder.close()
        self.store.close()

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
        """Events of (user, item, type), one a second."""
        _, before, _ = self.store.reader().counts(self.collection.row.id)
        self.catalogue.record(
            "", [EventRow(f"e{before + n}", u, i, t, float(before + n)) for n, (u, i, t) in enumerate(events)]
        )

    def query(self, text: str | None = None, picture: bytes | None = None) -> dict[str, Array]:
        """q by channel."""
        wanted = contents(text, [picture] if picture is not None else [])
        found = self.encoder.encode(self.collection.space, wanted, "query", CallContext())
        raw = {}
        for one, outcome in zip(wanted, found, strict=True):
            assert isinstance(outcome, EncodedContent)
            raw[one.channel] = [outcome.v]
        return query_parts(self.collection.space, raw)

    def ask(self, side: Side, candidates_per_channel: int = 400, **wanted: Any) -> Answer:
        return recommend(
            self.collection, side, RecommendOptions(**wanted), HistoryRules(),
            candidates_per_channel=candidates_per_channel, max_k=1000, call=CallContext(),
        )  # fmt: skip


def contents(text: str | None = None, pictures: Sequence[bytes] = ()) -> list[Content]:
    made = [] if text is None else [Content("text", "text", text)]
    return made + [Content("image", "picture", data) for data in pictures]


def sample_catalogue(repository: ModelRepository, data: Path, space: str, count: int = 150) -> Live:
    """The sample items, one with a picture only, and a random B over some of them."""
    made = Live(repository, data, space)
    items = [
        ItemInput(i.item_id, contents(i.text, i.pictures), {"title": i.text.title()}, ())
        for i in spaces.sample_items(count)
    ]
    items.append(ItemInput("only-picture", contents(None, [spaces.picture("shoe", "red", 9)]), {}, ()))
    outcomes, _, _ = made.catalogue.upsert("", items, False, CallContext())
    assert all(o.error is None for o in outcomes)
    rng = np.random.default_rng(3)
    known = [f"item-{n:04d}" for n in range(0, count, 3)]
    table = rng.normal(scale=0.3, size=(len(known), len(known))) * (
        rng.random((len(known), len(known))) < 0.2
    )
    b = sparse.csr_matrix(table.astype(np.float32))
    made.collection.index.neighbours = Neighbours(b, {i: n for n, i in enumerate(known)}, known, 1)
    return made
