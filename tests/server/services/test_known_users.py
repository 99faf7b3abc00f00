"""Histories that are kept are those of the store, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from itemlens_server.fusion.history import CLICK, Interaction
from itemlens_server.fusion.taken import Taken
from itemlens_server.services import EventRecord, QueryRequest
from itemlens_server.services.known_users import KnownUsers
from support.live import Live
from support.world import TYPE_WEIGHTS


def taken(*item_ids: str) -> Taken:
    return Taken.of([Interaction(i, CLICK) for i in item_ids], TYPE_WEIGHTS)


def never() -> Taken:
    raise AssertionError("read again")


def known_bytes(kept: Taken) -> int:
    """Memory of one user that is kept."""
    alone = KnownUsers(1 << 20)
    alone.get(1, "u", lambda: kept)
    return alone._known.bytes


@pytest.fixture
def known() -> KnownUsers:
    return KnownUsers(1 << 20)


def test_a_user_is_read_once(known: KnownUsers) -> None:
    first = known.get(1, "u", lambda: taken("a"))
    assert known.get(1, "u", never) is first
    assert known.get(1, "v", lambda: taken("b")).past.item_ids == ("b",)
    assert known.get(2, "u", lambda: taken("c")).past.item_ids == ("c",)


def test_what_was_written_is_read_again(known: KnownUsers) -> None:
    known.get(1, "u", lambda: taken("a"))
    known.get(1, "v", lambda: taken("b"))
    known.forget(1, ["u", "u", "nobody"])
    assert known.get(1, "u", lambda: taken("a", "new")).seen == {"a", "new"}
    known.get(1, "v", never)


def test_what_was_read_before_a_write_is_not_kept_after_it(known: KnownUsers) -> None:
    def read() -> Taken:
        before = taken("a")
        known.forget(1, ["u"])  # a write ends while the history is being read
        return before

    assert known.get(1, "u", read).seen == {"a"}
    assert known.get(1, "u", lambda: taken("a", "new")).seen == {"a", "new"}
    assert not known._reading


def test_the_users_of_a_deleted_collection_are_dropped(known: KnownUsers) -> None:
    known.get(1, "u", lambda: taken("a"))
    known.get(1, "v", lambda: taken("b"))
    kept = known.get(2, "u", lambda: taken("c"))
    known.forget_collection(1)
    assert known.get(2, "u", never) is kept
    assert known._known.bytes == known_bytes(kept)


def test_a_read_of_a_deleted_collection_is_not_kept(known: KnownUsers) -> None:
    def read() -> Taken:
        before = taken("a")
        known.forget_collection(1)  # the collection is deleted while the history is being read
        return before

    assert known.get(1, "u", read).seen == {"a"}
    # A call that began before the deletion may read after it what is not deleted yet.
    known.get(1, "v", lambda: taken("b"))
    assert known._known.bytes == 0


def test_a_read_that_fails_leaves_nothing_behind(known: KnownUsers) -> None:
    def fails() -> Taken:
        raise OSError

    with pytest.raises(OSError):
        known.get(1, "u", fails)
    assert not known._reading and known.get(1, "u", lambda: taken("a")).seen == {"a"}


def test_the_oldest_users_are_dropped_where_memory_ends() -> None:
    known = KnownUsers(3000)
    for n in range(20):
        known.get(1, f"u{n}", lambda: taken("a", "b"))
    assert known._known.bytes <= 3000
    known.get(1, "u19", never)
    with pytest.raises(AssertionError, match="read again"):
        known.get(1, "u0", never)


def test_without_memory_every_call_reads() -> None:
    known, calls = KnownUsers(0), list[int]()

    def read() -> Taken:
        calls.append(1)
        return taken("a")

    known.get(1, "u", read)
    known.get(1, "u", read)
    assert len(calls) == 2


class TestAList:
    """Of a user that was asked for before."""

    @pytest.fixture
    def warm(self, live: Live) -> Live:
        for n, text in enumerate(("red shoe", "trail shoe", "blue dress", "silk gown", "steel kettle")):
            live.put(f"i{n}", text)
        live.record(("u", "i0", 5))
        live.ask(QueryRequest(user_id="u"))
        return live

    def ids(self, live: Live) -> set[str]:
        return {i.item_id for i in live.ask(QueryRequest(user_id="u"), k=5).items}

    @pytest.mark.parametrize(
        "write",
        [
            lambda live: live.record(("u", "i1", 5)),
            lambda live: live.catalogue.record("", [EventRecord("x", "u", "i1", 7, 9e8)]),
        ],
        ids=["event", "dislike"],
    )
    def test_shows_what_was_written(self, warm: Live, write: Callable[[Live], object]) -> None:
        assert "i1" in self.ids(warm)
        write(warm)
        assert "i1" not in self.ids(warm)

    def test_forgets_a_deleted_user(self, warm: Live) -> None:
        warm.delete_user("u")
        warm.record(("u", "i2", 5))
        assert self.ids(warm) == {"i0", "i1", "i3", "i4"}

    def test_forgets_the_users_of_a_deleted_collection(self, warm: Live) -> None:
        assert warm.catalogue.known_users._known.bytes
        warm.catalogue.delete(warm.collection.name)
        assert warm.catalogue.known_users._known.bytes == 0

    def test_forgets_a_user_whose_deletion_fails_half_way(
        self, warm: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delete = warm.catalogue.store.delete

        def fails(*given: Any) -> Any:
            delete(*given)
            raise OSError("the disk is gone")

        monkeypatch.setattr(warm.catalogue.store, "delete", fails)
        with pytest.raises(OSError):
            warm.delete_user("u")
        assert not warm.ask(QueryRequest(user_id="u")).says_wanted

    def test_with_a_history_of_the_call_adds_to_the_users(self, warm: Live) -> None:
        request = QueryRequest(user_id="u", history=[Interaction("i4", CLICK)])
        assert {i.item_id for i in warm.ask(request, k=5).items} == {"i1", "i2", "i3"}
        assert "i4" in self.ids(warm)
