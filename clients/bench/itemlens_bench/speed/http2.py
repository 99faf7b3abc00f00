"""A minimal HTTP/2 client for unary gRPC calls over one connection, at a tenth of a full client's processor time.

The load shares the machine with the server that it measures, and a call of gRPC's own Python client costs about as
much processor time as the server takes for it. Header compression is off in both directions, so the only state is the
flow control and the server's limit of streams. Calls past the limit wait, and refused streams are sent again.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
END_STREAM, ACK, END_HEADERS = 1, 1, 4
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4
REFUSED_STREAM = 7
REFUSED_SECONDS = 0.001
HEADER_LENGTH = 9
MOST_FRAME = 16_384
FIRST_WINDOW, MOST_WINDOW = 65_535, (1 << 31) - 1
REFILL = 1 << 30
STATUS, MESSAGE = b"\x0bgrpc-status", b"\x0cgrpc-message"


class Frame(IntEnum):
    """Types of frames (RFC 9113, 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class ConnectionFailed(Exception):
    """The connection or one of its streams broke; the message says how."""


class _Refused(Exception):
    """The server refused the stream and has not processed it."""


@dataclass(frozen=True)
class Reply:
    """gRPC's status code, its message, and the reply's bytes."""

    status: int
    message: str
    body: bytes


@dataclass
class _Stream:
    """A call in flight. `window`: bytes that the server allows us to send on it."""

    window: int
    done: asyncio.Future[Reply]
    body: list[bytes] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One connection. Any number of calls may be in flight on it."""

    def __init__(self, authority: str, path: str) -> None:
        self._headers = _request_headers(authority, path)
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._window = self._stream_window = FIRST_WINDOW
        self._most_streams = 0  # until the server says how many
        self._room = asyncio.Event()
        self._received = bytearray()
        self._taken = 0
        self._lost: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        ours = struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, MOST_WINDOW)
        transport.write(PREFACE + _frame(Frame.SETTINGS, 0, 0, ours) + _refill(MOST_WINDOW - FIRST_WINDOW))

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._fail(f"the connection is closed ({error or 'by the server'})")

    async def call(self, message: bytes) -> Reply:
        """Send a request, and wait for its reply.

        Raises:
            ConnectionFailed: see there.
        """
        while True:
            try:
                return await self._try(message)
            except _Refused:
                # The server may count a stream for a moment after its reply.
                await asyncio.sleep(REFUSED_SECONDS)

    async def _try(self, message: bytes) -> Reply:
        while self._lost is None and len(self._streams) >= self._most_streams:
            self._room.clear()
            await self._room.wait()
        if self._lost is not None:
            raise ConnectionFailed(self._lost)
        number, self._next = self._next, self._next + 2
        stream = _Stream(self._stream_window, asyncio.get_running_loop().create_future())
        self._streams[number] = stream
        data = b"\0" + struct.pack(">I", len(message)) + message
        head = _frame(Frame.HEADERS, END_HEADERS, number, self._headers)
        if len(data) <= min(self._window, stream.window, MOST_FRAME):
            self._spend(stream, len(data))
            self._transport.write(head + _frame(Frame.DATA, END_STREAM, number, data))
        else:
            self._transport.write(head)
            await self._send(number, stream, data)
        return await stream.done

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        received = self._received
        received += data
        at = 0
        while len(received) - at >= HEADER_LENGTH:
            length = int.from_bytes(received[at : at + 3])
            end = at + HEADER_LENGTH + length
            if len(received) < end:
                break
            kind, flags = received[at + 3], received[at + 4]
            number = int.from_bytes(received[at + 5 : at + 9])
            self._take(kind, flags, number, bytes(received[at + HEADER_LENGTH : end]))
            at = end
        del received[:at]

    async def _send(self, number: int, stream: _Stream, data: bytes) -> None:
        """Send `data` in as many frames as the server's windows require."""
        at = 0
        while at < len(data) and not stream.done.done():
            size = min(len(data) - at, self._window, stream.window, MOST_FRAME)
            if size <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            self._spend(stream, size)
            last = END_STREAM if at + size == len(data) else 0
            self._transport.write(_frame(Frame.DATA, last, number, data[at : at + size]))
            at += size

    def _spend(self, stream: _Stream, size: int) -> None:
        self._window -= size
        stream.window -= size

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        stream = self._streams.get(number)
        match kind:
            case Frame.DATA if stream is not None:
                stream.body.append(payload)
                self._taken += len(payload)
                if self._taken > REFILL:
                    self._transport.write(_refill(self._taken))
                    self._taken = 0
            case Frame.HEADERS if flags & END_STREAM and stream is not None:
                self._remove(number)
                if not stream.done.done():
                    stream.done.set_result(_reply(payload, stream.body))
            case Frame.RST_STREAM if stream is not None:
                self._remove(number)
                code = int.from_bytes(payload)
                if not stream.done.done():
                    failed = ConnectionFailed(f"the server reset the stream: {code}")
                    stream.done.set_exception(_Refused() if code == REFUSED_STREAM else failed)
            case Frame.SETTINGS if not flags & ACK:
                self._settle(payload)
            case Frame.PING if not flags & ACK:
                self._transport.write(_frame(Frame.PING, ACK, 0, payload))
            case Frame.GOAWAY:
                self._fail(f"the server closes the connection: {payload[8:].decode(errors='replace')}")
            case Frame.WINDOW_UPDATE:
                more = int.from_bytes(payload)
                if number == 0:
                    self._window += more
                elif stream is not None:
                    stream.window += more
                self._room.set()

    def _remove(self, number: int) -> None:
        del self._streams[number]
        self._room.set()

    def _settle(self, payload: bytes) -> None:
        if not self._most_streams:
            self._most_streams = 1 << 31  # there is no limit if it does not name one
            self._room.set()
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
                self._room.set()
            elif name == MAX_CONCURRENT_STREAMS:
                self._most_streams = value
                self._room.set()
        self._transport.write(_frame(Frame.SETTINGS, ACK, 0, b""))

    def _fail(self, why: str) -> None:
        self._lost = why
        for stream in self._streams.values():
            if not stream.done.done():
                stream.done.set_exception(ConnectionFailed(why))
        self._streams.clear()
        self._room.set()


async def connect(address: str, path: str) -> Connection:
    """A connection to "host:port" for calls of the method `path`. OSError if no server listens."""
    host, _, port = address.rpartition(":")
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(address, path), host, int(port)
    )
    return connection


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, number) + payload


