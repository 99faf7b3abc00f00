"""Results of calls: frozen dataclasses with read-only numpy arrays. Use `.copy()` on an array to change it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np

from ._enums import Basis, ChannelKind, PartKind, Presence
from ._errors import ItemlensError, raise_for_errors
from ._types import Floats, Vector


@dataclass(frozen=True)
class Warning:
    """A remark on a request that succeeded, such as a truncated text."""

    reason: str
    """A stable, machine-readable name, such as "TEXT_TRUNCATED" or "UNKNOWN_ITEM"."""
    message: str
    field: str
    """Path of the request field that caused the warning."""


class Entry(Protocol):
    @property
    def error(self) -> ItemlensError | None: ...


T = TypeVar("T")
E = TypeVar("E", bound=Entry)


class ListResult(Sequence[T]):
    """A result that can be indexed and iterated like a list."""

    __slots__ = ()

    @property
    @abstractmethod
    def _listed(self) -> tuple[T, ...]:
        """The entries of the list."""

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
    """One result for each entry of the request, in order. The object itself can be indexed and iterated too."""

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
    """Length of a CHANNEL vector."""
    provider: str
    """The ONNX Runtime execution provider that runs the encoder; "" for ChannelKind.EXTERNAL."""
    precision: str
    """ "fp32", "fp16" or "int8"; "" for ChannelKind.EXTERNAL."""
    version: str = ""
    """For ChannelKind.EXTERNAL: the version that vectors must have."""


@dataclass(frozen=True)
class Space:
    """A space: its channels and dimensions."""

    space_id: str
    name: str
    channels: tuple[Channel, ...]
    fused_dimension: int
    """Length of an ITEM or QUERY vector."""
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
    """Statistics of one encoder since the server started. A picture counts as one token."""

    channel: str
    instances: int
    """Number of batches that run at the same time."""
    threads: int
    """CPU threads of each session."""
    waiting_tokens: int
    max_waiting_tokens: int
    """Limit of the queue for interactive calls; a call beyond it is refused."""
    inputs: int
    batches: int
    tokens: int
    padded_tokens: int
    """Tokens, including the padding of batches."""
    joined_inputs: int
    """Inputs that shared the run of an equal input that was already queued or running."""
    refused_calls: int
    dropped_inputs: int
    """Inputs that were dropped because their calls had ended before they ran."""
    run_seconds: float
    queue_seconds: float
    """Sum of the inputs' waiting times, in seconds."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of the encoders and of the vector cache."""

    encoders: tuple[EncoderStatistics, ...]
    cache_hits: int
    cache_misses: int
    cache_bytes: int


@dataclass(frozen=True, eq=False)
class EncodedInput:
    """The result of one input of `encode`."""

    channel: str
    vector: Vector | None
    """None on error."""
    error: ItemlensError | None
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, eq=False)
class FusedInput:
    """The result of one input of `fuse`."""

    vector: Vector | None
    """None on error."""
    presence: Mapping[str, Presence]
    """Presence of each channel of the space in the vector."""
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
            ValueError: the inputs belong to channels with different dimensions; read them one by one.
        """
        self.raise_for_errors()
        rows = [result.vector.values for result in self.results if result.vector]
        if len({row.shape for row in rows}) > 1:
            raise ValueError(
                "the inputs belong to channels with different dimensions; read the vectors one by one"
            )
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)


class Encoded(VectorResult[EncodedInput]):
    """Result of `encode`: an EncodedInput for each input, and `vectors`."""


class Fused(VectorResult[FusedInput]):
    """Result of `fuse`: a FusedInput for each input, and `vectors`."""


@dataclass(frozen=True)
class Part:
    """One term of a score. The parts of one list add up to the score. `kind` decides which fields are set."""

    kind: PartKind
    channel: str
    """The channel of the item it is in. Empty for parts that no channel has."""
    value: float
    """How much it adds to the score, nats."""
    predicted: bool = False
    """The item lacks the channel's content; it is predicted from the item's other channels."""
    past_item_id: str = ""
    """For PAST_ITEM, BEHAVIOUR, ATTRIBUTE, SEQUENCE and REPEAT."""
    source_channel: str = ""
    """For TOKEN, CELL, SPECIAL and VECTOR: the channel of the place. It differs from `channel` where predicted."""
    text: str = ""
    """For TOKEN: the words. For LEXICAL: the word of the question, in lower case."""
    start: int = 0
    """For TOKEN: the index of its first character, so that `text[start:end]` is the span."""
    end: int = 0
    picture_index: int = 0
    """For CELL: index of the picture among the item's pictures in the channel, from 0."""
    row: int = 0
    """For CELL: row of the feature map, from the top."""
    column: int = 0
    """For CELL: column of the feature map, from the left."""
    is_share: bool = False
    """The part is the past item's share of a term that bends, not what the score would lose without the item."""
    spelling: str = ""
    """For LEXICAL: how the item spells the word, if it is taken for a typo."""
    name: str = ""
    """For BOOST: the boost's name."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item."""

    item_id: str
    position: int
    """Position in the list, from 1."""
    score: float
    """ln P: the log-probability that the item is the one chosen, for its interest. Where there are several interests,
    places are dealt to them by their weights, so the list is not sorted by score."""
    interest: int
    """Index into Recommendations.interests of the interest that found the item."""
    parts: tuple[Part, ...]
    """Set with `parts=True`. They add up to the score."""
    reason: str
    """Set with `reasons=True`."""
    probability: float | None = None
    """Set with `probabilities=True`: the probability that the item is among what the user takes next."""
    explored: bool = False
    """The item has no events, and is in the list to learn about it: see Exploration."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Those of the attributes that were asked for that it has."""
    others: tuple[str, ...] = ()
    """Set with `group_by` or `fold_duplicates`: ids of the other items of its group, and of those of equal content,
    that were scored and might have been in the list, the best first, at most 20."""
    rank: int = 0
    """Set with `group_by`, `caps`, `fold_duplicates` or active rules: its rank by score in its interest without these,
    from 1."""
    rules: tuple[str, ...] = ()
    """Names of the rules that placed it: it is pinned, or moved up for a floor."""


