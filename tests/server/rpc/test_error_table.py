"""The table from errors to gRPC statuses: it has every error class, with its details."""

from __future__ import annotations

import inspect

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from itemlens_server import errors
from itemlens_server.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    NotFound,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    SpaceMismatch,
    StorageFull,
    StreamMoved,
    Unauthenticated,
    Unavailable,
    quoted,
)
from itemlens_server.rpc.errors import CODES, code_of, item_status, status_of

EXPECTED: dict[ItemlensError, int] = {
    InvalidArgument("m", "f"): code_pb2.INVALID_ARGUMENT,
    NotFound("m", "item", "a"): code_pb2.NOT_FOUND,
    AlreadyExists("m"): code_pb2.ALREADY_EXISTS,
    FailedPrecondition("m"): code_pb2.FAILED_PRECONDITION,
    SpaceMismatch("m"): code_pb2.FAILED_PRECONDITION,
    StreamMoved("m"): code_pb2.FAILED_PRECONDITION,
    Aborted("m"): code_pb2.ABORTED,
    Unauthenticated("m"): code_pb2.UNAUTHENTICATED,
    PermissionDenied("m"): code_pb2.PERMISSION_DENIED,
    Overloaded("m", 0.5): code_pb2.RESOURCE_EXHAUSTED,
    QuotaExceeded("m", 0.5): code_pb2.RESOURCE_EXHAUSTED,
    Unavailable("m"): code_pb2.UNAVAILABLE,
    StorageFull("m"): code_pb2.RESOURCE_EXHAUSTED,
    DataLoss("m"): code_pb2.DATA_LOSS,
    DeadlineExceeded("m"): code_pb2.DEADLINE_EXCEEDED,
    Cancelled("m"): code_pb2.CANCELLED,
}

# Clients branch on the reasons: a class may be renamed, its reason may not.
REASONS: dict[type[ItemlensError], str] = {
    InvalidArgument: "INVALID_INPUT",
    NotFound: "NOT_FOUND",
    AlreadyExists: "ALREADY_EXISTS",
    FailedPrecondition: "WRONG_STATE",
    SpaceMismatch: "SPACE_MISMATCH",
    StreamMoved: "STREAM_MOVED",
    Aborted: "CHANGED_MEANWHILE",
    Unauthenticated: "UNAUTHENTICATED",
    PermissionDenied: "PERMISSION_DENIED",
    Overloaded: "OVERLOADED",
    QuotaExceeded: "QUOTA_EXCEEDED",
    Unavailable: "UNAVAILABLE",
    StorageFull: "STORAGE_FULL",
    DataLoss: "DATA_LOSS",
    DeadlineExceeded: "DEADLINE_EXCEEDED",
    Cancelled: "CANCELLED",
}


def classes() -> set[type[ItemlensError]]:
    subclasses = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, ItemlensError)}
    return subclasses - {ItemlensError}


def details(error: ItemlensError) -> dict[str, Message]:
    kinds = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.ResourceInfo,
        error_details_pb2.RetryInfo,
    )
    unpacked: dict[str, Message] = {}
    for packed in status_of(error).details:
        for kind in kinds:
            message = kind()
            if packed.Unpack(message):
                unpacked[kind.__name__] = message
    return unpacked


def test_every_class_of_error_is_expected_here() -> None:
    assert {type(e) for e in EXPECTED} == classes()


def test_every_class_of_error_is_in_the_table_or_has_an_ancestor_there() -> None:
    assert all(any(issubclass(c, known) for known in CODES) for c in classes())


@pytest.mark.parametrize("error", EXPECTED, ids=lambda e: type(e).__name__)
def test_code(error: ItemlensError) -> None:
    assert code_of(error) == status_of(error).code == item_status(error).code == EXPECTED[error]


@pytest.mark.parametrize("error", EXPECTED, ids=lambda e: type(e).__name__)
def test_every_status_names_its_reason(error: ItemlensError) -> None:
    info = details(error)["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.domain == "itemlens"
    assert info.reason == REASONS[type(error)]


def test_bad_input_names_the_field() -> None:
    error = InvalidArgument("is empty", "text").within("contents[2]").within("items[7]")
    bad = details(error)["BadRequest"]
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("items[7].contents[2].text", "is empty")
    ]
    assert "items[7].contents[2].text" in status_of(error).message


def test_what_was_not_found_is_named() -> None:
    resource = details(NotFound("m", "collection", "shop"))["ResourceInfo"]
    assert isinstance(resource, error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("collection", "shop")


@pytest.mark.parametrize(
    "text", ["x" * 60_000, "日" * 60_000, "\x7f%" * 9_000], ids=["ascii", "cjk", "escaped"]
)
def test_whatever_an_error_names_it_fits_into_the_headers(text: str) -> None:
    for error in (InvalidArgument(text, f"items[0].{text}"), NotFound(text, "item", text, text)):
        status = status_of(error)
        escaped = sum(1 if 32 <= byte < 126 and byte != ord("%") else 3 for byte in status.message.encode())
        assert escaped + status.ByteSize() * 4 / 3 < 7_500
        assert item_status(error, text).ByteSize() < 2_000


def test_what_a_message_quotes_is_short() -> None:
    assert quoted("a'b") == repr("a'b")
    assert quoted("x" * 60_000) == "'" + "x" * 95 + "...'"


def test_overload_says_when_to_try_again() -> None:
    error = Overloaded("12 tokens wait", 0.0512)
    retry = details(error)["RetryInfo"]
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 60
    assert status_of(error).message == "12 tokens wait; try again in 0.06 seconds"


@pytest.mark.parametrize(("seconds", "said"), [(0.05, "0.05"), (0.3, "0.3"), (1.5, "1.5"), (2, "2")])
def test_a_round_time_to_wait_stays_as_it_is(seconds: float, said: str) -> None:
    error = Overloaded("full", seconds)
    assert (error.retry_seconds, error.message) == (seconds, f"full; try again in {said} seconds")


def test_a_full_disk_does_not_invite_to_try_again() -> None:
    assert "RetryInfo" not in details(StorageFull("m"))


def test_the_status_of_an_entry_has_its_path() -> None:
    assert item_status(InvalidArgument("m", "text"), "items[3]").field == "items[3].text"
    assert item_status(InvalidArgument("m"), "items[3]").field == "items[3]"
    assert item_status(None, "items[3]").SerializeToString() == b""
