"""Vectors of the caller's own in files: `itemlens index`, `--sync`, `--check`, and `itemlens items export`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from itemlens import ExternalVector, Item
from support import spaces
from support.command import Run
from support.serving import Server

DIMENSION = 16


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vectors") / "models"
    folder.mkdir()
    spaces.build(folder, external={"tower": spaces.external(DIMENSION)})
    with Server(folder, folder.parent / "data") as running:
        yield running


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: list[dict[str, Any]], version: str = "1") -> Path:
        (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "map.yaml").write_text(
            'collection: files\nitems:\n  file: items.jsonl\n  id: "{id}"\n  texts: {text: "{name}"}\n'
            f'  external: {{tower: {{column: v, version: "{version}"}}}}\n'
        )
        return tmp_path / "map.yaml"

    return write


def test_vectors_are_indexed_synced_exported_and_indexed_again(
    run: Run, server: Server, write: Callable[..., Path], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"id": f"f{n}", "name": "red shoe", "v": [0.1 * n + 0.1] * DIMENSION} for n in range(3)
    ]
    at = ("--target", server.address)
    assert run("index", write([*rows, {"id": "none", "name": "cup", "v": None}]), *at).status == 0
    sync = run("index", write(rows), "--sync", *at)
    assert sync.status == 0, sync.said
    rows[1]["v"] = [-1.0] * DIMENSION
    sync = run("index", write(rows), "--sync", *at)
    assert sync.status == 0 and "contents or relations changed │ 1 │ f1" in sync.said, sync.said
    out = tmp_path / "out.jsonl"
    assert run("items", "export", "--out", out, "--collection", "files", *at).status == 0
    assert run("index", out, "--collection", "copy", *at).status == 0
    for name in ("files", "copy"):
        with server.client(collection=name) as client:
            found = {i.item.item_id: i.item for i in client.get_items(["f0", "f1", "f2"], pictures=True)}
            for row in rows:
                own = found[row["id"]].external["tower"].values
                np.testing.assert_array_equal(own, np.asarray(row["v"], np.float32))
            client.delete_collection(name)


def test_a_sync_without_vectors_in_its_mapping_keeps_them(
    run: Run, server: Server, write: Callable[..., Path], tmp_path: Path
) -> None:
    at = ("--target", server.address)
    rows = [{"id": "k", "name": "red shoe", "v": [1.0] * DIMENSION}]
    assert run("index", write(rows), *at).status == 0
    (tmp_path / "map.yaml").write_text(
        'collection: files\nitems:\n  file: items.jsonl\n  id: "{id}"\n  texts: {text: "{name}"}\n'
        '  pictures: {image: {path: "{p}"}}\n'
    )
    for n, data in enumerate((spaces.picture("shoe", "red"), spaces.picture("dress", "blue"))):
        (tmp_path / f"{n}.png").write_bytes(data)
        (tmp_path / "items.jsonl").write_text(
            json.dumps({"id": "k", "name": "red shoe", "p": f"{n}.png"}) + "\n"
        )
        done = run("index", tmp_path / "map.yaml", "--sync", *at)
        assert done.status == 0, done.said
    with server.client(collection="files") as client:
        [found] = client.get_items(["k"], pictures=True)
        assert len(found.item.external["tower"]) == DIMENSION and found.item.pictures
        client.delete_collection("files")


@pytest.mark.parametrize(
    ("row", "version", "said"),
    [
        ([1.0] * DIMENSION, "2", "version '2', but the channel takes 16 of version '1'"),
        ([1.0] * 3, "1", "3 numbers of version '1'"),
        ([0.0] * DIMENSION, "1", "nothing but 0"),
        ([1e39] * DIMENSION, "1", "NaN, infinity"),
        ([10**400] * DIMENSION, "1", "is not a list of numbers"),
        ("high", "1", "is not a list of numbers"),
        (["a"], "1", "is not a list of numbers"),
    ],
)
def test_a_check_tells_what_the_server_would_refuse(
    run: Run,
    server: Server,
    write: Callable[..., Path],
    row: Any,
    version: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write([{"id": "c", "name": "cup", "v": row}, {"id": "d", "name": "cup", "v": None}], version)
    done = run("index", file, "--check", "--target", server.address)
    assert done.status != 0 and said in done.said


@pytest.mark.parametrize(
    "own", [{"nope": ("1", DIMENSION)}, {"tower": ("2", DIMENSION)}, {"text": ("1", DIMENSION)}]
)
def test_a_check_of_an_export_tells_what_the_space_does_not_take(
    run: Run, server: Server, own: dict[str, tuple[str, int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vectors = {name: {"version": version, "values": [1.0] * size} for name, (version, size) in own.items()}
    line = {"item_id": "a", "texts": {"text": "cup"}, "pictures": {}, "external": vectors}
    (tmp_path / "out.jsonl").write_text(json.dumps(line) + "\n")
    done = run("index", tmp_path / "out.jsonl", "--check", "--target", server.address)
    assert done.status == 3 and f"{next(iter(own))}: " in done.said


def test_a_sync_of_one_channel_keeps_the_vectors_of_another(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models"
    models.mkdir()
    spaces.build(models, external={"tower": spaces.external(2), "sound": spaces.external(3)})
    (tmp_path / "map.yaml").write_text(
        'collection: two\nitems:\n  file: items.jsonl\n  id: "{id}"\n  texts: {text: "{name}"}\n'
        '  external: {tower: {column: v, version: "1"}}\n'
    )
    with Server(models, tmp_path / "data") as server, server.client(collection="two") as client:
        for n in range(2):
            (tmp_path / "items.jsonl").write_text(
                json.dumps({"id": "a", "name": "cup", "v": [1.0, n]}) + "\n"
            )
            done = run("index", tmp_path / "map.yaml", "--sync", "--target", server.address)
            assert done.status == 0, done.said
            if n == 0:
                sound = ExternalVector([1.0, 2.0, 3.0], "1")
                client.upsert([Item("a", external={"sound": sound})], merge=True).raise_for_errors()
        [found] = client.get_items(["a"], pictures=True)
        assert np.asarray(found.item.external["tower"]).tolist() == [1.0, 1.0]
        assert np.asarray(found.item.external["sound"]).tolist() == [1.0, 2.0, 3.0]
