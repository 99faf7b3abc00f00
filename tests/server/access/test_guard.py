"""Who is let in, and what they may do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from itemlens_server import followed as following
from itemlens_server.access.guard import KeyGuard, OpenDoor
from itemlens_server.access.key_file import change, followed
from itemlens_server.access.keys import Key, new_key
from itemlens_server.access.quotas import Quota, Used
from itemlens_server.access.roles import Role
from itemlens_server.errors import PermissionDenied, QuotaExceeded, Unauthenticated


class Door:
    """A guard over a file, with keys that can be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        change(path, lambda keys: keys)
        self.guard = KeyGuard(followed(path))

    def key(
        self, role: Role = Role.READ, collections: Sequence[str] = (), **quotas: Quota
    ) -> tuple[str, Key]:
        text, key = new_key("shop", role, collections, {Used(name): quota for name, quota in quotas.items()})
        self.put(key)
        return f"Bearer {text}", key

    def put(self, key: Key) -> None:
        change(self.path, lambda keys: {**keys, key.id: key})


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)
    return Door(tmp_path / "keys.json")


def test_without_keys_everybody_may_do_everything_under_the_name_they_claim() -> None:
    caller = OpenDoor().admit("", "nightly")
    caller.check(Role.ADMIN)
    caller.check_collection(None)
    assert caller.name == "nightly" and caller.sees("anything")


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        ("", "the call has no key; send metadata"),
        ("Basic abc", "not of the kind Bearer"),
        ("Bearer", "not of the kind Bearer"),
        ("itemlens_00000000_" + "x" * 43, "not of the kind Bearer"),
        ("Bearer itemlens_00000000_" + "x" * 43, "there is no such key"),
        ("Bearer " + "x" * 60_000, "there is no such key"),
    ],
)
def test_nobody_gets_in_without_a_key(door: Door, authorization: str, why: str) -> None:
    with pytest.raises(Unauthenticated, match=why) as error:
        door.guard.admit(authorization, "admin")
    assert "itemlens keys create" in error.value.message and "xxx" not in error.value.message


def test_the_key_is_the_name_and_not_what_the_caller_claims(door: Door) -> None:
    text, key = door.key()
    assert door.guard.admit(text, "somebody else").name == f"shop ({key.id})"
    assert door.guard.admit(text.replace("Bearer", "bearer"), "").name == f"shop ({key.id})"


@pytest.mark.parametrize("has", list(Role))
@pytest.mark.parametrize("needs", list(Role))
def test_a_role_includes_the_ones_before_it(door: Door, has: Role, needs: Role) -> None:
    caller = door.guard.admit(door.key(has)[0], "")
    if has >= needs:
        caller.check(needs)
    else:
        with pytest.raises(
            PermissionDenied, match=f"the call needs the role {needs.label}; .* has {has.label}"
        ):
            caller.check(needs)


def test_a_scope_is_kept(door: Door) -> None:
    caller = door.guard.admit(door.key(Role.ADMIN, ["shoes", "shop-*"])[0], "")
    caller.check_collection("shop-de")
    assert [caller.sees(name) for name in ("shoes", "bags")] == [True, False]
    with pytest.raises(PermissionDenied, match="is not for collection 'bags', but for 'shoes', 'shop-\\*'"):
        caller.check_collection("bags")
    with pytest.raises(PermissionDenied, match="is not for every collection"):
        caller.check_collection(None)
    door.guard.admit(door.key()[0], "").check_collection(None)


def test_a_change_of_the_key_counts_for_a_caller_who_is_in(door: Door) -> None:
    text, key = door.key(Role.WRITE, ["shoes"])
    caller = door.guard.admit(text, "")
    caller.check(Role.WRITE)
    door.put(replace(key, role=Role.READ, collections=("bags",)))
    with pytest.raises(PermissionDenied):
        caller.check(Role.WRITE)
    caller.check(Role.READ)
    caller.check_collection("bags")
    door.put(replace(key, revoked=datetime.now(UTC)))
    with pytest.raises(Unauthenticated, match="was revoked at"):
        caller.check(Role.READ)
    with pytest.raises(Unauthenticated, match="was revoked at"):
        door.guard.admit(text, "")
    change(door.path, lambda keys: {})
    with pytest.raises(Unauthenticated, match=f"the key {key.id} is gone"):
        caller.check(Role.READ)


def test_a_key_that_is_over_lets_nobody_in(door: Door) -> None:
    text, key = door.key()
    door.put(replace(key, expires=datetime(2020, 1, 1, tzinfo=UTC)))
    with pytest.raises(Unauthenticated, match="expired at 2020-01-01"):
        door.guard.admit(text, "")


def test_a_quota_is_the_keys_whoever_uses_it_and_says_when_to_try_again(door: Door) -> None:
    text, _ = door.key(calls=Quota(2, 3600))
    for _ in range(2):
        caller = door.guard.admit(text, "")
        caller.check(Role.READ)
        caller.spend(Used.CALLS, 1)
    with pytest.raises(QuotaExceeded, match="has used its quota of 2/h calls; try again in 1") as error:
        door.guard.admit(text, "").check(Role.READ)
    assert 1790 < error.value.retry_seconds <= 1800 and error.value.reason == "QUOTA_EXCEEDED"
    door.guard.admit(door.key()[0], "").check(Role.READ)


def test_a_quota_that_changes_counts_for_a_caller_who_is_in_and_debts_stay(door: Door) -> None:
    text, key = door.key(items=Quota(100, 3600))
    caller = door.guard.admit(text, "")
    caller.spend(Used.ITEMS, 150)
    door.put(replace(key, quotas={Used.ITEMS: Quota(200, 3600)}))
    with pytest.raises(QuotaExceeded, match="200/h items"):
        caller.check(Role.READ)
    door.put(replace(key, quotas={}))
    caller.check(Role.READ)
