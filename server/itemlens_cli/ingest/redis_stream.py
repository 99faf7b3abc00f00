"""A Redis stream as a stream. A position is the id of an entry, and its number among all that were ever added.

The positions are in the store of the server, with the events, and not in a consumer group of Redis: only so are an
event and the position after it recorded together.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from itemlens_cli.ingest.source import Entry, Portion, SourceGone
from itemlens_server.errors import FailedPrecondition

MAX_ENTRY_BYTES = 1 << 20
MAX_PORTION_BYTES = 4 << 20
HEAD_BYTES = 1000
BLOCK_MILLISECONDS = 500
TIMEOUT_SECONDS = 5.0
START = "0-0"
UNKNOWN = 0
"""The number of an entry, from a server that does not count them (before Redis 7)."""

Read = tuple[bytes, Mapping[bytes, bytes]]


class RedisStream:
    """The entries of a Redis stream: an event as JSON in the field `json`, or in fields named as those of an event."""

    unit = "entries"

    def __init__(self, url: str, key: str, follow: bool, say: Callable[[str], None] = lambda _: None) -> None:
        """`url`: redis://, rediss:// or unix://. `say` gets warnings. The password may be in the environment."""
        try:
            self._redis = redis.Redis.from_url(
                url, protocol=2, retry=Retry(NoBackoff(), 0), socket_timeout=TIMEOUT_SECONDS,
                socket_connect_timeout=TIMEOUT_SECONDS,
                password=os.environ.get("ITEMLENS_REDIS_PASSWORD"),
            )  # fmt: skip
        except ValueError:
            # The address may have a password, which must not reach a log.
            raise FailedPrecondition(
                "what was given is not the address of a Redis server; give redis://HOST:PORT/DB, rediss:// or unix://"
            ) from None
        self._key, self._follow, self._say = key, follow, say
        self._id, self._number = START, UNKNOWN
        self._held: deque[Read] = deque()

    def seek(self, position: str) -> None:
        """See Source."""
        id, _, number = position.partition(" ")
        if position and not (_is_id(id) and number.isdecimal()):
            raise FailedPrecondition(
                f"{position!r} is not a position in a Redis stream: the stream was read from elsewhere; name another "
                "--stream"
            )
        self._id, self._number = (id, int(number)) if position else (START, UNKNOWN)
        self._held.clear()

    def read(self, most: int) -> Portion | None:
        """See Source."""
        info = self._ask(self._info)
        self._check(info)
        if not self._held:
            self._held.extend(self._ask(lambda: self._next(most)))
        if not self._held and not self._follow:
            return None
        entries, size = list[Entry](), 0
        while self._held and size < MAX_PORTION_BYTES:
            id, values = self._held.popleft()
            entries.append(_entry(id.decode(), values))
            size += len(entries[-1].content)
        if entries:
            self._number = self._number_after(len(entries), info)
            self._id = entries[-1].place
        return Portion(entries, f"{self._id} {self._number}", self._lag(info))

    def close(self) -> None:
        """See Source."""
        self._redis.close()

    def _next(self, most: int) -> list[Read]:
        block = BLOCK_MILLISECONDS if self._follow else None
        reply: Any = self._redis.xread({self._key: self._id}, count=most, block=block)
        return [entry for _, entries in reply for entry in entries]

    def _info(self) -> Mapping[str, Any]:
        """What Redis says of the stream; nothing if it does not exist."""
        try:
            info: Any = self._redis.xinfo_stream(self._key)
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return {}
            raise
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in info.items()}

    def _ask(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (redis.AuthenticationError, redis.exceptions.AuthorizationError) as error:
            raise FailedPrecondition(f"Redis refuses the user: {error}") from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise SourceGone(f"Redis cannot be reached ({error})") from error
        except redis.RedisError as error:
            raise FailedPrecondition(f"Redis cannot read the stream {self._key!r}: {error}") from error

    def _check(self, info: Mapping[str, Any]) -> None:
        """Check that the stream is the one that was read so far, and say if entries are missing from it."""
        if self._id == START or not info:
            return
        last = info["last-generated-id"]
        if _order(last) < _order(self._id):
            raise FailedPrecondition(
                f"the Redis stream {self._key!r} ends at {last}, but was read up to {self._id}: it was made anew, or "
                "lost entries; ingest what it is now as another --stream"
            )
        gone = _gone(info)
        if self._number != UNKNOWN and gone > self._number:
            self._say(
                f"{gone - self._number:,} entries of the Redis stream {self._key!r} after {self._id} were deleted "
                "before they were read: let Redis keep more (MAXLEN)"
            )
            self._number = gone

    def _number_after(self, count: int, info: Mapping[str, Any]) -> int:
        if "entries-added" not in info:
            return UNKNOWN
        # What is there from the start are the newest entries.
        return (_gone(info) if self._id == START else self._number) + count

    def _lag(self, info: Mapping[str, Any]) -> int:
        if not info or _order(info["last-generated-id"]) <= _order(self._id):
            return 0
        added, length = info.get("entries-added"), int(info["length"])
        return length if added is None else min(max(int(added) - self._number, 0), length)


def _entry(id: str, values: Mapping[bytes, bytes]) -> Entry:
    content = values.get(b"json")
    if content is None:
        try:
            named = {name.decode(): value.decode() for name, value in values.items()}
        except UnicodeDecodeError as error:
            content = json.dumps({repr(name): repr(value) for name, value in values.items()}).encode()
            return Entry(id, content[:HEAD_BYTES], f"a field is not UTF-8: {error}", "NOT_UTF8")
        content = json.dumps(named).encode()
    if len(content) > MAX_ENTRY_BYTES:
        problem = f"an entry of {len(content):,} bytes; an entry may have {MAX_ENTRY_BYTES:,}"
        return Entry(id, content[:HEAD_BYTES], problem)
    return Entry(id, content)


def _gone(info: Mapping[str, Any]) -> int:
    """How many entries were added and are no longer there."""
    return int(info.get("entries-added", info["length"])) - int(info["length"])


def _is_id(text: str) -> bool:
    first, dash, second = text.partition("-")
    return dash == "-" and first.isdecimal() and second.isdecimal()


def _order(id: str) -> tuple[int, int]:
    first, _, second = id.partition("-")
    return int(first), int(second or 0)
