"""The command `itemlens index`, without a server: what it uploads, prints and exits with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer
from typer.testing import CliRunner

import itemlens
from itemlens_datasets.rows import MappingError

# The package has the function by the same name, so the module is asked for by its full one.
command = import_module("itemlens_cli.index")

MAPPING = """
collection: films
items: {file: films.csv, id: "{id}", texts: {text: "{title}"}, pictures: {image: {path: "{id}.jpg"}}, merge: true}
events: {file: seen.csv, user: "{user}", item: "{film}", type: view}
"""


class FakeClient:
    """Takes everything but what is called bad."""

    instances: ClassVar[list[FakeClient]] = []
    known: ClassVar[set[str]] = set()

    def __init__(self, target: str, *, collection: str) -> None:
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
    monkeypatch.setattr(command, "Client", FakeClient)
    monkeypatch.setenv("COLUMNS", "200")
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


def test_a_collection_that_is_there_is_kept_whatever_its_space(folder: Path) -> None:
    FakeClient.known.add("films")
    result, client = run(folder / "films.yaml")
    assert result.exit_code == 0, result.output
    assert client is not None
    assert client.created == []


def test_failures_warnings_and_bad_rows_are_told_and_the_status_is_1(folder: Path) -> None:
    (folder / "films.csv").write_text("id,title\nbad,Alien\nlong,Brazil\n,Casablanca\n")
    result, client = run(folder / "films.yaml")
    assert result.exit_code == 1
    assert client is not None
    assert len(client.events) == 2
    for told in (
        "INVALID_ARGUMENT",
        "bad: is [/] bad",
        "TEXT_TRUNCATED",
        "films.csv, row 3: the id is empty",
    ):
        assert told in result.output


def test_an_unreachable_server_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise itemlens.Unavailable("no connection")

    monkeypatch.setattr(FakeClient, "get_collection", unreachable)
    result, _ = run(folder / "films.yaml")
    assert result.exit_code == 1
    assert "not indexed: UNAVAILABLE: no connection" in result.output


def test_bundled_mappings_go_by_name(folder: Path) -> None:
    assert command._find("ml-100k").name == "ml-100k.yaml"
    with pytest.raises(MappingError, match="bundled are fashion, grocery"):
        command._find("nothing")
