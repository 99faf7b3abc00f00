"""A growing file of JSON lines as a stream. A position is the byte after a line."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from itemlens_cli.ingest.source import Entry, Portion
from itemlens_server.errors import FailedPrecondition

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 20
# What is kept of a longer line.
HEAD_BYTES = 1000
# A file is recognised by its first bytes, as far as they were read.
IDENTITY_BYTES = 1024
CURE = "ingest what it is now as another --stream"
POLL_SECONDS = 0.1


class JsonLines:
    """The lines of a file. Only whole lines are read: one without its end waits for it."""

    unit = "bytes"

    def __init__(self, path: Path, follow: bool, wait: Callable[[float], object]) -> None:
        """`follow`: wait for more at the end, with `wait`, which gets seconds."""
        self._path, self._follow, self._wait = path, follow, wait
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise FailedPrecondition(
                f"{path} cannot be read ({error.strerror}); name a file of events"
            ) from error
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            os.close(self._file)
            raise FailedPrecondition(
                f"{path} is not a regular file, so its positions mean nothing in the next run; write it to a file first"
            )
        self._at, self._buffer = 0, b""
        """The next bytes, and where in the file they begin."""
        self._long: tuple[int, bytes] | None = None
        """Start and first bytes of a line that is too long to be kept."""
        self._position = ""

    @property
    def unfinished_bytes(self) -> int:
        """Size of a last line that has no end yet, as far as it was read."""
        if self._long is not None:
            return self._end() - self._begun()
        return len(self._buffer) - (self._buffer.rfind(b"\n") + 1)

    def seek(self, position: str) -> None:
        """See Source."""
        offset, _, identity = position.partition("@")
        if position and not (offset.isdecimal() and identity):
            raise FailedPrecondition(
                f"{position!r} is not a position in a file: the stream was read from elsewhere; name another --stream"
            )
        self._at, self._buffer, self._long, self._position = int(offset or 0), b"", None, position
        self._check()

    def read(self, most: int) -> Portion | None:
        """See Source."""
        if b"\n" not in self._buffer and not self._fill():
            self._check()
            if not self._follow:
                return None
            self._wait(POLL_SECONDS)
        entries, begun = self._entries(most), self._begun()
        self._position = self._position_at(begun)
        return Portion(entries, self._position, self._size() - begun)

    def close(self) -> None:
        """See Source."""
        os.close(self._file)

    def _begun(self) -> int:
        """The first byte that is in no entry yet."""
        return self._long[0] if self._long else self._at

    def _end(self) -> int:
        return self._at + len(self._buffer)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

    def _fill(self) -> bool:
        """Read on. Return whether there was more."""
        try:
            data = os.pread(self._file, CHUNK_BYTES, self._end())
        except OSError as error:
            raise FailedPrecondition(f"{self._path} cannot be read ({error.strerror})") from error
        if data:
            self._check_identity()
        self._buffer += data
        if b"\n" not in self._buffer:
            if self._long is None and len(self._buffer) > MAX_LINE_BYTES:
                self._long = self._at, self._buffer[:HEAD_BYTES]
            if self._long is not None:
                self._at, self._buffer = self._end(), b""
        return bool(data)

    def _entries(self, most: int) -> list[Entry]:
        """Take at most `most` whole lines from the buffer. Blank ones are left out."""
        entries, start = list[Entry](), 0
        while len(entries) < most and (end := self._buffer.find(b"\n", start)) >= 0:
            line = self._buffer[start:end]
            place, size = self._at + start, len(line)
            if self._long is not None:
                place, line = self._long
                size, self._long = self._at + end - place, None
            if size > MAX_LINE_BYTES:
                problem = f"a line of {size:,} bytes; a line may have {MAX_LINE_BYTES:,}"
                entries.append(Entry(str(place), line[:HEAD_BYTES], problem))
            elif line.strip():
                entries.append(Entry(str(place), line))
            start = end + 1
        self._at, self._buffer = self._at + start, self._buffer[start:]
        return entries

    def _check(self) -> None:
        """Check that the file is the one that was read so far, and is still found under its name."""
        if self._size() < self._end():
            raise self._changed(f"but has {self._size():,} bytes now: it was cut or made anew; {CURE}")
        self._check_identity()
        try:
            replaced = os.stat(self._path).st_ino != os.fstat(self._file).st_ino
        except FileNotFoundError:
            return  # a rotation begins; what is written to the old file still comes
        if replaced and not os.pread(self._file, 1, self._end()):
            raise self._changed(
                f"and was replaced by another file: {CURE}; if the old one still grows, ingest it under its new name "
                "as the same --stream"
            )

    def _check_identity(self) -> None:
        offset = int(self._position.partition("@")[0] or 0)
        if self._position != self._position_at(offset):
            raise self._changed(f"but begins with other bytes now: it is another file; {CURE}")

    def _changed(self, how: str) -> FailedPrecondition:
        return FailedPrecondition(f"{self._path} was read up to byte {self._begun():,}, {how}")

    def _position_at(self, offset: int) -> str:
        if not offset:
            return ""
        first = os.pread(self._file, min(offset, IDENTITY_BYTES), 0)
        return f"{offset}@{hashlib.sha256(first).hexdigest()[:16]}"