@dataclass(frozen=True)
class ListChange:
    """A cap of the list and how many items it passed over, or a rule and how many items it blocked or placed."""

    attribute: str
    """The attribute of a cap, that of `group_by` included; empty for `fold_duplicates` and other rules."""
    most: int
    """Of a cap: most items of one value."""
    items: int
    """Of a cap: number of items that were passed over, since the list had enough of their value, although their score
    is at least that of the last item of their interest. An item counts once, for the first such cap. Of another rule:
    number of items that it blocked, moved up or pinned."""
    rule: str = ""
    """The name of the rule that it is of; empty if the request asked for it."""


@dataclass(frozen=True)
class Facet:
    """The values of an attribute among the items that may be in a list."""

    items: int
    """Number of items that have a value."""
    counts: Mapping[Any, int]
    """Number of items that have a value, by value: a str, float or bool. The most frequent first."""
    value_count: int
    """Number of different values. If it is larger than the number of `counts`, the other values were left out."""
    min: Any = None
    """The least number or the earliest time. None for other types, or without a value."""
    max: Any = None
    """The largest number or the latest time."""


@dataclass(frozen=True, eq=False)
class Interest:
    """One of the user's interests."""

    weight: float
    """Its share of the list."""
    item_ids: tuple[str, ...]
    """Ids of the past items that form the interest."""
    query_vector: Vector | None
    """Set with `query_vectors=True`."""


@dataclass(frozen=True, eq=False)
class Recommendations(ListResult[Recommendation]):
    """The best items, best first. Can be indexed and iterated."""

    recommendation_id: str
    """Id for `explain`, and for events that this recommendation causes."""
    space_id: str
    items: tuple[Recommendation, ...]
    interests: tuple[Interest, ...]
    eligible_items: int
    """Number of items that could be recommended after exclusions."""
    warnings: tuple[Warning, ...]
    basis: Basis = Basis.EVIDENCE
    """What the list is based on. A user of whom nothing is known gets Basis.PRIOR."""
    changes: tuple[ListChange, ...] = ()
    """What was done to the list besides sorting it by score: one for each of `group_by`, `caps` and
    `fold_duplicates`, and for each rule that was active."""
    facets: Mapping[str, Facet] = field(default_factory=dict)
    """Set with `facets`: counts of values, by attribute."""

    @property
    def _listed(self) -> tuple[Recommendation, ...]:
        return self.items


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A picture's part of a score."""

    channel: str
    picture_index: int
    values: Floats
    """With heat_map="grid": float32, shape (rows, columns) of the feature map; otherwise of shape (0, 0)."""
    png: bytes
    """With heat_map="png": the stored picture with the values drawn over it."""


@dataclass(frozen=True, eq=False)
class ChannelSum:
    """A channel's sum as a matrix of sources by places."""

    channel: str
    sources: tuple[str, ...]
    """Rows: past, liked and disliked items by id; "" for the query's own content."""
    places: tuple[Part, ...]
    """Columns: places in the item, each with its sum over the rows."""
    values: Floats
    """float32, shape (sources, places)."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of one item's score."""

    item_id: str
    score: float
    residual: float
    """Score minus the sum of `by_place`, which is rounding only."""
    by_channel: tuple[Part, ...]
    by_source: tuple[Part, ...]
    by_place: tuple[Part, ...]
    sums: tuple[ChannelSum, ...]
    sentence: str
    heat_maps: tuple[HeatMap, ...]
    error: ItemlensError | None
    """The reason why there is no explanation; None on success."""
    rules: tuple[str, ...] = ()
    """Of a recommendation: names of the rules that placed the item in its list."""


@dataclass(frozen=True, eq=False)
class Explanations(BatchResult[Explanation]):
    """Result of `explain`: an Explanation for each item, in order."""

    space_id: str
    warnings: tuple[Warning, ...]
