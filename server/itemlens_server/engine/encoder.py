"""Modalities, and what their encoders have in common."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from itemlens_server.config import Settings
from itemlens_server.engine.batcher import Counts
from itemlens_server.engine.call_context import CallContext
from itemlens_server.engine.heat_map import HeatMapDrawer
from itemlens_server.engine.manifest import EncoderSpec, Precision, Purpose
from itemlens_server.engine.memory_budget import MemoryBudget
from itemlens_server.engine.pending import Pending
from itemlens_server.engine.prepared import ModelInput, Prepared
from itemlens_server.engine.queue import Plan
from itemlens_server.engine.session import Device
from itemlens_server.engine.tuning import Tunings
from itemlens_server.observer import Observer

Array = np.ndarray[Any, np.dtype[np.float32]]
Value = TypeVar("Value", bound=str | bytes)


@dataclass(frozen=True, slots=True)
class Encoded:
    """v float32 [dim]; on request z float32 [places, dim], whose mean is v."""

    v: Array
    z: Array | None = None


@dataclass(frozen=True)
class Runtime:
    """State that all encoders of a server share. decoding: memory for the contents being decoded."""

    settings: Settings
    device: Device
    tunings: Tunings
    observer: Observer
    decoding: MemoryBudget


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of content: how it is named, stored, encoded and explained. The rest of the server reads these fields
    instead of testing for a kind.

    kind:          name in the manifest and in the wire contract's ChannelKind
    field:         name in the contract's Content; also the singular noun in messages
    plural:        plural noun in messages
    encoder:       class of its encoders, made with the folder of the space
    several:       whether an item may have more than one in a channel
    in_document:   whether an item's document contains it; if not, the store keeps the bytes in `Prepared.stored`
    quick:         whether preparing one takes less time than a switch to another thread
    by_purpose:    whether queries and items are prepared differently
    cached:        whether its vectors cost enough to be kept in the cache of vectors
    place:         kind of its places as in the contract's PartKind, the whole content included
    other_places:  further kinds of places
    fits:          by language, the phrase about a matching content in a sentence; {} stands for its words
    sample_query:  returns a query that should find a stored content
    search_nats:   how much a query says before any fit, nats for each standard deviation of the cosine
    """

    kind: str
    field: str
    plural: str
    encoder: Callable[[Modality, Path, EncoderSpec, Precision, Runtime], Encoder[Any, Any]]
    several: bool
    in_document: bool
    quick: bool
    by_purpose: bool
    cached: bool
    place: str
    other_places: tuple[str, ...] = ()
    fits: Mapping[str, str]
    sample_query: Callable[[random.Random, Any], str | bytes]
    search_nats: float

    def max_per_item(self, limit: int) -> int:
        """Return how many an item may have in a channel. `limit`: the setting for modalities with several."""
        return limit if self.several else 1


class Encoder(ABC, Generic[Value, ModelInput]):
    """Encodes contents of one modality into vectors. `with_places`: whether z is needed too; such inputs do not share a
    batch with others."""

    heat_maps: HeatMapDrawer | None = None
    """Of a modality whose places can be drawn."""

    def __init__(self, modality: Modality, spec: EncoderSpec, precision: Precision, provider: str) -> None:
        """`provider`: that of ONNX Runtime which runs its graph; "" if it has none."""
        self.modality = modality
        self.spec = spec
        self.digest = spec.digest(precision)
        self.precision = precision
        self.provider = provider

    @property
    def name(self) -> str:
        """Name in metrics and threads."""
        return f"{self.modality.kind.lower()}-{self.digest[:8]}"

    @abstractmethod
    def prepare(
        self, value: Value, purpose: Purpose, keep: bool = False, call: CallContext | None = None
    ) -> Prepared[ModelInput]:
        """Prepare a content for the model; with `keep`, also the form that is stored. `call`: the call that needs it.

        Raises:
            InvalidArgument: it cannot be encoded; the message says what to change.
            DeadlineExceeded, Cancelled: the call ended before the preparation began.
        """

    @abstractmethod
    def submit(
        self,
        inputs: Sequence[ModelInput],
        with_places: bool,
        call: CallContext,
        keys: Sequence[Hashable | None] = (),
    ) -> Pending[Encoded]:
        """Queue inputs. Inputs with equal keys (of their contents) that wait or run at the same time are run once."""

    @abstractmethod
    def check_admission(self, call: CallContext, inputs: int) -> None:
        """Raise Overloaded if `submit` would refuse a call of `inputs` inputs now."""

    @property
    @abstractmethod
    def plan(self) -> Plan | None:
        """Plan of its batches; None if it forms none."""

    @abstractmethod
    def counts(self) -> Counts:
        """Return the counters of its batches."""

    @abstractmethod
    def waiting_tokens(self) -> int:
        """Return the number of waiting tokens."""

    @property
    @abstractmethod
    def max_queue_tokens(self) -> int:
        """Number of interactive tokens that may wait."""

    @abstractmethod
    def close(self) -> None:
        """Run all queued inputs, then stop."""
