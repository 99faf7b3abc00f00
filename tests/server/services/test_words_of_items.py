"""LEXICAL in a live catalogue: words follow the items, and each is a part of the score of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import InvalidArgument
from itemlens_server.fusion.parts import Part
from itemlens_server.fusion.query import Query
from itemlens_server.fusion.word_source import LEXICAL
from itemlens_server.services import (
    CollectionSettings,
    Content,
    ExplainOptions,
    Lexical,
    QueryRequest,
    parse_filter,
)
from itemlens_server.words import question_words
from support.live import Live, contents
from support.spaces import Tiny


def configure(live: Live, lexical: Lexical | None) -> None:
    live.catalogue.configure("default", CollectionSettings(lexical=lexical), ["lexical"])


@pytest.fixture
def shop(live: Live) -> Live:
    """See `filled`."""
    return filled(live)


def filled(live: Live) -> Live:
    """Thirty equal shoes with part numbers in their texts and in an attribute; words count."""
    for n in range(30):
        attributes = {"sku": f"KX-{n:03}-B", "brand": ("Alto", "Kaya")[n % 2]}
        assert live.put(f"i{n:02}", f"red shoe QZ{n:02}", attributes=attributes).error is None
    configure(live, Lexical(attributes=("sku", "brand", "missing")))
    return live


def first(live: Live, text: str, **options: object) -> str:
    return live.ask(QueryRequest(content=contents(text)), k=1, **options).items[0].item_id


def words(parts: Sequence[Part]) -> dict[str, tuple[float, str]]:
    return {p.text: (p.value, p.spelling) for p in parts if p.kind == LEXICAL}


@pytest.mark.parametrize("asked", ["KX-007-B", "kx007b", "qz07", "red shoe KX-007-B", "kx007bb"])
def test_a_part_number_finds_its_item(shop: Live, asked: str) -> None:
    assert first(shop, asked) == "i07"


def test_a_change_counts_at_the_next_read(shop: Live) -> None:
    assert shop.put("new", "red shoe ZULU").error is None
    assert first(shop, "zulu") == "new"
    assert shop.put("new", attributes={"sku": "YANKEE"}, merge=True).error is None
    assert first(shop, "yankee") == first(shop, "zulu") == "new"
    assert shop.put("new", attributes={"sku": "XRAY"}, merge=True).error is None
    assert words(shop.explain(QueryRequest(content=contents("yankee xray")), "new")[0].by_source).keys() == {
        "xray"
    }
    shop.catalogue.delete_items(shop.collection, ["new"])
    assert (
        words(shop.ask(QueryRequest(content=contents("zulu xray")), k=1, with_parts=True).items[0].parts)
        == {}
    )


def test_words_are_there_after_a_restart_and_in_other_settings(
    repository: ModelRepository, tiny: Tiny, tmp_path: Path
) -> None:
    with closing(Live(repository, tmp_path, tiny.fitted)) as shop:
        filled(shop)
    with closing(Live(repository, tmp_path, tiny.fitted)) as again:
        assert again.collection.record.settings.lexical == Lexical(attributes=("sku", "brand", "missing"))
        assert first(again, "KX-007-B") == "i07"
        configure(again, Lexical())
        assert words(
            again.explain(QueryRequest(content=contents("kx-007-b qz07")), "i07")[0].by_source
        ).keys() == {"qz07"}
        configure(again, None)
        parts = again.explain(QueryRequest(content=contents("qz07")), "i07")[0].by_source
        assert words(parts) == {}


def test_a_score_loses_exactly_the_part_of_a_word_that_is_not_asked(shop: Live) -> None:
    """Up to Z, and with the rest of the question as it is."""
    shop.put("odd", "crimson boot QZ99", attributes={"sku": "KX-007-C"})
    q = {"text": shop.collection.snapshot().view.h[0][shop.collection.space.head.block("text")]}
    asked = question_words(["red KX-007-B qz07 alto brwon"])
    everything = shop.scorer(Query(content=q, words={"text": asked}))
    positions = np.arange(len(everything.snapshot.view.labels))
    before = everything.scores(0, positions)
    for n, word in enumerate(asked):
        less = shop.scorer(Query(content=q, words={"text": (*asked[:n], *asked[n + 1 :])}))
        lost = before - less.scores(0, positions)
        for position in positions.tolist():
            value, _ = words(everything.by_source(0, position)).get(word.text, (0.0, ""))
            assert lost[position] == pytest.approx(value, abs=1e-5)


def test_parts_add_up_to_the_score_and_the_sentence_names_the_words(shop: Live) -> None:
    request = QueryRequest(content=contents("red shoe kx007b"))
    why = shop.explain(request, "i07")[0]
    assert abs(why.residual) < 1e-4 and "“kx007b”" in why.sentence
    for parts in (why.by_channel, why.by_source, why.by_place):
        assert sum(p.value for p in parts) == pytest.approx(why.score, abs=1e-4)
        assert words(parts).keys() == {"red", "shoe", "kx007b"}
    assert "“kx007b”" in shop.explain(request, "i07", language="zh")[0].sentence


def test_an_answer_is_explained_with_the_words_of_its_time(shop: Live) -> None:
    result = shop.ask(QueryRequest(content=contents("red KX-007-B qz8")), k=5, with_parts=True)
    shop.put("later", "KX-007-B KX-007-B")
    kept = shop.use_cases.explainer
    for item in result.items:
        [why] = kept.explain_result(
            "", result.recommendation_id, [item.item_id], ExplainOptions(), CallContext()
        ).explanations
        then, now = words(item.parts), words(why.by_source)
        assert now.keys() == then.keys() and abs(why.residual) < 1e-4
        assert [v for v, _ in now.values()] == pytest.approx([v for v, _ in then.values()])


def test_words_are_found_under_a_filter_and_where_graphs_are_searched(live: Live) -> None:
    live.catalogue.create("default", "")
    configure(live, Lexical(attributes=("sku",)))
    for n in range(300):
        live.put(f"i{n:03}", "red shoe", attributes={"sku": f"S{n:03}", "even": n % 2 == 0})
    while live.collection.maintain(live.store):
        pass
    assert first(live, "s124") == "i124"
    assert first(live, "s124", filter=parse_filter("even")) == "i124"
    assert first(live, "s125", filter=parse_filter("even")) != "i125"


@pytest.mark.parametrize(
    "text", ["!!!", "\x07 \x1b", "🎉🎉", "x" * 100_000, "w " * 50_000, "red 鞋 شاي चाय чай"]
)
def test_any_words_get_an_answer(shop: Live, text: str) -> None:
    try:
        assert len(shop.ask(QueryRequest(content=contents(text)), k=3).items) == 3
    except InvalidArgument as error:  # what the encoder refuses
        assert error.field is None or "query" in error.field


def test_the_weight_of_the_query_counts_for_its_words(shop: Live) -> None:
    def part(weight: float) -> float:
        request = QueryRequest(content=contents("qz07"), source_weights={"query": weight})
        return words(shop.explain(request, "i07")[0].by_source)["qz07"][0]

    assert part(2.0) == pytest.approx(2 * part(1.0))


def test_a_channel_without_texts_is_refused(live: Live) -> None:
    live.put("a", "red")
    for lexical, field in (
        (Lexical(channels=("nothing",)), "settings.lexical.channels[0]"),
        (Lexical(channels=("image",)), "settings.lexical.channels[0]"),
        (Lexical(attributes=("",)), "settings.lexical.attributes[0]"),
        (Lexical(attributes=tuple(f"a{n}" for n in range(10**6))), "settings.lexical.attributes"),
    ):
        with pytest.raises(InvalidArgument) as refused:
            configure(live, lexical)
        assert refused.value.field == field
    assert live.collection.record.settings.lexical is None


def test_only_texts_of_the_query_have_words(shop: Live) -> None:
    request = QueryRequest(content=[Content("text", "text", "qz07")], user_id="u")
    assert first(shop, "qz07") == shop.ask(request, k=1).items[0].item_id == "i07"
