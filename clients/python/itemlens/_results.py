"""What callers get: frozen dataclasses with numpy arrays, read-only; `.copy()` one to change it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, overload

import numpy as np

from ._enums import ChannelKind, PartKind, Presence
from ._errors import ItemlensError, raise_for_errors
from ._types import Floats, Vector


@dataclass(frozen=True)
class Warning:
    """A warning: something that went well but may surprise."""

    reason: str
    """A stable, machine-readable name, such as "TEXT_TRUNCATED" or "UNKNOWN_ITEM"."""
    message: str
    field: str
    """Path of the request's field it is about."""


class Entry(Protocol):
    @property
    def error(self) -> ItemlensError | None: ...


T = TypeVar("T")
E = TypeVar("E", bound=Entry)


class ListResult(Sequence[T]):
    """A result that is mainly a list and reads like one."""

    __slots__ = ()

    @property
    @abstractmethod
    def _listed(self) -> tuple[T, ...]:
        """What it lists."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...
    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._listed[index]

    def __len__(self) -> int:
        return len(self._listed)

    def __iter__(self) -> Iterator[T]:
        return iter(self._listed)


@dataclass(frozen=True, eq=False)
class BatchResult(ListResult[E], Generic[E]):
    results: tuple[E, ...]
    """One for each entry of the request, in order. The object itself can be indexed and iterated too."""

    @property
    def _listed(self) -> tuple[E, ...]:
        return self.results

    def raise_for_errors(self) -> None:
        """Raise PartialFailure if an entry failed."""
        raise_for_errors(result.error for result in self.results)


@dataclass(frozen=True)
class Channel:
    """A named source of understanding."""

    name: str
    kind: ChannelKind
    dimension: int
    """Numbers in a CHANNEL vector."""
    provider: str
    """ONNX Runtime provider that really runs the encoder."""
    precision: str
    """ "fp32", "fp16" or "int8"."""


@dataclass(frozen=True)
class Space:
    """What a space can do."""

    space_id: str
    name: str
    channels: tuple[Channel, ...]
    fused_dimension: int
    """Numbers in an ITEM or QUERY vector."""
    fitted: bool
    """False until `itemlens fit` has chosen projections and weights on a catalogue."""

    def first(self, kind: ChannelKind) -> str:
        """Name of the first channel of a kind. ValueError if there is none."""
        for channel in self.channels:
            if channel.kind is kind:
                return channel.name
        raise ValueError(f"space {self.name or self.space_id} has no {kind.name} channel")


@dataclass(frozen=True)
class EncoderStatistics:
    """What one encoder has done since the server started. A picture counts as one token."""

    channel: str
    instances: int
    """Batches that it runs at the same time."""
    threads: int
    """Processor threads of each."""
    waiting_tokens: int
    max_waiting_tokens: int
    """Past this many an interactive call is refused."""
    inputs: int
    batches: int
    tokens: int
    padded_tokens: int
    """Tokens with the padding that batches needed."""
    joined_inputs: int
    """Inputs that were not run again, because the same was waiting or running."""
    refused_calls: int
    dropped_inputs: int
    """Inputs that nobody waited for any more when their turn came."""
    run_seconds: float
    queue_seconds: float
    """Seconds that inputs waited before they ran, summed."""


@dataclass(frozen=True)
class Statistics:
    """What the encoders have done, and what the cache of vectors saved them."""

    encoders: tuple[EncoderStatistics, ...]
    cache_hits: int
    cache_misses: int
    cache_bytes: int


@dataclass(frozen=True, eq=False)
class EncodedInput:
    """How one input of `encode` went."""

    channel: str
    vector: Vector | None
    """None on error."""
    error: ItemlensError | None
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, eq=False)
class FusedInput:
    """How one input of `fuse` went."""

    vector: Vector | None
    """None on error."""
    presence: Mapping[str, Presence]
    """How each channel of the space came in."""
    error: ItemlensError | None
    warnings: tuple[Warning, ...]


V = TypeVar("V", EncodedInput, FusedInput)


@dataclass(frozen=True, eq=False)
class VectorResult(BatchResult[V]):
    space_id: str

    @property
    def vectors(self) -> Floats:
        """All vectors, float32, shape (inputs, dimension).

        Raises:
            PartialFailure: an input failed.
            ValueError: the inputs were of channels with different dimensions; read them one by one.
        """
        self.raise_for_errors()
        rows = [result.vector.values for result in self.results if result.vector]
        if len({row.shape for row in rows}) > 1:
            raise ValueError("the inputs were of several channels; their vectors do not fit into one matrix")
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)


class Encoded(VectorResult[EncodedInput]):
    """What `encode` gives: an EncodedInput for each input, and `vectors`."""


class Fused(VectorResult[FusedInput]):
    """What `fuse` gives: a FusedInput for each input, and `vectors`."""


@dataclass(frozen=True)
class Part:
    """One term of a score; those of one list add up to the score. Which fields are set depends on `kind`."""

    kind: PartKind
    channel: str
    """The channel of the item it is in. Empty for BEHAVIOUR."""
    value: float
    """How much it adds to the score."""
    predicted: bool = False
    """The channel's content is not there but predicted from the item's other channels."""
    past_item_id: str = ""
    """For PAST_ITEM and BEHAVIOUR."""
    source_channel: str = ""
    """For TOKEN, CELL and SPECIAL: where the place is; differs from `channel` where predicted."""
    text: str = ""
    """For TOKEN: the words."""
    start: int = 0
    """For TOKEN: first character in the item's text; `text[start:end]` in Python."""
    end: int = 0
    picture_index: int = 0
    """For CELL: which of the item's pictures in the channel, from 0."""
    row: int = 0
    """For CELL: from the top of the feature map."""
    column: int = 0
    """For CELL: from the left of the feature map."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item."""

    item_id: str
    position: int
    """From 1."""
    score: float
    """Comparable within one interest."""
    interest: int
    """Which interest found it: index into Recommendations.interests."""
    parts: tuple[Part, ...]
    """With `parts=True`; they add up to the score."""
    reason: str
    """With `reasons=True`."""


