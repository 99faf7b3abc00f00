"""Mapping files: rows of a user's files become items and events, and errors name their place."""

from __future__ import annotations

import builtins
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from itemlens import Event, EventType, Item, Relation, _values
from itemlens_datasets.mapping import Dataset, bundled_mapping, without_picture
from itemlens_datasets.rows import BadRow, MappingError, Reason

ITEMS = {"file": "a.csv", "id": "{id}"}
EVENTS = {"file": "e.csv", "user": "{user}", "item": "{item}", "type": "click"}


def dataset(folder: Path, **parts: Any) -> Dataset:
    (folder / "mapping.yaml").write_text(yaml.safe_dump(parts), encoding="utf-8")
    return Dataset.read(folder / "mapping.yaml")


def items(folder: Path, text: str, **mapping: Any) -> list[Item]:
    given = ITEMS | mapping
    (folder / given["file"]).write_text(text, encoding=given.get("encoding", "utf-8"))
    return list(dataset(folder, items=given).read_items(folder))


def events(folder: Path, text: str, **mapping: Any) -> list[Event]:
    given = EVENTS | mapping
    (folder / given["file"]).write_text(text, encoding="utf-8")
    return list(dataset(folder, events=given).read_events(folder))


def test_a_row_becomes_an_item(tmp_path: Path) -> None:
    [item] = items(
        tmp_path,
        'id,title,year,tags,poster\n7,"Red, and dead",1999,a|b ,red.jpg\n',
        id="film-{id}",
        texts={"text": ["{title}.", "{tags}"]},
        pictures={"image": {"path": ["{poster}", "more/{id}.jpg"]}},
        attributes={"year": {"column": "year", "type": "int"}, "title": "title"},
        relations=[{"type": "has", "id": "tag-{tags}"}, {"type": "is", "id": "{tags}", "split": "|"}],
    )
    assert item == Item(
        "film-7",
        texts={"text": "Red, and dead. a|b "[:-1]},
        pictures={"image": [tmp_path / "red.jpg", tmp_path / "more/7.jpg"]},
        attributes={"year": 1999, "title": "Red, and dead"},
        relations=[Relation("has", "tag-a|b"), Relation("is", "a"), Relation("is", "b")],
    )


def test_empty_fields_are_left_out(tmp_path: Path) -> None:
    [item] = items(
        tmp_path,
        "id,title,about,year,poster\n7,,Shoes,n/a,\n",
        empty=["n/a"],
        texts={"text": ["{title}.", "{about}"], "title": "{title}"},
        pictures={"image": {"path": "{poster}"}},
        attributes={"year": {"column": "year", "type": "int"}},
        relations=[{"type": "is", "id": "{poster}", "split": " "}],
    )
    assert item == Item("7", texts={"text": "Shoes"}, pictures={}, relations=[])


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"file": "a.jsonl"}, '{"id": 1, "t": "x"}\n\n{"id": 2, "t": "y"}\n'),
        ({"file": "a.data", "format": "jsonl"}, '{"id": 1, "t": "x"}\n{"t": "y", "id": 2}'),
        ({"file": "a.csv"}, 'id,t\n1,x\n2,"y"\n'),
        ({"file": "a.csv", "delimiter": ";"}, "id;t\n1;x\n2;y\n"),
        ({"file": "a.tsv"}, "id\tt\n1\tx\n2\ty\n"),
        ({"file": "a.dat", "format": "tsv", "columns": ["id", "t"]}, "1\tx\n2\ty\n"),
        ({"file": "a.tsv", "columns": ["id", "t"], "skip_lines": 1}, "id:token\tt:token\n1\tx\n2\ty\n"),
        ({"file": "a.csv", "skip_lines": 1}, "made by somebody\nid,t\n1,x\n2,y\n"),
        (
            {"file": "a.csv", "where": {"split": ["train"], "n": 1}},
            "id,t,split,n\n1,x,train,1\n3,z,val,1\n2,y,train,1\n",
        ),
    ],
)
def test_formats(tmp_path: Path, mapping: dict[str, Any], text: str) -> None:
    listed = items(tmp_path, text, texts={"text": "{t}"}, **mapping)
    assert [(item.item_id, item.texts["text"]) for item in listed] == [("1", "x"), ("2", "y")]


