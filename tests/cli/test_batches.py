"""Many ids in calls that a server takes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itemlens import Client, InvalidArgument
from itemlens_cli.batches import batches, with_pictures


@given(st.lists(st.integers()), st.integers(1, 20))
def test_batches_have_all_entries_in_order_and_are_full_but_for_the_last(
    entries: list[int], size: int
) -> None:
    some = list(batches(entries, size))
    assert [entry for batch in some for entry in batch] == entries
    assert all(len(batch) == size for batch in some[:-1]) and all(some)


class Limited:
    """A client of a server whose messages hold the pictures of so many items."""

    def __init__(self, most: int) -> None:
        self._most = most

    def get_items(self, ids: list[str], *, pictures: bool) -> list[Any]:
        assert pictures
        if not 0 < len(ids) <= self._most:
            raise InvalidArgument("together they are larger than a message")
        return list(ids)


def limited(most: int) -> Client:
    return cast(Client, Limited(most))


@pytest.mark.parametrize("most", [1, 3, 64])
def test_pictures_that_are_larger_than_a_message_are_read_in_parts(most: int) -> None:
    ids = [f"item-{n}" for n in range(64)]
    found: list[object] = list(with_pictures(limited(most), ids))
    assert found == ids


@pytest.mark.parametrize("ids", [[], ["a"]])
def test_what_is_refused_alone_is_told(ids: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="larger"):
        list(with_pictures(limited(0), ids))
