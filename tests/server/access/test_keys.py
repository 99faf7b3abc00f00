"""API keys: what is kept of them, and whom they let in."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from itemlens_server.access.keys import Key, find, new_key, read_quotas
from itemlens_server.access.quotas import Quota, Used
from itemlens_server.access.roles import Role

TEXT, KEY = new_key(
    "shop", Role.WRITE, ["shoes", "shop-*"], {Used.CALLS: Quota(5, 1)}, datetime(2030, 1, 1, tzinfo=UTC)
)


def test_the_key_is_not_kept() -> None:
    kept = json.dumps(KEY.as_json())
    assert TEXT not in kept and TEXT.rpartition("_")[2] not in kept
    assert len(TEXT.encode()) == 9 + 8 + 1 + 43 and TEXT.isascii()


def test_two_keys_differ_in_id_and_secret() -> None:
    other, about = new_key("shop", Role.WRITE)
    assert other != TEXT and about.id != KEY.id and about.digest != KEY.digest


def test_is_found_by_its_text_alone() -> None:
    other_text, other = new_key("other", Role.READ)
    keys = {KEY.id: KEY, other.id: other}
    assert find(keys, TEXT) is KEY and find(keys, other_text) is other
    for wrong in (
        "",
        TEXT[:-1],
        TEXT + "x",
        TEXT.upper(),
        KEY.id,
        KEY.digest,
        "é" * 60,
        f"itemlens_{KEY.id}_",
    ):
        assert find(keys, wrong) is None
    swapped = TEXT.replace(KEY.id, other.id)
    assert find(keys, swapped) is None and find({}, TEXT) is None


def test_is_written_and_read_without_loss() -> None:
    assert Key.read(json.loads(json.dumps(KEY.as_json()))) == KEY
    plain = new_key("x", Role.READ)[1]
    assert Key.read(plain.as_json()) == plain


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"role": "root"}, "there is no role 'root'; give read, write, admin"),
        ({"sha256": "abc"}, "its sha256 is not 64 hexadecimal digits"),
        ({"sha256": None}, "it has no text 'sha256'"),
        ({"name": ""}, "it has no text 'name'"),
        (
            {"collections": "shoes"},
            "its collections are not a list of names or patterns; null stands for all",
        ),
        ({"collections": [""]}, "its collections are not a list of names"),
        ({"collections": []}, "its collections are not a list of names"),
        ({"collections": ""}, "its collections are not a list of names"),
        ({"collections": ["Shoes"]}, "its collections are not a list of names"),
        ({"quotas": ["calls"]}, "its quotas are not an object"),
        ({"quotas": {"call": "1/s"}}, "there is no quota of 'call'; give calls, tokens, items, bytes"),
        ({"quotas": {"calls": "many"}}, "'many' is not a quota"),
        ({"expires": "tomorrow"}, "'tomorrow' is not a time"),
        ({"collection": ["a"]}, "it has the unknown field 'collection'"),
    ],
)
def test_a_wrong_entry_is_refused_with_the_reason(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError) as error:
        Key.read(KEY.as_json() | change)
    assert why in str(error.value)


@pytest.mark.parametrize("value", [None, [], "key", 3])
def test_what_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="it is not an object"):
        Key.read(value)


def test_covers_its_collections_and_patterns_or_all() -> None:
    assert [KEY.covers(name) for name in ("shoes", "shop-de", "shop-", "Shoes", "shop", "default")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert replace(KEY, collections=()).covers("anything")


def test_lets_nobody_in_once_it_is_revoked_or_over() -> None:
    now = datetime(2029, 1, 1, tzinfo=UTC)
    assert KEY.why_not(now) == ""
    assert KEY.why_not(datetime(2030, 1, 1, tzinfo=UTC)) == "expired at 2030-01-01T00:00:00Z"
    assert "was revoked at 2028" in replace(KEY, revoked=datetime(2028, 1, 1, tzinfo=UTC)).why_not(now)


def test_a_clock_that_was_ahead_when_the_key_was_made_does_not_matter() -> None:
    assert replace(KEY, created=datetime.now(UTC) + timedelta(days=1)).why_not(datetime.now(UTC)) == ""


def test_quotas_are_read_by_what_they_bound() -> None:
    assert read_quotas({"calls": "1/s", "bytes": "1e9/day"}) == {
        Used.CALLS: Quota(1, 1),
        Used.BYTES: Quota(1e9, 86400),
    }
