"""`itemlens query` against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import spaces
from support.command import Done, Run
from support.serving import Server

Query = Run


@pytest.fixture
def query(server: Server, run: Run) -> Query:
    """Runs `itemlens query` on the server's collection."""

    def query(*arguments: object) -> Done:
        return run("query", *arguments, "--collection", "shop", "--target", server.address)

    return query


def items(done: Done) -> list[dict[str, Any]]:
    assert done.status == 0, done.said
    answer = json.loads(done.out)
    assert answer["recommendation_id"] and answer["space_id"].startswith("sp-")
    listed: list[dict[str, Any]] = answer["items"]
    return listed


def test_words_give_a_table_of_items_with_score_and_reason(query: Query) -> None:
    done = query("red running shoe", "--k", 3)
    assert done.status == 0 and "item-00" in done.out
    assert len([line for line in done.out.splitlines() if "item-00" in line]) == 3


def test_a_boost_lifts_items(query: Query) -> None:
    [first] = items(query("red shoe", "--k", 1, "--boost", "items item-0031=15", "--json"))
    assert first["item_id"] == "item-0031" and first["terms"]["boosts"] == pytest.approx(15)
    wrong = query("red shoe", "--boost", "items item-0031=much")
    assert wrong.status == 1 and "docs/recommend.md" in wrong.said


def test_json_has_score_reason_terms_and_words(query: Query) -> None:
    [first, _] = items(query("red shoe", "--k", 2, "--json"))
    assert {"item_id", "title", "score", "reason", "terms", "words"} == first.keys()
    assert first["words"] and first["reason"]


def test_why_shows_the_score_as_a_sum(query: Query) -> None:
    done = query("red shoe", "--k", 1, "--why")
    assert done.status == 0 and "words +" in done.out and "=" in done.out


def test_a_query_may_be_a_picture_a_user_or_past_items(query: Query, tmp_path: Path) -> None:
    picture = tmp_path / "shoe.png"
    picture.write_bytes(spaces.picture("shoe", "red"))
    assert items(query("--picture", picture, "--json"))
    seen = [item["item_id"] for item in items(query("--user", "ann", "--k", 59, "--json"))]
    assert len(seen) == 59 and "item-0000" not in seen  # she clicked it
    given = "item-0006, item-0012"
    found = items(query("--history", given, "--liked", "item-0018", "--disliked", "item-0001", "--json"))
    assert not {"item-0006", "item-0012", "item-0018"} & {item["item_id"] for item in found}


def test_an_unknown_user_gets_what_others_take_and_is_told_so(query: Query) -> None:
    assert items(query("--user", "nobody", "--json"))
    done = query("--user", "nobody", "--k", 3)
    assert "nothing is known of what the user wants" in done.out
    assert len([line for line in done.out.splitlines() if "item-00" in line]) == 3


def test_only_the_candidates_are_ranked(query: Query) -> None:
    found = items(query("red shoe", "--candidates", "item-0003,item-0004", "--json"))
    assert {item["item_id"] for item in found} == {"item-0003", "item-0004"}


def test_only_what_matches_a_filter_is_listed(query: Query) -> None:
    [first, *_] = items(query("shoe", "--json"))
    [found] = items(query("shoe", "--filter", f'title = "{first["title"]}"', "--json"))
    assert found["item_id"] == first["item_id"]
    done = query("shoe", "--filter", "title =")
    assert done.status == 1 and "wrong at character 8" in done.said


def test_facets_are_shown(query: Query) -> None:
    done = query("shoe", "--filter", "has(title)", "--facet", "title", "--facet", "nope")
    assert done.status == 1 and "'nope' is no attribute of the collection" in done.said
    done = query("shoe", "--facet", "title")
    assert done.status == 0 and "more values" in done.out and "title" in done.out
    facet = json.loads(query("shoe", "--facet", "title", "--json").out)["facets"]["title"]
    assert len(facet["counts"]) == 10 < facet["value_count"] and facet["min"] is None
    assert facet["counts"][0]["items"] >= facet["counts"][9]["items"] > 0


def test_an_unknown_item_gives_a_warning(query: Query) -> None:
    done = query("shoe", "--liked", "nope")
    assert done.status == 0 and "nope" in done.out


def test_chinese_words_are_answered_in_chinese(query: Query) -> None:
    [first] = items(query("红色的鞋", "--k", 1, "--json"))
    assert any("\u4e00" <= letter <= "\u9fff" for letter in str(first["reason"]))


def test_the_help_has_the_default_language(run: Run) -> None:
    # rich reads "[default: ...]" as markup and would drop it.
    assert "default: zh if the words are Chinese" in run("query", "--help").said


def test_an_unknown_collection_is_named(server: Server, run: Run) -> None:
    done = run("query", "shoe", "--collection", "nope", "--target", server.address)
    assert done.status == 1 and "nope" in done.err and "Traceback" not in done.err


def test_an_empty_query_is_refused(run: Run) -> None:
    done = run("query")
    assert done.status == 1 and "give words, --picture, --user" in done.err


def test_without_a_server_one_line_says_how_to_start_one(run: Run) -> None:
    done = run("query", "shoe", "--target", "127.0.0.1:1")
    assert done.status == 1
    assert done.err == (
        "error: no server answers at 127.0.0.1:1 (Connection refused); "
        "start one with `itemlens serve`, or give its address with --target; "
        "`itemlens doctor --target 127.0.0.1:1` says why\n"
    )
