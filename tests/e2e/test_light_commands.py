"""Commands that only call a server run without ONNX Runtime and without the server's modules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import itemlens
import itemlens_server
from support.serving import Server
from support.spaces import Tiny

# Of the server they may have its errors, its settings, which `itemlens serve --help` lists, with what these need, its
# keys, which `itemlens keys` makes, the types of attributes, and the signals, which are blocked before anything else is
# imported.
PLACE = Path(itemlens_server.__path__[0])
SERVER = {
    *(f"itemlens_server.{path.stem}" for path in PLACE.iterdir()),
    *(f"itemlens_server.attributes.{path.stem}" for path in (PLACE / "attributes").iterdir()),
}
SETTINGS = ("config", "address", "settings_file", "hardware")
KEYS = ("access", "durable", "followed")
LIGHT = {
    f"itemlens_server.{name}"
    for name in (*SETTINGS, *KEYS, "errors", "stop_signals", "attributes", "attributes.schema")
}
WITHOUT = {"onnxruntime", *SERVER} - LIGHT

# A module that is None in sys.modules cannot be imported.
COMMAND = f"""
import sys
sys.modules.update(dict.fromkeys({WITHOUT!r}))
from itemlens_cli import main
main()
"""

MAPPING = """
items: {file: films.csv, id: "{id}", texts: {text: "{title}"}, attributes: {title: title}}
events: {file: seen.csv, user: "{user}", item: "{film}", type: view}
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def answered(*arguments: object) -> str:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_help() -> None:
    assert "index" in answered("--help")


def test_index_query_and_move(
    server: Server, collection: str, client: itemlens.Client, tiny: Tiny, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text(MAPPING)
    (tmp_path / "films.csv").write_text("id,title\na,red shoe\nb,blue kettle\n")
    (tmp_path / "seen.csv").write_text("user,film\nann,b\n")
    at = ("--target", server.address)
    assert "0 rows cannot be used" in answered("index", tmp_path / "shop.yaml", "--check", *at)
    assert "2 items, 1 events" in answered("index", tmp_path / "shop.yaml", "--collection", collection, *at)
    answer = json.loads(answered("query", "a red shoe", "--collection", collection, "--json", *at))
    assert [item["item_id"] for item in answer["items"]] == ["a", "b"]
    assert "words" in answered("query", "a red shoe", "--collection", collection, "--why", *at)
    assert tiny.plain in answered("move", collection, tiny.plain, *at)
    assert client.get_collection().space_id == tiny.plain


def test_rules_are_set_and_listed(server: Server, collection: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("rules:\n- name: recall\n  block:\n  - kettle\n")
    at = ("--collection", collection, "--target", server.address)
    assert "1 rules" in answered("rules", "set", tmp_path / "rules.yaml", *at)
    assert answered("rules", "list", *at) == (tmp_path / "rules.yaml").read_text()


def test_health(server: Server) -> None:
    assert "SERVING" in answered("health", "--target", server.address)


def test_doctor_of_a_server(server: Server) -> None:
    assert "nothing is wrong" in answered("doctor", "--target", server.address)


def test_a_wrong_mapping_is_one_line(tmp_path: Path) -> None:
    done = run("index", tmp_path / "none.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith("error: no mapping file") and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "fit"])
def test_the_block_works(command: str, tmp_path: Path) -> None:
    done = run(command, "--models", tmp_path, "--data", tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and ("None in sys.modules" in said or "is not a package" in said)
