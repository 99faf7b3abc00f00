"""`itemlens keys`: made once, listed without secrets, revoked."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from itemlens_server.access.key_file import read
from itemlens_server.access.keys import find
from itemlens_server.access.quotas import Quota, Used
from itemlens_server.access.roles import Role
from support.command import Run


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.json"
    monkeypatch.setenv("ITEMLENS_KEY_FILE", str(path))
    return path


def test_a_key_is_printed_alone_on_standard_output(run: Run, path: Path) -> None:
    done = run(
        "keys", "create", "shop", "--role", "write", "--collection", "shoes", "--collection", "shop-*",
        "--quota", "calls=100/s", "--quota", "tokens=5e6/day", "--expires", "90d",
    )  # fmt: skip
    assert done.status == 0 and re.fullmatch(r"itemlens_[0-9a-f]{8}_[\w-]{43}\n", done.out)
    key = find(read(path), done.out.strip())
    assert key is not None and (key.name, key.role, key.collections) == (
        "shop",
        Role.WRITE,
        ("shoes", "shop-*"),
    )
    assert key.quotas == {Used.CALLS: Quota(100, 1), Used.TOKENS: Quota(5e6, 86400)}
    assert key.expires is not None
    assert abs(key.expires - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    assert "it is shown only now" in done.err and done.out.strip() not in path.read_text()


def test_the_least_a_key_may_do_is_the_default(run: Run, path: Path) -> None:
    run("keys", "create", "shop")
    [key] = read(path).values()
    assert (key.role, key.collections, key.quotas, key.expires) == (Role.READ, (), {}, None)


def test_keys_are_listed_without_their_hashes(run: Run, path: Path) -> None:
    run("keys", "create", "shop", "--quota", "calls=1/s")
    [key] = read(path).values()
    done = run("keys", "list")
    assert key.id in done.out and "1/s calls" in done.out and key.digest not in done.out
    [listed] = json.loads(run("keys", "list", "--json").out)
    assert listed["id"] == key.id and "sha256" not in listed


def test_revoked_keys_stay_in_the_list(run: Run, path: Path) -> None:
    for name in ("shop", "shop", "other"):
        run("keys", "create", name)
    assert run("keys", "revoke", "shop").out.startswith("revoked ")
    assert sorted((k.name, k.revoked is not None) for k in read(path).values()) == [
        ("other", False), ("shop", True), ("shop", True),
    ]  # fmt: skip
    assert "was revoked at" in run("keys", "list").said
    again = run("keys", "revoke", "shop")
    assert again.status == 1 and "there is no valid key 'shop'" in again.said
    [other] = [k for k in read(path).values() if k.name == "other"]
    assert run("keys", "revoke", other.id).status == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--role", "root"), "there is no role 'root'; give read, write, admin"),
        (("--quota", "calls"), "'calls' is not a quota; write one such as calls=100/s"),
        (("--quota", "calls=lots"), "'lots' is not a quota"),
        (("--quota", "cells=1/s"), "there is no quota of 'cells'"),
        (("--expires", "soon"), "'soon' is no time"),
        (("--expires", "2020-01-01"), "2020-01-01 is over"),
        (("--collection", ""), "neither the name of a collection nor a pattern"),
    ],
)
def test_a_wrong_argument_makes_no_key(run: Run, path: Path, arguments: tuple[str, ...], why: str) -> None:
    done = run("keys", "create", "shop", *arguments)
    assert done.status == 1 and why in done.said and done.out == "" and not path.exists()


def test_a_name_is_needed(run: Run, path: Path) -> None:
    assert "1 to 100 printable characters" in run("keys", "create", " ").said


def test_a_missing_file_says_what_makes_it(run: Run, path: Path) -> None:
    for command in (("list",), ("revoke", "x")):
        done = run("keys", *command)
        assert done.status == 1 and "`itemlens keys create` makes the file" in done.said