def test_another_encoding(tmp_path: Path) -> None:
    [item] = items(tmp_path, "id,t\n1,caffè\n", texts={"text": "{t}"}, encoding="latin-1")
    assert item.texts == {"text": "caffè"}


def test_a_tsv_has_no_quoting(tmp_path: Path) -> None:
    [item] = items(tmp_path, 'id\tt\n1\t"Ace" Ventura\n', file="a.tsv", texts={"text": "{t}"})
    assert item.texts == {"text": '"Ace" Ventura'}


def test_parquet_with_pictures_in_a_column(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    table = pa.table(
        {"id": [1, 2], "t": ["x", None], "picture": [b"1", b"2"], "year": pa.array([2011, 2012], pa.int16())}
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    mapping = ITEMS | {
        "file": "a.parquet",
        "texts": {"text": "{t}"},
        "pictures": {"image": {"column": "picture"}},
        "attributes": {"year": "year"},
    }
    read = dataset(tmp_path, items=mapping)
    assert list(read.read_items(tmp_path)) == [
        Item("1", texts={"text": "x"}, pictures={"image": [b"1"]}, attributes={"year": 2011}, relations=[]),
        Item("2", pictures={"image": [b"2"]}, attributes={"year": 2012}, relations=[]),
    ]
    assert read.items is not None
    assert read.items.count(tmp_path) == 2


def test_dates_times_and_decimals_of_parquet_are_stored_as_json(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
    columns = {
        "id": [1],
        "date": [moment.date()],
        "moment": pa.array([moment], pa.timestamp("ns", "UTC")),
        "price": pa.array([Decimal("19.90")], pa.decimal128(10, 2)),
        "tags": [["a", "b"]],
    }
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    attributes = {name: name for name in columns if name != "id"}
    mapping = ITEMS | {"file": "a.parquet", "attributes": attributes}
    [item] = dataset(tmp_path, items=mapping).read_items(tmp_path)
    assert _values.attributes(item.attributes) == {
        "date": "2024-05-01",
        "moment": "2024-05-01T12:00:00+00:00",
        "price": 19.9,
        "tags": ["a", "b"],
    }


def test_without_pyarrow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(MappingError, match="pip install pyarrow"):
        list(dataset(tmp_path, items=ITEMS | {"file": "a.parquet"}).read_items(tmp_path))


def test_consecutive_rows_of_one_item_are_joined(tmp_path: Path) -> None:
    rows = [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("a", 5)]
    listed = items(
        tmp_path,
        "\n".join(json.dumps({"id": id, "n": n}) for id, n in rows),
        file="a.jsonl",
        pictures={"image": {"path": "{n}.jpg"}},
        join_rows=2,
        merge=True,
    )
    pictures: list[Any] = [item.pictures for item in listed]
    names = [[Path(path).name for path in by_channel["image"]] for by_channel in pictures]
    assert list(zip([item.item_id for item in listed], names, strict=True)) == [
        ("a", ["1.jpg", "2.jpg"]),
        ("a", ["3.jpg"]),
        ("b", ["4.jpg"]),
        ("a", ["5.jpg"]),
    ]


def test_reading_is_lazy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n2,too many\n")
    reading = dataset(tmp_path, items=ITEMS).read_items(tmp_path)
    assert next(reading).item_id == "1"
    with pytest.raises(MappingError, match=r"items: a\.csv, row 2 \(line 3\): 2 cells, but 1 columns"):
        next(reading)


def test_events_types_by_rule_and_times(tmp_path: Path) -> None:
    rule = {
        "column": "stars",
        "rules": [
            {"at_least": 4, "type": "purchase"},
            {"equals": "3", "type": "click"},
            {"type": "ignore"},
        ],
    }
    listed = events(
        tmp_path,
        "user,item,stars,time\nu,a,4.5,100\nu,b,3,100.5\nu,c,1,200\n",
        id="{user}-{item}",
        type=rule,
        time={"column": "time", "unit": "seconds"},
        value="stars",
    )
    first = datetime(1970, 1, 1, 0, 1, 40, tzinfo=UTC)
    assert listed == [
        Event("u", "a", EventType.PURCHASE, first, value=4.5, event_id="u-a"),
        Event("u", "b", EventType.CLICK, first.replace(microsecond=500_000), value=3, event_id="u-b"),
    ]


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("seconds", "1714521600"),
        ("milliseconds", "1714521600000"),
        ("iso", "2024-05-01"),
        ("iso", "2024-05-01T00:00:00Z"),
        ("iso", "2024-05-01T02:00:00+02:00"),
    ],
)
def test_times(tmp_path: Path, unit: str, text: str) -> None:
    [event] = events(tmp_path, f"user,item,t\nu,a,{text}\n", time={"column": "t", "unit": unit})
    assert event.time == datetime(2024, 5, 1, tzinfo=UTC)


def test_event_ids_depend_on_the_fields_of_the_event_alone(tmp_path: Path) -> None:
    text = "user,item,t\nu,a,1\nu,a,2\nu,b,1\n"
    time = {"column": "t", "unit": "seconds"}
    first, second = (events(tmp_path, text, time=time) for _ in range(2))
    assert first == second
    assert len({event.event_id for event in first}) == 3


def test_bad_rows_are_reported_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,year\n1,x\n,1999\n3,1999\n4,"1999\n5,2000\n')
    read = dataset(tmp_path, items=ITEMS | {"attributes": {"year": {"column": "year", "type": "int"}}})
    skipped: list[BadRow] = []
    assert [item.item_id for item in read.read_items(tmp_path, skipped.append)] == ["3", "5"]
    assert [(bad.number, bad.line, bad.reason, bad.column) for bad in skipped] == [
        (1, 2, Reason.BAD_VALUE, "year"),
        (2, 3, Reason.EMPTY, "id"),
        (4, 5, Reason.UNCLOSED_QUOTE, "year"),
    ]
    assert [bad.content for bad in skipped] == [
        {"id": "1", "year": "x"},
        {"id": "", "year": "1999"},
        '4,"1999',
    ]
    with pytest.raises(
        MappingError, match=r"items: a\.csv, row 1 \(line 2\): column 'year': 'x' is not a whole"
    ):
        list(read.read_items(tmp_path))


def test_rows_of_events_that_fit_no_rule_are_reported(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("user,item,stars\nu,a,5\nu,b,1\nu,c,many\n")
    rules = {"column": "stars", "rules": [{"at_least": 4, "type": "click"}]}
    skipped: list[BadRow] = []
    listed = list(dataset(tmp_path, events=EVENTS | {"type": rules}).read_events(tmp_path, skipped.append))
    assert [event.item_id for event in listed] == ["a"]
    assert [(bad.number, bad.reason) for bad in skipped] == [(2, Reason.NO_RULE), (3, Reason.BAD_VALUE)]
    assert "{type: ignore}" in skipped[0].message


def test_a_row_of_events_with_an_unclosed_quote_does_not_affect_others(tmp_path: Path) -> None:
    rows = "".join(f"u{n},i{n},x\n" for n in range(3, 50))
    (tmp_path / "e.csv").write_text('user,item,note\nu1,i1,x\nu2,i2,"17 inch\n' + rows + 'u50,i50,19 inch"\n')
    skipped: list[BadRow] = []
    listed = list(dataset(tmp_path, events=EVENTS).read_events(tmp_path, skipped.append))
    assert [(bad.number, bad.line, bad.reason) for bad in skipped] == [(2, 3, Reason.UNCLOSED_QUOTE)]
    assert [event.user_id for event in listed] == ["u1", *(f"u{n}" for n in range(3, 51))]


def test_items_and_events_come_with_their_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a"}\n\n{"id": "a"}\n{"id": "b"}\n')
    (tmp_path / "e.csv").write_text("user,item\nu,a\n")
    read = dataset(tmp_path, items=ITEMS | {"file": "a.jsonl", "join_rows": 2}, events=EVENTS)
    assert [(row.number, row.line, item.item_id) for row, item in read.items_with_rows(tmp_path)] == [
        (1, 1, "a"),
        (3, 4, "b"),
    ]
    assert [(row.number, row.line, event.item_id) for row, event in read.events_with_rows(tmp_path)] == [
        (1, 2, "a")
    ]


@pytest.mark.parametrize(
    ("mapping", "place"),
    [
        (
            {"texts": {"text": ["{id}", "{titel}"]}},
            "items.texts.text: a.csv has no column 'titel'; it has id, title",
        ),
        ({"id": "{nr}"}, "items.id: "),
        ({"pictures": {"image": {"column": "p"}}}, "items.pictures.image: "),
        ({"attributes": {"x": {"column": "p"}}}, "items.attributes.x: "),
        ({"relations": [{"type": "t", "id": "{p}"}]}, r"items.relations.0.id: "),
        ({"where": {"split": "train"}}, "items.where: "),
    ],
)
def test_a_missing_column_names_the_place(tmp_path: Path, mapping: dict[str, Any], place: str) -> None:
    with pytest.raises(MappingError, match=r"mapping\.yaml, line \d+: " + place):
        items(tmp_path, "id,title\n1,x\n", **mapping)


def test_files_and_columns_can_be_checked_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    read = dataset(tmp_path, items=ITEMS, events=EVENTS)
    with pytest.raises(MappingError, match=r"events\.file: no file .*e\.csv"):
        read.check(tmp_path)
    (tmp_path / "e.csv").write_text("user,thing\n")
    with pytest.raises(MappingError, match=r"events\.item: e\.csv has no column 'item'"):
        read.check(tmp_path)
    (tmp_path / "e.csv").write_text("user,item\n")
    read.check(tmp_path)


def test_in_json_a_column_may_be_in_some_rows_only(tmp_path: Path) -> None:
    text = '{"id": 1}\n{"id": 2, "t": "x"}\n'
    listed = items(tmp_path, text, file="a.jsonl", texts={"text": "{t}"})
    assert [dict(item.texts) for item in listed] == [{}, {"text": "x"}]


def test_a_missing_file_says_how_to_name_the_folder(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"items\.file: no file .*a\.csv; .*--data"):
        list(dataset(tmp_path, items=ITEMS).read_items(tmp_path))


def test_an_unknown_ending_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="give `format`"):
        items(tmp_path, "", file="a.xyz")


def test_counts_for_the_bar(tmp_path: Path) -> None:
    for file, text, expected in [
        ("a.csv", "id\n1\n2\n", 2),
        ("a.jsonl", "{}\n{}\n{}\n", 3),
        ("a.tsv", "", 0),
    ]:
        (tmp_path / file).write_text(text)
        read = dataset(tmp_path, items=ITEMS | {"file": file})
        assert read.items is not None
        assert read.items.count(tmp_path) == expected
    read = dataset(tmp_path, items=ITEMS | {"where": {"id": 1}})
    assert read.items is not None
    assert read.items.count(tmp_path) is None


def test_the_share_without_pictures_depends_on_the_seed_only() -> None:
    ids = [f"i{n}" for n in range(4000)]
    chosen = [without_picture(id, 0.5, 7) for id in ids]
    assert chosen == [without_picture(id, 0.5, 7) for id in ids]
    assert abs(sum(chosen) - 2000) < 150
    assert chosen != [without_picture(id, 0.5, 8) for id in ids]
    assert not any(without_picture(id, 0.0, 7) for id in ids)
    assert all(without_picture(id, 1.0, 7) for id in ids)
    assert all(without_picture(id, 0.6, 7) for id, bare in zip(ids, chosen, strict=True) if bare)


@pytest.mark.parametrize("name", ["grocery", "grocery-photos", "fashion", "ml-100k"])
def test_the_bundled_mappings_are_valid_and_have_no_absolute_paths(name: str) -> None:
    file = bundled_mapping(name)
    read = Dataset.read(file)
    assert read.items is not None
    assert not read.items.file.is_absolute()
    assert "/work" not in file.read_text()


def test_an_unknown_bundled_mapping_names_the_known_ones() -> None:
    with pytest.raises(MappingError, match=r"bundled are fashion, grocery, .*; did you mean 'grocery'\?"):
        bundled_mapping("grocry")
