"""A batch that is too long is refused before any of it is read: reading it could take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from live import Live

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import ExplainOptions, FuseInput, QueryRequest


class Unread(Sequence[Any]):
    """So many things, none of which may be read."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("read before its length was checked")

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("read before its length was checked")


CALL = CallContext()
MANY = Unread(10_000_000)
CALLS: dict[str, Callable[[Live], object]] = {
    "items": lambda live: live.catalogue.upsert("", MANY, False, CALL),
    "events": lambda live: live.catalogue.record("", MANY),
    "item_ids": lambda live: live.catalogue.get(live.collection, MANY),
    "item_ids (delete)": lambda live: live.catalogue.delete_items(live.collection, MANY),
    "inputs": lambda live: live.use_cases.batch_encoder.begin("", MANY, "item", CALL),
    "inputs (fuse)": lambda live: live.use_cases.fuser.fuse("", "ITEM", MANY, (), CALL),
    "inputs[].contents": lambda live: live.use_cases.fuser.fuse("", "ITEM", [FuseInput(MANY)], (), CALL),
    "user.history": lambda live: live.ask(QueryRequest(history=MANY)),
    "user.query": lambda live: live.ask(QueryRequest(content=MANY)),
    "user.liked_item_ids": lambda live: live.ask(QueryRequest(liked=MANY)),
    "user.disliked_item_ids": lambda live: live.ask(QueryRequest(disliked=MANY)),
    "candidate_item_ids": lambda live: live.ask(QueryRequest(liked=["a"]), candidates=MANY),
    "item_ids (explain)": lambda live: live.use_cases.explainer.explain_query(
        "", QueryRequest(liked=["a"]), MANY, ExplainOptions(), CALL
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_too_long_is_refused_unread(live: Live, name: str) -> None:
    live.put("a", "red shoe")
    with pytest.raises(InvalidArgument, match=r"10000000 in .*, the limit is"):
        CALLS[name](live)


def test_whether_a_batch_is_light_is_seen_without_reading_a_long_one(live: Live) -> None:
    assert not live.use_cases.batch_encoder.is_light("", MANY)
