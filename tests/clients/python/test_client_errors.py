"""Typed errors, retries and deadlines, for both clients."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

import itemlens
from itemlens import ErrorDetails, ItemlensError, Retry, _retry
from itemlens._retry import Deadline
from itemlens._steps import Call, Session, Sleep, call
from itemlens.v1 import itemlens_pb2
from support.fake_server import QUICK, Connect, Fake

StatusCode = grpc.StatusCode
# If this client did not cancel the call, an overloaded server or proxy did.
RETRIED = {StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED, StatusCode.CANCELLED}
CLASSES = {
    StatusCode.INVALID_ARGUMENT: itemlens.InvalidArgument,
    StatusCode.OUT_OF_RANGE: itemlens.InvalidArgument,
    StatusCode.NOT_FOUND: itemlens.NotFound,
    StatusCode.ALREADY_EXISTS: itemlens.AlreadyExists,
    StatusCode.FAILED_PRECONDITION: itemlens.FailedPrecondition,
    StatusCode.ABORTED: itemlens.Aborted,
    StatusCode.RESOURCE_EXHAUSTED: itemlens.Overloaded,
    StatusCode.UNAVAILABLE: itemlens.Unavailable,
    StatusCode.DEADLINE_EXCEEDED: itemlens.DeadlineExceeded,
    StatusCode.CANCELLED: itemlens.Unavailable,
    StatusCode.PERMISSION_DENIED: itemlens.PermissionDenied,
    StatusCode.UNAUTHENTICATED: itemlens.Unauthenticated,
    StatusCode.UNIMPLEMENTED: itemlens.Unimplemented,
    StatusCode.INTERNAL: itemlens.ServerError,
    StatusCode.UNKNOWN: itemlens.ServerError,
    StatusCode.DATA_LOSS: itemlens.ServerError,
}


def retry_info(seconds: float) -> Any:
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


@pytest.mark.parametrize("code", [code for code in StatusCode if code is not StatusCode.OK])
def test_each_code_has_its_class(client: Any, fake: Fake, code: StatusCode) -> None:
    fake.fail("Recommend", code, times=QUICK.attempts)
    with pytest.raises(itemlens.ItemlensError) as raised:
        client.recommend("ann")
    assert type(raised.value) is CLASSES[code]
    assert raised.value.code is (StatusCode.UNAVAILABLE if code is StatusCode.CANCELLED else code)
    assert raised.value.message == "told to fail"
    assert isinstance(raised.value.__cause__, grpc.RpcError)
    assert len(fake.asked("Recommend")) == (QUICK.attempts if code in RETRIED else 1)


def test_details_are_read(client: Any, fake: Fake) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="user.history[0].item_id", description="is empty")
    info = error_details_pb2.ErrorInfo(reason="EMPTY_ID", domain="itemlens", metadata={"limit": "256"})
    resource = error_details_pb2.ResourceInfo(resource_type="collection", resource_name="shop")
    fake.fail("Recommend", StatusCode.INVALID_ARGUMENT, bad, info, resource)
    with pytest.raises(itemlens.InvalidArgument) as raised:
        client.recommend("ann")
    error = raised.value
    assert error.violations == (itemlens.FieldViolation("user.history[0].item_id", "is empty"),)
    assert (error.details.reason, error.details.metadata) == ("EMPTY_ID", {"limit": "256"})
    assert (error.details.resource_type, error.details.resource_name) == ("collection", "shop")
    assert error.details.retry_seconds is None
    assert str(error) == "INVALID_ARGUMENT: told to fail (user.history[0].item_id)"


def test_errors_can_be_pickled() -> None:
    details = ErrorDetails(reason="X", retry_seconds=2.0)
    for error in (
        itemlens.Overloaded("full", None, details),
        itemlens.PartialFailure([(3, itemlens.NotFound("gone"))], 4),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), copy.code) == (type(error), str(error), error.code)
        assert copy.details == error.details


@pytest.mark.parametrize("code", sorted(RETRIED, key=str))
def test_a_call_is_tried_again_until_it_succeeds(client: Any, fake: Fake, code: StatusCode) -> None:
    fake.fail("UpsertItems", code, times=QUICK.attempts - 1)
    client.upsert([itemlens.Item("a", texts={"title": "x"})]).raise_for_errors()
    assert len(fake.asked("UpsertItems")) == QUICK.attempts


def test_a_change_on_a_condition_is_not_made_twice(client: Any, fake: Fake) -> None:
    fake.fail("UpdateItems", StatusCode.UNAVAILABLE)
    client.update_items([itemlens.ItemUpdate("a", set={"price": 1})]).raise_for_errors()
    assert len(fake.asked("UpdateItems")) == 2
    fake.fail("UpdateItems", StatusCode.UNAVAILABLE)
    with pytest.raises(itemlens.Unavailable):
        client.update_items([itemlens.ItemUpdate("a", set={"price": 1}, if_sequence_number=3)])
    assert len(fake.asked("UpdateItems")) == 3


def test_every_try_sends_the_same_event_ids(client: Any, fake: Fake) -> None:
    fake.fail("RecordEvents", StatusCode.UNAVAILABLE)
    client.record_events([itemlens.Event("ann", "a")])
    first, second = fake.asked("RecordEvents")
    assert first == second


def test_one_attempt_means_no_retry(connect: Connect, fake: Fake) -> None:
    fake.fail("Recommend", StatusCode.UNAVAILABLE)
    with pytest.raises(itemlens.Unavailable):
        connect(retry=Retry(attempts=1)).recommend("ann")
    assert len(fake.asked("Recommend")) == 1


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of deadlines."""
    clock = Clock()
    monkeypatch.setattr(_retry, "time", clock)
    return clock


