"""Encode contents to raw vectors v_c, and to z, whose means they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.cache import LruCache
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.encoder import Array, Encoded, Encoder
from itemlens_server.engine.manifest import Purpose
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.prepared import Layout, Prepared
from itemlens_server.engine.repository import Space
from itemlens_server.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    ItemlensError,
    Warning,
    quoted,
)
from itemlens_server.services.workers import Workers
from itemlens_server.stages import stage
from itemlens_server.storage.records import StoredInput, StoredItem, content_hash

CacheKey = tuple[str, Purpose | None, bytes]  # of a vector: encoder, purpose if it matters, content


@dataclass(frozen=True)
class Content:
    """A content for a channel. `field`: the proto field of `value`, such as "text"; "" if none is set. A vector is a
    packed `VersionedVector`."""

    channel: str
    field: str = ""
    value: str | bytes = ""

    @property
    def digest(self) -> bytes:
        """Digest of the value's bytes, 16 bytes."""
        # Not a functools.cached_property: before Python 3.12, all contents would share one lock.
        if "_digest" not in self.__dict__:
            data = self.value.encode("utf-8", "surrogatepass") if isinstance(self.value, str) else self.value
            self.__dict__["_digest"] = content_hash(data)
        digest: bytes = self.__dict__["_digest"]
        return digest


def stored_content(space: Space, item: StoredItem, stored: StoredInput) -> Content:
    """The content of a stored input of `item`. `stored` must have been read with its data."""
    encoder = space.encoders.get(stored.channel)
    if (
        encoder is None
    ):  # the collection has moved to a space without the channel; encoding then raises the error
        return Content(stored.channel)
    modality = encoder.modality
    value = item.document.texts[stored.channel] if modality.in_document else stored.data
    return Content(stored.channel, modality.field, value)


@dataclass(frozen=True)
class EncodedContent:
    """v float32 [dim]; z float32 [places, dim], if requested; the places of its rows; the bytes to store."""

    v: Array
    z: Array | None
    layout: Layout | None
    stored: bytes
    warnings: tuple[Warning, ...]


Outcome = EncodedContent | ItemlensError


class ContentEncoder:
    """Prepares inputs in parallel, runs the space's encoders on them, and caches the vectors."""

    def __init__(self, settings: Settings) -> None:
        self._workers = Workers(settings.thread_count(), "prepare")
        self.cache: LruCache[EncodedContent] = LruCache(settings.embedding_cache_bytes)

    def encode(
        self,
        space: Space,
        contents: Sequence[Content],
        purpose: Purpose,
        call: CallContext,
        *,
        with_places: bool = False,
        keep: bool = False,
    ) -> list[Outcome]:
        """Encode `contents`. A bad content yields an error in its place. with_places: return z, too. keep: return the
        bytes to store, too.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded, Cancelled: the call has ended.
        """
        return self.begin(space, contents, purpose, call, with_places=with_places, keep=keep).results()

    def begin(
        self,
        space: Space,
        contents: Sequence[Content],
        purpose: Purpose,
        call: CallContext,
        *,
        with_places: bool = False,
        keep: bool = False,
    ) -> Encoding:
        """Like `encode`, but return when all contents are queued."""
        call.check()
        keys = [_cache_key(space, content, purpose) for content in contents]
        cache = None if with_places or keep else self.cache
        outcomes: list[Outcome | None] = [
            None if cache is None or key is None else cache.get(key) for key in keys
        ]
        left = [n for n, outcome in enumerate(outcomes) if outcome is None]
        for channel, count in Counter(contents[n].channel for n in left).items():
            if channel in space.encoders:
                space.encoders[channel].check_admission(call, count)
        batches: dict[str, _Batch] = {}
        with stage("prepare"):
            prepared = self._prepare(space, [contents[n] for n in left], purpose, keep, call)
        for n, result in zip(left, prepared, strict=True):
            if isinstance(result, ItemlensError):
                outcomes[n] = result
            else:
                batches.setdefault(contents[n].channel, _Batch()).add(n, result, keys[n])
        for channel, batch in batches.items():
            inputs = [p.model_input for p in batch.prepared]
            batch.pending = space.encoders[channel].submit(inputs, with_places, call, batch.keys)
        return Encoding(outcomes, list(batches.values()), cache)

    def close(self) -> None:
        """Stop preparing inputs. Running preparations are not waited for."""
        self._workers.close()

    def _prepare(
        self, space: Space, contents: Sequence[Content], purpose: Purpose, keep: bool, call: CallContext
    ) -> list[Prepared[Any] | ItemlensError]:
        def prepare(content: Content) -> Prepared[Any] | ItemlensError:
            call.check()
            try:
                return _encoder(space, content).prepare(content.value, purpose, keep, call)
            except (DeadlineExceeded, Cancelled):
                raise
            except ItemlensError as error:
                return error

        if all(_quick(space, content) for content in contents):
            return [prepare(content) for content in contents]
        return self._workers.map(prepare, contents, call)


