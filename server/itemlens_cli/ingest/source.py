"""The seam between the ingester and what it reads: a file, a broker's stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One entry of a stream.

    place: where it is, in the stream's own terms; no other entry of the stream has the same
    content: its bytes, a JSON object; the first ones of an entry with a `problem`
    problem: why it cannot be used, as far as the source knows; reason: the same for machines
    """

    place: str
    content: bytes
    problem: str = ""
    reason: str = "TOO_LONG"


@dataclass(frozen=True)
class Portion:
    """The next entries of a stream; none if there is nothing new at the moment.

    position: the position after them, from which the stream can be read again
    lag: how much is still to be read after it, in the source's unit
    """

    entries: Sequence[Entry]
    position: str
    lag: int


class SourceGone(Exception):
    """The source cannot be read for now. It is tried again."""


class Source(Protocol):
    """A stream that can be read again from any of its positions."""

    unit: str
    """Of the lag, such as "bytes"."""

    def seek(self, position: str) -> None:
        """Continue after a position of an earlier portion; "" is the start.

        Raises:
            FailedPrecondition: the source is not what was read before.
            SourceGone: it cannot be reached.
        """

    def read(self, most: int) -> Portion | None:
        """Return at most `most` entries; None at the end of a source that is not followed.

        If there is nothing new, this waits for a moment.

        Raises:
            FailedPrecondition: the source is no longer what was read before.
            SourceGone: it cannot be reached.
        """

    def close(self) -> None:
        """Close it."""
