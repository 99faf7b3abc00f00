"""A batch that is too long is refused before it is read, because reading it could take minutes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument
from itemlens_server.services import EventRecord, ExplainOptions, FuseInput, Interaction, QueryRequest
from itemlens_server.services.collection_settings import check_settings
from itemlens_server.storage.collection_settings import CollectionSettings, Lexical
from support.live import Live


class Unread(Sequence[Any]):
    """A sequence of any length that fails when it is read."""

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
TOO_MANY: Any = MANY
CALLS: dict[str, Callable[[Live], object]] = {
    "items": lambda live: live.catalogue.upsert("", MANY, False, CALL),
    "events": lambda live: live.catalogue.record("", MANY),
    "item_ids": lambda live: live.catalogue.reads.get(live.collection, MANY),
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


SETTINGS: dict[str, CollectionSettings] = {
    "settings.event_types": CollectionSettings(event_types=TOO_MANY),
    "settings.attributes": CollectionSettings(attributes=TOO_MANY),
    "settings.rules": CollectionSettings(rules=TOO_MANY),
    "settings.boosts": CollectionSettings(boosts=TOO_MANY),
    "settings.lexical.channels": CollectionSettings(lexical=Lexical(channels=TOO_MANY)),
}


@pytest.mark.parametrize("field", SETTINGS)
def test_settings_that_are_too_many_are_refused_unread(field: str) -> None:
    """No advice to use several calls: settings are replaced as a whole."""
    with pytest.raises(InvalidArgument) as raised:
        check_settings(SETTINGS[field])
    assert raised.value.field == field
    assert re.fullmatch(r"there are 10000000, the limit is \d+", raised.value.message)


LONG = "日" * 257
REFERENCES: dict[str, Callable[[Live], object]] = {
    "collection": lambda live: live.catalogue.collection(LONG),
    "space": lambda live: live.catalogue.space(LONG),
    "user_id": lambda live: live.delete_user(LONG),
    "item_ids[1]": lambda live: live.catalogue.reads.get(live.collection, ["a", LONG]),
    "item_ids[0]": lambda live: live.catalogue.delete_items(live.collection, [LONG]),
    "user.user_id": lambda live: live.ask(QueryRequest(user_id=LONG)),
    "user.liked_item_ids[0]": lambda live: live.ask(QueryRequest(liked=[LONG])),
    "user.disliked_item_ids[0]": lambda live: live.ask(QueryRequest(disliked=[LONG])),
    "user.history[0]": lambda live: live.ask(QueryRequest(history=[Interaction(LONG, 1)])),
    "candidate_item_ids[0]": lambda live: live.ask(QueryRequest(liked=["a"]), candidates=[LONG]),
    "item_ids[2]": lambda live: live.explain(QueryRequest(liked=["a"]), "a", "b", LONG),
}


@pytest.mark.parametrize("field", REFERENCES)
def test_a_name_that_nothing_can_have_is_refused_with_its_path(live: Live, field: str) -> None:
    live.put("a", "red shoe")
    with pytest.raises(InvalidArgument, match="at most 256") as refused:
        REFERENCES[field](live)
    assert refused.value.field == field


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\0"])
def test_what_is_stored_has_an_id_that_can_be_kept(live: Live, bad: str) -> None:
    live.put("a", "red shoe")
    event = EventRecord("e", "u", "a", 3, 0.0)
    outcomes, _ = live.catalogue.record(
        "", [replace(event, event_id=bad), replace(event, user_id=bad), replace(event, item_id=bad), event]
    )
    errors = [live.put(bad, "red").error, live.put("b", "red", relations=[("like", bad)]).error]
    errors += [outcome.error for outcome in outcomes]
    assert [error and error.field for error in errors] == [
        "item_id", "relations[0].item_id", "event_id", "user_id", "item_id", None,
    ]  # fmt: skip
    assert all(error is None or "1 to 256 characters" in error.message for error in errors)


def test_whether_a_batch_is_light_is_seen_without_reading_a_long_one(live: Live) -> None:
    assert not live.use_cases.batch_encoder.is_light("", MANY)
