"""The blocking client."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from ._catalog import BlockingCatalog
from ._errors import DeadlineExceeded, ItemlensError
from ._events import BlockingEvents
from ._filter import Filter
from ._retry import Retry
from ._secure import Tls, check_key
from ._steps import Call, Done, Finish, Open, Read, Session, Sleep, Step, Steps, Write, advance
from ._stored import StoredEvent, StoredItem
from ._target import check
from ._transport import Priority, checked, failure, headers, methods, open_channel
from ._understand import BlockingUnderstand
from ._updates import BlockingUpdates
from ._upload import BlockingUpload

T = TypeVar("T")


class Client(BlockingUnderstand, BlockingCatalog, BlockingEvents, BlockingUpdates, BlockingUpload):
    """Blocking client of an itemlens server. Threads may share a client.

        with itemlens.Client("localhost:50051") as client:
            client.upsert([itemlens.Item("a", text="red running shoes", picture=Path("a.jpg"))])
            for found in client.recommend(text="something for a marathon"):
                print(found.item_id, found.score)

    A text or picture without a channel name goes to the first channel of its kind. The client fetches the
    channel names once, and again only after its own `update_collection`.

    A message has at most 64 MiB in both directions. A larger request raises ValueError; `upload` splits its
    input into batches. `options` can change the limit of replies ("grpc.max_receive_message_length").

    Args:
        target: the server: "host:port", "[IPv6]:port", "unix:PATH" or another gRPC target; not a URL. Local
            targets use no proxy; for others gRPC obeys http_proxy, https_proxy and no_proxy.
        timeout: default timeout of a call in seconds, retries included; math.inf for no limit.
        retry: when to try again; `Retry(attempts=1)` turns retries off.
        collection: default collection of the calls.
        space: id or name of the default space of `space`, `encode`, `fuse` and `create_collection`. Default:
            the server's default space.
        key: the API key that the server gave, if it asks for one.
        tls: for a server that speaks TLS: which authorities to trust, and the client's certificate.
        allow_plaintext_key: send `key` to another machine without TLS, where something else encrypts it.
        caller: name under which a busy server without keys counts the calls for fair scheduling. Default: the
            connection. With keys, the key is the name.
        priority: "bulk" lets interactive calls go first. Default: "bulk" for uploads, else "interactive".
        options: further gRPC channel options.

    Raises:
        ValueError: `target` is a URL, has no port, or is not an address; `key` or `tls` is wrong, or `key` would go to
            another machine in plain text.
        OSError: a file of `tls` cannot be read.
        ItemlensError: every call can raise it; its subclasses say what is wrong.
    """

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        timeout: float = 30.0,
        retry: Retry = Retry(),
        collection: str = "default",
        space: str = "",
        key: str = "",
        tls: Tls | None = None,
        allow_plaintext_key: bool = False,
        caller: str = "",
        priority: Priority | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._session = Session(timeout=timeout, retry=retry, collection=collection, space=space)
        self._target, self._closed = check(target), False
        metadata = headers(check_key(key, target, tls, allow_plaintext_key), caller, priority)
        self._channel = open_channel(target, tls, options)
        self._methods = methods(self._channel, metadata)

    def close(self) -> None:
        """Close the connection and cancel the calls in progress."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def list_items(
        self,
        *,
        filter: str | Filter = "",
        page_size: int = 100,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[StoredItem]:
        """Iterate over all items, without pictures and vectors, ordered by id.

        Items are fetched page by page; an item that stays occurs once, whatever is written meanwhile. `page_size` is at
        most 1,000. `timeout` (seconds) applies to each page. filter: only items that match it, as in `recommend`.
        """
        token = ""
        while True:
            page, token = self._page_of_items(page_size, token, filter, collection, timeout)
            yield from page
            if not token:
                return

    def list_events(
        self,
        user_id: str,
        *,
        page_size: int = 100,
        collection: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[StoredEvent]:
        """Iterate over a user's events, in the order in which they were recorded.

        Events are fetched page by page. `page_size` is at most 1,000. `timeout` (seconds) applies to each page.
        """
        token = ""
        while True:
            page, token = self._page_of_events(user_id, page_size, token, collection, timeout)
            yield from page
            if not token:
                return

    def _run(self, steps: Steps[T]) -> T:
        transport = _Transport(self._methods)
        outcome: Any = None
        error: ItemlensError | None = None
        try:
            while not isinstance(step := advance(steps, outcome, error), Done):
                outcome = error = None
                try:
                    outcome = transport.perform(step)
                except grpc.RpcError as failed:
                    error = failure(failed, self._target, self._closed)
                except ItemlensError as failed:
                    error = failed
        finally:
            transport.abandon()
        result: T = step.value
        return result


class _Transport:
    """Performs the steps of one run."""

    def __init__(self, methods: dict[str, Any]) -> None:
        self._methods = methods
        self._stream: Any = None
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def perform(self, step: Step) -> Any:
        match step:
            case Call(method, request, timeout):
                return self._methods[method](checked(request), timeout=timeout)
            case Sleep(seconds):
                time.sleep(seconds)
            case Open(method, wait_for_ready):
                self.abandon()
                # gRPC reads the requests in its own thread. With a queue in between, only the caller's thread
                # reads the caller's iterable, and its errors are not lost.
                self._requests = queue.SimpleQueue()
                requests = iter(self._requests.get, None)
                self._stream = self._methods[method](requests, wait_for_ready=wait_for_ready)
            case Write(request):
                self._requests.put(checked(request))
            case Read(timeout):
                return self._read(timeout)
            case Finish(timeout):
                self._requests.put(None)
                self._read(timeout)
        return None

    def _read(self, timeout: float | None) -> Any:
        expired = threading.Event()

        def expire(stream: Any = self._stream) -> None:
            expired.set()
            stream.cancel()

        # gRPC sets one deadline for the whole stream; only a timer can bound a single read.
        timer = threading.Timer(timeout, expire) if timeout is not None else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            return next(self._stream, None)
        except grpc.RpcError as error:
            if expired.is_set():
                raise DeadlineExceeded(f"no answer on the stream for {timeout:g} seconds") from error
            raise
        finally:
            if timer:
                timer.cancel()

    def abandon(self) -> None:
        """Cancel the stream if it is open, and end the thread that waits for its requests."""
        if self._stream is not None:
            self._stream.cancel()
            self._requests.put(None)
            self._stream = None