@dataclass
class Run:
    """One operation performed without a server: its calls, waits and outcome."""

    timeouts: list[float | None] = field(default_factory=list)
    """Of each try."""
    waits: list[float] = field(default_factory=list)
    error: ItemlensError | None = None

    @classmethod
    def of(cls, clock: Clock, answers: Iterator[ItemlensError | None], timeout: float, retry: Retry) -> Run:
        """A call whose tries fail as `answers` says, each after 0.1 s; waits pass on the clock alone."""
        run, reply = cls(), itemlens_pb2.RecommendResponse()
        session = Session(timeout, retry, "default", "")
        deadline = session.deadline(None)
        steps = call(session, "Recommend", itemlens_pb2.RecommendRequest(), type(reply), deadline)
        step = next(steps)
        try:
            while True:
                match step:
                    case Call(timeout=left):
                        run.timeouts.append(left)
                        clock.now += 0.1
                        answer = next(answers)
                        step = steps.throw(answer) if answer else steps.send(reply)
                    case Sleep(seconds):
                        run.waits.append(seconds)
                        clock.now += seconds
                        step = steps.send(None)
        except StopIteration:
            pass
        except ItemlensError as error:
            run.error = error
        return run


def busy(retry_seconds: float) -> itemlens.Overloaded:
    return itemlens.Overloaded("full", details=ErrorDetails(retry_seconds=retry_seconds))


def test_the_servers_retry_delay_is_waited_for(clock: Clock) -> None:
    run = Run.of(clock, iter([busy(0.4), None]), timeout=10, retry=QUICK)
    assert run.error is None and len(run.timeouts) == 2
    [wait] = run.waits
    assert 0.4 <= wait <= 0.4 + QUICK.initial / 2


def test_the_servers_retry_delay_is_read_from_its_answer(connect: Connect, fake: Fake) -> None:
    fake.fail("Recommend", StatusCode.RESOURCE_EXHAUSTED, retry_info(60))
    with pytest.raises(itemlens.Overloaded) as raised:
        connect(timeout=30.0).recommend("ann")
    assert raised.value.details.retry_seconds == 60
    assert len(fake.asked("Recommend")) == 1  # a wait of 60 seconds would exceed the timeout


def test_a_wait_past_the_deadline_is_not_begun(clock: Clock) -> None:
    run = Run.of(clock, iter([busy(60)]), timeout=5, retry=QUICK)
    assert run.waits == [] and isinstance(run.error, itemlens.Overloaded)


