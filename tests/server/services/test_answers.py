"""Answers are remembered: in the background, within bounds, and not longer than their user and collection."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from itemlens_server.config import Settings
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.errors import FailedPrecondition, InvalidArgument, StorageFull
from itemlens_server.services import answers as module
from itemlens_server.services.answers import Answers
from itemlens_server.services.query import QueryRequest
from itemlens_server.services.results import RecommendResult
from itemlens_server.storage.answers import FILE, AnswerFile, AnswerRecord, read
from itemlens_server.storage.store import Store
from support.live import Live
from support.spaces import Tiny
from support.waiting import until


@pytest.fixture
def filled(live: Live) -> Live:
    for n in range(5):
        live.put(f"i{n}", ("red shoe", "blue dress")[n % 2])
    live.record(("u", "i0", 5), ("v", "i1", 5))
    return live


def kept(live: Live, collection: str = "") -> list[AnswerRecord]:
    """What is on disk of a collection after all that waits is written."""
    live.catalogue.answers.forget([])
    return list(read(live.data, live.catalogue.collection(collection).record.id))


class TestAnAnswer:
    def test_is_kept_as_it_was_given(self, filled: Live) -> None:
        before = time.time()
        result = filled.ask(QueryRequest(user_id="u"), k=3, surface="home")
        [record] = kept(filled)
        assert record.recommendation_id == result.recommendation_id
        assert (record.user_id, record.surface, record.space_id) == ("u", "home", filled.space_id)
        assert record.item_ids == tuple(i.item_id for i in result.items)
        assert record.scores == pytest.approx([i.score for i in result.items])
        assert before - 0.002 < record.time < time.time()

    def test_has_an_id_that_events_may_carry(self, filled: Live) -> None:
        result = filled.ask(QueryRequest(user_id="u"))
        filled.catalogue.ids.check(result.recommendation_id, filled.collection.record.id)

    def test_needs_neither_a_user_nor_a_surface(self, filled: Live) -> None:
        filled.ask(QueryRequest(liked=["i0"]))
        assert [(a.user_id, a.surface) for a in kept(filled)] == [("", "")]

    @pytest.mark.parametrize("surface", ["Home", "a b", "x" * 65, "über", "a\n"])
    def test_of_no_valid_surface_is_refused(self, filled: Live, surface: str) -> None:
        with pytest.raises(InvalidArgument, match="not a valid name") as refused:
            filled.ask(QueryRequest(user_id="u"), surface=surface)
        assert refused.value.field == "surface" and kept(filled) == []

    def test_is_on_disk_within_a_moment(self, filled: Live) -> None:
        filled.ask(QueryRequest(user_id="u"))
        until(lambda: list(read(filled.data, filled.collection.record.id)), "it was written")

    def test_survives_a_restart_and_its_id_too(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        first = Live(repository, tmp_path, tiny.fitted)
        first.put("i0", "red shoe")
        asked = first.ask(QueryRequest(liked=["i0"]), exclude_seen=False).recommendation_id
        first.close()
        second = Live(repository, tmp_path, tiny.fitted)
        assert [a.recommendation_id for a in kept(second)] == [asked]
        second.catalogue.ids.check(asked, second.collection.record.id)
        second.close()


class TestForgetting:
    def test_deletes_those_to_a_user_that_still_wait(self, filled: Live) -> None:
        for user_id in "uvu":
            filled.ask(QueryRequest(user_id=user_id))
        filled.delete_user("u")
        assert [a.user_id for a in read(filled.data, filled.collection.record.id)] == ["v"]

    def test_finds_those_to_a_visitor_who_became_the_user(self, filled: Live) -> None:
        for user_id in ("visitor", "v"):
            filled.ask(QueryRequest(user_id=user_id, liked=["i2"]))
        filled.catalogue.event_changes.merge(filled.catalogue.collections(), "visitor", "u")
        assert [a.user_id for a in read(filled.data, filled.collection.record.id)] == ["u", "v"]
        filled.delete_user("u")
        assert [a.user_id for a in read(filled.data, filled.collection.record.id)] == ["v"]

    def test_is_over_before_a_deletion_of_a_collection_is_answered(self, filled: Live) -> None:
        number = filled.collection.record.id
        filled.ask(QueryRequest(user_id="u"))
        filled.catalogue.delete("default")
        assert list(read(filled.data, number)) == []

    def test_reaches_an_answer_that_is_being_computed(
        self, filled: Live, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recommender = filled.use_cases.recommender
        computed, deleted = threading.Event(), threading.Event()
        recommend = type(recommender)._recommend

        def slow(*args: Any) -> RecommendResult:
            result = recommend(*args)
            computed.set()
            deleted.wait(10)
            return result

        monkeypatch.setattr(type(recommender), "_recommend", slow)
        asking = threading.Thread(target=lambda: filled.ask(QueryRequest(user_id="u")))
        asking.start()
        computed.wait(10)
        filled.delete_user("u")
        deleted.set()
        asking.join()
        assert kept(filled) == []

    def test_of_a_collection_is_made_up_for_at_the_next_start(
        self, repository: ModelRepository, tiny: Tiny, tmp_path: Path
    ) -> None:
        first = Live(repository, tmp_path, tiny.fitted)
        first.put("i0", "red shoe")
        first.catalogue.answers.add(answer(0, collection=77))
        first.close()
        assert list(read(tmp_path, 77))
        Live(repository, tmp_path, tiny.fitted).close()
        assert list(read(tmp_path, 77)) == []


def answer(n: int, collection: int = 1, length: int = 3) -> AnswerRecord:
    return AnswerRecord(f"{n:040x}", collection, "u", "", time.time(), "sp", ("a",) * length, (0.0,) * length)


class TestBounds:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(tmp_path)

    def test_a_disk_that_does_not_follow_costs_answers_but_no_time(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        go = threading.Event()
        write = AnswerFile.write
        monkeypatch.setattr(AnswerFile, "write", lambda file, records: (go.wait(20), write(file, records)))
        monkeypatch.setattr(module, "MOST_WAITING_ITEMS", 300)
        monkeypatch.setattr(module, "BATCH_SECONDS", 0.0)
        answers = Answers(store, [1], Settings())
        answers.add(answer(0))
        until(lambda: not answers._waiting, "it was taken")
        began = time.monotonic()
        for n in range(1, 1001):
            answers.add(answer(n))
        assert time.monotonic() - began < 5
        assert answers.dropped == 900
        assert caplog.text.count("were not kept") == 1
        go.set()
        answers.close()
        assert len(list(read(store.directory, 1))) == 101
        store.close()

    def test_a_full_disk_costs_answers_and_refuses_deletions(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StorageFull("the store cannot grow")

        monkeypatch.setattr(AnswerFile, "_run", full)
        answers = Answers(store, [1], Settings())
        answers.add(answer(0))
        with pytest.raises(StorageFull):
            answers.forget([1], "u")
        assert answers.dropped == 1
        answers.close()
        store.close()

    def test_an_answer_of_another_time_goes(self, store: Store) -> None:
        answers = Answers(store, [1], Settings(answers_days=0.5))
        old = answer(0)
        answers.add(AnswerRecord(old.recommendation_id, 1, "u", "", old.time - 50_000, "sp", (), ()))
        answers.add(answer(1))
        answers.close()
        assert [a.recommendation_id for a in read(store.directory, 1)] == [answer(1).recommendation_id]
        store.close()

    @pytest.mark.parametrize("settings", [Settings(answers_bytes=0), Settings(answers_days=0)])
    def test_without_room_nothing_is_kept_nor_left(self, store: Store, settings: Settings) -> None:
        before = Answers(store, [1], Settings())
        before.add(answer(0))
        before.close()
        answers = Answers(store, [1], settings)
        answers.add(answer(1))
        answers.forget([1])
        answers.close()
        assert not answers.on and not list(store.directory.glob(f"{FILE}*"))
        store.close()

    def test_a_file_that_cannot_be_opened_is_not_ignored(self, store: Store) -> None:
        (store.directory / FILE).mkdir()
        with pytest.raises(FailedPrecondition, match=r"cannot be opened .* delete it"):
            Answers(store, [1], Settings())
        store.close()

    def test_a_folder_that_takes_no_new_file_costs_answers_only(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def refused(*_: object) -> int:
            raise OSError("no space left")

        monkeypatch.setattr(os, "open", refused)
        answers = Answers(store, [1], Settings())
        monkeypatch.undo()
        assert not answers.on and "answers are not kept" in caplog.text
        answers.close()
        store.close()
