"""Page tokens: each leads on in its own list, and is refused in every other one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens_server.attributes.parser import parse
from itemlens_server.errors import InvalidArgument
from itemlens_server.rpc.pages import LONGEST_TOKEN, Listing

ITEMS = Listing("ListItems", (7, parse("price < 60")))


def refused(listing: Listing, token: str) -> bool:
    try:
        listing.after(token)
    except InvalidArgument as error:
        assert error.field == "page_token" and "not a page token of this list" in error.message
        return True
    return False


@given(st.binary(min_size=1, max_size=1024))
def test_a_token_holds_its_key(key: bytes) -> None:
    token = ITEMS.token(key)
    assert ITEMS.after(token) == key and set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert len(token) <= LONGEST_TOKEN


def test_no_token_is_the_first_page() -> None:
    assert ITEMS.after("") == b""


def test_a_token_is_of_its_list_alone() -> None:
    token = ITEMS.token(b"boots")
    same = Listing("ListItems", (7, parse("price  <  60")))
    assert same.after(token) == b"boots"
    for other in (
        Listing("ListItems", (8, parse("price < 60"))),
        Listing("ListItems", (7, None)),
        Listing("ListItems", (7, parse("price < 60.000001"))),
        Listing("ListItems", (7, parse("not price < 60"))),
        Listing("ListEvents", (7, parse("price < 60"))),
    ):
        assert refused(other, token)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = ITEMS.token(b"boots")
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.characters(exclude_characters=token[at]))
    assert refused(ITEMS, token[:at] + letter + token[at + 1 :])
    assert refused(ITEMS, token[:at] + token[at + 1 :])


@pytest.mark.parametrize("token", ["5", "f" * 15, "0x10", " ", "٣", "=", "A", "\ud800", "x" * 1_000_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(ITEMS, token)