@dataclass(frozen=True, eq=False)
class Interest:
    """One of the things that the user is interested in."""

    weight: float
    """Its share of the list."""
    item_ids: tuple[str, ...]
    """The past items it was read from."""
    query_vector: Vector | None
    """With `query_vectors=True`."""


@dataclass(frozen=True, eq=False)
class Recommendations(ListResult[Recommendation]):
    """The best items, best first. Can be indexed and iterated."""

    recommendation_id: str
    """For `explain`, and for events that come of it."""
    space_id: str
    items: tuple[Recommendation, ...]
    interests: tuple[Interest, ...]
    eligible_items: int
    """How many items could have been recommended after exclusions."""
    warnings: tuple[Warning, ...]

    @property
    def _listed(self) -> tuple[Recommendation, ...]:
        return self.items


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A picture's part of a score."""

    channel: str
    picture_index: int
    values: Floats
    """With heat_map="grid": float32, shape (rows, columns) of the feature map; else of shape (0, 0)."""
    png: bytes
    """With heat_map="png": the stored picture with the values laid over it."""


@dataclass(frozen=True, eq=False)
class ChannelSum:
    """A channel's whole sum, source by place."""

    channel: str
    sources: tuple[str, ...]
    """Rows: past, liked and disliked items by id; "" for the query's own content."""
    places: tuple[Part, ...]
    """Columns: where in the item, each with its sum over the rows."""
    values: Floats
    """float32, shape (sources, places)."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one item gets its score."""

    item_id: str
    score: float
    residual: float
    """Score minus the sum of `by_place`: rounding only."""
    by_channel: tuple[Part, ...]
    by_source: tuple[Part, ...]
    by_place: tuple[Part, ...]
    sums: tuple[ChannelSum, ...]
    sentence: str
    heat_maps: tuple[HeatMap, ...]
    error: ItemlensError | None
    """Why there is no explanation."""


@dataclass(frozen=True, eq=False)
class Explanations(BatchResult[Explanation]):
    """What `explain` gives: an Explanation for each item, in order."""

    space_id: str
    warnings: tuple[Warning, ...]
