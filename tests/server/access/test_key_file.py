"""The file of keys, and its reading while a server runs."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from itemlens_server import followed as following
from itemlens_server.access.key_file import change, followed, read
from itemlens_server.access.keys import Key, new_key
from itemlens_server.access.roles import Role
from itemlens_server.errors import FailedPrecondition


def add(path: Path, name: str) -> Key:
    key = new_key(name, Role.READ)[1]
    change(path, lambda keys: {**keys, key.id: key})
    return key


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)
    return tmp_path / "etc" / "keys.json"


def test_is_made_by_the_first_change_for_its_owner_alone(path: Path) -> None:
    key = add(path, "shop")
    assert read(path) == {key.id: key} and path.stat().st_mode & 0o077 == 0


def test_changes_at_once_lose_no_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda n: add(path, f"k{n}"), range(40)))
    assert read(path) == {key.id: key for key in keys}


def test_an_error_of_a_change_leaves_the_file(path: Path) -> None:
    key = add(path, "shop")

    def wrong(_: dict[str, Key]) -> dict[str, Key]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        change(path, wrong)
    assert read(path) == {key.id: key}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", 'it is not an object with a list "keys"'),
        ('{"keys": {}}', 'it is not an object with a list "keys"'),
        ('{"keys": [1]}', r"keys\[0\]: it is not an object"),
        ("[" * 100_000, "is not a file of keys"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(path: Path, text: str, why: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(FailedPrecondition, match=why):
        followed(path)


def test_ids_must_differ(path: Path) -> None:
    key = add(path, "shop")
    path.write_text(json.dumps({"keys": [key.as_json(), key.as_json()]}))
    with pytest.raises(FailedPrecondition, match=rf"keys\[1\]: its id '{key.id}' is there twice"):
        read(path)


def test_a_missing_file_says_what_makes_it(path: Path) -> None:
    with pytest.raises(
        FailedPrecondition, match="No such file or directory; `itemlens keys create` makes the file"
    ):
        followed(path)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FailedPrecondition, match="it is not UTF-8"):
        read(path)


def test_a_running_server_follows_the_file(path: Path) -> None:
    first = add(path, "one")
    file = followed(path)
    second = add(path, "two")
    assert set(file.now()) == {first.id, second.id}
    change(path, lambda keys: {first.id: replace(first, revoked=datetime.now(UTC))})
    assert set(file.now()) == {first.id} and file.now()[first.id].revoked is not None


def test_a_link_is_followed_as_kubernetes_changes_secrets(path: Path) -> None:
    old, new = path.parent / "old", path.parent / "new"
    first, second = add(old, "one"), add(new, "two")
    path.symlink_to(old)
    file = followed(path)
    assert set(file.now()) == {first.id}
    other = path.parent / "link"
    other.symlink_to(new)
    os.replace(other, path)
    assert set(file.now()) == {second.id}


def test_a_damaged_or_missing_file_leaves_the_keys_and_says_so_once(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = add(path, "shop")
    file = followed(path)
    text = path.read_text()
    path.write_text(text[:-20])
    with caplog.at_level(logging.ERROR):
        assert set(file.now()) == set(file.now()) == {key.id}
    assert [r.message for r in caplog.records if "what was read before stays" in r.message] == [
        caplog.records[0].message
    ]
    path.unlink()
    assert set(file.now()) == {key.id}
    path.write_text(text)
    assert set(file.now()) == {key.id}


def test_a_file_that_cannot_be_read_for_a_moment_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(path, "one")
    file = followed(path)
    add(path, "two")
    with monkeypatch.context() as patched:
        patched.setattr(
            Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError(24, "Too many open files"))
        )
        assert len(file.now()) == 1
    assert len(file.now()) == 2


def test_an_entry_that_is_damaged_later_lets_nobody_in_and_the_others_count(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = add(path, "one"), add(path, "two")
    file = followed(path)
    entries = [first.as_json() | {"collections": []}, replace(second, revoked=datetime.now(UTC)).as_json()]
    path.write_text(json.dumps({"keys": entries}))
    assert set(file.now()) == {second.id} and file.now()[second.id].revoked is not None
    assert "keys[0] lets nobody in: its collections are not a list" in caplog.text
    with pytest.raises(FailedPrecondition, match=r"keys\[0\]"):
        read(path)


def test_a_change_keeps_who_may_read_the_file(path: Path) -> None:
    add(path, "one")
    path.chmod(0o640)
    add(path, "two")
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_file_is_looked_at_once_a_second_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(path, "one")
    file = followed(path)
    monkeypatch.setattr(following, "LOOK_SECONDS", 3600.0)
    add(path, "two")
    assert len(file.now()) == 1