def test_retries_share_one_deadline(clock: Clock) -> None:
    always = iter(lambda: itemlens.Unavailable(), None)
    run = Run.of(clock, always, timeout=1.0, retry=Retry(attempts=100, initial=0.05, maximum=0.05))
    assert isinstance(run.error, itemlens.Unavailable)
    assert run.timeouts[0] == 1.0
    # Each try takes 0.1 s and each wait 0.025 to 0.05 s of the one second.
    assert 6 <= len(run.timeouts) <= 9 and clock.now <= 101.1
    timeouts = cast(list[float], run.timeouts)
    assert timeouts == sorted(timeouts, reverse=True) and timeouts[-1] < 0.3


@pytest.mark.parametrize(("settings", "timeout"), [({"timeout": 0.2}, None), ({}, 0.2)])
def test_a_slow_answer_is_a_deadline_error(
    connect: Connect, fake: Fake, settings: dict[str, float], timeout: float | None
) -> None:
    fake.held = threading.Event()
    try:
        with pytest.raises(itemlens.DeadlineExceeded):
            connect(**settings).recommend("ann", timeout=timeout)
    finally:
        fake.held.set()
    assert len(fake.asked("Recommend")) <= 1


def test_a_call_is_cancelled_by_closing_the_client_and_not_tried_again(fake: Fake, address: str) -> None:
    fake.held = threading.Event()
    client = itemlens.Client(address, retry=QUICK)

    def close() -> None:
        fake.entered.wait(30)
        client.close()

    closing = threading.Thread(target=close)
    closing.start()
    try:
        with pytest.raises(itemlens.Cancelled):
            client.recommend("ann")
    finally:
        fake.held.set()
        closing.join()
    assert len(fake.asked("Recommend")) == 1


def test_an_infinite_timeout_means_no_deadline(connect: Connect, fake: Fake) -> None:
    connect(timeout=float("inf")).recommend("ann")
    assert fake.deadlines[0] is None or fake.deadlines[0] > 1e6


def test_an_unrepeatable_call_is_not_repeated(client: Any, fake: Fake) -> None:
    fake.fail("CreateCollection", StatusCode.UNAVAILABLE)
    with pytest.raises(itemlens.Unavailable):
        client.create_collection("shop")
    fake.fail("CreateCollection", StatusCode.UNAVAILABLE)
    client.create_collection("shop", allow_existing=True)
    fake.fail("DeleteCollection", StatusCode.CANCELLED)  # cancelled on the way, so it may have been executed
    with pytest.raises(itemlens.Unavailable):
        client.delete_collection("shop")
    fake.fail("DeleteCollection", StatusCode.RESOURCE_EXHAUSTED)  # refused, so it was not executed
    client.delete_collection("shop")
    assert len(fake.asked("CreateCollection")) == 3
    assert len(fake.asked("DeleteCollection")) == 3


def test_no_server_is_unavailable() -> None:
    with (
        itemlens.Client("127.0.0.1:1", retry=Retry(attempts=2, initial=0.01)) as client,
        pytest.raises(itemlens.Unavailable),
    ):
        client.space()


def test_waits_grow_to_the_maximum_and_differ() -> None:
    retry, error = Retry(attempts=10_000, initial=1, multiplier=2, maximum=16), itemlens.Unavailable()
    for failures, most in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 16), (5000, 16)]:
        waits = [retry.wait(failures, error) for _ in range(50)]
        assert all(wait is not None and most / 2 <= wait <= most for wait in waits)
        assert len(set(waits)) > 40


def test_a_message_that_is_too_large_is_not_sent_again() -> None:
    error = itemlens.Overloaded("SERVER: Received message larger than max (5 vs. 4)")
    assert Retry().wait(1, error) is None


def test_a_full_store_is_not_retried() -> None:
    details = itemlens.ErrorDetails(reason="STORAGE_FULL", retry_seconds=None)
    assert itemlens.Retry().wait(1, itemlens.Overloaded("the store cannot grow", details=details)) is None


@pytest.mark.parametrize("settings", [{"attempts": 0}, {"initial": -1}, {"maximum": -1}, {"multiplier": 0.5}])
def test_settings_of_retry_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Retry needs"):
        Retry(**settings)


def test_a_deadline_counts_down(clock: Clock) -> None:
    deadline = Deadline(5)
    clock.now += 3
    assert deadline.left() == 2
    assert deadline.allows(1.9) and not deadline.allows(2)
    clock.now += 3
    assert deadline.left() == 0
    assert Deadline(float("inf")).left() is None
