"""The command `itemlens index` without a server: its uploads, output and exit status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

import itemlens
import itemlens_datasets.files
from itemlens_datasets.lines import read_lines
from itemlens_datasets.rows import MappingError

# In the package this name is the function, so the module is imported by its full name.
command = import_module("itemlens_cli.index")

MAPPING = """
collection: films
items: {file: films.csv, id: "{id}", texts: {text: "{title}"}, pictures: {image: {path: "{id}.jpg"}}, merge: true}
events: {file: seen.csv, user: "{user}", item: "{film}", type: view}
"""


class FakeClient:
    """Accepts all items and events except those with the id "bad"."""

    instances: ClassVar[list[FakeClient]] = []
    known: ClassVar[set[str]] = set()

    def __init__(self, target: str, *, collection: str, **access: object) -> None:
        self.target, self.collection = target, collection
        self.created: list[tuple[str, str]] = []
        self.items: list[itemlens.Item] = []
        self.events: list[itemlens.Event] = []
        self.merge = False
        self.instances.append(self)

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_collection(self, name: str | None = None) -> itemlens.Collection:
        name = name or self.collection
        if name not in self.known and not self.created:
            raise itemlens.NotFound("no such collection")
        moment = datetime.now(UTC)
        return itemlens.Collection(name, "s", len(self.items), len(self.events), 1, moment, 0)

    def create_collection(self, name: str, *, space: str, allow_existing: bool) -> None:
        assert allow_existing
        self.created.append((name, space))

    def _report(self, ids: list[str], progress: Any) -> itemlens.UploadReport:
        progress(itemlens.Progress(len(ids), 0, None, 1.0))
        bad = itemlens.InvalidArgument("is [/] bad")
        cut = (itemlens.Warning("TEXT_TRUNCATED", "cut", ""),)
        return itemlens.UploadReport(
            written=sum(id != "bad" for id in ids),
            failed=tuple(itemlens.WriteResult(id, bad, ()) for id in ids if id == "bad"),
            warned=tuple(itemlens.WriteResult(id, None, cut) for id in ids if id == "long"),
            sequence_number=1,
            resumed=0,
            seconds=1.0,
        )

    def upload(self, items: Iterable[itemlens.Item], *, merge: bool, batch_size: int, progress: Any) -> Any:
        self.items, self.merge = list(items), merge
        return self._report([item.item_id for item in self.items], progress)

    def upload_events(self, events: Iterable[itemlens.Event], *, progress: Any) -> Any:
        self.events = list(events)
        return self._report([event.event_id for event in self.events], progress)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(itemlens, "Client", FakeClient)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)
    FakeClient.instances.clear()
    FakeClient.known.clear()
    (tmp_path / "films.yaml").write_text(MAPPING)
    (tmp_path / "films.csv").write_text("id,title\na,Alien\nb,Brazil\nc,Casablanca\n")
    (tmp_path / "seen.csv").write_text("user,film\nann,a\nbob,c\n")
    return tmp_path


def run(*args: object) -> tuple[Any, FakeClient | None]:
    app = typer.Typer()
    app.command()(command.index)
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    return result, FakeClient.instances[-1] if FakeClient.instances else None


def test_items_and_events_are_loaded(folder: Path) -> None:
    result, client = run(folder / "films.yaml", "--target", "host:1")
    assert result.exit_code == 0, result.output
    assert client is not None
    assert (client.target, client.collection, client.created) == ("host:1", "films", [("films", "")])
    assert [item.item_id for item in client.items] == ["a", "b", "c"]
    assert client.items[0].pictures == {"image": [folder / "a.jpg"]}
    assert client.merge
    assert [(event.user_id, event.item_id) for event in client.events] == [("ann", "a"), ("bob", "c")]
    assert "collection films: 3 items, 2 events" in result.output


def test_options_choose_collection_space_and_share(folder: Path) -> None:
    FakeClient.known.add("mine")
    mapping = folder / "sub" / "m.yaml"
    mapping.parent.mkdir()
    mapping.write_text(MAPPING)
    result, client = run(
        mapping,
        "--data",
        folder,
        "--collection",
        "mine",
        "--space",
        "s2",
        "--limit",
        1,
        "--without-pictures",
        1,
    )
    assert result.exit_code == 0, result.output
    assert client is not None
    assert client.created == [("mine", "s2")]
    assert [(item.item_id, item.pictures) for item in client.items] == [("a", {})]
    assert [event.item_id for event in client.events] == ["a"]


def test_an_existing_collection_is_kept_whatever_its_space(folder: Path) -> None:
    FakeClient.known.add("films")
    result, client = run(folder / "films.yaml")
    assert result.exit_code == 0, result.output
    assert client is not None
    assert client.created == []


def test_skipped_rows_are_counted_by_reason_and_the_status_is_3(folder: Path) -> None:
    (folder / "films.csv").write_text(
        'id,title\nbad,Alien\nlong,Brazil\n,Casablanca\nd,"Dune\ne,Eraserhead\n'
    )
    result, client = run(folder / "films.yaml")
    assert result.exit_code == command.SKIPPED_ROWS == 3
    assert client is not None
    assert [item.item_id for item in client.items] == ["bad", "long", "e"]
    assert len(client.events) == 2
    for row in (
        "│ items  │ 2      │ 3       │",
        "│ items │ EMPTY            │ 1    │ 3          │ the id is empty ",
        "│ items │ UNCLOSED_QUOTE   │ 1    │ 4          │ the quotation mark that opens column 'title' ",
        "│ items │ INVALID_ARGUMENT │ 1    │ 1          │ bad: is [/] bad ",
        "│ items │ TEXT_TRUNCATED │ 1    │            │ long: cut ",
        "skipped rows: 3; each is listed in films.errors.jsonl",
    ):
        assert row in result.output


def test_the_errors_file_has_bad_rows_and_rows_that_the_server_refused(folder: Path) -> None:
    (folder / "films.csv").write_text("id,title\n,Casablanca\nbad,Alien\nb,Brazil\n")
    result, _ = run(folder / "films.yaml", "--errors", folder / "left.jsonl")
    assert result.exit_code == 3
    records = [json.loads(line) for line in (folder / "left.jsonl").read_text().splitlines()]
    assert [(r["file"], r["row"], r["reason"], r["content"]) for r in records] == [
        ("films.csv", 1, "EMPTY", {"id": "", "title": "Casablanca"}),
        ("films.csv", 2, "INVALID_ARGUMENT", {"id": "bad", "title": "Alien"}),
    ]
    assert records[1]["id"] == "bad"
    (folder / "films.csv").write_text("id,title\nb,Brazil\n")
    result, _ = run(folder / "films.yaml", "--errors", folder / "left.jsonl")
    assert result.exit_code == 0, result.output
    assert not (folder / "left.jsonl").exists()


def test_events_that_fit_no_rule_are_skipped_unless_a_rule_ignores_them(folder: Path) -> None:
    mapping = (folder / "films.yaml").read_text()
    (folder / "seen.csv").write_text("user,film,stars\nann,a,5\nbob,c,1\n")
    rules = "{column: stars, rules: [{at_least: 4, type: view}%s]}"
    (folder / "films.yaml").write_text(mapping.replace("type: view", "type: " + rules % ""))
    result, client = run(folder / "films.yaml")
    assert result.exit_code == 3
    assert "│ events │ NO_RULE │ 1    │ 2 " in result.output
    assert client is not None and len(client.events) == 1
    (folder / "films.yaml").write_text(mapping.replace("type: view", "type: " + rules % ", {type: ignore}"))
    result, client = run(folder / "films.yaml")
    assert result.exit_code == 0, result.output
    assert client is not None and len(client.events) == 1


def test_rows_with_one_id_are_counted_unless_they_are_merged(folder: Path) -> None:
    (folder / "films.csv").write_text("id,title\na,Alien\nb,Brazil\na,Aliens\na,Alien 3\n")
    result, _ = run(folder / "films.yaml")
    assert "REPEATED_ID" not in result.output
    (folder / "films.yaml").write_text(MAPPING.replace("merge: true", "merge: false"))
    result, _ = run(folder / "films.yaml")
    assert result.exit_code == 0, result.output
    assert "│ items │ REPEATED_ID │ 2    │ 3, 4       │ the id of an earlier row" in result.output


@pytest.mark.parametrize(
    ("where", "warning"),
    [("", "films.csv has no items"), ("where: {id: z}, ", "has no items; check its `where`")],
)
def test_a_file_without_items_gives_a_warning(folder: Path, where: str, warning: str) -> None:
    (folder / "films.csv").write_text("id,title\n" + ("a,Alien\n" if where else ""))
    (folder / "films.yaml").write_text(MAPPING.replace("items: {", "items: {" + where))
    result, _ = run(folder / "films.yaml")
    assert result.exit_code == 0, result.output
    assert "NO_ROWS" in result.output and warning in result.output


def test_rows_before_a_read_error_are_stored_and_the_status_is_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, encoding: str) -> Iterator[str]:
        yield from read_lines(path, encoding)
        if path.name == "films.csv":
            raise OSError("the disk is gone")

    monkeypatch.setattr(itemlens_datasets.files, "read_lines", broken)
    result, client = run(folder / "films.yaml")
    assert client is not None
    assert [item.item_id for item in client.items] == ["a", "b", "c"]
    assert isinstance(result.exception, MappingError)
    assert "cannot read" in str(result.exception) and "the disk is gone" in str(result.exception)


def test_an_unreachable_server_gives_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise itemlens.Unavailable("no connection")

    monkeypatch.setattr(FakeClient, "get_collection", unreachable)
    result, _ = run(folder / "films.yaml")
    assert result.exit_code == 1
    assert "not indexed: no server answers at localhost:50051 (no connection); start one" in result.output
