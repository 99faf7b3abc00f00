"""Bulk uploads over a stream, for both clients."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import itemlens
from itemlens import Event, Item
from support.fake_server import QUICK, Connect, Failure, Fake


def items(count: int) -> Iterator[Item]:
    return (Item(f"i{n}", text=f"item {n}") for n in range(count))


def sent_ids(fake: Fake) -> list[list[str]]:
    return [[item.item_id for item in request.upsert.items] for request in fake.asked("StreamUpsertItems")]


def test_everything_arrives_in_batches(client: Any, fake: Fake) -> None:
    seen: list[itemlens.Progress] = []
    report = client.upload(items(10), batch_size=4, merge=True, collection="shop", progress=seen.append)
    assert report.written == 10
    assert (report.failed, report.warned, report.resumed) == ((), (), 0)
    assert report.sequence_number > 0
    assert [len(ids) for ids in sent_ids(fake)] == [4, 4, 2]
    requests = fake.asked("StreamUpsertItems")
    assert all(request.upsert.merge and request.upsert.collection == "shop" for request in requests)
    assert [(progress.done, progress.total) for progress in seen] == [(4, None), (8, None), (10, None)]
    assert fake.streams == 1


def test_nothing_to_upload_opens_no_stream(client: Any, fake: Fake) -> None:
    assert client.upload([]).written == 0
    assert fake.streams == 0


def test_bad_items_are_reported_and_the_rest_is_stored(client: Any, fake: Fake, tmp_path: Path) -> None:
    lost = Item("lost", picture=tmp_path / "none.jpg")
    huge = Item("huge", picture=bytes(49 << 20))
    given = [Item("a", text="x"), Item("bad", text="x"), lost, huge, Item("long", text="x")]
    report = client.upload(given)
    assert report.written == 2
    assert {result.id: type(result.error) for result in report.failed} == dict.fromkeys(
        ("lost", "huge", "bad"), itemlens.InvalidArgument
    )
    [unreadable] = [result.error for result in report.failed if result.id == "lost"]
    assert unreadable is not None and unreadable.details.reason == "UNREADABLE_FILE"
    assert "the picture file cannot be read" in str(unreadable) and "none.jpg" in str(unreadable)
    assert report.warning_counts() == {"TEXT_TRUNCATED": 1}
    assert set(fake.items) == {"a", "long"}
    with pytest.raises(itemlens.PartialFailure, match="3 of 3"):
        report.raise_for_errors()


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED],
)
def test_an_upload_resumes_after_a_break(client: Any, fake: Fake, code: grpc.StatusCode) -> None:
    fake.break_after = deque([2, 0, 3])
    fake.break_with = Failure(code)
    report = client.upload(items(20), batch_size=2)
    assert report.written == 20
    assert report.resumed == 3
    assert fake.streams == 4
    assert list(fake.items) == [f"i{n}" for n in range(20)]  # in order, and from the last acknowledged on
    assert len(sent_ids(fake)) < 20


def test_a_break_without_any_progress_gives_up(client: Any, fake: Fake) -> None:
    fake.break_after = deque([1] + [0] * 20)
    with pytest.raises(itemlens.Unavailable) as raised:
        client.upload(items(20), batch_size=2)
    assert fake.streams == 1 + QUICK.attempts - 1
    assert "2 entries were acknowledged" in raised.value.__notes__[0]


def test_a_permanent_error_ends_the_upload(client: Any, fake: Fake) -> None:
    fake.break_after = deque([1, 0, 0])
    fake.break_with = Failure(grpc.StatusCode.NOT_FOUND)
    with pytest.raises(itemlens.NotFound):
        client.upload(items(20), batch_size=2)
    assert fake.streams <= 2  # grpc.aio may lose the first status; the second stream has it


def test_items_without_room_are_sent_again(client: Any, fake: Fake) -> None:
    fake.refuse = deque(["i1", "i5", "i1"])
    report = client.upload(items(8), batch_size=4, in_flight=1)
    assert report.written == 8
    assert report.failed == ()
    assert set(fake.items) == {f"i{n}" for n in range(8)}
    assert sent_ids(fake).count(["i1"]) == 2


def test_a_refused_request_is_the_error_of_all_its_items(
    client: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(ids: list[str]) -> list[Any]:
        return Fake._results(fake, ["bad"])[:1] if "i0" in ids else Fake._results(fake, ids)

    monkeypatch.setattr(fake, "_results", refused)
    original = fake._upsert

    def anonymous(request: Any) -> Any:
        if request.items[0].item_id != "i0":
            return original(request)
        reply = type(original(type(request)()))()
        reply.results.extend(refused(["i0"]))
        reply.results[0].id = ""
        return reply

    monkeypatch.setattr(fake, "_upsert", anonymous)
    report = client.upload(items(4), batch_size=2)
    assert [result.id for result in report.failed] == ["i0", "i1"]
    assert report.written == 2


def test_the_source_is_read_as_it_is_needed(client: Any, fake: Fake) -> None:
    read = 0
    ahead: list[int] = []

    def counted() -> Iterator[Item]:
        nonlocal read
        for item in items(60):
            read += 1
            yield item

    def progress(now: itemlens.Progress) -> None:
        ahead.append(read - now.done)

    client.upload(counted(), batch_size=2, in_flight=3, progress=progress)
    assert len(ahead) == 30
    assert max(ahead) <= 2 * 3


def test_the_source_is_read_by_the_callers_thread_and_its_error_comes_through(
    client: Any, fake: Fake
) -> None:
    threads = set()

    def broken() -> Iterator[Item]:
        for item in items(9):
            threads.add(threading.current_thread())
            yield item
        raise RuntimeError("the file ended")

    with pytest.raises(RuntimeError, match="the file ended"):
        client.upload(broken(), batch_size=2)
    assert threads == {threading.current_thread()}


def test_a_batch_closes_before_it_is_too_large(client: Any, fake: Fake) -> None:
    given = [Item(f"i{n}", picture=bytes(3 << 20)) for n in range(7)]
    assert client.upload(given).written == 7
    assert [len(ids) for ids in sent_ids(fake)] == [3, 3, 1]


def test_an_id_that_comes_again_begins_a_batch(client: Any, fake: Fake) -> None:
    given = [Item(id, texts={"title": f"{n}"}) for n, id in enumerate("abacc")]
    assert client.upload(given, merge=True).written == 5
    assert sent_ids(fake) == [["a", "b"], ["a", "c"], ["c"]]


def test_a_silent_server_ends_the_upload_after_the_timeout(client: Any, fake: Fake) -> None:
    fake.held = threading.Event()  # without a timeout it would wait 30 seconds and store the item
    try:
        with pytest.raises(itemlens.DeadlineExceeded, match=r"0\.3 seconds"):
            client.upload([Item("a", texts={"title": "x"})], timeout=0.3)
        assert fake.items == {}
    finally:
        fake.held.set()


def test_events_in_bulk(client: Any, fake: Fake) -> None:
    fake.break_after = deque([1])
    given = [Event("ann", f"i{n}", "view", event_id=f"e{n}") for n in range(25)]
    report = client.upload_events(given, batch_size=10)
    assert (report.written, report.resumed) == (25, 1)
    assert set(fake.events) == {f"e{n}" for n in range(25)}


def test_progress_can_be_a_line_on_stderr(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    client.upload(list(items(3)), batch_size=2, progress=True)
    assert capsys.readouterr().err.split("\r")[-1].startswith("3 of 3 uploaded")


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"in_flight": 0}])
def test_sizes_are_checked(connect: Connect, settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        connect().upload(items(1), **settings)


def test_updates_resume_in_their_order_and_may_repeat_an_item(client: Any, fake: Fake) -> None:
    fake.break_after = deque([2])
    updates = [itemlens.ItemUpdate(f"i{n % 2}", set={"price": n}) for n in range(10)]
    report = client.upload_updates([*updates, itemlens.ItemUpdate("bad")], batch_size=3, collection="shop")
    assert (report.written, report.resumed, [result.id for result in report.failed]) == (10, 1, ["bad"])
    sent = [request.update for request in fake.asked("StreamUpdateItems")]
    assert all(request.collection == "shop" for request in sent)
    prices = [
        [update.attributes["price"] for update in request.updates if update.attributes] for request in sent
    ]
    assert prices[-2:] == [[6, 7, 8], [9]] and [0, 1, 2] in prices
