"""`itemlens rules`: what is listed can be set again, and a wrong file is told by its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from itemlens import Client
from support.command import Run
from support.serving import Server

FILE = """\
rules:
- name: spring
  pin:
    1: item-0003
    3: item-0001
  surfaces:
  - home
  start: 2026-03-01 00:00:00+00:00
- name: recall
  block:
  - item-0000
- name: red
  block: matching
  filter: title = "Red"
- name: share
  cap:
    title: 0.5
- name: own
  floor: 2
  filter: title = "Shoe"
"""


@pytest.fixture
def shop(server: Server) -> Iterator[Client]:
    """A client of the server, whose collection "shop" has no rules before and after."""
    with server.client(collection="shop") as client:
        client.update_collection("shop", rules=[])
        yield client
        client.update_collection("shop", rules=[])


def test_what_is_set_is_listed_and_the_same_file_again(
    run: Run, server: Server, shop: Client, tmp_path: Path
) -> None:
    at = ("--target", server.address, "--collection", "shop")
    file = tmp_path / "rules.yaml"
    file.write_text(FILE, encoding="utf-8")
    assert run("rules", "check", file).out == "5 rules, and no contradiction\n"
    done = run("rules", "set", file, *at)
    assert (done.status, done.out) == (0, "5 rules in collection 'shop'\n"), done.err
    assert run("rules", "list", *at).out == FILE
    assert [rule.name for rule in shop.get_collection().rules] == ["spring", "recall", "red", "share", "own"]
    file.write_text("rules: []\n", encoding="utf-8")
    assert run("rules", "set", file, *at).status == 0 and run("rules", "list", *at).out == "rules: []\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  - item-0000", "  - item-0001", "rules.yaml, line 9: rules.1: block.item_ids[0]: 'item-0001' is pinned and"),
        ("floor: 2", "flor: 2", "rules.yaml, line 19: rules.4.flor: unknown key"),
        ("floor: 2", "floor: 0", "rules.4: floor.places: the number of places is 0"),
        ('title = "Shoe"', "title =", "rules.4: filter: the filter is wrong at character 8"),
        ("  block: matching\n", "", "a rule has one of the keys pin, block, cap, floor"),
        ("  block:\n  - item-0000\n", "  block: []\n", "block needs items, or the word matching"),
        ("title: 0.5", "title: 1.5", "rules.3: cap.share: 1.5 is not a share"),
        ("rules:", "rule:", "line 1: rule: unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_by_its_line(run: Run, tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(FILE.replace(old, new), encoding="utf-8")
    done = run("rules", "check", file)
    assert done.status == 1 and message in done.err, done.err


def test_a_rule_that_does_not_fit_the_collection_is_the_servers_error(
    run: Run, server: Server, shop: Client, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: own, floor: 1, filter: nothing = 1}]", encoding="utf-8")
    done = run("rules", "set", file, "--target", server.address, "--collection", "shop")
    assert done.status == 1 and "is no attribute of the collection" in done.err
    assert shop.get_collection().rules == ()
