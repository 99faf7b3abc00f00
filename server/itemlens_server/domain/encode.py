"""Texts and pictures to raw vectors v_c, and to the parts z they are the means of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

import numpy as np

from itemlens_server.deadline import Deadline
from itemlens_server.engine.encoders import Array, Encoded, Picture, PictureEncoder, Purpose, TextEncoder
from itemlens_server.engine.repository import Space
from itemlens_server.engine.texts import Tokens
from itemlens_server.errors import DeadlineExceeded, InvalidInput, ItemlensError

# Above this share of unknown tokens a text's vector says little about it.
MOSTLY_UNKNOWN = 0.5


@dataclass(frozen=True)
class Content:
    """A text or a picture for a channel; exactly one of the two is given."""

    channel: str
    text: str | None = None
    picture: bytes | None = None


@dataclass(frozen=True)
class Notice:
    """Something that went well but may surprise; `reason` is stable and for machines."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True)
class EncodedContent:
    """v float32 [dim]; z float32 [parts, dim] where asked for; tokens of a text; bytes to keep of a picture."""

    v: Array
    z: Array | None
    tokens: Tokens | None
    stored: bytes
    notices: tuple[Notice, ...]


Outcome = EncodedContent | ItemlensError


class ContentEncoder:
    """Prepares inputs in parallel and has the space's encoders run them."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")

    def encode(
        self,
        space: Space,
        contents: Sequence[Content],
        purpose: Purpose,
        deadline: Deadline,
        *,
        parts: bool = False,
        keep: bool = False,
    ) -> list[Outcome]:
        """Encode `contents`; a bad one gives an error in its place. `keep`: also make the stored form of pictures.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded, Cancelled: nobody waits any more.
        """
        deadline.check()
        results: list[Outcome | None] = [None] * len(contents)
        groups: dict[int, tuple[Any, list[int], list[Any]]] = {}
        waiting: list[tuple[int, Future[Encoded]]] = []
        for n, prepared in enumerate(self._prepare(space, contents, purpose, keep)):
            if isinstance(prepared, ItemlensError):
                results[n] = prepared
                continue
            encoder = space.encoders[contents[n].channel]
            _, numbers, values = groups.setdefault(id(encoder), (encoder, [], []))
            numbers.append(n)
            values.append(prepared)
        for encoder, numbers, values in groups.values():
            inputs = values if isinstance(encoder, TextEncoder) else [p.pixels for p in values]
            waiting += zip(numbers, encoder.submit(inputs, parts, deadline), strict=True)
        prepared_by_number = {
            n: value
            for _, numbers, values in groups.values()
            for n, value in zip(numbers, values, strict=True)
        }
        for n, future in waiting:
            encoded = _wait(future, deadline)
            results[n] = _finish(encoded, prepared_by_number[n])
        return [r for r in results if r is not None]

    def close(self) -> None:
        """Stop the pool."""
        self._pool.shutdown()

    def _prepare(
        self, space: Space, contents: Sequence[Content], purpose: Purpose, keep: bool
    ) -> list[Tokens | Picture | ItemlensError]:
        def one(content: Content) -> Tokens | Picture | ItemlensError:
            try:
                return _prepare_one(space, content, purpose, keep)
            except ItemlensError as error:
                return error

        # Texts are quick; handing them to other threads costs more than it brings.
        # Pictures always go there, for the sake of memory: so no more than its threads are decoded at a time.
        if all(c.picture is None for c in contents):
            return [one(c) for c in contents]
        return list(self._pool.map(one, contents))


def _prepare_one(space: Space, content: Content, purpose: Purpose, keep: bool) -> Tokens | Picture:
    encoder = space.encoders.get(content.channel)
    if encoder is None:
        known = ", ".join(f"{n} ({e.kind})" for n, e in space.encoders.items())
        raise InvalidInput(
            f"no channel {content.channel!r} in space {space.space_id}; it has {known}", "channel"
        )
    if isinstance(encoder, TextEncoder):
        if content.text is None:
            raise InvalidInput(f"channel {content.channel!r} understands texts; give `text`", "text")
        return encoder.tokens(content.text, purpose)
    assert isinstance(encoder, PictureEncoder)
    if content.picture is None:
        raise InvalidInput(f"channel {content.channel!r} understands pictures; give `picture`", "picture")
    return encoder.picture(content.picture, keep)


def _wait(future: Future[Encoded], deadline: Deadline) -> Encoded:
    # Woken now and then, to see whether the caller has hung up.
    while True:
        remaining = deadline.remaining()
        try:
            return future.result(timeout=1.0 if remaining is None else min(1.0, max(remaining, 0.001)))
        except FutureTimeout as error:
            if future.done():
                raise
            deadline.check()
            if deadline.passed():
                raise DeadlineExceeded("the deadline has passed") from error


def _finish(encoded: Encoded, prepared: Tokens | Picture) -> Outcome:
    if not np.isfinite(encoded.v).all():
        return InvalidInput("the encoder gives no finite vector for this input")
    if isinstance(prepared, Picture):
        return EncodedContent(encoded.v, encoded.z, None, prepared.stored, ())
    notices = []
    if prepared.truncated:
        notices.append(
            Notice("TEXT_TRUNCATED", "the text is longer than the model reads; its end was left out", "text")
        )
    if prepared.unknown_fraction > MOSTLY_UNKNOWN:
        share = f"{prepared.unknown_fraction:.0%}"
        notices.append(
            Notice(
                "TEXT_UNKNOWN",
                f"{share} of the text is unknown to the tokenizer: wrong language for it?",
                "text",
            )
        )
    return EncodedContent(encoded.v, encoded.z, prepared, b"", tuple(notices))