def _refill(size: int) -> bytes:
    """Frames that allow the server to send `size` more bytes."""
    return _frame(Frame.WINDOW_UPDATE, 0, 0, struct.pack(">I", size))


def _request_headers(authority: str, path: str) -> bytes:
    """Headers in HPACK without a table: POST and http by their static numbers, others as literals (RFC 7541, 6.2.2)."""
    return b"".join(
        [
            b"\x83\x86",
            b"\x04" + _string(path),
            b"\x01" + _string(authority),
            b"\x00" + _string("te") + _string("trailers"),
            b"\x00" + _string("content-type") + _string("application/grpc"),
        ]
    )


def _string(text: str) -> bytes:
    assert len(text) < 127, "longer strings have longer lengths"
    return bytes([len(text)]) + text.encode()


def _reply(trailers: bytes, body: list[bytes]) -> Reply:
    """The reply of these trailers. gRPC servers do not compress their literals, so they can be read directly."""
    status = _literal(trailers, STATUS)
    if not status.isdigit():
        return Reply(2, f"no readable status in the trailers {trailers!r}", b"")
    message = _literal(trailers, MESSAGE).decode(errors="replace")
    return Reply(int(status), message, b"".join(body)[5:])


def _literal(trailers: bytes, name: bytes) -> bytes:
    """The value after a name; empty if it is not there."""
    at = trailers.find(name)
    if at < 0:
        return b""
    at += len(name)
    # One byte holds a length of up to 126. The first 126 bytes of a longer value are enough.
    length = min(trailers[at] & 127, 126)
    return trailers[at + 1 : at + 1 + length]
