"""Texts and pictures to raw vectors v_c, and to the parts z they are the means of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from itemlens_server.engine.cache import LruCache
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Array, Encoded
from itemlens_server.engine.modalities.image import ImageEncoder, Picture
from itemlens_server.engine.modalities.text import TextEncoder
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.repository import Space
from itemlens_server.engine.texts import Purpose, Tokens
from itemlens_server.errors import InvalidArgument, ItemlensError, Warning

# Above this share of unknown tokens a text's vector says little about it.
MOSTLY_UNKNOWN = 0.5


@dataclass(frozen=True)
class Content:
    """A text or a picture for a channel; exactly one of the two is given."""

    channel: str
    text: str | None = None
    picture: bytes | None = None


@dataclass(frozen=True)
class EncodedContent:
    """v float32 [dim]; z float32 [parts, dim] where asked for; tokens of a text; bytes to keep of a picture."""

    v: Array
    z: Array | None
    tokens: Tokens | None
    stored: bytes
    warnings: tuple[Warning, ...]


Outcome = EncodedContent | ItemlensError


class ContentEncoder:
    """Prepares inputs in parallel, has the space's encoders run them, and remembers what they gave."""

    def __init__(self, threads: int, cache_bytes: int = 64 << 20) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
        self.cache: LruCache[EncodedContent] = LruCache(cache_bytes)

    def encode(
        self,
        space: Space,
        contents: Sequence[Content],
        purpose: Purpose,
        call: CallContext,
        *,
        parts: bool = False,
        keep: bool = False,
    ) -> list[Outcome]:
        """Encode `contents`; a bad one gives an error in its place. `keep`: also make the stored form of pictures.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded, Cancelled: nobody waits any more.
        """
        return self.begin(space, contents, purpose, call, parts=parts, keep=keep).results()

    def begin(
        self,
        space: Space,
        contents: Sequence[Content],
        purpose: Purpose,
        call: CallContext,
        *,
        parts: bool = False,
        keep: bool = False,
    ) -> Encoding:
        """As `encode`, but returns once all is queued."""
        call.check()
        keys = [_key(space, content, purpose) for content in contents]
        cache = None if parts or keep else self.cache
        outcomes: list[Outcome | None] = [cache.get(key) if cache is not None else None for key in keys]
        left = [n for n, outcome in enumerate(outcomes) if outcome is None]
        for channel, inputs in Counter(contents[n].channel for n in left).items():
            if channel in space.encoders:
                space.encoders[channel].check_room(call, inputs)
        batches: dict[str, _Batch] = {}
        prepared = self._prepare(space, [contents[n] for n in left], purpose, keep, call)
        for n, one in zip(left, prepared, strict=True):
            if isinstance(one, ItemlensError):
                outcomes[n] = one
            else:
                batches.setdefault(contents[n].channel, _Batch()).add(n, one, keys[n])
        for channel, batch in batches.items():
            batch.pending = space.encoders[channel].submit(batch.prepared, parts, call, batch.keys)
        return Encoding(outcomes, list(batches.values()), cache)

    def close(self) -> None:
        """Stop the pool."""
        self._pool.shutdown()

    def _prepare(
        self, space: Space, contents: Sequence[Content], purpose: Purpose, keep: bool, call: CallContext
    ) -> list[Tokens | Picture | ItemlensError]:
        def one(content: Content) -> Tokens | Picture | ItemlensError:
            call.check()
            try:
                return _prepare_one(space, content, purpose, keep)
            except ItemlensError as error:
                return error

        # Texts are quick; handing them to other threads costs more than it brings.
        # Pictures always go there, for the sake of memory: so no more than its threads are decoded at a time.
        if all(c.picture is None for c in contents):
            return [one(c) for c in contents]
        return list(self._pool.map(one, contents))


@dataclass
class _Batch:
    """What one call sends to one encoder, and which of the call's contents it is."""

    numbers: list[int] = field(default_factory=list)
    prepared: list[Any] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    pending: Pending[Encoded] | None = None

    def add(self, number: int, prepared: Tokens | Picture, key: bytes) -> None:
        self.numbers.append(number)
        self.prepared.append(prepared)
        self.keys.append(key)


class Encoding:
    """Contents of one call that are being encoded."""

    def __init__(
        self, outcomes: list[Outcome | None], batches: list[_Batch], cache: LruCache[EncodedContent] | None
    ) -> None:
        self._outcomes, self._batches, self._cache = outcomes, batches, cache

    def pending(self) -> list[Pending[Encoded]]:
        """What has to be ready before `results` has not to wait."""
        return [batch.pending for batch in self._batches if batch.pending is not None]

    def results(self) -> list[Outcome]:
        """Wait for all, in the order of the contents.

        Raises:
            DeadlineExceeded, Cancelled: nobody waits any more.
        """
        for batch in self._batches:
            assert batch.pending is not None
            for n, one, key, encoded in zip(
                batch.numbers, batch.prepared, batch.keys, batch.pending.results(), strict=True
            ):
                self._outcomes[n] = found = _finish(encoded, one)
                if self._cache is not None and isinstance(found, EncodedContent):
                    self._cache.put(key, replace(found, tokens=None), found.v.nbytes)
        return [outcome for outcome in self._outcomes if outcome is not None]


def _key(space: Space, content: Content, purpose: Purpose) -> bytes:
    """Names the vector of `content`: the same for the same content, purpose and encoder."""
    encoder = space.encoders.get(content.channel)
    hashed = blake2b((encoder.digest if encoder else "").encode(), digest_size=16)
    if content.picture is not None:
        hashed.update(content.picture)
    else:
        hashed.update(f"{purpose} {content.text or ''}".encode("utf-8", "surrogatepass"))
    return hashed.digest()


def _prepare_one(space: Space, content: Content, purpose: Purpose, keep: bool) -> Tokens | Picture:
    encoder = space.encoders.get(content.channel)
    if encoder is None:
        known = ", ".join(f"{n} ({e.kind})" for n, e in space.encoders.items())
        raise InvalidArgument(
            f"no channel {content.channel!r} in space {space.space_id}; it has {known}", "channel"
        )
    if isinstance(encoder, TextEncoder):
        if content.text is None:
            raise InvalidArgument(f"channel {content.channel!r} understands texts; give `text`", "text")
        return encoder.tokens(content.text, purpose)
    assert isinstance(encoder, ImageEncoder)
    if content.picture is None:
        raise InvalidArgument(f"channel {content.channel!r} understands pictures; give `picture`", "picture")
    return encoder.picture(content.picture, keep)


def _finish(encoded: Encoded, prepared: Tokens | Picture) -> Outcome:
    if not np.isfinite(encoded.v).all():
        return InvalidArgument("the encoder gives no finite vector for this input")
    if isinstance(prepared, Picture):
        return EncodedContent(encoded.v, encoded.z, None, prepared.stored, ())
    warnings = []
    if prepared.truncated:
        warnings.append(
            Warning("TEXT_TRUNCATED", "the text is longer than the model reads; its end was left out", "text")
        )
    if prepared.unknown_fraction > MOSTLY_UNKNOWN:
        share = f"{prepared.unknown_fraction:.0%}"
        warnings.append(
            Warning(
                "TEXT_UNKNOWN",
                f"{share} of the text is unknown to the tokenizer: wrong language for it?",
                "text",
            )
        )
    return EncodedContent(encoded.v, encoded.z, prepared, b"", tuple(warnings))