@dataclass
class _Batch:
    """The inputs of one call for one encoder, with their indices among the call's contents."""

    numbers: list[int] = field(default_factory=list)
    prepared: list[Prepared[Any]] = field(default_factory=list)
    keys: list[CacheKey | None] = field(default_factory=list)
    pending: Pending[Encoded] | None = None

    def add(self, number: int, prepared: Prepared[Any], key: CacheKey | None) -> None:
        self.numbers.append(number)
        self.prepared.append(prepared)
        self.keys.append(key)


class Encoding:
    """The contents of one call, during encoding."""

    def __init__(
        self, outcomes: list[Outcome | None], batches: list[_Batch], cache: LruCache[EncodedContent] | None
    ) -> None:
        self._outcomes, self._batches, self._cache = outcomes, batches, cache

    def pending(self) -> list[Pending[Encoded]]:
        """The outputs that must be ready before `results` no longer blocks."""
        return [batch.pending for batch in self._batches if batch.pending is not None]

    def results(self) -> list[Outcome]:
        """Wait for all outcomes, in the order of the contents.

        Raises:
            DeadlineExceeded, Cancelled: the call has ended.
        """
        for batch in self._batches:
            assert batch.pending is not None
            for n, prepared, key, encoded in zip(
                batch.numbers, batch.prepared, batch.keys, batch.pending.results(), strict=True
            ):
                self._outcomes[n] = outcome = _outcome(encoded, prepared)
                if self._cache is not None and key is not None and isinstance(outcome, EncodedContent):
                    self._cache.put(key, replace(outcome, layout=None), outcome.v.nbytes)
        return [outcome for outcome in self._outcomes if outcome is not None]


def _encoder(space: Space, content: Content) -> Encoder[Any, Any]:
    """The encoder of the content's channel.

    Raises:
        InvalidArgument: there is no such channel, or it takes contents of another kind.
    """
    encoder = space.encoders.get(content.channel)
    if encoder is None:
        known = ", ".join(f"{name} ({e.modality.kind})" for name, e in space.encoders.items())
        raise InvalidArgument(
            f"no channel {quoted(content.channel)} in space {space.space_id}; it has {known}", "channel"
        )
    modality = encoder.modality
    if content.field != modality.field:
        raise InvalidArgument(
            f"channel {content.channel!r} takes {modality.plural}; give `{modality.field}`",
            modality.field,
        )
    return encoder


def _cache_key(space: Space, content: Content, purpose: Purpose) -> CacheKey | None:
    """Cache key of the vector of `content`; None if it has none."""
    encoder = space.encoders.get(content.channel)
    if encoder is None or content.field != encoder.modality.field or not encoder.modality.cached:
        return None
    return encoder.digest, purpose if encoder.modality.by_purpose else None, content.digest


def _quick(space: Space, content: Content) -> bool:
    encoder = space.encoders.get(content.channel)
    return encoder is None or encoder.modality.quick


def _outcome(encoded: Encoded, prepared: Prepared[Any]) -> Outcome:
    if not np.isfinite(encoded.v).all():
        return InvalidArgument("the encoder's vector for this input is not finite")
    return EncodedContent(encoded.v, encoded.z, prepared.layout, prepared.stored, prepared.warnings)
