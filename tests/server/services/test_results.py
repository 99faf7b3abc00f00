"""What is remembered of a recommendation, and when it is forgotten."""

from __future__ import annotations

import pytest
from live import Live, contents

from itemlens_server.engine.call_context import CallContext
from itemlens_server.errors import InvalidArgument, NotFound
from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.services import ExplainOptions, QueryRequest


def is_remembered(live: Live, recommendation_id: str) -> bool:
    try:
        live.catalogue.results.get(recommendation_id)
    except NotFound:
        return False
    return True


def test_parts_reasons_and_what_was_asked_are_not_kept_since_they_are_large(sample: Live) -> None:
    history = [Interaction(f"item-{n:04d}", CLICK) for n in range(60)]
    request = QueryRequest(history=history, content=contents("red"), liked=["item-0061"])
    result = sample.ask(request, with_parts=True, with_reasons=True)
    kept = sample.catalogue.results.get(result.recommendation_id)
    assert all(item.parts and item.reason for item in result.items)
    assert not any(item.parts or item.reason for item in kept.items)
    assert [(i.item_id, i.score) for i in kept.items] == [(i.item_id, i.score) for i in result.items]
    assert not (kept.asking.query.history or kept.asking.query.content or kept.asking.query.liked)
    explained = sample.use_cases.explainer.explain_result(
        "", result.recommendation_id, [i.item_id for i in result.items], ExplainOptions(), CallContext()
    )
    assert all(e.error is None and abs(e.residual) < 1e-4 for e in explained.explanations)


def test_a_users_results_go_with_the_user(live: Live) -> None:
    live.put("a", "red shoe")
    live.put("b", "red gown")
    live.record(("u", "a", CLICK), ("v", "a", CLICK))
    own, other = (live.ask(QueryRequest(user_id=user)) for user in ("u", "v"))
    assert live.catalogue.delete_user("", "u") == 1
    assert not is_remembered(live, own.recommendation_id)
    assert is_remembered(live, other.recommendation_id)


def test_nobody_is_deleted_where_no_user_is_named(live: Live) -> None:
    with pytest.raises(InvalidArgument) as error:
        live.catalogue.delete_user("", "")
    assert error.value.field == "user_id"


def test_a_collections_results_go_with_the_collection(live: Live) -> None:
    live.put("a", "red shoe")
    result = live.ask(QueryRequest(content=contents("red")))
    live.catalogue.delete("default")
    assert not is_remembered(live, result.recommendation_id)
